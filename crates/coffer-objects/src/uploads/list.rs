//! Listing uploads, and the parts of one.

use std::ops::Bound;

use coffer_base::BucketId;
use coffer_catalog::Snapshot;
use coffer_iam::{Action, Grant};

use super::{UploadId, part_number, upload_row};
use crate::buckets::page_size;
use crate::error::{Error, Result};
use crate::list::{Rolled, Scan, after_prefix};
use crate::objects::{Objects, expect, object_key};
use crate::rows::upload::{PartRow, UploadRow};
use crate::rows::{self, keys};
use crate::types::{Headers, ListUploads, PartPage, UploadPage};

impl Objects {
    /// One page of an upload's parts with numbers greater than `after` (`ListParts`).
    pub async fn list_parts(
        &self,
        grant: &Grant,
        upload_id: &str,
        after: u32,
        max: usize,
    ) -> Result<PartPage> {
        let key = object_key(grant, Action::ListMultipartUploadParts)?;
        let bucket = self.bucket_row(grant)?.id;
        let id = UploadId::parse(upload_id)?;
        let snapshot = self.catalog().snapshot();
        let upload = upload_row(&snapshot, bucket, &key, id)?.upload(key, id);
        let mut page = PartPage { upload, parts: Vec::new(), truncated: false, next: None };
        let max = page_size(max);
        if max == 0 {
            return Ok(page);
        }
        for entry in snapshot.prefix(&keys::parts(id)) {
            let (row_key, value) = entry?;
            let number = part_number(&row_key)?;
            if number <= after {
                continue;
            }
            if page.parts.len() == max {
                page.truncated = true;
                page.next = page.parts.last().map(|part| part.number);
                break;
            }
            page.parts.push(rows::read::<PartRow>(&row_key, &value)?.info(number));
        }
        Ok(page)
    }

    /// One page of a bucket's uploads (`ListMultipartUploads`).
    pub async fn list_uploads(&self, grant: &Grant, query: ListUploads) -> Result<UploadPage> {
        expect(grant, Action::ListBucketMultipartUploads);
        let bucket = self.bucket_row(grant)?.id;
        let catalog = self.catalog().clone();
        self.call(move || list_page(&catalog.snapshot(), bucket, &query)).await?
    }
}

/// Where a page begins.
fn start(bucket: BucketId, query: &ListUploads, rolled: &Rolled<'_>) -> Result<Bound<Vec<u8>>> {
    let Some(key) = query.key_after.as_deref() else {
        return Ok(Bound::Unbounded);
    };
    if let Some(upload) = query.upload_after.as_deref() {
        let id = UploadId::parse(upload).map_err(|_| {
            Error::InvalidArgument("upload-id-marker is not the id of an upload".to_owned())
        })?;
        return Ok(Bound::Excluded(keys::upload(bucket, key, id)));
    }
    if key.starts_with(&query.prefix) && rolled.common_prefix(key) == Some(key) {
        return Ok(after_prefix(&keys::uploads(bucket, key)));
    }
    Ok(after_prefix(&keys::uploads_of_key(bucket, key)))
}

fn list_page(snapshot: &Snapshot, bucket: BucketId, query: &ListUploads) -> Result<UploadPage> {
    let rolled = Rolled::new(&query.prefix, query.delimiter.as_deref());
    let max = page_size(query.max);
    let mut page = UploadPage::default();
    if max == 0 {
        return Ok(page);
    }
    let start = start(bucket, query, &rolled)?;
    let mut scan = Scan::new(snapshot, &keys::uploads(bucket, &query.prefix), start);
    let mut last: Option<(String, Option<String>)> = None;
    while let Some((row_key, value)) = scan.next()? {
        let Some(keys::Parsed::Upload(_, key, id)) = keys::parse(&row_key) else {
            let what = format!("an upload row has the key {}", keys::show(&row_key));
            return Err(Error::Corrupt(what));
        };
        if page.uploads.len() + page.prefixes.len() == max {
            page.truncated = true;
            (page.next_key, page.next_upload) = match last {
                Some((key, upload)) => (Some(key), upload),
                None => (None, None),
            };
            break;
        }
        if let Some(prefix) = rolled.common_prefix(&key) {
            scan.skip(&keys::uploads(bucket, prefix))?;
            page.prefixes.push(prefix.to_owned());
            last = Some((prefix.to_owned(), None));
            continue;
        }
        let row =
            UploadRow { headers: Headers::default(), ..rows::read::<UploadRow>(&row_key, &value)? };
        let upload = row.upload(key, id);
        last = Some((upload.key.clone(), Some(upload.upload_id.clone())));
        page.uploads.push(upload);
    }
    Ok(page)
}

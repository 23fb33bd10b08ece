//! Listing versions: one page, by key in byte order, those of one key the newest first.
//!
//! It is one merge of two ordered ranges, heads and all other versions. A head is the newest of its
//! key, so it comes before them.

use std::ops::Bound;

use bytes::Bytes;
use coffer_base::BucketId;
use coffer_catalog::Snapshot;
use coffer_iam::{Action, Grant};

use crate::buckets::page_size;
use crate::error::{Error, Result};
use crate::list::{Rolled, Scan, after_prefix};
use crate::objects::{Objects, Rows, expect};
use crate::replace::Place;
use crate::rows::head::{HeadRow, VersionTag};
use crate::rows::version::VersionRow;
use crate::rows::{self, keys};
use crate::types::{Headers, ListVersions, VersionEntry, VersionId, VersionPage};
use crate::versions::{self, Located};

impl Objects {
    /// One page of the versions in a bucket (`ListObjectVersions`).
    pub async fn list_versions(&self, grant: &Grant, query: ListVersions) -> Result<VersionPage> {
        expect(grant, Action::ListBucketVersions);
        let bucket = self.bucket_row(grant)?.id;
        let catalog = self.catalog().clone();
        self.call(move || list_page(&catalog.snapshot(), bucket, &query)).await?
    }
}

fn list_page(snapshot: &Snapshot, bucket: BucketId, query: &ListVersions) -> Result<VersionPage> {
    let rolled = Rolled::new(&query.prefix, query.delimiter.as_deref());
    let max = page_size(query.max);
    let mut page = VersionPage::default();
    if max == 0 {
        return Ok(page);
    }
    let mut merge = Merge::new(snapshot, bucket, query, &rolled)?;
    let mut last = None;
    while let Some(found) = merge.next()? {
        let entry = match rolled.common_prefix(&found.key) {
            None => found.entry(),
            Some(prefix) => VersionEntry::Prefix(prefix.to_owned()),
        };
        if page.entries.len() == max {
            page.truncated = true;
            (page.next_key, page.next_version) = match (page.entries.last(), last) {
                (Some(VersionEntry::Prefix(prefix)), _) => (Some(prefix.clone()), None),
                (_, Some((key, place))) => (Some(key), Some(place)),
                (_, None) => (None, None),
            };
            break;
        }
        if let VersionEntry::Prefix(prefix) = &entry {
            merge.skip(bucket, prefix)?;
        }
        last = Some((found.key, found.place));
        page.entries.push(entry);
    }
    Ok(page)
}

/// A version that the scan came to.
struct Found {
    key: String,
    tag: VersionTag,
    row: VersionRow,
    is_latest: bool,
    /// As a marker: tells the place of the null version, too.
    place: VersionId,
}

impl Found {
    fn entry(&self) -> VersionEntry {
        let (key, is_latest) = (self.key.clone(), self.is_latest);
        let version_id = self.tag.id(self.row.object_id());
        match &self.row {
            VersionRow::Object(head) => {
                let mut info = head.info(key, Headers::default());
                info.version_id = Some(version_id);
                VersionEntry::Object { info, is_latest }
            }
            VersionRow::Marker(marker) => {
                VersionEntry::Marker { key, version_id, modified: marker.modified, is_latest }
            }
        }
    }
}

/// Heads and other versions, merged.
struct Merge<'a> {
    heads: Scan<'a>,
    others: Scan<'a>,
    /// Read ahead.
    head: Option<(Bytes, Bytes)>,
    other: Option<(Bytes, Bytes)>,
    /// The key whose newest version has been seen, or is before where the page begins.
    begun: Option<String>,
    /// Heads of this key are listed only from this sequence down.
    below: Option<(String, u64)>,
}

impl<'a> Merge<'a> {
    fn new(
        snapshot: &'a Snapshot,
        bucket: BucketId,
        query: &ListVersions,
        rolled: &Rolled<'_>,
    ) -> Result<Merge<'a>> {
        let start = Start::new(snapshot, bucket, query, rolled)?;
        let heads = Scan::new(snapshot, &keys::heads(bucket, &query.prefix), start.heads);
        let others = Scan::new(snapshot, &keys::versions(bucket, &query.prefix), start.others);
        let (begun, below) = (start.begun, start.below);
        let mut merge = Merge { heads, others, head: None, other: None, begun, below };
        merge.head = merge.heads.next()?;
        merge.other = merge.others.next()?;
        Ok(merge)
    }

    fn next(&mut self) -> Result<Option<Found>> {
        loop {
            // Behind the subspace the keys are alike; that of a head is the beginning of those of
            // the other versions of its key.
            let head_first = match (&self.head, &self.other) {
                (None, None) => return Ok(None),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some((head, _)), Some((other, _))) => head[1..] < other[1..],
            };
            let (row_key, found) = if head_first {
                let (row_key, value) = self.head.take().expect("it was looked at");
                self.head = self.heads.next()?;
                let head: HeadRow = rows::read(&row_key, &value)?;
                (row_key, (head.version, VersionRow::Object(head)))
            } else {
                let (row_key, value) = self.other.take().expect("it was looked at");
                self.other = self.others.next()?;
                let found = versions::read(&row_key, &value)?;
                (row_key, found)
            };
            let key = keys::object_key(&row_key).ok_or_else(|| {
                Error::Corrupt(format!("a row has the malformed key {}", keys::show(&row_key)))
            })?;
            let (tag, row) = found;
            let is_before = |(of, below): &(String, u64)| *of == key && tag.sequence >= *below;
            if head_first && self.below.as_ref().is_some_and(is_before) {
                self.begun = Some(key);
                continue;
            }
            let is_latest = self.begun.as_ref() != Some(&key);
            self.begun = Some(key.clone());
            let place = tag.place(row.object_id());
            return Ok(Some(Found { key, tag, row, is_latest, place }));
        }
    }

    /// Goes on after all keys that begin with `prefix`.
    fn skip(&mut self, bucket: BucketId, prefix: &str) -> Result<()> {
        let skip = |scan: &mut Scan<'_>, ahead: &mut Option<(Bytes, Bytes)>, within: Vec<u8>| {
            if ahead.as_ref().is_some_and(|(key, _)| key.starts_with(&within)) {
                scan.skip(&within)?;
                *ahead = scan.next()?;
            }
            Ok::<(), Error>(())
        };
        skip(&mut self.heads, &mut self.head, keys::heads(bucket, prefix))?;
        skip(&mut self.others, &mut self.other, keys::versions(bucket, prefix))
    }
}

/// Where a page begins.
struct Start {
    heads: Bound<Vec<u8>>,
    others: Bound<Vec<u8>>,
    begun: Option<String>,
    below: Option<(String, u64)>,
}

impl Start {
    fn new(
        snapshot: &Snapshot,
        bucket: BucketId,
        query: &ListVersions,
        rolled: &Rolled<'_>,
    ) -> Result<Start> {
        let both = |heads, others| Start { heads, others, begun: None, below: None };
        let Some(key) = query.key_after.as_deref() else {
            return Ok(both(Bound::Unbounded, Bound::Unbounded));
        };
        if let Some(version) = query.version_after {
            return Start::within(snapshot, bucket, key, version);
        }
        if key.starts_with(&query.prefix) && rolled.common_prefix(key) == Some(key) {
            let heads = after_prefix(&keys::heads(bucket, key));
            return Ok(both(heads, after_prefix(&keys::versions(bucket, key))));
        }
        let heads = Bound::Excluded(keys::head(bucket, key));
        Ok(both(heads, after_prefix(&keys::versions_of_key(bucket, key))))
    }

    /// After `version` of `key`, whether it is still there or not.
    fn within(
        snapshot: &Snapshot,
        bucket: BucketId,
        key: &str,
        version: VersionId,
    ) -> Result<Start> {
        let from_head = Bound::Included(keys::head(bucket, key));
        let place = Place { bucket, key };
        let sequence = match version {
            VersionId::Given { sequence, .. } => sequence,
            VersionId::Null => match versions::locate(snapshot, place, version)? {
                Some(Located::Head(head)) => head.version.sequence,
                Some(Located::Other(tag, _)) => tag.sequence,
                // Nobody knows where it was. Better twice than not at all.
                None => {
                    let others = Bound::Included(keys::versions_of_key(bucket, key));
                    return Ok(Start { heads: from_head, others, begun: None, below: None });
                }
            },
        };
        // Whether a newer one is there decides who is the latest of those that come.
        let head: Option<HeadRow> = snapshot.row(&keys::head(bucket, key))?;
        let newest = match head {
            Some(head) => Some(head.version.sequence),
            None => {
                let first = snapshot.prefix(&keys::versions_of_key(bucket, key)).next();
                first.transpose()?.and_then(|(row_key, _)| keys::version_sequence(&row_key))
            }
        };
        let begun = newest.filter(|newest| *newest >= sequence).map(|_| key.to_owned());
        Ok(Start {
            heads: from_head,
            others: Bound::Excluded(keys::version(bucket, key, sequence)),
            begun,
            below: Some((key.to_owned(), sequence)),
        })
    }
}

//! ListObjects and ListObjectsV2.

use coffer_iam::Action;
use coffer_objects::{Bucket, Entry, List, ListAfter, ListPage, ObjectInfo, PAGE_MAX};
use http::StatusCode;

use super::parameters::{self, Encoding};
use super::token::Token;
use super::{caller, stored};
use crate::error::S3Error;
use crate::request::{Call, CallHead};
use crate::respond::{Reply, reply_xml, set_header};
use crate::service::Service;
use crate::time;
use crate::xml::Writer;

/// What both generations of the listing ask for.
struct Asked<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    max: usize,
    encoding: Encoding,
}

impl<'a> Asked<'a> {
    fn read(head: &'a CallHead) -> Result<Asked<'a>, S3Error> {
        Ok(Asked {
            prefix: head.query.get("prefix").unwrap_or(""),
            delimiter: head.query.get("delimiter").filter(|d| !d.is_empty()),
            max: parameters::page_max(head, "max-keys", PAGE_MAX)?,
            encoding: Encoding::of(head)?,
        })
    }

    /// Reads the page; one of no entries is empty and complete, as S3 has it.
    async fn page(
        &self,
        service: &Service,
        head: &CallHead,
        after: Option<ListAfter>,
    ) -> Result<(ListPage, Bucket), S3Error> {
        let grant = head.grant(service, Action::ListBucket)?;
        let bucket = service.objects.bucket(&grant).await?;
        if self.max == 0 {
            return Ok((ListPage::default(), bucket));
        }
        let list = List {
            prefix: self.prefix.to_owned(),
            delimiter: self.delimiter.map(str::to_owned),
            after,
            max: self.max,
        };
        Ok((service.objects.list(&grant, list).await?, bucket))
    }

    /// What stands before the entries in both generations.
    fn write_question(&self, xml: &mut Writer, truncated: bool) {
        xml.plain("MaxKeys", self.max);
        if let Some(delimiter) = self.delimiter {
            xml.text("Delimiter", &self.encoding.write(delimiter));
        }
        if self.encoding == Encoding::Url {
            xml.text("EncodingType", "url");
        }
        xml.plain("IsTruncated", truncated);
    }

    fn write_entries(&self, xml: &mut Writer, page: &ListPage, owner: Option<&str>) {
        for entry in &page.entries {
            if let Entry::Object(info) = entry {
                self.write_object(xml, info, owner);
            }
        }
        for entry in &page.entries {
            if let Entry::Prefix(prefix) = entry {
                xml.open("CommonPrefixes").text("Prefix", &self.encoding.write(prefix)).close();
            }
        }
    }

    fn write_object(&self, xml: &mut Writer, info: &ObjectInfo, owner: Option<&str>) {
        xml.open("Contents")
            .text("Key", &self.encoding.write(&info.key))
            .text("LastModified", &time::iso8601(info.modified))
            .text("ETag", &stored::quoted(&info.etag));
        if let Some(checksum) = &info.checksum {
            xml.text("ChecksumAlgorithm", checksum.algorithm.name())
                .text("ChecksumType", checksum.kind.checksum_type().name());
        }
        xml.plain("Size", info.size);
        if let Some(owner) = owner {
            caller::write_owner(xml, "Owner", owner);
        }
        xml.text("StorageClass", "STANDARD").close();
    }
}

/// ListObjects.
pub(super) async fn first(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let asked = Asked::read(&call)?;
    let marker = call.query.get("marker").unwrap_or("");
    let after = after_marker(marker, asked.prefix, asked.delimiter);
    let (page, bucket) = asked.page(service, &call, after).await?;

    let encoding = asked.encoding;
    let mut xml = Writer::with_root("ListBucketResult");
    xml.text("Name", call.bucket()?)
        .text("Prefix", &encoding.write(asked.prefix))
        .text("Marker", &encoding.write(marker));
    // S3: NextMarker "is returned only if you have the delimiter request parameter specified".
    if let Some(ListAfter::Key(name) | ListAfter::Prefix(name)) = &page.next
        && asked.delimiter.is_some()
    {
        xml.text("NextMarker", &encoding.write(name));
    }
    asked.write_question(&mut xml, page.truncated);
    asked.write_entries(&mut xml, &page, Some(&bucket.owner));
    let mut reply = reply_xml(StatusCode::OK, xml.finish());
    set_header(&mut reply, "x-amz-bucket-region", &bucket.region)?;
    Ok(reply)
}

/// Where a marker says to begin. One that is itself a common prefix, as a page before gave it,
/// means: after everything below it.
fn after_marker(marker: &str, prefix: &str, delimiter: Option<&str>) -> Option<ListAfter> {
    if marker.is_empty() {
        return None;
    }
    if let (Some(delimiter), Some(rest)) = (delimiter, marker.strip_prefix(prefix))
        && rest.find(delimiter).is_some_and(|at| at + delimiter.len() == rest.len())
    {
        return Some(ListAfter::Prefix(marker.to_owned()));
    }
    Some(ListAfter::Key(marker.to_owned()))
}

/// ListObjectsV2.
pub(super) async fn second(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let asked = Asked::read(&call)?;
    let token = call.query.get("continuation-token");
    let start_after = call.query.get("start-after").filter(|name| !name.is_empty());
    let after = match token {
        Some("") => {
            return Err(S3Error::invalid_argument(
                "continuation-token",
                "",
                "The continuation token provided is incorrect",
            ));
        }
        Some(token) => Some(Token::read(token)?.into()),
        None => start_after.map(|name| ListAfter::Key(name.to_owned())),
    };
    let fetch_owner = match call.query.get("fetch-owner") {
        None | Some("" | "false") => false,
        Some("true") => true,
        Some(other) => {
            return Err(S3Error::invalid_argument(
                "fetch-owner",
                other,
                "fetch-owner must be true or false.",
            ));
        }
    };
    let (page, bucket) = asked.page(service, &call, after).await?;

    let encoding = asked.encoding;
    let mut xml = Writer::with_root("ListBucketResult");
    xml.text("Name", call.bucket()?).text("Prefix", &encoding.write(asked.prefix));
    if let Some(next) = &page.next {
        xml.text("NextContinuationToken", &Token::from(next.clone()).write());
    }
    if let Some(token) = token {
        xml.text("ContinuationToken", token);
    }
    if let Some(start_after) = start_after {
        xml.text("StartAfter", &encoding.write(start_after));
    }
    xml.plain("KeyCount", page.entries.len());
    asked.write_question(&mut xml, page.truncated);
    asked.write_entries(&mut xml, &page, fetch_owner.then_some(bucket.owner.as_str()));
    let mut reply = reply_xml(StatusCode::OK, xml.finish());
    set_header(&mut reply, "x-amz-bucket-region", &bucket.region)?;
    Ok(reply)
}

#[cfg(test)]
mod tests;

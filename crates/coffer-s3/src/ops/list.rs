//! ListObjects and ListObjectsV2.

use std::fmt::Display;

use coffer_base::Timestamp;
use coffer_iam::Action;
use coffer_objects::{
    Bucket, Checksum, List, ListAfter, ListSink, ListedObject, PAGE_MAX, PageEnd,
};
use http::StatusCode;

use super::caller;
use super::parameters::{self, Encoding};
use super::token::Token;
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
        with_owner: bool,
    ) -> Result<(Lines, PageEnd, Bucket), S3Error> {
        let grant = head.grant(service, Action::ListBucket)?;
        let bucket = service.objects.bucket(&grant).await?;
        let lines = Lines {
            encoding: self.encoding,
            owner: with_owner.then(|| bucket.owner.clone()),
            contents: Writer::fragment(),
            prefixes: Writer::fragment(),
        };
        if self.max == 0 {
            return Ok((lines, PageEnd::default(), bucket));
        }
        let list = List {
            prefix: self.prefix.to_owned(),
            delimiter: self.delimiter.map(str::to_owned),
            after,
            max: self.max,
        };
        let (lines, end) = service.objects.list_into(&grant, list, lines).await?;
        Ok((lines, end, bucket))
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
}

/// The entries of a page as they are written, where they are read.
struct Lines {
    encoding: Encoding,
    /// Whose objects they are, if that is to be told.
    owner: Option<String>,
    contents: Writer,
    prefixes: Writer,
}

impl Lines {
    fn write_object(
        &mut self,
        key: &str,
        modified: Timestamp,
        etag: impl Display,
        checksum: Option<&Checksum>,
        size: u64,
    ) {
        let xml = &mut self.contents;
        xml.open("Contents");
        match self.encoding {
            Encoding::Plain => xml.text("Key", key),
            Encoding::Url => xml.text("Key", &self.encoding.write(key)),
        };
        xml.plain("LastModified", time::iso8601(modified))
            .plain("ETag", format_args!("&quot;{etag}&quot;"));
        if let Some(checksum) = checksum {
            xml.text("ChecksumAlgorithm", checksum.algorithm.name())
                .text("ChecksumType", checksum.kind.checksum_type().name());
        }
        xml.plain("Size", size);
        if let Some(owner) = &self.owner {
            caller::write_owner(xml, "Owner", owner);
        }
        xml.text("StorageClass", "STANDARD").close();
    }

    /// Adds them to the document.
    fn write(&self, xml: &mut Writer) {
        xml.reserve(self.contents.bytes() + self.prefixes.bytes() + 64);
        xml.append(&self.contents).append(&self.prefixes);
    }
}

impl ListSink for Lines {
    fn object(&mut self, object: &ListedObject<'_>) {
        let (modified, size) = (object.modified(), object.size());
        self.write_object(object.key, modified, object.etag(), object.checksum(), size);
    }

    fn prefix(&mut self, prefix: &str) {
        let prefix = self.encoding.write(prefix);
        self.prefixes.open("CommonPrefixes").text("Prefix", &prefix).close();
    }
}

/// ListObjects.
pub(super) async fn first(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let asked = Asked::read(&call)?;
    let marker = call.query.get("marker").unwrap_or("");
    let after = after_marker(marker, asked.prefix, asked.delimiter);
    let (lines, end, bucket) = asked.page(service, &call, after, true).await?;

    let encoding = asked.encoding;
    let mut xml = Writer::with_root("ListBucketResult");
    xml.text("Name", call.bucket()?)
        .text("Prefix", &encoding.write(asked.prefix))
        .text("Marker", &encoding.write(marker));
    // S3: NextMarker "is returned only if you have the delimiter request parameter specified".
    if let Some(ListAfter::Key(name) | ListAfter::Prefix(name)) = &end.next
        && asked.delimiter.is_some()
    {
        xml.text("NextMarker", &encoding.write(name));
    }
    asked.write_question(&mut xml, end.next.is_some());
    lines.write(&mut xml);
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
    let (lines, end, bucket) = asked.page(service, &call, after, fetch_owner).await?;

    let encoding = asked.encoding;
    let mut xml = Writer::with_root("ListBucketResult");
    xml.text("Name", call.bucket()?).text("Prefix", &encoding.write(asked.prefix));
    if let Some(next) = &end.next {
        xml.text("NextContinuationToken", &Token::from(next.clone()).write());
    }
    if let Some(token) = token {
        xml.text("ContinuationToken", token);
    }
    if let Some(start_after) = start_after {
        xml.text("StartAfter", &encoding.write(start_after));
    }
    xml.plain("KeyCount", end.entries);
    asked.write_question(&mut xml, end.next.is_some());
    lines.write(&mut xml);
    let mut reply = reply_xml(StatusCode::OK, xml.finish());
    set_header(&mut reply, "x-amz-bucket-region", &bucket.region)?;
    Ok(reply)
}

#[cfg(test)]
mod tests;

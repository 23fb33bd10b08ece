//! ListObjectVersions.

use coffer_iam::Action;
use coffer_objects::{ListVersions, PAGE_MAX, VersionEntry, VersionId, VersionPage};
use http::StatusCode;

use super::parameters::{self, Encoding};
use super::{caller, stored, version_id};
use crate::error::S3Error;
use crate::request::{Call, CallHead};
use crate::respond::{Reply, reply_xml, set_header};
use crate::service::Service;
use crate::time;
use crate::xml::Writer;

/// What a listing asks for.
struct Asked<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    key_marker: &'a str,
    version_marker: &'a str,
    version_after: Option<VersionId>,
    max: usize,
    encoding: Encoding,
}

impl<'a> Asked<'a> {
    fn read(head: &'a CallHead) -> Result<Asked<'a>, S3Error> {
        let text = |name| head.query.get(name).unwrap_or("");
        let (key_marker, version_marker) = (text("key-marker"), text("version-id-marker"));
        // An empty one is what clients make of a page that ended with a common prefix.
        let version_after = match version_marker {
            "" => None,
            marker if key_marker.is_empty() => {
                return Err(S3Error::invalid_argument(
                    "version-id-marker",
                    marker,
                    "A version-id marker cannot be specified without a key marker.",
                ));
            }
            marker => Some(version_id::parse("version-id-marker", marker)?),
        };
        Ok(Asked {
            prefix: text("prefix"),
            delimiter: head.query.get("delimiter").filter(|d| !d.is_empty()),
            key_marker,
            version_marker,
            version_after,
            max: parameters::page_max(head, "max-keys", PAGE_MAX)?,
            encoding: Encoding::of(head)?,
        })
    }

    fn query(&self) -> ListVersions {
        ListVersions {
            prefix: self.prefix.to_owned(),
            delimiter: self.delimiter.map(str::to_owned),
            key_after: Some(self.key_marker).filter(|m| !m.is_empty()).map(str::to_owned),
            version_after: self.version_after,
            max: self.max,
        }
    }

    /// The document that answers; all in `bucket` is `owner`'s.
    fn document(&self, bucket: &str, owner: &str, page: &VersionPage) -> String {
        let encoding = self.encoding;
        let mut xml = Writer::with_root("ListVersionsResult");
        xml.text("Name", bucket)
            .text("Prefix", &encoding.write(self.prefix))
            .text("KeyMarker", &encoding.write(self.key_marker))
            .text("VersionIdMarker", self.version_marker);
        if let Some(next) = &page.next_key {
            xml.text("NextKeyMarker", &encoding.write(next));
        }
        if let Some(next) = &page.next_version {
            xml.text("NextVersionIdMarker", &next.to_string());
        }
        xml.plain("MaxKeys", self.max);
        if let Some(delimiter) = self.delimiter {
            xml.text("Delimiter", &encoding.write(delimiter));
        }
        if encoding == Encoding::Url {
            xml.text("EncodingType", "url");
        }
        xml.plain("IsTruncated", page.truncated);
        for entry in &page.entries {
            self.write_entry(&mut xml, entry, owner);
        }
        for entry in &page.entries {
            if let VersionEntry::Prefix(prefix) = entry {
                xml.open("CommonPrefixes").text("Prefix", &encoding.write(prefix)).close();
            }
        }
        xml.finish()
    }

    fn write_entry(&self, xml: &mut Writer, entry: &VersionEntry, owner: &str) {
        let (tag, key, id, is_latest, modified) = match entry {
            VersionEntry::Object { info, is_latest } => {
                let id = info.version_id.unwrap_or(VersionId::Null);
                ("Version", &info.key, id, *is_latest, info.modified)
            }
            VersionEntry::Marker { key, version_id, modified, is_latest } => {
                ("DeleteMarker", key, *version_id, *is_latest, *modified)
            }
            VersionEntry::Prefix(_) => return,
        };
        xml.open(tag)
            .text("Key", &self.encoding.write(key))
            .text("VersionId", &id.to_string())
            .plain("IsLatest", is_latest)
            .text("LastModified", &time::iso8601(modified));
        if let VersionEntry::Object { info, .. } = entry {
            xml.text("ETag", &stored::quoted(&info.etag));
            if let Some(checksum) = &info.checksum {
                xml.text("ChecksumAlgorithm", checksum.algorithm.name())
                    .text("ChecksumType", checksum.kind.checksum_type().name());
            }
            xml.plain("Size", info.size).text("StorageClass", "STANDARD");
        }
        caller::write_owner(xml, "Owner", owner);
        xml.close();
    }
}

/// ListObjectVersions.
pub(super) async fn list(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let asked = Asked::read(&call)?;
    let grant = call.grant(service, Action::ListBucketVersions)?;
    let bucket = service.objects.bucket(&grant).await?;
    let page = service.objects.list_versions(&grant, asked.query()).await?;
    let document = asked.document(&bucket.name, &bucket.owner, &page);
    let mut reply = reply_xml(StatusCode::OK, document);
    set_header(&mut reply, "x-amz-bucket-region", &bucket.region)?;
    Ok(reply)
}

#[cfg(test)]
mod tests;

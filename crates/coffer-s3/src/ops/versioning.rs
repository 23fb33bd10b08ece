//! Whether a bucket keeps versions.

use coffer_iam::Action;
use coffer_objects::Versioning;
use http::StatusCode;

use super::documents::{self, Digest};
use super::refuse::unbuilt;
use crate::error::{Code, S3Error};
use crate::request::Call;
use crate::respond::{Reply, reply_empty, reply_xml};
use crate::service::Service;
use crate::xml::{Element, Writer};

/// Longest VersioningConfiguration, in bytes.
const DOCUMENT_BYTES_MAX: usize = 16 << 10;

/// GetBucketVersioning: of a bucket that never had it, S3 says so with an empty document.
pub(super) async fn get(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::GetBucketVersioning)?;
    let bucket = service.objects.bucket(&grant).await?;
    let mut xml = Writer::with_root("VersioningConfiguration");
    match bucket.versioning {
        Versioning::Never => {}
        Versioning::Enabled => {
            xml.text("Status", "Enabled");
        }
        Versioning::Suspended => {
            xml.text("Status", "Suspended");
        }
    }
    Ok(reply_xml(StatusCode::OK, xml.finish()))
}

/// PutBucketVersioning.
pub(super) async fn put(service: &Service, mut call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::PutBucketVersioning)?;
    let document =
        documents::read(service, &mut call, DOCUMENT_BYTES_MAX, Digest::Optional).await?;
    let document = document.ok_or_else(|| S3Error::new(Code::MissingRequestBody))?;
    let versioning = read(&document)?;
    drop(document);
    service.objects.set_bucket_versioning(&grant, versioning).await?;
    Ok(reply_empty(StatusCode::OK))
}

/// What a VersioningConfiguration asks for. Deletes that need a second factor are not built.
fn read(document: &Element) -> Result<Versioning, S3Error> {
    let malformed = || S3Error::new(Code::MalformedXML);
    if document.name != "VersioningConfiguration" {
        return Err(malformed());
    }
    let mut status = None;
    for child in &document.children {
        match (child.name.as_str(), child.text.trim()) {
            ("Status", "Enabled") if status.is_none() => status = Some(Versioning::Enabled),
            ("Status", "Suspended") if status.is_none() => status = Some(Versioning::Suspended),
            ("MfaDelete", "Disabled") => {}
            ("MfaDelete", "Enabled") => return Err(unbuilt("MfaDelete")),
            _ => return Err(malformed()),
        }
    }
    status.ok_or_else(|| S3Error::new(Code::IllegalVersioningConfiguration))
}

#[cfg(test)]
mod tests;

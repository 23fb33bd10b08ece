//! CopyObject.

use coffer_iam::Action;
use coffer_objects::{Copy, Headers};
use http::StatusCode;

use super::copy_source::CopySource;
use super::get::told;
use super::{ack, checksums, conditions, stored, version_id};
use crate::error::{Code, S3Error};
use crate::request::{Call, CallHead};
use crate::respond::{Reply, reply_xml, set_header};
use crate::service::Service;
use crate::time;
use crate::xml::Writer;

/// CopyObject.
pub(super) async fn copy(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let source = CopySource::of(&call)?;
    let write = call.grant(service, Action::PutObject)?;
    let read = source.grant(service, &call)?;
    check_tagging_directive(&call)?;
    let headers = replacing_headers(&call)?;
    let onto_itself = call.bucket()? == source.bucket && call.key()? == source.key;
    if onto_itself && headers.is_none() && source.version.is_none() {
        return Err(S3Error::with_message(
            Code::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself \
             without changing the object's metadata, storage class, website redirect location \
             or encryption attributes.",
        ));
    }
    let copy = Copy {
        version: source.version,
        conditions: conditions::of_copy_source(&call)?,
        headers,
        ack: ack::asked(&call)?,
        condition: conditions::of_write(&call)?,
        checksum_algorithm: checksums::algorithm_in(&call, "x-amz-checksum-algorithm")?,
    };
    let copied = service.objects.copy(&read, &write, copy).await;
    let copied = copied.map_err(|error| told(service, &call, &source.bucket, error))?;
    let info = copied.info;

    let mut xml = Writer::with_root("CopyObjectResult");
    xml.text("LastModified", &time::iso8601(info.modified))
        .text("ETag", &stored::quoted(&info.etag));
    checksums::write_elements(&mut xml, info.checksum.as_ref());
    let mut reply = reply_xml(StatusCode::OK, xml.finish());
    version_id::add(&mut reply, info.version_id)?;
    version_id::add_source(&mut reply, copied.source_version_id)?;
    set_header(&mut reply, "x-coffer-object-id", info.object_id.to_string())?;
    Ok(reply)
}

/// The headers that `x-amz-metadata-directive: REPLACE` gives the copy.
fn replacing_headers(head: &CallHead) -> Result<Option<Headers>, S3Error> {
    match head.header("x-amz-metadata-directive")? {
        None | Some("COPY") => Ok(None),
        Some("REPLACE") => stored::of_request(&head.headers).map(Some),
        Some(other) => Err(S3Error::invalid_argument(
            "x-amz-metadata-directive",
            other,
            "Unknown metadata directive.",
        )),
    }
}

/// Nothing has tags, so copying them and replacing them by none are both true.
fn check_tagging_directive(head: &CallHead) -> Result<(), S3Error> {
    match head.header("x-amz-tagging-directive")? {
        None | Some("COPY" | "REPLACE") => Ok(()),
        Some(other) => Err(S3Error::invalid_argument(
            "x-amz-tagging-directive",
            other,
            "Unknown tagging directive.",
        )),
    }
}

#[cfg(test)]
mod tests;

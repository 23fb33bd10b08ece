//! The parts of multipart uploads.

use coffer_iam::Action;
use coffer_objects::{ByteRange, CopyPart, PAGE_MAX};
use http::StatusCode;

use super::caller;
use super::copy_source::CopySource;
use super::get::told;
use super::uploads::{upload_id, write_checksum, write_people};
use super::{ack, checksums, conditions, parameters, put, stored, version_id};
use crate::error::{Code, S3Error};
use crate::request::{Call, CallHead};
use crate::respond::{Reply, reply_empty, reply_xml, set_header};
use crate::service::Service;
use crate::time;
use crate::xml::Writer;

/// The number of the part that the request is about; `route` found the parameter.
fn part_number(head: &CallHead) -> Result<u32, S3Error> {
    parameters::part_number(head)?.ok_or_else(|| S3Error::new(Code::InvalidArgument))
}

/// UploadPart.
pub(super) async fn upload(service: &Service, mut call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::PutObject)?;
    let number = part_number(&call)?;
    let put = put::announced(&call.head, &call.body)?;
    let mut writer = service.objects.upload_part(&grant, upload_id(&call)?, number, put).await?;
    let trailer = put::take(&mut call.body, &mut writer).await?;
    let part = writer.finish_part(trailer).await?;
    let mut reply = reply_empty(StatusCode::OK);
    set_header(&mut reply, "etag", stored::quoted(&part.etag))?;
    checksums::add_value(&mut reply, part.checksum.as_ref())?;
    Ok(reply)
}

/// UploadPartCopy.
pub(super) async fn copy(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let source = CopySource::of(&call)?;
    let write = call.grant(service, Action::PutObject)?;
    let read = source.grant(service, &call)?;
    ack::check_bucket_suffices(service, &call, &write).await?;
    let number = part_number(&call)?;
    let range = source_range(&call)?;
    let conditions = conditions::of_copy_source(&call)?;
    let id = upload_id(&call)?;
    let request = CopyPart { version: source.version, range, conditions };
    let copied = service
        .objects
        .upload_part_copy(&read, &write, id, number, request)
        .await
        .map_err(|error| told(service, &call, &source.bucket, error))?;
    let part = copied.info;

    let mut xml = Writer::with_root("CopyPartResult");
    xml.text("LastModified", &time::iso8601(part.modified))
        .text("ETag", &stored::quoted(&part.etag));
    checksums::write_value(&mut xml, part.checksum.as_ref());
    let mut reply = reply_xml(StatusCode::OK, xml.finish());
    version_id::add_source(&mut reply, copied.source_version_id)?;
    Ok(reply)
}

/// The bytes of the source that are copied. Unlike `Range`, this must be `bytes=first-last`.
fn source_range(head: &CallHead) -> Result<Option<ByteRange>, S3Error> {
    const NAME: &str = "x-amz-copy-source-range";
    let Some(text) = head.header(NAME)? else {
        return Ok(None);
    };
    match ByteRange::parse(text) {
        Some(range @ ByteRange::FromTo(..)) => Ok(Some(range)),
        _ => Err(S3Error::invalid_argument(
            NAME,
            text,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first \
             and last are the zero-based offsets of the first and last bytes to copy",
        )),
    }
}

/// ListParts.
pub(super) async fn list(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::ListMultipartUploadParts)?;
    let after = parameters::count(&call, "part-number-marker")?.unwrap_or(0);
    let max = parameters::page_max(&call, "max-parts", PAGE_MAX)?;
    let after = u32::try_from(after).unwrap_or(u32::MAX);
    let id = upload_id(&call)?;
    let page = service.objects.list_parts(&grant, id, after, max).await?;

    let mut xml = Writer::with_root("ListPartsResult");
    xml.text("Bucket", call.bucket()?).text("Key", call.key()?).text("UploadId", id);
    write_people(service, &mut xml, &page.upload, &caller::bucket_owner(service, &call)?)?;
    xml.text("StorageClass", "STANDARD").plain("PartNumberMarker", after);
    if let Some(next) = page.next {
        xml.plain("NextPartNumberMarker", next);
    }
    xml.plain("MaxParts", max).plain("IsTruncated", page.truncated);
    write_checksum(&mut xml, &page.upload);
    for part in &page.parts {
        xml.open("Part")
            .plain("PartNumber", part.number)
            .text("LastModified", &time::iso8601(part.modified))
            .text("ETag", &stored::quoted(&part.etag))
            .plain("Size", part.size);
        checksums::write_value(&mut xml, part.checksum.as_ref());
        xml.close();
    }
    Ok(reply_xml(StatusCode::OK, xml.finish()))
}

#[cfg(test)]
mod tests;

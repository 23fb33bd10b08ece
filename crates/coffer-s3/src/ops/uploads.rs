//! Multipart uploads as wholes: beginning, completing, aborting and listing them.

use std::borrow::Cow;

use coffer_iam::Action;
use coffer_objects::{
    Complete, CompletePart, CreateUpload, ListUploads, PAGE_MAX, PART_NUMBER_MAX, Upload,
};
use http::StatusCode;

use super::documents;
use super::parameters::{self, Encoding};
use super::{ack, caller, checksums, conditions, stored, version_id};
use crate::error::{Code, S3Error};
use crate::request::{Call, CallHead};
use crate::respond::{Reply, reply_empty, reply_xml, set_header};
use crate::service::Service;
use crate::time;
use crate::xml::{Element, Writer};

/// Longest document of CompleteMultipartUpload, in bytes: ten thousand parts with a SHA-256 each,
/// indented generously.
const DOCUMENT_BYTES_MAX: usize = 8 << 20;

/// The id of the upload that the request is about; `route` found the parameter.
pub(super) fn upload_id(head: &CallHead) -> Result<&str, S3Error> {
    head.query.get("uploadId").ok_or_else(|| S3Error::new(Code::NoSuchUpload))
}

/// CreateMultipartUpload.
pub(super) async fn create(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::PutObject)?;
    ack::check_bucket_suffices(service, &call, &grant).await?;
    let upload = CreateUpload {
        headers: stored::of_request(&call.headers)?,
        checksum_algorithm: checksums::algorithm_in(&call, "x-amz-checksum-algorithm")?,
        checksum_type: checksums::type_in(&call)?,
        initiator: Some(call.principal.arn()),
    };
    let upload = service.objects.create_upload(&grant, upload).await?;
    let mut xml = Writer::with_root("InitiateMultipartUploadResult");
    xml.text("Bucket", call.bucket()?).text("Key", &upload.key).text("UploadId", &upload.upload_id);
    let mut reply = reply_xml(StatusCode::OK, xml.finish());
    if upload.checksum_named {
        let algorithm = upload.checksum_algorithm.name();
        set_header(&mut reply, "x-amz-checksum-algorithm", algorithm)?;
        set_header(&mut reply, "x-amz-checksum-type", upload.checksum_type.name())?;
    }
    Ok(reply)
}

/// CompleteMultipartUpload.
pub(super) async fn complete(service: &Service, mut call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::PutObject)?;
    let upload_id = upload_id(&call)?.to_owned();
    // Here, unlike elsewhere, a checksum among the headers is that of the object and not of the
    // document in the body.
    let checksum = checksums::value_in(&call.headers)?;
    checksums::check_type(checksums::type_in(&call)?, checksum.as_ref())?;
    let object_size = object_size(&call)?;
    let condition = conditions::of_write(&call)?;
    let ack = ack::asked(&call)?;
    let document = documents::read_unsummed(service, &mut call, DOCUMENT_BYTES_MAX).await?;
    let document = document.ok_or_else(|| S3Error::new(Code::MalformedXML))?;
    let parts = parts(&document)?;
    drop(document);
    let complete = Complete { parts, condition, checksum, object_size, ack };
    let info = service.objects.complete_upload(&grant, &upload_id, complete).await?;

    let mut xml = Writer::with_root("CompleteMultipartUploadResult");
    xml.text("Location", &location(&call))
        .text("Bucket", call.bucket()?)
        .text("Key", &info.key)
        .text("ETag", &stored::quoted(&info.etag));
    checksums::write_elements(&mut xml, info.checksum.as_ref());
    let mut reply = reply_xml(StatusCode::OK, xml.finish());
    version_id::add(&mut reply, info.version_id)?;
    set_header(&mut reply, "x-coffer-object-id", info.object_id.to_string())?;
    Ok(reply)
}

/// Where the object can be found, as the client addressed it.
fn location(head: &CallHead) -> String {
    let host = head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or("");
    format!("http://{host}{}", head.raw_path)
}

fn object_size(head: &CallHead) -> Result<Option<u64>, S3Error> {
    let Some(text) = head.header("x-amz-mp-object-size")? else {
        return Ok(None);
    };
    parameters::digits(text).map(Some).ok_or_else(|| {
        S3Error::with_message(
            Code::InvalidRequest,
            "Value for x-amz-mp-object-size header is invalid.",
        )
    })
}

/// The parts that a CompleteMultipartUpload document names.
fn parts(document: &Element) -> Result<Vec<CompletePart>, S3Error> {
    let malformed = || S3Error::new(Code::MalformedXML);
    let named = ["CompleteMultipartUpload", "CompletedMultipartUpload"];
    if !named.contains(&document.name.as_str()) {
        return Err(malformed());
    }
    let mut parts = Vec::new();
    for element in document.children_named("Part") {
        let number = element.child_text("PartNumber").map(str::trim).ok_or_else(malformed)?;
        let number = parameters::digits(number).ok_or_else(malformed)?;
        if !(1..=u64::from(PART_NUMBER_MAX)).contains(&number) {
            return Err(S3Error::invalid_argument(
                "partNumber",
                number.to_string(),
                format!(
                    "Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive"
                ),
            ));
        }
        let etag = element.child_text("ETag").map(str::trim).ok_or_else(malformed)?;
        parts.push(CompletePart {
            number: number as u32,
            etag: etag.to_owned(),
            checksum: checksums::read_element(element)?,
        });
    }
    if parts.is_empty() || parts.len() > PART_NUMBER_MAX as usize {
        return Err(malformed());
    }
    Ok(parts)
}

/// AbortMultipartUpload.
pub(super) async fn abort(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::AbortMultipartUpload)?;
    ack::check_bucket_suffices(service, &call, &grant).await?;
    service.objects.abort_upload(&grant, upload_id(&call)?).await?;
    Ok(reply_empty(StatusCode::NO_CONTENT))
}

/// ListMultipartUploads.
pub(super) async fn list(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::ListBucketMultipartUploads)?;
    let text = |name| call.query.get(name).unwrap_or("");
    let optional = |name| call.query.get(name).filter(|t| !t.is_empty()).map(str::to_owned);
    let encoding = Encoding::of(&call)?;
    let max = parameters::page_max(&call, "max-uploads", PAGE_MAX)?;
    let prefix = text("prefix");
    let delimiter = optional("delimiter");
    let key_after = optional("key-marker");
    // S3: "If key-marker is not specified, the upload-id-marker parameter is ignored".
    let upload_after = optional("upload-id-marker").filter(|_| key_after.is_some());
    let page = if max == 0 {
        service.objects.bucket(&grant).await?;
        Default::default()
    } else {
        let query = ListUploads {
            prefix: prefix.to_owned(),
            delimiter: delimiter.clone(),
            key_after,
            upload_after,
            max,
        };
        service.objects.list_uploads(&grant, query).await?
    };

    let mut xml = Writer::with_root("ListMultipartUploadsResult");
    xml.text("Bucket", call.bucket()?)
        .text("KeyMarker", &encoding.write(text("key-marker")))
        .text("UploadIdMarker", text("upload-id-marker"));
    if let Some(next) = &page.next_key {
        xml.text("NextKeyMarker", &encoding.write(next));
        xml.text("NextUploadIdMarker", page.next_upload.as_deref().unwrap_or(""));
    }
    xml.text("Prefix", &encoding.write(prefix));
    if let Some(delimiter) = &delimiter {
        xml.text("Delimiter", &encoding.write(delimiter));
    }
    if encoding == Encoding::Url {
        xml.text("EncodingType", "url");
    }
    xml.plain("MaxUploads", max).plain("IsTruncated", page.truncated);
    let owner = caller::bucket_owner(service, &call)?;
    for upload in &page.uploads {
        xml.open("Upload")
            .text("Key", &encoding.write(&upload.key))
            .text("UploadId", &upload.upload_id);
        write_people(service, &mut xml, upload, &owner)?;
        xml.text("StorageClass", "STANDARD").text("Initiated", &time::iso8601(upload.initiated));
        write_checksum(&mut xml, upload);
        xml.close();
    }
    for prefix in &page.prefixes {
        xml.open("CommonPrefixes").text("Prefix", &encoding.write(prefix)).close();
    }
    Ok(reply_xml(StatusCode::OK, xml.finish()))
}

/// Who began an upload, and who owns what it makes.
///
/// "If the principal is an AWS account, it provides the Canonical User ID. If the principal is an
/// IAM User, it provides a user ARN value." Of uploads that an older program began only the name
/// is known: they are shown as the owner's.
pub(super) fn write_people(
    service: &Service,
    xml: &mut Writer,
    upload: &Upload,
    owner: &str,
) -> Result<(), S3Error> {
    let arn = &upload.initiator;
    let (id, name) = match Initiator::of(arn) {
        Initiator::Named => (Cow::Borrowed(owner), arn.as_str()),
        Initiator::Account => match service.identity.principal_by_arn(arn)? {
            Some(root) => (Cow::Owned(root.owner_id), "root"),
            // The account is gone.
            None => (Cow::Borrowed(arn.as_str()), "root"),
        },
        Initiator::Identity(name) => (Cow::Borrowed(arn.as_str()), name),
    };
    xml.open("Initiator").text("ID", &id).text("DisplayName", name).close();
    caller::write_owner(xml, "Owner", owner);
    Ok(())
}

/// What is known of who began an upload.
#[derive(Debug, PartialEq, Eq)]
enum Initiator<'a> {
    /// Its name only.
    Named,
    /// It is an account itself.
    Account,
    /// It is a user or a session of this name.
    Identity(&'a str),
}

impl Initiator<'_> {
    /// Names have no colon, and every ARN has.
    fn of(arn: &str) -> Initiator<'_> {
        match arn.splitn(6, ':').nth(5) {
            None => Initiator::Named,
            Some("root") => Initiator::Account,
            Some(named) => Initiator::Identity(named.rsplit('/').next().unwrap_or(named)),
        }
    }
}

/// The checksum that an upload was begun with.
pub(super) fn write_checksum(xml: &mut Writer, upload: &Upload) {
    if upload.checksum_named {
        xml.text("ChecksumAlgorithm", upload.checksum_algorithm.name())
            .text("ChecksumType", upload.checksum_type.name());
    }
}

#[cfg(test)]
mod tests;

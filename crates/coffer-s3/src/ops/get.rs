//! GetObject and HeadObject.

use std::ops::Range;

use coffer_iam::{Action, Grant};
use coffer_objects::{
    ByteRange, Error as ObjectsError, EtagList, Get, ObjectHead, ObjectInfo, ObjectReader,
};
use http::StatusCode;
use http::header::CONTENT_LENGTH;

use super::{checksums, conditions, parameters, stored, version_id};
use crate::error::{Code, S3Error};
use crate::request::{Call, CallHead};
use crate::respond::{Reply, reply_empty, set_header, with_object};
use crate::service::Service;
use crate::time;

/// GetObject.
pub(super) async fn get(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = grant(service, &call)?;
    refuse_overrides_of_nobody(&call)?;
    let asked = asked_for(service, &call, &grant).await?;
    let reader = match service.objects.get(&grant, asked.get).await {
        Err(ObjectsError::PreconditionFailed { .. }) if asked.pinned => {
            let whole = whole(&call)?;
            Box::pin(service.objects.get(&grant, whole)).await
        }
        other => other,
    }
    .map_err(|error| told(service, &call, grant.bucket(), error))?;
    let ObjectReader { info, range, partial, parts_count, .. } = &reader;
    let mut shown = show(&call, info, range, *partial, *parts_count)?;
    stored::apply_overrides(&mut shown, &call.query)?;
    with_object(shown, reader).await
}

/// HeadObject.
pub(super) async fn head(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = grant(service, &call)?;
    refuse_overrides_of_nobody(&call)?;
    let asked = asked_for(service, &call, &grant).await?;
    let head = match service.objects.head(&grant, asked.get).await {
        Err(ObjectsError::PreconditionFailed { .. }) if asked.pinned => {
            let whole = whole(&call)?;
            Box::pin(service.objects.head(&grant, whole)).await
        }
        other => other,
    }
    .map_err(|error| told(service, &call, grant.bucket(), error))?;
    let ObjectHead { info, range, partial, parts_count } = head;
    let mut shown = show(&call, &info, &range, partial, parts_count)?;
    stored::apply_overrides(&mut shown, &call.query)?;
    // The length that the body of a GET would have.
    shown.headers_mut().insert(CONTENT_LENGTH, (range.end - range.start).into());
    Ok(shown)
}

/// What the request has to be allowed: "If you supply a versionId, you need the
/// s3:GetObjectVersion permission to access a specific version of an object."
fn grant(service: &Service, call: &CallHead) -> Result<Grant, S3Error> {
    let version = version_id::of(call)?;
    version_id::grant(service, call, version, Action::GetObject, Action::GetObjectVersion)
}

/// All of what the request names.
fn whole(call: &CallHead) -> Result<Get, S3Error> {
    let version = version_id::of(call)?;
    Ok(Get { version, conditions: conditions::of_read(call)?, ..Get::default() })
}

/// S3: "You must sign the request, either using an Authorization header or a presigned URL, when
/// using these parameters."
fn refuse_overrides_of_nobody(call: &CallHead) -> Result<(), S3Error> {
    let overrides = call.query.iter().any(|(name, _)| name.starts_with("response-"));
    if call.principal.is_anonymous() && overrides {
        return Err(S3Error::with_message(
            Code::InvalidRequest,
            "Request specific response headers cannot be used for anonymous GET requests.",
        ));
    }
    Ok(())
}

/// What the caller is told about a key of `bucket`: that it is not there only when the caller may
/// list the bucket, as in S3; and of a version, when the caller may list those.
pub(super) fn told(
    service: &Service,
    call: &CallHead,
    bucket: &str,
    error: ObjectsError,
) -> S3Error {
    let action = match error {
        ObjectsError::NoSuchKey | ObjectsError::DeleteMarker { named: false, .. } => {
            Action::ListBucket
        }
        ObjectsError::NoSuchVersion => Action::ListBucketVersions,
        other => return other.into(),
    };
    match call.grant_on(service, action, bucket, None) {
        Ok(_) => error.into(),
        Err(denied) => denied,
    }
}

/// What a request asks to read.
struct Asked {
    get: Get,
    /// The range only holds for the ETag that `If-Range` was found to name: when that is gone,
    /// the whole object is the answer, not a failed precondition.
    pinned: bool,
}

async fn asked_for(service: &Service, call: &CallHead, grant: &Grant) -> Result<Asked, S3Error> {
    let mut get = Get {
        version: version_id::of(call)?,
        part_number: parameters::part_number(call)?,
        range: call.header("range")?.and_then(ByteRange::parse),
        conditions: conditions::of_read(call)?,
    };
    if get.part_number.is_some() && get.range.is_some() {
        return Err(S3Error::with_message(
            Code::InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter",
        ));
    }
    let Some(validator) = call.header("if-range")?.filter(|_| get.range.is_some()) else {
        return Ok(Asked { get, pinned: false });
    };
    // RFC 9110, 13.1.5: "If the validator does not match, the server SHOULD ignore the Range
    // header field".
    let now = Box::pin(service.objects.head(grant, Get { range: None, ..get.clone() })).await;
    let bucket = call.bucket()?;
    let now = now.map_err(|error| told(service, call, bucket, error))?;
    if if_range_holds(validator, &now.info) {
        get.conditions.if_match = Some(EtagList::Tags(vec![now.info.etag]));
        Ok(Asked { get, pinned: true })
    } else {
        get.range = None;
        Ok(Asked { get, pinned: false })
    }
}

/// RFC 9110, 13.1.5: a date must be the exact `Last-Modified`; a tag must match strongly.
fn if_range_holds(validator: &str, info: &ObjectInfo) -> bool {
    match time::parse_http_date(validator) {
        Some(date) => date.seconds() == info.modified.seconds(),
        None => validator.trim() == stored::quoted(&info.etag),
    }
}

/// A reply without its body: status and headers.
fn show(
    call: &CallHead,
    info: &ObjectInfo,
    range: &Range<u64>,
    partial: bool,
    parts_count: Option<u32>,
) -> Result<Reply, S3Error> {
    let status = if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut reply = reply_empty(status);
    stored::add_headers(&mut reply, info)?;
    if partial && let Some(content_range) = content_range(range, info.size) {
        set_header(&mut reply, "content-range", content_range)?;
    }
    if let Some(count) = parts_count {
        set_header(&mut reply, "x-amz-mp-parts-count", count.to_string())?;
    }
    // The checksum is that of the whole, and clients compare it with what they get.
    let whole = range.start == 0 && range.end == info.size;
    if whole && call.header("x-amz-checksum-mode")?.is_some_and(|m| m == "ENABLED") {
        checksums::add_headers(&mut reply, info.checksum.as_ref())?;
    }
    Ok(reply)
}

/// RFC 9110, 14.4. An empty range, of an object or part of no bytes, has no way to be written.
fn content_range(range: &Range<u64>, size: u64) -> Option<String> {
    let last = range.end.checked_sub(1).filter(|last| *last >= range.start)?;
    Some(format!("bytes {}-{last}/{size}", range.start))
}

#[cfg(test)]
mod tests;

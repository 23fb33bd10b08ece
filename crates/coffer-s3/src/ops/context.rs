//! What policies may ask about a request: its condition keys, as AWS names and fills them.
//!
//! Keys that follow from the caller (`aws:username`, `aws:PrincipalArn`, …) are not here: the
//! evaluator takes them from the principal.

use coffer_iam::Context;
use coffer_sigv4::header::values;
use http::HeaderMap;

use super::copy_source::CopySource;
use super::table::Operation;
use crate::request::CallHead;
use crate::time;

#[cfg(test)]
mod tests;

/// Headers that are a key of their own, with the key, whatever the operation.
const HEADERS: &[(&str, &str)] =
    &[("x-amz-acl", "s3:x-amz-acl"), ("x-amz-storage-class", "s3:x-amz-storage-class")];

/// Headers that the client writes about itself, with the key.
const OF_THE_CLIENT: &[(&str, &str)] =
    &[("user-agent", "aws:UserAgent"), ("referer", "aws:Referer")];

/// How much of such a header a policy is shown, in bytes: its beginning.
const OF_THE_CLIENT_BYTES_MAX: usize = 4 << 10;

/// The headers that are a key only where `operation` enforces them: a policy that wants a condition
/// must not be satisfied by one that is ignored.
fn enforced_headers(operation: Operation) -> &'static [(&'static str, &'static str)] {
    const IF_MATCH: (&str, &str) = ("if-match", "s3:if-match");
    const IF_NONE_MATCH: (&str, &str) = ("if-none-match", "s3:if-none-match");
    const DIRECTIVE: (&str, &str) = ("x-amz-metadata-directive", "s3:x-amz-metadata-directive");
    match operation {
        Operation::CopyObject => &[IF_MATCH, IF_NONE_MATCH, DIRECTIVE],
        Operation::PutObject
        | Operation::CompleteMultipartUpload
        | Operation::GetObject
        | Operation::HeadObject => &[IF_MATCH, IF_NONE_MATCH],
        Operation::DeleteObject => &[IF_MATCH],
        Operation::CreateBucket => &[("x-amz-object-ownership", "s3:x-amz-object-ownership")],
        _ => &[],
    }
}

/// The keys of a request whose headers are complete.
pub(crate) fn of(region: &str, operation: Operation, head: &CallHead) -> Context {
    let mut context = Context::new();
    context.set("aws:CurrentTime", time::iso8601(head.now));
    context.set("aws:EpochTime", head.now.seconds().to_string());
    context.set("aws:RequestedRegion", region);
    if let Some(arrival) = head.arrival {
        context.set("aws:SourceIp", arrival.peer.ip().to_canonical().to_string());
        context.set("aws:SecureTransport", arrival.is_secure().to_string());
        if let Some(version) = arrival.tls {
            context.set("s3:TlsVersion", version.number());
        }
    }
    of_client(&mut context, &head.headers);
    of_headers(&mut context, HEADERS, &head.headers);
    of_headers(&mut context, enforced_headers(operation), &head.headers);
    if let Some(signed) = &head.signed {
        context.set("s3:signatureversion", "AWS4-HMAC-SHA256");
        context
            .set("s3:authType", if signed.in_header { "REST-HEADER" } else { "REST-QUERY-STRING" });
        // What is signed, and not what a header says: a presigned URL does not need to sign that
        // header, so anyone could add it. One that signs no payload signs `UNSIGNED-PAYLOAD`.
        context.set("s3:x-amz-content-sha256", &*signed.payload_hash);
        if !signed.in_header {
            // How old the presigned URL is.
            context.set("s3:signatureAge", head.now.0.saturating_sub(signed.at.0).to_string());
        }
    }
    if let Some(version) = head.query.get("versionId") {
        context.set("s3:versionid", version);
    }
    if matches!(operation, Operation::CopyObject | Operation::UploadPartCopy) {
        let source = head.headers.get("x-amz-copy-source").and_then(|v| v.to_str().ok());
        // One that can't be read is refused by the verb.
        if let Some(Ok(source)) = source.map(CopySource::parse) {
            context.set("s3:x-amz-copy-source", format!("{}/{}", source.bucket, source.key));
        }
    }
    if let Some(creates) = creates_object(operation) {
        context.set("s3:ObjectCreationOperation", creates.to_string());
    }
    if matches!(
        operation,
        Operation::ListObjects
            | Operation::ListObjectsV2
            | Operation::ListObjectVersions
            | Operation::ListMultipartUploads
    ) {
        let keys =
            [("prefix", "s3:prefix"), ("delimiter", "s3:delimiter"), ("max-keys", "s3:max-keys")];
        // Uploads are counted by `max-uploads`, which is no key.
        let obeyed = if operation == Operation::ListMultipartUploads { 2 } else { 3 };
        for (parameter, key) in &keys[..obeyed] {
            if let Some(value) = head.query.get(parameter) {
                context.set(*key, value);
            }
        }
    }
    context
}

/// Whether an operation that s3:PutObject allows makes an object; `None` for all others.
fn creates_object(operation: Operation) -> Option<bool> {
    match operation {
        Operation::PutObject | Operation::CopyObject | Operation::CompleteMultipartUpload => {
            Some(true)
        }
        Operation::CreateMultipartUpload | Operation::UploadPart | Operation::UploadPartCopy => {
            Some(false)
        }
        _ => None,
    }
}

fn of_headers(context: &mut Context, keys: &[(&'static str, &'static str)], headers: &HeaderMap) {
    for (name, key) in keys {
        for value in values(headers, name) {
            context.add(*key, String::from_utf8_lossy(value.as_bytes()));
        }
    }
}

/// Matching is paid for by the byte, and these headers may be long: their beginning is shown, all
/// values of one header together at most [`OF_THE_CLIENT_BYTES_MAX`].
fn of_client(context: &mut Context, headers: &HeaderMap) {
    for (name, key) in OF_THE_CLIENT {
        let mut left = OF_THE_CLIENT_BYTES_MAX;
        for value in headers.get_all(*name) {
            let shown = &value.as_bytes()[..value.len().min(left)];
            if shown.is_empty() && !value.is_empty() {
                break;
            }
            left -= shown.len();
            context.add(*key, String::from_utf8_lossy(shown));
        }
    }
}

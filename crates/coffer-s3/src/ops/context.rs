//! What policies may ask about a request: its condition keys, as AWS names and fills them.
//!
//! Keys that follow from the caller (`aws:username`, `aws:PrincipalArn`, …) are not here: the
//! evaluator takes them from the principal.

use coffer_iam::Context;
use http::HeaderMap;

use super::copy_source::CopySource;
use super::table::Operation;
use crate::request::CallHead;
use crate::service::Service;
use crate::time;

#[cfg(test)]
mod tests;

/// Headers that are a key of their own, with the key.
const HEADERS: &[(&str, &str)] = &[
    ("user-agent", "aws:UserAgent"),
    ("referer", "aws:Referer"),
    ("if-match", "s3:if-match"),
    ("if-none-match", "s3:if-none-match"),
    ("x-amz-acl", "s3:x-amz-acl"),
    ("x-amz-content-sha256", "s3:x-amz-content-sha256"),
    ("x-amz-metadata-directive", "s3:x-amz-metadata-directive"),
    ("x-amz-object-ownership", "s3:x-amz-object-ownership"),
    ("x-amz-storage-class", "s3:x-amz-storage-class"),
];

/// The keys of a request whose headers are complete.
pub(super) fn of(service: &Service, operation: Operation, head: &CallHead) -> Context {
    let mut context = Context::new();
    context.set("aws:CurrentTime", time::iso8601(head.now));
    context.set("aws:EpochTime", head.now.seconds().to_string());
    context.set("aws:RequestedRegion", service.settings.region.as_str());
    if let Some(arrival) = head.arrival {
        context.set("aws:SourceIp", arrival.peer.ip().to_canonical().to_string());
        context.set("aws:SecureTransport", arrival.secure.to_string());
    }
    of_headers(&mut context, &head.headers);
    if let Some(signed) = head.signed {
        context.set("s3:signatureversion", "AWS4-HMAC-SHA256");
        context
            .set("s3:authType", if signed.in_header { "REST-HEADER" } else { "REST-QUERY-STRING" });
        // Of a presigned URL: how old it is.
        if !signed.in_header {
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
    if matches!(
        operation,
        Operation::ListObjects | Operation::ListObjectsV2 | Operation::ListMultipartUploads
    ) {
        for (parameter, key) in
            [("prefix", "s3:prefix"), ("delimiter", "s3:delimiter"), ("max-keys", "s3:max-keys")]
        {
            if let Some(value) = head.query.get(parameter) {
                context.set(key, value);
            }
        }
    }
    context
}

fn of_headers(context: &mut Context, headers: &HeaderMap) {
    for (name, key) in HEADERS {
        for value in headers.get_all(*name) {
            context.add(*key, String::from_utf8_lossy(value.as_bytes()));
        }
    }
}

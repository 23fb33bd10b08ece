//! Headers that ask for what Coffer does not have. They are refused, never silently dropped: a
//! client that asked for encryption or a lock must not believe that it got one.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::checksums;
use crate::error::{Code, S3Error};
use crate::request::{CallHead, single};

/// Headers that are refused whatever their value.
const UNBUILT: &[&str] = &[
    "x-amz-bypass-governance-retention",
    "x-amz-if-match-initiated-time",
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
    "x-amz-mfa",
    "x-amz-rename-source",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
];

/// The beginnings of families of headers that are refused whatever their value.
const UNBUILT_FAMILIES: &[&str] = &[
    "x-amz-copy-source-server-side-encryption",
    "x-amz-grant-",
    "x-amz-object-lock-",
    "x-amz-server-side-encryption",
];

/// Storage classes that S3 has and Coffer has not.
const OTHER_CLASSES: &[&str] = &[
    "DEEP_ARCHIVE",
    "EXPRESS_ONEZONE",
    "FSX_ONTAP",
    "FSX_OPENZFS",
    "GLACIER",
    "GLACIER_IR",
    "INTELLIGENT_TIERING",
    "ONEZONE_IA",
    "OUTPOSTS",
    "REDUCED_REDUNDANCY",
    "SNOW",
    "STANDARD_IA",
];

/// Canned ACLs that would grant something to somebody else.
const OTHER_ACLS: &[&str] = &[
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "log-delivery-write",
    "public-read",
    "public-read-write",
];

/// Query parameters of a presigned URL that are of the signature and not of the request.
const OF_THE_SIGNATURE: &[&str] = &[
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// The refusal of `what`: an operation, a header or a query parameter.
pub(crate) fn unbuilt(what: &str) -> S3Error {
    S3Error::with_message(
        Code::NotImplemented,
        format!(
            "A header or query you provided implies functionality that is not implemented: {what}"
        ),
    )
}

/// Whether `name` says something about the bytes of a body. The SDKs put such parameters into
/// presigned URLs when there is no body yet, and so the checksum of nothing.
fn sums_a_body(name: &str) -> bool {
    let sums = name.starts_with("x-amz-checksum-") && !checksums::NO_VALUES.contains(&name);
    sums || name == "x-amz-sdk-checksum-algorithm"
}

/// Takes `x-amz-*` parameters of the query for the headers they stand for: a presigned URL may
/// carry them so, and the signature covers both. A header that was sent wins. Checksums of the
/// body are not taken, see [`sums_a_body`].
pub(super) fn take_query_for_headers(head: &mut CallHead) -> Result<(), S3Error> {
    let mut found = HeaderMap::new();
    for (name, value) in head.query.iter() {
        let name = name.to_ascii_lowercase();
        let of_the_signature = OF_THE_SIGNATURE.contains(&name.as_str());
        if !name.starts_with("x-amz-") || of_the_signature || sums_a_body(&name) {
            continue;
        }
        let unfit = || S3Error::invalid_argument(name.clone(), value, "The value is not valid.");
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| unfit())?;
        if !head.headers.contains_key(&header) {
            found.append(header, value);
        }
    }
    for (name, value) in &found {
        head.headers.append(name.clone(), value.clone());
    }
    Ok(())
}

/// Refuses a request that asks by a header for what is not built.
pub(super) fn check(head: &CallHead) -> Result<(), S3Error> {
    let names = head.headers.keys().map(HeaderName::as_str);
    for name in names.filter(|name| name.starts_with("x-amz-")) {
        if UNBUILT.contains(&name) || UNBUILT_FAMILIES.iter().any(|f| name.starts_with(f)) {
            return Err(unbuilt(name));
        }
    }
    let named = |name: &'static str| single(&head.headers, name);
    match named("x-amz-storage-class")? {
        None | Some("STANDARD") => {}
        Some(other) if OTHER_CLASSES.contains(&other) => {
            return Err(unbuilt(&format!("x-amz-storage-class: {other}")));
        }
        Some(_) => return Err(S3Error::new(Code::InvalidStorageClass)),
    }
    match named("x-amz-acl")? {
        None | Some("private" | "bucket-owner-full-control") => {}
        Some(other) if OTHER_ACLS.contains(&other) => {
            return Err(unbuilt(&format!("x-amz-acl: {other}")));
        }
        Some(other) => {
            return Err(S3Error::invalid_argument("x-amz-acl", other, "Invalid Argument"));
        }
    }
    match named("x-amz-object-ownership")? {
        None | Some("BucketOwnerEnforced") => {}
        Some(other) => return Err(unbuilt(&format!("x-amz-object-ownership: {other}"))),
    }
    match named("x-amz-bucket-object-lock-enabled")? {
        None => {}
        Some(value) if value.eq_ignore_ascii_case("false") => {}
        Some(_) => return Err(unbuilt("x-amz-bucket-object-lock-enabled")),
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! The canonical request and the string to sign.
//!
//! "URI-encode every byte except the unreserved characters: 'A'-'Z', 'a'-'z', '0'-'9', '-', '.',
//! '_', and '~'. […] Encode the forward slash character, '/', everywhere except in the object key
//! name." (Amazon S3 API reference, Signature Calculations.) S3's paths are encoded once and not
//! normalised; those of other services are normalised and encoded once more than they were sent.

use std::borrow::Cow;

use http::header::HOST;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest as _, Sha256};

use crate::header::values;
use crate::key::hex;
use crate::{ALGORITHM, Claim, Service, SignedHead, time};

/// What is encoded in names and values of the query.
pub const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What is encoded in the path.
pub const PATH: &AsciiSet = &QUERY.remove(b'/');

/// A path as `service` has it signed, from one that may have been encoded otherwise.
pub fn path(service: Service, raw: &str) -> Cow<'_, str> {
    if service == Service::S3 {
        if raw.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b)) {
            // Nothing in it is encoded, and nothing has to be.
            return Cow::Borrowed(raw);
        }
        let decoded: Vec<u8> = percent_decode_str(raw).collect();
        return Cow::Owned(percent_encode(&decoded, PATH).to_string());
    }
    Cow::Owned(percent_encode(normalised(raw).as_bytes(), PATH).to_string())
}

/// RFC 3986, 5.2.4, without empty segments.
fn normalised(raw: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let slash = if raw.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

/// The query: each name and value encoded as AWS does, sorted, without the signature itself.
pub fn query(raw: &str) -> String {
    if raw.is_empty() {
        return String::new();
    }
    let encode = |text: &str| {
        let text = text.replace('+', " ");
        let decoded: Vec<u8> = percent_decode_str(&text).collect();
        percent_encode(&decoded, QUERY).to_string()
    };
    let mut pairs: Vec<(String, String)> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .filter(|(name, _)| name != "X-Amz-Signature")
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(n, v)| format!("{n}={v}")).collect();
    pairs.join("&")
}

/// The canonical request of `head` with `path` for its path.
pub fn request(head: SignedHead<'_>, claim: &Claim, path: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut line = |text: &[u8]| {
        out.extend_from_slice(text);
        out.push(b'\n');
    };
    line(head.method.as_str().as_bytes());
    line(path.as_bytes());
    line(query(head.query).as_bytes());
    for name in &claim.signed_headers {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        for (i, value) in values(head.headers, name).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            if name == HOST.as_str() {
                out.extend_from_slice(value.as_bytes());
            } else {
                trim_into(&mut out, value.as_bytes());
            }
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    for (i, name) in claim.signed_headers.iter().enumerate() {
        if i > 0 {
            out.push(b';');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b'\n');
    out.extend_from_slice(claim.payload_hash.as_bytes());
    out
}

/// Appends `value` without spaces at its ends and with single spaces for runs of them.
fn trim_into(out: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(|b| *b == b' ').filter(|word| !word.is_empty());
    for (i, word) in words.enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
}

/// The string to sign for a canonical request.
pub fn string_to_sign(claim: &Claim, canonical: &[u8]) -> String {
    let digest = hex(&Sha256::digest(canonical).into());
    let mut out = String::with_capacity(192);
    for part in [ALGORITHM, "\n", &time::amz_date(claim.at), "\n"] {
        out.push_str(part);
    }
    claim.push_scope(&mut out);
    out.push('\n');
    out.push_str(std::str::from_utf8(&digest).expect("hex is ASCII"));
    out
}

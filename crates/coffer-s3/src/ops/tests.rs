//! What the tests of the verbs share.

use std::sync::Arc;

use coffer_base::Timestamp;
use coffer_iam::Principal;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Operation;
use crate::request::{CallHead, Query};

/// The head of a request by root, path style.
pub(crate) fn head(method: &str, target: &str, headers: HeaderMap) -> CallHead {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path_parts = path.trim_start_matches('/');
    let (bucket, key) = path_parts.split_once('/').unwrap_or((path_parts, ""));
    let named = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
    CallHead {
        method: method.parse().unwrap(),
        bucket: named(bucket),
        key: named(key),
        query: Query::parse(query).unwrap(),
        headers,
        raw_path: path.to_owned(),
        principal: Arc::new(Principal::root("111122223333", "0123abcd")),
        request_id: "request".to_owned(),
        now: Timestamp(0),
        arrival: None,
        signed: None,
        asked: crate::request::Asked::default(),
    }
}

/// Headers from names and values.
pub(crate) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

/// The head of a GET of a key with headers.
pub(crate) fn with(pairs: &[(&str, &str)]) -> CallHead {
    head("GET", "/bucket/key", headers(pairs))
}

/// Texts that no parser may panic on.
pub(super) const HOSTILE: &[&str] = &[
    "",
    " ",
    "-",
    "--",
    "=",
    "%",
    "%zz",
    "%00",
    "/",
    "//",
    "?",
    "*",
    "\"",
    "\"\"",
    "W/\"",
    ",",
    ",,",
    "0",
    "-1",
    "+1",
    "1e9",
    "99999999999999999999999999",
    "bytes=",
    "bytes=-",
    "bytes=5-2",
    "bytes=0-0,2-3",
    "AAAA",
    "AAAA====",
    "====",
    "A",
    "true",
    "FALSE",
    "\u{e9}\u{1f980}",
    "arn:aws:s3",
    "?versionId=",
    "a?versionId=",
    "/b/k?versionId=x",
    "Thu, 01 Jan",
    "<",
    "]]>",
    "null",
];

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = Operation::ALL.iter().map(|op| op.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Operation::ALL.len());
}

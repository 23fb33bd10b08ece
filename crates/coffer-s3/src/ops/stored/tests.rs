use coffer_base::{ObjectId, Timestamp};
use http::StatusCode;

use super::*;
use crate::ops::tests::{HOSTILE, headers};
use crate::respond::reply_empty;

fn info(headers: Headers) -> ObjectInfo {
    ObjectInfo {
        version_id: None,
        key: "key".to_owned(),
        object_id: ObjectId(1),
        size: 3,
        etag: "abc".to_owned(),
        modified: Timestamp(1_000),
        headers,
        checksum: None,
        parts: None,
    }
}

#[test]
fn what_is_kept_comes_back_byte_for_byte() {
    let sent = [
        ("cache-control", "no-cache,  max-age=0"),
        ("content-disposition", "attachment; filename=\"na\u{ef}ve.txt\""),
        ("content-encoding", "gzip"),
        ("content-language", "de, en"),
        ("content-type", "text/plain; charset=\"utf-8\""),
        ("expires", "not even a date"),
        ("x-amz-meta-mtime", "1700000000.123"),
        ("x-amz-meta-", "no name"),
        ("x-amz-meta-empty", ""),
    ];
    let kept = of_request(&headers(&sent)).unwrap();
    let mut reply = reply_empty(StatusCode::OK);
    add_headers(&mut reply, &info(kept)).unwrap();
    for (name, value) in sent {
        assert_eq!(reply.headers()[name].as_bytes(), value.as_bytes(), "{name}");
    }
    assert_eq!(reply.headers()["etag"], "\"abc\"");
    assert_eq!(reply.headers()["last-modified"], "Thu, 01 Jan 1970 00:00:01 GMT");
}

#[test]
fn user_metadata_need_not_be_text() {
    let mut sent = HeaderMap::new();
    let bytes = [0x80, 0xff, b' ', 0xc3];
    sent.insert("x-amz-meta-b", http::HeaderValue::from_bytes(&bytes).unwrap());
    let kept = of_request(&sent).unwrap();
    assert_eq!(kept.user, [("b".to_owned(), bytes.to_vec())]);
    sent.insert("content-type", http::HeaderValue::from_bytes(&bytes).unwrap());
    assert_eq!(of_request(&sent).unwrap_err().code, Code::InvalidArgument);
}

#[test]
fn several_lines_are_one_list() {
    let kept = of_request(&headers(&[("x-amz-meta-a", "1"), ("x-amz-meta-a", "2")])).unwrap();
    assert_eq!(kept.user, [("a".to_owned(), b"1,2".to_vec())]);
}

#[test]
fn aws_chunked_is_not_kept() {
    let encoding = |value| of_request(&headers(&[("content-encoding", value)])).unwrap();
    assert_eq!(encoding("aws-chunked").content_encoding, None);
    assert_eq!(encoding("aws-chunked,gzip").content_encoding.as_deref(), Some("gzip"));
}

#[test]
fn without_a_type_it_is_binary() {
    let mut reply = reply_empty(StatusCode::OK);
    add_headers(&mut reply, &info(of_request(&HeaderMap::new()).unwrap())).unwrap();
    assert_eq!(reply.headers()["content-type"], "binary/octet-stream");
}

#[test]
fn a_query_overrides_headers_and_cannot_smuggle_others() {
    let mut reply = reply_empty(StatusCode::OK);
    let query = Query::parse("response-content-type=text%2Fcsv&response-expires=x").unwrap();
    apply_overrides(&mut reply, &query).unwrap();
    assert_eq!(reply.headers()["content-type"], "text/csv");
    assert_eq!(reply.headers()["expires"], "x");
    let query = Query::parse("response-content-type=a%0d%0aset-cookie:%20b").unwrap();
    assert_eq!(apply_overrides(&mut reply, &query).unwrap_err().code, Code::InvalidArgument);
}

#[test]
fn no_value_panics() {
    for text in HOSTILE {
        for name in ["content-type", "content-encoding", "expires", "x-amz-meta-x"] {
            let _ = of_request(&headers(&[(name, text)]));
        }
    }
}

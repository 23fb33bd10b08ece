use coffer_base::{ObjectId, Timestamp};
use coffer_objects::{Checksum, ChecksumAlgorithm, Headers};

use super::*;
use crate::ops::tests::with;

fn info(size: u64) -> ObjectInfo {
    ObjectInfo {
        version_id: None,
        key: "key".to_owned(),
        object_id: ObjectId(1),
        size,
        etag: "abc".to_owned(),
        modified: Timestamp(10_500),
        headers: Headers::default(),
        checksum: Some(Checksum::full(ChecksumAlgorithm::Crc32, vec![0; 4])),
        parts: None,
    }
}

#[test]
fn ranges_of_contents() {
    assert_eq!(content_range(&(0..1), 10).as_deref(), Some("bytes 0-0/10"));
    assert_eq!(content_range(&(5..10), 10).as_deref(), Some("bytes 5-9/10"));
    assert_eq!(content_range(&(0..0), 0), None);
}

#[test]
fn checksums_are_shown_when_asked_for_and_whole() {
    let asked = with(&[("x-amz-checksum-mode", "ENABLED")]);
    let crc = "x-amz-checksum-crc32";
    let reply = show(&asked, &info(10), &(0..10), false, None).unwrap();
    assert_eq!(reply.headers()[crc], "AAAAAA==");
    assert_eq!(reply.headers()["x-amz-checksum-type"], "FULL_OBJECT");
    assert_eq!(reply.status(), StatusCode::OK);
    let reply = show(&asked, &info(10), &(0..5), true, None).unwrap();
    assert!(!reply.headers().contains_key(crc));
    assert_eq!(reply.headers()["content-range"], "bytes 0-4/10");
    assert_eq!(reply.status(), StatusCode::PARTIAL_CONTENT);
    let reply = show(&with(&[]), &info(10), &(0..10), false, Some(3)).unwrap();
    assert!(!reply.headers().contains_key(crc));
    assert_eq!(reply.headers()["x-amz-mp-parts-count"], "3");
}

#[test]
fn validators_of_ranges() {
    let info = info(1);
    assert!(if_range_holds("\"abc\"", &info));
    assert!(if_range_holds("Thu, 01 Jan 1970 00:00:10 GMT", &info));
    for other in ["abc", "\"abd\"", "W/\"abc\"", "*", "", "Thu, 01 Jan 1970 00:00:11 GMT"] {
        assert!(!if_range_holds(other, &info), "{other}");
    }
}

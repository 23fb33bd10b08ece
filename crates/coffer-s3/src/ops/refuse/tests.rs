use super::*;
use crate::ops::tests::{HOSTILE, head, headers, with};

#[test]
fn what_is_not_built_is_refused_by_name() {
    for (name, value) in [
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-copy-source-server-side-encryption-customer-key", "x"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-bypass-governance-retention", "true"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-acl", "public-read"),
        ("x-amz-grant-read", "id=1"),
        ("x-amz-website-redirect-location", "/x"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-object-ownership", "ObjectWriter"),
        ("x-amz-bucket-object-lock-enabled", "true"),
        ("x-amz-write-offset-bytes", "1"),
    ] {
        let error = check(&with(&[(name, value)])).unwrap_err();
        assert_eq!(error.code, Code::NotImplemented, "{name}");
        assert!(error.message.contains(name), "{}", error.message);
    }
}

#[test]
fn what_asks_for_nothing_more_passes() {
    let head = with(&[
        ("x-amz-acl", "private"),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-object-ownership", "BucketOwnerEnforced"),
        ("x-amz-bucket-object-lock-enabled", "False"),
        ("x-amz-tagging-directive", "COPY"),
        ("x-amz-request-payer", "requester"),
        ("x-amz-meta-x-amz-tagging", "a"),
    ]);
    check(&head).unwrap();
    check(&with(&[("x-amz-acl", "bucket-owner-full-control")])).unwrap();
}

#[test]
fn values_that_nobody_knows_are_the_clients_fault() {
    let code = |name, value| check(&with(&[(name, value)])).unwrap_err().code;
    assert_eq!(code("x-amz-storage-class", "FAST"), Code::InvalidStorageClass);
    assert_eq!(code("x-amz-storage-class", ""), Code::InvalidStorageClass);
    assert_eq!(code("x-amz-acl", "everyone"), Code::InvalidArgument);
    assert_eq!(
        check(&with(&[("x-amz-acl", "private"), ("x-amz-acl", "public-read")])).unwrap_err().code,
        Code::InvalidRequest
    );
}

#[test]
fn a_presigned_query_stands_for_headers() {
    let target = "/bucket/key?X-Amz-Signature=00&X-Amz-Date=d&x-amz-meta-a=1&X-Amz-Tagging=t%3D1\
                  &x-amz-acl=public-read&x-id=PutObject";
    let mut head = head("PUT", target, headers(&[("x-amz-acl", "private")]));
    take_query_for_headers(&mut head).unwrap();
    assert_eq!(head.headers["x-amz-meta-a"], "1");
    assert_eq!(head.headers["x-amz-tagging"], "t=1");
    assert_eq!(head.headers["x-amz-acl"], "private");
    assert!(!head.headers.contains_key("x-amz-signature"));
    assert!(!head.headers.contains_key("x-amz-date"));
    assert_eq!(check(&head).unwrap_err().code, Code::NotImplemented);
}

#[test]
fn the_checksum_of_a_body_is_not_taken_from_the_query() {
    let target = "/bucket/key?X-Amz-Signature=00&x-amz-checksum-crc32=AAAAAA%3D%3D\
                  &x-amz-sdk-checksum-algorithm=CRC32&X-Amz-Checksum-Sha512=x\
                  &x-amz-checksum-mode=ENABLED&x-amz-checksum-algorithm=SHA1";
    let mut head = head("PUT", target, HeaderMap::new());
    take_query_for_headers(&mut head).unwrap();
    let mut names: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["x-amz-checksum-algorithm", "x-amz-checksum-mode"]);
}

#[test]
fn a_query_that_no_header_can_carry_is_refused() {
    for target in ["/b/k?x-amz-meta-a=%0a", "/b/k?x-amz-meta-%20=1", "/b/k?x-amz-%c3%a9=1"] {
        let mut head = head("PUT", target, HeaderMap::new());
        assert!(take_query_for_headers(&mut head).is_err(), "{target}");
    }
}

#[test]
fn no_value_panics() {
    for text in HOSTILE {
        for name in ["x-amz-acl", "x-amz-storage-class", "x-amz-object-ownership"] {
            let _ = check(&with(&[(name, text)]));
        }
    }
}

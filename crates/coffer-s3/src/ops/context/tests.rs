use std::net::SocketAddr;

use coffer_base::Timestamp;
use coffer_http::{Arrival, TlsVersion};
use coffer_iam::policy::S3_KEYS;
use http::HeaderValue;

use super::*;
use crate::ops::tests::{head, headers, with};
use crate::request::Signed;

const JUNK: &[(&str, &str)] = &[("if-match", "x"), ("if-none-match", "*")];

/// Keys that no request has, since what they are about is not built: headers that ask for it are
/// refused (see `refuse`), and nothing stored has it.
const CANNOT_OCCUR: &[&str] = &[
    "s3:AccessGrantsInstanceArn",
    "s3:AccessPointNetworkOrigin",
    "s3:BucketTag/",
    "s3:BypassGovernanceRetention",
    "s3:DataAccessPointAccount",
    "s3:DataAccessPointArn",
    "s3:DestinationRegion",
    "s3:ExistingObjectTag/",
    "s3:InventoryAccessibleOptionalFields",
    "s3:JobSuspendedCause",
    "s3:object-lock-legal-hold",
    "s3:object-lock-mode",
    "s3:object-lock-remaining-retention-days",
    "s3:object-lock-retain-until-date",
    "s3:RequestObjectTag/",
    "s3:RequestObjectTagKeys",
    "s3:x-amz-grant-full-control",
    "s3:x-amz-grant-read",
    "s3:x-amz-grant-read-acp",
    "s3:x-amz-grant-write",
    "s3:x-amz-grant-write-acp",
    "s3:x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-customer-algorithm",
    "s3:x-amz-website-redirect-location",
];

/// The key that the evaluator fills from the bucket's owner, and that which CreateBucket takes from
/// its document.
const FILLED_ELSEWHERE: &[&str] = &["s3:ResourceAccount", "s3:locationconstraint"];

fn signed(in_header: bool, payload_hash: &str) -> Signed {
    Signed { in_header, at: Timestamp(0), payload_hash: payload_hash.to_owned() }
}

fn by_tls(tls: Option<TlsVersion>) -> Arrival {
    Arrival { peer: SocketAddr::from(([192, 0, 2, 1], 1)), tls }
}

#[test]
fn headers_become_keys_also_twice_and_in_other_bytes() {
    let mut head = with(&[
        ("user-agent", "aws-cli/2"),
        ("x-amz-acl", "private"),
        ("x-amz-acl", "public-read"),
        ("x-amz-meta-a", "b"),
    ]);
    head.headers.insert("referer", HeaderValue::from_bytes(b"http://\xfc/").unwrap());
    let context = of("here", Operation::GetObject, &head);
    assert_eq!(context.get("aws:UserAgent").unwrap(), ["aws-cli/2"]);
    assert_eq!(context.get("s3:x-amz-acl").unwrap(), ["private", "public-read"]);
    assert_eq!(context.get("aws:Referer").unwrap(), ["http://\u{fffd}/"]);
    assert!(context.iter().all(|(key, _)| !key.contains("meta")), "no other header is a key");
}

#[test]
fn a_condition_is_a_key_only_where_it_is_enforced() {
    for (operation, matches, none_match) in [
        (Operation::PutObject, true, true),
        (Operation::CopyObject, true, true),
        (Operation::CompleteMultipartUpload, true, true),
        (Operation::GetObject, true, true),
        (Operation::HeadObject, true, true),
        (Operation::DeleteObject, true, false),
        (Operation::DeleteObjects, false, false),
        (Operation::CreateMultipartUpload, false, false),
        (Operation::UploadPart, false, false),
        (Operation::UploadPartCopy, false, false),
        (Operation::AbortMultipartUpload, false, false),
    ] {
        let context = of("here", operation, &with(JUNK));
        assert_eq!(context.get("s3:if-match").is_some(), matches, "{}", operation.name());
        assert_eq!(context.get("s3:if-none-match").is_some(), none_match, "{}", operation.name());
    }
    let context = of("here", Operation::PutObject, &with(&[("x-amz-metadata-directive", "COPY")]));
    assert_eq!(context.get("s3:x-amz-metadata-directive"), None);
}

#[test]
fn max_keys_is_a_key_only_of_a_listing_that_obeys_it() {
    let head = head("GET", "/bucket?prefix=a&max-keys=1", HeaderMap::new());
    let max = |operation| of("here", operation, &head).get("s3:max-keys").map(<[_]>::to_vec);
    assert_eq!(max(Operation::ListObjects).unwrap(), ["1"]);
    assert_eq!(max(Operation::ListObjectsV2).unwrap(), ["1"]);
    assert_eq!(max(Operation::ListMultipartUploads), None);
    let context = of("here", Operation::ListMultipartUploads, &head);
    assert_eq!(context.get("s3:prefix").unwrap(), ["a"]);
}

#[test]
fn parts_create_no_object() {
    let creates = |operation| {
        let context = of("here", operation, &with(&[]));
        context.get("s3:ObjectCreationOperation").map(|values| values.join(","))
    };
    for operation in
        [Operation::PutObject, Operation::CopyObject, Operation::CompleteMultipartUpload]
    {
        assert_eq!(creates(operation).as_deref(), Some("true"), "{}", operation.name());
    }
    for operation in
        [Operation::CreateMultipartUpload, Operation::UploadPart, Operation::UploadPartCopy]
    {
        assert_eq!(creates(operation).as_deref(), Some("false"), "{}", operation.name());
    }
    assert_eq!(creates(Operation::DeleteObject), None);
}

#[test]
fn every_key_that_a_bucket_policy_may_have_is_filled_or_cannot_occur() {
    let mut full = head(
        "PUT",
        "/bucket/key?prefix=a&delimiter=b&max-keys=1&versionId=null",
        headers(&[
            ("if-match", "*"),
            ("if-none-match", "*"),
            ("x-amz-acl", "private"),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            ("x-amz-copy-source", "/other/key"),
            ("x-amz-metadata-directive", "COPY"),
            ("x-amz-object-ownership", "BucketOwnerEnforced"),
            ("x-amz-storage-class", "STANDARD"),
        ]),
    );
    full.arrival = Some(by_tls(Some(TlsVersion::V1_3)));
    let mut filled: Vec<String> = FILLED_ELSEWHERE.iter().map(|key| (*key).to_owned()).collect();
    for in_header in [true, false] {
        full.signed = Some(signed(in_header, "UNSIGNED-PAYLOAD"));
        for operation in Operation::ALL {
            let context = of("here", *operation, &full);
            filled.extend(context.iter().map(|(key, _)| key.to_owned()));
        }
    }
    for key in S3_KEYS {
        let is_filled = filled.iter().any(|f| f == key);
        assert!(is_filled != CANNOT_OCCUR.contains(key), "{key}: filled is {is_filled}");
    }
    assert!(CANNOT_OCCUR.iter().all(|key| S3_KEYS.contains(key)), "each is one that is accepted");
}

#[test]
fn the_hash_that_is_a_key_is_the_signed_one() {
    let mut head = with(&[("x-amz-content-sha256", "00")]);
    let hash = |head: &CallHead| {
        let context = of("here", Operation::PutObject, head);
        context.get("s3:x-amz-content-sha256").map(<[_]>::to_vec)
    };
    assert_eq!(hash(&head), None, "what nobody signed is nothing");
    head.signed = Some(signed(true, "00"));
    assert_eq!(hash(&head).unwrap(), ["00"]);
    // A presigned URL need not sign the header: anyone could add it.
    head.signed = Some(signed(false, "UNSIGNED-PAYLOAD"));
    assert_eq!(hash(&head).unwrap(), ["UNSIGNED-PAYLOAD"]);
    head.headers.clear();
    assert_eq!(hash(&head).unwrap(), ["UNSIGNED-PAYLOAD"]);
    head.signed = Some(signed(false, "11"));
    assert_eq!(hash(&head).unwrap(), ["11"]);
}

#[test]
fn the_version_of_tls_is_a_key() {
    let mut head = with(&[]);
    for (tls, version, secure) in [
        (None, None, "false"),
        (Some(TlsVersion::V1_2), Some("1.2"), "true"),
        (Some(TlsVersion::V1_3), Some("1.3"), "true"),
    ] {
        head.arrival = Some(by_tls(tls));
        let context = of("here", Operation::GetObject, &head);
        let found = context.get("s3:TlsVersion").map(|values| values.join(","));
        assert_eq!(found.as_deref(), version);
        assert_eq!(context.get("aws:SecureTransport").unwrap(), [secure]);
    }
}

#[test]
fn of_what_the_client_says_of_itself_the_beginning_is_shown() {
    let long = format!("curl/8 {}", "a".repeat(10_000));
    let head = with(&[("user-agent", &long), ("user-agent", "second"), ("referer", "http://a/")]);
    let context = of("here", Operation::GetObject, &head);
    assert_eq!(context.get("aws:UserAgent").unwrap(), [&long[..4096]]);
    assert_eq!(context.get("aws:Referer").unwrap(), ["http://a/"]);
}

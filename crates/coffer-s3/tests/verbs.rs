//! The verbs over the wire, one walk through each family. What each verb must do in detail is
//! tested next to it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};

use crate::store::Store;

#[tokio::test]
async fn keys_are_what_the_client_says() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    let keys = ["a", "a//b", "/a", "a/../b", "./..", "a+b", "a%20b", "%C3%BC%2Fx", "%01&;=?", "a/"];
    for key in keys {
        let target = format!("/bkt/{}", key.replace('?', "%3F"));
        client.call("PUT", &target, key.as_bytes()).await.expect(200);
    }
    for key in keys {
        let target = format!("/bkt/{}", key.replace('?', "%3F"));
        let got = client.call("GET", &target, b"").await.expect(200);
        assert_eq!(got.body, key.as_bytes());
    }
    let listed = client.call("GET", "/bkt?list-type=2&encoding-type=url", b"").await.expect(200);
    assert_eq!(listed.text().matches("<Contents>").count(), keys.len(), "{}", listed.text());
}

#[tokio::test]
async fn metadata_and_conditions_and_ranges() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    let headers = [
        ("content-type", "text/x-test; a=b"),
        ("cache-control", "no-cache"),
        ("x-amz-meta-Name", "a  b;c=\"d\""),
    ];
    let put = client.call_with("PUT", "/bkt/k", &headers, b"0123456789").await.expect(200);
    let etag = put.header("etag").unwrap().to_owned();
    assert_eq!(etag, "\"781e5e245d69b566979b86e28d23f2c7\"");
    assert!(put.header("x-coffer-object-id").is_some());
    let got = client.call("GET", "/bkt/k", b"").await.expect(200);
    assert_eq!(got.header("content-type"), Some("text/x-test; a=b"));
    assert_eq!(got.header("cache-control"), Some("no-cache"));
    assert_eq!(got.header("x-amz-meta-name"), Some("a  b;c=\"d\""));
    let part = client.call_with("GET", "/bkt/k", &[("range", "bytes=2-4")], b"").await.expect(206);
    assert_eq!(part.body, b"234");
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let outside = client.call_with("GET", "/bkt/k", &[("range", "bytes=10-")], b"").await;
    let outside = outside.expect_error(416, "InvalidRange");
    assert_eq!(outside.header("content-range"), Some("bytes */10"));
    let same = client.call_with("GET", "/bkt/k", &[("if-none-match", &etag)], b"").await;
    let same = same.expect(304);
    assert_eq!(same.header("etag"), Some(etag.as_str()));
    let other = client.call_with("GET", "/bkt/k", &[("if-match", "\"x\"")], b"").await;
    other.expect_error(412, "PreconditionFailed");
    let exists = client.call_with("PUT", "/bkt/k", &[("if-none-match", "*")], b"new").await;
    exists.expect_error(412, "PreconditionFailed");
    client.call("GET", "/bkt/k", b"").await.expect(200);
}

#[tokio::test]
async fn buckets_come_and_go() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    client.call("HEAD", "/bkt", b"").await.expect(200);
    client.call("HEAD", "/none", b"").await.expect(404);
    let missing = client.call("GET", "/none/k", b"").await.expect_error(404, "NoSuchBucket");
    assert_eq!(missing.element("BucketName").as_deref(), Some("none"));
    client.call("PUT", "/B_ad", b"").await.expect_error(400, "InvalidBucketName");
    let listed = client.call("GET", "/", b"").await.expect(200);
    assert!(listed.text().contains("<Name>bkt</Name>"));
    client.call("GET", "/bkt?location", b"").await.expect(200);
    client.call("PUT", "/bkt/k", b"x").await.expect(200);
    client.call("DELETE", "/bkt", b"").await.expect_error(409, "BucketNotEmpty");
    client.call("DELETE", "/bkt/k", b"").await.expect(204);
    client.call("DELETE", "/bkt", b"").await.expect(204);
    for target in ["/bkt?acl", "/bkt?cors", "/bkt?website", "/bkt/k?tagging", "/bkt/k?retention"] {
        client.call("GET", target, b"").await.expect_error(501, "NotImplemented");
    }
    let form = [("content-type", "multipart/form-data; boundary=x")];
    client.call_with("POST", "/bkt", &form, b"--x--").await.expect_error(501, "NotImplemented");
}

#[tokio::test]
async fn a_multipart_upload_becomes_an_object() {
    let store = Store::start().await;
    let mut client = store.client_with_bucket().await;
    let created = client.call("POST", "/bkt/k?uploads", b"").await.expect(200);
    let id = created.element("UploadId").unwrap();
    let first = vec![b'a'; 5 << 20];
    let mut listing = String::new();
    for (number, data) in [(1, &first[..]), (2, b"tail")] {
        let target = format!("/bkt/k?partNumber={number}&uploadId={id}");
        let part = client.call("PUT", &target, data).await.expect(200);
        let etag = part.header("etag").unwrap();
        listing += &format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>",
            etag.replace('"', "&quot;")
        );
    }
    let parts = client.call("GET", &format!("/bkt/k?uploadId={id}"), b"").await.expect(200);
    assert_eq!(parts.text().matches("<Part>").count(), 2);
    let document = format!("<CompleteMultipartUpload>{listing}</CompleteMultipartUpload>");
    let target = format!("/bkt/k?uploadId={id}");
    client.call("POST", &target, b"<Complete").await.expect_error(400, "MalformedXML");
    let done = client.call("POST", &target, document.as_bytes()).await.expect(200);
    assert!(done.element("ETag").unwrap().contains("-2"));
    let got = client.call_with("GET", "/bkt/k", &[("range", "bytes=5242878-")], b"").await;
    assert_eq!(got.expect(206).body, b"aatail");
    let deleted = b"<Delete><Object><Key>k</Key></Object><Object><Key>none</Key></Object></Delete>";
    let digest = BASE64_STANDARD.encode(Md5::digest(deleted));
    let many = client.call_with("POST", "/bkt?delete", &[("content-md5", &digest)], deleted).await;
    assert_eq!(many.expect(200).text().matches("<Deleted>").count(), 2);
    client.call("GET", "/bkt/k", b"").await.expect_error(404, "NoSuchKey");
}

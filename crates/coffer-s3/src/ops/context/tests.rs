use http::HeaderValue;

use super::*;
use crate::ops::tests::headers;

#[test]
fn headers_become_keys_also_twice_and_in_other_bytes() {
    let mut headers = headers(&[
        ("user-agent", "aws-cli/2"),
        ("x-amz-acl", "private"),
        ("x-amz-acl", "public-read"),
        ("x-amz-meta-a", "b"),
    ]);
    headers.insert("referer", HeaderValue::from_bytes(b"http://\xfc/").unwrap());
    let mut context = Context::new();
    of_headers(&mut context, &headers);
    assert_eq!(context.get("aws:UserAgent").unwrap(), ["aws-cli/2"]);
    assert_eq!(context.get("s3:x-amz-acl").unwrap(), ["private", "public-read"]);
    assert_eq!(context.get("aws:Referer").unwrap(), ["http://\u{fffd}/"]);
    assert_eq!(context.iter().count(), 3, "no other header is a key");
}

use super::*;
use crate::ops::tests::{HOSTILE, with};

fn parsed(text: &str) -> (String, String) {
    let source = CopySource::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
    (source.bucket, source.key)
}

#[test]
fn sources() {
    for (text, bucket, key) in [
        ("bucket/key", "bucket", "key"),
        ("/bucket/key", "bucket", "key"),
        ("/bucket/a/b", "bucket", "a/b"),
        ("bucket//key", "bucket", "/key"),
        ("%2Fbucket%2Fkey", "bucket", "key"),
        ("bucket/a%20b%2Bc+d", "bucket", "a b+c+d"),
        ("bucket/a%2520", "bucket", "a%20"),
        ("bucket/%C3%A9", "bucket", "\u{e9}"),
        ("bucket/key?versionId=null", "bucket", "key"),
        ("bucket/what%3FversionId=1", "bucket", "what?versionId=1"),
        ("bucket/a?b", "bucket", "a?b"),
        ("bucket/..", "bucket", ".."),
    ] {
        assert_eq!(parsed(text), (bucket.to_owned(), key.to_owned()), "{text}");
    }
}

#[test]
fn versions() {
    let version = |text: &str| CopySource::parse(text).unwrap().version.map(|id| id.to_string());
    let id = "00000000000010000123456789abcdef";
    assert_eq!(version(&format!("bucket/key?versionId={id}")).as_deref(), Some(id));
    assert_eq!(version("bucket/key?versionId=null").as_deref(), Some("null"));
    assert_eq!(version("bucket/key"), None);
    assert_eq!(version("bucket/what%3FversionId=1"), None);
}

#[test]
fn what_names_no_object_is_refused() {
    for text in ["", "/", "//", "bucket", "/bucket", "bucket/", "/bucket/", "/bucket/%ff"] {
        assert_eq!(CopySource::parse(text).unwrap_err().code, Code::InvalidArgument, "{text:?}");
    }
    for text in ["bucket/key?versionId=abc", "bucket/key?versionId="] {
        assert_eq!(CopySource::parse(text).unwrap_err().code, Code::InvalidArgument, "{text:?}");
    }
    let arn = CopySource::parse("arn:aws:s3:::bucket/key").unwrap_err();
    assert_eq!(arn.code, Code::NotImplemented);
}

#[test]
fn no_value_panics() {
    for text in HOSTILE {
        let _ = CopySource::parse(text);
        let _ = CopySource::of(&with(&[("x-amz-copy-source", text)]));
    }
}

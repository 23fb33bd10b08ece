use super::*;
use crate::ops::tests::{HOSTILE, with};

#[test]
fn directives() {
    assert!(replacing_headers(&with(&[("content-type", "a/b")])).unwrap().is_none());
    let copy = [("x-amz-metadata-directive", "COPY")];
    assert!(replacing_headers(&with(&copy)).unwrap().is_none());
    let replace = with(&[("x-amz-metadata-directive", "REPLACE"), ("content-type", "a/b")]);
    let headers = replacing_headers(&replace).unwrap().unwrap();
    assert_eq!(headers.content_type.as_deref(), Some("a/b"));
    check_tagging_directive(&with(&[("x-amz-tagging-directive", "REPLACE")])).unwrap();
    for text in HOSTILE {
        let error = replacing_headers(&with(&[("x-amz-metadata-directive", text)]));
        assert_eq!(error.unwrap_err().code, Code::InvalidArgument, "{text:?}");
        let error = check_tagging_directive(&with(&[("x-amz-tagging-directive", text)]));
        assert_eq!(error.unwrap_err().code, Code::InvalidArgument, "{text:?}");
    }
}

use http::HeaderMap;

use super::super::tests::{HOSTILE, head};
use super::*;
use crate::error::Code;

#[test]
fn only_ids_that_were_given_out_are_read() {
    assert_eq!(parse("versionId", "null").unwrap(), VersionId::Null);
    let id = "00000000000010000123456789abcdef";
    assert_eq!(parse("versionId", id).unwrap().to_string(), id);
    for text in HOSTILE.iter().filter(|text| **text != "null") {
        assert_eq!(parse("versionId", text).unwrap_err().code, Code::InvalidArgument, "{text}");
    }
}

#[test]
fn where_a_version_would_be_ignored_it_is_refused() {
    let at = |method: &str, operation| {
        check(operation, &head(method, "/bucket/key?versionId=null", HeaderMap::new()))
    };
    at("GET", Operation::GetObject).unwrap();
    at("HEAD", Operation::HeadObject).unwrap();
    at("DELETE", Operation::DeleteObject).unwrap();
    for operation in Operation::ALL.iter().filter(|operation| !obeys(**operation)) {
        let error = at(operation.method(), *operation).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument, "{}", operation.name());
    }
}

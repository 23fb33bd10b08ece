use super::*;

#[test]
fn every_code_has_its_name_once() {
    let mut names: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for code in Code::ALL {
        assert!(!code.message().is_empty());
        assert!(code.status().as_u16() >= 300, "{}", code.name());
    }
}

#[test]
fn an_error_is_a_document() {
    let error = S3Error::new(Code::NoSuchKey).extra("Key", "a&b");
    assert_eq!(
        error.to_xml("/b/a&b", "ID", "HOST"),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code>\
         <Message>The specified key does not exist.</Message><Key>a&amp;b</Key>\
         <Resource>/b/a&amp;b</Resource><RequestId>ID</RequestId><HostId>HOST</HostId></Error>"
    );
}

#[test]
fn what_went_wrong_inside_is_for_the_log() {
    let error = S3Error::from(ObjectsError::Corrupt("segment 7 on /data/1".to_owned()));
    assert_eq!(error.code, Code::InternalError);
    assert!(!error.to_xml("/", "", "").contains("segment"));
    assert!(error.cause.is_some_and(|cause| cause.contains("segment 7")));
}

#[test]
fn a_range_outside_says_the_size() {
    let error = S3Error::from(ObjectsError::InvalidRange { size: 9 });
    assert_eq!(error.code.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(error.headers, [(CONTENT_RANGE, HeaderValue::from_static("bytes */9"))]);
}

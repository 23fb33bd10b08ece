use coffer_base::Timestamp;
use coffer_sigv4::error::Place;

use super::*;

#[test]
fn an_error_is_told_as_aws_tells_it() {
    let xml = QueryError::new(Code::NoSuchEntity, "<gone>").to_xml("https://ns/", "id");
    assert_eq!(
        xml,
        "<ErrorResponse xmlns=\"https://ns/\"><Error><Type>Sender</Type><Code>NoSuchEntity</Code>\
         <Message>&lt;gone&gt;</Message></Error><RequestId>id</RequestId></ErrorResponse>"
    );
    let failure = QueryError::failure("a secret").to_xml("https://ns/", "id");
    assert!(failure.contains("<Type>Receiver</Type>") && !failure.contains("a secret"));
}

#[test]
fn no_signature_that_is_wrong_is_the_servers_fault() {
    let (at, now) = (Timestamp(0), Timestamp(1_000_000_000));
    let text = String::new;
    for (error, code) in [
        (SignatureError::TooSkewed { at, now }, Code::SignatureDoesNotMatch),
        (SignatureError::NotYetValid, Code::SignatureDoesNotMatch),
        (
            SignatureError::Expired { expires_seconds: 1, expires: at, now },
            Code::SignatureDoesNotMatch,
        ),
        (
            SignatureError::WrongScope { place: Place::Header, message: text(), region: None },
            Code::SignatureDoesNotMatch,
        ),
        (SignatureError::HeadersNotSigned(vec![text()]), Code::SignatureDoesNotMatch),
        (SignatureError::PayloadMismatch, Code::SignatureDoesNotMatch),
        (SignatureError::MissingDate, Code::IncompleteSignature),
        (SignatureError::Unsupported, Code::IncompleteSignature),
        (SignatureError::BadQuery, Code::MalformedQueryString),
    ] {
        let told = QueryError::from(error.clone());
        assert_eq!(told.code, code, "{error:?}");
        assert!(told.code.status().is_client_error());
    }
}

use super::*;
use crate::ops::tests::{HOSTILE, with};
use crate::xml;

fn read(text: &str) -> Result<Vec<CompletePart>, S3Error> {
    parts(&xml::parse(text.as_bytes(), 8 << 20)?)
}

fn part(inner: &str) -> String {
    format!("<CompleteMultipartUpload><Part>{inner}</Part></CompleteMultipartUpload>")
}

#[test]
fn documents() {
    let text = part(
        "<ETag>&quot;abc&quot;</ETag><PartNumber> 7 </PartNumber>\
         <ChecksumCRC32>AAAAAA==</ChecksumCRC32>",
    );
    let found = read(&text).unwrap();
    assert_eq!((found[0].number, found[0].etag.as_str()), (7, "\"abc\""));
    assert_eq!(found[0].checksum.as_ref().unwrap().value, [0; 4]);
    // The name that some clients give the root.
    read(&text.replace("CompleteMultipartUpload", "CompletedMultipartUpload")).unwrap();
}

#[test]
fn malformed_documents() {
    for inner in [
        "",
        "<ETag>a</ETag>",
        "<PartNumber>1</PartNumber>",
        "<ETag>a</ETag><PartNumber>x</PartNumber>",
        "<ETag>a</ETag><PartNumber>-1</PartNumber>",
        "<ETag>a</ETag><PartNumber>99999999999999999999</PartNumber>",
    ] {
        assert_eq!(read(&part(inner)).unwrap_err().code, Code::MalformedXML, "{inner}");
    }
    for number in ["0", "10001"] {
        let text = part(&format!("<ETag>a</ETag><PartNumber>{number}</PartNumber>"));
        assert_eq!(read(&text).unwrap_err().code, Code::InvalidArgument, "{number}");
    }
    assert_eq!(read("<CompleteMultipartUpload/>").unwrap_err().code, Code::MalformedXML);
    assert_eq!(read("<Delete/>").unwrap_err().code, Code::MalformedXML);
}

#[test]
fn sizes() {
    assert_eq!(object_size(&with(&[])).unwrap(), None);
    assert_eq!(object_size(&with(&[("x-amz-mp-object-size", "12")])).unwrap(), Some(12));
    for text in HOSTILE.iter().filter(|t| **t != "0") {
        assert!(object_size(&with(&[("x-amz-mp-object-size", text)])).is_err(), "{text:?}");
    }
}

#[test]
fn locations() {
    assert_eq!(location(&with(&[("host", "h:9000")])), "http://h:9000/bucket/key");
}

#[test]
fn initiators_are_told_by_what_they_are() {
    for (arn, initiator) in [
        ("ada", Initiator::Named),
        ("anonymous", Initiator::Named),
        ("arn:aws:iam::111122223333:root", Initiator::Account),
        ("arn:aws:iam::111122223333:user/ada", Initiator::Identity("ada")),
        ("arn:aws:iam::111122223333:user/root", Initiator::Identity("root")),
        ("arn:aws:iam::111122223333:user/eng/ada", Initiator::Identity("ada")),
        ("arn:aws:sts::111122223333:assumed-role/role/session", Initiator::Identity("session")),
    ] {
        assert_eq!(Initiator::of(arn), initiator, "{arn}");
    }
}

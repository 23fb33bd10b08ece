use super::*;
use crate::ops::tests::HOSTILE;
use crate::xml;

fn configured(inner: &str, region: &str) -> Result<(), S3Error> {
    let text = format!("<CreateBucketConfiguration>{inner}</CreateBucketConfiguration>");
    check_configuration(&xml::parse(text.as_bytes(), 10_000)?, region)
}

fn located(constraint: &str, region: &str) -> Result<(), S3Error> {
    configured(&format!("<LocationConstraint>{constraint}</LocationConstraint>"), region)
}

#[test]
fn a_bucket_is_made_here_or_not_at_all() {
    located("", "us-east-1").unwrap();
    located("us-east-1", "us-east-1").unwrap();
    located("eu-central-1", "eu-central-1").unwrap();
    located("EU", "eu-west-1").unwrap();
    configured("", "eu-central-1").unwrap();
    for elsewhere in ["eu-central-1", "us-gov-west-1", "EU"] {
        let error = located(elsewhere, "us-east-1").unwrap_err();
        assert_eq!(error.code, Code::IllegalLocationConstraintException, "{elsewhere}");
    }
    for nowhere in ["moon", "eu-", "-1", "eu--1", "EU-central-1", "eu-central-x", "e-central-1"] {
        let error = located(nowhere, "us-east-1").unwrap_err();
        assert_eq!(error.code, Code::InvalidLocationConstraint, "{nowhere}");
    }
}

#[test]
fn a_region_may_have_any_name() {
    located("my-region", "my-region").unwrap();
    let error = located("us-east-1", "my-region").unwrap_err();
    assert_eq!(error.code, Code::IllegalLocationConstraintException);
}

#[test]
fn more_than_a_place_is_refused() {
    configured("<Tags/>", "us-east-1").unwrap();
    let tags = "<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>";
    assert_eq!(configured(tags, "us-east-1").unwrap_err().code, Code::NotImplemented);
    let zone = "<Location><Name>x</Name><Type>AvailabilityZone</Type></Location>";
    assert_eq!(configured(zone, "us-east-1").unwrap_err().code, Code::NotImplemented);
    assert_eq!(configured("<Color/>", "us-east-1").unwrap_err().code, Code::MalformedXML);
    let other = xml::parse(b"<Other/>", 100).unwrap();
    assert_eq!(check_configuration(&other, "x").unwrap_err().code, Code::MalformedXML);
}

#[test]
fn levels_in_documents() {
    let read = |text: &str| ack_in(&xml::parse(text.as_bytes(), 1000).unwrap());
    assert_eq!(
        read("<AckConfiguration><Ack>quorum</Ack></AckConfiguration>").unwrap(),
        Ack::Quorum
    );
    for text in [
        "<AckConfiguration/>",
        "<AckConfiguration><Ack>most</Ack></AckConfiguration>",
        "<Other><Ack>all</Ack></Other>",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn no_value_panics() {
    for text in HOSTILE {
        let _ = check_location(text, "us-east-1");
    }
}

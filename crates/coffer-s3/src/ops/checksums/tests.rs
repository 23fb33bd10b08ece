use super::*;
use crate::ops::tests::{HOSTILE, headers, with};
use crate::xml;

#[test]
fn a_value_is_read_and_shown_alike() {
    for algorithm in ChecksumAlgorithm::ALL {
        let text = BASE64.encode(vec![7; algorithm.digest_bytes()]);
        let found = value_in(&headers(&[(header_name(algorithm), &text)])).unwrap().unwrap();
        assert_eq!(found, Checksum::full(algorithm, vec![7; algorithm.digest_bytes()]));
        assert_eq!(show(&found), text);
        let composite = format!("{text}-12");
        let found = read(algorithm, &composite).unwrap();
        assert_eq!(found.kind, ChecksumKind::Composite { parts: 12 });
        assert_eq!(show(&found), composite);
    }
}

#[test]
fn values_of_the_wrong_length_or_alphabet_are_refused() {
    for value in ["", "AAAA", "AAAAAAA=", "!!!!!!==", "AAAAAA", "AAAAAA==-", "AAAAAA==--1"] {
        let error = value_in(&headers(&[("x-amz-checksum-crc32", value)])).unwrap_err();
        assert_eq!(error.code, Code::InvalidRequest, "{value:?}");
    }
}

#[test]
fn only_one_value_is_taken() {
    let error = value_in(&headers(&[
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-checksum-crc32c", "AAAAAA=="),
    ]));
    assert_eq!(error.unwrap_err().code, Code::InvalidRequest);
    let error = value_in(&headers(&[
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-checksum-crc32", "AAAAAA=="),
    ]));
    assert_eq!(error.unwrap_err().code, Code::InvalidRequest);
}

#[test]
fn members_that_are_no_values_are_left_alone() {
    let found = value_in(&headers(&[
        ("x-amz-checksum-algorithm", "SHA1"),
        ("x-amz-checksum-mode", "ENABLED"),
        ("x-amz-checksum-type", "COMPOSITE"),
    ]));
    assert_eq!(found.unwrap(), None);
}

#[test]
fn algorithms_that_are_not_built_are_refused_by_name() {
    let error = value_in(&headers(&[("x-amz-checksum-xxhash64", "AAAAAAAAAAA=")])).unwrap_err();
    assert_eq!(error.code, Code::NotImplemented);
    let named = with(&[("x-amz-sdk-checksum-algorithm", "SHA512")]);
    let error = algorithm_in(&named, "x-amz-sdk-checksum-algorithm").unwrap_err();
    assert_eq!(error.code, Code::InvalidRequest);
}

#[test]
fn what_a_body_is_to_have() {
    let crc = Checksum::full(ChecksumAlgorithm::Crc32, vec![0; 4]);
    let request = combine(Some(crc.clone()), Some(ChecksumAlgorithm::Crc32), None).unwrap();
    assert_eq!((request.algorithm, request.trailer), (Some(ChecksumAlgorithm::Crc32), false));
    assert_eq!(request.expected, Some(crc.clone()));

    let request = combine(None, None, Some(ChecksumAlgorithm::Sha256)).unwrap();
    assert_eq!((request.algorithm, request.trailer), (Some(ChecksumAlgorithm::Sha256), true));

    let request = combine(None, Some(ChecksumAlgorithm::Sha1), None).unwrap();
    assert_eq!((request.algorithm, request.trailer), (Some(ChecksumAlgorithm::Sha1), false));

    assert!(combine(Some(crc.clone()), None, Some(ChecksumAlgorithm::Crc32)).is_err());
    assert!(combine(Some(crc.clone()), Some(ChecksumAlgorithm::Sha1), None).is_err());
    assert!(combine(None, Some(ChecksumAlgorithm::Sha1), Some(ChecksumAlgorithm::Crc32)).is_err());
    let composite = Checksum { kind: ChecksumKind::Composite { parts: 1 }, ..crc };
    assert!(combine(Some(composite), None, None).is_err());
}

#[test]
fn a_type_must_fit_its_checksum() {
    let crc = Checksum::full(ChecksumAlgorithm::Crc32, vec![0; 4]);
    check_type(Some(ChecksumType::FullObject), Some(&crc)).unwrap();
    check_type(None, Some(&crc)).unwrap();
    check_type(Some(ChecksumType::Composite), None).unwrap();
    assert!(check_type(Some(ChecksumType::Composite), Some(&crc)).is_err());
    assert!(type_in(&with(&[("x-amz-checksum-type", "WHOLE")])).is_err());
}

#[test]
fn md5_is_sixteen_bytes() {
    let digest = content_md5(&headers(&[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")])).unwrap();
    assert_eq!(digest.unwrap()[..2], [0xd4, 0x1d]);
    for value in ["", "AAAA", "not base64", "1B2M2Y8AsgTpgAmY7PhCfg"] {
        let error = content_md5(&headers(&[("content-md5", value)])).unwrap_err();
        assert_eq!(error.code, Code::InvalidDigest, "{value:?}");
    }
}

#[test]
fn elements_carry_one_checksum() {
    let element =
        |inner: &str| xml::parse(format!("<Part>{inner}</Part>").as_bytes(), 1000).unwrap();
    assert_eq!(read_element(&element("<ETag>1</ETag>")).unwrap(), None);
    let found = read_element(&element("<ChecksumCRC32>AAAAAA==</ChecksumCRC32>")).unwrap().unwrap();
    assert_eq!(found.value, [0; 4]);
    assert!(read_element(&element("<ChecksumCRC32>AAAA</ChecksumCRC32>")).is_err());
    let two = "<ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C>";
    assert_eq!(read_element(&element(two)).unwrap_err().code, Code::MalformedXML);
}

#[test]
fn no_value_panics() {
    for text in HOSTILE {
        for algorithm in ChecksumAlgorithm::ALL {
            assert_eq!(read(algorithm, text).map(|c| show(&c)), None, "{text:?}");
        }
        let _ = content_md5(&headers(&[("content-md5", text)]));
    }
}

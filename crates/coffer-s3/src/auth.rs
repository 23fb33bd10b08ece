//! What S3 answers to a request whose signature is not believed: the one table from
//! [`coffer_sigv4::Error`] to S3's codes.

use coffer_sigv4::error::{Mismatch, Place};
use coffer_sigv4::{Error, SKEW_MS_MAX, time};

use crate::error::{Code, S3Error};

/// AWS's words for SigV2 and anything else that isn't SigV4.
const UNSUPPORTED: &str =
    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";

impl From<Error> for S3Error {
    fn from(error: Error) -> S3Error {
        match error {
            Error::BadQuery => S3Error::new(Code::InvalidURI),
            Error::Repeated(name) => S3Error::with_message(
                Code::InvalidRequest,
                format!("The header {name} must be given once."),
            ),
            Error::NotText(name) => S3Error::with_message(
                Code::InvalidArgument,
                format!("The header {name} has characters that are not ASCII."),
            ),
            Error::SeveralMechanisms => S3Error::with_message(
                Code::InvalidArgument,
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, \
                 Signature query string parameter or the Authorization header should be specified",
            ),
            Error::Unsupported => S3Error::with_message(Code::InvalidRequest, UNSUPPORTED),
            Error::AsymmetricUnsupported => {
                S3Error::not_implemented("Signature version 4A (AWS4-ECDSA-P256-SHA256)")
            }
            Error::Malformed { place, message } => S3Error::with_message(code_of(place), message),
            Error::WrongScope { place, message, region } => {
                let error = S3Error::with_message(code_of(place), message);
                match region {
                    Some(region) => error.extra("Region", region),
                    None => error,
                }
            }
            Error::MissingDate => S3Error::with_message(
                Code::AccessDenied,
                "AWS authentication requires a valid Date or x-amz-date header",
            ),
            Error::MissingPayloadHash => S3Error::with_message(
                Code::InvalidRequest,
                "Missing required header for this request: x-amz-content-sha256",
            ),
            Error::PayloadHashesDiffer => S3Error::with_message(
                Code::InvalidRequest,
                "The header x-amz-content-sha256 is not what the query's X-Amz-Content-Sha256 says.",
            ),
            Error::PayloadMismatch => S3Error::new(Code::XAmzContentSHA256Mismatch),
            Error::TokensDiffer => S3Error::with_message(
                Code::InvalidToken,
                "The header x-amz-security-token is not what the query's X-Amz-Security-Token says.",
            ),
            Error::HeadersNotSigned(names) => S3Error::with_message(
                Code::AccessDenied,
                "There were headers present in the request which were not signed",
            )
            .extra("HeadersNotSigned", names.join(", ")),
            Error::TooSkewed { at, now } => S3Error::new(Code::RequestTimeTooSkewed)
                .extra("RequestTime", time::amz_date(at))
                .extra("ServerTime", time::iso8601(now))
                .extra("MaxAllowedSkewMilliseconds", SKEW_MS_MAX.to_string()),
            Error::NotYetValid => {
                S3Error::with_message(Code::AccessDenied, "Request is not yet valid")
            }
            Error::Expired { expires_seconds, expires, now } => {
                S3Error::with_message(Code::AccessDenied, "Request has expired")
                    .extra("X-Amz-Expires", expires_seconds.to_string())
                    .extra("Expires", time::iso8601(expires))
                    .extra("ServerTime", time::iso8601(now))
            }
            Error::DoesNotMatch(mismatch) => does_not_match(&mismatch),
            Error::ChunkDoesNotMatch => S3Error::new(Code::SignatureDoesNotMatch),
        }
    }
}

fn code_of(place: Place) -> Code {
    match place {
        Place::Header => Code::AuthorizationHeaderMalformed,
        Place::Query => Code::AuthorizationQueryParametersError,
    }
}

fn does_not_match(mismatch: &Mismatch) -> S3Error {
    let Mismatch { access_key, string_to_sign, signature, canonical } = mismatch;
    let error = S3Error::new(Code::SignatureDoesNotMatch)
        .extra("AWSAccessKeyId", access_key)
        .extra("StringToSign", string_to_sign)
        .extra("SignatureProvided", signature)
        .extra("StringToSignBytes", spaced_hex(string_to_sign.as_bytes()))
        .extra("CanonicalRequest", String::from_utf8_lossy(canonical));
    if canonical.len() > HEX_OF_BYTES_MAX {
        return error;
    }
    error.extra("CanonicalRequestBytes", spaced_hex(canonical))
}

/// A longer canonical request is told as text only.
const HEX_OF_BYTES_MAX: usize = 16 << 10;

fn spaced_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(bytes.len() * 3);
    for (i, byte) in bytes.iter().enumerate() {
        if i > 0 {
            hex.push(' ');
        }
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    hex
}

#[cfg(test)]
mod tests {
    use coffer_base::Timestamp;

    use super::*;

    #[test]
    fn hex_is_told_as_s3_does_and_not_of_much() {
        assert_eq!(spaced_hex(&[0, 0x5f, 0xff]), "00 5f ff");
        let told = |bytes: usize| {
            let mismatch = Mismatch {
                access_key: "A".to_owned(),
                string_to_sign: "s".to_owned(),
                signature: "0".to_owned(),
                canonical: vec![b'x'; bytes],
            };
            does_not_match(&mismatch).to_xml("/", "", "").contains("CanonicalRequestBytes")
        };
        assert!(told(HEX_OF_BYTES_MAX) && !told(HEX_OF_BYTES_MAX + 1));
    }

    #[test]
    fn each_refusal_has_the_code_that_s3_gives_it() {
        let (at, now) = (Timestamp(0), Timestamp(1_000_000_000));
        let text = |text: &str| text.to_owned();
        let header = Place::Header;
        for (error, code) in [
            (Error::BadQuery, "InvalidURI"),
            (Error::Repeated(text("a")), "InvalidRequest"),
            (Error::NotText(text("a")), "InvalidArgument"),
            (Error::SeveralMechanisms, "InvalidArgument"),
            (Error::Unsupported, "InvalidRequest"),
            (Error::AsymmetricUnsupported, "NotImplemented"),
            (Error::Malformed { place: header, message: text("") }, "AuthorizationHeaderMalformed"),
            (
                Error::Malformed { place: Place::Query, message: text("") },
                "AuthorizationQueryParametersError",
            ),
            (
                Error::WrongScope { place: header, message: text(""), region: None },
                "AuthorizationHeaderMalformed",
            ),
            (Error::MissingDate, "AccessDenied"),
            (Error::MissingPayloadHash, "InvalidRequest"),
            (Error::PayloadHashesDiffer, "InvalidRequest"),
            (Error::PayloadMismatch, "XAmzContentSHA256Mismatch"),
            (Error::TokensDiffer, "InvalidToken"),
            (Error::HeadersNotSigned(vec![text("x-amz-acl")]), "AccessDenied"),
            (Error::TooSkewed { at, now }, "RequestTimeTooSkewed"),
            (Error::NotYetValid, "AccessDenied"),
            (Error::Expired { expires_seconds: 1, expires: at, now }, "AccessDenied"),
            (Error::ChunkDoesNotMatch, "SignatureDoesNotMatch"),
        ] {
            assert_eq!(S3Error::from(error.clone()).code.name(), code, "{error:?}");
        }
    }

    #[test]
    fn the_region_to_use_is_told() {
        let error = Error::WrongScope {
            place: Place::Query,
            message: String::new(),
            region: Some("us-east-1".to_owned()),
        };
        assert_eq!(S3Error::from(error).extra, [("Region", "us-east-1".to_owned())]);
    }

    #[test]
    fn what_was_computed_is_told() {
        let error = S3Error::from(Error::DoesNotMatch(Box::new(Mismatch {
            access_key: "A".to_owned(),
            string_to_sign: "ab".to_owned(),
            signature: "00".to_owned(),
            canonical: b"GET\n".to_vec(),
        })));
        assert_eq!(error.code, Code::SignatureDoesNotMatch);
        let extra: Vec<(&str, &str)> = error.extra.iter().map(|(t, v)| (*t, v.as_str())).collect();
        assert_eq!(
            extra,
            [
                ("AWSAccessKeyId", "A"),
                ("StringToSign", "ab"),
                ("SignatureProvided", "00"),
                ("StringToSignBytes", "61 62"),
                ("CanonicalRequest", "GET\n"),
                ("CanonicalRequestBytes", "47 45 54 0a"),
            ]
        );
    }
}

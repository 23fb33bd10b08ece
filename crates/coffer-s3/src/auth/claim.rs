//! What a request says about who signed it, before it is believed.

use coffer_base::Timestamp;
use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE};

use super::{ALGORITHM, EXPIRES_SECONDS_MAX};
use crate::error::{Code, S3Error};
use crate::request::{Query, single};
use crate::time;

/// AWS's words for SigV2 and anything else that isn't SigV4.
const UNSUPPORTED: &str =
    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";

/// The beginnings of headers that change what a request asks for.
const SIGNED_FAMILIES: &[&str] = &["x-amz-", "x-coffer-"];

/// Headers of the protocol's own that need no signature: the payload's hash stands in the
/// canonical request whatever the signed headers are.
const UNSIGNED_BY_RIGHT: &str = "x-amz-content-sha256";

/// A signature with everything needed to check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose signature it says it is.
    pub access_key: String,
    /// The day of the scope, `20130524`.
    pub day: String,
    /// The region of the scope.
    pub region: String,
    /// When it was signed.
    pub at: Timestamp,
    /// The names of the signed headers in the order given, in lower case.
    pub signed_headers: Vec<String>,
    /// The signature in hex.
    pub signature: String,
    /// What the canonical request has for the payload's hash.
    pub payload_hash: String,
    /// For a presigned URL, how long it lives.
    pub expires_seconds: Option<u64>,
}

impl Claim {
    /// Reads the claim of a request whose scope must have `region`. `None`: it has none at all.
    pub fn read(
        headers: &HeaderMap,
        query: &Query,
        region: &str,
    ) -> Result<Option<Claim>, S3Error> {
        let in_header = headers.contains_key(AUTHORIZATION);
        let v4_in_query = query.has("X-Amz-Algorithm")
            || query.has("X-Amz-Signature")
            || query.has("X-Amz-Credential");
        let v2_in_query = query.has("Signature") && query.has("AWSAccessKeyId");
        if usize::from(in_header) + usize::from(v4_in_query) + usize::from(v2_in_query) > 1 {
            return Err(S3Error::with_message(
                Code::InvalidArgument,
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, \
                 Signature query string parameter or the Authorization header should be specified",
            ));
        }
        if v2_in_query {
            return Err(S3Error::with_message(Code::InvalidRequest, UNSUPPORTED));
        }
        let claim = if in_header {
            Claim::from_header(headers, region)?
        } else if v4_in_query {
            Claim::from_query(headers, query, region)?
        } else {
            return Ok(None);
        };
        claim.check_signed_headers(headers)?;
        Ok(Some(claim))
    }

    /// The credential scope.
    pub fn scope(&self) -> String {
        format!("{}/{}/s3/aws4_request", self.day, self.region)
    }

    fn from_header(headers: &HeaderMap, region: &str) -> Result<Claim, S3Error> {
        let malformed = |what: &str| {
            S3Error::with_message(
                Code::AuthorizationHeaderMalformed,
                format!("The authorization header is malformed; {what}"),
            )
        };
        let header = single(headers, AUTHORIZATION.as_str())?.unwrap_or_default().trim();
        let (algorithm, fields) = header.split_once(' ').unwrap_or((header, ""));
        check_algorithm(algorithm)?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            match field.trim().split_once('=') {
                Some(("Credential", value)) => credential = Some(value.trim()),
                Some(("SignedHeaders", value)) => signed_headers = Some(value.trim()),
                Some(("Signature", value)) => signature = Some(value.trim()),
                _ => {}
            }
        }
        let credential = credential.ok_or_else(|| malformed("the Credential is missing."))?;
        let signed_headers =
            signed_headers.ok_or_else(|| malformed("the SignedHeaders are missing."))?;
        let signature = signature.ok_or_else(|| malformed("the Signature is missing."))?;
        let scope = Scope::parse(credential).map_err(|what| malformed(&what))?;
        let at = match single(headers, "x-amz-date")? {
            Some(text) => time::parse_amz_date(text),
            None => single(headers, DATE.as_str())?.and_then(time::parse_http_date),
        };
        let at = at.ok_or_else(|| {
            S3Error::with_message(
                Code::AccessDenied,
                "AWS authentication requires a valid Date or x-amz-date header",
            )
        })?;
        scope.check(at, region).map_err(|(what, region)| with_region(malformed(&what), region))?;
        let payload_hash = single(headers, "x-amz-content-sha256")?.ok_or_else(|| {
            S3Error::with_message(
                Code::InvalidRequest,
                "Missing required header for this request: x-amz-content-sha256",
            )
        })?;
        Ok(Claim {
            access_key: scope.access_key.to_owned(),
            day: scope.day.to_owned(),
            region: scope.region.to_owned(),
            at,
            signed_headers: signed_headers.split(';').map(str::to_owned).collect(),
            signature: signature.to_owned(),
            payload_hash: payload_hash.to_owned(),
            expires_seconds: None,
        })
    }

    fn from_query(headers: &HeaderMap, query: &Query, region: &str) -> Result<Claim, S3Error> {
        let wrong =
            |what: String| S3Error::with_message(Code::AuthorizationQueryParametersError, what);
        let needed = |name: &str| {
            query.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
                wrong(
                    "Query-string authentication version 4 requires the X-Amz-Algorithm, \
                     X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and \
                     X-Amz-Expires parameters."
                        .to_owned(),
                )
            })
        };
        let algorithm = needed("X-Amz-Algorithm")?;
        if algorithm == "AWS4-ECDSA-P256-SHA256" {
            check_algorithm(algorithm)?;
        } else if algorithm != ALGORITHM {
            return Err(wrong(format!("X-Amz-Algorithm only supports \"{ALGORITHM}\"")));
        }
        let credential = needed("X-Amz-Credential")?;
        let signature = needed("X-Amz-Signature")?;
        let date = needed("X-Amz-Date")?;
        let signed_headers = needed("X-Amz-SignedHeaders")?;
        let expires = needed("X-Amz-Expires")?;
        let scope =
            |what: &str| wrong(format!("Error parsing the X-Amz-Credential parameter; {what}"));
        let parsed = Scope::parse(credential).map_err(|what| scope(&what))?;
        let at = time::parse_amz_date(date).ok_or_else(|| {
            wrong("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"".into())
        })?;
        parsed.check(at, region).map_err(|(what, region)| with_region(scope(&what), region))?;
        let expires_seconds = match expires.parse::<i64>() {
            Err(_) => return Err(wrong("X-Amz-Expires should be a number".to_owned())),
            Ok(seconds) if seconds < 1 => {
                return Err(wrong("X-Amz-Expires must be at least 1 second".to_owned()));
            }
            Ok(seconds) if seconds as u64 > EXPIRES_SECONDS_MAX => {
                return Err(wrong(format!(
                    "X-Amz-Expires must be less than a week (in seconds); that is, the given \
                     X-Amz-Expires must be less than {EXPIRES_SECONDS_MAX} seconds"
                )));
            }
            Ok(seconds) => seconds as u64,
        };
        let signed_headers: Vec<String> = signed_headers.split(';').map(str::to_owned).collect();
        let in_header = single(headers, "x-amz-content-sha256")?;
        let in_query = query.get("X-Amz-Content-Sha256");
        if let (Some(sent), Some(signed)) = (in_header, in_query)
            && sent != signed
        {
            return Err(S3Error::with_message(
                Code::InvalidRequest,
                "The header x-amz-content-sha256 is not what the query's X-Amz-Content-Sha256 says.",
            ));
        }
        let header_is_signed = signed_headers.iter().any(|name| name == "x-amz-content-sha256");
        let payload_hash =
            in_header.filter(|_| header_is_signed).or(in_query).unwrap_or("UNSIGNED-PAYLOAD");
        Ok(Claim {
            access_key: parsed.access_key.to_owned(),
            day: parsed.day.to_owned(),
            region: parsed.region.to_owned(),
            at,
            signed_headers,
            signature: signature.to_owned(),
            payload_hash: payload_hash.to_owned(),
            expires_seconds: Some(expires_seconds),
        })
    }

    /// `host` and all `x-amz-*` and `x-coffer-*` headers must be signed.
    fn check_signed_headers(&self, headers: &HeaderMap) -> Result<(), S3Error> {
        let signed = |name: &str| self.signed_headers.iter().any(|s| s == name);
        let mut unsigned: Vec<&str> = headers
            .keys()
            .map(http::HeaderName::as_str)
            .filter(|name| SIGNED_FAMILIES.iter().any(|family| name.starts_with(family)))
            .filter(|name| *name != UNSIGNED_BY_RIGHT)
            .filter(|name| !signed(name))
            .collect();
        if !signed("host") {
            unsigned.push("host");
        }
        if unsigned.is_empty() {
            return Ok(());
        }
        Err(S3Error::with_message(
            Code::AccessDenied,
            "There were headers present in the request which were not signed",
        )
        .extra("HeadersNotSigned", unsigned.join(", ")))
    }
}

fn check_algorithm(algorithm: &str) -> Result<(), S3Error> {
    match algorithm {
        ALGORITHM => Ok(()),
        "AWS4-ECDSA-P256-SHA256" => {
            Err(S3Error::not_implemented("Signature version 4A (AWS4-ECDSA-P256-SHA256)"))
        }
        _ => Err(S3Error::with_message(Code::InvalidRequest, UNSUPPORTED)),
    }
}

fn with_region(error: S3Error, region: Option<String>) -> S3Error {
    match region {
        Some(region) => error.extra("Region", region),
        None => error,
    }
}

/// A credential: an access key and the scope of its signature.
struct Scope<'a> {
    access_key: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
}

impl<'a> Scope<'a> {
    fn parse(credential: &'a str) -> Result<Scope<'a>, String> {
        let mut parts = credential.rsplitn(5, '/');
        let mut part = || {
            parts.next().ok_or_else(|| {
                "the Credential is mal-formed; expecting \
                 \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."
                    .to_owned()
            })
        };
        let (terminal, service, region, day) = (part()?, part()?, part()?, part()?);
        let access_key = part()?;
        if terminal != "aws4_request" {
            return Err(format!(
                "incorrect terminal \"{terminal}\". This endpoint uses \"aws4_request\"."
            ));
        }
        Ok(Scope { access_key, day, region, service })
    }

    /// What is wrong, and the region to use if that is what is wrong.
    fn check(&self, at: Timestamp, region: &str) -> Result<(), (String, Option<String>)> {
        let date = time::amz_date(at);
        if self.day != &date[..8] {
            return Err((
                format!(
                    "Invalid credential date \"{}\". This date is not the same as X-Amz-Date: \
                     \"{}\".",
                    self.day,
                    &date[..8]
                ),
                None,
            ));
        }
        if self.region != region {
            return Err((
                format!("the region '{}' is wrong; expecting '{region}'", self.region),
                Some(region.to_owned()),
            ));
        }
        if self.service != "s3" {
            return Err((
                format!("incorrect service \"{}\". This endpoint belongs to \"s3\".", self.service),
                None,
            ));
        }
        Ok(())
    }
}

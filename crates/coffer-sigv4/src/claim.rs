//! What a request says about who signed it, before it is believed.

use coffer_base::Timestamp;
use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE};

use crate::error::{Error, Place};
use crate::header::single;
use crate::{ALGORITHM, EXPIRES_SECONDS_MAX, Expected, Query, Service, time};

/// The beginnings of headers that change what a request asks for.
const SIGNED_FAMILIES: &[&str] = &["x-amz-", "x-coffer-"];

/// Headers of the protocol's own that need no signature: the payload's hash stands in the
/// canonical request whatever the signed headers are.
const UNSIGNED_BY_RIGHT: &str = "x-amz-content-sha256";

/// The longest life of a presigned URL of another service than S3.
const OTHERS_SECONDS_MAX: u64 = 900;

/// A signature with everything needed to check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose signature it says it is.
    pub access_key: String,
    /// The day of the scope, `20130524`.
    pub day: String,
    /// The region of the scope.
    pub region: String,
    /// The service of the scope.
    pub service: Service,
    /// The token that goes with a temporary credential.
    pub security_token: Option<String>,
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
    /// Reads the claim of a request whose scope must be as `expected`. `None`: it has none at all.
    pub fn read(
        headers: &HeaderMap,
        query: &Query,
        expected: Expected<'_>,
    ) -> Result<Option<Claim>, Error> {
        let in_header = headers.contains_key(AUTHORIZATION);
        let v4_in_query = query.has("X-Amz-Algorithm")
            || query.has("X-Amz-Signature")
            || query.has("X-Amz-Credential");
        let v2_in_query = query.has("Signature") && query.has("AWSAccessKeyId");
        if usize::from(in_header) + usize::from(v4_in_query) + usize::from(v2_in_query) > 1 {
            return Err(Error::SeveralMechanisms);
        }
        if v2_in_query {
            return Err(Error::Unsupported);
        }
        let claim = if in_header {
            Claim::from_header(headers, expected)?
        } else if v4_in_query {
            Claim::from_query(headers, query, expected)?
        } else {
            return Ok(None);
        };
        claim.check_signed_headers(headers)?;
        Ok(Some(claim))
    }

    /// The credential scope.
    pub fn scope(&self) -> String {
        let mut out = String::with_capacity(48);
        self.push_scope(&mut out);
        out
    }

    pub(crate) fn push_scope(&self, out: &mut String) {
        for part in [&self.day, "/", &self.region, "/", self.service.name(), "/aws4_request"] {
            out.push_str(part);
        }
    }

    fn from_header(headers: &HeaderMap, expected: Expected<'_>) -> Result<Claim, Error> {
        let say = |what: &str| format!("The authorization header is malformed; {what}");
        let malformed = |what: &str| Error::Malformed { place: Place::Header, message: say(what) };
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
        let at = at.ok_or(Error::MissingDate)?;
        let service = scope.check(at, expected, Place::Header, say)?;
        let sent = single(headers, "x-amz-content-sha256")?;
        let payload_hash = match (expected.body_sha256, sent) {
            (None, sent) => sent.ok_or(Error::MissingPayloadHash)?,
            (Some(body), Some(sent)) if body != sent => return Err(Error::PayloadMismatch),
            (Some(body), _) => body,
        };
        let security_token = single(headers, "x-amz-security-token")?.map(str::to_owned);
        Ok(Claim {
            access_key: scope.access_key.to_owned(),
            day: scope.day.to_owned(),
            region: scope.region.to_owned(),
            service,
            security_token,
            at,
            signed_headers: names(signed_headers)
                .ok_or_else(|| malformed("the SignedHeaders name a header twice."))?,
            signature: signature.to_owned(),
            payload_hash: payload_hash.to_owned(),
            expires_seconds: None,
        })
    }

    fn from_query(
        headers: &HeaderMap,
        query: &Query,
        expected: Expected<'_>,
    ) -> Result<Claim, Error> {
        let wrong = |message: String| Error::Malformed { place: Place::Query, message };
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
        let say = |what: &str| format!("Error parsing the X-Amz-Credential parameter; {what}");
        let parsed = Scope::parse(credential).map_err(|what| wrong(say(&what)))?;
        let at = time::parse_amz_date(date).ok_or_else(|| {
            wrong("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"".into())
        })?;
        let service = parsed.check(at, expected, Place::Query, say)?;
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
            // A URL of S3 is handed on; one of the others acts as its signer, on identities.
            Ok(seconds) if service != Service::S3 && seconds as u64 > OTHERS_SECONDS_MAX => {
                return Err(wrong(format!(
                    "X-Amz-Expires must be at most {OTHERS_SECONDS_MAX} seconds for {}",
                    service.name()
                )));
            }
            Ok(seconds) => seconds as u64,
        };
        let signed_headers = names(signed_headers)
            .ok_or_else(|| wrong("X-Amz-SignedHeaders names a header twice.".to_owned()))?;
        let in_header = single(headers, "x-amz-content-sha256")?;
        let in_query = query.get("X-Amz-Content-Sha256");
        if let (Some(sent), Some(signed)) = (in_header, in_query)
            && sent != signed
        {
            return Err(Error::PayloadHashesDiffer);
        }
        let header_is_signed = signed_headers.iter().any(|name| name == "x-amz-content-sha256");
        let said = in_header.filter(|_| header_is_signed).or(in_query);
        let payload_hash = match (expected.body_sha256, said) {
            (None, said) => said.unwrap_or("UNSIGNED-PAYLOAD"),
            (Some(body), Some(said)) if body != said => return Err(Error::PayloadMismatch),
            (Some(body), _) => body,
        };
        let in_header = single(headers, "x-amz-security-token")?;
        let in_query = query.get("X-Amz-Security-Token");
        if let (Some(sent), Some(signed)) = (in_header, in_query)
            && sent != signed
        {
            return Err(Error::TokensDiffer);
        }
        let security_token = in_query.or(in_header).map(str::to_owned);
        Ok(Claim {
            access_key: parsed.access_key.to_owned(),
            day: parsed.day.to_owned(),
            region: parsed.region.to_owned(),
            service,
            security_token,
            at,
            signed_headers,
            signature: signature.to_owned(),
            payload_hash: payload_hash.to_owned(),
            expires_seconds: Some(expires_seconds),
        })
    }

    /// `host` and all `x-amz-*` and `x-coffer-*` headers must be signed.
    fn check_signed_headers(&self, headers: &HeaderMap) -> Result<(), Error> {
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
        Err(Error::HeadersNotSigned(unsigned.into_iter().map(str::to_owned).collect()))
    }
}

/// The names in a list of signed headers; `None` if one comes twice. What is signed is then no longer
/// than the head that it is made of, whoever sent it.
fn names(list: &str) -> Option<Vec<String>> {
    let names: Vec<String> = list.split(';').map(str::to_owned).collect();
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1]).then_some(names)
}

fn check_algorithm(algorithm: &str) -> Result<(), Error> {
    match algorithm {
        ALGORITHM => Ok(()),
        "AWS4-ECDSA-P256-SHA256" => Err(Error::AsymmetricUnsupported),
        _ => Err(Error::Unsupported),
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

    /// The service, if day, region and service are as `expected` of a request signed `at`.
    fn check(
        &self,
        at: Timestamp,
        expected: Expected<'_>,
        place: Place,
        say: impl Fn(&str) -> String,
    ) -> Result<Service, Error> {
        let wrong = |what: String, region: Option<&str>| Error::WrongScope {
            place,
            message: say(&what),
            region: region.map(str::to_owned),
        };
        let date = time::amz_date(at);
        let date = &date[..8];
        if self.day != date {
            let what = format!(
                "Invalid credential date \"{}\". This date is not the same as X-Amz-Date: \
                 \"{date}\".",
                self.day
            );
            return Err(wrong(what, None));
        }
        if !expected.regions.contains(&self.region) {
            let right = expected.regions.first().copied().unwrap_or_default();
            let what = format!("the region '{}' is wrong; expecting '{right}'", self.region);
            return Err(wrong(what, Some(right)));
        }
        let service = expected.service;
        if self.service != service.name() {
            let what = format!(
                "incorrect service \"{}\". This endpoint belongs to \"{}\".",
                self.service,
                service.name()
            );
            return Err(wrong(what, None));
        }
        Ok(service)
    }
}

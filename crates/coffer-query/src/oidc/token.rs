//! A JSON Web Token (RFC 7519) in its compact form (RFC 7515), read but not believed yet.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use coffer_base::Timestamp;
use serde_json::{Map, Value};

use crate::error::{Code, QueryError};

#[cfg(test)]
mod tests;

/// The longest token, as AWS has it.
pub(crate) const TOKEN_CHARS_MAX: usize = 20_000;
/// How far the issuer's clock may be from ours.
const SKEW_SECONDS: u64 = 60;
/// Tags of the session, which AWS takes from this claim.
const TAGS_CLAIM: &str = "https://aws.amazon.com/tags";

/// How a token may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    fn named(name: &str) -> Option<Algorithm> {
        match name {
            "RS256" => Some(Algorithm::Rs256),
            "ES256" => Some(Algorithm::Es256),
            _ => None,
        }
    }
}

/// A token with everything that is asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    /// How it is signed.
    pub(crate) algorithm: Algorithm,
    /// Which of the issuer's keys signed it.
    pub(crate) key_id: Option<String>,
    /// What is signed.
    pub(crate) signed: String,
    /// The signature.
    pub(crate) signature: Vec<u8>,
    /// `iss`.
    pub(crate) issuer: String,
    /// `sub`.
    pub(crate) subject: String,
    /// `azp`, if it is there; else `aud`.
    pub(crate) audience: Vec<String>,
    /// `aud` where `azp` took its place.
    pub(crate) original_audience: Option<Vec<String>>,
    /// `amr`.
    pub(crate) methods: Vec<String>,
    /// `exp`.
    pub(crate) expires_seconds: u64,
    /// `nbf`.
    pub(crate) not_before_seconds: Option<u64>,
    /// `iat`.
    pub(crate) issued_seconds: Option<u64>,
}

fn unreadable(why: &str) -> QueryError {
    QueryError::new(
        Code::InvalidIdentityToken,
        format!("The ID Token provided is not a valid JWT. {why}"),
    )
}

impl Token {
    /// Reads a token.
    pub(crate) fn parse(text: &str) -> Result<Token, QueryError> {
        if !(4..=TOKEN_CHARS_MAX).contains(&text.len()) {
            return Err(unreadable("It is too short or too long."));
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(unreadable("It does not have three parts."));
        };
        let decode = |part: &str| {
            BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| unreadable("A part is not base64url."))
        };
        let object = |part: &str| match serde_json::from_slice(&decode(part)?) {
            Ok(Value::Object(fields)) => Ok(fields),
            _ => Err(unreadable("A part is not a JSON object.")),
        };
        let (header_fields, claims_fields) = (object(header)?, object(claims)?);
        let algorithm = text_of(&header_fields, "alg")?
            .and_then(Algorithm::named)
            .ok_or_else(|| unreadable("It must be signed by RS256 or ES256."))?;
        if header_fields.contains_key("crit") {
            return Err(unreadable("It has critical header fields that are not understood."));
        }
        if claims_fields.contains_key(TAGS_CLAIM) {
            return Err(QueryError::not_implemented(&format!("The claim {TAGS_CLAIM}")));
        }
        let claim = |name: &str| -> Result<String, QueryError> {
            text_of(&claims_fields, name)?
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| unreadable(&format!("The claim {name} is missing.")))
        };
        let audience = texts_of(&claims_fields, "aud")?;
        let (audience, original_audience) = match text_of(&claims_fields, "azp")? {
            Some(party) => (vec![party.to_owned()], Some(audience)),
            None => (audience, None),
        };
        if audience.iter().all(String::is_empty) {
            return Err(unreadable("The claim aud is missing."));
        }
        Ok(Token {
            algorithm,
            key_id: text_of(&header_fields, "kid")?.map(str::to_owned),
            signed: format!("{header}.{claims}"),
            signature: decode(signature)?,
            issuer: claim("iss")?,
            subject: claim("sub")?,
            audience,
            original_audience,
            methods: texts_of(&claims_fields, "amr")?,
            expires_seconds: seconds_of(&claims_fields, "exp")?
                .ok_or_else(|| unreadable("The claim exp is missing."))?,
            not_before_seconds: seconds_of(&claims_fields, "nbf")?,
            issued_seconds: seconds_of(&claims_fields, "iat")?,
        })
    }

    /// The issuer as providers have it: its URL without the scheme and without a slash at its end.
    pub(crate) fn provider(&self) -> Result<&str, QueryError> {
        let name = self
            .issuer
            .strip_prefix("https://")
            .ok_or_else(|| unreadable("The issuer must be a URL that begins with https://."))?;
        Ok(name.strip_suffix('/').unwrap_or(name))
    }

    /// Refuses a token that is not of now.
    pub(crate) fn check_time(&self, now: Timestamp) -> Result<(), QueryError> {
        let now = now.seconds();
        if now >= self.expires_seconds {
            return Err(QueryError::new(
                Code::ExpiredTokenException,
                format!(
                    "Token expired: current date/time {now} must be before the expiration \
                     date/time {}",
                    self.expires_seconds
                ),
            ));
        }
        let later = [self.not_before_seconds, self.issued_seconds].into_iter().flatten();
        if later.max().is_some_and(|begins| begins > now + SKEW_SECONDS) {
            return Err(QueryError::new(
                Code::InvalidIdentityToken,
                "The ID Token provided is not valid yet.",
            ));
        }
        Ok(())
    }

    /// Refuses a token that was made for somebody else.
    pub(crate) fn check_audience(&self, client_ids: &[String]) -> Result<(), QueryError> {
        if self.audience.iter().any(|audience| client_ids.contains(audience)) {
            return Ok(());
        }
        Err(QueryError::new(Code::InvalidIdentityToken, "Incorrect token audience"))
    }
}

fn text_of<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, QueryError> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(unreadable(&format!("{name} is not a text."))),
    }
}

/// A text, or a list of them.
fn texts_of(fields: &Map<String, Value>, name: &str) -> Result<Vec<String>, QueryError> {
    let wrong = || unreadable(&format!("{name} is not a text or a list of texts."));
    match fields.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(values)) => {
            let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
            values.iter().map(text).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// Seconds since 1970, which may have a fraction.
fn seconds_of(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, QueryError> {
    let wrong = || unreadable(&format!("{name} is not a time."));
    match fields.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            let seconds = number.as_f64().filter(|s| (0.0..253_402_300_800.0).contains(s));
            Ok(Some(seconds.ok_or_else(wrong)? as u64))
        }
        Some(_) => Err(wrong()),
    }
}

//! Whether a claim is true: its time, then its signature.

use coffer_base::Timestamp;
use http::{HeaderMap, Method};
use subtle::ConstantTimeEq as _;

use crate::error::Mismatch;
use crate::{
    ChunkSigner, Claim, Error, SKEW_MS_MAX, Service, SigningKey, SigningKeys, canonical, time,
};

/// What a signature covers: the head of a request as it came.
#[derive(Clone, Copy, Debug)]
pub struct SignedHead<'a> {
    /// The HTTP method.
    pub method: &'a Method,
    /// The path, still encoded.
    pub path: &'a str,
    /// The query, still encoded; empty when there is none.
    pub query: &'a str,
    /// The headers. `host` is among them.
    pub headers: &'a HeaderMap,
}

impl Claim {
    /// Checks the claim's time and then its signature against `secret`. The signer of the
    /// payload's chunks continues from it.
    pub fn verify(
        &self,
        head: SignedHead<'_>,
        secret: &str,
        keys: &SigningKeys,
        now: Timestamp,
    ) -> Result<ChunkSigner, Error> {
        self.check_time(now)?;
        let key = keys.get(&self.access_key, secret, &self.day, &self.region, self.service);
        let path = canonical::path(self.service, head.path);
        let canonical = canonical::request(head, self, &path);
        let string_to_sign = canonical::string_to_sign(self, &canonical);
        let mut right = matches(&key, &string_to_sign, &self.signature);
        if !right && self.service == Service::S3 && path != head.path {
            // Some clients sign the path as they sent it, with other escapes than AWS's own.
            let raw = canonical::request(head, self, head.path);
            let string_to_sign = canonical::string_to_sign(self, &raw);
            right = matches(&key, &string_to_sign, &self.signature);
        }
        if !right {
            return Err(self.does_not_match(&string_to_sign, &canonical));
        }
        Ok(ChunkSigner::new(key, time::amz_date(self.at), self.scope(), self.signature.clone()))
    }

    fn check_time(&self, now: Timestamp) -> Result<(), Error> {
        let skew_ms = now.0.abs_diff(self.at.0);
        let Some(expires_seconds) = self.expires_seconds else {
            if skew_ms <= SKEW_MS_MAX {
                return Ok(());
            }
            return Err(Error::TooSkewed { at: self.at, now });
        };
        if self.at > now && skew_ms > SKEW_MS_MAX {
            return Err(Error::NotYetValid);
        }
        let expires = Timestamp(self.at.0 + expires_seconds * 1000);
        if now > expires {
            return Err(Error::Expired { expires_seconds, expires, now });
        }
        Ok(())
    }

    fn does_not_match(&self, string_to_sign: &str, canonical: &[u8]) -> Error {
        Error::DoesNotMatch(Box::new(Mismatch {
            access_key: self.access_key.clone(),
            string_to_sign: string_to_sign.to_owned(),
            signature: self.signature.clone(),
            canonical: canonical.to_owned(),
        }))
    }
}

/// Compares in constant time whether `signature`, in hex, is that of `string_to_sign`.
fn matches(key: &SigningKey, string_to_sign: &str, signature: &str) -> bool {
    let right = key.sign_hex(string_to_sign.as_bytes());
    right.ct_eq(signature.as_bytes()).into()
}

//! Who asks: AWS Signature Version 4, in the `Authorization` header or in the query.
//!
//! Reading the claim needs no secret and no I/O; then the caller looks the access key up and
//! verifies. The secret never leaves this module's arguments.

mod canonical;
mod chunk;
mod claim;
mod key;
pub mod sign;

use coffer_base::Timestamp;
use http::{HeaderMap, Method};
use subtle::ConstantTimeEq as _;

use crate::error::{Code, S3Error};
use crate::time;

pub use chunk::ChunkSigner;
pub use claim::Claim;
pub use key::{SigningKey, SigningKeys};

/// The only algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far a request's clock may be from the server's, both ways.
pub const SKEW_MS_MAX: u64 = 15 * 60 * 1000;
/// The longest life of a presigned URL: seven days.
pub const EXPIRES_SECONDS_MAX: u64 = 604_800;

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
    ) -> Result<ChunkSigner, S3Error> {
        self.check_time(now)?;
        let key = keys.get(&self.access_key, secret, &self.day, &self.region);
        let canonical = canonical::request(head, self, &canonical::path(head.path));
        let string_to_sign = canonical::string_to_sign(self, &canonical);
        let mut right = matches(&key, &string_to_sign, &self.signature);
        if !right && canonical::path(head.path) != head.path {
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

    fn check_time(&self, now: Timestamp) -> Result<(), S3Error> {
        let skew_ms = now.0.abs_diff(self.at.0);
        let Some(expires_seconds) = self.expires_seconds else {
            if skew_ms <= SKEW_MS_MAX {
                return Ok(());
            }
            return Err(S3Error::new(Code::RequestTimeTooSkewed)
                .extra("RequestTime", time::amz_date(self.at))
                .extra("ServerTime", time::iso8601(now))
                .extra("MaxAllowedSkewMilliseconds", SKEW_MS_MAX.to_string()));
        };
        if self.at > now && skew_ms > SKEW_MS_MAX {
            return Err(S3Error::with_message(Code::AccessDenied, "Request is not yet valid"));
        }
        let expires = Timestamp(self.at.0 + expires_seconds * 1000);
        if now > expires {
            return Err(S3Error::with_message(Code::AccessDenied, "Request has expired")
                .extra("X-Amz-Expires", expires_seconds.to_string())
                .extra("Expires", time::iso8601(expires))
                .extra("ServerTime", time::iso8601(now)));
        }
        Ok(())
    }

    fn does_not_match(&self, string_to_sign: &str, canonical: &[u8]) -> S3Error {
        S3Error::new(Code::SignatureDoesNotMatch)
            .extra("AWSAccessKeyId", &self.access_key)
            .extra("StringToSign", string_to_sign)
            .extra("SignatureProvided", &self.signature)
            .extra("StringToSignBytes", spaced_hex(string_to_sign.as_bytes()))
            .extra("CanonicalRequest", String::from_utf8_lossy(canonical))
            .extra("CanonicalRequestBytes", spaced_hex(canonical))
    }
}

/// Compares in constant time whether `signature`, in hex, is that of `string_to_sign`.
fn matches(key: &SigningKey, string_to_sign: &str, signature: &str) -> bool {
    let right = key.sign(string_to_sign.as_bytes());
    right.as_bytes().ct_eq(signature.as_bytes()).into()
}

fn spaced_hex(bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    hex.join(" ")
}

#[cfg(test)]
mod tests;

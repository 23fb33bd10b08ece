//! Signatures of an aws-chunked payload: each covers the one before it, the first that of the
//! request's head.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{Error, SigningKey};

/// Signs, or checks, the chunks of one payload in order.
#[derive(Clone)]
pub struct ChunkSigner {
    key: SigningKey,
    date: String,
    scope: String,
    previous: String,
}

impl ChunkSigner {
    /// Continues the head's signature `seed`, made at `date` (in SigV4's form) within `scope`.
    pub fn new(key: SigningKey, date: String, scope: String, seed: String) -> Self {
        Self { key, date, scope, previous: seed }
    }

    /// Signs the next chunk, given its SHA-256.
    pub fn sign_chunk(&mut self, digest: &[u8; 32]) -> String {
        let empty = hex::encode(Sha256::digest(b""));
        self.sign("AWS4-HMAC-SHA256-PAYLOAD", &format!("{empty}\n{}", hex::encode(digest)))
    }

    /// Signs the trailers, given as name and value in the order they are sent.
    pub fn sign_trailer(&mut self, trailers: &[(String, String)]) -> String {
        let mut digest = Sha256::new();
        for (name, value) in trailers {
            digest.update(format!("{name}:{value}\n"));
        }
        self.sign("AWS4-HMAC-SHA256-TRAILER", &hex::encode(digest.finalize()))
    }

    fn sign(&mut self, algorithm: &str, rest: &str) -> String {
        let Self { date, scope, previous, .. } = self;
        let string_to_sign = format!("{algorithm}\n{date}\n{scope}\n{previous}\n{rest}");
        let signature = self.key.sign(string_to_sign.as_bytes());
        self.previous.clone_from(&signature);
        signature
    }

    /// Checks the next chunk's signature.
    pub fn check_chunk(&mut self, digest: &[u8; 32], signature: &str) -> Result<(), Error> {
        let right = self.sign_chunk(digest);
        compare(&right, signature)
    }

    /// Checks the trailers' signature.
    pub fn check_trailer(
        &mut self,
        trailers: &[(String, String)],
        signature: &str,
    ) -> Result<(), Error> {
        let right = self.sign_trailer(trailers);
        compare(&right, signature)
    }
}

fn compare(right: &str, given: &str) -> Result<(), Error> {
    if right.as_bytes().ct_eq(given.as_bytes()).into() {
        Ok(())
    } else {
        Err(Error::ChunkDoesNotMatch)
    }
}

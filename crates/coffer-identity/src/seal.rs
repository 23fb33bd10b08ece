//! Sealing with the store's secret key: AES-256-GCM by `ring`.
//!
//! From the one key of the store two are derived, one for secrets at rest and one for session
//! tokens, so that nothing sealed for one purpose opens for the other. A sealed text is a random
//! nonce of 12 bytes, then the ciphertext, then its tag of 16 bytes. What it belongs to (an access
//! key) is bound to it: it opens for nothing else.

use std::fmt;

use coffer_base::Rng;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

use crate::identity::RootKey;

#[cfg(test)]
mod tests;

/// Bytes of the store's secret key.
pub const SECRET_KEY_BYTES: usize = 32;

/// The key that a store seals its secrets with. It is kept outside the store's log.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; SECRET_KEY_BYTES]);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

impl SecretKey {
    /// These bytes.
    pub const fn new(bytes: [u8; SECRET_KEY_BYTES]) -> SecretKey {
        SecretKey(bytes)
    }

    /// A new one.
    pub fn random(rng: &dyn Rng) -> SecretKey {
        let mut bytes = [0; SECRET_KEY_BYTES];
        rng.fill(&mut bytes);
        SecretKey(bytes)
    }

    /// Reads 64 hexadecimal digits; white space around them does not count.
    pub fn parse(text: &str) -> Option<SecretKey> {
        let mut bytes = [0; SECRET_KEY_BYTES];
        hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
        Some(SecretKey(bytes))
    }

    /// As [`SecretKey::parse`] reads it. For the file that keeps it, nothing else.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    fn derived(&self, purpose: &str) -> LessSafeKey {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), purpose.as_bytes());
        let key = UnboundKey::new(&AES_256_GCM, tag.as_ref());
        LessSafeKey::new(key.expect("a tag of HMAC-SHA256 is as long as such a key"))
    }
}

/// What seals and opens.
#[derive(Clone)]
pub(crate) struct Seals {
    secrets: Sealer,
    tokens: Sealer,
    macs: hmac::Key,
}

impl Seals {
    pub(crate) fn new(key: &SecretKey) -> Seals {
        Seals {
            secrets: Sealer(key.derived("coffer: secrets at rest, 1")),
            tokens: Sealer(key.derived("coffer: session tokens, 1")),
            macs: {
                let purpose = "coffer: the operator's secret, 1".as_bytes();
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), purpose);
                hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref())
            },
        }
    }

    /// What the operator's key pair is known by in tokens, without telling its secret.
    pub(crate) fn mac_of(&self, root: &RootKey) -> [u8; 32] {
        let mut mac = [0; 32];
        mac.copy_from_slice(hmac::sign(&self.macs, pair(root).as_bytes()).as_ref());
        mac
    }

    /// Whether it is that of this key pair.
    pub(crate) fn is_mac_of(&self, root: &RootKey, mac: &[u8; 32]) -> bool {
        hmac::verify(&self.macs, pair(root).as_bytes(), mac).is_ok()
    }

    /// For secrets at rest.
    pub(crate) fn secrets(&self) -> &Sealer {
        &self.secrets
    }

    /// For session tokens.
    pub(crate) fn tokens(&self) -> &Sealer {
        &self.tokens
    }
}

/// Access keys have no line breaks.
fn pair(root: &RootKey) -> String {
    format!("{}\n{}", root.access_key, root.secret)
}

/// Seals for one purpose.
#[derive(Clone)]
pub(crate) struct Sealer(LessSafeKey);

impl Sealer {
    /// `text` sealed, to be opened with the same `belongs_to` only.
    pub(crate) fn seal(&self, rng: &dyn Rng, belongs_to: &str, text: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill(&mut nonce);
        let mut sealed = text.to_vec();
        let (at, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(belongs_to.as_bytes()));
        let done = self.0.seal_in_place_append_tag(at, aad, &mut sealed);
        done.expect("a text of a few KiB is not too long to be sealed");
        let mut out = nonce.to_vec();
        out.append(&mut sealed);
        out
    }

    /// The text; `None`: it was sealed by another key or for something else, or was changed.
    pub(crate) fn open(&self, belongs_to: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let (at, aad) = (Nonce::assume_unique_for_key(*nonce), Aad::from(belongs_to.as_bytes()));
        let len = self.0.open_in_place(at, aad, &mut text).ok()?.len();
        text.truncate(len);
        Some(text)
    }
}

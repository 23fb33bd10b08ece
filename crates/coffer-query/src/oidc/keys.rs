//! The keys that an issuer publishes (RFC 7517), and whether one of them made a signature.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;

use super::token::{Algorithm, Token};

#[cfg(test)]
mod tests;

/// The most keys of one issuer.
const KEYS_MAX: usize = 100;

/// The keys of an issuer that can be used here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeySet(Vec<Key>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
}

impl KeySet {
    /// Reads a key set. Keys of other kinds and for other uses are passed over, as RFC 7517, 5,
    /// asks. `None`: it is not a key set.
    pub(crate) fn parse(document: &[u8]) -> Option<KeySet> {
        let document: Value = serde_json::from_slice(document).ok()?;
        let keys = document.get("keys")?.as_array()?;
        Some(KeySet(keys.iter().take(KEYS_MAX).filter_map(Key::parse).collect()))
    }

    /// Whether one of the keys that the token may mean is here.
    pub(crate) fn knows(&self, token: &Token) -> bool {
        self.meant(token).next().is_some()
    }

    /// Whether the token was signed by one of these keys.
    pub(crate) fn signed(&self, token: &Token) -> bool {
        self.meant(token).any(|key| key.signed(token))
    }

    fn meant(&self, token: &Token) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| {
            let fits = match key.material {
                Material::Rsa { .. } => token.algorithm == Algorithm::Rs256,
                Material::P256(_) => token.algorithm == Algorithm::Es256,
            };
            fits && (token.key_id.is_none() || token.key_id == key.id)
        })
    }
}

impl Key {
    fn parse(key: &Value) -> Option<Key> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok();
        if text("use").is_some_and(|used| used != "sig") {
            return None;
        }
        let only_for = |algorithm: &str| text("alg").is_none_or(|alg| alg == algorithm);
        let material = match text("kty")? {
            "RSA" if only_for("RS256") => {
                let positive = |bytes: Vec<u8>| {
                    let zeros = bytes.iter().take_while(|b| **b == 0).count();
                    bytes[zeros..].to_vec()
                };
                Material::Rsa { n: positive(bytes("n")?), e: positive(bytes("e")?) }
            }
            "EC" if only_for("ES256") && text("crv") == Some("P-256") => {
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                Material::P256([&[4][..], &x, &y].concat())
            }
            _ => return None,
        };
        Some(Key { id: text("kid").map(str::to_owned), material })
    }

    fn signed(&self, token: &Token) -> bool {
        let (message, signature) = (token.signed.as_bytes(), &token.signature);
        match &self.material {
            Material::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            Material::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(message, signature)
                .is_ok(),
        }
    }
}

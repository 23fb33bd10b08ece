//! A certificate chain with its private key, checked before it is used.

mod validity;

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};

pub use validity::Validity;

/// More of a chain is refused.
const CHAIN_LEN_MAX: usize = 16;

/// Why a certificate and key can't be used; in words that say which of the two is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(String);

impl Unusable {
    pub(crate) fn new(what: impl Into<String>) -> Unusable {
        Unusable(what.into())
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

/// A chain and its key, which fit each other.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    /// From when and until when it is valid.
    pub validity: Validity,
    /// SHA-256 of the certificate itself, as `AA:BB:…`.
    pub fingerprint: String,
}

impl Certificate {
    /// Reads a chain (the server's own certificate first) and a private key (PKCS#8, SEC1 or
    /// PKCS#1; RSA, ECDSA on P-256 or P-384, Ed25519), both PEM. Text around the blocks and
    /// blocks of other kinds are skipped, so both may come from one file.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Certificate, Unusable> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Unusable(format!("the certificate is not readable PEM: {e}")))?;
        if chain.is_empty() {
            return Err(Unusable::new("the certificate has no block BEGIN CERTIFICATE"));
        }
        if chain.len() > CHAIN_LEN_MAX {
            return Err(Unusable(format!("the chain has more than {CHAIN_LEN_MAX} certificates")));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| {
            Unusable(match e {
                rustls::pki_types::pem::Error::NoItemsFound => {
                    "the key has no block BEGIN PRIVATE KEY (encrypted ones are not read)".into()
                }
                e => format!("the key is not readable PEM: {e}"),
            })
        })?;
        let own = &chain[0];
        let validity = Validity::of(own)
            .ok_or_else(|| Unusable::new("the certificate is not readable: no dates in it"))?;
        let digest = Sha256::digest(own);
        let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        let fingerprint = pairs.join(":");
        let key = CertifiedKey::from_der(chain, key, &default_provider()).map_err(|e| {
            Unusable(match e {
                rustls::Error::InconsistentKeys(_) => {
                    "the key is not the certificate's: they do not fit each other".to_owned()
                }
                e => format!("the certificate and its key can't be used: {e}"),
            })
        })?;
        Ok(Certificate { key: Arc::new(key), validity, fingerprint })
    }
}

#[cfg(test)]
mod tests;

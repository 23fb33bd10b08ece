//! Signing keys: derived from a secret for one day, region and service, and remembered.

use std::collections::HashMap;
use std::sync::Mutex;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::Service;

/// How many keys are remembered; when there are more, all are forgotten.
const REMEMBERED_MAX: usize = 4096;

/// A key that signs for one day, region and service.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Derives it: four HMACs, as the specification has it.
    pub fn derive(secret: &str, day: &str, region: &str, service: Service) -> SigningKey {
        let first = hmac(format!("AWS4{secret}").as_bytes(), day.as_bytes());
        let key = hmac(&first, region.as_bytes());
        let key = hmac(&key, service.name().as_bytes());
        let key = hmac(&key, b"aws4_request");
        SigningKey(keyed(&key))
    }

    /// The signature of `text` in hex.
    pub fn sign(&self, text: &[u8]) -> String {
        std::str::from_utf8(&self.sign_hex(text)).expect("hex is ASCII").to_owned()
    }

    /// The same without an allocation.
    pub(crate) fn sign_hex(&self, text: &[u8]) -> [u8; 64] {
        let mut mac = self.0.clone();
        mac.update(text);
        hex(&mac.finalize().into_bytes().into())
    }
}

/// 32 bytes in hex.
pub(crate) fn hex(bytes: &[u8; 32]) -> [u8; 64] {
    let mut out = [0; 64];
    hex::encode_to_slice(bytes, &mut out).expect("twice as long");
    out
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = keyed(key);
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// Remembers the keys that were derived, so that a request costs one HMAC and not five.
#[derive(Default)]
pub struct SigningKeys(Mutex<HashMap<String, Remembered>>);

struct Remembered {
    secret: String,
    day: String,
    region: String,
    service: Service,
    key: SigningKey,
}

impl SigningKeys {
    /// The key of `access_key`, whose secret is `secret` now. One day is remembered for each.
    pub fn get(
        &self,
        access_key: &str,
        secret: &str,
        day: &str,
        region: &str,
        service: Service,
    ) -> SigningKey {
        let mut remembered = self.0.lock().expect("nothing panics while holding it");
        if let Some(r) = remembered.get(access_key)
            && r.secret == secret
            && r.day == day
            && r.region == region
            && r.service == service
        {
            return r.key.clone();
        }
        let key = SigningKey::derive(secret, day, region, service);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        let entry = Remembered {
            secret: secret.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            service,
            key: key.clone(),
        };
        remembered.insert(access_key.to_owned(), entry);
        key
    }
}

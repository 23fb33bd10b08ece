//! A certificate that nobody vouches for, to begin with: who connects compares its fingerprint,
//! or is given the certificate itself.

use coffer_base::Timestamp;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use crate::certificate::Unusable;

/// How long it is valid; nobody renews it.
const DAYS: u64 = 3650;
const DAY_SECS: u64 = 86_400;
/// The last time that a certificate can name is at the end of the year 9999.
const SECS_MAX: u64 = 253_402_300_799;

/// A certificate and its key, as PEM.
pub struct Pair {
    /// The chain, the server's own certificate first.
    pub chain: String,
    /// The private key.
    pub key: String,
}

/// Makes one for `names`: host names (`*.` may stand for one label) and IP addresses.
pub fn make(names: &[String], now: Timestamp) -> Result<Pair, Unusable> {
    let mut params = CertificateParams::new(names).map_err(failed)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "Coffer, self-signed");
    params.distinguished_name = subject;
    // A clock that is behind by a little must not refuse it.
    let after = |secs: u64| std::time::Duration::from_secs(secs.min(SECS_MAX));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + after(now.seconds().saturating_sub(DAY_SECS));
    params.not_after = epoch + after(now.seconds().saturating_add(DAYS * DAY_SECS));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(failed)?;
    // Two certificates of one issuer must not have the same number.
    let number = <sha2::Sha256 as sha2::Digest>::digest(key.public_key_raw());
    params.serial_number = Some(SerialNumber::from_slice(&number[..16]));
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(Pair { chain: certificate.pem(), key: key.serialize_pem() })
}

/// What answers the challenge TLS-ALPN-01 for `domain` (RFC 8737, 3): a certificate whose
/// extension, which is critical, says the SHA-256 of the key authorization.
pub(crate) fn challenge(domain: &str, digest: &[u8; 32]) -> Result<CertifiedKey, Unusable> {
    let mut params = CertificateParams::new([domain.to_owned()]).map_err(failed)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let key = any_supported_type(&key).map_err(|e| Unusable::new(e.to_string()))?;
    // The check of other certificates would refuse an extension that is critical and unknown.
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

fn failed(error: rcgen::Error) -> Unusable {
    Unusable::new(format!("no certificate could be made: {error}"))
}

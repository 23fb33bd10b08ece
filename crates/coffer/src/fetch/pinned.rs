//! Whose certificates are believed: those that the machine trusts, and those below a certificate
//! that has one of the thumbprints which a provider was registered with.
//!
//! A thumbprint is AWS's: the SHA-1 of a certificate of the chain that the server shows, as a rule
//! of the authority that signed the server's. Another certificate with the same SHA-1 can't be
//! made for one that exists (that would need a second preimage, not a collision).

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha1::{Digest as _, Sha1};

/// Checks a server's certificates.
#[derive(Debug)]
pub struct Pinned {
    /// `None`: this machine trusts nobody.
    trusted: Option<Arc<WebPkiServerVerifier>>,
    thumbprints: Vec<String>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    /// Believes `roots`, and certificates with these thumbprints.
    pub fn new(
        roots: Arc<RootCertStore>,
        thumbprints: &[String],
    ) -> Result<Pinned, rustls::server::VerifierBuilderError> {
        let provider = Arc::new(ring::default_provider());
        let trusted = match roots.is_empty() {
            true => None,
            false => Some(verifier(roots, &provider)?),
        };
        let thumbprints = thumbprints.iter().map(|text| text.to_ascii_lowercase()).collect();
        Ok(Pinned { trusted, thumbprints, provider })
    }

    /// What signatures and keys are computed with.
    pub fn provider(&self) -> Arc<CryptoProvider> {
        self.provider.clone()
    }

    fn is_pinned(&self, certificate: &CertificateDer<'_>) -> bool {
        let thumbprint = hex::encode(Sha1::digest(certificate));
        self.thumbprints.contains(&thumbprint)
    }
}

fn verifier(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, rustls::server::VerifierBuilderError> {
    WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refused = match &self.trusted {
            Some(trusted) => {
                match trusted.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
                    Ok(verified) => return Ok(verified),
                    Err(error) => error,
                }
            }
            None => Error::General("this machine trusts no certificates".to_owned()),
        };
        if self.is_pinned(end_entity) {
            // It is the very certificate that was registered; that it is the host's is left.
            let parsed = ParsedCertificate::try_from(end_entity)?;
            rustls::client::verify_server_name(&parsed, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        // The first of them decides: which one it is, is the operator's choice.
        if let Some(authority) = intermediates.iter().find(|found| self.is_pinned(found)) {
            let mut roots = RootCertStore::empty();
            roots.add(authority.clone().into_owned())?;
            let below = verifier(Arc::new(roots), &self.provider)
                .map_err(|error| Error::General(error.to_string()))?;
            return below.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        }
        Err(refused)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

//! TLS: which certificate is shown, and the handshake.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ProtocolVersion, ServerConfig};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::answer::TlsVersion;
use crate::certificate::{Certificate, Unusable};
use crate::handshakes::Handshakes;
use crate::opening::Reopened;

/// The protocols that are agreed on in the handshake (RFC 7301).
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// The protocol of the challenge TLS-ALPN-01 (RFC 8737, 4).
const ACME: &[u8] = b"acme-tls/1";

/// How much a connection encrypts before it writes: so many bytes go to the kernel in one call.
const SEND_BYTES_MAX: usize = 256 << 10;

/// The certificate that is shown now; it can be replaced while connections go on.
#[derive(Default)]
pub struct Certificates {
    shown: RwLock<Option<Arc<Certificate>>>,
    /// By domain: what answers a challenge.
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl Certificates {
    /// Shows `certificate` from the next handshake on.
    pub fn show(&self, certificate: Certificate) {
        *self.shown.write().expect("no holder panics") = Some(Arc::new(certificate));
    }

    /// What is shown.
    pub fn shown(&self) -> Option<Arc<Certificate>> {
        self.shown.read().expect("no holder panics").clone()
    }

    /// Answers the challenge TLS-ALPN-01 for `domain` until what is returned is dropped.
    pub fn challenge(
        self: &Arc<Self>,
        domain: &str,
        digest: &[u8; 32],
    ) -> Result<Challenge, Unusable> {
        let answer = crate::self_signed::challenge(domain, digest)?;
        let domain = domain.to_ascii_lowercase();
        let mut challenges = self.challenges.write().expect("no holder panics");
        challenges.insert(domain.clone(), Arc::new(answer));
        drop(challenges);
        Ok(Challenge { domain, certificates: self.clone() })
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("shown", &self.shown()).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let only_challenge = hello
            .alpn()
            .is_some_and(|mut offered| offered.next() == Some(ACME) && offered.next().is_none());
        if only_challenge {
            let domain = hello.server_name()?.to_ascii_lowercase();
            return self.challenges.read().expect("no holder panics").get(&domain).cloned();
        }
        Some(self.shown()?.key.clone())
    }
}

/// A challenge that is answered until this is dropped.
pub struct Challenge {
    domain: String,
    certificates: Arc<Certificates>,
}

impl Drop for Challenge {
    fn drop(&mut self) {
        self.certificates.challenges.write().expect("no holder panics").remove(&self.domain);
    }
}

/// TLS as one server speaks it.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    handshakes: Handshakes,
    time_max: Duration,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// How a handshake failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It took too long, or had to make room for younger ones.
    Slow,
    /// The other end is at fault, or gone.
    Broken(io::Error),
}

/// What was agreed on in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreed {
    Http1,
    Http2,
    /// A challenge, over with the handshake.
    Challenge,
}

impl Tls {
    /// Versions 1.2 and 1.3 with what `certificates` shows. A handshake may take `time_max`, and
    /// of more than `handshakes_max` the oldest are given up.
    pub fn new(
        certificates: Arc<Certificates>,
        time_max: Duration,
        handshakes_max: usize,
    ) -> Result<Tls, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = [HTTP2, HTTP1, ACME].map(<[u8]>::to_vec).to_vec();
        config.ticketer = Ticketer::new()?;
        // Whoever resumes would else be counted in a table that strangers can fill.
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Tls { acceptor, handshakes: Handshakes::new(handshakes_max), time_max })
    }

    /// Shakes hands over `connection`.
    pub(crate) async fn accept(
        &self,
        connection: Reopened,
    ) -> Result<(TlsStream<Reopened>, Agreed, TlsVersion), Failed> {
        let mut underway = self.handshakes.begin();
        let handshake = self.acceptor.accept_with(connection, |session| {
            session.set_buffer_limit(Some(SEND_BYTES_MAX));
        });
        let stream = tokio::select! {
            _ = &mut underway.outrun => return Err(Failed::Slow),
            shaken = timeout(self.time_max, handshake) => match shaken {
                Err(_) => return Err(Failed::Slow),
                Ok(Err(error)) => return Err(Failed::Broken(error)),
                Ok(Ok(stream)) => stream,
            },
        };
        let agreed = match stream.get_ref().1.alpn_protocol() {
            Some(HTTP2) => Agreed::Http2,
            Some(ACME) => Agreed::Challenge,
            _ => Agreed::Http1,
        };
        // Those are the two that are offered.
        let version = match stream.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::V1_3,
            _ => TlsVersion::V1_2,
        };
        Ok((stream, agreed, version))
    }
}

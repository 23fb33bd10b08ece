//! Fetching what identity providers publish, over HTTPS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use coffer_query::oidc::fetch::DOCUMENT_BYTES_MAX;
use coffer_query::{Fetch, FetchError, Fetching};
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

mod pinned;

use pinned::Pinned;

/// How long one document may take, from looking the name up to its last byte.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Fetches over the machine's network.
///
/// Who may name a provider, and the provider itself by its `jwks_uri`, choose where the server
/// connects to. So only addresses of the public network are reached, unless a setting says
/// otherwise: what is told to this machine or its own network by its address alone is not for them.
#[derive(Default)]
pub struct HttpsFetch {
    /// Whether addresses of this machine and of private networks are reached as well.
    private_addresses: bool,
    /// What the machine trusts; read when it is first needed.
    roots: OnceLock<Arc<RootCertStore>>,
}

impl Fetch for HttpsFetch {
    fn get<'a>(&'a self, url: &'a str, thumbprints: &'a [String]) -> Fetching<'a> {
        Box::pin(async move {
            match tokio::time::timeout(TIME_MAX, self.fetch(url, thumbprints)).await {
                Ok(fetched) => fetched,
                Err(_) => Err(trouble(format!("no answer within {} s", TIME_MAX.as_secs()))),
            }
        })
    }
}

fn trouble(what: impl ToString) -> FetchError {
    FetchError(what.to_string())
}

impl HttpsFetch {
    /// `private_addresses`: also from addresses that are not of the public network.
    pub fn new(private_addresses: bool) -> HttpsFetch {
        HttpsFetch { private_addresses, roots: OnceLock::new() }
    }

    /// Connects to one of the host's addresses. What is checked is what is connected to: the name
    /// is not looked up again.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, FetchError> {
        let found: Vec<SocketAddr> =
            tokio::net::lookup_host((host, port)).await.map_err(trouble)?.collect();
        let is_allowed = |address: &&SocketAddr| self.private_addresses || is_public(address.ip());
        let allowed: Vec<SocketAddr> = found.iter().filter(is_allowed).copied().collect();
        if allowed.is_empty() {
            return Err(trouble(
                "its host has no address of the public network (oidc_private_addresses allows \
                 others)",
            ));
        }
        TcpStream::connect(&allowed[..]).await.map_err(trouble)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let read = || {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!("certificates that this machine trusts: {error}");
            }
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(found.certs);
            Arc::new(roots)
        };
        self.roots.get_or_init(read).clone()
    }

    async fn fetch(&self, url: &str, thumbprints: &[String]) -> Result<Bytes, FetchError> {
        let uri: Uri = url.parse().map_err(trouble)?;
        if uri.scheme_str() != Some("https") {
            return Err(trouble("it is not https://"));
        }
        let authority = uri.authority().ok_or_else(|| trouble("it names no host"))?;
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(trouble)?;

        let verifier = Pinned::new(self.roots(), thumbprints).map_err(trouble)?;
        let mut config = ClientConfig::builder_with_provider(verifier.provider())
            .with_safe_default_protocol_versions()
            .map_err(trouble)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];

        let port = authority.port_u16().unwrap_or(443);
        let stream = self.connect(bare, port).await?;
        let stream =
            TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(trouble)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(trouble)?;
        // It ends with the sender.
        let talking = tokio::spawn(connection);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::get(path)
            .header(HOST, authority.as_str())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "Coffer")
            .body(Empty::<Bytes>::new())
            .map_err(trouble)?;
        let reply = sender.send_request(request).await.map_err(trouble)?;
        if reply.status() != StatusCode::OK {
            return Err(trouble(format!("it answered {}", reply.status())));
        }
        let body = Limited::new(reply.into_body(), DOCUMENT_BYTES_MAX).collect().await;
        talking.abort();
        Ok(body.map_err(trouble)?.to_bytes())
    }
}

/// Whether it may be an address of the public network (RFC 6890: what is not set aside).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let set_aside = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        // Between carriers and their customers (RFC 6598), benchmarks (RFC 2544), protocols.
        || (a == 100 && b & 0xc0 == 64)
        || (a == 198 && b & 0xfe == 18)
        || (a == 192 && b == 0 && c == 0)
        // Reserved, and the broadcast address.
        || a >= 240;
    !set_aside
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Addresses that stand for one of version 4: mapped, translated (RFC 6052), 6to4 (RFC 3056).
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => v4(g, h),
        [0x2002, high, low, ..] => v4(high, low),
        // Global unicast but for documentation and Teredo; everything else is set aside.
        _ => a & 0xe000 == 0x2000 && !(a == 0x2001 && (b == 0xdb8 || b == 0)),
    }
}

#[cfg(test)]
mod tests;

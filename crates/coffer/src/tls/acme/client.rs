//! HTTPS requests, one connection each: an order needs about a dozen.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// For one request to be answered whole.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A client of servers that certain authorities vouch for.
pub struct HttpsClient {
    tls: TlsConnector,
}

impl HttpsClient {
    /// Trusts the certificates in the file `ca`, else the system's.
    pub fn new(ca: Option<&Path>) -> anyhow::Result<HttpsClient> {
        let mut roots = RootCertStore::empty();
        match ca {
            Some(path) => {
                let context = || format!("acme_ca: {}", path.display());
                for certificate in CertificateDer::pem_file_iter(path).with_context(context)? {
                    roots.add(certificate.with_context(context)?).with_context(context)?;
                }
            }
            None => {
                let system = rustls_native_certs::load_native_certs();
                for error in &system.errors {
                    tracing::warn!("certificates of the system: {error}");
                }
                roots.add_parsable_certificates(system.certs);
            }
        }
        if roots.is_empty() {
            anyhow::bail!("there are no certificates to trust an ACME server by: set acme_ca");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(HttpsClient { tls: TlsConnector::from(Arc::new(config)) })
    }
}

impl HttpClient for HttpsClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let tls = self.tls.clone();
        Box::pin(async move {
            let target = request.uri().clone();
            let answer = timeout(ANSWER_TIME_MAX, ask(tls, request)).await;
            let answer = answer.unwrap_or_else(|_| {
                Err(anyhow::anyhow!("no answer in {} s", ANSWER_TIME_MAX.as_secs()))
            });
            answer.map_err(|e| Error::Other(format!("{target}: {e:#}").into()))
        })
    }
}

async fn ask(
    tls: TlsConnector,
    mut request: Request<BodyWrapper<Bytes>>,
) -> anyhow::Result<BytesResponse> {
    let uri = request.uri().clone();
    anyhow::ensure!(uri.scheme_str() == Some("https"), "it is not https");
    let authority = uri.authority().context("it names no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let stream = TcpStream::connect((host.as_str(), authority.port_u16().unwrap_or(443))).await?;
    stream.set_nodelay(true)?;
    let stream = tls.connect(ServerName::try_from(host)?, stream).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    request.headers_mut().insert(header::HOST, HeaderValue::from_str(authority.as_str())?);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse()?;
    let (parts, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    driving.abort();
    let body = body.map_err(|e| anyhow::anyhow!("its answer broke off: {e}"))?.to_bytes();
    Ok(BytesResponse { parts, body: Box::new(body) })
}

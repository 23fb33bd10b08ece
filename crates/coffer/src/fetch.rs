//! Fetching what identity providers publish, over HTTPS.

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
#[derive(Default)]
pub struct HttpsFetch {
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
        let stream = TcpStream::connect((bare, port)).await.map_err(trouble)?;
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

#[cfg(test)]
mod tests;

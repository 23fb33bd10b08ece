//! A server that answers a few paths, and clients of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use coffer_base::net::{Net, RealNet};
use coffer_base::{Clock, SystemClock};
use coffer_http::{
    Answer, Arrival, Certificate, Certificates, Event, Limits, RequestBody, Setup, Traffic, serve,
};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// So many zeros, in pieces.
pub(crate) struct Zeros(pub(crate) u64);

impl Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.min(100_000);
        self.0 -= piece;
        let data = || Ok(Frame::data(Bytes::from(vec![0; piece as usize])));
        Poll::Ready((piece > 0).then(data))
    }
}

/// What the tests ask.
pub(crate) struct Paths {
    /// `/gate` waits for a permit.
    pub(crate) gate: Semaphore,
}

impl Answer for Paths {
    type Body = http_body_util::Either<Zeros, http_body_util::Full<Bytes>>;

    async fn answer(&self, request: Request<RequestBody>) -> Response<Self::Body> {
        let (parts, body) = request.into_parts();
        let arrival = parts.extensions.get::<Arrival>().copied().unwrap();
        let text = match parts.uri.path() {
            "/zeros" => {
                let len = parts.uri.query().unwrap().parse().unwrap();
                return Response::new(http_body_util::Either::Left(Zeros(len)));
            }
            "/echo" => match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) => Bytes::from(format!("broken: {error}")),
            },
            "/host" => parts.headers[http::header::HOST].as_bytes().to_vec().into(),
            "/secure" => Bytes::from(arrival.is_secure().to_string()),
            "/gate" => {
                self.gate.acquire().await.unwrap().forget();
                Bytes::from_static(b"passed")
            }
            _ => Bytes::from_static(b"hello"),
        };
        let mut reply = Response::new(http_body_util::Either::Right(text.into()));
        // As S3 does when it left a body unread.
        reply.headers_mut().insert("connection", "close".parse().unwrap());
        if parts.uri.path() != "/close" {
            reply.headers_mut().remove("connection");
        }
        reply
    }
}

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) paths: Arc<Paths>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) roots: RootCertStore,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Result<usize, rustls::Error>>,
}

/// A self-signed certificate for this machine, and the store that trusts it.
pub(crate) fn certificate() -> (Certificate, RootCertStore) {
    use rustls::pki_types::pem::PemObject as _;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = coffer_http::self_signed::make(&names, SystemClock.now()).unwrap();
    let mut roots = RootCertStore::empty();
    let der = rustls::pki_types::CertificateDer::from_pem_slice(made.chain.as_bytes()).unwrap();
    roots.add(der).unwrap();
    (Certificate::from_pem(made.chain.as_bytes(), made.key.as_bytes()).unwrap(), roots)
}

impl Server {
    pub(crate) fn start(tls: bool, limits: Limits) -> Server {
        let paths = Arc::new(Paths { gate: Semaphore::new(0) });
        let certificates = Arc::new(Certificates::default());
        let (shown, roots) = certificate();
        certificates.show(shown);
        let setup =
            Setup { limits, certificates: tls.then(|| certificates.clone()), ..Setup::default() };
        let traffic = setup.traffic.clone();
        let listener = RealNet.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let serving = tokio::spawn(serve(vec![listener], paths.clone(), shutdown, setup));
        Server { addr, paths, traffic, certificates, roots, stop: Some(stop), serving }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// A TLS connection that offers `protocols` in `versions`.
    pub(crate) async fn connect_tls_with(
        &self,
        protocols: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.connect().await).await
    }

    pub(crate) async fn connect_tls(&self, protocol: &str) -> TlsStream<TcpStream> {
        self.connect_tls_with(&[protocol], rustls::ALL_VERSIONS).await.unwrap()
    }

    pub(crate) fn tell_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// How many connections were cut off.
    pub(crate) async fn stopped(self) -> usize {
        let waiting = tokio::time::timeout(Duration::from_secs(30), self.serving);
        waiting.await.expect("it stops in time").expect("it does not panic").unwrap()
    }

    /// Waits until `event` was counted `n` times.
    pub(crate) async fn until(&self, event: Event, n: u64) {
        self.until_true(|| self.traffic.count(event) >= n).await;
    }

    pub(crate) async fn until_true(&self, what: impl Fn() -> bool) {
        let looking = async {
            while !what() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), looking).await.expect("it comes to be");
    }
}

/// One request over HTTP/1.1 on a connection of its own; the whole reply.
pub(crate) async fn ask<S>(mut stream: S, path: &str) -> String
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let request = format!("GET {path} HTTP/1.1\r\nhost: h:1\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    String::from_utf8(reply).unwrap()
}

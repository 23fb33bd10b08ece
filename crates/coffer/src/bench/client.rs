//! One signed HTTP/1.1 connection that stays open.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use coffer_base::{Clock, SystemClock};
use coffer_s3::sign::{Signer, UNSIGNED_PAYLOAD, encode_path, encode_query};
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use http::{Method, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;

use super::options::{Load, Payload};

/// Answers that are held whole (all but objects) end here.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// Where requests go, and as whom.
pub struct Target {
    authority: String,
    signer: Signer,
    bucket: String,
    payload: Payload,
    headers: Vec<(HeaderName, HeaderValue)>,
    write_headers: Vec<(HeaderName, HeaderValue)>,
}

impl Target {
    /// Reads the target from the flags.
    pub fn new(load: &Load) -> Result<Target> {
        let uri: http::Uri = load
            .endpoint
            .parse()
            .with_context(|| format!("--endpoint {} is no address", load.endpoint))?;
        if uri.scheme_str() != Some("http") {
            bail!("--endpoint {}: it must begin with http:// (no TLS here)", load.endpoint);
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            bail!("--endpoint {}: an endpoint has no path", load.endpoint);
        }
        let authority = uri.authority().context("an address with a scheme has a host")?;
        if load.bucket.is_empty() {
            bail!("--bucket is empty");
        }
        let mut headers = Vec::new();
        for (name, value) in &load.headers {
            headers.push((name.parse()?, HeaderValue::from_str(value)?));
        }
        let mut write_headers = Vec::new();
        if let Some(ack) = &load.ack {
            write_headers
                .push((HeaderName::from_static("x-coffer-ack"), HeaderValue::from_str(ack)?));
        }
        Ok(Target {
            authority: authority.as_str().to_owned(),
            signer: Signer::new(&load.access_key, &load.secret_key, &load.region),
            bucket: load.bucket.clone(),
            payload: load.payload,
            headers,
            write_headers,
        })
    }

    /// Host and port to connect to.
    fn address(&self) -> (&str, u16) {
        let (host, port) = match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(80)),
            _ => (self.authority.as_str(), 80),
        };
        (host.trim_start_matches('[').trim_end_matches(']'), port)
    }

    fn request(&self, ask: Ask<'_>) -> Result<http::Request<Pieces>, Failure> {
        let bucket = encode_query(&self.bucket);
        let path = match ask.key {
            None => format!("/{bucket}"),
            Some(key) => format!("/{bucket}/{}", encode_path(key)),
        };
        let query: Vec<String> = ask
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encode_query(name), encode_query(value)))
            .collect();
        let uri = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
        let body = Pieces::new(ask.body);
        let payload_hash = match self.payload {
            Payload::Signed => body.sha256(),
            Payload::Unsigned => UNSIGNED_PAYLOAD.to_owned(),
        };
        let writes = matches!(ask.method, Method::PUT | Method::POST);
        let mut request = http::Request::builder()
            .method(ask.method)
            .uri(uri)
            .header(HOST, &self.authority)
            .body(body)
            .map_err(Failure::new)?;
        let length = request.body().bytes_left;
        let headers = request.headers_mut();
        if writes {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            headers.extend(self.write_headers.iter().cloned());
        }
        headers.extend(self.headers.iter().cloned());
        let (mut head, body) = request.into_parts();
        self.signer
            .sign_headers(
                &head.method,
                &head.uri,
                &mut head.headers,
                &payload_hash,
                SystemClock.now(),
            )
            .map_err(Failure::new)?;
        Ok(http::Request::from_parts(head, body))
    }
}

/// What to ask of the bucket, or of an object in it.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The method.
    pub method: Method,
    /// The object; none for the bucket itself.
    pub key: Option<&'a str>,
    /// Query parameters.
    pub query: Vec<(&'a str, String)>,
    /// The body.
    pub body: Vec<Bytes>,
}

impl<'a> Ask<'a> {
    /// Asks without a query or body.
    pub fn new(method: Method, key: Option<&'a str>) -> Self {
        Self { method, key, query: Vec::new(), body: Vec::new() }
    }
}

/// Why a request failed, for people.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure explained by `why`.
    pub fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A connection, opened when it is first needed and again after it broke.
pub struct Connection {
    target: Arc<Target>,
    sender: Option<SendRequest<Pieces>>,
}

impl Connection {
    /// A connection to be opened.
    pub fn new(target: Arc<Target>) -> Self {
        Self { target, sender: None }
    }

    /// Opens it, if it isn't open.
    pub async fn open(&mut self) -> Result<&mut SendRequest<Pieces>, Failure> {
        let usable = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.sender = None;
        }
        match &mut self.sender {
            Some(sender) => Ok(sender),
            empty => {
                let stream = TcpStream::connect(self.target.address())
                    .await
                    .map_err(|e| Failure(format!("can't connect: {e}")))?;
                stream.set_nodelay(true).map_err(Failure::new)?;
                let (sender, connection) =
                    handshake(TokioIo::new(stream)).await.map_err(Failure::new)?;
                // Its errors reach the request that was under way.
                tokio::spawn(connection);
                Ok(empty.insert(sender))
            }
        }
    }

    /// Sends a request; the answer may have any status.
    async fn answer(&mut self, ask: Ask<'_>) -> Result<Response<Incoming>, Failure> {
        let request = self.target.request(ask)?;
        let sender = self.open().await?;
        match sender.send_request(request).await {
            Ok(response) => Ok(response),
            Err(error) => {
                self.sender = None;
                Err(Failure(format!("connection broke: {}", chain(&error))))
            }
        }
    }

    /// Sends a request and hands out the answer with its body yet to come; any status but 2xx is
    /// a failure.
    pub async fn send(&mut self, ask: Ask<'_>) -> Result<Response<Incoming>, Failure> {
        let response = self.answer(ask).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let body = self.collect(body).await?;
        let text = String::from_utf8_lossy(&body);
        let code = element(&text, "Code").unwrap_or_default();
        let message = element(&text, "Message").unwrap_or_default();
        Err(Failure(format!("{} {code}: {message}", head.status.as_u16())))
    }

    /// Sends a request and collects the answer's body.
    pub async fn send_whole(&mut self, ask: Ask<'_>) -> Result<Response<Bytes>, Failure> {
        let (head, body) = self.send(ask).await?.into_parts();
        Ok(Response::from_parts(head, self.collect(body).await?))
    }

    /// The status of a request whatever it is.
    pub async fn status(&mut self, ask: Ask<'_>) -> Result<u16, Failure> {
        let response = self.answer(ask).await?;
        let status = response.status().as_u16();
        self.collect(response.into_body()).await?;
        Ok(status)
    }

    async fn collect(&mut self, body: Incoming) -> Result<Bytes, Failure> {
        match Limited::new(body, REPLY_BYTES_MAX).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) => {
                self.sender = None;
                Err(Failure(format!("the answer broke off: {error}")))
            }
        }
    }
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The text of the first element `name` of an XML answer; enough for what a load generator
/// needs from well-formed answers.
pub fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&#34;", "\"").replace("&apos;", "'");
    Some(text.replace("&amp;", "&"))
}

/// A body of known length, in pieces.
#[derive(Debug)]
pub struct Pieces {
    pieces: VecDeque<Bytes>,
    bytes_left: u64,
}

impl Pieces {
    fn new(pieces: Vec<Bytes>) -> Self {
        let bytes_left = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self { pieces: pieces.into(), bytes_left }
    }

    fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        self.pieces.iter().for_each(|piece| hash.update(piece));
        hex::encode(hash.finalize())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        self.bytes_left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes_left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_and_unescaped() {
        let xml = "<Error><Code>A&amp;lt;B</Code><Message></Message></Error>";
        assert_eq!(element(xml, "Code").as_deref(), Some("A&lt;B"));
        assert_eq!(element(xml, "Message").as_deref(), Some(""));
        assert_eq!(element(xml, "None"), None);
        assert_eq!(element("<Code>cut", "Code"), None);
    }
}

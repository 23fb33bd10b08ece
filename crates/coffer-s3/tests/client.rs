//! A client that shows every byte.

use std::net::SocketAddr;
use std::time::Duration;

use coffer_base::{Clock, SystemClock};
use coffer_s3::sign::{Signer, UNSIGNED_PAYLOAD};
use coffer_sigv4::ChunkSigner;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) signer: Signer,
    pub(crate) host: String,
    unread: Vec<u8>,
}

/// A reply.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The text of the first element `tag` of the document.
    pub(crate) fn element(&self, tag: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        Some(rest.split_once(&format!("</{tag}>"))?.0.to_owned())
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) -> Answer {
        let found = self.element("Code");
        assert_eq!((self.status, found.as_deref()), (status, Some(code)), "{}", self.text());
        self
    }
}

/// A request's head, ready to be sent.
pub(crate) struct Head {
    pub(crate) bytes: Vec<u8>,
    pub(crate) chunks: ChunkSigner,
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr, signer: Signer) -> Client {
        let stream = TcpStream::connect(addr).await.unwrap();
        Client { stream, signer, host: addr.to_string(), unread: Vec::new() }
    }

    /// A signed head.
    pub(crate) fn head(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        payload_hash: &str,
    ) -> Head {
        let method: Method = method.parse().unwrap();
        let uri: Uri = format!("http://{}{target}", self.host).parse().unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let now = SystemClock.now();
        let chunks = self.signer.sign_headers(&method, &uri, &mut map, payload_hash, now).unwrap();
        let mut bytes = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
        for (name, value) in &map {
            bytes.extend_from_slice(format!("{name}: ").as_bytes());
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        Head { bytes, chunks }
    }

    /// Signs, sends and reads the reply.
    pub(crate) async fn call(&mut self, method: &str, target: &str, body: &[u8]) -> Answer {
        self.call_with(method, target, &[], body).await
    }

    /// The same with headers.
    pub(crate) async fn call_with(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        headers.push(("content-length", &length));
        let head = self.head(method, target, &headers, UNSIGNED_PAYLOAD);
        self.send(&head.bytes).await;
        self.send(body).await;
        self.answer(method == "HEAD").await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Reads one reply.
    pub(crate) async fn answer(&mut self, to_head: bool) -> Answer {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                break at;
            }
            let more = self.read().await;
            assert!(more > 0, "closed before a reply: {:?}", String::from_utf8_lossy(&self.unread));
        };
        let head = String::from_utf8(self.unread.drain(..end + 4).collect()).unwrap();
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap();
        let status: u16 = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
        }
        let bodiless = to_head || matches!(status, 100 | 204 | 304);
        let length = match headers.get("content-length") {
            Some(length) if !bodiless => length.to_str().unwrap().parse().unwrap(),
            _ => 0,
        };
        while self.unread.len() < length {
            let more = self.read().await;
            assert!(more > 0, "closed {} bytes before the end", length - self.unread.len());
        }
        Answer { status, headers, body: self.unread.drain(..length).collect() }
    }

    /// Reads more bytes; 0 at the end.
    async fn read(&mut self) -> usize {
        let reading = self.stream.read_buf(&mut self.unread);
        let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
        read.expect("the server answers in time").unwrap_or(0)
    }

    /// Whether the server closes the connection without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.read().await == 0
    }
}

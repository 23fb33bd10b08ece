//! A signed request as bytes, and a connection that counts the replies' bytes.

use anyhow::{Context as _, Result, bail};
use coffer_sigv4::sign::UNSIGNED_PAYLOAD;
use http::{HeaderMap, HeaderValue, Method, Uri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::served::{HOST, Served};

/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

/// A request, ready to be sent.
pub struct Request {
    bytes: Vec<u8>,
    is_head: bool,
}

impl Request {
    /// Signs it. The body is not part of the signature: hashing it is the client's and the
    /// algorithm's cost, not the path's.
    pub fn new(method: Method, target: &str, body: Vec<u8>, served: &Served) -> Result<Request> {
        let uri: Uri = format!("http://{HOST}{target}").parse()?;
        let mut headers = HeaderMap::new();
        if method == Method::PUT {
            headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        let signer = served.signer();
        signer.sign_headers(&method, &uri, &mut headers, UNSIGNED_PAYLOAD, served.now())?;
        let mut bytes = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
        for (name, value) in &headers {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&body);
        Ok(Request { bytes, is_head: method == Method::HEAD })
    }
}

/// One connection of a client that only looks at a reply's status and length.
pub struct Connection {
    stream: DuplexStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// A client at the near end of `stream`.
    pub fn new(stream: DuplexStream) -> Connection {
        Connection { stream, buffer: Vec::with_capacity(2 * READ_BYTES) }
    }

    /// Sends `request` and takes its reply, which must be 200; the bytes of its body.
    pub async fn send(&mut self, request: &Request) -> Result<usize> {
        // A server may answer before it has taken everything, but not these.
        self.stream.write_all(&request.bytes).await?;
        self.buffer.clear();
        let (head_bytes, body_bytes) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed: {:?}", String::from_utf8_lossy(&self.buffer));
            }
            if let Some(head_bytes) = end_of_head(&self.buffer) {
                let body_bytes = self.body_bytes(head_bytes, request.is_head)?;
                break (head_bytes, body_bytes);
            }
        };
        let mut left = (head_bytes + body_bytes)
            .checked_sub(self.buffer.len())
            .context("there is more than one reply")?;
        while left > 0 {
            self.buffer.clear();
            let read = self.stream.read_buf(&mut self.buffer).await?;
            if read == 0 {
                bail!("the server closed {left} bytes before a reply's end");
            }
            left = left.checked_sub(read).context("there is more than one reply")?;
        }
        Ok(body_bytes)
    }

    fn body_bytes(&self, head_bytes: usize, to_head: bool) -> Result<usize> {
        let head = std::str::from_utf8(&self.buffer[..head_bytes])?;
        if !head.starts_with("HTTP/1.1 200 ") {
            bail!("{}", String::from_utf8_lossy(&self.buffer));
        }
        if to_head {
            return Ok(0);
        }
        let (_, length) = head.split_once("content-length: ").context("a reply has no length")?;
        let (length, _) = length.split_once('\r').context("a reply's length has no end")?;
        Ok(length.parse()?)
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

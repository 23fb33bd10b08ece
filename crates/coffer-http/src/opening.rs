//! The first bytes of a connection: which protocol they are, without taking them away.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use coffer_base::net::Connection;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What a client of HTTP/2 sends first (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first byte of a TLS handshake (RFC 8446, 5.1: `ContentType` 22).
const TLS_HANDSHAKE: u8 = 22;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Nothing: the other end closed.
    Nothing,
    /// A TLS handshake.
    Tls,
    /// The preface of HTTP/2.
    Http2,
    /// A capital letter, as of a method.
    Http1,
    /// What no protocol here begins with.
    Unknown,
}

/// Reads as much of `connection` as tells what it begins with. Nothing is lost: what is returned
/// gives the same bytes again.
pub(crate) async fn read(mut connection: Box<dyn Connection>) -> io::Result<(Opening, Reopened)> {
    let mut first = [0; HTTP2_PREFACE.len()];
    let mut len = 0;
    let opening = loop {
        let opening = judge(&first[..len]);
        if let Some(opening) = opening {
            break opening;
        }
        match connection.read(&mut first[len..]).await? {
            0 if len == 0 => break Opening::Nothing,
            0 => break Opening::Http1,
            n => len += n,
        }
    };
    Ok((opening, Reopened { connection, first, len, given: 0 }))
}

/// What `bytes` begin; `None`: that can't be told yet.
fn judge(bytes: &[u8]) -> Option<Opening> {
    match bytes {
        [] => None,
        bytes if bytes == HTTP2_PREFACE => Some(Opening::Http2),
        bytes if HTTP2_PREFACE.starts_with(bytes) => None,
        [TLS_HANDSHAKE, ..] => Some(Opening::Tls),
        // Methods are tokens (RFC 9110, 9.1), those in use begin with a letter; before a request
        // line an empty line is let pass (RFC 9112, 2.2).
        [first, ..] if first.is_ascii_alphabetic() || matches!(first, b'\r' | b'\n') => {
            Some(Opening::Http1)
        }
        _ => Some(Opening::Unknown),
    }
}

/// A connection whose first bytes were read and are given again.
pub(crate) struct Reopened {
    connection: Box<dyn Connection>,
    first: [u8; HTTP2_PREFACE.len()],
    len: usize,
    given: usize,
}

impl AsyncRead for Reopened {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let kept = &this.first[this.given..this.len];
        if kept.is_empty() {
            return Pin::new(&mut this.connection).poll_read(cx, buf);
        }
        let n = kept.len().min(buf.remaining());
        buf.put_slice(&kept[..n]);
        this.given += n;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Reopened {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().connection).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().connection).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_protocol() {
        assert_eq!(judge(b""), None);
        for len in 1..HTTP2_PREFACE.len() {
            assert_eq!(judge(&HTTP2_PREFACE[..len]), None);
        }
        assert_eq!(judge(HTTP2_PREFACE), Some(Opening::Http2));
        assert_eq!(judge(b"PRI * HTTP/1"), Some(Opening::Http1));
        assert_eq!(judge(b"PUT"), Some(Opening::Http1));
        assert_eq!(judge(b"get"), Some(Opening::Http1));
        assert_eq!(judge(b"\r\nGET"), Some(Opening::Http1));
        assert_eq!(judge(&[22, 3, 1]), Some(Opening::Tls));
        for byte in (0..=255).filter(|&b: &u8| !b.is_ascii_alphabetic() && b != 22) {
            let expected = if b"\r\n".contains(&byte) { Opening::Http1 } else { Opening::Unknown };
            assert_eq!(judge(&[byte]), Some(expected));
        }
    }

    #[tokio::test]
    async fn nothing_of_what_was_read_is_lost() {
        for text in
            ["", "P", "PUT / HTTP/1.1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore of it", "\x16"]
        {
            let (mut other, end) = tokio::io::duplex(1024);
            tokio::io::AsyncWriteExt::write_all(&mut other, text.as_bytes()).await.unwrap();
            drop(other);
            let (_, mut reopened) = read(Box::new(end)).await.unwrap();
            let mut all = String::new();
            // A small buffer, to be given the first bytes in pieces.
            let mut piece = [0; 5];
            loop {
                match reopened.read(&mut piece).await.unwrap() {
                    0 => break,
                    n => all.push_str(std::str::from_utf8(&piece[..n]).unwrap()),
                }
            }
            assert_eq!(all, text);
        }
    }
}

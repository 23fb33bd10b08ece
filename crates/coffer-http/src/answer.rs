//! What answers requests.

use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

use crate::patience::RequestBody;

/// Why a body broke off. A pause that was too long is an [`std::io::Error`] of kind `TimedOut`.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Something that answers requests, whatever the connection they come by.
pub trait Answer: Send + Sync + 'static {
    /// The body of its replies.
    type Body: Body<Data = Bytes, Error: Into<BodyError>> + Send + Unpin + 'static;

    /// Answers one request; its extensions have an [`Arrival`]. Whatever happens becomes a reply;
    /// an error of the reply's body cuts the reply off.
    fn answer(
        &self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// How a request came; among its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// By which version of TLS; `None`: in plain text.
    pub tls: Option<TlsVersion>,
}

impl Arrival {
    /// Whether it came by TLS.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }
}

/// A version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    V1_2,
    /// RFC 8446.
    V1_3,
}

impl TlsVersion {
    /// As numbers write it.
    pub fn number(self) -> &'static str {
        match self {
            TlsVersion::V1_2 => "1.2",
            TlsVersion::V1_3 => "1.3",
        }
    }
}

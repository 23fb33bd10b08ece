//! The seam to an issuer's web server.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

/// The longest document that is taken from an issuer.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// Fetches one document.
pub trait Fetch: Send + Sync {
    /// The body of the answer 200 to a GET of `url`, which begins with `https://`. Redirects are
    /// not followed, and no more than [`DOCUMENT_BYTES_MAX`] is read, in bounded time. The server
    /// must show a certificate that the machine trusts, or one below the certificate that has one
    /// of `thumbprints` (SHA-1 in hex).
    fn get<'a>(&'a self, url: &'a str, thumbprints: &'a [String]) -> Fetching<'a>;
}

/// A document under way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Bytes, FetchError>> + Send + 'a>>;

/// Why a document can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError(pub String);

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FetchError {}

//! The way from a socket to an answer: accepting, TLS, HTTP/1.1 and HTTP/2, timeouts, draining.
//!
//! It does not know what is asked or answered: S3 and whatever else is served on the same port
//! implement [`Answer`]. It does not know settings or files either: the binary chooses the limits
//! and the certificate.
//!
//! | module | concept |
//! |---|---|
//! | [`answer`] | what answers requests, and what it is told of the connection |
//! | [`serve`](mod@serve) | accepting, and stopping |
//! | `talk` | one connection from its first byte to its last: HTTP/1.1 or HTTP/2 |
//! | `opening` | the first bytes of a connection tell its protocol |
//! | [`tls`] | which certificate is shown, and the handshake |
//! | `handshakes` | of too many handshakes the oldest makes room |
//! | [`certificate`] | a chain with its key, checked before it is used |
//! | [`self_signed`] | certificates that nobody vouches for |
//! | `streams` | the streams of one HTTP/2 connection, timed each |
//! | [`traffic`] | what was counted |
//! | `patience` | the limits of waiting for the other end, and the way a connection is closed |
//!
//! Invariants:
//! 1. Nobody is waited for without a limit of time: not for a head, not for a body's next bytes,
//!    not for a reply to be taken.
//! 2. A connection's memory is bounded whatever comes.
//! 3. A connection that is slow or broken holds up no other, and neither does a handshake.
//! 4. A certificate is shown only after it was found to fit its key.
//! 5. A port that speaks TLS answers plain HTTP with nothing but that it does.
//!
//! Read [`serve()`] first.

pub mod answer;
pub mod certificate;
mod handshakes;
mod opening;
mod patience;
pub mod self_signed;
pub mod serve;
mod streams;
mod talk;
pub mod tls;
pub mod traffic;

pub use answer::{Answer, Arrival, BodyError, TlsVersion};
pub use certificate::{Certificate, Unusable, Validity};
pub use patience::RequestBody;
pub use serve::{Limits, Setup, serve};
pub use tls::{Certificates, Challenge};
pub use traffic::{Event, Traffic};

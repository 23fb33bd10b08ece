//! AWS Signature Version 4: who signed a request, and whether the signature is right.
//!
//! Reading a [`Claim`] needs no secret and no I/O; then the caller looks the access key up and
//! verifies. The secret never leaves this crate's arguments. It does not know what a request asks
//! for, where credentials are kept, or how an error is told to a client: it gives an [`Error`],
//! and each face has a table from those to the codes of its protocol.
//!
//! | module | concept |
//! |---|---|
//! | [`claim`] | what a request says about who signed it, before it is believed |
//! | [`verify`] | whether a claim is true |
//! | [`service`] | for whom a signature must be, and in what the services differ |
//! | [`canonical`] | the canonical request and the string to sign |
//! | [`key`] | signing keys, derived and remembered |
//! | [`chunk`] | signatures of a payload's chunks |
//! | [`sign`] | the client's side, for load generators and tests |
//! | [`query`] | a decoded query string |
//! | [`header`] | a header that may be given once |
//! | [`time`] | the forms of a date |
//! | [`error`] | what can be wrong |
//!
//! Invariants:
//! 1. Signatures are compared in constant time.
//! 2. A claim that verified covers the method, the path, the query, `host`, and every header of
//!    the families `x-amz-` and `x-coffer-` that came (`x-amz-content-sha256` is covered by its
//!    own line).
//! 3. A claim for one service or region never verifies for another.
//! 4. Nothing that a client sends makes this crate panic.
//!
//! Read [`claim::Claim`] first.

pub mod canonical;
pub mod chunk;
pub mod claim;
pub mod error;
pub mod header;
pub mod key;
pub mod query;
pub mod service;
pub mod sign;
pub mod time;
pub mod verify;

pub use chunk::ChunkSigner;
pub use claim::Claim;
pub use error::Error;
pub use key::{SigningKey, SigningKeys};
pub use query::Query;
pub use service::{Expected, Service, claimed_key};
pub use verify::SignedHead;

/// The only algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far a request's clock may be from the server's, both ways.
pub const SKEW_MS_MAX: u64 = 15 * 60 * 1000;
/// The longest life of a presigned URL: seven days.
pub const EXPIRES_SECONDS_MAX: u64 = 604_800;

#[cfg(test)]
mod tests;

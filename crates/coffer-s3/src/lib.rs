//! The S3 protocol over HTTP: from a request to calls of [`coffer_objects`] and back.
//!
//! The crate has two halves. The *wire* half reads a request (address, signature, body) and
//! writes a reply (XML, errors, streams); the *verbs* half, below `ops`, has one table of every S3
//! operation and one file for each family. It does not know how an object is stored, what a policy
//! says, where credentials are kept, or how a signature is made: it asks [`coffer_objects`],
//! [`coffer_iam`] and [`coffer_sigv4`]; nor what a connection is: that is [`coffer_http`].
//!
//! | module | concept |
//! |---|---|
//! | [`service`] | one request from head to reply |
//! | [`address`] | which bucket and key a request names |
//! | `auth` | what is answered when a signature is not believed |
//! | [`request`] | what a verb is given |
//! | [`body`] | the payload: decoded, verified, in order |
//! | [`respond`] | what a verb gives back |
//! | `stamps` | the headers that every reply has |
//! | [`error`] | S3's error codes, and the one table from the domain's errors |
//! | [`xml`] | bounded reading, escaped writing |
//! | [`metrics`] | counts and latencies by operation |
//! | `ops` | every operation: routing and the verbs |
//!
//! Invariants:
//! 1. No verb runs before the caller is known, except a CORS preflight and a form upload, which
//!    run as a principal without any permission.
//! 2. A body's end is reported only after its length, its digest and its signatures were found
//!    right. Its bytes are released as they come, before that: a verb makes nothing of them visible
//!    until the end was reported.
//! 3. No byte of a body is asked for before the head was accepted: a client that waits for
//!    `100 Continue` never sends what would be refused.
//! 4. A key is percent-decoded once, and never normalised.
//! 5. Secrets and signatures are compared in constant time.
//! 6. Memory for a request is bounded whatever the client sends.
//!
//! Read [`service::Service`] first.

pub mod address;
mod auth;
pub mod body;
pub mod error;
pub mod metrics;
mod ops;
pub mod request;
pub mod respond;
pub mod service;
mod stamps;
pub mod xml;

pub use coffer_sigv4::{Query, sign, time};
pub use error::{Code, S3Error};
pub use request::{Call, CallHead};
pub use respond::{Reply, ReplyBody};
pub use service::{Service, ServiceSettings};

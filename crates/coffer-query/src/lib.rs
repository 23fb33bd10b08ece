//! AWS's query protocol: IAM (2010-05-08) and STS (2011-06-15), from a request to calls of
//! [`coffer_identity`] and back, so that AWS's own tools look after a store's identities.
//!
//! It does not know how identities are stored, what a policy says, how a signature is made, what a
//! connection is, or how an issuer's web server is reached: it asks [`coffer_identity`],
//! [`coffer_iam`] and [`coffer_sigv4`], and is given a [`Fetch`].
//!
//! | module | concept |
//! |---|---|
//! | [`service`] | one request from head to reply |
//! | [`dispatch`] | which requests are for this face, and for which operation |
//! | [`table`] | every operation of IAM and STS, built or refused by name |
//! | [`form`] | parameters: bounded, AWS's lists and structures |
//! | `forms` | taking them in, all within one bound |
//! | `call` | a call whose caller is known; how it asks for grants |
//! | `ops` | the operations, one file a family |
//! | [`metrics`] | counts and latencies |
//! | `document`, `shapes` | the XML of replies |
//! | [`error`] | AWS's codes, and the tables from other crates' errors |
//! | [`oidc`] | tokens of identity providers |
//!
//! Invariants:
//! 1. No operation runs before the caller is known, except AssumeRoleWithWebIdentity, whose caller
//!    is known by a token.
//! 2. Every operation asks [`coffer_iam`] for a grant before it reads or changes anything it tells
//!    of, except GetCallerIdentity and GetSessionToken, for which AWS asks for none.
//! 3. The signature covers the body: its hash is computed, whatever the request says it is.
//! 4. A parameter is read as one thing or refused; what is not built is refused by name.
//! 5. Whether a role is missing or does not trust the caller is told by nothing.
//! 6. Memory for a request is bounded whatever the client, or an issuer, sends.
//!
//! Read [`service::QueryService`] first.

mod call;
pub mod dispatch;
mod document;
pub mod error;
pub mod form;
mod forms;
pub mod metrics;
pub mod oidc;
mod ops;
pub mod service;
mod shapes;
pub mod table;

pub use error::{Code, QueryError};
pub use oidc::fetch::{Fetch, FetchError, Fetching};
pub use service::{QueryService, QuerySettings};
pub use table::Operation;

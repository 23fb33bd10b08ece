//! The way from a socket to an answer: accepting, timeouts, draining.
//!
//! It does not know what is asked or answered: S3 and whatever else is served on the same port
//! implement [`Answer`]. It does not know settings either; the binary chooses the limits.
//!
//! | module | concept |
//! |---|---|
//! | [`answer`] | what answers requests, and what it is told of the connection |
//! | [`serve`](mod@serve) | connections: accepting, timeouts, draining |
//! | [`traffic`] | what was counted |
//! | `patience` | the limits of waiting for the other end, and the way a connection is closed |
//!
//! Invariants:
//! 1. Nobody is waited for without a limit of time: not for a head, not for a body's next bytes,
//!    not for a reply to be taken.
//! 2. A connection's memory is bounded whatever comes.
//! 3. A connection that is slow or broken holds up no other.
//!
//! Read [`serve()`] first.

pub mod answer;
mod patience;
pub mod serve;
pub mod traffic;

pub use answer::{Answer, Arrival, BodyError};
pub use patience::PatientBody;
pub use serve::{Limits, RequestBody, Setup, serve};
pub use traffic::Traffic;

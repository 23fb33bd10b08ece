//! The two ways to look after a running server: HTTP on the admin port for machines that watch
//! it, a Unix socket for the people who run it.
//!
//! The port only tells. Whatever changes something goes over the socket, which is mode 0600 in
//! every data directory: who may open it may read the credentials beside it as well.

pub mod client;
pub mod explain;
pub mod facts;
pub mod http;
mod metrics;
pub mod socket;
pub mod users;

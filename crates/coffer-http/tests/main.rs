//! Connections as their other end sees them.

mod http2;
mod server;
mod tls;

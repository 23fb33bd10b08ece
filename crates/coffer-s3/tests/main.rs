//! End to end: a real store in a temporary directory, a real server on loopback, and a client
//! that writes and reads the bytes of HTTP itself.

mod auth;
mod client;
mod connections;
mod payloads;
mod sizes;
mod store;
mod verbs;

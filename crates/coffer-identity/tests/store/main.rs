//! Identities over a simulated drive, the real log and the real catalog.

mod carried;
mod credentials;
mod life;
mod model;
mod power;
mod store;

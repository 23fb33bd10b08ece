//! What Coffer is measured with and against, besides `coffer bench`: the paths whose instructions
//! are counted, and a server that does no more than a durable PUT demands.
//!
//! Nothing of it is in the product. It does not know how to count, start servers or compare: that
//! is `cargo xtask budget` and `cargo xtask bench`.
//!
//! | module | concept |
//! |---|---|
//! | [`path`] | the requests whose instructions are counted |
//! | [`wire`] | a signed request as bytes, and a connection that counts the replies' |
//! | [`served`] | the whole service over a simulated drive, on one thread, without a socket |
//! | [`steady`] | a clock without chance |
//! | [`null`] | the null server: it verifies, hashes and writes, and stores nothing |
//! | [`lane`] | its group commit |
//!
//! Invariants:
//! 1. A counted run is the same work each time: fixed seeds, a clock of its own, one thread that
//!    works.
//! 2. The null server does what no store can leave out, and nothing else.
//!
//! Read [`path::Path`] first.

pub mod lane;
pub mod null;
pub mod path;
pub mod served;
pub mod steady;
pub mod wire;

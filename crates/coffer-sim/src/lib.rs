//! The whole store in a simulation: drives in memory, a clock that steps back, randomness from a
//! seed, and power cuts at every operation of a drive.
//!
//! It stands on the same crates as the server, with other seams: nothing of the store is
//! imitated. It does not know HTTP, nor the server's index engine, which campaigns on a real
//! kernel exercise.
//!
//! | module | concept |
//! |---|---|
//! | [`campaign`] | one run, cut everywhere, checked each time |
//! | [`campaigns`] | many of them, on several threads |
//! | [`life`] | what a store may hold over several starts, and what may be lost |
//! | [`mend`] | scrubs, rebuilds and replaced drives in the middle of a run |
//! | [`full`] | drives that are full from any operation on |
//! | [`hang`] | a drive that hangs from any operation on, and what lands late |
//! | [`trouble`] | what goes wrong with a drive |
//! | [`plant`] | bugs that must be found |
//! | [`flips`] | bits that flip anywhere: found, healed, never served |
//! | [`model`] | the oracle |
//! | [`step`] | an operation of a client: on the store and on the model |
//! | [`workload`] | which operation comes next |
//! | [`observe`] | reading a store back, in every way |
//! | [`store`] | opening log, catalog and objects over simulated drives |
//! | [`clock`], [`executor`] | time that jumps, futures that never wait |
//! | [`history`] | whether what concurrent clients of a real server saw is linearisable; pure |
//!
//! Invariants:
//! 1. The same seed gives the same run, the same cuts and the same trace.
//! 2. The oracle compares whole bytes; it takes nothing from the store but the ids it gave out.
//! 3. With syncs planted out, a campaign fails.
//!
//! Read [`campaign::run`] first.

pub mod campaign;
pub mod campaigns;
pub mod clock;
pub mod executor;
pub mod flips;
pub mod full;
pub mod hang;
pub mod history;
pub mod life;
pub mod mend;
pub mod model;
pub mod observe;
pub mod plant;
pub mod step;
pub mod store;
pub mod trouble;
pub mod workload;

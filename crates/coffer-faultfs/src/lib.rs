//! A file system for tests: it records what a running store does to its drives, builds what a
//! power cut at any moment could have left of them, and misbehaves when told to.
//!
//! Each drive is one FUSE mount whose files are in memory. It is no part of the product, and knows
//! nothing of a store: it sees names, bytes and syncs.
//!
//! | module | concept |
//! |---|---|
//! | [`fuse`] | the kernel's requests |
//! | [`tree`] | a drive as processes see it |
//! | [`journal`] | everything that happened, on all drives, in one order |
//! | [`faults`] | rules by which a drive misbehaves |
//! | [`cut`] | what is left when the power goes |
//! | [`page`], [`names`] | one file, the names of a drive: what is seen and what is durable |
//! | [`control`] | the channel to the test that runs it |
//!
//! Invariants:
//! 1. What took effect is in the journal, in the order in which it did.
//! 2. The same journal, cut and seed give the same directories.
//! 3. A sector on the platter is one that the page cache held at some moment since it was last
//!    made durable.
//! 4. What a sync covered before the cut is left in every state.
//!
//! The model is argued in `docs/design/faultfs.md`. Read [`cut`] first.

pub mod control;
pub mod cut;
pub mod faults;
pub mod fuse;
pub mod journal;
pub mod names;
pub mod page;
pub mod tree;

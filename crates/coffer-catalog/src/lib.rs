//! The catalog: one ordered space of keys and values over the log, with snapshots, ranges both
//! ways, and atomic conditional commits.
//!
//! A commit is a *plan*: a closure that reads and changes the state in its turn, on the one
//! sequencer thread. Its changes become one record in the log, in the same group and the same
//! sync as the payloads it appends; then they are applied to the index. The index is disposable:
//! whatever is lost or damaged of it is made again from the log.
//!
//! It does not know what a bucket or an object is: keys and values are bytes.
//!
//! | module | concept |
//! |---|---|
//! | `catalog` | opening, reading, committing, closing |
//! | `sequencer` | the order of commits, and groups |
//! | `txn` | what a plan may do |
//! | `overlay` | what a group has changed so far |
//! | [`record`] | the bytes of a commit in the log |
//! | `row` | values that begin with their version |
//! | [`keys`] | keys that sort as the tuples they stand for |
//! | `rebuild` | replaying the log into the index |
//! | `checkpoint` | writing the catalog itself into the log, and loading that |
//! | `persister` | making the index durable now and then |
//! | `snapshot` | a state that does not move |
//! | [`engine`] | the index: a trait, the real one, the simulated one |
//!
//! Invariants:
//! 1. The state is a function of the log alone: replaying it into an empty engine gives the same
//!    entries.
//! 2. An engine's entries are exactly those at its mark, also after a crash.
//! 3. Readers see only durable state, whole groups at a time.
//! 4. A plan that is rejected, panics or is too large leaves no trace; its answer waits for
//!    everything it saw to be durable.
//! 5. Only the sequencer touches the commit lane, and only it applies batches after opening.
//! 6. Nothing here looks at a clock, except the real engine's background threads.
//!
//! Read [`Catalog`] first.

mod catalog;
mod checkpoint;
pub mod engine;
pub mod keys;
mod overlay;
mod persister;
mod rebuild;
pub mod record;
mod row;
#[cfg(all(test, feature = "shuttle"))]
mod schedules;
mod sequencer;
mod snapshot;
mod steps;
mod txn;

pub use catalog::{Catalog, CatalogStatus, CommitError, Error, OpenOptions, Sequencing};
pub use checkpoint::{
    CheckpointOptions, CheckpointStatus, CheckpointSummary, RANGE_BYTES_TARGET_MAX,
    extents as checkpoint_extents, verify as verify_checkpoint,
};
pub use engine::{
    Engine, EngineError, EngineOptions, EngineSnapshot, Entries, Entry, IndexReads, LsmEngine,
    MemEngine, Write,
};
pub use rebuild::{catch_up, replay_records};
pub use record::decode_counters;
pub use row::Row;
pub use sequencer::Leading;
pub use snapshot::{Range, Snapshot};
pub use steps::LongestSteps;
pub use txn::{Txn, TxnError};

//! The seam between the catalog and the ordered index below it.
//!
//! An engine is *disposable*: whatever it holds can be made again from the log. So it need not
//! sync what it is given, but what it finds on opening must be exactly the state after some
//! batch, together with that batch's mark. Damage must be noticed, not guessed around.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use coffer_log::Mark;

mod lsm;
mod mem;

pub use lsm::{EngineOptions, LsmEngine};
pub use mem::MemEngine;

/// One change of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a key.
    Put {
        /// The key.
        key: Bytes,
        /// Its value.
        value: Bytes,
    },
    /// Removes a key, if it is there.
    Delete {
        /// The key.
        key: Bytes,
    },
}

/// What went wrong in an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineError {
    /// The file system failed; the index may be whole. Look at the drive, then restart.
    Io(String),
    /// The index is not what was written: wipe it and rebuild it from the log.
    Damaged(String),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineError::Io(what) => write!(f, "the index can't reach its files: {what}"),
            EngineError::Damaged(what) => write!(f, "the index is damaged: {what}"),
        }
    }
}

impl std::error::Error for EngineError {}

/// A key and its value.
pub type Entry = (Bytes, Bytes);

/// Entries in order of their keys, from either end.
pub type Entries<'a> = Box<dyn DoubleEndedIterator<Item = Result<Entry, EngineError>> + Send + 'a>;

/// A disposable ordered index with one writer and any number of readers.
///
/// Every method may be called from any thread; [`Engine::apply`] and [`Engine::wipe`] are called
/// by one at a time. Keys are not empty and do not start with
/// [`crate::keys::SUBSPACE_RESERVED`].
pub trait Engine: Send + Sync {
    /// The value of `key` after the last batch.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// The same for a plan, which nobody else waits for in vain: an engine that is being made anew
    /// may take its time.
    fn get_for_plan(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.get(key)
    }

    /// The state after the last batch, unmoved by later ones.
    fn snapshot(&self) -> Arc<dyn EngineSnapshot>;

    /// Whether the next batch would be taken: waits while the engine is behind with its own
    /// work, and fails if it can't go on. Called before a group is committed to the log, so that
    /// a broken index refuses writes instead of losing sight of durable ones.
    fn check(&self) -> Result<(), EngineError>;

    /// Applies `writes`, which name each key at most once, and remembers `mark`: both or neither,
    /// also across a crash.
    fn apply(&self, writes: Vec<Write>, mark: Mark) -> Result<(), EngineError>;

    /// The mark of the last batch; `None` in an empty engine.
    fn mark(&self) -> Result<Option<Mark>, EngineError>;

    /// Makes everything applied so far durable. Slow; may run beside [`Engine::apply`].
    fn persist(&self) -> Result<(), EngineError>;

    /// Throws everything away. Snapshots taken before are void.
    fn wipe(&self) -> Result<(), EngineError>;

    /// Bytes the index takes on its drive.
    fn disk_bytes(&self) -> u64;

    /// How reads were answered; an engine that does not count says nothing.
    fn reads(&self) -> IndexReads {
        IndexReads::default()
    }
}

/// How reads of single keys, and scans, were answered since the engine was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexReads {
    /// Gets that a row kept in memory answered.
    pub hot: u64,
    /// All other gets.
    pub gets: u64,
    /// Tables that such a get left out, because their filter knows that they lack the key.
    pub filtered: u64,
    /// Tables that were searched in vain, although they have a filter.
    pub filter_errors: u64,
    /// Blocks of entries that gets and scans took from the cache.
    pub blocks_cached: u64,
    /// Blocks of entries that gets and scans read from files.
    pub blocks_read: u64,
    /// Blocks of filters and of block indexes that had to be read from files, or from the cache,
    /// since they are not kept in memory as most are.
    pub directory_blocks: u64,
}

/// A state of the index that does not move.
pub trait EngineSnapshot: Send + Sync {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// The entries between the bounds, which are not an empty range.
    fn range(&self, lo: Bound<&[u8]>, hi: Bound<&[u8]>) -> Entries<'_>;
}

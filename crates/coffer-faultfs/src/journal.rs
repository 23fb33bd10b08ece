//! What happened, in one order over all drives.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file or directory of one drive. Never used again for another.
pub type Ino = u64;

/// The directory that a drive is.
pub const ROOT: Ino = 1;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// The directory.
    pub dir: Ino,
    /// The name.
    pub name: OsString,
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with bytes.
    File,
    /// A directory.
    Dir,
    /// A socket: a name, and nothing that outlives the power.
    Socket,
}

/// One thing that a process asked of a drive and that took effect.
#[derive(Clone, Debug)]
pub enum What {
    /// A name for a new inode.
    Create {
        /// Where.
        at: Entry,
        /// The new inode.
        ino: Ino,
        /// What it is.
        kind: Kind,
    },
    /// A name that is gone.
    Remove {
        /// Where.
        at: Entry,
    },
    /// A name that moved; one that was at the new place is gone.
    Rename {
        /// From here.
        from: Entry,
        /// To there.
        to: Entry,
    },
    /// Bytes of a file.
    Write {
        /// The file.
        ino: Ino,
        /// Where in it.
        offset: u64,
        /// What was written.
        data: Arc<[u8]>,
        /// Whether it was on the platter when it was answered (`O_DSYNC`).
        durable: bool,
    },
    /// A new length of a file.
    SetLen {
        /// The file.
        ino: Ino,
        /// Its length.
        len: u64,
    },
    /// A sync of a file.
    Sync {
        /// The file.
        ino: Ino,
        /// False: it was answered with an error, and what it should have written is lost.
        good: bool,
    },
    /// A sync of a directory that went well.
    SyncDir {
        /// The directory.
        dir: Ino,
    },
}

impl What {
    /// One word, for whoever chooses where to cut.
    pub fn word(&self) -> &'static str {
        match self {
            What::Create { .. } => "create",
            What::Remove { .. } => "remove",
            What::Rename { .. } => "rename",
            What::Write { durable: true, .. } => "durable-write",
            What::Write { .. } => "write",
            What::SetLen { .. } => "set-len",
            What::Sync { .. } => "sync",
            What::SyncDir { .. } => "sync-dir",
        }
    }
}

/// An entry of the journal; its number is its place there.
#[derive(Clone, Debug)]
pub struct Event {
    /// Which drive.
    pub drive: usize,
    /// How many events there were when it was asked for: it depends on none after those.
    pub arrived: usize,
    /// What happened.
    pub what: What,
}

/// The one order of everything that happened on all drives.
#[derive(Debug)]
pub struct Journal {
    events: Mutex<Vec<Event>>,
    keeps: bool,
}

impl Journal {
    /// An empty journal. One that does not `keep` stays empty.
    pub fn new(keeps: bool) -> Journal {
        Journal { events: Mutex::default(), keeps }
    }

    /// Adds an event.
    pub fn push(&self, drive: usize, arrived: usize, what: What) {
        if self.keeps {
            self.events().push(Event { drive, arrived, what });
        }
    }

    /// How many events there are: the number that the next one gets.
    pub fn len(&self) -> usize {
        self.events().len()
    }

    /// Whether nothing happened yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The events, as long as nothing may be added.
    pub fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        // A push is one call: whatever panicked beside it, the list is whole.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What can go wrong, by what the caller would do about it.

use std::fmt;
use std::io;

/// A log operation that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A drive failed; the operation had no effect and may be tried again.
    Io {
        /// The drive's label.
        drive: String,
        /// What it said.
        what: String,
    },
    /// Bytes are wrong and can't be rebuilt from what is left: report, do not retry.
    Corrupt(String),
    /// Too few drives are there to read these bytes: retry when they are back.
    Unavailable(String),
    /// The drives are full: free space, then retry.
    Full,
    /// The log takes no writes any more: an operator must look.
    ReadOnly(String),
    /// Whether the commit happened will be known only after recovery.
    Unknown(String),
}

impl Error {
    pub(crate) fn io(drive: &str, source: &io::Error) -> Self {
        if source.kind() == io::ErrorKind::StorageFull {
            return Error::Full;
        }
        Error::Io { drive: drive.to_owned(), what: source.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { drive, what } => write!(f, "drive {drive}: {what}"),
            Error::Corrupt(what) => write!(f, "damaged beyond repair: {what}"),
            Error::Unavailable(what) => write!(f, "not available now: {what}"),
            Error::Full => write!(f, "the drives are full"),
            Error::ReadOnly(why) => write!(f, "the store is read-only: {why}"),
            Error::Unknown(why) => write!(f, "the outcome is not known: {why}"),
        }
    }
}

impl std::error::Error for Error {}

/// Why a set of drives could not be opened. Nothing was changed unless the variant says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The number of drives does not fit the scheme, or the scheme is impossible.
    Scheme(String),
    /// The drives are some of a set that was never finished, and holds nothing.
    Unfinished(String),
    /// A directory holds something, and it is not Coffer's.
    NotCoffer {
        /// The drive's label.
        drive: String,
        /// One name that was found there.
        found: String,
    },
    /// A drive belongs to another store, or is not a member of this one.
    Foreign(String),
    /// Drives of the set are missing (and `degraded` was not asked for).
    Missing(String),
    /// Too few of the last recorded members are here to write safely.
    NoMajority(String),
    /// Two histories grew from one: neither is chosen.
    Diverged(String),
    /// Written by a newer format than this program knows.
    NewerFormat(String),
    /// History has a hole or damage that can't be rebuilt from the drives that are here.
    Damaged(String),
    /// A drive failed.
    Io {
        /// The drive's label.
        drive: String,
        /// What it said.
        what: String,
    },
}

impl OpenError {
    pub(crate) fn io(drive: &str, source: &io::Error) -> Self {
        OpenError::Io { drive: drive.to_owned(), what: source.to_string() }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotCoffer { drive, found } => {
                write!(f, "{drive} is not empty and not Coffer's (it holds {found:?})")
            }
            OpenError::Io { drive, what } => write!(f, "drive {drive}: {what}"),
            OpenError::Scheme(what)
            | OpenError::Unfinished(what)
            | OpenError::Foreign(what)
            | OpenError::Missing(what)
            | OpenError::NoMajority(what)
            | OpenError::Diverged(what)
            | OpenError::NewerFormat(what)
            | OpenError::Damaged(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { drive, what } => OpenError::Io { drive, what },
            other => OpenError::Damaged(other.to_string()),
        }
    }
}

/// Why history could not be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// The mark to start from is not part of this history: rebuild from the beginning.
    NotOnChain,
    /// Reading failed, or the visitor did.
    Log(Error),
}

impl From<Error> for ReplayError {
    fn from(error: Error) -> Self {
        ReplayError::Log(error)
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::NotOnChain => f.write_str("the mark is not part of this history"),
            ReplayError::Log(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReplayError {}

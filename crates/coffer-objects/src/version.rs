//! Versions as callers see them.

use std::fmt;

#[cfg(test)]
mod tests;

/// Whether a bucket keeps what is overwritten or deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versioning {
    /// No, and it never did.
    #[default]
    Never,
    /// Everything is kept.
    Enabled,
    /// What was kept is kept; what is written now replaces the null version.
    Suspended,
}

/// A version of an object. Opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VersionId {
    /// The one written without versioning, of which a key has one at most.
    Null,
    /// One that was given out.
    Given {
        /// Orders the versions of a key.
        sequence: u64,
        /// Can't be guessed.
        check: u64,
    },
}

impl VersionId {
    /// Reads what `Display` writes; anything else is the id of no version.
    pub fn parse(text: &str) -> Option<VersionId> {
        if text == "null" {
            return Some(VersionId::Null);
        }
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 32 || !text.bytes().all(lower_hex) {
            return None;
        }
        let (sequence, check) = text.split_at(16);
        let number = |digits| u64::from_str_radix(digits, 16).ok();
        Some(VersionId::Given { sequence: number(sequence)?, check: number(check)? })
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VersionId::Null => f.write_str("null"),
            VersionId::Given { sequence, check } => write!(f, "{sequence:016x}{check:016x}"),
        }
    }
}

/// What a delete did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The version that was asked for, or the delete marker that was added; `None` of an object in a
    /// bucket that never had versioning.
    pub version_id: Option<VersionId>,
    /// Whether that is a delete marker.
    pub delete_marker: bool,
}

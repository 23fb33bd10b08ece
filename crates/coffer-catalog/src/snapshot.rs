//! Reading a state of the catalog that does not move.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::engine::{EngineError, EngineSnapshot, Entries, Entry};
use crate::keys::{is_empty_range, prefix_bounds};

/// The catalog after some group. Cheap to clone; keep it for a request, not for long, because
/// the engine keeps old state for it.
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<dyn EngineSnapshot>,
}

impl Snapshot {
    pub(crate) fn new(inner: Arc<dyn EngineSnapshot>) -> Self {
        Self { inner }
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.inner.get(key)
    }

    /// The entries between the bounds in order of their keys; `rev()` and `next_back()` give
    /// them from the end.
    pub fn range(&self, lo: Bound<&[u8]>, hi: Bound<&[u8]>) -> Range<'_> {
        if is_empty_range(lo, hi) {
            return Range(Box::new(std::iter::empty()));
        }
        Range(self.inner.range(lo, hi))
    }

    /// The entries whose keys start with `prefix`.
    pub fn prefix(&self, prefix: &[u8]) -> Range<'_> {
        let (lo, hi) = prefix_bounds(prefix);
        self.range(as_slice(&lo), as_slice(&hi))
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// Entries of a [`Snapshot`], from either end.
pub struct Range<'a>(Entries<'a>);

impl Iterator for Range<'_> {
    type Item = Result<Entry, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back()
    }
}

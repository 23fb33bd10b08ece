//! A transaction: what a plan may read and change.

use std::cell::Cell;
use std::fmt;
use std::ops::Bound;

use bytes::Bytes;
use coffer_base::Position;
use coffer_log::{Extent, Group};

use crate::engine::{Engine, EngineError, Entry};
use crate::keys::{KEY_BYTES_MAX, SUBSPACE_RESERVED};
use crate::overlay::Overlay;
use crate::record::RecordBuilder;

/// The longest value a transaction takes, in bytes. Values are meant to be small, up to 64 KiB;
/// larger manifests belong into payloads.
pub const VALUE_BYTES_MAX: usize = 4 << 20;

/// How many bits of [`Txn::sequence`] count within a group.
const ORDINAL_BITS: u32 = 20;

/// A transaction could not read the index. The plan should end with it; the commit is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnError(pub EngineError);

impl fmt::Display for TxnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for TxnError {}

/// What the plan of a commit works on: the state after every earlier commit, also those of the
/// same group that are not durable yet.
pub struct Txn<'a> {
    engine: &'a dyn Engine,
    overlay: &'a mut Overlay,
    group: &'a mut Group,
    ordinals: &'a Cell<u64>,
    record: RecordBuilder,
    failed: Option<TxnError>,
}

impl<'a> Txn<'a> {
    pub(crate) fn new(
        engine: &'a dyn Engine,
        overlay: &'a mut Overlay,
        group: &'a mut Group,
        ordinals: &'a Cell<u64>,
    ) -> Self {
        overlay.begin_plan();
        let record = RecordBuilder::default();
        Self { engine, overlay, group, ordinals, record, failed: None }
    }

    /// What the plan changed, or why it can't be kept.
    pub(crate) fn finish(self) -> Result<RecordBuilder, TxnError> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(self.record),
        }
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, TxnError> {
        self.overlay.get(self.engine, key).map_err(TxnError)
    }

    /// The first `limit` entries between the bounds, in order of their keys.
    pub fn range(
        &self,
        lo: Bound<&[u8]>,
        hi: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, TxnError> {
        self.overlay.range(self.engine, lo, hi, limit).map_err(TxnError)
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        assert_key(key);
        assert!(
            value.len() <= VALUE_BYTES_MAX,
            "a value of {} bytes, at most {VALUE_BYTES_MAX} are allowed",
            value.len()
        );
        self.record.put(key, value);
        self.overlay.put(key, value);
    }

    /// Removes `key`, if it is there.
    pub fn delete(&mut self, key: &[u8]) {
        assert_key(key);
        self.record.delete(key);
        self.overlay.delete(key);
    }

    /// Adds to a row of counters, which [`crate::decode_counters`] reads. An absent row, and the
    /// counters behind the end of a shorter one, are zeros.
    pub fn add(&mut self, key: &[u8], deltas: &[i64]) {
        assert_key(key);
        self.record.add(key, deltas);
        if let Err(error) = self.overlay.add(self.engine, key, deltas) {
            self.failed.get_or_insert(TxnError(error));
        }
    }

    /// Appends an inline payload to the commit lane, in the same group as this transaction. The
    /// extent is readable once the commit has been answered.
    pub fn append(&mut self, payload: &[u8]) -> Extent {
        self.group.payload(payload)
    }

    /// A number that no other commit has got or will get, greater than all earlier ones: the
    /// position of the group shifted left by 20 bits, plus a counter within the group. What a
    /// plan drew that is rejected, or that changes nothing, may be drawn again.
    pub fn sequence(&self) -> u64 {
        let ordinal = self.ordinals.get();
        self.ordinals.set(ordinal + 1);
        sequence(self.group.position(), ordinal)
    }
}

fn sequence(position: Position, ordinal: u64) -> u64 {
    assert!(ordinal < 1 << ORDINAL_BITS, "{ordinal} sequence numbers in one group");
    assert!(position.0 < 1 << (u64::BITS - ORDINAL_BITS), "position {} is too high", position.0);
    position.0 << ORDINAL_BITS | ordinal
}

fn assert_key(key: &[u8]) {
    assert!(
        (1..=KEY_BYTES_MAX).contains(&key.len()),
        "a key of {} bytes, 1 to {KEY_BYTES_MAX} are allowed",
        key.len()
    );
    assert_ne!(key[0], SUBSPACE_RESERVED, "a key in the subspace of the engines");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_grow_with_position_then_ordinal() {
        let numbers = [(1, 0), (1, 1), (1, (1 << 20) - 1), (2, 0), (1 << 43, 7)];
        let numbers = numbers.map(|(position, ordinal)| sequence(Position(position), ordinal));
        assert!(numbers.is_sorted());
        assert_eq!(numbers[3], 2 << 20);
    }
}

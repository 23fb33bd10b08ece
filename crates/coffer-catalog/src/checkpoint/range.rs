//! One range: its sorted entries as bytes, and cutting entries into ranges.

use bytes::Bytes;
use coffer_base::checksum::checksum;
use coffer_base::wire::{Put, Reader};

use super::root::RangeRef;
use super::{RANGE_BYTES_TARGET_MAX, Unusable, unusable};
use crate::engine::Entry;
use crate::keys::{KEY_BYTES_MAX, SUBSPACE_RESERVED};
use crate::txn::VALUE_BYTES_MAX;

/// The most raw bytes of a range: the largest target, a quarter more, and the entry that crosses
/// it.
pub(super) const RAW_BYTES_MAX: usize =
    RANGE_BYTES_TARGET_MAX + RANGE_BYTES_TARGET_MAX / 4 + KEY_BYTES_MAX + VALUE_BYTES_MAX + 64;

/// Entries in order, framed.
#[derive(Default)]
pub(super) struct Chunk {
    /// The key of the first entry.
    pub first: Bytes,
    pub raw: Vec<u8>,
    pub entries: u64,
}

impl Chunk {
    fn push(&mut self, (key, value): Entry) {
        self.raw.put_bytes(&key);
        self.raw.put_bytes(&value);
        if self.entries == 0 {
            self.first = key;
        }
        self.entries += 1;
    }
}

/// Cuts entries that come in order into chunks of about `target` raw bytes.
pub(super) struct Cutter {
    target: usize,
    /// Full, but may still get a small remainder.
    held: Option<Chunk>,
    current: Chunk,
}

impl Cutter {
    pub fn new(target: usize) -> Self {
        Self { target, held: None, current: Chunk::default() }
    }

    /// Takes an entry; gives the chunk that is certainly complete with it.
    pub fn push(&mut self, entry: Entry) -> Option<Chunk> {
        self.current.push(entry);
        if self.current.raw.len() < self.target {
            return None;
        }
        self.held.replace(std::mem::take(&mut self.current))
    }

    /// Whether there is so little that the next range had better be joined to it.
    pub fn is_scant(&self) -> bool {
        self.held.is_none() && self.current.entries > 0 && self.is_remainder()
    }

    fn is_remainder(&self) -> bool {
        self.current.raw.len() < self.target / 4
    }

    /// Gives the rest.
    pub fn flush(&mut self) -> impl Iterator<Item = Chunk> + use<> {
        let small = self.is_remainder();
        let mut last = Some(std::mem::take(&mut self.current)).filter(|chunk| chunk.entries > 0);
        let mut held = self.held.take();
        if small
            && let Some(held) = &mut held
            && let Some(rest) = last.take()
        {
            held.raw.extend_from_slice(&rest.raw);
            held.entries += rest.entries;
        }
        held.into_iter().chain(last)
    }
}

/// The seed binds stored bytes to the checkpoint that wrote them.
pub(super) fn stored_checksum(position: u64, stored: &[u8]) -> u64 {
    checksum(position, stored)
}

/// The entries of `range`, which ends before `next` (`None`: it is the last one), from its stored
/// bytes. Everything about them is checked.
pub(super) fn read_entries(
    range: &RangeRef,
    next: Option<&[u8]>,
    stored: &[u8],
) -> Result<Vec<Entry>, Unusable> {
    if stored_checksum(range.position.0, stored) != range.checksum {
        return Err(unusable("the bytes of a range are not those that were written"));
    }
    let raw = lz4_flex::block::decompress(stored, range.raw_len)
        .map_err(|e| unusable(format!("a range does not unpack: {e}")))?;
    if raw.len() != range.raw_len {
        return Err(unusable(format!("{} bytes in a range of {}", raw.len(), range.raw_len)));
    }
    parse_entries(range, next, Bytes::from(raw))
        .ok_or_else(|| unusable("the entries of a range are not in order, or not its own"))
}

fn parse_entries(range: &RangeRef, next: Option<&[u8]>, raw: Bytes) -> Option<Vec<Entry>> {
    let mut r = Reader::new(&raw);
    let mut entries: Vec<Entry> = Vec::new();
    while !r.is_empty() {
        let (key, value) = (r.bytes()?, r.bytes()?);
        let follows = entries.last().is_none_or(|(before, _)| before[..] < *key);
        let within = *key >= range.first[..] && next.is_none_or(|next| key < next);
        if !follows || !within || *key.first()? == SUBSPACE_RESERVED {
            return None;
        }
        entries.push((raw.slice_ref(key), raw.slice_ref(value)));
    }
    (entries.len() as u64 == range.entries).then_some(entries)
}

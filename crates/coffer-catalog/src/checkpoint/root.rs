//! The root: what a checkpoint consists of.

use bytes::Bytes;
use coffer_base::Position;
use coffer_base::checksum::checksum;
use coffer_base::wire::{Put, Reader};
use coffer_log::{Extent, Mark};

use super::range::RAW_BYTES_MAX;
use super::{CheckpointSummary, Unusable, unusable};

const MAGIC: &[u8; 8] = b"COFFERCP";
/// The newest version this program writes and reads.
const VERSION: u16 = 1;
/// Of the checksum of a root: its magic as a number.
const SEED: u64 = u64::from_le_bytes(*MAGIC);
/// A root is not longer than this.
pub(super) const ROOT_BYTES_MAX: u64 = 256 << 20;

/// A range of keys, and where its entries are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RangeRef {
    /// The least key that may be in it; the next range's bounds it above.
    pub first: Bytes,
    /// Which of the root's payloads its bytes are in …
    pub payload: usize,
    /// … and where in it.
    pub offset: u64,
    pub stored_len: usize,
    pub raw_len: usize,
    pub entries: u64,
    /// Of the checkpoint that wrote it.
    pub position: Position,
    pub checksum: u64,
}

/// All of the catalog at a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub mark: Mark,
    /// What was written for one checkpoint each, in pieces.
    pub payloads: Vec<Vec<Extent>>,
    /// In order; the first one begins with the empty key.
    pub ranges: Vec<RangeRef>,
}

impl Root {
    pub fn summary(&self) -> CheckpointSummary {
        CheckpointSummary {
            position: self.mark.position,
            entries: self.ranges.iter().map(|range| range.entries).sum(),
            ranges: self.ranges.len() as u64,
            bytes: self.ranges.iter().map(|range| range.stored_len as u64).sum(),
        }
    }

    /// The index of the range that `key` belongs to; 0 when there are none.
    pub fn range_of(&self, key: &[u8]) -> usize {
        self.ranges.partition_point(|range| range.first <= key).saturating_sub(1)
    }

    /// Where the range after `index` begins.
    pub fn next_first(&self, index: usize) -> Option<&Bytes> {
        self.ranges.get(index + 1).map(|range| &range.first)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.put_u16(VERSION);
        self.mark.encode(&mut out);
        out.put_varint(self.summary().entries);
        out.put_varint(self.payloads.len() as u64);
        for extents in &self.payloads {
            out.put_varint(extents.len() as u64);
            extents.iter().for_each(|extent| extent.encode(&mut out));
        }
        out.put_varint(self.ranges.len() as u64);
        for range in &self.ranges {
            out.put_bytes(&range.first);
            out.put_varint(range.payload as u64);
            out.put_varint(range.offset);
            out.put_varint(range.stored_len as u64);
            out.put_varint(range.raw_len as u64);
            out.put_varint(range.entries);
            out.put_varint(range.position.0);
            out.put_u64(range.checksum);
        }
        let sum = checksum(SEED, &out);
        out.put_u64(sum);
        out
    }

    /// Reads what [`Root::encode`] wrote, and checks that it fits together.
    pub fn decode(bytes: &[u8]) -> Result<Root, Unusable> {
        let malformed = || unusable("the root of a checkpoint is malformed");
        let at = bytes.len().checked_sub(8).ok_or_else(malformed)?;
        let (body, sum) = bytes.split_at(at);
        if Reader::new(sum).u64() != Some(checksum(SEED, body)) {
            return Err(unusable("the root of a checkpoint has a wrong checksum"));
        }
        let mut r = Reader::new(body);
        if r.take(8) != Some(&MAGIC[..]) {
            return Err(malformed());
        }
        let version = r.u16().ok_or_else(malformed)?;
        if version != VERSION {
            return Err(unusable(format!("a checkpoint of version {version}, not {VERSION}")));
        }
        Root::decode_fields(&mut r).filter(|_| r.is_empty()).ok_or_else(malformed)
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Root> {
        let mark = Mark::decode(r)?;
        let entries = r.varint()?;
        // Counts are not trusted with memory: each item takes input.
        let mut payloads = Vec::new();
        for _ in 0..r.varint()? {
            let mut extents = Vec::new();
            for _ in 0..r.varint()? {
                extents.push(Extent::decode(r)?);
            }
            payloads.push(extents);
        }
        let mut ranges = Vec::new();
        for _ in 0..r.varint()? {
            ranges.push(RangeRef {
                first: Bytes::copy_from_slice(r.bytes()?),
                payload: usize::try_from(r.varint()?).ok()?,
                offset: r.varint()?,
                stored_len: usize::try_from(r.varint()?).ok()?,
                raw_len: usize::try_from(r.varint()?).ok()?,
                entries: r.varint()?,
                position: Position(r.varint()?),
                checksum: r.u64()?,
            });
        }
        let root = Root { mark, payloads, ranges };
        root.fits_together(entries)?.then_some(root)
    }

    fn fits_together(&self, entries: u64) -> Option<bool> {
        let mut lens = Vec::with_capacity(self.payloads.len());
        for extents in &self.payloads {
            let mut len = 0u64;
            for extent in extents {
                if !extent.is_bulk() {
                    return None;
                }
                len = len.checked_add(extent.len)?;
            }
            lens.push(len);
        }
        let mut sum = 0u64;
        for (i, range) in self.ranges.iter().enumerate() {
            let before = i.checked_sub(1).map(|before| &self.ranges[before].first);
            let ordered = match before {
                None => range.first.is_empty(),
                Some(before) => *before < range.first,
            };
            let end = range.offset.checked_add(range.stored_len as u64)?;
            if !ordered
                || end > *lens.get(range.payload)?
                || range.raw_len > RAW_BYTES_MAX
                || range.stored_len > lz4_flex::block::get_maximum_output_size(RAW_BYTES_MAX)
                || range.entries == 0
                || range.position > self.mark.position
            {
                return None;
            }
            sum = sum.checked_add(range.entries)?;
        }
        Some(sum == entries)
    }
}

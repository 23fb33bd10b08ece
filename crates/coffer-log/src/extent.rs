//! Addresses in the log.

use coffer_base::SegmentId;
use coffer_base::wire::{Put, Reader};

/// Where a run of bytes is. Never changes while the bytes live: sealing a segment keeps addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// The segment.
    pub segment: SegmentId,
    /// Commit lane: offset of the first byte in the segment's body. Bulk: offset of the first
    /// row's header in the segment's files (the same in each).
    pub offset: u64,
    /// Bytes of payload.
    pub len: u64,
    /// 0: a payload in the commit lane. Otherwise a run of bulk rows, each but the last of which
    /// holds this many bytes of payload.
    pub row_bytes: u32,
    /// Commit lane: checksum of the payload, seeded with its place. Bulk: 0 (cells carry theirs).
    pub checksum: u64,
}

impl Extent {
    /// Whether the bytes are in bulk rows rather than in the commit lane.
    pub fn is_bulk(&self) -> bool {
        self.row_bytes > 0
    }

    /// Appends the encoding: segment u64, then varints offset, len, row_bytes, and for the commit
    /// lane the checksum u64.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.segment.0);
        out.put_varint(self.offset);
        out.put_varint(self.len);
        out.put_varint(u64::from(self.row_bytes));
        if !self.is_bulk() {
            out.put_u64(self.checksum);
        }
    }

    /// Reads what [`Extent::encode`] wrote.
    pub fn decode(r: &mut Reader<'_>) -> Option<Extent> {
        let segment = SegmentId(r.u64()?);
        let offset = r.varint()?;
        let len = r.varint()?;
        let row_bytes = u32::try_from(r.varint()?).ok()?;
        let checksum = if row_bytes == 0 { r.u64()? } else { 0 };
        offset.checked_add(len)?;
        Some(Extent { segment, offset, len, row_bytes, checksum })
    }
}

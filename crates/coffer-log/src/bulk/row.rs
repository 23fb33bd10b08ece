//! A bulk row: where its cells are, and the header before each cell.
//!
//! `docs/formats/bulk-rows.md` has the bytes.

use std::ops::Range;

use coffer_base::buffer::{ALIGN, align_up};
use coffer_base::checksum::{checksum, place_seed};
use coffer_base::wire::{Put, Reader};
use coffer_base::{SegmentId, StoreId};

use crate::error::Error;
use crate::extent::Extent;
use crate::geometry::Geometry;
use crate::segment::{BLOCK_BYTES, HEADER_BYTES};

/// Length of the header before each cell.
pub(crate) const ROW_HEADER_BYTES: usize = 4096;

const MAGIC: &[u8; 8] = b"COFFERRW";
const VERSION: u16 = 1;
/// Where the checksums of the cells begin in the header.
const SUMS_AT: usize = 56;
/// Checksums that a header has room for.
const SUMS_MAX: usize = (ROW_HEADER_BYTES - 8 - SUMS_AT) / 8;
/// Seed lanes: the header of cell `i` has `LANE_HEADER + i`, its bytes `LANE_CELL + i`.
const LANE_HEADER: u32 = 0x200;
const LANE_CELL: u32 = 0x300;

/// The longest cell whose row's checksums fit a header; a multiple of [`BLOCK_BYTES`].
pub(crate) fn cell_bytes_limit(geometry: Geometry) -> usize {
    SUMS_MAX / geometry.cells() * BLOCK_BYTES
}

/// Where a row is and how its payload is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowPlace {
    /// Of the cell headers, the same in each member's file.
    pub offset: u64,
    /// Payload in the row.
    pub data_len: usize,
    /// Length of each cell; data cell `i` holds the payload from `i * cell_bytes` on, the last
    /// ones zeros where it has ended.
    pub cell_bytes: usize,
}

impl RowPlace {
    /// The row of `data_len` bytes at `offset`.
    pub fn new(offset: u64, data_len: usize, k: u8) -> RowPlace {
        RowPlace { offset, data_len, cell_bytes: cell_bytes_for(data_len, k) }
    }

    /// Bytes that the row takes in each member's file.
    pub fn stride(self) -> u64 {
        (ROW_HEADER_BYTES + self.cell_bytes) as u64
    }

    /// Where the first byte of the cells is in the members' files.
    pub fn cells_at(self) -> u64 {
        self.offset + ROW_HEADER_BYTES as u64
    }

    /// Checksummed blocks in each cell.
    pub fn blocks(self) -> usize {
        self.cell_bytes.div_ceil(BLOCK_BYTES)
    }

    /// Of each data cell that holds some of `range` of the row's payload: its index and the part.
    pub fn cells_of(self, range: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
        let first = range.start / self.cell_bytes;
        let end = range.end.div_ceil(self.cell_bytes);
        (first..end).map(move |i| {
            let base = i * self.cell_bytes;
            let start = range.start.max(base) - base;
            (i, start..range.end.min(base + self.cell_bytes) - base)
        })
    }

    /// `part` of a cell, widened to whole blocks.
    pub fn window(self, part: &Range<usize>) -> Range<usize> {
        let start = part.start / BLOCK_BYTES * BLOCK_BYTES;
        start..part.end.next_multiple_of(BLOCK_BYTES).min(self.cell_bytes)
    }
}

/// The shortest cells that hold `data_len` bytes in `k` of them.
pub(crate) fn cell_bytes_for(data_len: usize, k: u8) -> usize {
    align_up(data_len.div_ceil(usize::from(k)) as u64) as usize
}

/// The rows that hold `range` of `extent`, each with the part of its payload; an error when no
/// rows over `k` data cells can be where the extent says.
pub(crate) fn rows_of(
    extent: &Extent,
    k: u8,
    range: Range<u64>,
) -> Result<impl Iterator<Item = (RowPlace, Range<usize>)> + use<>, Error> {
    let row_bytes = u64::from(extent.row_bytes);
    let cell_bytes = row_bytes / u64::from(k);
    let fits = row_bytes > 0
        && cell_bytes * u64::from(k) == row_bytes
        && cell_bytes.is_multiple_of(ALIGN as u64)
        && extent.offset >= HEADER_BYTES
        && extent.offset.is_multiple_of(ALIGN as u64)
        // The files are far shorter than that, so that no sum below overflows.
        && extent.offset < 1 << 60
        && extent.len < 1 << 60;
    if !fits {
        return Err(Error::Corrupt(format!("no bulk rows over {k} cells are at {extent:?}")));
    }
    assert!(
        range.start <= range.end && range.end <= extent.len,
        "bytes {range:?} of an extent of {}",
        extent.len
    );
    let (offset, len) = (extent.offset, extent.len);
    let end = if range.is_empty() { 0 } else { range.end.div_ceil(row_bytes) };
    let rows = (range.start / row_bytes).min(end)..end;
    Ok(rows.map(move |row| {
        let base = row * row_bytes;
        let data_len = row_bytes.min(len - base) as usize;
        let offset = offset + row * (ROW_HEADER_BYTES as u64 + cell_bytes);
        let start = range.start.max(base) - base;
        let end = range.end.min(base + row_bytes) - base;
        (RowPlace::new(offset, data_len, k), start as usize..end as usize)
    }))
}

/// The header before one cell of a row. All cells of a row have the same, but for `index`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowHeader {
    pub store: StoreId,
    pub segment: SegmentId,
    pub geometry: Geometry,
    /// Which cell follows.
    pub index: u8,
    pub place: RowPlace,
    /// Checksums of all cells, one per [`BLOCK_BYTES`]: cell 0's, cell 1's, …
    pub sums: Vec<u64>,
}

impl RowHeader {
    /// Writes the header to the first [`ROW_HEADER_BYTES`] of `out`.
    pub fn encode_into(&self, out: &mut [u8]) {
        assert_eq!(
            self.sums.len(),
            self.geometry.cells() * self.place.blocks(),
            "checksums of {} with cells of {}",
            self.geometry,
            self.place.cell_bytes
        );
        assert!(self.sums.len() <= SUMS_MAX, "{} checksums do not fit", self.sums.len());
        let mut bytes = Vec::with_capacity(ROW_HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.put_u16(VERSION);
        bytes.put_u8(self.geometry.k);
        bytes.put_u8(self.geometry.m);
        bytes.put_u8(self.index);
        bytes.extend_from_slice(&[0; 3]);
        bytes.put_u128(self.store.0);
        bytes.put_u64(self.segment.0);
        bytes.put_u64(self.place.offset);
        bytes.put_u32(self.place.data_len as u32);
        bytes.put_u32(self.place.cell_bytes as u32);
        assert_eq!(bytes.len(), SUMS_AT, "the fields before the checksums");
        for sum in &self.sums {
            bytes.put_u64(*sum);
        }
        bytes.resize(ROW_HEADER_BYTES - 8, 0);
        let sum = checksum(self.seed(), &bytes);
        bytes.put_u64(sum);
        out[..ROW_HEADER_BYTES].copy_from_slice(&bytes);
    }

    /// Reads a header; `None` when it is not one, or damaged.
    pub fn decode(bytes: &[u8]) -> Option<RowHeader> {
        let bytes = bytes.get(..ROW_HEADER_BYTES)?;
        let (body, sum) = bytes.split_at(ROW_HEADER_BYTES - 8);
        let mut r = Reader::new(body);
        if r.take(8)? != MAGIC || r.u16()? != VERSION {
            return None;
        }
        let geometry = Geometry { k: r.u8()?, m: r.u8()? };
        let index = r.u8()?;
        r.take(3)?;
        let store = StoreId(r.u128()?);
        let segment = SegmentId(r.u64()?);
        let offset = r.u64()?;
        let data_len = r.u32()? as usize;
        let cell_bytes = r.u32()? as usize;
        if geometry.k == 0 || data_len == 0 || usize::from(index) >= geometry.cells() {
            return None;
        }
        let place = RowPlace::new(offset, data_len, geometry.k);
        let count = geometry.cells() * place.blocks();
        if place.cell_bytes != cell_bytes || count > SUMS_MAX {
            return None;
        }
        let mut header = RowHeader { store, segment, geometry, index, place, sums: Vec::new() };
        if checksum(header.seed(), body) != u64::from_le_bytes(sum.try_into().ok()?) {
            return None;
        }
        header.sums = (0..count).map(|_| r.u64()).collect::<Option<Vec<u64>>>()?;
        Some(header)
    }

    /// The version of a header that a newer program wrote; `None` for anything else. Every version
    /// keeps the fields up to the offset and the checksum where they are.
    pub fn newer_version(bytes: &[u8]) -> Option<u16> {
        let (body, sum) = bytes.get(..ROW_HEADER_BYTES)?.split_last_chunk::<8>()?;
        let mut r = Reader::new(body);
        if r.take(8)? != MAGIC {
            return None;
        }
        let version = r.u16()?;
        r.take(2)?;
        let lane = LANE_HEADER + u32::from(r.u8()?);
        r.take(3)?;
        let store = StoreId(r.u128()?);
        let segment = SegmentId(r.u64()?);
        let seed = place_seed(store, segment, lane, r.u64()?);
        let right = checksum(seed, body) == u64::from_le_bytes(*sum);
        (version > VERSION && right).then_some(version)
    }

    /// Whether it stands where `index`'s header of the row at `offset` must.
    pub fn is_at(
        &self,
        store: StoreId,
        segment: SegmentId,
        geometry: Geometry,
        index: usize,
        offset: u64,
    ) -> bool {
        (self.store, self.segment, self.geometry) == (store, segment, geometry)
            && usize::from(self.index) == index
            && self.place.offset == offset
    }

    /// For each block of `window` of `cell`, which begins at a block and ends at one or with the
    /// cell, whether it is right in `bytes`, which are as long as the window.
    pub fn right_blocks(
        &self,
        cell: usize,
        window: &Range<usize>,
        bytes: &[u8],
    ) -> impl Iterator<Item = bool> {
        assert_eq!(bytes.len(), window.len(), "bytes of {window:?}");
        let first = window.start / BLOCK_BYTES;
        let sums = &self.sums[cell * self.place.blocks()..][..self.place.blocks()];
        bytes.chunks(BLOCK_BYTES).enumerate().map(move |(i, block)| {
            let seed = block_seed(self.store, self.segment, cell, self.place, first + i);
            checksum(seed, block) == sums[first + i]
        })
    }

    fn seed(&self) -> u64 {
        let lane = LANE_HEADER + u32::from(self.index);
        place_seed(self.store, self.segment, lane, self.place.offset)
    }
}

/// The checksums of a whole cell, one a block.
pub(crate) fn cell_sums(
    store: StoreId,
    segment: SegmentId,
    cell: usize,
    place: RowPlace,
    bytes: &[u8],
) -> impl Iterator<Item = u64> {
    bytes
        .chunks(BLOCK_BYTES)
        .enumerate()
        .map(move |(i, block)| checksum(block_seed(store, segment, cell, place, i), block))
}

/// Seeded with the offset of the block in the member's file.
fn block_seed(
    store: StoreId,
    segment: SegmentId,
    cell: usize,
    place: RowPlace,
    block: usize,
) -> u64 {
    let at = place.cells_at() + (block * BLOCK_BYTES) as u64;
    place_seed(store, segment, LANE_CELL + cell as u32, at)
}

#[cfg(test)]
mod tests;

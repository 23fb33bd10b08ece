//! A row in memory while it is filled, laid out as it will stand in the members' files.

use coffer_base::buffer::ALIGN;
use coffer_base::{AlignedBuf, SegmentId, StoreId};

use super::memory::RowSpace;
use super::row::{
    ROW_HEADER_BYTES, RowHeader, RowPlace, cell_bytes_for, cell_bytes_limit, cell_sums,
};
use crate::erasure::Coder;
use crate::geometry::Geometry;
use crate::segment::BLOCK_BYTES;

/// Room for one row: for each cell a header and the cell, so that each member is written at once.
pub(crate) struct RowBuffer {
    geometry: Geometry,
    coder: Coder,
    /// Length of the cells of a full row.
    cell_bytes: usize,
    /// How the payload is cut now: `cell_bytes`, or shorter once a short row was sealed.
    cut_bytes: usize,
    filled: usize,
    /// One a cell. Empty while the row is being written, and in a hollow one.
    pub cells: Vec<AlignedBuf>,
    /// What its cells are counted by.
    pub space: Option<RowSpace>,
}

impl RowBuffer {
    /// An empty row of cells of at most `cell_bytes` that has no memory yet and can't be filled.
    pub fn hollow(geometry: Geometry, cell_bytes: usize) -> Self {
        let coder = Coder::new(geometry);
        let cells = Vec::new();
        Self { geometry, coder, cell_bytes, cut_bytes: cell_bytes, filled: 0, cells, space: None }
    }

    /// Gives a hollow row its memory.
    pub fn settle_in(&mut self, space: RowSpace) {
        self.cells = space.buffers(self.geometry.cells(), ROW_HEADER_BYTES + self.cell_bytes);
        self.space = Some(space);
    }

    pub fn is_hollow(&self) -> bool {
        self.cells.is_empty()
    }

    /// Memory that it takes when it is not hollow.
    pub fn memory_bytes(&self) -> usize {
        row_memory_bytes(self.geometry, self.cell_bytes)
    }

    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub fn cell_bytes(&self) -> usize {
        self.cell_bytes
    }

    /// Payload that a full row holds.
    pub fn capacity(&self) -> usize {
        usize::from(self.geometry.k) * self.cell_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    pub fn is_full(&self) -> bool {
        self.filled == self.capacity()
    }

    /// How much payload it still takes.
    pub fn room(&self) -> usize {
        self.capacity() - self.filled
    }

    /// Takes as much of `data` as fits and says how much that was.
    pub fn fill(&mut self, data: &[u8]) -> usize {
        assert_eq!(self.cut_bytes, self.cell_bytes, "a sealed short row takes no more payload");
        let mut done = 0;
        while done < data.len() && !self.is_full() {
            let (cell, at) = (self.filled / self.cell_bytes, self.filled % self.cell_bytes);
            let n = (self.cell_bytes - at).min(data.len() - done);
            self.cells[cell][ROW_HEADER_BYTES + at..][..n].copy_from_slice(&data[done..done + n]);
            self.filled += n;
            done += n;
        }
        done
    }

    /// Empties the row.
    pub fn clear(&mut self) {
        self.filled = 0;
        self.cut_bytes = self.cell_bytes;
    }

    /// The payload, and an empty row.
    pub fn drain(&mut self) -> Vec<u8> {
        let mut data = Vec::with_capacity(self.filled);
        for cell in self.cells.iter().take(usize::from(self.geometry.k)) {
            let n = self.cut_bytes.min(self.filled - data.len());
            data.extend_from_slice(&cell[ROW_HEADER_BYTES..][..n]);
        }
        self.clear();
        data
    }

    /// Makes all cells ready to be written to `segment` at `offset`: cuts a short row anew, pads,
    /// computes parity, checksums and headers. May be called again for another place.
    pub fn seal(&mut self, store: StoreId, segment: SegmentId, offset: u64) -> RowPlace {
        let place = RowPlace::new(offset, self.filled, self.geometry.k);
        self.cut(place.cell_bytes);
        let (data, parity) = self.cells.split_at_mut(usize::from(self.geometry.k));
        let end = ROW_HEADER_BYTES + place.cell_bytes;
        let data: Vec<&[u8]> = data.iter().map(|c| &c[ROW_HEADER_BYTES..end]).collect();
        let mut parity: Vec<&mut [u8]> =
            parity.iter_mut().map(|c| &mut c[ROW_HEADER_BYTES..end]).collect();
        self.coder.encode(&data, &mut parity);
        let sums = self.cells.iter().enumerate().flat_map(|(i, cell)| {
            cell_sums(store, segment, i, place, &cell[ROW_HEADER_BYTES..end])
        });
        let mut header = RowHeader {
            store,
            segment,
            geometry: self.geometry,
            index: 0,
            place,
            sums: sums.collect(),
        };
        for (i, cell) in self.cells.iter_mut().enumerate() {
            header.index = i as u8;
            header.encode_into(cell);
        }
        place
    }

    /// Moves the payload into cells of `cut_bytes`, which is never more than before, and pads it
    /// with zeros.
    fn cut(&mut self, cut_bytes: usize) {
        let k = usize::from(self.geometry.k);
        let old = self.cut_bytes;
        assert!(cut_bytes <= old, "cells of {old} can't become {cut_bytes}");
        self.cut_bytes = cut_bytes;
        // From the end, so that nothing is overwritten before it was moved: every byte goes to
        // the same cell or a later one.
        for to in (0..k).rev() {
            let (start, end) = (to * cut_bytes, ((to + 1) * cut_bytes).min(self.filled));
            let start = start.min(end);
            let mut left = end;
            while left > start && cut_bytes < old {
                let from = (left - 1) / old;
                let piece = start.max(from * old);
                let n = left - piece;
                let target = ROW_HEADER_BYTES + piece - to * cut_bytes;
                let source = ROW_HEADER_BYTES + piece - from * old;
                if from == to {
                    self.cells[to].copy_within(source..source + n, target);
                } else {
                    let (before, after) = self.cells.split_at_mut(to);
                    after[0][target..target + n].copy_from_slice(&before[from][source..source + n]);
                }
                left = piece;
            }
            self.cells[to][ROW_HEADER_BYTES + end - start..ROW_HEADER_BYTES + cut_bytes].fill(0);
        }
    }
}

fn row_memory_bytes(geometry: Geometry, cell_bytes: usize) -> usize {
    geometry.cells() * (ROW_HEADER_BYTES + cell_bytes)
}

/// The length of cells for a writer that expects `expected_len` bytes (`None`: many), may use
/// cells of up to `cell_bytes_max`, and up to `memory_bytes` of memory. Whole blocks, but for a
/// payload that fits one row: then what it needs. Never less than one block or that.
pub(crate) fn choose_cell_bytes(
    geometry: Geometry,
    expected_len: Option<u64>,
    cell_bytes_max: usize,
    memory_bytes: usize,
) -> usize {
    let most = cell_bytes_max.min(cell_bytes_limit(geometry));
    let most = (most / BLOCK_BYTES * BLOCK_BYTES).max(BLOCK_BYTES);
    let full = (most * usize::from(geometry.k)) as u64;
    let wanted = match expected_len {
        Some(len) if len <= full => cell_bytes_for(len.max(1) as usize, geometry.k),
        _ => most,
    };
    if wanted <= BLOCK_BYTES || row_memory_bytes(geometry, wanted) <= memory_bytes {
        return wanted;
    }
    let cell = (memory_bytes / geometry.cells()).saturating_sub(ROW_HEADER_BYTES);
    (cell / BLOCK_BYTES * BLOCK_BYTES).max(BLOCK_BYTES)
}

/// The longest cells, at most `cell_bytes`, of rows that hold at most `row_bytes`: whole blocks if
/// there is room for one, else less than a block. Never less than what can be aligned.
pub(crate) fn limit_cell_bytes(geometry: Geometry, cell_bytes: usize, row_bytes: usize) -> usize {
    let most = row_bytes / usize::from(geometry.k);
    if cell_bytes <= most {
        return cell_bytes;
    }
    match most / BLOCK_BYTES {
        0 => (most / ALIGN * ALIGN).max(ALIGN),
        blocks => blocks * BLOCK_BYTES,
    }
}

#[cfg(test)]
mod tests;

//! Writing one payload to bulk rows.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use coffer_base::pool::map_all;
use coffer_base::{DriveId, SegmentId};

use super::buffer::{RowBuffer, choose_cell_bytes};
use super::lanes::{OpenSegment, take_out_failed};
use super::reader::read_bulk;
use super::row::{ROW_HEADER_BYTES, RowPlace};
use super::writing::{Outcome, Writing};
use crate::error::Error;
use crate::extent::Extent;
use crate::geometry::Geometry;
use crate::inner::Inner;

/// Writes one payload to bulk rows. All methods block.
///
/// Nothing is durable, and nothing may be named by a commit, before [`BulkWriter::finish`]
/// returned; dropping the writer leaves dead bytes. After an error it is only good for dropping.
pub struct BulkWriter {
    inner: Arc<Inner>,
    /// The row that is being filled.
    row: RowBuffer,
    /// The row before it, on its way to the drives.
    writing: Option<Writing>,
    /// An empty row whose memory can be used again.
    spare: Option<RowBuffer>,
    /// Whether there is memory for two rows; otherwise each is written before the next is filled.
    double: bool,
    memory_bytes: usize,
    /// Where the next row goes if it can, so that the payload lies together.
    preferred: Option<Arc<OpenSegment>>,
    extents: Vec<Extent>,
    /// Segments with rows of this payload.
    used: Vec<Used>,
}

struct Used {
    segment: Arc<OpenSegment>,
    /// Has rows of this payload that are not known to be durable.
    unsynced: bool,
}

impl BulkWriter {
    /// A writer for a payload of `expected_len` bytes (`None`: not known; more or fewer is
    /// allowed). Waits while other writers have all the memory for rows.
    pub(crate) fn new(inner: Arc<Inner>, expected_len: Option<u64>) -> Result<BulkWriter, Error> {
        let (geometry, _) = inner.members()?;
        let choose = |share_bytes| {
            let cell_bytes = |most| {
                choose_cell_bytes(geometry, expected_len, inner.options.cell_bytes_max, most)
            };
            let row_bytes = |cell| RowBuffer::memory_bytes(geometry, cell);
            let cell = cell_bytes(share_bytes);
            let one_row = (cell * usize::from(geometry.k)) as u64;
            if expected_len.is_none_or(|len| len > one_row) {
                let cell = cell_bytes(share_bytes / 2);
                if 2 * row_bytes(cell) <= share_bytes {
                    return ((cell, true), 2 * row_bytes(cell));
                }
            }
            ((cell, false), row_bytes(cell))
        };
        let total_bytes = inner.options.row_memory_bytes;
        let ((cell_bytes, double), memory_bytes) = inner.bulk.memory.take(total_bytes, choose)?;
        Ok(BulkWriter {
            inner,
            row: RowBuffer::hollow(geometry, cell_bytes),
            writing: None,
            spare: None,
            double,
            memory_bytes,
            preferred: None,
            extents: Vec::new(),
            used: Vec::new(),
        })
    }

    /// Payload that the current row holds when it is full: writing that much at once, or a part
    /// of it, copies least.
    pub fn row_bytes(&self) -> usize {
        self.row.capacity()
    }

    /// Appends `data`; rows that get full are written.
    pub fn write(&mut self, mut data: &[u8]) -> Result<(), Error> {
        while !data.is_empty() {
            if self.row.is_hollow() {
                let (geometry, cell_bytes) = (self.row.geometry(), self.row.cell_bytes());
                let spare = self.spare.take();
                self.row = spare.unwrap_or_else(|| RowBuffer::new(geometry, cell_bytes));
            }
            let n = self.row.fill(data);
            data = &data[n..];
            if self.row.is_full() {
                self.write_row(false)?;
            }
        }
        Ok(())
    }

    /// Writes the last row and makes all rows durable on every member of their segments. What a
    /// drive held that was lost meanwhile is written again to the others first, so the extents
    /// count no drive that is known to be lost. In the order of the payload; none when it is empty.
    pub fn finish(mut self) -> Result<Vec<Extent>, Error> {
        if self.used.is_empty() && self.writing.is_none() && !self.row.is_empty() {
            // The only row: written and made durable at once.
            self.write_row(true)?;
        }
        loop {
            self.write_rest()?;
            self.sync()?;
            let is_broken = |used: &mut Used| !used.segment.is_whole(&self.inner);
            let broken = self
                .used
                .extract_if(.., is_broken)
                .map(|used| used.segment.id);
            let broken: Vec<SegmentId> = broken.collect();
            if broken.is_empty() {
                return Ok(std::mem::take(&mut self.extents));
            }
            self.rewrite(&broken)?;
        }
    }

    /// On return no row is being filled or written.
    fn write_rest(&mut self) -> Result<(), Error> {
        loop {
            if !self.row.is_empty() {
                self.write_row(false)?;
            } else if self.writing.is_some() {
                self.settle()?;
            } else {
                return Ok(());
            }
        }
    }

    /// Starts writing the row as it is. When that turns out to be impossible, because drives are
    /// gone, its payload is put into other rows, which may not be full.
    fn write_row(&mut self, durably: bool) -> Result<(), Error> {
        if self.settle()? == Settled::Refilled {
            return Ok(());
        }
        let lane = self
            .inner
            .bulk
            .check_out(&self.inner, self.preferred.as_ref())?;
        self.prefer(&lane.segment);
        let geometry = lane.segment.geometry;
        if geometry != self.row.geometry() {
            self.inner.bulk.check_in(&self.inner, lane);
            let data = self.row.drain();
            return self.refill(geometry, &data);
        }
        let hollow = RowBuffer::hollow(geometry, self.row.cell_bytes());
        let row = std::mem::replace(&mut self.row, hollow);
        self.writing = Some(lane.start(&self.inner, row, durably));
        if !self.double {
            self.settle()?;
        }
        Ok(())
    }

    /// Waits for the row that is being written, if there is one.
    fn settle(&mut self) -> Result<Settled, Error> {
        let Some(writing) = self.writing.take() else {
            return Ok(Settled::AsItWas);
        };
        let durably = writing.durably;
        let (mut row, outcome) = writing.wait();
        match outcome {
            Outcome::Written(segment, place) => {
                self.append_extent(&row, segment.id, place);
                match self
                    .used
                    .iter_mut()
                    .find(|used| used.segment.id == segment.id)
                {
                    Some(used) => used.unsynced |= !durably,
                    None => self.used.push(Used {
                        segment,
                        unsynced: !durably,
                    }),
                }
                row.clear();
                self.spare = Some(row);
                Ok(Settled::AsItWas)
            }
            Outcome::Elsewhere => {
                let mut data = row.drain();
                drop(row);
                data.append(&mut self.row.drain());
                let (geometry, _) = self.inner.members()?;
                self.refill(geometry, &data)?;
                Ok(Settled::Refilled)
            }
            Outcome::Failed(error) => Err(error),
        }
    }

    /// Puts `data`, which comes next in the payload, into rows over `geometry`. Their cells are as
    /// long as before: the scheme over fewer drives has fewer, so they take no more memory.
    fn refill(&mut self, geometry: Geometry, data: &[u8]) -> Result<(), Error> {
        let cell_bytes = self.row.cell_bytes();
        let rows = if self.double { 2 } else { 1 };
        let needed = rows * RowBuffer::memory_bytes(geometry, cell_bytes);
        assert!(
            needed <= self.memory_bytes,
            "{needed} > {} bytes",
            self.memory_bytes
        );
        self.spare = None;
        self.row = RowBuffer::hollow(geometry, cell_bytes);
        self.write(data)
    }

    fn append_extent(&mut self, row: &RowBuffer, segment: SegmentId, place: RowPlace) {
        let row_bytes = row.capacity() as u64;
        let len = place.data_len as u64;
        if let Some(last) = self.extents.last_mut() {
            let rows = last.len / row_bytes;
            let stride = ROW_HEADER_BYTES as u64 + row.cell_bytes() as u64;
            if last.segment == segment
                && u64::from(last.row_bytes) == row_bytes
                && last.len.is_multiple_of(row_bytes)
                && last.offset + rows * stride == place.offset
            {
                last.len += len;
                return;
            }
        }
        let row_bytes = row_bytes as u32;
        self.extents.push(Extent {
            segment,
            offset: place.offset,
            len,
            row_bytes,
            checksum: 0,
        });
    }

    /// One wave: every file of every segment with rows of this payload.
    fn sync(&mut self) -> Result<(), Error> {
        let mut members: Vec<DriveId> = Vec::new();
        let mut files = Vec::new();
        for Used { segment, .. } in self.used.iter().filter(|used| used.unsynced) {
            for (member, file) in segment.members.iter().zip(&segment.files) {
                if self.inner.set.is_live(*member) {
                    members.push(*member);
                    files.push(file.clone());
                }
            }
        }
        let synced = map_all(&*self.inner.seams.pool, files, |file| file.sync());
        let failed: Vec<(DriveId, io::Error)> = members
            .into_iter()
            .zip(synced)
            .filter_map(|(member, synced)| synced.err().map(|e| (member, e)))
            .collect();
        take_out_failed(&self.inner, failed)?;
        // Those with a member that failed are not whole any more, and written again elsewhere.
        self.used.iter_mut().for_each(|used| used.unsynced = false);
        Ok(())
    }

    /// Writes what lies in the segments `broken` again, reading it from the members that are left.
    fn rewrite(&mut self, broken: &[SegmentId]) -> Result<(), Error> {
        for extent in std::mem::take(&mut self.extents) {
            if !broken.contains(&extent.segment) {
                self.write_rest()?;
                self.extents.push(extent);
                continue;
            }
            tracing::warn!(segment = %extent.segment, bytes = extent.len, "writing rows again");
            let segment =
                self.inner.table.get(extent.segment).ok_or_else(|| {
                    Error::Unavailable(format!("segment {} is gone", extent.segment))
                })?;
            let mut done = 0;
            while done < extent.len {
                let end = extent.len.min(done + u64::from(extent.row_bytes));
                let data = read_bulk(&self.inner, &segment, &extent, done..end)?;
                self.write(&data)?;
                done = end;
            }
        }
        Ok(())
    }

    fn prefer(&mut self, segment: &Arc<OpenSegment>) {
        if self
            .preferred
            .as_ref()
            .is_some_and(|p| Arc::ptr_eq(p, segment))
        {
            return;
        }
        segment.writers.fetch_add(1, Ordering::Relaxed);
        if let Some(before) = self.preferred.replace(segment.clone()) {
            before.writers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What [`BulkWriter::settle`] did to the row that is being filled.
#[derive(PartialEq, Eq)]
enum Settled {
    AsItWas,
    /// It was taken apart, and another one is being filled.
    Refilled,
}

impl Drop for BulkWriter {
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            // Its memory is in use until then.
            writing.wait();
        }
        self.inner.bulk.memory.give_back(self.memory_bytes);
        if let Some(segment) = self.preferred.take() {
            segment.writers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

//! Writing one payload to bulk rows.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use coffer_base::drive::DriveQueue;
use coffer_base::drive::queue::{Patience, Work};
use coffer_base::{DriveId, SegmentId};

use super::buffer::{RowBuffer, choose_cell_bytes, limit_cell_bytes};
use super::lanes::{MemberFile, OpenSegment, take_out_failed};
use super::reader::read_bulk;
use super::row::{ROW_HEADER_BYTES, RowPlace};
use super::writing::{Outcome, Writing};
use crate::error::Error;
use crate::extent::Extent;
use crate::geometry::Geometry;
use crate::inner::Inner;

/// As many of the largest rows fit the memory for rows, if the smallest do.
const ROWS_AT_LEAST: usize = 4;

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
    /// Length of the cells of the next rows, and of the longest that it may use.
    cell_bytes: usize,
    cell_bytes_most: usize,
    expected_len: Option<u64>,
    /// Payload taken so far.
    taken_bytes: u64,
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
    /// allowed). It takes memory only when it is given something to write.
    pub(crate) fn new(inner: Arc<Inner>, expected_len: Option<u64>) -> Result<BulkWriter, Error> {
        let (geometry, _) = inner.members()?;
        let options = &inner.options;
        let cell_bytes = choose_cell_bytes(
            geometry,
            expected_len,
            options.cell_bytes_max,
            options.row_memory_bytes / ROWS_AT_LEAST,
        );
        Ok(BulkWriter {
            inner,
            row: RowBuffer::hollow(geometry, cell_bytes),
            writing: None,
            cell_bytes,
            cell_bytes_most: cell_bytes,
            expected_len,
            taken_bytes: 0,
            preferred: None,
            extents: Vec::new(),
            used: Vec::new(),
        })
    }

    /// Payload that a row holds when it is full.
    pub fn row_bytes(&self) -> usize {
        self.row.capacity()
    }

    /// Makes the rows that are not begun hold at most `row_bytes`, as far as they can; until it is
    /// called again.
    pub fn limit_row_bytes(&mut self, row_bytes: usize) {
        self.cell_bytes = limit_cell_bytes(self.row.geometry(), self.cell_bytes_most, row_bytes);
        if self.row.is_hollow() {
            self.row = RowBuffer::hollow(self.row.geometry(), self.cell_bytes);
        }
    }

    /// How many of `len` bytes to write now so that no row stays half full. The memory of a row
    /// that is half full is held until the rest of it comes, so who waits for somebody else's
    /// bytes writes only so much, until the last.
    pub fn whole_rows(&self, len: usize) -> usize {
        match len.checked_sub(self.row.room()) {
            Some(more) => len - more % self.row.capacity(),
            None => 0,
        }
    }

    /// Appends `data`; rows that get full are written. Waits while rows on their way to the drives
    /// have all the memory.
    pub fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        self.taken_bytes += data.len() as u64;
        self.fill(data)
    }

    fn fill(&mut self, mut data: &[u8]) -> Result<(), Error> {
        while !data.is_empty() {
            if self.row.is_full() {
                self.write_row(false)?;
            } else if self.row.is_hollow() {
                self.take_memory()?;
            } else {
                let n = self.row.fill(data);
                data = &data[n..];
            }
        }
        // The last row is left to `finish`, which writes an only one durably at once.
        let has_all = self.expected_len == Some(self.taken_bytes);
        if self.row.is_full() && !has_all { self.write_row(false) } else { Ok(()) }
    }

    /// Gives the row that is to be filled its memory. Does not wait for any while the row before
    /// has some, as that may be what others wait for. On return the row may be another one.
    fn take_memory(&mut self) -> Result<(), Error> {
        let total_bytes = self.inner.options.row_memory_bytes;
        let memory = self.inner.bulk.memory.clone();
        let space = match memory.try_take(total_bytes, self.row.memory_bytes()) {
            Some(space) => space,
            None => {
                while self.writing.is_some() {
                    self.settle()?;
                }
                if !self.row.is_hollow() {
                    return Ok(());
                }
                memory.take(total_bytes, self.row.memory_bytes())?
            }
        };
        self.row.settle_in(space);
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
            let broken = self.used.extract_if(.., is_broken).map(|used| used.segment.id);
            let broken: Vec<SegmentId> = broken.collect();
            if broken.is_empty() {
                coffer_base::failpoint::pass("bulk.finished");
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
        let lane = self.inner.bulk.check_out(&self.inner, self.preferred.as_ref())?;
        self.prefer(&lane.segment);
        let geometry = lane.segment.geometry;
        if geometry != self.row.geometry() {
            self.inner.bulk.check_in(&self.inner, lane);
            let data = self.row.drain();
            return self.refill(geometry, &data);
        }
        let hollow = RowBuffer::hollow(geometry, self.cell_bytes);
        let row = std::mem::replace(&mut self.row, hollow);
        self.writing = Some(lane.start(&self.inner, row, durably));
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
                match self.used.iter_mut().find(|used| used.segment.id == segment.id) {
                    Some(used) => used.unsynced |= !durably,
                    None => self.used.push(Used { segment, unsynced: !durably }),
                }
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
    /// long as before: over fewer drives longer ones would do.
    fn refill(&mut self, geometry: Geometry, data: &[u8]) -> Result<(), Error> {
        self.row = RowBuffer::hollow(geometry, self.cell_bytes);
        self.fill(data)
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
        self.extents.push(Extent { segment, offset: place.offset, len, row_bytes, checksum: 0 });
    }

    /// One wave: every file of every segment with rows of this payload.
    fn sync(&mut self) -> Result<(), Error> {
        let mut members: Vec<DriveId> = Vec::new();
        let mut files = Vec::new();
        for Used { segment, .. } in self.used.iter().filter(|used| used.unsynced) {
            for (member, file) in segment.members.iter().zip(&segment.files) {
                if self.inner.set.is_live(*member) {
                    members.push(*member);
                    files.push((self.inner.set.queue(*member), file.clone()));
                }
            }
        }
        let sync = |file: Arc<MemberFile>| {
            let synced = file.sync();
            coffer_base::failpoint::pass("bulk.synced");
            synced
        };
        let synced = DriveQueue::each(files, Work::Write, Patience::Full, sync);
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
                for data in read_bulk(&self.inner, &segment, &extent, done..end)? {
                    self.fill(&data)?;
                }
                done = end;
            }
        }
        Ok(())
    }

    fn prefer(&mut self, segment: &Arc<OpenSegment>) {
        if self.preferred.as_ref().is_some_and(|p| Arc::ptr_eq(p, segment)) {
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
        if let Some(segment) = self.preferred.take() {
            segment.writers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

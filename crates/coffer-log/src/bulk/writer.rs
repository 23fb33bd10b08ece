//! Writing one payload to bulk rows.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use coffer_base::pool::map_all;
use coffer_base::{DriveId, SegmentId};

use super::buffer::{RowBuffer, choose_cell_bytes};
use super::lanes::{OpenSegment, RowFailed, take_out_failed};
use super::reader::read_bulk;
use super::row::{ROW_HEADER_BYTES, RowPlace};
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
    row: RowBuffer,
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
        let choose = |memory_bytes| {
            let most = inner.options.cell_bytes_max;
            let cell = choose_cell_bytes(geometry, expected_len, most, memory_bytes);
            (cell, RowBuffer::memory_bytes(geometry, cell))
        };
        let (cell_bytes, memory_bytes) = inner
            .bulk
            .memory
            .take(inner.options.row_memory_bytes, choose)?;
        Ok(BulkWriter {
            inner,
            row: RowBuffer::new(geometry, cell_bytes),
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
        if self.used.is_empty() && !self.row.is_empty() {
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

    fn write_rest(&mut self) -> Result<(), Error> {
        while !self.row.is_empty() {
            self.write_row(false)?;
        }
        Ok(())
    }

    /// Writes the row as it is, unless there are fewer drives than it was cut for: then its
    /// payload goes to rows for those there are, the last of which may stay unwritten.
    fn write_row(&mut self, durably: bool) -> Result<(), Error> {
        loop {
            let mut lane = self
                .inner
                .bulk
                .check_out(&self.inner, self.preferred.as_ref())?;
            self.prefer(&lane.segment);
            if lane.segment.geometry != self.row.geometry() {
                let geometry = lane.segment.geometry;
                self.inner.bulk.check_in(&self.inner, lane);
                return self.recut(geometry);
            }
            let written = lane.write(&self.inner, &mut self.row, durably);
            let segment = lane.segment.clone();
            self.inner.bulk.check_in(&self.inner, lane);
            match written {
                Ok(place) => {
                    self.append_extent(segment.id, segment.geometry, place);
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
                    self.row.clear();
                    return Ok(());
                }
                Err(RowFailed::Elsewhere) => {}
                Err(RowFailed::For(error)) => return Err(error),
            }
        }
    }

    /// Makes the row one over `geometry`, with cells as long as before: the scheme over fewer
    /// drives has fewer, so it takes no more memory.
    fn recut(&mut self, geometry: Geometry) -> Result<(), Error> {
        let data = self.row.drain();
        let cell_bytes = self.row.cell_bytes();
        let needed = RowBuffer::memory_bytes(geometry, cell_bytes);
        assert!(
            needed <= self.memory_bytes,
            "{needed} > {} bytes",
            self.memory_bytes
        );
        self.row.cells.clear();
        self.row = RowBuffer::new(geometry, cell_bytes);
        self.write(&data)
    }

    fn append_extent(&mut self, segment: SegmentId, geometry: Geometry, place: RowPlace) {
        let row_bytes = self.row.capacity() as u64;
        let len = place.data_len as u64;
        if let Some(last) = self.extents.last_mut() {
            let rows = last.len / row_bytes;
            let stride = ROW_HEADER_BYTES as u64 + row_bytes / u64::from(geometry.k);
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

impl Drop for BulkWriter {
    fn drop(&mut self) {
        self.inner.bulk.memory.give_back(self.memory_bytes);
        if let Some(segment) = self.preferred.take() {
            segment.writers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

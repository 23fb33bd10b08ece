//! Writing a checkpoint.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use coffer_log::{BulkWriter, Checkpoint, Log, Mark};

use super::range::{Chunk, Cutter, stored_checksum};
use super::root::{RangeRef, Root};
use crate::catalog::Error;
use crate::engine::EngineSnapshot;

/// What is to be written.
pub(super) struct Job {
    pub log: Log,
    pub snapshot: Arc<dyn EngineSnapshot>,
    /// The group after which the snapshot was taken.
    pub mark: Mark,
    /// The checkpoint before, and which of its ranges changed since; `None`: write everything.
    pub previous: Option<(Arc<Root>, Vec<bool>)>,
    pub range_bytes_target: usize,
    /// Set when the catalog is being closed.
    pub closing: Arc<AtomicBool>,
}

/// A recorded checkpoint.
pub(super) struct Written {
    pub root: Root,
    /// Ranges that were written for it.
    pub ranges: u64,
    /// Bytes of these and of the root.
    pub bytes: u64,
}

/// Why there is no new checkpoint.
pub(super) enum Stopped {
    /// The catalog is being closed.
    Closing,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Stopped::Failed(error.into())
    }
}

/// Writes and records a checkpoint. Blocking.
pub(super) fn write(job: Job) -> Result<Written, Stopped> {
    let mut ranges = Ranges::new(&job);
    coffer_base::failpoint::pass("checkpoint.begun");
    match &job.previous {
        None => ranges.scan(&[], None)?,
        Some((root, dirty)) => {
            for (i, range) in root.ranges.iter().enumerate() {
                if dirty[i] || ranges.cutter.is_scant() {
                    ranges.scan(&range.first, root.next_first(i))?;
                } else {
                    ranges.flush()?;
                    ranges.keep(root, range);
                }
            }
        }
    }
    ranges.flush()?;
    let (root, written_ranges, range_bytes) = ranges.finish()?;
    coffer_base::failpoint::pass("checkpoint.ranges");

    let bytes = root.encode();
    let mut writer = job.log.bulk_writer(Some(bytes.len() as u64))?;
    writer.write(&bytes)?;
    let extents = writer.finish()?;
    coffer_base::failpoint::pass("checkpoint.root");
    if extents.len() > Checkpoint::EXTENTS_MAX {
        let what = format!("the root of a checkpoint lies in {} pieces", extents.len());
        return Err(coffer_log::Error::Unavailable(what).into());
    }
    if job.closing.load(Ordering::Relaxed) {
        return Err(Stopped::Closing);
    }
    job.log.record_checkpoint(Checkpoint { mark: job.mark, extents })?;
    coffer_base::failpoint::pass("checkpoint.recorded");
    Ok(Written { root, ranges: written_ranges, bytes: range_bytes + bytes.len() as u64 })
}

/// The ranges of the new checkpoint, in order, as far as they are known.
struct Ranges<'a> {
    job: &'a Job,
    cutter: Cutter,
    root: Root,
    /// Where the payload of the previous root with that index went in this one.
    kept: Vec<Option<usize>>,
    /// Writes the payload of this checkpoint, which is the root's first.
    writer: Option<BulkWriter>,
    written_ranges: u64,
    written_bytes: u64,
}

impl<'a> Ranges<'a> {
    fn new(job: &'a Job) -> Self {
        let payloads = job.previous.as_ref().map_or(0, |(root, _)| root.payloads.len());
        Self {
            job,
            cutter: Cutter::new(job.range_bytes_target),
            root: Root { mark: job.mark, payloads: vec![Vec::new()], ranges: Vec::new() },
            kept: vec![None; payloads],
            writer: None,
            written_ranges: 0,
            written_bytes: 0,
        }
    }

    /// Takes the entries from `lo` up to `hi` as they are now.
    fn scan(&mut self, lo: &[u8], hi: Option<&Bytes>) -> Result<(), Stopped> {
        let hi = hi.map_or(Bound::Unbounded, |hi| Bound::Excluded(&hi[..]));
        for entry in self.job.snapshot.range(Bound::Included(lo), hi) {
            if self.job.closing.load(Ordering::Relaxed) {
                return Err(Stopped::Closing);
            }
            if let Some(chunk) = self.cutter.push(entry?) {
                self.store(chunk)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        self.cutter.flush().try_for_each(|chunk| self.store(chunk))
    }

    /// Names a range of the previous root that did not change.
    fn keep(&mut self, previous: &Root, range: &RangeRef) {
        let payload = *self.kept[range.payload].get_or_insert_with(|| {
            self.root.payloads.push(previous.payloads[range.payload].clone());
            self.root.payloads.len() - 1
        });
        self.root.ranges.push(RangeRef { payload, ..range.clone() });
    }

    /// Writes a new range.
    fn store(&mut self, chunk: Chunk) -> Result<(), Stopped> {
        let stored = lz4_flex::block::compress(&chunk.raw);
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(self.job.log.bulk_writer(None)?),
        };
        writer.write(&stored)?;
        coffer_base::failpoint::pass("checkpoint.range");
        let position = self.job.mark.position;
        self.root.ranges.push(RangeRef {
            first: chunk.first,
            payload: 0,
            offset: self.written_bytes,
            stored_len: stored.len(),
            raw_len: chunk.raw.len(),
            entries: chunk.entries,
            position,
            checksum: stored_checksum(position.0, &stored),
        });
        self.written_ranges += 1;
        self.written_bytes += stored.len() as u64;
        Ok(())
    }

    /// Makes the new ranges durable; the root, and how many ranges and bytes are new.
    fn finish(mut self) -> Result<(Root, u64, u64), Stopped> {
        if let Some(writer) = self.writer {
            self.root.payloads[0] = writer.finish()?;
        }
        // What lies between two ranges belongs to the lower one; below the first there is none.
        if let Some(first) = self.root.ranges.first_mut() {
            first.first = Bytes::new();
        }
        Ok((self.root, self.written_ranges, self.written_bytes))
    }
}

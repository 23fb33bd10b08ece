//! The handle to a log.

use std::ops::Range;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use coffer_base::{Drive, SegmentId, Timestamp};

use crate::body::{read_payload, read_payload_now};
use crate::bulk::{self, BulkWriter};
use crate::error::{Error, OpenError, ReplayError};
use crate::extent::Extent;
use crate::health;
use crate::lane::{Lane, Shared};
use crate::mark::Mark;
use crate::options::{LogOptions, Seams};
use crate::recovery::{self, Recovery};
use crate::replay::{self, ReplayedGroup};
use crate::scrub::{self, Covered, ScrubReport, ScrubVisitor};
use crate::segment::{Layout, Segment};
use crate::status::{self, LogStatus};
use crate::superblock::Checkpoint;
use crate::verify::{self, VerifyReport};

/// A log over a set of drives. Cheap to clone.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

impl Log {
    /// Formats empty drives, or recovers what they hold. All methods block.
    ///
    /// The caller holds the locks of the drives. An error leaves the drives as they were, except
    /// that a failing drive may have been left out of a membership that was recorded.
    pub fn open(
        drives: Vec<Arc<dyn Drive>>,
        options: LogOptions,
        seams: Seams,
    ) -> Result<(Log, Lane, Recovery), OpenError> {
        let probe = options.probe_interval.filter(|_| !options.read_only);
        let drives =
            seams.guard(drives, &options).map_err(|e| OpenError::io("threads of drives", &e))?;
        let (shared, lane, recovery) = recovery::open(drives, options, seams)?;
        health::seed_gaps(&shared.inner);
        if let Some(interval) = probe {
            let watched = Arc::downgrade(&shared);
            std::thread::Builder::new()
                .name("watch".into())
                .spawn(move || watch(&watched, interval))
                .map_err(|e| OpenError::io("watcher", &e))?;
        }
        Ok((Log(shared), lane, recovery))
    }

    /// Calls `visit` for each group after `from` (`None`: from the beginning), in order, up to
    /// the end as it is now; returns that end.
    pub fn replay(
        &self,
        from: Option<Mark>,
        visit: &mut dyn FnMut(&ReplayedGroup<'_>) -> Result<(), Error>,
    ) -> Result<Mark, ReplayError> {
        replay::replay(&self.0, from, visit)
    }

    /// Reads `range` of the bytes at `extent`: verified, and rebuilt from other drives where they
    /// are missing or wrong.
    pub fn read(&self, extent: &Extent, range: Range<u64>) -> Result<Bytes, Error> {
        let mut pieces = self.read_pieces(extent, range)?;
        Ok(match pieces.len() {
            0 => Bytes::new(),
            1 => pieces.swap_remove(0),
            _ => pieces.concat().into(),
        })
    }

    /// As [`Log::read`], but in as many pieces as they were read in: nothing is copied together.
    /// None of them is empty.
    pub fn read_pieces(&self, extent: &Extent, range: Range<u64>) -> Result<Vec<Bytes>, Error> {
        assert!(
            range.start <= range.end && range.end <= extent.len,
            "{range:?} of {} bytes",
            extent.len
        );
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let inner = &self.0.inner;
        let segment = inner.table.get(extent.segment).ok_or_else(|| {
            Error::Unavailable(format!("segment {} is on no drive that is here", extent.segment))
        })?;
        match (&segment.layout, extent.is_bulk()) {
            (Layout::Bulk { .. }, true) => bulk::read_bulk(inner, &segment, extent, range),
            (Layout::Copies(_) | Layout::Cells { .. }, false) => {
                let payload = read_payload(inner, &segment, extent)?;
                Ok(vec![payload.slice(range.start as usize..range.end as usize)])
            }
            _ => Err(Error::Corrupt(format!("{extent:?} is of another kind than its segment"))),
        }
    }

    /// What [`Log::read`] would give, if it is not long, in the memory of the system, and right.
    /// Does not block.
    pub fn read_now(&self, extent: &Extent, range: Range<u64>) -> Option<Bytes> {
        assert!(
            range.start <= range.end && range.end <= extent.len,
            "{range:?} of {} bytes",
            extent.len
        );
        let inner = &self.0.inner;
        let segment = inner.table.get(extent.segment)?;
        if extent.is_bulk() {
            return bulk::read_bulk_now(inner, &segment, extent, range);
        }
        let payload = read_payload_now(inner, &segment, extent)?;
        Some(payload.slice(range.start as usize..range.end as usize))
    }

    /// A writer of bulk rows for one payload, of `expected_len` bytes if that is known.
    pub fn bulk_writer(&self, expected_len: Option<u64>) -> Result<BulkWriter, Error> {
        if let Some(why) = self.0.broken() {
            return Err(Error::ReadOnly(why));
        }
        BulkWriter::new(self.0.inner.clone(), expected_len)
    }

    /// The last recorded checkpoint of the catalog.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        self.0.inner.supers.recorded().checkpoint.clone()
    }

    /// Records, durably on every live drive, where a checkpoint's root is. The root's bytes and
    /// all that it names must be durable already.
    pub fn record_checkpoint(&self, checkpoint: Checkpoint) -> Result<(), Error> {
        assert!(checkpoint.extents.len() <= Checkpoint::EXTENTS_MAX, "a root in too many pieces");
        if let Some(why) = self.0.broken() {
            return Err(Error::ReadOnly(why));
        }
        let inner = &self.0.inner;
        inner.supers.record(&inner.set, false, |superblock| {
            superblock.checkpoint = Some(checkpoint);
        })
    }

    /// Drives, segments, the end of history, what is wrong.
    pub fn status(&self) -> LogStatus {
        status::status(&self.0)
    }

    /// Why the drive at `label` was given up, if it hangs: who uses it beside the log should not,
    /// either.
    pub fn hung(&self, label: &str) -> Option<String> {
        self.0.inner.set.with(|slots| {
            let slot = slots.iter().find(|s| s.label == label)?;
            slot.queue().given_up()
        })
    }

    /// The settings it was opened with.
    pub fn options(&self) -> &LogOptions {
        &self.0.inner.options
    }

    /// The end of history.
    pub fn end(&self) -> Mark {
        self.0.end()
    }

    /// Looks now whether every drive is still there; in a server the watcher does this.
    pub fn watch(&self) {
        self.0.watch();
    }

    /// Reads everything that every drive holds, data and parity, and calls `finding` with each
    /// thing that is not as it should be.
    pub fn verify(&self, finding: &mut dyn FnMut(String)) -> VerifyReport {
        verify::verify(&self.0, finding)
    }

    /// Reads every cell behind `extent` on every drive, parity included, and calls `finding` with
    /// each that is not as it should be. [`Log::verify`] does this for the commit lane.
    pub fn verify_extent(&self, extent: &Extent, finding: &mut dyn FnMut(String)) {
        let inner = &self.0.inner;
        match inner.table.get(extent.segment) {
            None => finding(format!("segment {} is on no drive that is here", extent.segment)),
            Some(segment) if extent.is_bulk() => {
                bulk::verify_extent(inner, &segment, extent, finding);
            }
            Some(segment) => {
                if let Err(e) = read_payload(inner, &segment, extent) {
                    finding(e.to_string());
                }
            }
        }
    }

    /// What its parts share.
    #[cfg(all(test, feature = "shuttle"))]
    pub(crate) fn inner(&self) -> &Arc<crate::inner::Inner> {
        &self.0.inner
    }

    /// Reads every byte of every live drive that a checksum covers, past the page cache, and heals
    /// what is wrong: see [`ScrubVisitor`] for its speed and its end. `Unavailable` while another
    /// one is under way.
    pub fn scrub(&self, visitor: &mut dyn ScrubVisitor) -> Result<ScrubReport, Error> {
        scrub::scrub(&self.0, None, visitor)
    }

    /// As [`Log::scrub`], but only of the segments after one that [`ScrubProgress::reached`] told:
    /// how a pass that was ended goes on.
    pub fn scrub_on(
        &self,
        after: SegmentId,
        visitor: &mut dyn ScrubVisitor,
    ) -> Result<ScrubReport, Error> {
        scrub::scrub(&self.0, Some(after), visitor)
    }

    /// When the store was made.
    pub fn created(&self) -> Timestamp {
        self.0.inner.supers.recorded().created
    }

    /// As [`Log::scrub`], but of segments only of which a live drive lacks its part: what a drive
    /// that was replaced by an empty one waits for.
    pub fn rebuild(&self, visitor: &mut dyn ScrubVisitor) -> Result<ScrubReport, Error> {
        scrub::rebuild(&self.0, visitor)
    }

    /// Segments of which a live drive is known to lack its file or header.
    pub fn segments_with_gaps(&self) -> usize {
        crate::health::live_gaps(&self.0.inner).len()
    }

    /// Which bytes of the live drives mean something: a flip of any of them is found by
    /// [`Log::scrub`]. For tests that damage them.
    pub fn covered(&self) -> Vec<Covered> {
        scrub::covered(&self.0)
    }

    /// Where the bulk rows of `extent` begin: by this, [`ScrubVisitor::is_named`] can be answered.
    pub fn row_offsets(&self, extent: &Extent) -> Result<Vec<u64>, Error> {
        match self.0.inner.table.get(extent.segment).as_deref() {
            Some(Segment { layout: Layout::Bulk { geometry, .. }, .. }) if extent.is_bulk() => {
                bulk::row_offsets(extent, *geometry)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Heals now what reads have found wrong; returns how many places it looked at. In a server
    /// the watcher has it done in the background.
    pub fn heal_queued(&self) -> u64 {
        scrub::heal_suspects(&self.0)
    }

    /// Clean stop: seals and trims what is open.
    pub fn close(&self, lane: Lane) -> Result<(), Error> {
        assert!(Arc::ptr_eq(lane.shared(), &self.0), "the lane of another log");
        self.0.close()
    }
}

fn watch(shared: &Weak<Shared>, interval: std::time::Duration) {
    loop {
        std::thread::sleep(interval);
        match shared.upgrade() {
            Some(shared) => {
                shared.watch();
                if shared.inner.health.suspects() > 0 {
                    let healing = shared.clone();
                    let heal = move || {
                        scrub::heal_suspects(&healing);
                    };
                    shared.inner.seams.background.spawn(Box::new(heal));
                }
            }
            None => return,
        }
    }
}

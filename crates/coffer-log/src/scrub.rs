//! Finding silent damage and healing it: every byte of every live drive that a checksum covers is
//! read past the page cache, what is wrong is rebuilt from others, written where it was, and read
//! back.
//!
//! Rules that make it safe at any moment and after any crash:
//! - Only what was verified is written, and only over 4 KiB pages that differ from it. A torn
//!   write leaves sectors that are wrong, as before, or right.
//! - Nothing is written where somebody else may write: not behind the end of what each copy of the
//!   open segment has synced, nor behind the rows of an open bulk segment that are written on all
//!   members.
//! - A file that is missing is made under a temporary name, synced, read back, then renamed. A
//!   start removes what a crash left of it.
//! - Nothing is remembered: a pass after a crash finds what the one before left.
//!
//! `docs/design/log.md` has the cases.

use std::collections::HashSet;
use std::sync::{Arc, MutexGuard};

use coffer_base::{DriveId, SegmentId};

use crate::bulk;
use crate::error::Error;
use crate::health::{self, Suspect};
use crate::inner::Inner;
use crate::lane::Shared;
use crate::segment::{HEADER_BYTES, Layout, Segment};
use crate::set::{DriveState, Slot};

mod cells;
mod copies;
mod covered;
mod failed;
mod superblocks;
mod target;

pub use covered::Covered;
pub(crate) use covered::covered;
pub(crate) use target::{Access, Block, Blocks, Targets, read_one};

/// What became of something that was found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it was meant to be, on the drive.
    Healed,
    /// What it must be is known, but the drive did not take it; why.
    Refused(String),
    /// It is left for the next pass, and nobody is to blame; why.
    Later(String),
    /// Too little is left on the drives that are here to know what it was; why.
    Lost(String),
}

/// Something on a live drive that was not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The drive.
    pub drive: DriveId,
    /// What was wrong, and where.
    pub what: String,
    /// What became of it.
    pub outcome: Outcome,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.outcome {
            Outcome::Healed => write!(f, "{}: healed", self.what),
            Outcome::Refused(why) => write!(f, "{}: not healed: {why}", self.what),
            Outcome::Later(why) => write!(f, "{}: not healed yet: {why}", self.what),
            Outcome::Lost(why) => write!(f, "{}: can't be rebuilt: {why}", self.what),
        }
    }
}

/// What a scrub has read and found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Segments looked at.
    pub segments: u64,
    /// Bytes read from drives to look at them.
    pub bytes: u64,
    /// Things found wrong.
    pub found: u64,
    /// Of those, healed.
    pub healed: u64,
    /// Of those, not healed although it is known what they must be.
    pub refused: u64,
    /// Of those, left for the next pass: the process was short of files or memory, or rows were
    /// being written where it is.
    pub later: u64,
    /// Of those, not rebuilt: more of a row is wrong than its parity covers.
    pub lost: u64,
    /// Bulk rows that can't be rebuilt and that nobody names: the power went while they were
    /// written. Not among those found.
    pub unfinished: u64,
    /// Drives of the set that were not looked at, or not to the end: they are out.
    pub drives_missed: u64,
    /// It was told to stop before the end.
    pub stopped: bool,
}

/// How far a scrub is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubProgress {
    /// What it has found so far.
    pub report: ScrubReport,
    /// Segments when it began.
    pub segments_total: u64,
    /// About how many bytes it will read.
    pub bytes_total: u64,
    /// The last segment that this pass, or the part of it before, has looked at.
    pub reached: Option<SegmentId>,
}

/// Who watches a scrub.
pub trait ScrubVisitor {
    /// Something was wrong.
    fn finding(&mut self, finding: &Finding);

    /// Called after each piece of at most a few MiB that was read. Takes as long as it likes,
    /// which is how a scrub is slowed down; `false` ends the scrub.
    fn progress(&mut self, progress: &ScrubProgress) -> bool;

    /// Whether [`ScrubVisitor::is_named`] knows. If so, it is also asked of rows without a header.
    fn knows_names(&self) -> bool {
        false
    }

    /// Called before [`ScrubVisitor::is_named`] is asked about rows of `segment` that were read
    /// before: what was named since counts.
    fn refresh_names(&mut self, segment: SegmentId) {
        let _ = segment;
    }

    /// Whether anybody holds the address of the bulk row at `offset` of `segment`, of which too
    /// little is left to rebuild it. If nobody does, nothing is lost with it.
    fn is_named(&mut self, segment: SegmentId, offset: u64) -> bool {
        let _ = (segment, offset);
        true
    }
}

/// One pass, or the healing of one place.
pub(crate) struct Scrubber<'a> {
    pub inner: &'a Inner,
    visitor: &'a mut dyn ScrubVisitor,
    progress: ScrubProgress,
    pub stopped: bool,
    /// It heals what a read found wrong, which may have been wrong in memory only.
    pub of_suspect: bool,
    /// Only what live drives lack is looked for.
    pub gaps_only: bool,
    /// Drives that did not keep what was written, or could not: left alone for the rest of it.
    refusing: HashSet<DriveId>,
    /// Drives without room: healed in place, and nothing on them grows.
    full: HashSet<DriveId>,
}

/// Who may scrub now.
fn begin(inner: &Inner) -> Result<MutexGuard<'_, ()>, Error> {
    if inner.options.read_only {
        return Err(Error::ReadOnly("it was opened for looking only".into()));
    }
    let only = inner.health.try_scrubbing();
    only.ok_or_else(|| Error::Unavailable("another scrub is under way".into()))
}

/// Looks only at segments of which a live drive is known to lack its file or header.
pub(crate) fn rebuild(
    shared: &Arc<Shared>,
    visitor: &mut dyn ScrubVisitor,
) -> Result<ScrubReport, Error> {
    let inner = &shared.inner;
    let _only = begin(inner)?;
    let gaps = health::live_gaps(inner);
    let segments: Vec<_> = gaps.into_iter().filter_map(|id| inner.table.get(id)).collect();
    let mut scrubber = Scrubber::new(inner, visitor);
    scrubber.progress.segments_total = segments.len() as u64;
    scrubber.progress.bytes_total = segments.iter().map(|s| bytes_of(inner, s)).sum();
    scrubber.gaps_only = true;
    superblocks::scrub(&mut scrubber);
    for segment in segments {
        if scrubber.stopped {
            break;
        }
        match &segment.layout {
            Layout::Bulk { .. } => bulk::scrub_rows(&mut scrubber, &segment, None, true),
            Layout::Cells { .. } => {
                cells::scrub(&mut scrubber, &segment, None, true);
            }
            Layout::Copies(_) => {}
        }
        scrubber.progress.report.segments += 1;
    }
    Ok(scrubber.report())
}

/// Looks at everything once, or at what comes `after` a segment. `Unavailable` when another scrub
/// is under way.
pub(crate) fn scrub(
    shared: &Arc<Shared>,
    after: Option<SegmentId>,
    visitor: &mut dyn ScrubVisitor,
) -> Result<ScrubReport, Error> {
    let inner = &shared.inner;
    let _only = begin(inner)?;
    // The end before the segments: all groups up to it are in them.
    let end = shared.end();
    let mut segments = inner.table.all();
    segments.retain(|segment| after.is_none_or(|after| segment.id > after));
    let mut scrubber = Scrubber::new(inner, visitor);
    scrubber.progress.segments_total = segments.len() as u64;
    scrubber.progress.bytes_total = segments.iter().map(|s| bytes_of(inner, s)).sum();
    superblocks::scrub(&mut scrubber);
    scrubber.progress.reached = after;
    let mut history = match segments.first().filter(|_| after.is_some()) {
        Some(first) => copies::History::before(inner, end, first.id),
        None => copies::History::new(end),
    };
    for segment in &segments {
        if scrubber.stopped {
            break;
        }
        scrub_segment(&mut scrubber, shared, segment, &mut history);
        scrubber.progress.report.segments += 1;
        if !scrubber.stopped {
            scrubber.progress.reached = Some(segment.id);
            scrubber.has_read(0);
        }
    }
    if !scrubber.stopped {
        // Of nothing, there is no end.
        if !segments.is_empty() {
            history.close(&mut scrubber);
        }
        // The pass came by them: they are gone by a look each.
        heal_suspects(shared);
    }
    let is_out = |slot: &&Slot| slot.state != DriveState::Active;
    let missed = inner.set.with(|slots| slots.iter().filter(is_out).count());
    scrubber.progress.report.drives_missed = missed as u64;
    Ok(scrubber.report())
}

fn scrub_segment(
    scrubber: &mut Scrubber<'_>,
    shared: &Arc<Shared>,
    segment: &Segment,
    history: &mut copies::History,
) {
    match &segment.layout {
        Layout::Cells { .. } => {
            let sealed = cells::scrub(scrubber, segment, None, true);
            history.pass_sealed(scrubber, segment, sealed.as_ref());
        }
        Layout::Copies(_) => copies::scrub(scrubber, shared, segment, history),
        Layout::Bulk { .. } => bulk::scrub_rows(scrubber, segment, None, true),
    }
}

/// Heals what reads have found wrong since the last time; how many places were looked at. Files
/// that are missing are noted for [`rebuild`].
pub(crate) fn heal_suspects(shared: &Arc<Shared>) -> u64 {
    let inner = &shared.inner;
    if inner.options.read_only || !inner.health.begin_draining() {
        return 0;
    }
    let _draining = Draining(inner);
    let mut visitor = Tell;
    let mut looked_at = 0;
    while let Some(suspect) = inner.health.next_suspect() {
        let mut scrubber = Scrubber::new(inner, &mut visitor);
        scrubber.of_suspect = true;
        heal_suspect(&mut scrubber, shared, suspect);
        looked_at += 1;
    }
    looked_at
}

fn heal_suspect(scrubber: &mut Scrubber<'_>, shared: &Arc<Shared>, suspect: Suspect) {
    let inner = scrubber.inner;
    let (Suspect::Block { segment, .. }
    | Suspect::Row { segment, .. }
    | Suspect::Files { segment }) = suspect;
    // A segment that is gone has nothing to heal.
    let Some(segment) = inner.table.get(segment) else { return };
    match (suspect, &segment.layout) {
        (Suspect::Block { block, .. }, Layout::Cells { .. }) => {
            cells::scrub(scrubber, &segment, Some(block), false);
        }
        (Suspect::Row { offset, .. }, Layout::Bulk { .. }) => {
            bulk::scrub_rows(scrubber, &segment, Some(offset), false);
        }
        (_, Layout::Cells { .. }) => {
            cells::scrub(scrubber, &segment, Some(0), false);
        }
        (_, Layout::Bulk { .. }) => {
            bulk::scrub_rows(scrubber, &segment, Some(HEADER_BYTES), false);
        }
        (_, Layout::Copies(_)) => {
            let end = shared.end();
            let mut history = copies::History::before(inner, end, segment.id);
            copies::scrub(scrubber, shared, &segment, &mut history);
        }
    }
}

/// Bytes that looking at a segment reads.
fn bytes_of(inner: &Inner, segment: &Segment) -> u64 {
    let live = |members: &[DriveId]| members.iter().filter(|m| inner.set.is_live(**m)).count();
    match &segment.layout {
        Layout::Cells { members, header_bytes, cell_bytes, .. } => {
            live(members) as u64 * (header_bytes + cell_bytes)
        }
        Layout::Bulk { .. } => inner.bulk.allocated_bytes(segment.id).unwrap_or(0),
        Layout::Copies(_) => 0,
    }
}

impl<'a> Scrubber<'a> {
    fn new(inner: &'a Inner, visitor: &'a mut dyn ScrubVisitor) -> Self {
        let progress = ScrubProgress::default();
        Self {
            inner,
            visitor,
            progress,
            stopped: false,
            of_suspect: false,
            gaps_only: false,
            refusing: HashSet::new(),
            full: HashSet::new(),
        }
    }

    fn report(&self) -> ScrubReport {
        ScrubReport { stopped: self.stopped, ..self.progress.report }
    }

    /// Counts and reports something that was wrong.
    pub fn found(&mut self, drive: DriveId, what: String, outcome: Outcome) {
        let report = &mut self.progress.report;
        report.found += 1;
        match &outcome {
            Outcome::Healed => report.healed += 1,
            Outcome::Refused(_) => report.refused += 1,
            Outcome::Later(_) => report.later += 1,
            Outcome::Lost(_) => report.lost += 1,
        }
        if !matches!(outcome, Outcome::Later(_)) {
            self.inner.health.count(drive, outcome == Outcome::Healed);
        }
        self.visitor.finding(&Finding { drive, what, outcome });
    }

    /// Rows of `segment` are asked about now.
    pub fn refresh_names(&mut self, segment: SegmentId) {
        self.visitor.refresh_names(segment);
    }

    /// Whether the loss of a bulk row is one. If not, it is counted here.
    pub fn is_loss(&mut self, segment: SegmentId, offset: u64) -> bool {
        let named = self.visitor.is_named(segment, offset);
        self.progress.report.unfinished += u64::from(!named);
        named
    }

    /// Whether somebody is known to hold the address of a row of which no header is left.
    pub fn is_known_loss(&mut self, segment: SegmentId, offset: u64) -> bool {
        self.visitor.knows_names() && self.visitor.is_named(segment, offset)
    }

    /// Counts bytes that were read, and lets the visitor slow it down or stop it.
    pub fn has_read(&mut self, bytes: u64) {
        self.progress.report.bytes += bytes;
        if !self.visitor.progress(&self.progress) {
            self.stopped = true;
        }
    }

    /// Whether `drive` may be written to.
    pub fn takes_writes(&self, drive: DriveId) -> bool {
        self.inner.set.is_live(drive) && !self.refusing.contains(&drive)
    }

    /// Whether files may be made or grow on `drive`.
    pub fn takes_growth(&self, drive: DriveId) -> bool {
        self.takes_writes(drive) && !self.full.contains(&drive)
    }
}

/// Tells the log what a read led to.
struct Tell;

impl ScrubVisitor for Tell {
    fn finding(&mut self, finding: &Finding) {
        match finding.outcome {
            Outcome::Healed | Outcome::Later(_) => tracing::warn!("{finding}"),
            Outcome::Refused(_) | Outcome::Lost(_) => tracing::error!("{finding}"),
        }
    }

    fn progress(&mut self, _: &ScrubProgress) -> bool {
        true
    }
}

/// Lets others heal suspects again, also after a panic.
struct Draining<'a>(&'a Inner);

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        self.0.health.end_draining();
    }
}

#[cfg(test)]
mod tests;

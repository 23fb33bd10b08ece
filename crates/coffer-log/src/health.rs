//! What is known to be wrong with the bytes of live drives: segments that a drive lacks, places
//! that a read found wrong, and what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use coffer_base::{DriveId, SegmentId};

use crate::inner::Inner;
use crate::segment::{FileKind, Layout};

/// What was found wrong on one drive since the start. The same damage is counted again when it is
/// found again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriveHealth {
    /// Blocks, headers, groups and files that were not as they must be.
    pub found: u64,
    /// Of those, written anew and read back right.
    pub healed: u64,
    /// Of those, not healed: too little is left to rebuild them from, or the drive did not take it.
    pub unhealable: u64,
}

/// Something that a read found wrong and that waits to be healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Suspect {
    /// A block of a sealed segment, over all its cells.
    Block { segment: SegmentId, block: usize },
    /// The bulk row at an offset.
    Row { segment: SegmentId, offset: u64 },
    /// Files or headers of a segment.
    Files { segment: SegmentId },
}

/// Suspects that are kept; the next scrub finds what does not fit.
const SUSPECTS_MAX: usize = 4096;

/// Shared by readers, the scrub, and the status page.
#[derive(Default)]
pub(crate) struct Health {
    drives: Mutex<BTreeMap<DriveId, DriveHealth>>,
    /// Live members that lack their file of a segment, or whose header of it is damaged.
    gaps: Mutex<BTreeSet<(SegmentId, DriveId)>>,
    suspects: Mutex<BTreeSet<Suspect>>,
    /// Held while bytes are put right, so that nobody else does it at the same time.
    healing: Mutex<()>,
    /// One scrub at a time.
    scrubbing: Mutex<()>,
    /// A job that heals the suspects is under way.
    draining: Mutex<bool>,
    /// Up to where each copy of a segment was written and synced, while its writer lives.
    writers: Mutex<BTreeMap<(SegmentId, DriveId), Weak<AtomicU64>>>,
}

impl Health {
    /// Counts what became of a thing that was found wrong.
    pub fn count(&self, drive: DriveId, healed: bool) {
        let mut drives = self.drives.lock().expect("no holder panics");
        let counts = drives.entry(drive).or_default();
        counts.found += 1;
        counts.healed += u64::from(healed);
        counts.unhealable += u64::from(!healed);
    }

    pub fn of_drive(&self, drive: DriveId) -> DriveHealth {
        self.drives.lock().expect("no holder panics").get(&drive).copied().unwrap_or_default()
    }

    /// Notes whether `drive` lacks its file of `segment` or has no valid header in it.
    pub fn set_gap(&self, segment: SegmentId, drive: DriveId, is_gap: bool) {
        let mut gaps = self.gaps.lock().expect("no holder panics");
        if is_gap {
            gaps.insert((segment, drive));
        } else {
            gaps.remove(&(segment, drive));
        }
    }

    /// Whether `drive` is known to lack its part of `segment`.
    pub fn is_gap(&self, segment: SegmentId, drive: DriveId) -> bool {
        self.gaps.lock().expect("no holder panics").contains(&(segment, drive))
    }

    /// Queues something for healing, unless it waits already or too much does.
    pub fn suspect(&self, suspect: Suspect) {
        let mut suspects = self.suspects.lock().expect("no holder panics");
        if suspects.len() < SUSPECTS_MAX {
            suspects.insert(suspect);
        }
    }

    pub fn next_suspect(&self) -> Option<Suspect> {
        self.suspects.lock().expect("no holder panics").pop_first()
    }

    /// How much waits to be healed.
    pub fn suspects(&self) -> usize {
        self.suspects.lock().expect("no holder panics").len()
    }

    /// A copy of `segment` is written to, and `settled` is the end of what was synced in its file.
    pub fn track(&self, segment: SegmentId, drive: DriveId, settled: &Arc<AtomicU64>) {
        let mut writers = self.writers.lock().expect("no holder panics");
        writers.retain(|_, writer| writer.strong_count() > 0);
        writers.insert((segment, drive), Arc::downgrade(settled));
    }

    /// Up to where in its file nobody writes to a copy any more.
    pub fn settled(&self, segment: SegmentId, drive: DriveId) -> u64 {
        let writers = self.writers.lock().expect("no holder panics");
        let writer = writers.get(&(segment, drive)).and_then(Weak::upgrade);
        writer.map_or(u64::MAX, |settled| settled.load(Ordering::Acquire))
    }

    pub fn lock_healing(&self) -> MutexGuard<'_, ()> {
        self.healing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` when a scrub is under way. One that panicked is not.
    pub fn try_scrubbing(&self) -> Option<MutexGuard<'_, ()>> {
        match self.scrubbing.try_lock() {
            Ok(only) => Some(only),
            Err(TryLockError::Poisoned(only)) => Some(only.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Whether the caller shall heal the suspects now: some wait and nobody does it yet. Then it
    /// calls [`Health::end_draining`] afterwards.
    pub fn begin_draining(&self) -> bool {
        let mut draining = self.draining.lock().expect("no holder panics");
        if *draining || self.suspects() == 0 {
            return false;
        }
        *draining = true;
        true
    }

    pub fn end_draining(&self) {
        *self.draining.lock().expect("no holder panics") = false;
    }
}

/// Segments of which a live drive lacks its part.
pub(crate) fn live_gaps(inner: &Inner) -> BTreeSet<SegmentId> {
    let gaps = inner.health.gaps.lock().expect("no holder panics").clone();
    let of_live = gaps.into_iter().filter(|(_, drive)| inner.set.is_live(*drive));
    of_live.map(|(segment, _)| segment).collect()
}

/// Notes which live members lack their file of a segment, by the names on the drives.
pub(crate) fn seed_gaps(inner: &Inner) {
    let segments = inner.table.all();
    for id in inner.set.live() {
        let Ok(drive) = inner.set.drive(id) else { continue };
        let names: BTreeSet<String> = match drive.list() {
            Ok(names) => names.into_iter().collect(),
            Err(e) => {
                tracing::warn!(drive = %drive.label(), error = %e, "can't list its files");
                continue;
            }
        };
        for segment in &segments {
            let (kind, members) = match &segment.layout {
                // Sealed by the start, or by the watcher.
                Layout::Copies(_) => continue,
                Layout::Cells { members, .. } => (FileKind::Cell, members),
                Layout::Bulk { members, .. } => (FileKind::Bulk, members),
            };
            if members.contains(&id) && !names.contains(&kind.file_name(segment.id)) {
                inner.health.set_gap(segment.id, id, true);
            }
        }
    }
}

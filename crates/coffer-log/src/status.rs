//! What status pages and metrics show.

use std::sync::Arc;

use coffer_base::drive::queue::{Patience, Work};
use coffer_base::drive::{DriveQueue, Space};
use coffer_base::{Drive, DriveId, StoreId, Timestamp};

use crate::geometry::Geometry;
use crate::health::{self, DriveHealth};
use crate::lane::Shared;
use crate::mark::Mark;
use crate::segment::Layout;
use crate::set::{DriveState, Slot};

/// One drive.
#[derive(Clone, Debug)]
pub struct DriveStatus {
    /// Its path.
    pub label: String,
    /// Its id.
    pub id: DriveId,
    /// What the set thinks of it.
    pub state: DriveState,
    /// Why it is not active, or has trouble; else empty.
    pub why: String,
    /// It takes part but does not answer in time: reads go elsewhere.
    pub slow: bool,
    /// It was given up since the start, because it did not answer for the stall limit.
    pub stalled: bool,
    /// Reads that went elsewhere since the start, because it did not answer in time.
    pub hedged_reads: u64,
    /// Since when it is not active; `None` when it is, or when that is not known.
    pub since: Option<Timestamp>,
    /// How many drives had its place in the set before it.
    pub replaced: u32,
    /// Space of its file system; `None` when it can't be asked.
    pub space: Option<Space>,
    /// Durability barriers of its files since the start: fdatasyncs and DSYNC writes.
    pub barriers: u64,
    /// What was found wrong on it since the start.
    pub health: DriveHealth,
}

/// Counts of segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentCounts {
    /// Commit segments held as whole copies: the open, the prepared, and those to be sealed.
    pub commit_open: u64,
    /// Sealed commit segments.
    pub commit_sealed: u64,
    /// Body bytes of sealed commit segments.
    pub commit_sealed_bytes: u64,
    /// Bulk segments.
    pub bulk: u64,
    /// Bytes of bulk rows in all members' files together: headers, padding and parity included.
    pub bulk_allocated_bytes: u64,
    /// Segments of which at least one member's drive is not live.
    pub degraded: u64,
}

/// The state of a log.
#[derive(Clone, Debug)]
pub struct LogStatus {
    /// The store.
    pub store: StoreId,
    /// The scheme that the set was made for.
    pub geometry: Geometry,
    /// The scheme of new segments over the drives that are live.
    pub writing: Option<Geometry>,
    /// Number of the current epoch: starts since the store was made.
    pub epoch_number: u32,
    /// The end of history.
    pub end: Mark,
    /// In slot order.
    pub drives: Vec<DriveStatus>,
    /// Segments by kind.
    pub segments: SegmentCounts,
    /// Segments of which a live drive lacks its file, or has no valid header in it.
    pub segments_with_gaps: usize,
    /// Places that reads found wrong and that wait to be healed.
    pub suspects: usize,
    /// Full commit segments that wait to be sealed.
    pub unsealed: usize,
    /// Memory that bulk rows under construction take now.
    pub row_memory_bytes: u64,
    /// Why redundancy is lower than it should be; empty when it is not.
    pub degraded: Vec<String>,
    /// Why writes are refused, if so.
    pub read_only: Option<String>,
}

/// What is told of a drive that does not answer in time.
pub(crate) fn slow(geometry: Geometry) -> &'static str {
    match geometry.m {
        0 => "slow: what is read waits for it",
        _ => "slow: what is read comes from other drives",
    }
}

pub(crate) fn status(shared: &Shared) -> LogStatus {
    let inner = &shared.inner;
    let slots: Vec<_> = inner.set.with(|slots| {
        let since =
            |s: &Slot| Some(s.since).filter(|since| since.0 > 0 && s.state != DriveState::Active);
        let copy = |s: &Slot| DriveStatus {
            label: s.label.clone(),
            id: s.id,
            state: s.state,
            why: s.why.clone(),
            since: since(s),
            replaced: s.replaced >> crate::superblock::REPLACED_SHIFT,
            slow: false,
            stalled: false,
            hedged_reads: 0,
            space: None,
            barriers: 0,
            health: DriveHealth::default(),
        };
        slots.iter().map(|s| (copy(s), s.drive.clone())).collect()
    });
    // Outside the lock, and no drive is waited for that does not answer.
    let queue = |drive: &Option<Arc<dyn Drive>>| {
        drive.as_ref().map_or_else(DriveQueue::inline, |d| d.queue().clone())
    };
    let asked = slots.iter().map(|(.., drive)| (queue(drive), drive.clone())).collect();
    let ask = |drive: Option<Arc<dyn Drive>>| match drive {
        Some(drive) => drive.space().map(Some),
        None => Ok(None),
    };
    let spaces = DriveQueue::each(asked, Work::Look, Patience::Hedged, ask);
    let drives: Vec<DriveStatus> = slots
        .into_iter()
        .zip(spaces)
        .map(|((status, drive), space)| {
            let queue = drive.as_ref().map_or(DriveQueue::none(), |d| d.queue());
            let slow = status.state == DriveState::Active && queue.is_slow();
            let why = if slow && status.why.is_empty() {
                self::slow(inner.set.geometry).to_owned()
            } else {
                status.why
            };
            DriveStatus {
                why,
                slow,
                stalled: queue.is_given_up(),
                hedged_reads: queue.hedged_reads(),
                space: space.ok().flatten(),
                barriers: drive.as_ref().map_or(0, |d| d.barriers()),
                health: inner.health.of_drive(status.id),
                ..status
            }
        })
        .collect();
    let live = inner.set.live();
    let mut segments = SegmentCounts::default();
    for segment in inner.table.all() {
        let members: Vec<DriveId> = match &segment.layout {
            Layout::Copies(copies) => {
                segments.commit_open += 1;
                copies.iter().map(|(drive, _)| *drive).collect()
            }
            Layout::Cells { members, body_bytes, .. } => {
                segments.commit_sealed += 1;
                segments.commit_sealed_bytes += body_bytes;
                members.clone()
            }
            Layout::Bulk { members, .. } => {
                segments.bulk += 1;
                segments.bulk_allocated_bytes +=
                    inner.bulk.allocated_bytes(segment.id).unwrap_or(0);
                members.clone()
            }
        };
        segments.degraded += u64::from(!members.iter().all(|m| live.contains(m)));
    }
    let mut degraded: Vec<String> = drives
        .iter()
        .filter(|d| d.state != DriveState::Active)
        .map(|d| {
            let since = d.since.map_or(String::new(), |since| format!(" since {since}"));
            format!("{} is {}{since}: {}", d.label, d.state.name(), d.why)
        })
        .collect();
    if segments.degraded > 0 {
        degraded.push(format!("{} segments miss a drive", segments.degraded));
    }
    let segments_with_gaps = health::live_gaps(inner).len();
    if segments_with_gaps > 0 {
        degraded.push(format!("{segments_with_gaps} segments have lost redundancy"));
    }
    let suspects = inner.health.suspects();
    if suspects > 0 {
        degraded.push(format!("{suspects} damaged places wait to be healed"));
    }
    LogStatus {
        store: inner.set.store,
        geometry: inner.set.geometry,
        writing: inner.members().ok().map(|(geometry, _)| geometry),
        epoch_number: inner.epoch.number,
        end: shared.end(),
        drives,
        segments,
        segments_with_gaps,
        suspects,
        unsealed: shared.unsealed(),
        row_memory_bytes: inner.bulk.memory_bytes() as u64,
        degraded,
        read_only: shared.broken(),
    }
}

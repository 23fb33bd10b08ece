//! The open bulk segments.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use coffer_base::drive::queue::{Patience, Work};
use coffer_base::drive::{Access, Drive, DriveFile, DriveQueue};
use coffer_base::{AlignedBuf, DriveId, SegmentId};

use super::buffer::RowBuffer;
use super::memory::RowMemory;
use super::writing::Writing;
use crate::error::Error;
use crate::geometry::Geometry;
use crate::inner::Inner;
use crate::segment::{FileKind, HEADER_BYTES, Header, Layout, Segment};

/// Segments open at once. Up to as many writers have one each, so that their rows lie together;
/// more take turns.
const LANES_MAX: usize = 32;

/// Space reserved ahead in each file, a step at a time: a file that grows with every row syncs
/// slowly.
const RESERVE_BYTES: u64 = 16 << 20;

/// The file of one member.
pub(super) struct MemberFile {
    pub file: Arc<dyn DriveFile>,
    /// A sync failed: what was written before it may be lost, and a later good sync says nothing
    /// of it.
    sync_failed: Mutex<bool>,
}

impl MemberFile {
    /// Makes all rows written so far durable. Fails for ever once it failed, also for another
    /// writer, whose rows may be lost too.
    pub fn sync(&self) -> io::Result<()> {
        self.durably(|file| file.sync())
    }

    /// Does something that is durable on return, under the same rule.
    pub fn durably(&self, act: impl FnOnce(&dyn DriveFile) -> io::Result<()>) -> io::Result<()> {
        let mut failed = self.sync_failed.lock().expect("no holder panics");
        if *failed {
            return Err(io::Error::other("an earlier sync failed"));
        }
        let done = act(&*self.file);
        *failed = done.is_err();
        done
    }
}

/// A bulk segment that takes rows, or took them.
pub(super) struct OpenSegment {
    pub id: SegmentId,
    pub geometry: Geometry,
    pub members: Vec<DriveId>,
    /// One a member, for direct writes.
    pub files: Vec<Arc<MemberFile>>,
    /// Writers that put their rows here as long as they can.
    pub writers: AtomicUsize,
}

impl OpenSegment {
    /// Whether every member is active and here.
    pub fn is_whole(&self, inner: &Inner) -> bool {
        self.members.iter().all(|id| inner.set.is_live(*id))
    }
}

/// A segment in the hands of who writes its next row.
pub(super) struct Lane {
    pub segment: Arc<OpenSegment>,
    /// Where the next row goes. Only grows, also when a row fails: no offset is used twice.
    end: u64,
    reserved: u64,
    failed: bool,
}

#[derive(Default)]
struct Open {
    idle: Vec<Lane>,
    /// Lanes that are checked out or being made.
    out: usize,
}

/// All bulk segments that take rows, and what their writers share.
#[derive(Default)]
pub(crate) struct BulkLanes {
    open: Mutex<Open>,
    changed: Condvar,
    pub(super) memory: RowMemory,
    /// Bytes of rows, headers and parity included, in all members' files together.
    allocated: Mutex<BTreeMap<SegmentId, u64>>,
    /// Segments that take rows, each with the end of those that all members have.
    filling: Mutex<BTreeMap<SegmentId, u64>>,
    /// Segments that shall take no more rows.
    retired: Mutex<BTreeSet<SegmentId>>,
}

impl BulkLanes {
    /// Bytes of rows in `segment`, headers, padding and parity included, over all members.
    pub fn allocated_bytes(&self, segment: SegmentId) -> Option<u64> {
        self.allocated.lock().expect("no holder panics").get(&segment).copied()
    }

    /// Where the rows end that all members of `segment` have, while it takes more; `None` when it
    /// takes no more.
    pub fn filling(&self, segment: SegmentId) -> Option<u64> {
        self.filling.lock().expect("no holder panics").get(&segment).copied()
    }

    /// All members have the rows up to `end`.
    fn has_filled(&self, segment: SegmentId, end: u64) {
        if let Some(filled) = self.filling.lock().expect("no holder panics").get_mut(&segment) {
            *filled = end;
        }
    }

    /// Ends `segment`: it takes no more rows than are on their way.
    pub fn retire(&self, inner: &Inner, segment: SegmentId) {
        self.retired.lock().expect("no holder panics").insert(segment);
        let mut open = self.open.lock().expect("no holder panics");
        let ended: Vec<Lane> =
            open.idle.extract_if(.., |lane| lane.segment.id == segment).collect();
        drop(open);
        for lane in ended {
            lane.trim(inner);
        }
    }

    fn is_retired(&self, segment: SegmentId) -> bool {
        self.retired.lock().expect("no holder panics").contains(&segment)
    }

    /// Memory that rows under construction take now.
    pub fn memory_bytes(&self) -> usize {
        self.memory.used_bytes()
    }

    /// Segments that take rows now.
    #[cfg(test)]
    pub fn open_segments(&self) -> usize {
        let open = self.open.lock().expect("no holder panics");
        open.idle.len() + open.out
    }

    /// Clean stop: trims every open segment to what it holds. Lanes that writers still have out
    /// are trimmed at the next start.
    pub fn close_all(&self, inner: &Inner) {
        let idle = std::mem::take(&mut self.open.lock().expect("no holder panics").idle);
        for lane in idle {
            let jobs = lane.trims(inner);
            let (drives, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
            let trimmed = DriveQueue::each(jobs, Work::Write, Patience::Full, |file| trim(&*file));
            for (drive, trimmed) in drives.iter().zip(trimmed) {
                report_trim(drive, lane.segment.id, trimmed);
            }
        }
    }

    /// A lane for one row: `preferred` if it is idle, else one that no writer prefers, else a new
    /// one. Never one with a lost member.
    pub(super) fn check_out(
        &self,
        inner: &Inner,
        preferred: Option<&Arc<OpenSegment>>,
    ) -> Result<Lane, Error> {
        let mut open = self.open.lock().expect("no holder panics");
        loop {
            let broken = open.idle.extract_if(.., |lane| !lane.segment.is_whole(inner));
            let broken: Vec<Lane> = broken.collect();
            if !broken.is_empty() {
                drop(open);
                for lane in broken {
                    lane.trim(inner);
                }
                open = self.open.lock().expect("no holder panics");
                continue;
            }
            let is_preferred =
                |lane: &Lane| preferred.is_some_and(|p| Arc::ptr_eq(p, &lane.segment));
            let writers = |lane: &Lane| lane.segment.writers.load(Ordering::Relaxed);
            let mut found = open.idle.iter().position(is_preferred);
            if found.is_none() {
                found = open.idle.iter().position(|lane| writers(lane) == 0);
            }
            if found.is_none() && open.idle.len() + open.out < LANES_MAX {
                open.out += 1;
                drop(open);
                let made = Lane::create(inner);
                if made.is_err() {
                    self.open.lock().expect("no holder panics").out -= 1;
                    self.changed.notify_one();
                }
                return made;
            }
            if found.is_none() {
                let least = open.idle.iter().enumerate().min_by_key(|(_, lane)| writers(lane));
                found = least.map(|(i, _)| i);
            }
            if let Some(i) = found {
                open.out += 1;
                return Ok(open.idle.swap_remove(i));
            }
            open = self.changed.wait(open).expect("no holder panics");
        }
    }

    /// Takes a lane back; one that is full or failed is closed.
    pub(super) fn check_in(&self, inner: &Inner, lane: Lane) {
        if !lane.failed {
            self.has_filled(lane.segment.id, lane.end);
        }
        let goes_on = !lane.failed
            && lane.end < inner.options.bulk_file_bytes
            && !self.is_retired(lane.segment.id);
        let mut open = self.open.lock().expect("no holder panics");
        open.out -= 1;
        let closed = if goes_on {
            open.idle.push(lane);
            None
        } else {
            Some(lane)
        };
        drop(open);
        self.changed.notify_one();
        if let Some(lane) = closed {
            lane.trim(inner);
        }
    }

    fn count_row(&self, segment: SegmentId, bytes: u64) {
        *self.allocated.lock().expect("no holder panics").entry(segment).or_default() += bytes;
    }
}

impl Lane {
    /// Makes a new segment over the drives that are live; those that fail are taken out, and the
    /// rest goes on.
    fn create(inner: &Inner) -> Result<Lane, Error> {
        loop {
            let (geometry, members) = inner.members()?;
            let id = inner.new_segment_id();
            let reserved = RESERVE_BYTES.min(inner.options.bulk_file_bytes);
            let mut items = Vec::with_capacity(members.len());
            for (index, member) in members.iter().enumerate() {
                let header = Header {
                    kind: FileKind::Bulk,
                    store: inner.set.store,
                    segment: id,
                    geometry,
                    index: index as u8,
                    members: members.clone(),
                    sealed: None,
                };
                items.push((inner.set.queue(*member), (inner.set.drive(*member), header.encode())));
            }
            type Made = (Result<Arc<dyn Drive>, Error>, Vec<u8>);
            let make = move |(drive, header): Made| {
                let drive = drive.map_err(|e| io::Error::new(io::ErrorKind::NotFound, e))?;
                assert_eq!(header.len() as u64, HEADER_BYTES, "of the header of a bulk file");
                let mut bytes = AlignedBuf::zeroed(header.len());
                bytes.copy_from_slice(&header);
                let file = drive.create(&FileKind::Bulk.file_name(id), Access::Direct)?;
                coffer_base::failpoint::pass("bulk.created");
                reserve(&*file, reserved)?;
                file.write_at(&bytes, 0, false)?;
                coffer_base::failpoint::pass("bulk.header");
                file.sync()?;
                coffer_base::failpoint::pass("bulk.header-synced");
                drive.sync_dir()?;
                coffer_base::failpoint::pass("bulk.named");
                Ok(file)
            };
            let made = DriveQueue::each(items, Work::Write, Patience::Full, make);
            let mut files = Vec::with_capacity(members.len());
            let mut failed = Vec::new();
            for (member, made) in members.iter().zip(made) {
                match made {
                    Ok(file) => {
                        files.push(Arc::new(MemberFile { file, sync_failed: Mutex::new(false) }))
                    }
                    Err(e) => failed.push((*member, e)),
                }
            }
            if failed.is_empty() {
                let segment =
                    Segment { id, layout: Layout::Bulk { geometry, members: members.clone() } };
                inner.bulk.filling.lock().expect("no holder panics").insert(id, HEADER_BYTES);
                inner.table.insert(segment);
                inner.bulk.allocated.lock().expect("no holder panics").insert(id, 0);
                let segment =
                    OpenSegment { id, geometry, members, files, writers: AtomicUsize::new(0) };
                let segment = Arc::new(segment);
                return Ok(Lane { segment, end: HEADER_BYTES, reserved, failed: false });
            }
            remove_files(inner, id, &members);
            take_out_failed(inner, failed)?;
        }
    }

    /// Gives `row` its place here and starts writing it to all members.
    pub fn start(mut self, inner: &Arc<Inner>, mut row: RowBuffer, durably: bool) -> Writing {
        let segment = &self.segment;
        assert_eq!(row.geometry(), segment.geometry, "of the row and of segment {}", segment.id);
        let place = row.seal(inner.set.store, segment.id, self.end);
        self.end += place.stride();
        let mut reserve_to = None;
        if self.end > self.reserved {
            self.reserved = (self.reserved + RESERVE_BYTES).max(self.end);
            reserve_to = Some(self.reserved);
        }
        let bytes = place.stride() * segment.members.len() as u64;
        inner.bulk.count_row(segment.id, bytes);
        Writing::start(inner, self, row, place, reserve_to, durably)
    }

    /// No more rows: one failed, and what its place holds on which member is not known.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Cuts the files to what they hold, which frees reserved space, and does not wait for that.
    fn trim(self, inner: &Inner) {
        let id = self.segment.id;
        inner.bulk.filling.lock().expect("no holder panics").remove(&id);
        inner.bulk.retired.lock().expect("no holder panics").remove(&id);
        for (drive, (queue, file)) in self.trims(inner) {
            let segment = self.segment.id;
            let work = move || trim(&*file);
            queue.start(Work::Write, work, move |trimmed| report_trim(&drive, segment, trimmed));
        }
    }

    /// The files to be trimmed, each with its drive's label and threads.
    fn trims(&self, inner: &Inner) -> Vec<(String, Trimmed)> {
        let members = self.segment.members.iter().zip(&self.segment.files);
        let live = members.filter(|(member, _)| inner.set.is_live(**member));
        let of = |id: DriveId| (inner.set.label(id), inner.set.queue(id));
        live.map(|(member, file)| {
            let (label, queue) = of(*member);
            (label, (queue, file.file.clone()))
        })
        .collect()
    }
}

/// A file to be trimmed and the threads for that.
type Trimmed = (DriveQueue, Arc<dyn DriveFile>);

/// Not to where the lane's rows end: a member on which a row failed may hold less.
fn trim(file: &dyn DriveFile) -> io::Result<()> {
    let trimmed = file.len().and_then(|len| file.set_len(len));
    coffer_base::failpoint::pass("bulk.trimmed");
    trimmed
}

/// A file that can't be cut now is cut at the next start.
fn report_trim(drive: &str, segment: SegmentId, trimmed: io::Result<()>) {
    if let Err(e) = trimmed {
        tracing::warn!(%drive, %segment, error = %e, "can't trim");
    }
}

/// Reserves space up to `len`. A drive too full for that may still hold the next row.
pub(super) fn reserve(file: &dyn DriveFile, len: u64) -> io::Result<()> {
    match file.allocate(len) {
        Err(e) if e.kind() == io::ErrorKind::StorageFull => Ok(()),
        other => other,
    }
}

/// Takes drives out that failed to write or sync; see [`crate::set::Set::take_out_failed`].
pub(super) fn take_out_failed(
    inner: &Inner,
    failed: Vec<(DriveId, io::Error)>,
) -> Result<(), Error> {
    let mut result = Ok(());
    for (id, e) in failed {
        // Full is weaker: another drive's failure says more.
        match inner.set.take_out_failed(id, &e, "bulk rows") {
            Err(Error::Full) => result = result.and(Err(Error::Full)),
            Err(other) => result = Err(other),
            Ok(()) => {}
        }
    }
    result
}

/// Removes the files of a segment whose creation failed. What can't be removed holds no row; the
/// next start finds it.
fn remove_files(inner: &Inner, id: SegmentId, members: &[DriveId]) {
    for member in members {
        let Ok(drive) = inner.set.drive(*member) else {
            continue;
        };
        match drive.remove(&FileKind::Bulk.file_name(id)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(drive = %drive.label(), segment = %id, error = %e, "can't remove");
            }
            _ => {}
        }
    }
}

/// Takes a bulk segment that was found at a start into the table, and frees the space its files
/// have reserved beyond their length. It is never appended to again. `header` is that of any of
/// its files; `Corrupt` when it is of another segment.
pub(crate) fn recover_bulk(inner: &Inner, id: SegmentId, header: &Header) -> Result<(), Error> {
    if header.kind != FileKind::Bulk || header.segment != id || header.store != inner.set.store {
        return Err(Error::Corrupt(format!("a file of bulk segment {id} has a foreign header")));
    }
    let name = FileKind::Bulk.file_name(id);
    let mut allocated = 0;
    for member in &header.members {
        let Ok(drive) = inner.set.drive(*member) else {
            continue;
        };
        let trim = || {
            let file = drive.open(&name, Access::Buffered)?;
            let len = file.len()?;
            if !inner.options.read_only {
                file.set_len(len)?;
            }
            Ok(len)
        };
        let result: io::Result<u64> = trim();
        match result {
            Ok(len) => allocated += len.saturating_sub(HEADER_BYTES),
            Err(e) => {
                tracing::warn!(drive = %drive.label(), segment = %id, error = %e, "can't trim");
            }
        }
    }
    inner.bulk.allocated.lock().expect("no holder panics").insert(id, allocated);
    let layout = Layout::Bulk { geometry: header.geometry, members: header.members.clone() };
    inner.table.insert(Segment { id, layout });
    Ok(())
}

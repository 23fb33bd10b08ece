//! The open commit segment: the same bytes on `m + 1` drives.
//!
//! Each member has its own queue, so that a slow one delays only those who wait for it; within a
//! member, groups are written and synced strictly in order, one barrier each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use coffer_base::drive::queue::{Patience, Work};
use coffer_base::drive::{Access, Drive, DriveFile, DriveQueue};
use coffer_base::sync::{Condvar, Mutex};
use coffer_base::{DriveId, Position, SegmentId};

use crate::error::Error;
use crate::geometry::Geometry;
use crate::inner::Inner;
use crate::mark::Chain;
use crate::segment::{FileKind, HEADER_BYTES, Header, Layout, Segment};

/// The segment that takes groups now, or is prepared to.
pub(crate) struct OpenSegment {
    pub id: SegmentId,
    pub members: Vec<Arc<CopyWriter>>,
    /// Body bytes written so far.
    pub offset: u64,
    /// Body bytes that fit.
    pub capacity: u64,
    /// Position of its first group.
    pub first: Position,
    /// The chain before its first group.
    pub chain_before: Chain,
}

/// A segment that takes no more groups and waits to be sealed.
#[derive(Clone)]
pub(crate) struct ClosedSegment {
    pub id: SegmentId,
    pub body_bytes: u64,
    pub first: Position,
    pub last: Position,
    pub chain_before: Chain,
    pub chain_after: Chain,
}

/// One member of the open segment.
pub(crate) struct CopyWriter {
    pub drive: DriveId,
    pub file: Arc<dyn DriveFile>,
    /// The end of what was written and synced in the file.
    settled: Arc<AtomicU64>,
    state: Mutex<WriterState>,
    idle: Condvar,
}

#[derive(Default)]
struct WriterState {
    queue: VecDeque<QueuedWrite>,
    /// A write is under way.
    running: bool,
    /// The first failure; nothing is written after it.
    failed: Option<String>,
}

struct QueuedWrite {
    bytes: Arc<Vec<u8>>,
    file_offset: u64,
    wave: Arc<Wave>,
}

/// The writes of one group to all members.
#[derive(Default)]
pub(crate) struct Wave {
    results: Mutex<WaveResults>,
    changed: Condvar,
}

/// How far a wave has come.
#[derive(Clone, Default)]
pub(crate) struct WaveResults {
    pub done: Vec<DriveId>,
    pub failed: Vec<(DriveId, String)>,
}

impl Wave {
    fn report(&self, drive: DriveId, result: Result<(), String>) {
        let mut results = self.results.lock().expect("no holder panics");
        match result {
            Ok(()) => results.done.push(drive),
            Err(why) => results.failed.push((drive, why)),
        }
        self.changed.notify_all();
    }

    /// Waits until `enough` of `members` have synced, or all have answered. One that hangs does when
    /// its drive is given up: that is judged in one place, with the other drives in view.
    pub fn wait(&self, enough: usize, members: usize) -> WaveResults {
        let results = self.results.lock().expect("no holder panics");
        let waits =
            |r: &mut WaveResults| r.done.len() < enough && r.done.len() + r.failed.len() < members;
        self.changed.wait_while(results, waits).expect("no holder panics").clone()
    }
}

impl CopyWriter {
    /// Queues a write; starts it unless one is under way.
    fn submit(self: &Arc<Self>, write: QueuedWrite, threads: &DriveQueue, inner: &Arc<Inner>) {
        let mut state = self.state.lock().expect("no holder panics");
        state.queue.push_back(write);
        if state.running {
            return;
        }
        state.running = true;
        drop(state);
        self.clone().go_on(threads.clone(), inner.clone());
    }

    /// Starts the next write, which goes on with the one after it.
    fn go_on(self: Arc<Self>, threads: DriveQueue, inner: Arc<Inner>) {
        loop {
            let (write, failed) = {
                let mut state = self.state.lock().expect("no holder panics");
                let Some(write) = state.queue.pop_front() else {
                    state.running = false;
                    self.idle.notify_all();
                    return;
                };
                (write, state.failed.clone())
            };
            let QueuedWrite { bytes, file_offset, wave } = write;
            if let Some(why) = failed {
                wave.report(self.drive, Err(why));
                continue;
            }
            let file = self.file.clone();
            let end = file_offset + bytes.len() as u64;
            let work = move || {
                coffer_base::failpoint::pass("lane.before-write");
                let written = file.write_at(&bytes, file_offset, true);
                coffer_base::failpoint::pass("lane.synced");
                written
            };
            let queue = threads.clone();
            queue.start(Work::Commit, work, move |written| {
                if written.is_ok() {
                    self.settled.store(end, Ordering::Release);
                }
                let result = written.map_err(|e| self.fail(&inner, &e));
                wave.report(self.drive, result);
                self.go_on(threads, inner);
            });
            return;
        }
    }

    /// Takes the drive out, also when nobody waits for this write any more.
    fn fail(&self, inner: &Inner, e: &std::io::Error) -> String {
        let why = match inner.set.take_out_failed(self.drive, e, "commit lane") {
            Ok(()) => e.to_string(),
            Err(error) => error.to_string(),
        };
        let mut state = self.state.lock().expect("no holder panics");
        state.failed.get_or_insert_with(|| why.clone());
        why
    }

    /// Waits until everything queued was written, or has failed.
    pub fn wait_idle(&self) {
        let state = self.state.lock().expect("no holder panics");
        drop(self.idle.wait_while(state, |state| state.running).expect("no holder panics"));
    }

    /// Why it can't go on, if so.
    pub fn failure(&self) -> Option<String> {
        self.state.lock().expect("no holder panics").failed.clone()
    }
}

impl OpenSegment {
    /// Creates the copies of a new segment on live drives, zero-written and synced, so that later
    /// syncs change no file-system metadata; and puts it into the table.
    pub fn create(inner: &Inner, body_bytes: u64) -> Result<OpenSegment, Error> {
        loop {
            let (geometry, live) = inner.members()?;
            let id = inner.new_segment_id();
            let start = id.0 as usize % live.len();
            let members: Vec<DriveId> =
                (0..geometry.copies()).map(|i| live[(start + i) % live.len()]).collect();
            match create_copies(inner, id, geometry, &members, body_bytes) {
                Ok(files) => {
                    let copies: Vec<_> = members.iter().copied().zip(files).collect();
                    let writer = |(drive, file): (DriveId, Arc<dyn DriveFile>)| {
                        let (state, idle) = (Mutex::default(), Condvar::new());
                        let settled = Arc::new(AtomicU64::new(HEADER_BYTES));
                        inner.health.track(id, drive, &settled);
                        Arc::new(CopyWriter { drive, file, settled, state, idle })
                    };
                    let members = copies.iter().cloned().map(writer).collect();
                    inner.table.insert(Segment { id, layout: Layout::Copies(copies) });
                    return Ok(OpenSegment {
                        id,
                        members,
                        offset: 0,
                        capacity: body_bytes,
                        first: Position(0),
                        chain_before: Chain::default(),
                    });
                }
                Err(Error::Full) => {
                    remove_copies(inner, id, &members);
                    return Err(Error::Full);
                }
                Err(error) => {
                    remove_copies(inner, id, &members);
                    if members.iter().all(|m| inner.set.is_live(*m)) {
                        return Err(error);
                    }
                    // The failed drives are out: try with the rest.
                }
            }
        }
    }

    /// Queues a group's bytes on every member.
    pub fn submit(&self, bytes: Vec<u8>, inner: &Arc<Inner>) -> Arc<Wave> {
        let wave = Arc::new(Wave::default());
        let bytes = Arc::new(bytes);
        let file_offset = HEADER_BYTES + self.offset;
        let write = || QueuedWrite { bytes: bytes.clone(), file_offset, wave: wave.clone() };
        if let [only] = &self.members[..]
            && inner.set.with(<[_]>::len) == 1
        {
            // One drive: no other thread to wait for.
            only.submit(write(), DriveQueue::none(), inner);
        } else {
            for member in &self.members {
                member.submit(write(), &inner.set.queue(member.drive), inner);
            }
        }
        wave
    }

    /// Whether all members are live.
    pub fn is_whole(&self, inner: &Inner) -> bool {
        self.members.iter().all(|m| inner.set.is_live(m.drive))
    }

    /// Removes it: it never took a group.
    pub fn discard(&self, inner: &Inner) {
        assert_eq!(self.offset, 0, "segment {} holds groups", self.id);
        inner.table.remove(self.id);
        let members: Vec<DriveId> = self.members.iter().map(|m| m.drive).collect();
        remove_copies(inner, self.id, &members);
    }

    /// The segment as it stands after the group at (`last`, `chain_after`).
    pub fn close(&self, last: Position, chain_after: Chain) -> ClosedSegment {
        ClosedSegment {
            id: self.id,
            body_bytes: self.offset,
            first: self.first,
            last,
            chain_before: self.chain_before,
            chain_after,
        }
    }
}

fn create_copies(
    inner: &Inner,
    id: SegmentId,
    geometry: Geometry,
    members: &[DriveId],
    body_bytes: u64,
) -> Result<Vec<Arc<dyn DriveFile>>, Error> {
    let mut jobs = Vec::new();
    for (index, member) in members.iter().enumerate() {
        let header = Header {
            kind: FileKind::Copy,
            store: inner.set.store,
            segment: id,
            geometry,
            index: index as u8,
            members: members.to_vec(),
            sealed: None,
        };
        let drive = inner.set.drive(*member)?;
        jobs.push((drive.queue().clone(), (drive, header.encode())));
    }
    let created = DriveQueue::each(
        jobs,
        Work::Write,
        Patience::Full,
        move |(drive, header): (_, Vec<u8>)| {
            let drive: Arc<dyn Drive> = drive;
            create_copy(drive.as_ref(), id, &header, body_bytes)
        },
    );
    let mut files = Vec::new();
    let mut error = None;
    for (member, result) in members.iter().copied().zip(created) {
        match result {
            Ok(file) => files.push(file),
            Err(e) => {
                let failure = match inner.set.take_out_failed(member, &e, "creating a segment") {
                    Err(failure) => failure,
                    Ok(()) => Error::io(&inner.set.label(member), &e),
                };
                // Full wins: nothing is wrong with the drives then.
                if error != Some(Error::Full) {
                    error = Some(failure);
                }
            }
        }
    }
    match error {
        None => Ok(files),
        Some(error) => Err(error),
    }
}

/// Background writes are synced in pieces of this size, so that a commit's sync never waits for
/// more than one piece to reach the drive.
pub(crate) const SYNC_BYTES: u64 = 4 << 20;

fn create_copy(
    drive: &dyn Drive,
    id: SegmentId,
    header: &[u8],
    body_bytes: u64,
) -> std::io::Result<Arc<dyn DriveFile>> {
    const ZEROS_BYTES: usize = 1 << 20;
    let file = drive.create(&FileKind::Copy.file_name(id), Access::Buffered)?;
    coffer_base::failpoint::pass("copy.created");
    file.allocate(HEADER_BYTES + body_bytes)?;
    coffer_base::failpoint::pass("copy.allocated");
    file.write_at(header, 0, false)?;
    coffer_base::failpoint::pass("copy.header");
    let zeros = vec![0u8; ZEROS_BYTES.min(body_bytes as usize)];
    let mut at = 0;
    while at < body_bytes {
        let n = (body_bytes - at).min(zeros.len() as u64);
        file.write_at(&zeros[..n as usize], HEADER_BYTES + at, false)?;
        at += n;
        if at.is_multiple_of(SYNC_BYTES) {
            file.sync()?;
        }
    }
    file.sync()?;
    coffer_base::failpoint::pass("copy.synced");
    drive.sync_dir()?;
    coffer_base::failpoint::pass("copy.named");
    Ok(file)
}

/// Removes the copies of a segment. What can't be removed now is removed by the next recovery.
pub(crate) fn remove_copies(inner: &Inner, id: SegmentId, members: &[DriveId]) {
    let name = FileKind::Copy.file_name(id);
    for member in members {
        let Ok(drive) = inner.set.drive(*member) else { continue };
        inner.set.forget_file(*member, &name);
        if let Err(e) = drive.remove(&name)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(drive = %drive.label(), file = name, error = %e, "copy not removed");
        }
        coffer_base::failpoint::pass("copy.removed");
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod schedules;

//! A member's queue, the wave of a group and the lane over them, under many schedules.
//!
//! What must hold, whoever comes first: a wave reports a member once, and as done only after its
//! write has ended; a member writes one at a time, in the order in which it was asked, and nothing
//! after a failure; nothing is left in a queue that nobody drains; everybody who waits goes on.

use std::io;
use std::sync::Arc;
use std::sync::Mutex as Brief;

use coffer_base::drive::{Drive, DriveFile, SimWorld};
use coffer_base::rng::SeededRng;
use coffer_base::sync::{Condvar, Mutex, TaskPool, explore, thread};
use coffer_base::{Ack, DriveId, StillClock};

use super::{CopyWriter, QueuedWrite, Wave};
use crate::inner::Inner;
use crate::{DriveThreads, Group, Lane, Log, LogOptions, Seams};

/// A store of two drives, one parity.
fn store() -> (SimWorld, Log, Lane) {
    let world = SimWorld::new(1);
    let (log, lane) = open(&world);
    (world, log, lane)
}

fn open(world: &SimWorld) -> (Log, Lane) {
    let drives = (0..2).map(|i| world.drive(&format!("d{i}")) as Arc<dyn Drive>).collect();
    let inline = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(1)));
    let seams = Seams { drives: DriveThreads::Own, background: Arc::new(TaskPool), ..inline };
    let options = LogOptions {
        k: 1,
        m: 1,
        commit_segment_bytes: 16 << 10,
        probe_interval: None,
        ..LogOptions::default()
    };
    let (log, lane, _) = Log::open(drives, options, seams).expect("the set opens");
    (log, lane)
}

/// A file that notes what is written to it, and fails at one write.
#[derive(Default)]
struct Paper {
    writing: Brief<bool>,
    written: Brief<Vec<u64>>,
    fails_at: Option<u64>,
}

impl Paper {
    fn written(&self) -> Vec<u64> {
        self.written.lock().expect("noting doesn't panic").clone()
    }
}

impl DriveFile for Paper {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        Ok(0)
    }

    fn write_at(&self, _: &[u8], offset: u64, sync: bool) -> io::Result<()> {
        assert!(sync, "a group is written durably");
        let before = std::mem::replace(&mut *self.writing.lock().expect("brief"), true);
        assert!(!before, "two writes of one member at a time");
        thread::yield_now();
        *self.writing.lock().expect("brief") = false;
        if self.fails_at == Some(offset) {
            return Err(io::Error::other("it was to fail"));
        }
        self.written.lock().expect("brief").push(offset);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }
}

fn writer(drive: DriveId, paper: &Arc<Paper>) -> Arc<CopyWriter> {
    let (state, idle) = (Mutex::default(), Condvar::new());
    let settled = Arc::default();
    Arc::new(CopyWriter { drive, file: paper.clone(), settled, state, idle })
}

fn write(file_offset: u64, wave: &Arc<Wave>) -> QueuedWrite {
    QueuedWrite { bytes: Arc::new(Vec::new()), file_offset, wave: wave.clone() }
}

/// Each of three threads asks one member for two writes, waits for the second, and for the member
/// to be idle.
fn several_ask_one_member() {
    let (_world, log, _lane) = store();
    let inner = log.inner().clone();
    let paper = Arc::new(Paper::default());
    let member = writer(inner.set.live()[0], &paper);
    let ask = |first: u64, inner: Arc<Inner>, member: Arc<CopyWriter>, paper: Arc<Paper>| {
        let waves = [Arc::new(Wave::default()), Arc::new(Wave::default())];
        for (i, wave) in waves.iter().enumerate() {
            member.submit(write(first + i as u64, wave), &inner.set.queue(member.drive), &inner);
        }
        let results = waves[1].wait(1, 1);
        assert_eq!(results.done, [member.drive], "failed: {:?}", results.failed);
        let position = |offset| paper.written().iter().position(|written| *written == offset);
        assert!(position(first + 1).is_some(), "reported and not written");
        assert!(position(first) < position(first + 1), "written in another order than asked");
        assert_eq!(waves[0].wait(1, 1).done, [member.drive]);
        member.wait_idle();
    };
    let others: Vec<_> = [10, 20]
        .map(|first| {
            let (inner, member, paper) = (inner.clone(), member.clone(), paper.clone());
            thread::spawn(move || ask(first, inner, member, paper))
        })
        .into();
    ask(30, inner, member.clone(), paper.clone());
    for other in others {
        other.join().expect("the others go on, too");
    }
    member.wait_idle();
    let mut written = paper.written();
    written.sort_unstable();
    assert_eq!(written, [10, 11, 20, 21, 30, 31], "each once");
}

/// A group goes to two members and is enough on one; the next is asked for at once, as by a lane
/// whose groups are acknowledged by one drive.
fn one_of_two_is_enough() {
    let (_world, log, _lane) = store();
    let inner = log.inner().clone();
    let papers = [Arc::new(Paper::default()), Arc::new(Paper::default())];
    let ids = inner.set.live();
    let members: Vec<_> = (0..2).map(|i| writer(ids[i], &papers[i])).collect();
    let mut waves = Vec::new();
    for group in 0..3 {
        let wave = Arc::new(Wave::default());
        for member in &members {
            member.submit(write(group, &wave), &inner.set.queue(member.drive), &inner);
        }
        let results = wave.wait(1, 2);
        assert!(!results.done.is_empty() && results.failed.is_empty());
        for drive in results.done {
            let paper = &papers[usize::from(drive == ids[1])];
            assert!(paper.written().contains(&group), "group {group}: reported, not written");
        }
        waves.push(wave);
    }
    for (member, paper) in members.iter().zip(&papers) {
        member.wait_idle();
        assert_eq!(paper.written(), [0, 1, 2], "a member that lagged has all groups in order");
    }
    for wave in waves {
        let mut done = wave.wait(2, 2).done;
        done.sort_unstable();
        let mut ids = ids.clone();
        ids.sort_unstable();
        assert_eq!(done, ids, "each member once");
    }
}

/// The second of three writes fails: it and the third are reported as failed, and the third is
/// never written.
fn a_member_fails() {
    let (_world, log, _lane) = store();
    let inner = log.inner().clone();
    let paper = Arc::new(Paper { fails_at: Some(1), ..Paper::default() });
    let member = writer(inner.set.live()[0], &paper);
    let waves: Vec<_> = (0..3).map(|_| Arc::new(Wave::default())).collect();
    for (i, wave) in waves.iter().enumerate() {
        member.submit(write(i as u64, wave), &inner.set.queue(member.drive), &inner);
    }
    let results: Vec<_> = waves.iter().map(|wave| wave.wait(1, 1)).collect();
    assert_eq!(results.iter().map(|r| r.done.len()).collect::<Vec<_>>(), [1, 0, 0]);
    assert_eq!(results.iter().map(|r| r.failed.len()).collect::<Vec<_>>(), [0, 1, 1]);
    member.wait_idle();
    assert_eq!(paper.written(), [0], "nothing is written after a failure");
    assert!(member.failure().is_some());
    assert!(!inner.set.is_live(member.drive), "its drive is out");
}

/// One thread commits, another watches the drives and looks at the end; the segment is rolled and
/// sealed meanwhile. Then all is closed and opened again.
fn a_lane_commits_and_is_watched() {
    const GROUPS: u64 = 5;
    let (world, log, mut lane) = store();
    let watcher = {
        let log = log.clone();
        thread::spawn(move || {
            let mut end = log.end().position;
            for _ in 0..3 {
                log.watch();
                let now = log.end().position;
                assert!(now >= end, "the end went back");
                end = now;
            }
        })
    };
    for i in 1..=GROUPS {
        let mut group = lane.begin(Group::item_bytes(8)).expect("there is room");
        group.record(&i.to_le_bytes());
        let ack = if i % 2 == 0 { Ack::All } else { Ack::Primary };
        let mark = lane.commit(group, ack).expect("the drives are well");
        assert_eq!(mark.position.0, i);
        assert!(log.end().position >= mark.position);
    }
    watcher.join().expect("the watcher ends");
    log.close(lane).expect("it closes");
    assert_eq!(log.status().drives.iter().filter(|d| d.state.name() == "active").count(), 2);
    drop(log);
    let (log, _lane) = open(&world);
    let mut found = Vec::new();
    log.replay(None, &mut |group| {
        found.extend(group.records.iter().map(|record| record.to_vec()));
        Ok(())
    })
    .expect("history is readable");
    let wanted: Vec<_> = (1..=GROUPS).map(|i| i.to_le_bytes().to_vec()).collect();
    assert_eq!(found, wanted);
}

#[test]
fn a_member_serves_whoever_asks() {
    explore("CopyWriter, several ask", several_ask_one_member);
}

#[test]
fn a_member_that_lags_loses_nothing() {
    explore("Wave, one of two is enough", one_of_two_is_enough);
}

#[test]
fn a_member_that_failed_stays_so() {
    explore("CopyWriter, a failure", a_member_fails);
}

#[test]
fn a_lane_and_its_watcher_agree() {
    explore("Lane, commits and a watcher", a_lane_commits_and_is_watched);
}

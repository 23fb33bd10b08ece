//! For tests: a drive that hangs when it is told to.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::{Access, Drive, DriveFile, Space};

/// A kind of operation that a [`Gate`] stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Reading a file, opening it, asking for its length.
    Read,
    /// Writing without a sync, reserving, cutting.
    Write,
    /// Making durable: files, directories, synchronous writes.
    Sync,
    /// Creating a file.
    Create,
    /// Renaming.
    Rename,
    /// Removing.
    Remove,
    /// Listing, probing, asking for space.
    Look,
}

impl Op {
    /// Every kind.
    pub const ALL: [Op; 7] =
        [Op::Read, Op::Write, Op::Sync, Op::Create, Op::Rename, Op::Remove, Op::Look];
}

/// Where operations wait while it is closed to their kind. Cheap to clone.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    closed: BTreeSet<Op>,
    waiting: usize,
    passed: u64,
    read_time: Duration,
}

impl Gate {
    /// From here on operations of these kinds hang.
    pub fn close(&self, ops: &[Op]) {
        self.0.0.lock().expect("no holder panics").closed.extend(ops);
    }

    /// All that hang go on, and nothing hangs any more.
    pub fn open(&self) {
        self.0.0.lock().expect("no holder panics").closed.clear();
        self.0.1.notify_all();
    }

    /// From here on each read takes so long.
    pub fn set_read_time(&self, time: Duration) {
        self.0.0.lock().expect("no holder panics").read_time = time;
    }

    /// How many operations hang now.
    pub fn waiting(&self) -> usize {
        self.0.0.lock().expect("no holder panics").waiting
    }

    /// How many operations came through.
    pub fn passed(&self) -> u64 {
        self.0.0.lock().expect("no holder panics").passed
    }

    fn pass(&self, op: Op) {
        let (state, opened) = &*self.0;
        let mut state = state.lock().expect("no holder panics");
        state.waiting += 1;
        while state.closed.contains(&op) {
            state = opened.wait(state).expect("no holder panics");
        }
        state.waiting -= 1;
        state.passed += 1;
        let time = if op == Op::Read { state.read_time } else { Duration::ZERO };
        drop(state);
        if !time.is_zero() {
            std::thread::sleep(time);
        }
    }
}

/// A drive behind a [`Gate`].
pub struct GatedDrive {
    drive: Arc<dyn Drive>,
    gate: Gate,
}

impl GatedDrive {
    /// Puts `drive` behind `gate`.
    pub fn new(drive: Arc<dyn Drive>, gate: Gate) -> Self {
        Self { drive, gate }
    }

    fn file(&self, file: Arc<dyn DriveFile>) -> Arc<dyn DriveFile> {
        Arc::new(GatedFile { file, gate: self.gate.clone() })
    }
}

impl Drive for GatedDrive {
    fn label(&self) -> String {
        self.drive.label()
    }

    fn create(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        self.gate.pass(Op::Create);
        self.drive.create(name, access).map(|file| self.file(file))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        self.gate.pass(Op::Read);
        self.drive.open(name, access).map(|file| self.file(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.gate.pass(Op::Rename);
        self.drive.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.gate.pass(Op::Remove);
        self.drive.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.gate.pass(Op::Look);
        self.drive.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.gate.pass(Op::Sync);
        self.drive.sync_dir()
    }

    fn space(&self) -> io::Result<Space> {
        self.gate.pass(Op::Look);
        self.drive.space()
    }

    fn probe(&self) -> io::Result<()> {
        self.gate.pass(Op::Look);
        self.drive.probe()
    }

    fn barriers(&self) -> u64 {
        self.drive.barriers()
    }
}

struct GatedFile {
    file: Arc<dyn DriveFile>,
    gate: Gate,
}

impl DriveFile for GatedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.gate.pass(Op::Read);
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64, sync: bool) -> io::Result<()> {
        self.gate.pass(if sync { Op::Sync } else { Op::Write });
        self.file.write_at(data, offset, sync)
    }

    fn sync(&self) -> io::Result<()> {
        self.gate.pass(Op::Sync);
        self.file.sync()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.gate.pass(Op::Write);
        self.file.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.gate.pass(Op::Write);
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.gate.pass(Op::Read);
        self.file.len()
    }
}

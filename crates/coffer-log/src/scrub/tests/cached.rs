//! Bytes that are wrong in memory only, and a process that is short of files: neither says
//! anything about a drive.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coffer_base::drive::{Access, Drive, DriveFile, SimWorld, Space};
use coffer_base::rng::SeededRng;
use coffer_base::{Ack, StillClock};

use super::{options, scrub};
use crate::group::Group;
use crate::options::Seams;
use crate::{DriveState, Extent, Lane, Log};

/// A drive of which memory has the cells wrong until it lets go of them.
struct Cached {
    drive: Arc<dyn Drive>,
    is_bad: Arc<AtomicBool>,
    process: Arc<Process>,
}

/// What is so for all drives.
#[derive(Default)]
struct Process {
    /// The segments' headers are wrong in memory, too, of which each start and seal has what it
    /// needs most of the time.
    also_headers: AtomicBool,
    /// No cell can be opened or made.
    is_short: AtomicBool,
}

struct CachedFile {
    file: Arc<dyn DriveFile>,
    is_direct: bool,
    is_bad: Arc<AtomicBool>,
    process: Arc<Process>,
}

impl Cached {
    fn file(&self, file: Arc<dyn DriveFile>, access: Access, name: &str) -> Arc<dyn DriveFile> {
        if !name.ends_with(".cell") {
            return file;
        }
        let is_direct = access == Access::Direct;
        Arc::new(CachedFile {
            file,
            is_direct,
            is_bad: self.is_bad.clone(),
            process: self.process.clone(),
        })
    }
}

impl Cached {
    fn check_room(&self, name: &str) -> io::Result<()> {
        const EMFILE: i32 = 24;
        match name.contains(".cell") && self.process.is_short.load(Ordering::Relaxed) {
            true => Err(io::Error::from_raw_os_error(EMFILE)),
            false => Ok(()),
        }
    }
}

impl Drive for Cached {
    fn label(&self) -> String {
        self.drive.label()
    }
    fn create(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        self.check_room(name)?;
        Ok(self.file(self.drive.create(name, access)?, access, name))
    }
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        let file = self.drive.open(name, access)?;
        self.check_room(name)?;
        Ok(self.file(file, access, name))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.drive.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.drive.remove(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.drive.list()
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.drive.sync_dir()
    }
    fn space(&self) -> io::Result<Space> {
        self.drive.space()
    }
    fn probe(&self) -> io::Result<()> {
        self.drive.probe()
    }
    fn barriers(&self) -> u64 {
        self.drive.barriers()
    }
}

impl DriveFile for CachedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let n = self.file.read_at(buf, offset)?;
        let counts = offset > 0 || self.process.also_headers.load(Ordering::Relaxed);
        if counts && !self.is_direct && self.is_bad.load(Ordering::Relaxed) {
            buf[..n].iter_mut().for_each(|byte| *byte ^= 1);
        }
        Ok(n)
    }
    fn forget_cached(&self, _: Range<u64>) {
        self.is_bad.store(false, Ordering::Relaxed);
    }
    fn write_at(&self, data: &[u8], offset: u64, sync: bool) -> io::Result<()> {
        self.file.write_at(data, offset, sync)
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

struct Store {
    world: SimWorld,
    log: Log,
    lane: Lane,
    payloads: Vec<(Extent, Vec<u8>)>,
    is_bad: Vec<Arc<AtomicBool>>,
    process: Arc<Process>,
}

fn open(world: &SimWorld, is_bad: &[Arc<AtomicBool>], process: &Arc<Process>) -> (Log, Lane) {
    let drive = |(i, is_bad): (usize, &Arc<AtomicBool>)| {
        let drive = world.drive(&format!("d{i}"));
        let (is_bad, process) = (is_bad.clone(), process.clone());
        Arc::new(Cached { drive, is_bad, process }) as Arc<dyn Drive>
    };
    let drives = is_bad.iter().enumerate().map(drive).collect();
    let seams = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(7)));
    let (log, lane, _) = Log::open(drives, options(2, 1), seams).expect("the set opens");
    (log, lane)
}

fn store() -> Store {
    let world = SimWorld::new(41);
    let is_bad: Vec<Arc<AtomicBool>> = (0..3).map(|_| Arc::default()).collect();
    let process = Arc::default();
    let (log, mut lane) = open(&world, &is_bad, &process);
    let mut payloads = Vec::new();
    for n in 0..40_u8 {
        let data = vec![n; 6000];
        let mut group = lane.begin(Group::item_bytes(data.len())).expect("there is room");
        let extent = group.payload(&data);
        lane.commit(group, Ack::All).expect("it commits");
        payloads.push((extent, data));
    }
    let data = vec![7; 300_000];
    let mut writer = log.bulk_writer(None).expect("it takes rows");
    writer.write(&data).expect("it writes");
    for extent in writer.finish().expect("it ends") {
        payloads.push((extent, vec![7; extent.len as usize]));
    }
    Store { world, log, lane, payloads, is_bad, process }
}

#[test]
fn what_is_wrong_in_memory_only_is_read_from_the_drives() {
    let store = store();
    for (extent, data) in &store.payloads {
        store.is_bad.iter().for_each(|bad| bad.store(true, Ordering::Relaxed));
        let read = store.log.read(extent, 0..extent.len).expect("the drives have it right");
        assert!(read == data, "{extent:?}");
    }
}

#[test]
fn headers_that_are_wrong_in_memory_only_are_read_from_the_drives() {
    let Store { world, log, lane, payloads, is_bad, process } = store();
    log.close(lane).expect("it closes");
    // Nothing is known of them but what the files say.
    let (log, _lane) = open(&world, &is_bad, &process);
    process.also_headers.store(true, Ordering::Relaxed);
    for (extent, data) in &payloads {
        is_bad.iter().for_each(|bad| bad.store(true, Ordering::Relaxed));
        let read = log.read(extent, 0..extent.len).expect("the drives have it right");
        assert!(read == data, "{extent:?}");
    }
}

#[test]
fn memory_lets_go_of_what_was_wrong_when_the_drive_has_it_right() {
    let store = store();
    for (extent, data) in [&store.payloads[0], &store.payloads[40]] {
        store.is_bad[0].store(true, Ordering::Relaxed);
        store.is_bad[1].store(extent.is_bulk(), Ordering::Relaxed);
        let read = store.log.read(extent, 0..extent.len).expect("it reads");
        assert!(read == data, "{extent:?}");
        assert!(store.log.heal_queued() > 0);
        assert!(!store.is_bad[0].load(Ordering::Relaxed), "{extent:?}");
    }
    let health: Vec<u64> = store.log.status().drives.iter().map(|d| d.health.found).collect();
    assert_eq!(health, [0, 0, 0]);
}

#[test]
fn a_process_without_files_counts_against_no_drive() {
    let store = store();
    let cells = |(name, _): &(String, u64)| name.ends_with(".cell");
    let files = store.world.files("d1").into_iter().filter(cells);
    let missing = files.map(|(name, _)| name).next().expect("it has cells");
    store.world.drive("d1").remove(&missing).expect("it goes");
    store.process.is_short.store(true, Ordering::Relaxed);
    // Those that can't be opened, and the one that can't be made.
    let (report, findings) = scrub(&store.log);
    assert!(report.later > 3, "{findings:?}");
    assert_eq!((report.found, report.refused), (report.later, 0), "{findings:?}");
    let is_missing = |what: &str| what.contains(&missing) && what.contains("d1 is missing");
    assert!(findings.iter().any(|finding| is_missing(&finding.what)), "{findings:?}");
    for drive in &store.log.status().drives {
        assert_eq!((drive.state, drive.health.unhealable), (DriveState::Active, 0));
    }
    store.process.is_short.store(false, Ordering::Relaxed);
    let (report, findings) = scrub(&store.log);
    assert_eq!((report.found, report.healed, report.later), (1, 1, 0), "{findings:?}");
}

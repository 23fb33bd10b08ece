//! A drive on which another page of a block goes wrong while one is put right.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use coffer_base::drive::{Access, Drive, DriveFile, SimWorld, Space};
use coffer_base::rng::SeededRng;
use coffer_base::{Ack, StillClock};

use super::{assert_same, files, options, scrub};
use crate::group::Group;
use crate::options::Seams;
use crate::{DriveState, Log};

const PAGE_BYTES: u64 = 4096;

/// A drive on which the first write while it is armed spoils the page after the next.
struct Spoiling {
    drive: Arc<dyn Drive>,
    world: SimWorld,
    is_armed: Arc<AtomicBool>,
}

struct SpoilingFile {
    file: Arc<dyn DriveFile>,
    drive: String,
    name: String,
    world: SimWorld,
    is_armed: Arc<AtomicBool>,
}

impl Spoiling {
    fn file(&self, file: Arc<dyn DriveFile>, name: &str) -> Arc<dyn DriveFile> {
        Arc::new(SpoilingFile {
            file,
            drive: self.drive.label(),
            name: name.to_owned(),
            world: self.world.clone(),
            is_armed: self.is_armed.clone(),
        })
    }
}

impl Drive for Spoiling {
    fn label(&self) -> String {
        self.drive.label()
    }
    fn create(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        Ok(self.file(self.drive.create(name, access)?, name))
    }
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        Ok(self.file(self.drive.open(name, access)?, name))
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

impl DriveFile for SpoilingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, data: &[u8], offset: u64, sync: bool) -> io::Result<()> {
        self.file.write_at(data, offset, sync)?;
        if self.is_armed.swap(false, Ordering::Relaxed) {
            let at = offset + data.len() as u64 + PAGE_BYTES;
            assert!(self.world.flip_bit(&self.drive, &self.name, at + 17, 2), "{}", self.name);
        }
        Ok(())
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

#[test]
fn what_goes_wrong_while_healing_is_put_right_by_the_second_try() {
    let world = SimWorld::new(44);
    let is_armed = Arc::new(AtomicBool::new(false));
    let drive = |i: usize| {
        let drive = world.drive(&format!("d{i}"));
        Arc::new(Spoiling { drive, world: world.clone(), is_armed: is_armed.clone() })
            as Arc<dyn Drive>
    };
    let seams = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(7)));
    let opened = Log::open((0..3).map(drive).collect(), options(2, 1), seams);
    let (log, mut lane, _) = opened.expect("the set opens");
    let data = vec![3; 6000];
    let mut group = lane.begin(Group::item_bytes(data.len())).expect("there is room");
    group.payload(&data);
    lane.commit(group, Ack::All).expect("it commits");
    let mut writer = log.bulk_writer(None).expect("it takes rows");
    writer.write(&vec![7; 300_000]).expect("it writes");
    writer.finish().expect("it ends");

    let names = || (0..3).map(|i| format!("d{i}")).collect();
    let before = files(&world, names());
    let covered = log.covered();
    let cells: Vec<_> = covered
        .iter()
        .filter(|c| c.file.starts_with("bulk-") && c.range.start > 0)
        .filter(|c| c.range.end - c.range.start >= 8 * PAGE_BYTES)
        .collect();
    assert!(cells.len() >= 3, "{covered:?}");
    for cell in cells {
        // A page of the row's header is before its cells.
        let byte = cell.range.start + PAGE_BYTES + 5;
        assert!(world.flip_bit(&cell.drive, &cell.file, byte, 1), "{cell:?}");
        is_armed.store(true, Ordering::Relaxed);
        let (report, findings) = scrub(&log);
        assert!(!is_armed.load(Ordering::Relaxed), "another page went wrong");
        assert_eq!((report.found, report.healed), (1, 1), "{cell:?} {findings:?}");
        assert_same(&files(&world, names()), &before);
    }
    assert!(log.status().drives.iter().all(|drive| drive.state == DriveState::Active));
    drop(lane);
}

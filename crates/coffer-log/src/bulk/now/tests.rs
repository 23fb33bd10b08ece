//! Rows on real drives: what is read now is what is read, or nothing.

use std::sync::Arc;

use coffer_base::StillClock;
use coffer_base::drive::{Access, Drive, RealDrive};
use coffer_base::pool::ThreadPool;
use coffer_base::rng::{Rng, SeededRng};

use crate::extent::Extent;
use crate::options::{LogOptions, Seams};
use crate::segment::FileKind;
use crate::{Lane, Log};

struct Store {
    dir: tempfile::TempDir,
    log: Log,
    _lane: Lane,
}

impl Store {
    fn new(k: u8, m: u8) -> Store {
        let dir = tempfile::tempdir().unwrap();
        let drives = (0..k + m).map(|i| {
            let drive = RealDrive::create(&dir.path().join(format!("d{i}"))).unwrap();
            Arc::new(drive) as Arc<dyn Drive>
        });
        let pool = |name| Arc::new(ThreadPool::new(name, 2).unwrap());
        let seams = Seams {
            clock: Arc::new(StillClock),
            rng: Arc::new(SeededRng::new(1)),
            drives: crate::DriveThreads::Own,
            background: pool("background"),
        };
        let options = LogOptions {
            k,
            m,
            commit_segment_bytes: 64 << 10,
            cell_bytes_max: 256 << 10,
            probe_interval: None,
            ..LogOptions::default()
        };
        let (log, lane, _) = Log::open(drives.collect(), options, seams).unwrap();
        Store { dir, log, _lane: lane }
    }

    /// A payload in one extent, in memory and its files open.
    fn put(&self, data: &[u8]) -> Extent {
        let mut writer = self.log.bulk_writer(Some(data.len() as u64)).unwrap();
        writer.write(data).unwrap();
        let extents = writer.finish().unwrap();
        assert_eq!(extents.len(), 1);
        // Less than a row each, lest they are read past the page cache.
        for start in (0..data.len()).step_by(64 << 10) {
            let end = data.len().min(start + (64 << 10));
            let read = self.log.read(&extents[0], start as u64..end as u64).unwrap();
            assert_eq!(read, data[start..end]);
        }
        extents[0]
    }

    fn flip(&self, cell: usize, extent: &Extent, at: u64) {
        let drive = RealDrive::open(&self.dir.path().join(format!("d{cell}"))).unwrap();
        let name = FileKind::Bulk.file_name(extent.segment);
        let file = drive.open(&name, Access::Buffered).unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, extent.offset + at).unwrap();
        file.write_at(&[!byte[0]], extent.offset + at, false).unwrap();
    }
}

fn random(rng: &SeededRng, len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    rng.fill(&mut data);
    data
}

#[test]
fn what_is_read_now_is_what_is_read() {
    let rng = SeededRng::new(1);
    for (k, m) in [(1, 0), (2, 1), (4, 2)] {
        let store = Store::new(k, m);
        for len in [1, 4096, 70_000, 300_000, 3_000_001] {
            let data = random(&rng, len);
            let extent = store.put(&data);
            let row_bytes = u64::from(extent.row_bytes);
            // How often that is something is the business of the file system, which may not know
            // how at all.
            for _ in 0..50 {
                let start = rng.below(extent.len);
                let end = start + 1 + rng.below((extent.len - start).min(400_000));
                let read = store.log.read_now(&extent, start..end);
                if let Some(read) = read {
                    assert_eq!(start / row_bytes, (end - 1) / row_bytes, "one row");
                    assert!(read == data[start as usize..end as usize], "{start}..{end} of {len}");
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_is_not_read_now_and_still_healed() {
    let rng = SeededRng::new(2);
    let store = Store::new(2, 1);
    let data = random(&rng, 400_000);
    let extent = store.put(&data);
    let good = store.log.read_now(&extent, 0..100_000).is_some();
    // The second block of cell 0, and the header of cell 1.
    store.flip(0, &extent, 4096 + (64 << 10) + 5);
    store.flip(1, &extent, 100);
    let read_now = |range| store.log.read_now(&extent, range).is_some();
    let cell = u64::from(extent.row_bytes) / 2;
    assert_eq!((read_now(0..65_536), read_now(0..65_537)), (good, false));
    assert_eq!(read_now(128 << 10..cell), good);
    assert!(!read_now(cell..cell + 10));
    // The header of one cell is enough for what follows it.
    assert_eq!(read_now(cell - 10..cell + 10), good);
    let shape = Extent { row_bytes: extent.row_bytes - 2 * 4096, ..extent };
    assert_eq!(store.log.read_now(&shape, 0..10), None);
    let shape = Extent { row_bytes: 3, ..extent };
    assert_eq!(store.log.read_now(&shape, 0..10), None);
    assert!(store.log.read(&extent, 0..extent.len).unwrap() == data);
}

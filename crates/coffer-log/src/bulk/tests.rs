//! Bulk rows against a model: what was written comes back whole whatever `m` members do, and
//! never wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use coffer_base::StillClock;
use coffer_base::drive::{Access, Drive, Faults, RealDrive, SimWorld, Survival};
use coffer_base::pool::ThreadPool;
use coffer_base::rng::{Rng, SeededRng};

use super::*;
use crate::error::Error;
use crate::extent::Extent;
use crate::inner::Inner;
use crate::options::{LogOptions, Seams};
use crate::segment::{BLOCK_BYTES, FileKind};
use crate::{DriveState, Lane, Log};

mod headless;
mod trouble;

const SCHEMES: [(u8, u8); 7] = [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2), (4, 2), (5, 3)];

fn options(k: u8, m: u8) -> LogOptions {
    LogOptions {
        k,
        m,
        commit_segment_bytes: 64 << 10,
        bulk_file_bytes: 1 << 20,
        cell_bytes_max: 128 << 10,
        probe_interval: None,
        write_floor_drives: Some(1),
        ..LogOptions::default()
    }
}

struct Store {
    world: SimWorld,
    log: Log,
    lane: Lane,
    inner: Arc<Inner>,
}

impl Store {
    fn open(world: SimWorld, options: LogOptions) -> Store {
        let name = |i| world.drive(&format!("d{i}")) as Arc<dyn Drive>;
        let drives = (0..options.k + options.m).map(name).collect();
        let seams = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(7)));
        let (log, lane, _) = Log::open(drives, options, seams).unwrap();
        let inner = lane.shared().inner.clone();
        Store { world, log, lane, inner }
    }

    fn new(k: u8, m: u8) -> Store {
        Store::open(SimWorld::new(1), options(k, m))
    }

    fn put(&self, data: &[u8], expected_len: Option<u64>) -> Result<Vec<Extent>, Error> {
        let mut writer = self.log.bulk_writer(expected_len)?;
        for piece in data.chunks(77_777) {
            writer.write(piece)?;
        }
        writer.finish()
    }

    fn get(&self, extents: &[Extent], start: u64, end: u64) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        let mut base = 0;
        for extent in extents {
            let (from, to) = (start.max(base), end.min(base + extent.len));
            if from < to {
                out.extend_from_slice(&self.log.read(extent, from - base..to - base)?);
            }
            base += extent.len;
        }
        Ok(out)
    }

    fn check(&self, extents: &[Extent], data: &[u8], rng: &SeededRng) {
        let len = data.len() as u64;
        assert_eq!(extents.iter().map(|e| e.len).sum::<u64>(), len);
        assert!(self.get(extents, 0, len).unwrap() == data, "the whole of {len} bytes");
        for _ in 0..5 {
            let start = rng.below(len + 1);
            let end = start + rng.below(len - start + 1);
            let read = self.get(extents, start, end).unwrap();
            assert!(read == data[start as usize..end as usize], "{start}..{end} of {len}");
        }
    }

    fn findings(&self, extents: &[Extent]) -> Vec<String> {
        let mut findings = Vec::new();
        for extent in extents {
            let segment = self.inner.table.get(extent.segment).unwrap();
            verify_extent(&self.inner, &segment, extent, &mut |what| findings.push(what));
            verify_bulk_segment(&self.inner, &segment, &mut |what| findings.push(what));
        }
        findings
    }

    fn drives(&self) -> usize {
        self.inner.set.geometry.cells()
    }

    fn fault(&self, drive: usize, faults: Faults) {
        self.world.set_faults(&format!("d{drive}"), faults);
    }

    fn flip(&self, cell: usize, extent: &Extent, byte: u64, bit: u8) {
        let name = FileKind::Bulk.file_name(extent.segment);
        assert!(self.world.flip_bit(&format!("d{cell}"), &name, byte, bit), "{name} {byte}");
    }
}

fn random(rng: &SeededRng, len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    rng.fill(&mut data);
    data
}

#[test]
fn payloads_of_all_lengths_come_back_over_every_scheme() {
    let rng = SeededRng::new(1);
    for (k, m) in SCHEMES {
        let store = Store::new(k, m);
        let row = usize::from(k) << 17;
        let mut kept = Vec::new();
        for edge in [1, 4096, row - 1, row, row + 1, 3 * row, 3 * row + 5000] {
            kept.push((random(&rng, edge), Some(edge as u64)));
            kept.push((random(&rng, edge), None));
        }
        for _ in 0..6 {
            let data = random(&rng, 1 + rng.below(4 * row as u64) as usize);
            kept.push((data, Some(rng.below(2 * row as u64))));
        }
        let kept: Vec<_> =
            kept.iter().map(|(data, len)| (store.put(data, *len).unwrap(), data)).collect();
        for (extents, data) in &kept {
            store.check(extents, data, &rng);
            assert_eq!(store.findings(extents), Vec::<String>::new());
        }
        assert_eq!(store.put(&[], None), Ok(Vec::new()));
        assert_eq!(store.inner.bulk.memory_bytes(), 0);
        // One writer at a time fills one segment after the other, and its rows lie together.
        assert_eq!(store.inner.bulk.open_segments(), 1);
        let (extents, _) = &kept[10];
        assert!(extents.len() <= 2, "{extents:?}");
        let segment = extents[0].segment;
        assert!(store.inner.bulk.allocated_bytes(segment).unwrap() > 0);
    }
}

#[test]
fn any_m_members_may_be_unreadable_and_one_more_is_an_error() {
    let rng = SeededRng::new(2);
    for (k, m) in SCHEMES {
        let store = Store::new(k, m);
        let data = random(&rng, (usize::from(k) << 17) * 2 + 12_345);
        let extents = store.put(&data, None).unwrap();
        for lost in 0u32..1 << store.drives() {
            for drive in 0..store.drives() {
                let fail_reads = lost >> drive & 1 == 1;
                store.fault(drive, Faults { fail_reads, ..Faults::default() });
            }
            if lost.count_ones() <= u32::from(m) {
                store.check(&extents, &data, &rng);
                assert_eq!(store.findings(&extents).is_empty(), lost == 0);
            } else {
                let read = store.get(&extents, 0, data.len() as u64);
                assert!(matches!(read, Err(Error::Unavailable(_))), "{k}+{m} {lost:b}: {read:?}");
            }
        }
    }
}

#[test]
fn flipped_bits_are_found_and_healed_and_more_than_m_are_never_served() {
    let rng = SeededRng::new(3);
    for (k, m) in [(1, 0), (1, 1), (2, 1), (2, 2), (4, 2)] {
        for round in 0..30 {
            let store = Store::new(k, m);
            let data = random(&rng, usize::from(k) << 17);
            let extents = store.put(&data, None).unwrap();
            let extent = &extents[0];
            // The same block, or the header, of several cells.
            let count = 1 + rng.below(u64::from(k + m)) as usize;
            let mut cells = BTreeSet::new();
            while cells.len() < count {
                cells.insert(rng.below(u64::from(k + m)) as usize);
            }
            let header = round % 3 == 0;
            let block = rng.below(2);
            for cell in &cells {
                let within = match header {
                    true => rng.below(4096),
                    false => 4096 + block * BLOCK_BYTES as u64 + rng.below(BLOCK_BYTES as u64),
                };
                store.flip(*cell, extent, extent.offset + within, rng.below(8) as u8);
            }
            let findings = store.findings(&extents);
            if findings.len() < count && !(header && count == store.drives()) {
                panic!("{k}+{m}: {count} flips, found {findings:?}");
            }
            let harm = match header {
                // One good header has all checksums.
                true => count == store.drives(),
                // Parity that is not needed does no harm.
                false => count > usize::from(m) && *cells.first().unwrap() < usize::from(k),
            };
            let read = store.get(&extents, 0, data.len() as u64);
            if harm {
                assert!(matches!(read, Err(Error::Corrupt(_))), "{k}+{m} {cells:?}: {read:?}");
            } else {
                assert!(read.unwrap() == data, "{k}+{m} {cells:?}");
            }
        }
    }
}

#[test]
fn each_block_is_rebuilt_by_itself() {
    let rng = SeededRng::new(4);
    let store = Store::new(2, 1);
    let data = random(&rng, 2 << 17);
    let extents = store.put(&data, None).unwrap();
    // Two of three cells are damaged, but not in the same block.
    store.flip(0, &extents[0], extents[0].offset + 4096 + 5, 0);
    store.flip(1, &extents[0], extents[0].offset + 4096 + BLOCK_BYTES as u64 + 5, 0);
    store.check(&extents, &data, &rng);
}

#[test]
fn garbage_and_short_files_are_never_served() {
    let rng = SeededRng::new(5);
    let store = Store::new(2, 2);
    let data = random(&rng, 700_000);
    let extents = store.put(&data, None).unwrap();
    for round in 0..200 {
        let fork = store.world.fork();
        let store = Store::open(fork, options(2, 2));
        for cell in 0..1 + rng.below(4) {
            let name = FileKind::Bulk.file_name(extents[0].segment);
            let file = store.world.drive(&format!("d{cell}")).open(&name, Access::Buffered);
            let file = file.unwrap();
            let len = file.len().unwrap();
            let at = 4096 + rng.below(len - 4096);
            match round % 3 {
                0 => file.set_len(at).unwrap(),
                1 => file.write_at(&random(&rng, rng.below(300_000) as usize), at, false).unwrap(),
                _ => {
                    // Right bytes in the wrong place.
                    let mut moved = vec![0; 8192];
                    let from = 4096 * rng.below(len / 4096 - 1);
                    file.read_at(&mut moved, from).unwrap();
                    file.write_at(&moved, at / 4096 * 4096, false).unwrap();
                }
            }
        }
        match store.get(&extents, 0, data.len() as u64) {
            Ok(read) => assert!(read == data, "round {round}"),
            Err(Error::Corrupt(_) | Error::Unavailable(_)) => {}
            Err(e) => panic!("round {round}: {e}"),
        }
    }
}

#[test]
fn an_extent_of_another_shape_is_corrupt_not_wrong_bytes() {
    let rng = SeededRng::new(6);
    let store = Store::new(2, 1);
    let data = random(&rng, 600_000);
    let good = store.put(&data, None).unwrap()[0];
    let is_corrupt = |extent: Extent| {
        let read = store.log.read(&extent, 0..extent.len);
        assert!(matches!(read, Err(Error::Corrupt(_))), "{extent:?}: {read:?}");
    };
    is_corrupt(Extent { len: good.len - 1, ..good });
    is_corrupt(Extent { len: good.len + 1, ..good });
    is_corrupt(Extent { offset: good.offset + 4096, ..good });
    is_corrupt(Extent { offset: 1 << 50, ..good });
    is_corrupt(Extent { row_bytes: good.row_bytes / 2, ..good });
    is_corrupt(Extent { row_bytes: 3, ..good });
}

#[test]
fn a_finished_payload_costs_each_drive_one_barrier_a_segment() {
    let store = Store::new(4, 2);
    store.put(&[1; 100_000], None).unwrap();
    let barriers = || (0..6).map(|i| store.world.drive(&format!("d{i}")).barriers());
    let before: Vec<u64> = barriers().collect();
    store.put(&[1; 100_000], None).unwrap();
    assert!(barriers().zip(&before).all(|(after, before)| after == before + 1));
}

#[test]
fn writers_beyond_the_lanes_take_turns_and_those_that_give_up_leave_no_trace() {
    let rng = SeededRng::new(9);
    let store = Store::new(2, 1);
    let row = 128 << 10;
    let mut writers: Vec<_> =
        (0..50).map(|_| (store.log.bulk_writer(Some(row as u64)).unwrap(), Vec::new())).collect();
    for _ in 0..4 {
        for (writer, data) in &mut writers {
            let piece = random(&rng, row);
            writer.write(&piece).unwrap();
            data.extend_from_slice(&piece);
        }
    }
    assert!(store.inner.bulk.open_segments() <= 32);
    for (i, (writer, data)) in writers.into_iter().enumerate() {
        if i % 2 == 0 {
            store.check(&writer.finish().unwrap(), &data, &rng);
        }
    }
    assert_eq!(store.inner.bulk.memory_bytes(), 0);
    store.put(&[1], None).unwrap();
    assert!(store.inner.bulk.open_segments() <= 32);
    store.log.close(store.lane).unwrap();
    assert_eq!(store.inner.bulk.open_segments(), 0);
}

#[test]
fn only_rows_with_something_in_them_take_memory() {
    let rng = SeededRng::new(12);
    let options =
        LogOptions { row_memory_bytes: 4 << 20, cell_bytes_max: 1 << 20, ..options(4, 2) };
    let store = Store::open(SimWorld::new(1), options);
    let used_bytes = || store.inner.bulk.memory_bytes();
    // Far more writers than there is memory for, with whole rows each time, as who waits for
    // clients writes.
    let mut writers: Vec<_> =
        (0..300).map(|_| (store.log.bulk_writer(None).unwrap(), Vec::new())).collect();
    for round in 0..3 {
        for (writer, data) in &mut writers {
            writer.limit_row_bytes(300_000 >> round);
            let n = writer.whole_rows(400_000);
            assert_eq!((writer.whole_rows(n), writer.whole_rows(n - 1) < n), (n, true));
            let piece = random(&rng, n);
            writer.write(&piece).unwrap();
            data.extend_from_slice(&piece);
            assert_eq!(used_bytes(), 0);
        }
    }
    for (i, (mut writer, mut data)) in writers.into_iter().enumerate() {
        let rest = random(&rng, i * 100);
        writer.write(&rest).unwrap();
        data.extend_from_slice(&rest);
        assert!(used_bytes() <= 4 << 20);
        let extents = writer.finish().unwrap();
        assert!(extents.len() <= 8, "{extents:?}");
        store.check(&extents, &data, &rng);
        assert_eq!(store.findings(&extents[..1]), Vec::<String>::new());
    }
    assert_eq!(used_bytes(), 0);
    // A row that is half full holds its memory, also for a writer that is alone.
    let mut writer = store.log.bulk_writer(None).unwrap();
    writer.write(&[1]).unwrap();
    assert!(used_bytes() > 0);
    drop(writer);
    assert_eq!(used_bytes(), 0);
}

#[test]
fn writers_that_wait_for_memory_get_it_as_rows_are_written() {
    let world = SimWorld::new(13);
    let pool = |name| Arc::new(ThreadPool::new(name, 4).unwrap());
    let seams = Seams {
        clock: Arc::new(StillClock),
        rng: Arc::new(SeededRng::new(13)),
        drives: crate::DriveThreads::Own,
        background: pool("background"),
    };
    let drives = (0..3).map(|i| world.drive(&format!("d{i}")) as Arc<dyn Drive>);
    // Memory for two rows of 128 KiB cells.
    let options = LogOptions { row_memory_bytes: 6 * (132 << 10), ..options(2, 1) };
    let (log, _lane, _) = Log::open(drives.collect(), options, seams).unwrap();
    // These have rows behind them and rows before them, and hold nothing.
    let idle: Vec<_> = (0..20)
        .map(|_| {
            let mut writer = log.bulk_writer(None).unwrap();
            writer.write(&vec![7; writer.whole_rows(400_000)]).unwrap();
            writer
        })
        .collect();
    std::thread::scope(|scope| {
        for i in 0..16 {
            let log = log.clone();
            scope.spawn(move || {
                let rng = SeededRng::new(i);
                for _ in 0..6 {
                    let data = random(&rng, 1 + rng.below(2 << 20) as usize);
                    let mut writer = log.bulk_writer(None).unwrap();
                    data.chunks(50_000).for_each(|piece| writer.write(piece).unwrap());
                    let mut at = 0;
                    for extent in writer.finish().unwrap() {
                        let read = log.read(&extent, 0..extent.len).unwrap();
                        assert!(read == data[at..at + read.len()]);
                        at += read.len();
                    }
                    assert_eq!(at, data.len());
                }
            });
        }
    });
    drop(idle);
}

#[test]
fn real_drives_take_parallel_writers_and_are_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let drives: Vec<Arc<dyn Drive>> = (0..3)
        .map(|i| {
            let path = dir.path().join(format!("d{i}"));
            std::fs::create_dir(&path).unwrap();
            Arc::new(RealDrive::open(&path).unwrap()) as Arc<dyn Drive>
        })
        .collect();
    let pool = |name| Arc::new(ThreadPool::new(name, 4).unwrap());
    let seams = Seams {
        clock: Arc::new(StillClock),
        rng: Arc::new(SeededRng::new(10)),
        drives: crate::DriveThreads::Own,
        background: pool("background"),
    };
    let options = LogOptions { cell_bytes_max: 1 << 20, bulk_file_bytes: 8 << 20, ..options(2, 1) };
    let (log, lane, _) = Log::open(drives, options, seams).unwrap();
    std::thread::scope(|scope| {
        for i in 0..6 {
            let log = log.clone();
            scope.spawn(move || {
                let rng = SeededRng::new(i);
                for _ in 0..4 {
                    let data = random(&rng, 1 + rng.below(5 << 20) as usize);
                    let mut writer = log.bulk_writer(Some(data.len() as u64)).unwrap();
                    writer.write(&data).unwrap();
                    let mut at = 0;
                    for extent in writer.finish().unwrap() {
                        let read = log.read(&extent, 0..extent.len).unwrap();
                        assert!(read == data[at..at + read.len()]);
                        let from = rng.below(extent.len);
                        let part = log.read(&extent, from..(from + 1000).min(extent.len)).unwrap();
                        assert!(part == data[at + from as usize..][..part.len()]);
                        at += read.len();
                    }
                    assert_eq!(at, data.len());
                }
            });
        }
    });
    log.close(lane).unwrap();
    for i in 0..3 {
        for entry in std::fs::read_dir(dir.path().join(format!("d{i}"))).unwrap() {
            use std::os::unix::fs::MetadataExt;
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            if entry.file_name().to_string_lossy().starts_with("bulk-") {
                assert!(meta.blocks() * 512 <= meta.len() + 65_536, "{:?}", entry.file_name());
            }
        }
    }
}

//! Bulk files without a valid header: what was never whole is removed, what may have rows is not.

use coffer_base::SegmentId;
use coffer_base::drive::SimDrive;

use super::*;
use crate::body::read_header;
use crate::scrub::{Finding, ScrubProgress, ScrubVisitor};
use crate::segment::HEADER_BYTES;

const LAYOUTS: [(u8, u8); 2] = [(1, 0), (2, 1)];

/// Starts the set; what the start says.
fn start(world: &SimWorld, k: u8, m: u8) -> (Log, Lane, Vec<String>) {
    let name = |i| world.drive(&format!("d{i}")) as Arc<dyn Drive>;
    let seams = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(8)));
    let (log, lane, recovery) =
        Log::open((0..k + m).map(name).collect(), options(k, m), seams).unwrap();
    (log, lane, recovery.notes)
}

fn drives(world: &SimWorld, k: u8, m: u8) -> Vec<Arc<SimDrive>> {
    (0..k + m).map(|i| world.drive(&format!("d{i}"))).collect()
}

fn bulk_files(drive: &SimDrive) -> Vec<String> {
    let names = drive.list().unwrap();
    names.into_iter().filter(|name| name.starts_with("bulk-")).collect()
}

/// Those without a valid header.
fn headless(drive: &SimDrive) -> Vec<String> {
    let open = |name: &str| drive.open(name, Access::Buffered).unwrap();
    let is_headless = |name: &String| read_header(open(name).as_ref()).unwrap().is_none();
    bulk_files(drive).into_iter().filter(is_headless).collect()
}

fn truncate(drive: &SimDrive, name: &str, len: u64) {
    let file = drive.open(name, Access::Buffered).unwrap();
    file.set_len(len).unwrap();
    file.sync().unwrap();
}

struct Quiet;

impl ScrubVisitor for Quiet {
    fn finding(&mut self, _: &Finding) {}

    fn progress(&mut self, _: &ScrubProgress) -> bool {
        true
    }
}

/// A set that was closed, with a payload in bulk rows.
fn with_rows(k: u8, m: u8) -> (SimWorld, Vec<Extent>, Vec<u8>) {
    let store = Store::new(k, m);
    let data = random(&SeededRng::new(50), 50_000);
    let extents = store.put(&data, None).unwrap();
    store.log.close(store.lane).unwrap();
    (store.world, extents, data)
}

fn check(log: &Log, extents: &[Extent], data: &[u8]) {
    let read: Vec<u8> =
        extents.iter().flat_map(|extent| log.read(extent, 0..extent.len).unwrap()).collect();
    assert!(read == data, "other bytes");
}

#[test]
fn what_is_cut_short_while_it_is_made_does_not_stay() {
    for (k, m) in LAYOUTS {
        let (world, extents, data) = with_rows(k, m);
        // The start that is on its way when the power goes.
        let make = |world: &SimWorld| {
            let (log, lane, _) = start(world, k, m);
            let begun = world.operations();
            let mut writer = log.bulk_writer(Some(9)).unwrap();
            // It may end in an error: the power goes.
            let ended = writer.write(&[1; 9]).and_then(|()| writer.finish());
            (begun, world.operations(), log, lane, ended.is_ok())
        };
        let whole = world.fork();
        let (begun, ended, .., made) = make(&whole);
        assert!(made && ended > begun + 3, "{begun}..{ended}");
        let mut left = 0;
        for cut in begun + 1..ended {
            for seed in 0..8 {
                let world = world.fork();
                world.reseed(seed);
                world.cut_power_at(cut);
                let (.., log, lane, _) = make(&world);
                drop((log, lane));
                world.power_cut();
                let all = drives(&world, k, m);
                left += all.iter().map(|drive| headless(drive).len()).sum::<usize>();
                let (log, _lane, notes) = start(&world, k, m);
                assert!(!notes.iter().any(|note| note.contains("bulk")), "{notes:?}");
                check(&log, &extents, &data);
                // Where some drive has the header, the others' are healed.
                let report = log.scrub(&mut Quiet).unwrap();
                assert_eq!((report.refused, report.lost), (0, 0));
                for drive in &all {
                    assert_eq!(headless(drive), [""; 0], "cut at {cut}, seed {seed}");
                }
            }
        }
        assert!(left > 0, "no cut left anything");
    }
}

#[test]
fn what_ends_before_its_first_row_is_removed() {
    for (k, m) in LAYOUTS {
        let (world, extents, data) = with_rows(k, m);
        let d0 = world.drive("d0");
        let before = bulk_files(&d0);
        for len in [0, 1, HEADER_BYTES - 1, HEADER_BYTES] {
            let name = FileKind::Bulk.file_name(SegmentId::new(1, 77));
            let file = d0.create(&name, Access::Buffered).unwrap();
            file.write_at(&vec![7; len as usize], 0, false).unwrap();
            file.sync().unwrap();
            d0.sync_dir().unwrap();
            let (log, lane, notes) = start(&world, k, m);
            assert_eq!(bulk_files(&d0), before, "of {len} bytes");
            assert!(!notes.iter().any(|note| note.contains("bulk")), "{notes:?}");
            check(&log, &extents, &data);
            log.close(lane).unwrap();
        }
    }
}

#[test]
fn rows_without_any_header_are_kept_and_told_of() {
    for (k, m) in LAYOUTS {
        let (world, extents, data) = with_rows(k, m);
        let name = FileKind::Bulk.file_name(extents[0].segment);
        let all = drives(&world, k, m);
        let flip = || {
            for i in 0..all.len() {
                assert!(world.flip_bit(&format!("d{i}"), &name, 20, 3));
            }
        };
        flip();
        if m > 0 {
            // Empty, and the others have rows.
            truncate(&all[0], &name, 0);
        }
        for _ in 0..2 {
            let (log, lane, notes) = start(&world, k, m);
            let told = notes.iter().filter(|note| note.contains("damaged header")).count();
            assert_eq!(told, all.len() - usize::from(m > 0), "{notes:?}");
            log.read(&extents[0], 0..1).unwrap_err();
            assert!(all.iter().all(|drive| bulk_files(drive).contains(&name)));
            log.close(lane).unwrap();
        }
        // Nothing of it was touched.
        for i in usize::from(m > 0)..all.len() {
            assert!(world.flip_bit(&format!("d{i}"), &name, 20, 3));
        }
        let (log, ..) = start(&world, k, m);
        check(&log, &extents, &data);
    }
}

#[test]
fn a_file_that_others_know_of_is_healed() {
    let (world, extents, data) = with_rows(2, 1);
    let name = FileKind::Bulk.file_name(extents[0].segment);
    let d1 = world.drive("d1");
    for len in [0, 1, HEADER_BYTES, u64::MAX] {
        match len {
            u64::MAX => assert!(world.flip_bit("d1", &name, 20, 3)),
            len => truncate(&d1, &name, len),
        }
        if len == HEADER_BYTES {
            assert!(world.flip_bit("d1", &name, 20, 3));
        }
        let (log, lane, notes) = start(&world, 2, 1);
        assert!(!notes.iter().any(|note| note.contains("bulk")), "{notes:?}");
        check(&log, &extents, &data);
        let report = log.scrub(&mut Quiet).unwrap();
        assert!(report.healed > 0 && report.healed == report.found, "{report:?}");
        assert_eq!(headless(&d1), [""; 0]);
        log.close(lane).unwrap();
    }
}

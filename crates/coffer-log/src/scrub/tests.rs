//! Damage at every kind of place, healed to the byte; and what happens when it can't be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use coffer_base::drive::{Access, Drive, Faults, SimWorld};
use coffer_base::rng::{Rng, SeededRng};
use coffer_base::{Ack, StillClock};

use super::*;
use crate::extent::Extent;
use crate::group::Group;
use crate::options::{LogOptions, Seams};
use crate::segment::{BLOCK_BYTES, FileKind};
use crate::{Covered, DriveState, Lane, Log};

mod cached;
mod ends;
mod second_try;

const SCHEMES: [(u8, u8); 4] = [(1, 1), (2, 1), (4, 2), (5, 3)];

fn options(k: u8, m: u8) -> LogOptions {
    LogOptions {
        k,
        m,
        commit_segment_bytes: 64 << 10,
        bulk_file_bytes: 600 << 10,
        cell_bytes_max: 128 << 10,
        probe_interval: None,
        write_floor_drives: Some(1),
        ..LogOptions::default()
    }
}

fn open(world: &SimWorld, k: u8, m: u8) -> (Log, Lane) {
    let name = |i| world.drive(&format!("d{i}")) as Arc<dyn Drive>;
    let seams = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(7)));
    let opened = Log::open((0..k + m).map(name).collect(), options(k, m), seams);
    let (log, lane, _) = opened.expect("the set opens");
    (log, lane)
}

/// A store with sealed and open commit segments, full and open bulk segments, live and dead rows.
struct Store {
    world: SimWorld,
    log: Log,
    lane: Lane,
    payloads: Vec<(Extent, Vec<u8>)>,
    rng: SeededRng,
    m: usize,
}

type Files = BTreeMap<(String, String), Vec<u8>>;

impl Store {
    fn new(k: u8, m: u8, seed: u64) -> Store {
        let world = SimWorld::new(seed);
        let (log, lane) = open(&world, k, m);
        let rng = SeededRng::new(seed);
        let mut store = Store { world, log, lane, payloads: Vec::new(), rng, m: usize::from(m) };
        store.fill();
        store
    }

    fn random(&self, len: u64) -> Vec<u8> {
        let mut data = vec![0; len as usize];
        self.rng.fill(&mut data);
        data
    }

    fn commit(&mut self) {
        let data = self.random(self.rng.below(9000) + 1);
        let mut group = self.lane.begin(Group::item_bytes(data.len())).expect("there is room");
        let extent = group.payload(&data);
        self.lane.commit(group, Ack::All).expect("it commits");
        self.payloads.push((extent, data));
    }

    fn put_rows(&mut self, len: u64) {
        let data = self.random(len);
        let mut writer = self.log.bulk_writer(None).expect("it takes rows");
        writer.write(&data).expect("it writes");
        let mut at = 0;
        for extent in writer.finish().expect("it ends") {
            let end = at + extent.len as usize;
            self.payloads.push((extent, data[at..end].to_vec()));
            at = end;
        }
    }

    fn fill(&mut self) {
        for _ in 0..25 {
            self.commit();
        }
        for len in [1, 70_000, 300_000, 900_000] {
            self.put_rows(len);
        }
        let data = self.random(800_000);
        let mut dead = self.log.bulk_writer(None).expect("it takes rows");
        dead.write(&data).expect("it writes");
        drop(dead);
        self.put_rows(20_000);
    }

    fn check(&self) {
        for (extent, data) in &self.payloads {
            let read = self.log.read(extent, 0..extent.len).expect("it reads");
            assert!(read == data, "{extent:?}");
        }
        let end = self.log.replay(None, &mut |_| Ok(())).expect("history reads");
        assert_eq!(end, self.log.end());
    }

    /// What is wrong is an error, and nothing is returned wrong.
    fn check_never_wrong(&self) -> usize {
        let mut errors = 0;
        for (extent, data) in &self.payloads {
            match self.log.read(extent, 0..extent.len) {
                Ok(read) => assert!(read == data, "{extent:?}"),
                Err(_) => errors += 1,
            }
        }
        errors
    }

    fn files(&self) -> Files {
        files(&self.world, self.log.status().drives.iter().map(|d| d.label.clone()).collect())
    }

    fn scrub(&self) -> (ScrubReport, Vec<Finding>) {
        scrub(&self.log)
    }

    fn flip(&self, covered: &Covered) {
        let byte = covered.range.start + self.rng.below(covered.range.end - covered.range.start);
        self.flip_at(covered, byte);
    }

    fn flip_at(&self, covered: &Covered, byte: u64) {
        let bit = self.rng.below(8) as u8;
        assert!(self.world.flip_bit(&covered.drive, &covered.file, byte, bit), "{covered:?}");
    }
}

fn files(world: &SimWorld, drives: Vec<String>) -> Files {
    let mut files = Files::new();
    for name in drives {
        let drive = world.drive(&name);
        for file in drive.list().expect("the drive lists") {
            let open = drive.open(&file, Access::Buffered).expect("it opens");
            let mut bytes = vec![0; open.len().expect("it has a length") as usize];
            open.read_at(&mut bytes, 0).expect("it reads");
            files.insert((name.clone(), file), bytes);
        }
    }
    files
}

fn assert_same(found: &Files, wanted: &Files) {
    for (name, bytes) in wanted {
        let now = found.get(name);
        let at = now.and_then(|now| now.iter().zip(bytes).position(|(a, b)| a != b));
        let len = now.map(Vec::len);
        assert!(now == Some(bytes), "{name:?}: {len:?} of {} bytes, first at {at:?}", bytes.len());
    }
    assert_eq!(found.len(), wanted.len());
}

#[derive(Debug, Default)]
struct Collect {
    findings: Vec<Finding>,
    stop_after: Option<u64>,
    /// The rows that are named, if it is known.
    named: Option<Vec<(SegmentId, u64)>>,
}

impl ScrubVisitor for Collect {
    fn finding(&mut self, finding: &Finding) {
        self.findings.push(finding.clone());
    }

    fn progress(&mut self, progress: &ScrubProgress) -> bool {
        self.stop_after.is_none_or(|most| progress.report.bytes < most)
    }

    fn knows_names(&self) -> bool {
        self.named.is_some()
    }

    fn is_named(&mut self, segment: SegmentId, offset: u64) -> bool {
        self.named.as_ref().is_none_or(|named| named.contains(&(segment, offset)))
    }
}

fn scrub(log: &Log) -> (ScrubReport, Vec<Finding>) {
    scrub_as(log, Collect::default())
}

/// Knowing which rows are named: those of `payloads`.
fn scrub_knowing(log: &Log, payloads: &[(Extent, Vec<u8>)]) -> (ScrubReport, Vec<Finding>) {
    let mut named = Vec::new();
    for (extent, _) in payloads {
        let offsets = log.row_offsets(extent).expect("it is an extent");
        named.extend(offsets.into_iter().map(|offset| (extent.segment, offset)));
    }
    scrub_as(log, Collect { named: Some(named), ..Collect::default() })
}

fn scrub_as(log: &Log, mut collect: Collect) -> (ScrubReport, Vec<Finding>) {
    let report = log.scrub(&mut collect).expect("it scrubs");
    assert_eq!(report.found, collect.findings.len() as u64);
    assert_eq!(report.found, report.healed + report.refused + report.later + report.lost);
    (report, collect.findings)
}

#[test]
fn a_whole_store_has_no_findings_and_stays_as_it_is() {
    for (k, m) in [(1, 0)].into_iter().chain(SCHEMES) {
        let store = Store::new(k, m, 1);
        let (before, barriers) = (store.files(), store.world.operations());
        let (report, findings) = store.scrub();
        assert_eq!(findings, []);
        assert!(!report.stopped);
        // Everything but superblocks was read once, and the room behind open groups was not.
        let covered = store.log.covered();
        let bytes: u64 = covered.iter().map(|c| c.range.end - c.range.start).sum();
        assert!(report.bytes >= bytes, "{} of {bytes} bytes", report.bytes);
        assert_same(&store.files(), &before);
        assert_eq!(store.world.operations(), barriers, "it only reads");
    }
}

#[test]
fn every_kind_of_place_is_healed_to_the_byte() {
    for (k, m) in [(1, 1), (4, 2)] {
        let store = Store::new(k, m, 2);
        let before = store.files();
        let covered = store.log.covered();
        let mut by_file: BTreeMap<(&str, &str), Vec<&Covered>> = BTreeMap::new();
        for part in &covered {
            by_file.entry((&part.drive, &part.file)).or_default().push(part);
        }
        for ((drive, file), parts) in by_file {
            // The first and last byte of all that is covered in the file, and any.
            for part in parts {
                for byte in [part.range.start, part.range.end - 1] {
                    store.flip_at(part, byte);
                }
                store.flip(part);
                store.check();
                let (report, findings) = store.scrub();
                assert!(report.found >= 1, "{part:?}");
                assert_eq!(report.healed, report.found, "{part:?} {findings:?}");
                assert!(findings.iter().all(|f| f.what.contains(drive)), "{file}: {findings:?}");
            }
        }
        assert_same(&store.files(), &before);
        let health: Vec<_> = store.log.status().drives.iter().map(|d| d.health).collect();
        assert!(health.iter().all(|h| h.healed == h.found && h.healed > 0), "{health:?}");
    }
}

#[test]
fn flips_on_m_drives_at_once_are_healed_to_the_byte() {
    for (k, m) in SCHEMES {
        let store = Store::new(k, m, 3);
        let before = store.files();
        let covered = store.log.covered();
        for _ in 0..12 {
            let mut drives: Vec<usize> = (0..usize::from(k + m)).collect();
            for i in 0..store.m {
                let other = i + store.rng.below((drives.len() - i) as u64) as usize;
                drives.swap(i, other);
            }
            let hit: Vec<String> = drives[..store.m].iter().map(|d| format!("d{d}")).collect();
            let of_hit: Vec<&Covered> = covered.iter().filter(|c| hit.contains(&c.drive)).collect();
            for _ in 0..8 {
                store.flip(of_hit[store.rng.below(of_hit.len() as u64) as usize]);
            }
            store.check();
            let (report, findings) = store.scrub();
            assert_eq!(report.healed, report.found, "{findings:?}");
            assert_same(&store.files(), &before);
        }
        assert_eq!(store.scrub().0.found, 0);
    }
}

fn of_kind<'a>(covered: &'a [Covered], kind: &str) -> Vec<&'a Covered> {
    covered.iter().filter(|c| c.file.starts_with(kind) && c.file.ends_with(".cell")).collect()
}

#[test]
fn beyond_m_it_is_an_error_and_never_wrong_bytes() {
    for (k, m) in SCHEMES {
        for kind in ["commit-", "bulk-"] {
            let store = Store::new(k, m, 4);
            let covered = store.log.covered();
            let parts = of_kind(&covered, kind);
            let first = parts.last().expect("there are some");
            let same: Vec<&&Covered> = parts
                .iter()
                .filter(|c| c.file == first.file && c.range == first.range)
                .take(store.m + 1)
                .collect();
            assert_eq!(same.len(), store.m + 1);
            for part in same {
                // The last block, the same in all.
                store.flip_at(part, part.range.end - 5);
            }
            let (report, findings) = store.scrub();
            assert_eq!(report.lost, store.m as u64 + 1, "{findings:?}");
            assert_eq!(report.healed, 0);
            store.check_never_wrong();
            let unhealable: u64 =
                store.log.status().drives.iter().map(|d| d.health.unhealable).sum();
            assert_eq!(unhealable, store.m as u64 + 1);
        }
    }
}

#[test]
fn a_crash_at_any_operation_of_a_scrub_is_finished_by_the_next() {
    let (k, m) = (2, 1);
    let store = Store::new(k, m, 5);
    let covered = store.log.covered();
    let on_d1: Vec<&Covered> = covered.iter().filter(|c| c.drive == "d1").collect();
    for _ in 0..12 {
        store.flip(on_d1[store.rng.below(on_d1.len() as u64) as usize]);
    }
    let gone: Vec<&Covered> =
        of_kind(&covered, "").into_iter().filter(|c| c.drive == "d1").collect();
    let d1 = store.world.drive("d1");
    for file in [&gone[0].file, &gone[gone.len() - 1].file] {
        d1.remove(file).expect("it is there");
    }
    d1.sync_dir().expect("it syncs");
    // What nobody synced explicitly is settled, so that the cuts below are about the scrub alone.
    let forks: Arc<Mutex<Vec<SimWorld>>> = Arc::default();
    let kept = forks.clone();
    store
        .world
        .observe(Some(Box::new(move |_, fork| kept.lock().expect("no panic").push(fork.fork()))));
    let (report, findings) = store.scrub();
    store.world.observe(None);
    assert_eq!(report.healed, report.found, "{findings:?}");
    store.check();
    let forks = std::mem::take(&mut *forks.lock().expect("no panic"));
    assert!(forks.len() > 20, "{} operations", forks.len());
    for (cut, world) in forks.into_iter().enumerate() {
        world.power_cut();
        let (log, _lane) = open(&world, k, m);
        for (extent, data) in &store.payloads {
            let read = log.read(extent, 0..extent.len).expect("it reads");
            assert!(read == data, "cut at {cut}: {extent:?}");
        }
        let (report, findings) = scrub_knowing(&log, &store.payloads);
        assert_eq!(report.healed, report.found, "cut at {cut}: {findings:?}");
        let (again, findings) = scrub_knowing(&log, &store.payloads);
        assert_eq!(findings, [], "cut at {cut}");
        assert_eq!(again.unfinished, report.unfinished);
        assert_eq!(log.status().segments_with_gaps, 0);
        log.verify(&mut |finding| panic!("cut at {cut}: {finding}"));
    }
}

#[test]
fn missing_files_of_live_drives_are_made_anew() {
    for (k, m) in SCHEMES {
        let mut store = Store::new(k, m, 6);
        let before = store.files();
        let d0 = store.world.drive("d0");
        for file in d0.list().expect("it lists") {
            d0.remove(&file).expect("it is there");
        }
        store.check();
        let (report, findings) = store.scrub();
        assert_eq!(report.healed, report.found, "{findings:?}");
        let after = store.files();
        for ((drive, file), bytes) in &before {
            if drive == "d0" && !file.ends_with(".copy") {
                let now = after.get(&(drive.clone(), file.clone()));
                assert!(now == Some(bytes), "{file}");
            }
        }
        assert!(after.keys().all(|(_, file)| !file.ends_with(".new")));
        let status = store.log.status();
        assert_eq!((status.segments_with_gaps, &status.degraded[..]), (0, &[][..]));
        assert_eq!(store.scrub().1, []);
        // Nothing more goes to files without a name.
        store.fill();
        store.world.power_cut();
        let (log, lane) = open(&store.world, k, m);
        (store.log, store.lane) = (log, lane);
        store.check();
        // Rows that were dropped and never synced may be torn.
        let (report, findings) = scrub_knowing(&store.log, &store.payloads);
        assert_eq!(report.healed, report.found, "{findings:?}");
        assert!(findings.iter().all(|f| f.what.contains("row")), "{findings:?}");
        assert_eq!(scrub_knowing(&store.log, &store.payloads).1, []);
    }
}

#[test]
fn gaps_are_known_from_the_start_and_go_when_healed() {
    let mut store = Store::new(4, 2, 7);
    let covered = store.log.covered();
    let cell = of_kind(&covered, "commit-")[0].clone();
    store.world.drive(&cell.drive).remove(&cell.file).expect("it is there");
    store.world.drive(&cell.drive).sync_dir().expect("it syncs");
    store.world.power_cut();
    (store.log, store.lane) = open(&store.world, 4, 2);
    let status = store.log.status();
    assert_eq!(status.segments_with_gaps, 1, "{status:?}");
    assert!(status.degraded.iter().any(|why| why.contains("lost redundancy")), "{status:?}");
    // Rows that were dropped and never synced may be torn.
    let (_, findings) = scrub_knowing(&store.log, &store.payloads);
    let of_cell: Vec<_> = findings.iter().filter(|f| f.what.contains(&cell.file)).collect();
    assert!(matches!(of_cell[..], [Finding { outcome: Outcome::Healed, .. }]), "{findings:?}");
    assert_eq!(store.log.status().segments_with_gaps, 0);
}

#[test]
fn a_file_that_a_read_misses_is_made_anew_by_a_rebuild() {
    let store = Store::new(4, 2, 12);
    let before = store.files();
    for file in store.log.covered().iter().filter(|c| c.drive == "d2").map(|c| &c.file) {
        if file.ends_with(".cell") {
            // Named once for each row.
            let _ = store.world.drive("d2").remove(file);
            let set = &store.lane.shared().inner.set;
            set.live().iter().for_each(|drive| set.forget_file(*drive, file));
        }
    }
    assert_eq!(store.log.status().segments_with_gaps, 0);
    store.check();
    store.log.heal_queued();
    let gaps = store.log.segments_with_gaps();
    assert!(gaps > 2, "{gaps}");
    let mut collect = Collect::default();
    let report = store.log.rebuild(&mut collect).expect("it rebuilds");
    assert_eq!((report.found, report.healed), (gaps as u64, gaps as u64), "{collect:?}");
    assert_eq!(store.log.segments_with_gaps(), 0);
    assert_same(&store.files(), &before);
}

#[test]
fn what_a_read_finds_wrong_is_healed_when_asked() {
    for (k, m) in SCHEMES {
        let store = Store::new(k, m, 8);
        let before = store.files();
        assert_eq!(store.log.heal_queued(), 0);
        let covered = store.log.covered();
        for kind in ["commit-", "bulk-"] {
            let parts = of_kind(&covered, kind);
            // A data cell: reads go there first. Of a segment's header they don't look at all.
            let of_d0 = |c: &&&Covered| c.drive == "d0" && c.range.end > HEADER_BYTES;
            let part = parts.iter().find(of_d0).expect("there is one");
            for _ in 0..64 {
                store.flip(part);
            }
        }
        store.check();
        assert!(store.log.heal_queued() > 0);
        assert_same(&store.files(), &before);
        assert_eq!(store.log.heal_queued(), 0);
        assert_eq!(store.log.status().suspects, 0);
    }
}

fn state_of(store: &Store, label: &str) -> DriveState {
    let drives = store.log.status().drives;
    drives.iter().find(|d| d.label == label).expect("it is listed").state
}

/// As if drive `label` had gone.
fn lose(store: &Store, label: &str) {
    let drives = store.log.status().drives;
    let id = drives.iter().find(|d| d.label == label).expect("it is listed").id;
    store.lane.shared().inner.set.take_out(id, DriveState::Lost, "gone");
    store.log.watch();
}

/// Files of sealed segments on `label`.
fn cell_files(covered: &[Covered], label: &str) -> Vec<String> {
    let cells = of_kind(covered, "commit-");
    let mut names: Vec<String> =
        cells.into_iter().filter(|c| c.drive == label).map(|c| c.file.clone()).collect();
    names.dedup();
    names
}

/// Removes all cells of `label` and has reads notice it; how many segments have gaps.
fn make_gaps(store: &Store, label: &str) -> usize {
    for file in store.log.covered().iter().filter(|c| c.drive == label).map(|c| &c.file) {
        if file.ends_with(".cell") {
            let _ = store.world.drive(label).remove(file);
            let set = &store.lane.shared().inner.set;
            set.live().iter().for_each(|drive| set.forget_file(*drive, file));
        }
    }
    store.check();
    store.log.heal_queued();
    store.log.segments_with_gaps()
}

#[test]
fn a_write_that_fails_while_healing_leaves_the_drive_in_the_set() {
    let store = Store::new(4, 2, 9);
    let covered = store.log.covered();
    let part = of_kind(&covered, "bulk-")[0];
    let before = store.files();
    store.flip(part);
    store.world.set_faults(&part.drive, Faults { fail_writes: true, ..Faults::default() });
    let (report, findings) = store.scrub();
    assert_eq!((report.found, report.refused), (1, 1), "{findings:?}");
    assert_eq!(state_of(&store, &part.drive), DriveState::Active);
    store.world.set_faults(&part.drive, Faults::default());
    assert_eq!(store.scrub().0.healed, 1);
    assert_same(&store.files(), &before);
    store.check();
}

#[test]
fn a_drive_that_is_still_needed_is_not_fenced_for_what_it_refuses() {
    for faults in [
        Faults { fail_writes: true, ..Faults::default() },
        Faults { fail_sync: Some(1), ..Faults::default() },
    ] {
        let store = Store::new(2, 1, 23);
        lose(&store, "d2");
        let covered = store.log.covered();
        let is_header = |c: &&Covered| c.drive == "d1" && c.range.start == 0;
        let header = of_kind(&covered, "commit-").into_iter().find(is_header).expect("one");
        store.flip_at(header, 50);
        store.world.set_faults("d1", faults);
        let (report, findings) = store.scrub();
        assert_eq!((report.found, report.refused), (1, 1), "{findings:?}");
        assert_eq!(state_of(&store, "d1"), DriveState::Active);
        store.check();
    }
}

#[test]
fn one_block_beyond_repair_does_not_cost_the_new_drive() {
    for kind in ["commit-", "bulk-"] {
        let store = Store::new(2, 1, 21);
        let covered = store.log.covered();
        let parts = of_kind(&covered, kind);
        let other = parts.iter().rfind(|c| c.drive == "d1").expect("there is one");
        store.flip_at(other, other.range.end - 5);
        store.world.drive("d0").remove(&other.file).expect("it is there");
        let (report, findings) = store.scrub();
        assert_eq!(state_of(&store, "d0"), DriveState::Active);
        assert_eq!((report.refused, report.lost), (0, 2), "{findings:?}");
        assert_eq!(store.log.segments_with_gaps(), 0);
        store.check_never_wrong();
    }
}

#[test]
fn one_bad_sector_in_a_long_read_hides_no_row() {
    let store = Store::new(2, 1, 33);
    let before = store.files();
    let covered = store.log.covered();
    let parts = of_kind(&covered, "bulk-");
    let of_d0 = |c: &&Covered| c.drive == "d0" && c.file == parts[0].file;
    let rows: Vec<&Covered> = parts.iter().copied().filter(of_d0).collect();
    // Another row on each drive: what is read at once fails on all of them. The first is the
    // header of the file.
    let sectors = [rows[1].range.start + 4096, rows[2].range.start, rows[3].range.start];
    assert!(sectors[2] < rows[1].range.start + (64 << 10), "{sectors:?}");
    for (drive, sector) in ["d0", "d1", "d2"].into_iter().zip(sectors) {
        let bad_sectors = [(rows[0].file.clone(), sector)].into();
        store.world.set_faults(drive, Faults { bad_sectors, ..Faults::default() });
    }
    let (report, findings) = scrub_knowing(&store.log, &store.payloads);
    assert_eq!((report.found, report.healed), (3, 3), "{findings:?}");
    assert_same(&store.files(), &before);
    store.check();
}

#[test]
fn a_drive_that_goes_meanwhile_is_told() {
    struct Out<'a>(&'a Store);
    impl ScrubVisitor for Out<'_> {
        fn finding(&mut self, finding: &Finding) {
            panic!("{finding}");
        }
        fn progress(&mut self, _: &ScrubProgress) -> bool {
            lose(self.0, "d2");
            true
        }
        fn is_named(&mut self, _: SegmentId, _: u64) -> bool {
            false
        }
    }
    let store = Store::new(4, 2, 13);
    let report = store.log.scrub(&mut Out(&store)).expect("it scrubs");
    assert_eq!((report.found, report.drives_missed, report.stopped), (0, 1, false));
    assert_eq!(store.scrub().0.drives_missed, 1);
}

#[test]
fn a_row_that_is_named_after_it_was_read_is_a_loss() {
    /// Names come to be known when it is asked again.
    struct Late {
        segment: SegmentId,
        offsets: Vec<u64>,
        refreshed: bool,
        lost: usize,
    }
    impl ScrubVisitor for Late {
        fn finding(&mut self, finding: &Finding) {
            self.lost += usize::from(matches!(finding.outcome, Outcome::Lost(_)));
        }
        fn progress(&mut self, _: &ScrubProgress) -> bool {
            true
        }
        fn knows_names(&self) -> bool {
            true
        }
        fn refresh_names(&mut self, _: SegmentId) {
            self.refreshed = true;
        }
        fn is_named(&mut self, segment: SegmentId, offset: u64) -> bool {
            self.refreshed && segment == self.segment && self.offsets.contains(&offset)
        }
    }
    let store = Store::new(2, 1, 34);
    let (extent, _) = store.payloads.iter().rfind(|(e, _)| e.is_bulk()).expect("there is one");
    let offsets = store.log.row_offsets(extent).expect("it is an extent");
    let covered = store.log.covered();
    let of_row = covered.iter().filter(|c| {
        c.file == FileKind::Bulk.file_name(extent.segment) && c.range.start == offsets[0]
    });
    for part in of_row {
        store.flip_at(part, part.range.end - 5);
        store.flip_at(part, part.range.end - 9);
    }
    let mut late = Late { segment: extent.segment, offsets, refreshed: false, lost: 0 };
    let report = store.log.scrub(&mut late).expect("it scrubs");
    assert_eq!((late.lost, report.lost), (3, 3));
}

#[test]
fn a_pass_goes_on_where_it_was_ended() {
    /// Ends the pass when so many segments were reached.
    struct Until(u64, Option<SegmentId>);
    impl ScrubVisitor for Until {
        fn finding(&mut self, finding: &Finding) {
            panic!("{finding}");
        }
        fn progress(&mut self, progress: &ScrubProgress) -> bool {
            self.1 = progress.reached;
            progress.report.segments < self.0
        }
        fn is_named(&mut self, _: SegmentId, _: u64) -> bool {
            false
        }
    }
    let store = Store::new(2, 1, 35);
    let total = store.scrub().0.segments;
    for ended in 1..total {
        let mut until = Until(ended, None);
        let first = store.log.scrub(&mut until).expect("it scrubs");
        assert!(first.stopped);
        let reached = until.1.expect("it came to one");
        let mut rest = Until(u64::MAX, None);
        let second = store.log.scrub_on(reached, &mut rest).expect("it scrubs");
        assert_eq!((first.segments + second.segments, second.found), (total, 0));
    }
}

#[test]
fn a_superblock_is_healed_also_when_history_is_long() {
    let mut store = Store::new(2, 1, 22);
    for _ in 0..103 {
        store.world.power_cut();
        (store.log, store.lane) = open(&store.world, 2, 1);
    }
    let slot = Covered { drive: "d0".into(), file: "super.b".into(), range: 0..4096 };
    store.flip_at(&slot, 100);
    let (report, findings) = scrub_knowing(&store.log, &store.payloads);
    assert!(findings.iter().any(|f| f.what.contains("super.b")), "{report:?} {findings:?}");
}

#[test]
fn a_superblock_that_cannot_be_read_is_written_over() {
    for name in crate::superblock::NAMES {
        let store = Store::new(2, 1, 31);
        let faults = Faults { unreadable: [name.to_owned()].into(), ..Faults::default() };
        store.world.set_faults("d0", faults);
        let (_, findings) = scrub_knowing(&store.log, &store.payloads);
        assert!(findings.iter().any(|f| f.what == format!("{name} on d0 is damaged")));
        let inner = &store.lane.shared().inner;
        inner.supers.record(&inner.set, false, |_| {}).expect("it is recorded");
        assert_eq!(state_of(&store, "d0"), DriveState::Active);
    }
}

#[test]
fn a_full_drive_is_healed_in_place_behind_its_gap() {
    let store = Store::new(4, 2, 10);
    let covered = store.log.covered();
    let files = cell_files(&covered, "d1");
    let (missing, other) = (&files[0], &files[files.len() - 1]);
    assert_ne!(missing, other);
    let flipped = covered.iter().rfind(|c| c.drive == "d1" && c.file == *other).expect("one");
    store.flip(flipped);
    store.world.drive("d1").remove(missing).expect("it is there");
    store.world.set_faults("d1", Faults { capacity: Some(1), ..Faults::default() });
    let (report, findings) = store.scrub();
    assert_eq!((report.healed, report.refused), (1, 1), "{findings:?}");
}

#[test]
fn gaps_of_a_drive_that_went_are_not_waited_for() {
    let store = Store::new(4, 2, 12);
    assert!(make_gaps(&store, "d2") > 2);
    lose(&store, "d2");
    assert_eq!(store.log.segments_with_gaps(), 0);
    assert_eq!(store.log.status().segments_with_gaps, 0);
}

#[test]
fn a_rebuild_reads_little_when_the_drive_is_full() {
    let store = Store::new(4, 2, 12);
    let gaps = make_gaps(&store, "d2");
    store.world.set_faults("d2", Faults { capacity: Some(1), ..Faults::default() });
    let report = store.log.rebuild(&mut Collect::default()).expect("it rebuilds");
    assert_eq!((report.found, report.refused), (1, 1));
    assert_eq!(store.log.segments_with_gaps(), gaps);
    // Superblocks and headers.
    assert!(report.bytes < 6 * 16384 * (gaps as u64 + 1), "{} bytes", report.bytes);
}

#[test]
fn a_valid_header_of_a_minority_overwrites_no_other() {
    use crate::segment::Header;
    let store = Store::new(2, 1, 32);
    let before = store.files();
    let name = cell_files(&store.log.covered(), "d0")[0].clone();
    let header_of = |label: &str| {
        let raw = &store.files()[&(label.to_owned(), name.clone())];
        let len = Header::total_bytes(raw).expect("a header") as usize;
        Header::decode(&raw[..len]).expect("it is valid")
    };
    // What is asked first has other checksums: they are of no cell that is there.
    let first = ["d0", "d1", "d2"].into_iter().find(|d| header_of(d).index == 0).expect("one");
    let mut header = header_of(first);
    header.sealed.as_mut().expect("it is sealed").blocks.iter_mut().for_each(|sum| *sum ^= 1);
    let file = store.world.drive(first).open(&name, Access::Buffered).expect("it is there");
    file.write_at(&header.encode(), 0, true).expect("it writes");
    let (report, findings) = scrub_knowing(&store.log, &store.payloads);
    assert_eq!((report.found, report.healed), (1, 1), "{findings:?}");
    assert_same(&store.files(), &before);
    // Where no version has its cells, nothing is written.
    file.write_at(&header.encode(), 0, true).expect("it writes");
    let other = ["d0", "d1", "d2"].into_iter().find(|d| *d != first).expect("one");
    for drive in [first, other] {
        let parts = store.log.covered();
        let part = parts.iter().find(|c| c.drive == drive && c.file == name).expect("one");
        for block in (header.encode().len() as u64..part.range.end).step_by(BLOCK_BYTES) {
            store.flip_at(part, block);
        }
    }
    let damaged = store.files();
    let (report, findings) = scrub_knowing(&store.log, &store.payloads);
    assert_eq!((report.found, report.lost), (1, 1), "{findings:?}");
    assert_same(&store.files(), &damaged);
}

#[test]
fn a_full_drive_is_healed_in_place() {
    let store = Store::new(4, 2, 10);
    let before = store.files();
    let covered = store.log.covered();
    let cells = of_kind(&covered, "commit-");
    let (flipped, missing) = (cells[0], cells.iter().rfind(|c| c.drive == cells[0].drive).unwrap());
    store.flip(flipped);
    store.world.drive(&missing.drive).remove(&missing.file).expect("it is there");
    store.world.set_faults(&flipped.drive, Faults { capacity: Some(1), ..Faults::default() });
    let (report, findings) = store.scrub();
    assert_eq!((report.healed, report.refused), (1, 1), "{findings:?}");
    assert_eq!(store.log.status().segments_with_gaps, 1);
    store.world.set_faults(&flipped.drive, Faults::default());
    assert_eq!(store.scrub().0.healed, 1);
    assert_same(&store.files(), &before);
}

#[test]
fn it_ends_when_told_and_only_one_runs() {
    let store = Store::new(4, 2, 11);
    let mut collect = Collect { stop_after: Some(1), ..Collect::default() };
    let report = store.log.scrub(&mut collect).expect("it scrubs");
    assert!(report.stopped);
    struct Second<'a>(&'a Log);
    impl ScrubVisitor for Second<'_> {
        fn finding(&mut self, finding: &Finding) {
            panic!("{finding}");
        }
        fn progress(&mut self, _: &ScrubProgress) -> bool {
            let second = self.0.scrub(&mut Collect::default());
            assert!(matches!(second, Err(Error::Unavailable(_))), "{second:?}");
            false
        }
    }
    assert!(store.log.scrub(&mut Second(&store.log)).expect("it scrubs").stopped);
}

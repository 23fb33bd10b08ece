//! Starts with drives that are damaged, replaced, swapped, stale, foreign, or of other formats.

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_base::buffer::ALIGN;
use coffer_base::checksum::checksum;
use coffer_base::drive::{Access, Drive, Faults, SimWorld, Survival};
use coffer_base::rng::SeededRng;
use coffer_base::{Position, StillClock};

use crate::error::OpenError;
use crate::mark::Mark;
use crate::options::{LogOptions, Seams};
use crate::segment::HEADER_BYTES;
use crate::superblock::{Found, NAMES, Superblock, encode_version_1};
use crate::tests::{Model, names, open, open_with, options};
use crate::{DriveState, Lane, Log, Recovery};

/// All bytes of a drive, by name.
fn contents(world: &SimWorld, drive: &str) -> BTreeMap<String, Vec<u8>> {
    let drive = world.drive(drive);
    let mut all = BTreeMap::new();
    for name in drive.list().unwrap() {
        let file = drive.open(&name, Access::Buffered).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
        all.insert(name, bytes);
    }
    all
}

/// Makes `drive` hold exactly `files`, durably.
fn put_contents(world: &SimWorld, drive: &str, files: &BTreeMap<String, Vec<u8>>) {
    let drive = world.drive(drive);
    for name in drive.list().unwrap() {
        drive.remove(&name).unwrap();
    }
    for (name, bytes) in files {
        let file = drive.create(name, Access::Buffered).unwrap();
        file.write_at(bytes, 0, false).unwrap();
        file.sync().unwrap();
    }
    drive.sync_dir().unwrap();
}

fn damage_superblocks(world: &SimWorld, drive: &str) {
    for name in NAMES {
        assert!(world.flip_bit(drive, name, 77, 3), "{drive} has {name}");
    }
}

/// A set with 20 groups, closed or cut off.
fn store(seed: u64, k: u8, m: u8, closed: bool) -> (SimWorld, Model) {
    let world = SimWorld::new(seed);
    let rng = SeededRng::new(seed);
    let mut model = Model::default();
    let (log, mut lane, _) = open(&world, k, m);
    for _ in 0..20 {
        model.commit(&mut lane, &rng).unwrap();
    }
    if closed {
        log.close(lane).unwrap();
    } else {
        world.power_cut();
    }
    (world, model)
}

type Opened = Result<(Log, Lane, Recovery), OpenError>;

fn refusal(result: Opened) -> OpenError {
    match result {
        Ok((_, _, recovery)) => panic!("it opened: {:?}", recovery.notes),
        Err(error) => error,
    }
}

fn replace(k: u8, m: u8) -> LogOptions {
    LogOptions { replace: true, ..options(k, m) }
}

fn all_active(log: &Log) -> bool {
    log.status().drives.iter().all(|d| d.state == DriveState::Active)
}

#[test]
fn a_drive_without_superblocks_is_known_by_its_segments() {
    for closed in [true, false] {
        for hurt in 0..3 {
            let (world, mut model) = store(30 + hurt, 2, 1, closed);
            let drive = format!("d{hurt}");
            // Only the first life's open copies are on two drives of three.
            if !closed {
                let (log, lane, _) = open(&world, 2, 1);
                log.close(lane).unwrap();
            }
            damage_superblocks(&world, &drive);
            let before = contents(&world, &drive);
            let looked = LogOptions { read_only: true, ..options(2, 1) };
            let (log, ..) = open_with(&world, &names(3), looked).unwrap();
            assert_eq!(model.check(&log), 0);
            assert_eq!(contents(&world, &drive), before, "looking changes nothing");
            // At every step of the start the power may go.
            let (probe, start) = (world.fork(), world.operations());
            let (log, _, recovery) = open(&probe, 2, 1);
            assert!(recovery.notes.iter().any(|n| n.contains("both superblocks")), "{recovery:?}");
            assert!(all_active(&log));
            let end = probe.operations();
            for cut in start..=end {
                let world = world.fork();
                world.cut_power_at(cut);
                let _cut_short = open_with(&world, &names(3), options(2, 1));
                world.power_cut();
                let (log, mut lane, _) = open(&world, 2, 1);
                let mut model = model.clone();
                assert_eq!(model.check(&log), 0);
                assert!(all_active(&log));
                model.commit(&mut lane, &SeededRng::new(cut)).unwrap();
                assert_eq!(model.check(&log), 0);
            }
            let (log, mut lane, _) = open(&world, 2, 1);
            assert_eq!(model.check(&log), 0);
            model.commit(&mut lane, &SeededRng::new(1)).unwrap();
            log.close(lane).unwrap();
            // Whole again, both of them.
            let read = Superblock::read(world.drive(&drive).as_ref()).unwrap();
            assert!(matches!(read, Found::Valid(slots) if slots.bad.is_empty()));
            let (log, _, recovery) = open(&world, 2, 1);
            assert_eq!(recovery.notes, Vec::<String>::new());
            assert_eq!(model.check(&log), 0);
        }
    }
}

#[test]
fn what_a_damaged_superblock_hides_is_not_guessed_at() {
    let (world, model) = store(40, 2, 1, true);
    damage_superblocks(&world, "d1");
    // With one more missing nobody can tell what it knew.
    let degraded = LogOptions { degraded: true, ..options(2, 1) };
    let error = refusal(open_with(&world.fork(), &names(2), degraded));
    assert!(matches!(error, OpenError::NoMajority(_)), "{error}");
    // Nor when all are damaged.
    let all = world.fork();
    damage_superblocks(&all, "d0");
    damage_superblocks(&all, "d2");
    let before = contents(&all, "d0");
    let error = refusal(open_with(&all, &names(3), options(2, 1)));
    assert!(matches!(&error, OpenError::Damaged(what) if what.contains("backup")), "{error}");
    assert_eq!(contents(&all, "d0"), before);
    // Of two drives the other one alone is no majority: the damaged one may have left it.
    let (pair, mut of_pair) = store(41, 1, 1, true);
    damage_superblocks(&pair, "d1");
    let error = refusal(open_with(&pair, &names(2), options(1, 1)));
    assert!(matches!(&error, OpenError::NoMajority(what) if what.contains("--force")), "{error}");
    let force = LogOptions { force: true, ..options(1, 1) };
    let (log, mut lane, _) = open_with(&pair, &names(2), force).unwrap();
    of_pair.commit(&mut lane, &SeededRng::new(1)).unwrap();
    assert_eq!(of_pair.check(&log), 0);
    // A copy of another drive's segments under damaged superblocks is not that drive.
    let mut copy = contents(&world, "d2");
    copy.get_mut("super.a").unwrap()[99] ^= 1;
    copy.get_mut("super.b").unwrap()[99] ^= 1;
    put_contents(&world, "d1", &copy);
    let error = refusal(open_with(&world, &names(3), options(2, 1)));
    assert!(matches!(&error, OpenError::Damaged(what) if what.contains("already")), "{error}");
    // Superblocks that are gone are damaged ones.
    let (gone, model_of_gone) = store(42, 2, 1, true);
    gone.drive("d0").remove("super.a").unwrap();
    gone.drive("d0").remove("super.b").unwrap();
    gone.drive("d0").sync_dir().unwrap();
    let (log, ..) = open(&gone, 2, 1);
    assert_eq!(model_of_gone.check(&log), 0);
    drop(model);
}

#[test]
fn one_damaged_superblock_of_two_is_noticed_and_written_anew() {
    for drive in names(3) {
        for name in NAMES {
            let (world, model) = store(43, 2, 1, false);
            world.flip_bit(&drive, name, 500, 1);
            let (log, lane, recovery) = open(&world, 2, 1);
            let said = format!("{drive}: {name} is damaged");
            assert!(recovery.notes.iter().any(|n| n.starts_with(&said)), "{recovery:?}");
            assert_eq!(model.check(&log), 0);
            drop((log, lane));
            world.power_cut();
            let (log, _, recovery) = open(&world, 2, 1);
            assert!(!recovery.notes.iter().any(|n| n.contains("damaged")), "{recovery:?}");
            assert_eq!(model.check(&log), 0);
        }
    }
}

/// A set of 2+1 in which d1 was fenced by a failed sync.
fn with_a_fenced_drive(seed: u64) -> (SimWorld, Model) {
    let world = SimWorld::new(seed);
    let rng = SeededRng::new(seed);
    let mut model = Model::default();
    let (log, mut lane, _) = open(&world, 2, 1);
    for round in 0..30 {
        if round == 10 {
            world.set_faults("d1", Faults { fail_sync: Some(1), ..Faults::default() });
        }
        model.commit(&mut lane, &rng).unwrap();
    }
    let status = log.status();
    assert_eq!(status.drives[1].state, DriveState::Fenced, "{:?}", status.degraded);
    world.power_cut();
    (world, model)
}

#[test]
fn a_fence_outlives_restarts_and_damage_and_says_since_when_and_why() {
    let (world, mut model) = with_a_fenced_drive(44);
    let rng = SeededRng::new(1);
    for damaged in [false, true] {
        if damaged {
            damage_superblocks(&world, "d1");
        }
        for _ in 0..2 {
            let (log, mut lane, recovery) = open(&world, 2, 1);
            let drive = &log.status().drives[1];
            assert_eq!(drive.state, DriveState::Fenced);
            assert_eq!(drive.since.map(|t| t.to_string()).as_deref(), Some("1970-01-01T00:00:00Z"));
            assert!(drive.why.contains("simulated"), "{}", drive.why);
            let said = format!("d1 is fenced since 1970-01-01T00:00:00Z: {}", drive.why);
            assert!(recovery.notes.contains(&said), "{recovery:?}");
            model.commit(&mut lane, &rng).unwrap();
            assert_eq!(model.check(&log), 0);
            world.power_cut();
        }
    }
}

#[test]
fn an_empty_drive_takes_the_place_of_one_that_is_gone() {
    let (world, model) = store(45, 2, 1, true);
    let with_empty: Vec<String> = ["d0", "d1", "e"].map(str::to_owned).into();
    let error = refusal(open_with(&world, &with_empty, options(2, 1)));
    let said = error.to_string();
    assert!(matches!(error, OpenError::Missing(_)), "{said}");
    for word in ["1 of 3", "empty: e", "--replace", "--degraded"] {
        assert!(said.contains(word), "{word} in {said}");
    }
    assert!(contents(&world, "e").is_empty());

    let (probe, start) = (world.fork(), world.operations());
    let (log, _, recovery) = open_with(&probe, &with_empty, replace(2, 1)).unwrap();
    assert!(recovery.notes.iter().any(|n| n.contains("takes the place")), "{recovery:?}");
    assert_eq!(model.check(&log), 0);
    let end = probe.operations();
    drop(log);
    for cut in start..=end {
        for seed in 0..3 {
            let world = world.fork();
            world.reseed(seed);
            world.cut_power_at(cut);
            let _cut_short = open_with(&world, &with_empty, replace(2, 1));
            world.power_cut();
            // Either nothing of it is there, or it goes on without being told again …
            let again = open_with(&world, &with_empty, options(2, 1));
            let (log, mut lane, _) = match again {
                Err(OpenError::Missing(_)) => {
                    open_with(&world, &with_empty, replace(2, 1)).unwrap()
                }
                opened => opened.unwrap(),
            };
            assert!(all_active(&log));
            let mut model = model.clone();
            assert_eq!(model.check(&log), 0, "cut {cut}");
            model.commit(&mut lane, &SeededRng::new(cut)).unwrap();
            assert_eq!(model.check(&log), 0);
            drop((log, lane));
            world.power_cut();
            // … and the drive from before is out from then on, instead of it or beside it.
            let error = refusal(open_with(&world, &names(3), options(2, 1)));
            let said = error.to_string();
            assert!(matches!(error, OpenError::Foreign(_)), "{said}");
            assert!(said.contains("d2 is the former drive"), "{said}");
            let both: Vec<String> = ["d0", "d2", "e"].map(str::to_owned).into();
            refusal(open_with(&world, &both, options(2, 1)));
            let (log, ..) = open_with(&world, &with_empty, options(2, 1)).unwrap();
            assert_eq!(model.check(&log), 0);
        }
    }
}

#[test]
fn a_replacement_cut_short_gives_way_to_nobody_silently() {
    let (world, model) = store(46, 2, 1, true);
    let with_empty: Vec<String> = ["d0", "d1", "e"].map(str::to_owned).into();
    let start = world.operations();
    let mut joined = 0;
    for cut in start..start + 60 {
        let world = world.fork();
        world.cut_power_at(cut);
        let opened = open_with(&world, &with_empty, replace(2, 1));
        if opened.is_ok() {
            break;
        }
        world.power_cut_with(Survival::All);
        let Found::Valid(slots) = Superblock::read(world.drive("e").as_ref()).unwrap() else {
            continue;
        };
        let superblock = slots.newest;
        joined += 1;
        // Alone it is nothing, and no new store is made of it.
        if superblock.joining {
            let error = refusal(open_with(&world.fork(), &["e".into()], options(1, 0)));
            assert!(matches!(error, OpenError::Missing(_)), "{error}");
        }
        // The drive that it was to replace is back as well: somebody must say which.
        let four: Vec<String> = ["d0", "e", "d2"].map(str::to_owned).into();
        let error = refusal(open_with(&world.fork(), &four, options(2, 1)));
        assert!(matches!(error, OpenError::Foreign(_)), "{error}");
        // Back instead of it, while nothing was recorded: as if nothing had been.
        if let Ok((log, ..)) = open_with(&world, &names(3), options(2, 1)) {
            assert_eq!(model.check(&log), 0);
        }
    }
    assert!(joined > 3, "{joined} cuts after it had said what it is for");
}

#[test]
fn a_fenced_drive_is_replaced_and_never_comes_back() {
    let (world, mut model) = with_a_fenced_drive(47);
    // Beside the fenced one there is no place.
    let beside: Vec<String> = ["d0", "d1", "d2", "e"].map(str::to_owned).into();
    let error = refusal(open_with(&world, &beside, replace(2, 1)));
    assert!(error.to_string().contains("instead of it"), "{error}");
    let instead: Vec<String> = ["d0", "e", "d2"].map(str::to_owned).into();
    // It was recorded as out, so the store starts without it, and says what could be done.
    let (log, lane, recovery) = open_with(&world.fork(), &instead, options(2, 1)).unwrap();
    assert!(recovery.notes.iter().any(|n| n.contains("--replace")), "{recovery:?}");
    assert_eq!(log.status().drives[1].state, DriveState::Fenced);
    drop((log, lane));
    let (log, mut lane, _) = open_with(&world, &instead, replace(2, 1)).unwrap();
    assert!(all_active(&log));
    assert_eq!(log.status().drives[1].replaced, 1);
    model.commit(&mut lane, &SeededRng::new(1)).unwrap();
    assert_eq!(model.check(&log), 0);
    log.close(lane).unwrap();
    for damaged in [false, true] {
        if damaged {
            damage_superblocks(&world, "d1");
        }
        let error = refusal(open_with(&world, &names(3), options(2, 1)));
        let said = error.to_string();
        assert!(said.contains("former drive") || said.contains("filled anew"), "{said}");
    }
    // Emptied, it may serve again, for another.
    put_contents(&world, "d1", &BTreeMap::new());
    let swapped: Vec<String> = ["d1", "e", "d2"].map(str::to_owned).into();
    let (log, ..) = open_with(&world, &swapped, replace(2, 1)).unwrap();
    assert!(all_active(&log));
}

#[test]
fn it_must_be_clear_which_drive_an_empty_one_replaces() {
    let (world, model) = store(48, 2, 2, true);
    let some = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    for (drives, word) in [
        (some(&["d0", "d1", "d2", "d3", "e"]), "none of them"),
        (some(&["d0", "d1", "d2", "e", "f"]), "5 drives were given"),
        (some(&["d0", "d1", "e"]), "not clear"),
    ] {
        let before = contents(&world, "d0");
        let error = refusal(open_with(&world, &drives, replace(2, 2)));
        assert!(error.to_string().contains(word), "{word} in {error}");
        assert_eq!(contents(&world, "d0"), before);
        assert!(contents(&world, "e").is_empty());
    }
    // Two at once are as clear as one, but no majority is left.
    let two = some(&["d0", "d1", "e", "f"]);
    let error = refusal(open_with(&world.fork(), &two, replace(2, 2)));
    assert!(matches!(error, OpenError::NoMajority(_)), "{error}");
    let force = LogOptions { force: true, ..replace(2, 2) };
    let (log, ..) = open_with(&world, &two, force).unwrap();
    assert!(all_active(&log));
    assert_eq!(model.check(&log), 0);
    // Nothing is gone: the option does nothing.
    let (whole, model) = store(49, 2, 1, true);
    let (log, ..) = open_with(&whole, &names(3), replace(2, 1)).unwrap();
    assert_eq!(model.check(&log), 0);
}

#[test]
fn two_histories_are_both_named() {
    let (world, _) = store(50, 1, 1, true);
    for (half, seed) in [("d0", 1), ("d1", 2)] {
        let drives: Vec<Arc<dyn Drive>> = vec![world.drive(half)];
        let seams = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(seed)));
        let force = LogOptions { force: true, ..options(1, 1) };
        let (log, mut lane, _) = Log::open(drives, force, seams).unwrap();
        // Another history, with other contents from here on.
        let mut other =
            Model { groups: vec![Default::default(); 20].into_iter().map(extent).collect() };
        other.commit(&mut lane, &SeededRng::new(seed)).unwrap();
        log.close(lane).unwrap();
    }
    let before = contents(&world, "d0");
    let error = refusal(open_with(&world, &names(2), options(1, 1)));
    let said = error.to_string();
    assert!(matches!(error, OpenError::Diverged(_)), "{said}");
    for word in [
        "(1) epoch 2",
        "(2) epoch 2",
        "begun at position 20",
        "recorded 1970-01-01T00:00:00Z",
        "forced without a majority",
        "on d0",
        "on d1",
        "they part after epoch 1",
    ] {
        assert!(said.contains(word), "{word} in {said}");
    }
    for drive in ["d0", "d1"] {
        let read = Superblock::read(world.drive(drive).as_ref()).unwrap();
        let Found::Valid(slots) = read else { panic!("{drive} has superblocks") };
        // Whichever is told first: its number, its id, and its drive, in one piece.
        let epoch = format!("epoch 2 ({})", slots.newest.epoch.id);
        let piece = said.split(';').find(|piece| piece.contains(&epoch));
        assert!(piece.is_some_and(|p| p.contains(&format!("on {drive}"))), "{epoch}: {said}");
    }
    assert_eq!(contents(&world, "d0"), before);
    // Nor is the second one hidden by damage to its superblocks.
    damage_superblocks(&world, "d1");
    let error = refusal(open_with(&world, &names(2), options(1, 1)));
    assert!(
        matches!(&error, OpenError::Damaged(what) if what.contains("another history")),
        "{error}"
    );
}

fn extent(_: ()) -> (Vec<u8>, Vec<u8>, crate::Extent) {
    let segment = coffer_base::SegmentId(0);
    let none = crate::Extent { segment, offset: 0, len: 0, row_bytes: 0, checksum: 0 };
    (Vec::new(), Vec::new(), none)
}

#[test]
fn an_older_copy_of_one_drive_is_noticed_and_counts_as_missing() {
    let (world, mut model) = store(51, 2, 1, true);
    let old = contents(&world, "d2");
    for seed in 0..2 {
        let (log, mut lane, _) = open(&world, 2, 1);
        for _ in 0..10 {
            model.commit(&mut lane, &SeededRng::new(seed)).unwrap();
        }
        if seed == 0 {
            log.close(lane).unwrap();
        } else {
            world.power_cut_with(Survival::All);
        }
    }
    put_contents(&world, "d2", &old);
    // The newest groups may have been on it and on the one that is away.
    for missing in ["d0", "d1"] {
        let here: Vec<String> = names(3).into_iter().filter(|n| n != missing).collect();
        let degraded = LogOptions { degraded: true, ..options(2, 1) };
        let error = refusal(open_with(&world.fork(), &here, degraded));
        assert!(matches!(&error, OpenError::NoMajority(what) if what.contains("d2")), "{error}");
    }
    let (log, mut lane, recovery) = open(&world, 2, 1);
    assert!(recovery.notes.iter().any(|n| n.contains("older copy")), "{recovery:?}");
    assert_eq!(model.check(&log), 0);
    model.commit(&mut lane, &SeededRng::new(9)).unwrap();
    assert_eq!(model.check(&log), 0);
}

#[test]
fn older_copies_of_all_drives_are_refused_by_the_index() {
    let (world, _) = store(52, 2, 1, true);
    let old: Vec<_> = names(3).iter().map(|n| contents(&world, n)).collect();
    let (log, mut lane, _) = open(&world, 2, 1);
    let mut mark = log.end();
    for _ in 0..3 {
        let room = 100;
        let mut group = lane.begin(room).unwrap();
        group.record(b"later");
        mark = lane.commit(group, coffer_base::Ack::All).unwrap();
    }
    for (name, old) in names(3).iter().zip(&old) {
        put_contents(&world, name, old);
    }
    let reached = LogOptions { reached: Some(mark), ..options(2, 1) };
    let error = refusal(open_with(&world, &names(3), reached.clone()));
    assert!(matches!(&error, OpenError::Damaged(what) if what.contains("older")), "{error}");
    let force = LogOptions { force: true, ..reached };
    assert!(open_with(&world, &names(3), force).is_ok());
    // What an index saw of an end that was decided away since does not count.
    let (log, ..) = open(&world, 2, 1);
    let beyond = Mark { position: Position(log.end().position.0), ..log.end() };
    let fine = LogOptions { reached: Some(beyond), ..options(2, 1) };
    assert!(open_with(&world, &names(3), fine).is_ok());
}

#[test]
fn drives_may_change_their_directories() {
    let (world, mut model) = store(53, 2, 1, false);
    let swapped: Vec<String> = ["d2", "d0", "d1"].map(str::to_owned).into();
    let (log, mut lane, _) = open_with(&world, &swapped, options(2, 1)).unwrap();
    assert_eq!(model.check(&log), 0);
    model.commit(&mut lane, &SeededRng::new(1)).unwrap();
    world.power_cut();
    let (log, ..) = open(&world, 2, 1);
    assert_eq!(model.check(&log), 0);
}

/// Gives whole bytes another version, under a right checksum.
fn newer_superblock(bytes: &mut [u8]) {
    bytes[8] = 3;
    let at = bytes.len() - 8;
    let sum = checksum(0x5355_5045_5242_4c4b, &bytes[..at]);
    bytes[at..].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn a_newer_superblock_on_any_drive_is_refused_and_nothing_is_changed() {
    for drive in names(3) {
        for name in NAMES {
            let (world, model) = store(54, 2, 1, false);
            let mut files = contents(&world, &drive);
            newer_superblock(files.get_mut(name).unwrap());
            put_contents(&world, &drive, &files);
            let before: Vec<_> = names(3).iter().map(|n| contents(&world, n)).collect();
            let error = refusal(open_with(&world, &names(3), options(2, 1)));
            let said = error.to_string();
            assert!(matches!(error, OpenError::NewerFormat(_)), "{said}");
            assert!(said.contains(&drive) && said.contains("version 3"), "{said}");
            let after: Vec<_> = names(3).iter().map(|n| contents(&world, n)).collect();
            assert_eq!(before, after);
            drop(model);
        }
    }
}

#[test]
fn newer_segments_and_groups_are_refused_and_nothing_is_changed() {
    let (world, _) = store(55, 2, 1, false);
    let mut seen = (0, 0);
    for drive in names(3) {
        let files = contents(&world, &drive);
        for (name, bytes) in &files {
            if NAMES.contains(&name.as_str()) {
                continue;
            }
            // Of the header.
            let header = crate::segment::Header::decode(&bytes[..header_len(bytes)]).unwrap();
            let mut newer = files.clone();
            let changed = newer.get_mut(name).unwrap();
            changed[12] = 9;
            let end = header_len(bytes) - 8;
            let seed = coffer_base::checksum::place_seed(
                header.store,
                header.segment,
                0x100 + u32::from(header.index),
                0,
            );
            let sum = checksum(seed, &changed[..end]);
            changed[end..end + 8].copy_from_slice(&sum.to_le_bytes());
            let fork = world.fork();
            put_contents(&fork, &drive, &newer);
            let error = refusal(open_with(&fork, &names(3), options(2, 1)));
            assert!(matches!(&error, OpenError::NewerFormat(w) if w.contains('9')), "{error}");
            assert_eq!(contents(&fork, &drive), newer);
            seen.0 += 1;
        }
    }
    // A group after the last one that this program knows: not a torn tail.
    let copies: Vec<_> = names(3)
        .into_iter()
        .filter_map(|d| {
            let files = contents(&world, &d);
            let used = |n: &&String| {
                n.ends_with(".copy") && files[*n].get(4096..4100) == Some(&b"CGRP"[..])
            };
            let name = files.keys().rfind(used)?.clone();
            Some((d, files, name))
        })
        .collect();
    for (drive, mut files, name) in copies {
        let bytes = files.get_mut(&name).unwrap();
        let starts: Vec<usize> = (4096..bytes.len())
            .step_by(4096)
            .filter(|at| bytes[*at..].starts_with(b"CGRP"))
            .collect();
        let last = *starts.last().unwrap();
        // What a newer program wrote on every drive: here, on those that have it.
        bytes[last + 4] = 7;
        put_contents(&world, &drive, &files);
        seen.1 += 1;
    }
    let error = refusal(open_with(&world, &names(3), options(2, 1)));
    assert!(matches!(&error, OpenError::NewerFormat(w) if w.contains("version 7")), "{error}");
    assert!(seen.0 >= 3 && seen.1 >= 2, "{seen:?}");
}

fn header_len(bytes: &[u8]) -> usize {
    crate::segment::Header::total_bytes(bytes).unwrap() as usize
}

#[test]
fn version_1_is_carried_forward_and_half_way_is_no_matter() {
    let (world, mut model) = store(56, 2, 1, false);
    for drive in names(3) {
        let mut files = contents(&world, &drive);
        for name in NAMES {
            let superblock = Superblock::decode(&files[name]).unwrap();
            files.insert(name.to_owned(), encode_version_1(&superblock));
        }
        put_contents(&world, &drive, &files);
    }
    let start = world.operations();
    let probe = world.fork();
    let (log, ..) = open(&probe, 2, 1);
    assert_eq!(model.check(&log), 0);
    let end = probe.operations();
    let mut mixed = 0;
    for cut in start..=end {
        let world = world.fork();
        world.cut_power_at(cut);
        let _cut_short = open_with(&world, &names(3), options(2, 1));
        world.power_cut();
        let versions: Vec<u8> = names(3)
            .iter()
            .flat_map(|d| {
                let files = contents(&world, d);
                NAMES.map(|n| files[n][8])
            })
            .collect();
        mixed += usize::from(versions.contains(&1) && versions.contains(&2));
        let (log, mut lane, _) = open(&world, 2, 1);
        let mut model = model.clone();
        assert_eq!(model.check(&log), 0);
        model.commit(&mut lane, &SeededRng::new(cut)).unwrap();
    }
    assert!(mixed > 3, "{mixed} states with both versions");
    let (log, mut lane, _) = open(&world, 2, 1);
    model.commit(&mut lane, &SeededRng::new(1)).unwrap();
    log.close(lane).unwrap();
    let (log, ..) = open(&world, 2, 1);
    assert_eq!(model.check(&log), 0);
}

#[test]
fn what_can_not_be_read_is_not_taken_for_the_end_of_history() {
    let world = SimWorld::new(41);
    let rng = SeededRng::new(41);
    let mut model = Model::default();
    let (log, mut lane, _) = open(&world, 1, 1);
    model.commit(&mut lane, &rng).unwrap();
    world.power_cut();
    drop((log, lane));
    // From here on only d1 knows what is acknowledged.
    let (log, mut lane, _) =
        open_with(&world, &names(2)[1..], LogOptions { force: true, ..options(1, 1) }).unwrap();
    model.commit(&mut lane, &rng).unwrap();
    assert_eq!(model.check(&log), 0);
    world.power_cut();
    let before = (contents(&world, "d0"), contents(&world, "d1"));

    // d0 is back, and d1 can't be read where history goes on.
    let copies = before.1.iter().filter(|(name, _)| name.ends_with(".copy"));
    let pages = |(name, bytes): (&String, &Vec<u8>)| {
        let name = name.clone();
        (HEADER_BYTES..bytes.len() as u64).step_by(ALIGN).map(move |at| (name.clone(), at))
    };
    let bad_sectors = copies.flat_map(pages).collect();
    world.set_faults("d1", Faults { bad_sectors, ..Faults::default() });
    let error = refusal(open_with(&world, &names(2), options(1, 1)));
    assert!(matches!(error, OpenError::NoMajority(_)), "{error}");
    world.set_faults("d1", Faults::default());
    assert_eq!((contents(&world, "d0"), contents(&world, "d1")), before);

    let (log, ..) = open(&world, 1, 1);
    assert_eq!(model.check(&log), 0);
}

#[test]
fn a_copy_with_a_damaged_header_and_first_group_is_not_taken_for_an_unused_one() {
    let world = SimWorld::new(70);
    let rng = SeededRng::new(70);
    let mut model = Model::default();
    let (log, mut lane, _) = open(&world, 1, 0);
    for _ in 0..3 {
        model.commit(&mut lane, &rng).unwrap();
    }
    world.power_cut();
    drop((log, lane));
    let used = |name: &String, bytes: &Vec<u8>| {
        name.ends_with(".copy") && bytes.get(4096..4100) == Some(&b"CGRP"[..])
    };
    let before = contents(&world, "d0");
    let (name, _) = before.iter().find(|(name, bytes)| used(name, bytes)).unwrap();
    world.flip_bit("d0", name, 40, 1);
    world.flip_bit("d0", name, 4096 + 40, 1);
    let damaged = contents(&world, "d0");
    let error = refusal(open_with(&world, &names(1), options(1, 0)));
    assert!(
        matches!(&error, OpenError::Damaged(what) if what.contains("stands behind")),
        "{error}"
    );
    assert_eq!(contents(&world, "d0"), damaged);
}

mod membership;
mod sealed;

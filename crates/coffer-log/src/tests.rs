//! The commit lane and recovery over simulated drives.

use std::sync::Arc;

use coffer_base::drive::{Drive, Faults, SimWorld, Survival};
use coffer_base::rng::{Rng, SeededRng};
use coffer_base::{Ack, Position, StillClock};

use crate::error::{Error, OpenError, ReplayError};
use crate::extent::Extent;
use crate::group::Group;
use crate::mark::Mark;
use crate::options::{LogOptions, Seams};
use crate::{DriveState, Lane, Log, Recovery};

mod stalls;

pub(crate) fn options(k: u8, m: u8) -> LogOptions {
    LogOptions {
        k,
        m,
        commit_segment_bytes: 64 << 10,
        probe_interval: None,
        ..LogOptions::default()
    }
}

pub(crate) fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("d{i}")).collect()
}

pub(crate) fn open_with(
    world: &SimWorld,
    drives: &[String],
    options: LogOptions,
) -> Result<(Log, Lane, Recovery), OpenError> {
    let drives: Vec<Arc<dyn Drive>> =
        drives.iter().map(|name| world.drive(name) as Arc<dyn Drive>).collect();
    let seams = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(7)));
    Log::open(drives, options, seams)
}

pub(crate) fn open(world: &SimWorld, k: u8, m: u8) -> (Log, Lane, Recovery) {
    open_with(world, &names(usize::from(k + m)), options(k, m)).expect("the set opens")
}

/// What was committed: each group's record, payload and where that went.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) groups: Vec<(Vec<u8>, Vec<u8>, Extent)>,
}

impl Model {
    pub(crate) fn commit(&mut self, lane: &mut Lane, rng: &SeededRng) -> Result<Mark, Error> {
        let mut payload = vec![0u8; rng.below(9000) as usize];
        rng.fill(&mut payload);
        let record = format!("group {}", self.groups.len()).into_bytes();
        let room = Group::item_bytes(payload.len()) + Group::item_bytes(record.len());
        let mut group = lane.begin(room)?;
        let extent = group.payload(&payload);
        group.record(&record);
        let mark = lane.commit(group, Ack::All)?;
        self.groups.push((record, payload, extent));
        assert_eq!(mark.position, Position(self.groups.len() as u64));
        Ok(mark)
    }

    /// All acknowledged groups are there; returns how many more were found.
    pub(crate) fn check(&self, log: &Log) -> usize {
        let mut records = Vec::new();
        let end = log
            .replay(None, &mut |group| {
                for record in &group.records {
                    records.push(record.to_vec());
                }
                Ok(())
            })
            .expect("history is readable");
        assert_eq!(end, log.end());
        let acknowledged: Vec<Vec<u8>> = self.groups.iter().map(|(r, ..)| r.clone()).collect();
        assert!(
            records.starts_with(&acknowledged),
            "{} of {} acknowledged groups found",
            records.len(),
            acknowledged.len()
        );
        for (record, payload, extent) in &self.groups {
            let read = log.read(extent, 0..extent.len);
            assert_eq!(read.as_deref(), Ok(&payload[..]), "{}", String::from_utf8_lossy(record));
        }
        records.len() - acknowledged.len()
    }
}

pub(crate) const SCHEMES: [(u8, u8); 4] = [(1, 0), (1, 1), (2, 1), (4, 2)];

#[test]
fn groups_come_back_over_seals_and_restarts() {
    for (k, m) in SCHEMES {
        let world = SimWorld::new(1);
        let rng = SeededRng::new(2);
        let mut model = Model::default();
        for restart in 0..4 {
            let (log, mut lane, recovery) = open(&world, k, m);
            assert_eq!(recovery.created, restart == 0);
            assert_eq!(model.check(&log), 0);
            for _ in 0..40 {
                model.commit(&mut lane, &rng).unwrap();
            }
            assert_eq!(model.check(&log), 0);
            assert!(log.status().segments.commit_sealed > 0);
            if restart % 2 == 0 {
                log.close(lane).unwrap();
                assert_eq!(log.status().segments.commit_open, 0);
            }
        }
        let (log, ..) = open(&world, k, m);
        assert_eq!(model.check(&log), 0);
        let report = log.verify(&mut |finding| panic!("{finding}"));
        assert_eq!(report.groups, 160);
    }
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_acknowledged() {
    for (k, m) in SCHEMES {
        let plain = SimWorld::new(3);
        let rng = SeededRng::new(4);
        let (log, mut lane, _) = open(&plain, k, m);
        let start = plain.operations();
        let mut model = Model::default();
        for _ in 0..25 {
            model.commit(&mut lane, &rng).unwrap();
        }
        log.close(lane).unwrap();
        let end = plain.operations();
        assert!(end > start + 25);
        for cut in start..=end {
            let world = SimWorld::new(3);
            let rng = SeededRng::new(4);
            let mut model = Model::default();
            let (log, mut lane, _) = open(&world, k, m);
            world.cut_power_at(cut);
            let mut failed = false;
            for _ in 0..25 {
                if model.commit(&mut lane, &rng).is_err() {
                    failed = true;
                    break;
                }
            }
            if !failed {
                let _cut_short = log.close(lane);
            }
            world.power_cut();
            let (log, mut lane, _) = open(&world, k, m);
            let extra = model.check(&log);
            assert!(extra <= usize::from(failed), "{k}+{m} cut at {cut}: {extra} unknown groups");
            if extra == 0 {
                model.commit(&mut lane, &rng).unwrap();
                assert_eq!(model.check(&log), 0);
            }
            log.verify(&mut |finding| panic!("{k}+{m} cut at {cut}: {finding}"));
        }
    }
}

#[test]
fn forgotten_syncs_are_caught() {
    let mut losses = 0;
    for seed in 0..20 {
        let world = SimWorld::new(seed);
        let rng = SeededRng::new(seed);
        let mut model = Model::default();
        let (_log, mut lane, _) = open(&world, 1, 0);
        world.set_faults("d0", Faults { forget_syncs: true, ..Faults::default() });
        for _ in 0..10 {
            model.commit(&mut lane, &rng).unwrap();
        }
        world.power_cut_with(Survival::Random);
        let lost = match open_with(&world, &names(1), options(1, 0)) {
            Err(_) => true,
            Ok((log, ..)) => log.end().position < Position(10),
        };
        losses += u32::from(lost);
    }
    assert!(losses > 10, "only {losses} of 20 cuts without syncs lost something");
}

#[test]
fn any_m_drives_may_go_and_reads_go_on() {
    let rng = SeededRng::new(5);
    let world = SimWorld::new(6);
    let mut model = Model::default();
    let (log, mut lane, _) = open(&world, 4, 2);
    for _ in 0..40 {
        model.commit(&mut lane, &rng).unwrap();
    }
    for a in 0..6 {
        for b in 0..a {
            let fork = world.fork();
            fork.power_cut_with(Survival::All);
            let rest: Vec<String> = names(6)
                .into_iter()
                .enumerate()
                .filter(|(i, _)| *i != a && *i != b)
                .map(|(_, name)| name)
                .collect();
            let refused = open_with(&fork, &rest, options(4, 2)).map(|_| ());
            assert!(matches!(refused, Err(OpenError::Missing(_))), "{refused:?}");
            let degraded = LogOptions { degraded: true, ..options(4, 2) };
            let (log, mut lane, _) = open_with(&fork, &rest, degraded).unwrap();
            let mut model = model.clone();
            assert_eq!(model.check(&log), 0);
            model.commit(&mut lane, &rng).unwrap();
            assert_eq!(model.check(&log), 0);
            assert_eq!(log.status().degraded.len(), 3, "{:?}", log.status().degraded);
        }
    }
    drop((log, lane));
}

#[test]
fn a_drive_that_fails_under_load_is_left_and_nothing_is_lost() {
    for fault in [
        Faults { fail_writes: true, ..Faults::default() },
        Faults { fail_sync: Some(1), ..Faults::default() },
        Faults { unlinked: true, ..Faults::default() },
    ] {
        let rng = SeededRng::new(8);
        let world = SimWorld::new(9);
        let mut model = Model::default();
        let (log, mut lane, _) = open(&world, 4, 2);
        for round in 0..60 {
            if round == 20 {
                world.set_faults("d1", fault.clone());
            }
            if round == 40 {
                world.set_faults("d4", fault.clone());
            }
            if round % 10 == 5 {
                log.watch();
            }
            model.commit(&mut lane, &rng).unwrap();
        }
        log.watch();
        assert_eq!(model.check(&log), 0);
        let status = log.status();
        let out = status.drives.iter().filter(|d| d.state != DriveState::Active).count();
        assert_eq!(out, 2, "{fault:?}: {:?}", status.degraded);
        assert_eq!(status.writing.map(|g| (g.k, g.m)), Some((2, 2)));
        drop((log, lane));
        // Both stay out after a restart without them, and no flag is needed.
        world.power_cut();
        let rest = ["d0", "d2", "d3", "d5"].map(str::to_owned);
        let (log, mut lane, _) = open_with(&world, &rest, options(4, 2)).unwrap();
        assert_eq!(model.check(&log), 0);
        model.commit(&mut lane, &rng).unwrap();
        assert_eq!(model.check(&log), 0);
    }
}

#[test]
fn the_last_drive_failing_makes_the_store_read_only() {
    let rng = SeededRng::new(10);
    let world = SimWorld::new(11);
    let mut model = Model::default();
    let (log, mut lane, _) = open(&world, 1, 0);
    for _ in 0..5 {
        model.commit(&mut lane, &rng).unwrap();
    }
    world.set_faults("d0", Faults { fail_sync: Some(1), ..Faults::default() });
    assert!(matches!(model.commit(&mut lane, &rng), Err(Error::Unknown(_))));
    assert!(matches!(model.commit(&mut lane, &rng), Err(Error::ReadOnly(_))));
    for (_, payload, extent) in &model.groups {
        assert_eq!(log.read(extent, 0..extent.len).as_deref(), Ok(&payload[..]));
    }
    assert!(log.status().read_only.is_some());
}

#[test]
fn what_does_not_belong_together_is_refused_and_left_alone() {
    let world = SimWorld::new(12);
    drop(open(&world, 1, 1));
    let other = SimWorld::new(13);
    drop(open(&other, 1, 1));

    let foreign = world.drive("x");
    foreign.create("holiday.jpg", coffer_base::drive::Access::Buffered).unwrap();
    let result = open_with(&world, &["x".into()], options(1, 0)).map(|_| ());
    assert!(matches!(result, Err(OpenError::NotCoffer { .. })), "{result:?}");

    let result = open_with(&world, &names(2), options(2, 0)).map(|_| ());
    assert!(matches!(result, Err(OpenError::Scheme(_))), "{result:?}");
    let result = open_with(&world, &["d0".into()], options(1, 0)).map(|_| ());
    assert!(matches!(result, Err(OpenError::Scheme(_))), "{result:?}");
    let result = open_with(&world, &["d0".into()], options(0, 0)).map(|_| ());
    assert!(matches!(result, Err(OpenError::NoMajority(_))), "{result:?}");
    let result = open_with(&world, &["d0".into(), "d0".into()], options(1, 1)).map(|_| ());
    assert!(matches!(result, Err(OpenError::Foreign(_))), "{result:?}");

    // Both halves of a mirror are forced to live on alone: two histories.
    let forced = LogOptions { force: true, ..options(1, 1) };
    for (half, seed) in [("d0", 1), ("d1", 2)] {
        let drives: Vec<Arc<dyn Drive>> = vec![world.drive(half)];
        let seams = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(seed)));
        let (_log, mut lane, _) = Log::open(drives, forced.clone(), seams).unwrap();
        Model::default().commit(&mut lane, &SeededRng::new(1)).unwrap();
    }
    let result = open_with(&world, &names(2), options(1, 1)).map(|_| ());
    assert!(matches!(result, Err(OpenError::Diverged(_))), "{result:?}");
}

#[test]
fn a_mark_of_another_history_is_not_joined() {
    let world = SimWorld::new(14);
    let rng = SeededRng::new(15);
    let (log, mut lane, _) = open(&world, 1, 0);
    let mut model = Model::default();
    let mut marks = vec![Mark::default()];
    for _ in 0..40 {
        marks.push(model.commit(&mut lane, &rng).unwrap());
    }
    for (i, mark) in marks.iter().enumerate() {
        let mut seen = 0;
        log.replay(Some(*mark), &mut |_| {
            seen += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, 40 - i);
        let mut wrong = *mark;
        wrong.chain.0[3] ^= 1;
        let result = log.replay(Some(wrong), &mut |_| Ok(()));
        assert_eq!(result, Err(ReplayError::NotOnChain), "mark {i}");
    }
    let beyond = Mark { position: Position(41), ..marks[40] };
    assert_eq!(log.replay(Some(beyond), &mut |_| Ok(())), Err(ReplayError::NotOnChain));
}

#[test]
fn every_flipped_bit_of_a_sealed_segment_is_healed_by_parity_or_refused() {
    let rng = SeededRng::new(16);
    let world = SimWorld::new(17);
    let mut model = Model::default();
    let (log, mut lane, _) = open(&world, 2, 1);
    for _ in 0..12 {
        model.commit(&mut lane, &rng).unwrap();
    }
    log.close(lane).unwrap();
    let files: Vec<String> =
        world.drive("d0").list().unwrap().into_iter().filter(|n| n.ends_with(".cell")).collect();
    assert!(!files.is_empty());
    for _ in 0..300 {
        let fork = world.fork();
        let drive = format!("d{}", rng.below(3));
        let file = &files[rng.below(files.len() as u64) as usize];
        let byte = rng.below(40 << 10);
        if !fork.flip_bit(&drive, file, byte, rng.below(8) as u8) {
            continue;
        }
        let (log, ..) = open(&fork, 2, 1);
        assert_eq!(model.check(&log), 0);
    }
}

#[test]
fn a_flipped_bit_in_any_header_or_superblock_loses_no_history() {
    let rng = SeededRng::new(18);
    let world = SimWorld::new(19);
    let (_log, mut lane, _) = open(&world, 1, 0);
    let mut model = Model::default();
    for _ in 0..22 {
        model.commit(&mut lane, &rng).unwrap();
    }
    world.power_cut_with(Survival::All);
    let files = world.drive("d0").list().unwrap();
    assert!(
        files.iter().any(|n| n.ends_with(".copy")) && files.iter().any(|n| n.ends_with(".cell"))
    );
    for file in files {
        for byte in [0, 9, 13, 20, 45, 70] {
            let fork = world.fork();
            assert!(fork.flip_bit("d0", &file, byte, 3), "{file}");
            // Refused or whole, never less.
            if let Ok((log, ..)) = open_with(&fork, &names(1), options(1, 0)) {
                assert_eq!(model.check(&log), 0, "{file} byte {byte}");
            }
        }
    }
}

#[test]
fn without_parity_no_drive_may_be_missing_even_degraded() {
    let world = SimWorld::new(20);
    drop(open(&world, 3, 0));
    let degraded = LogOptions { degraded: true, ..options(3, 0) };
    for missing in 0..3 {
        let mut rest = names(3);
        rest.remove(missing);
        let result = open_with(&world, &rest, degraded.clone()).map(|_| ());
        assert!(matches!(result, Err(OpenError::NoMajority(_))), "{result:?}");
    }
    let more = open_with(&world, &names(4), options(3, 0)).map(|_| ());
    assert!(matches!(more, Err(OpenError::Foreign(_))), "{more:?}");
}

#[test]
fn when_the_last_drive_goes_nothing_more_is_acknowledged() {
    let world = SimWorld::new(21);
    let rng = SeededRng::new(22);
    let (log, mut lane, _) = open(&world, 1, 0);
    let mut model = Model::default();
    model.commit(&mut lane, &rng).unwrap();
    world.set_faults("d0", Faults { unlinked: true, ..Faults::default() });
    log.watch();
    assert!(matches!(model.commit(&mut lane, &rng), Err(Error::ReadOnly(_))));
}

#[test]
fn an_index_that_saw_more_than_the_log_has_stops_the_start() {
    let world = SimWorld::new(23);
    let rng = SeededRng::new(24);
    let (log, mut lane, _) = open(&world, 1, 0);
    Model::default().commit(&mut lane, &rng).unwrap();
    world.power_cut();
    let epoch = log.end().epoch;
    for (reached, force, fine) in [(1, false, true), (2, false, false), (2, true, true)] {
        let reached = Some(Mark { epoch, position: Position(reached), ..Mark::default() });
        let result =
            open_with(&world.fork(), &names(1), LogOptions { reached, force, ..options(1, 0) });
        assert_eq!(result.is_ok(), fine, "{reached:?}, force {force}");
    }
}

/// Drives come and go, the process dies, the power goes, in any order: what was acknowledged
/// stays.
#[test]
fn nothing_is_lost_over_many_lives_with_drives_missing() {
    for seed in 0..60 {
        let (k, m) = SCHEMES[seed as usize % SCHEMES.len()];
        let n = usize::from(k + m);
        let world = SimWorld::new(seed);
        let rng = SeededRng::new(seed ^ 0x5a5a);
        let mut model = Model::default();
        // What failed last: there or not, and then settled.
        let mut lives = Vec::new();
        for life in 0..8 {
            let mut here = names(n);
            // Of two drives one is no majority; of one there is none to spare.
            let spare = if n < 3 { 0 } else { u64::from(m) };
            let missing = if life == 0 { 0 } else { rng.below(spare + 1) };
            for _ in 0..missing {
                here.remove(rng.below(here.len() as u64) as usize);
            }
            lives.push(here.clone());
            let degraded = LogOptions { degraded: true, ..options(k, m) };
            let opened = open_with(&world, &here, degraded);
            let (log, mut lane, _) = match opened {
                Ok(opened) => opened,
                // Too many of those that were active last are away now.
                Err(OpenError::NoMajority(_)) => continue,
                Err(e) => panic!("seed {seed}, {k}+{m}, life {life}: {e}; {lives:?}"),
            };
            let extra = model.check(&log);
            assert!(extra <= 1, "seed {seed} life {life}");
            if extra == 1 {
                // The group that failed is part of history now; its payload is not checked.
                let record = format!("group {}", model.groups.len()).into_bytes();
                let none = Extent { len: 0, ..model_extent(&model) };
                model.groups.push((record, Vec::new(), none));
            }
            let cut = rng.below(3);
            if cut == 0 {
                world.cut_power_at(world.operations() + rng.below(150));
            }
            for _ in 0..rng.below(25) {
                if model.commit(&mut lane, &rng).is_err() {
                    break;
                }
            }
            match cut {
                0 | 1 => world.power_cut(),
                _ => drop(log.close(lane)),
            }
        }
    }
}

fn model_extent(model: &Model) -> Extent {
    match model.groups.last() {
        Some((_, _, extent)) => *extent,
        None => Extent {
            segment: coffer_base::SegmentId(0),
            offset: 0,
            len: 0,
            row_bytes: 0,
            checksum: 0,
        },
    }
}

#[test]
fn a_start_with_a_full_drive_serves_and_seals_when_there_is_space() {
    let rng = SeededRng::new(25);
    let world = SimWorld::new(26);
    let (_log, mut lane, _) = open(&world, 2, 1);
    let mut model = Model::default();
    for _ in 0..5 {
        model.commit(&mut lane, &rng).unwrap();
    }
    world.power_cut();
    for drive in names(3) {
        world.set_faults(&drive, Faults { capacity: Some(0), ..Faults::default() });
    }
    let (log, mut lane, _) = open(&world, 2, 1);
    assert_eq!(model.check(&log), 0);
    assert_eq!(log.status().unsealed, 1);
    assert_eq!(model.commit(&mut lane, &rng), Err(Error::Full));
    for drive in names(3) {
        world.set_faults(&drive, Faults::default());
    }
    log.watch();
    assert_eq!(log.status().unsealed, 0);
    model.commit(&mut lane, &rng).unwrap();
    assert_eq!(model.check(&log), 0);
}

#[test]
fn a_set_that_no_superblock_was_finished_of_can_be_made_again() {
    let world = SimWorld::new(11);
    let drive = world.drive("d0");
    drive.create("super.a", coffer_base::drive::Access::Buffered).expect("an empty superblock");
    // Whoever takes the directory for a store knows no scheme.
    let Err(error) = open_with(&world, &names(1), options(0, 0)) else { panic!("it opened") };
    assert!(matches!(error, OpenError::Unfinished(_)), "{error:?}");
    let (_, _, recovery) = open(&world, 1, 0);
    assert!(recovery.created);
}

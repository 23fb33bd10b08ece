//! What is recorded of who is in the set survives damage and power cuts.

use std::collections::BTreeMap;

use coffer_base::EpochId;

use super::*;
use crate::superblock::{Epoch, Member};

/// The newest superblock of a drive.
fn newest(world: &SimWorld, drive: &str) -> Superblock {
    match Superblock::read(world.drive(drive).as_ref()).unwrap() {
        Found::Valid(slots) => slots.newest,
        _ => panic!("{drive} has a superblock"),
    }
}

/// Puts these into the slots of a drive.
fn put_slots(world: &SimWorld, drive: &str, slots: [&Superblock; 2]) {
    let id = newest(world, drive).drive;
    let mut files: BTreeMap<String, Vec<u8>> = contents(world, drive);
    for (name, superblock) in NAMES.iter().zip(slots) {
        files.insert((*name).to_owned(), Superblock { drive: id, ..superblock.clone() }.encode());
    }
    put_contents(world, drive, &files);
}

fn state_of(log: &Log, at: usize) -> DriveState {
    log.status().drives[at].state
}

fn out(member: &Member, state: DriveState) -> Member {
    Member { state, why: "as the test wants it".into(), ..member.clone() }
}

#[test]
fn a_fence_is_not_forgotten_for_an_epoch_that_came_to_nothing() {
    let (world, model) = store(60, 2, 1, true);
    let first = newest(&world, "d0");
    // d2 goes, d1 is fenced, d2 is back, and the power goes while only d0 has the next epoch.
    let mut lost = Superblock { generation: first.generation + 1, ..first.clone() };
    lost.members[2] = out(&lost.members[2], DriveState::Lost);
    let mut fenced = Superblock { generation: first.generation + 2, ..lost.clone() };
    fenced.members[1] = out(&fenced.members[1], DriveState::Fenced);
    let mut void = Superblock { generation: first.generation + 3, ..fenced.clone() };
    void.members[2] = Member::active(void.members[2].id);
    void.epoch = Epoch { number: first.epoch.number + 1, id: EpochId(99) };
    void.ancestry.insert(0, (first.epoch, first.decided.0));
    void.complete = false;
    put_slots(&world, "d0", [&fenced, &void]);
    put_slots(&world, "d1", [&first, &lost]);

    let (probe, start) = (world.fork(), world.operations());
    let (log, ..) = open(&probe, 2, 1);
    assert_eq!(state_of(&log, 1), DriveState::Fenced);
    assert_eq!(model.check(&log), 0);
    let end = probe.operations();
    // However often the start is cut short, and whatever of it is on the drives.
    for cut in start..=end {
        for survival in [Survival::All, Survival::None] {
            let world = world.fork();
            for _ in 0..2 {
                world.cut_power_at(world.operations() + (cut - start));
                let _cut_short = open_with(&world, &names(3), options(2, 1));
                world.power_cut_with(survival);
            }
            let (log, mut lane, _) = open(&world, 2, 1);
            assert_eq!(state_of(&log, 1), DriveState::Fenced, "cut {cut}");
            let mut model = model.clone();
            assert_eq!(model.check(&log), 0);
            model.commit(&mut lane, &SeededRng::new(cut)).unwrap();
        }
    }
    // Fenced by that epoch itself: it came to nothing, and the drive is no better for it.
    put_slots(&world, "d0", [&first, &void]);
    put_slots(&world, "d1", [&first, &first]);
    let (log, ..) = open(&world, 2, 1);
    assert_eq!(state_of(&log, 1), DriveState::Fenced);
}

#[test]
fn damage_to_one_superblock_brings_no_drive_back() {
    let world = SimWorld::new(61);
    let rng = SeededRng::new(61);
    let mut model = Model::default();
    let (_log, mut lane, _) = open(&world, 1, 1);
    for round in 0..6 {
        if round == 3 {
            world.set_faults("d1", Faults { fail_sync: Some(1), ..Faults::default() });
        }
        model.commit(&mut lane, &rng).unwrap();
    }
    world.power_cut();
    for name in NAMES {
        let world = world.fork();
        world.flip_bit("d0", name, 500, 1);
        let (log, ..) = open(&world, 1, 1);
        assert_eq!(state_of(&log, 1), DriveState::Fenced, "{name} is damaged");
        assert_eq!(model.check(&log), 0);
    }
}

/// The drives with a copy that has groups.
fn holders(world: &SimWorld, n: usize) -> Vec<String> {
    let used = |(name, bytes): (&String, &Vec<u8>)| {
        name.ends_with(".copy") && bytes.get(4096..4100) == Some(&b"CGRP"[..])
    };
    names(n).into_iter().filter(|drive| contents(world, drive).iter().any(used)).collect()
}

#[test]
fn a_drive_that_left_is_missed_until_its_groups_are_sealed_without_it() {
    let seed = 62;
    let run = |cut: Option<u64>| {
        let world = SimWorld::new(seed);
        let rng = SeededRng::new(seed);
        let mut model = Model::default();
        let (_log, mut lane, _) = open(&world, 4, 2);
        for _ in 0..3 {
            model.commit(&mut lane, &rng).unwrap();
        }
        let holders = holders(&world, 6);
        assert_eq!(holders.len(), 3);
        world.set_faults(&holders[0], Faults { fail_sync: Some(1), ..Faults::default() });
        let start = world.operations();
        if let Some(cut) = cut {
            world.cut_power_at(start + cut);
        }
        let _cut_short = model.commit(&mut lane, &rng);
        let operations = world.operations() - start;
        world.power_cut();
        (world, model, holders, operations)
    };
    let (.., operations) = run(None);
    let (mut refused, mut opened, mut recorded, mut settled) = (0, 0, 0, 0);
    for cut in 0..=operations + 1 {
        let (world, model, holders, _) = run(Some(cut));
        let others: Vec<String> = names(6).into_iter().filter(|d| !holders.contains(d)).collect();
        recorded += usize::from(newest(&world, &others[0]).members.iter().any(|m| m.unsettled));
        let degraded = LogOptions { degraded: true, ..options(4, 2) };
        match open_with(&world.fork(), &others, degraded) {
            // Sealed over the five, and recorded: three of those are enough.
            Ok((log, ..)) => {
                settled += 1;
                model.check(&log);
            }
            Err(OpenError::NoMajority(_)) => refused += 1,
            Err(OpenError::Damaged(what)) => assert!(what.contains("needs more drives"), "{what}"),
            Err(error) => panic!("{error}"),
        }
        // With one of the two that still have them nothing is lost.
        let mut enough = others.clone();
        enough.extend([holders[0].clone(), holders[2].clone()]);
        let degraded = LogOptions { degraded: true, ..options(4, 2) };
        let (log, ..) = open_with(&world, &enough, degraded).unwrap();
        opened += 1;
        model.check(&log);
    }
    assert!(refused > 5 && opened > 5 && recorded > 3, "{refused} {opened} {recorded}");
    assert!(settled > 0, "in the end they can be done without");
    let (world, _, holders, _) = run(None);
    let last = newest(&world, names(6).iter().find(|d| !holders.contains(d)).unwrap());
    assert!(last.members.iter().any(|m| !m.is_active()));
    assert!(last.members.iter().all(|m| !m.unsettled), "nothing waits for it any more");
}

#[test]
fn an_end_that_one_drive_alone_knows_is_not_decided() {
    let world = SimWorld::new(63);
    let mut model = Model::default();
    let (log, mut lane, _) = open(&world, 2, 1);
    for _ in 0..2 {
        model.commit(&mut lane, &SeededRng::new(63)).unwrap();
    }
    world.power_cut();
    drop((log, lane));
    let holders = holders(&world, 3);
    assert_eq!(holders.len(), 2);
    let here: Vec<String> = names(3).into_iter().filter(|d| *d != holders[0]).collect();
    for drive in names(3) {
        world.set_faults(&drive, Faults { full: true, ..Faults::default() });
    }
    let degraded = LogOptions { degraded: true, ..options(2, 1) };
    let error = refusal(open_with(&world.fork(), &here, degraded.clone()));
    assert!(matches!(&error, OpenError::NoMajority(what) if what.contains("room")), "{error}");
    // All are here: as full as they are, it is read and written on.
    let (log, ..) = open(&world.fork(), 2, 1);
    assert_eq!(model.check(&log), 0);
    // Forced, and then that drive goes: what only it had is given up when that is said, too.
    let force = LogOptions { force: true, ..degraded };
    let (log, lane, _) = open_with(&world, &here, force.clone()).unwrap();
    assert_eq!(model.check(&log), 0);
    drop((log, lane));
    world.power_cut();
    let left: Vec<String> = here.into_iter().filter(|d| *d != holders[1]).collect();
    refusal(open_with(&world.fork(), &left, options(2, 1)));
    let (_, _, recovery) = open_with(&world, &left, force).unwrap();
    assert!(recovery.notes.iter().any(|n| n.contains("is given up")), "{recovery:?}");
}

#[test]
fn who_does_not_know_what_was_recorded_is_no_part_of_a_majority() {
    let (world, _) = store(64, 2, 1, true);
    let old = contents(&world, "d2");
    let (log, lane, _) = open(&world, 2, 1);
    log.close(lane).unwrap();
    put_contents(&world, "d2", &old);
    // d1 fails as the next epoch is recorded: d0 is left, and an older copy.
    world.set_faults("d1", Faults { fail_write: Some(1), ..Faults::default() });
    let said = refusal(open_with(&world, &names(3), options(2, 1))).to_string();
    assert!(said.contains("only 1 of 3 active drives"), "{said}");
    let (log, ..) = open(&world, 2, 1);
    assert!(all_active(&log));
}

#[test]
fn an_attempt_at_a_replacement_is_not_the_one_that_came_after_it() {
    let (world, _) = store(65, 2, 1, true);
    let with = |third: &str| vec!["d0".to_owned(), "d1".to_owned(), third.to_owned()];
    let (mut joined, start) = (0, world.operations());
    for cut in start..start + 40 {
        let world = world.fork();
        world.cut_power_at(cut);
        if open_with(&world, &with("e"), replace(2, 1)).is_ok() {
            break;
        }
        world.power_cut_with(Survival::All);
        let read = Superblock::read(world.drive("e").as_ref()).unwrap();
        let Found::Valid(slots) = read else { continue };
        let is_joining = slots.newest.joining;
        joined += usize::from(is_joining);
        // d2 is only away, and this says nothing of it: somebody must.
        if is_joining {
            let error = refusal(open_with(&world.fork(), &with("e"), options(2, 1)));
            assert!(matches!(error, OpenError::Missing(_)), "{error}");
        }
        // Another one takes the place, and is fenced.
        let Ok((log, mut lane, _)) = open_seeded(&world, &with("f"), replace(2, 1), cut) else {
            continue;
        };
        world.set_faults("f", Faults { fail_sync: Some(1), ..Faults::default() });
        let mut written = 0;
        while log.status().drives[2].state == DriveState::Active && written < 20 {
            let mut group = lane.begin(100).unwrap();
            group.record(b"more");
            lane.commit(group, coffer_base::Ack::All).unwrap();
            written += 1;
        }
        if log.status().drives[2].state != DriveState::Fenced {
            let status = log.status();
            panic!("cut {cut}: f is {:?}", status.drives[2]);
        }
        drop((log, lane));
        world.power_cut();
        match open_with(&world, &with("e"), options(2, 1)) {
            Err(OpenError::Foreign(_)) => {}
            Ok((log, ..)) => assert_eq!(state_of(&log, 2), DriveState::Fenced, "cut {cut}"),
            Err(error) => panic!("cut {cut}: {error}"),
        }
    }
    assert!(joined > 0, "it was cut after e had said what it is for");
}

/// As [`open_with`], with other random numbers.
fn open_seeded(world: &SimWorld, drives: &[String], options: LogOptions, seed: u64) -> Opened {
    let drives = drives.iter().map(|name| world.drive(name) as Arc<dyn Drive>).collect();
    let seams = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(seed)));
    Log::open(drives, options, seams)
}

#[test]
fn cells_beyond_an_end_that_was_decided_without_them_are_dead() {
    let (mut dead, mut shorter) = (0, 0);
    let drives = [("d0", "d1"), ("d1", "d0")];
    for (groups, (ahead, behind)) in (2..14).flat_map(|n| drives.map(|d| (n, d))) {
        let world = SimWorld::new(66);
        let rng = SeededRng::new(66);
        let mut model = Model::default();
        let (log, mut lane, _) = open(&world, 1, 1);
        for _ in 1..groups {
            model.commit(&mut lane, &rng).unwrap();
        }
        let before = contents(&world, behind);
        model.clone().commit(&mut lane, &rng).unwrap();
        world.power_cut();
        drop((log, lane));
        // The last group is on one alone.
        put_contents(&world, behind, &before);
        let force = || LogOptions { force: true, ..options(1, 1) };
        let start = world.operations();
        for cut in start.. {
            let world = world.fork();
            world.cut_power_at(cut);
            // Seals it, and is cut short before it records that.
            if open_with(&world, &[ahead.to_owned()], force()).is_ok() {
                break;
            }
            world.power_cut_with(Survival::All);
            if newest(&world, "d0").epoch != newest(&world, "d1").epoch {
                break;
            }
            let mut model = model.clone();
            let (_, mut lane, _) =
                open_seeded(&world, &[behind.to_owned()], force(), 1000 + cut).unwrap();
            model.commit(&mut lane, &SeededRng::new(cut)).unwrap();
            drop(lane);
            world.power_cut();
            let (log, _, recovery) = open(&world, 1, 1);
            assert_eq!(model.check(&log), 0, "{groups} groups, cut {cut}");
            let told = recovery.notes.iter().any(|n| n.contains("beyond a recorded end"));
            dead += usize::from(told);
            shorter += usize::from(!told);
        }
    }
    assert!(dead > 0 && shorter > 3, "{dead} {shorter}");
}

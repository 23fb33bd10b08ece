//! Cells and copies of one segment beside each other: which of them a start believes.
//!
//! 2+1: two drives have copies, three get cells, two cells are needed.

use super::*;

const K: u8 = 2;
const M: u8 = 1;

/// One open segment of five groups; a sixth, which nobody was told of, is on one drive alone.
struct Tail {
    world: SimWorld,
    /// Without the sixth.
    model: Model,
    /// The drives with a copy: the first has the sixth.
    ahead: String,
    behind: String,
}

/// The file of `drive` that has groups, or cells of them.
fn file_of(world: &SimWorld, drive: &str, suffix: &str) -> Option<String> {
    let used = |bytes: &[u8]| suffix == ".cell" || bytes.get(4096..4100) == Some(&b"CGRP"[..]);
    let files = contents(world, drive).into_iter();
    let mut found = files.filter(|(name, bytes)| name.ends_with(suffix) && used(bytes));
    found.next().map(|(name, _)| name)
}

/// The drives with such files.
fn holders(world: &SimWorld, suffix: &str) -> Vec<String> {
    names(3).into_iter().filter(|drive| file_of(world, drive, suffix).is_some()).collect()
}

/// `drive` loses its file, as one that lies does.
fn lose(world: &SimWorld, drive: &str, suffix: &str) {
    let mut files = contents(world, drive);
    files.remove(&file_of(world, drive, suffix).unwrap()).unwrap();
    put_contents(world, drive, &files);
}

fn five_groups(seed: u64) -> (SimWorld, Model, Lane, Log) {
    let world = SimWorld::new(seed);
    let (log, mut lane, _) = open(&world, K, M);
    let mut model = Model::default();
    for _ in 0..5 {
        model.commit(&mut lane, &SeededRng::new(seed)).unwrap();
    }
    (world, model, lane, log)
}

fn tail(seed: u64) -> Tail {
    let (world, model, mut lane, log) = five_groups(seed);
    let copies = holders(&world, ".copy");
    let [ahead, behind] = &copies[..] else { panic!("copies on {copies:?}") };
    let before = contents(&world, behind);
    model.clone().commit(&mut lane, &SeededRng::new(1)).unwrap();
    world.power_cut();
    drop((log, lane));
    put_contents(&world, behind, &before);
    Tail { model, ahead: ahead.clone(), behind: behind.clone(), world }
}

/// A start of `drives` that is cut short where `when` is so; what it had done is kept.
fn cut_when(world: &SimWorld, drives: &[String], when: &dyn Fn(&SimWorld) -> bool) -> SimWorld {
    for cut in world.operations().. {
        let world = world.fork();
        world.cut_power_at(cut);
        let cut_short = open_with(&world, drives, forced());
        assert!(cut_short.is_err(), "it never was so");
        world.power_cut_with(Survival::All);
        if when(&world) {
            return world;
        }
    }
    unreachable!("the loop ends by itself");
}

fn forced() -> LogOptions {
    LogOptions { force: true, ..options(K, M) }
}

fn degraded() -> LogOptions {
    LogOptions { degraded: true, ..options(K, M) }
}

/// A start sealed the tail and was cut short when one cell alone had its name: that of the drive
/// without a copy.
fn one_cell(seed: u64) -> (Tail, SimWorld) {
    let tail = tail(seed);
    let world = cut_when(&tail.world, &names(3), &|world| holders(world, ".cell").len() == 3);
    lose(&world, &tail.ahead, ".cell");
    lose(&world, &tail.behind, ".cell");
    (tail, world)
}

fn without(drive: &str) -> Vec<String> {
    names(3).into_iter().filter(|name| name != drive).collect()
}

fn assert_refused(opened: Opened, last: u64) {
    let error = refusal(opened);
    let said = format!("was sealed beyond position {last}, and its cells need more drives");
    assert!(matches!(&error, OpenError::Damaged(what) if what.contains(&said)), "{error}");
}

/// `knows_all`: with the one drive gone that may be harmed, the copy that is here has all.
#[test]
fn a_cell_of_a_tail_that_nobody_was_told_of_is_no_hole_without_its_drive() {
    let (tail, world) = one_cell(76);
    let (log, _, recovery) = open_with(&world, &without(&tail.ahead), degraded()).unwrap();
    let told = recovery.notes.iter().any(|n| n.contains("by a start that came to nothing"));
    assert!(told, "{recovery:?}");
    assert_eq!(tail.model.check(&log), 0);
}

/// `knows_all`: with none gone, the one copy that is here may be that of the harmed drive.
#[test]
fn one_copy_is_no_witness_against_a_cell_when_no_drive_is_gone() {
    let (tail, world) = one_cell(77);
    lose(&world, &tail.ahead, ".copy");
    assert_refused(open_with(&world, &names(3), forced()), 5);
}

/// `knows_all`: a drive of which too little is left to say what it knew.
#[test]
fn a_drive_without_superblocks_is_no_witness_against_a_cell() {
    let (tail, world) = one_cell(78);
    damage_superblocks(&world, &tail.behind);
    assert_refused(open_with(&world, &without(&tail.ahead), forced()), 5);
}

/// A copy that can't be read to its end is no witness.
#[test]
fn a_copy_that_can_not_be_read_is_no_witness_against_a_cell() {
    let (tail, world) = one_cell(79);
    let name = file_of(&world, &tail.behind, ".copy").unwrap();
    let len = contents(&world, &tail.behind)[&name].len() as u64;
    let pages = (HEADER_BYTES..len).step_by(ALIGN).map(|at| (name.clone(), at));
    let bad_sectors = pages.collect();
    world.set_faults(&tail.behind, Faults { bad_sectors, ..Faults::default() });
    assert_refused(open_with(&world, &without(&tail.ahead), forced()), 0);
}

/// An end that was decided is known: whoever has less does not say otherwise.
#[test]
fn no_copy_is_a_witness_against_an_end_that_was_decided() {
    let world = SimWorld::new(81);
    let rng = SeededRng::new(81);
    let (log, mut lane, _) = open(&world, K, M);
    let mut model = Model::default();
    for _ in 0..3 {
        model.commit(&mut lane, &rng).unwrap();
    }
    let copies = holders(&world, ".copy");
    let name = file_of(&world, &copies[1], ".copy").unwrap();
    let shorter = contents(&world, &copies[1]).remove(&name).unwrap();
    for _ in 0..2 {
        model.commit(&mut lane, &rng).unwrap();
    }
    world.power_cut();
    drop((log, lane));
    // Seals it and decides that it ends at position 5.
    drop(open(&world, K, M));
    world.power_cut();
    lose(&world, &copies[1], ".cell");
    let mut files = contents(&world, &copies[1]);
    files.insert(name, shorter);
    put_contents(&world, &copies[1], &files);
    assert_refused(open_with(&world, &without(&copies[0]), forced()), 3);
    let (log, ..) = open(&world, K, M);
    assert_eq!(model.check(&log), 0);
}

/// Five groups, whose cells all have their names, beside both copies.
fn all_cells(seed: u64) -> (SimWorld, Model, Vec<String>) {
    let (world, model, lane, log) = five_groups(seed);
    world.power_cut();
    drop((log, lane));
    let world = cut_when(&world, &names(3), &|world| holders(world, ".cell").len() == 3);
    let copies = holders(&world, ".copy");
    assert_eq!(copies.len(), 2);
    (world, model, copies)
}

fn is_sealed_again(recovery: &Recovery) -> bool {
    recovery.notes.iter().any(|n| n.contains("was open and is recovered to position 5"))
}

#[test]
fn cells_that_are_all_there_are_taken_and_the_copies_go() {
    let (world, model, copies) = all_cells(82);
    let (log, _, recovery) = open(&world, K, M);
    assert!(!is_sealed_again(&recovery), "{recovery:?}");
    assert_eq!(model.check(&log), 0);
    assert!(copies.iter().all(|drive| file_of(&world, drive, ".copy").is_none()));
}

/// `as_safe`: every drive that is here has its own.
#[test]
fn cells_beside_a_copy_do_not_count_when_a_drive_that_is_here_lacks_its_own() {
    let (world, model, copies) = all_cells(83);
    lose(&world, &copies[1], ".copy");
    lose(&world, &copies[1], ".cell");
    let (log, _, recovery) = open_with(&world, &names(3), forced()).unwrap();
    assert!(is_sealed_again(&recovery), "{recovery:?}");
    assert!(file_of(&world, &copies[1], ".cell").is_some());
    assert_eq!(model.check(&log), 0);
}

/// `as_safe`: the cells that are here may lose as many drives as the copies.
#[test]
fn cells_do_not_count_when_fewer_drives_may_go_than_with_the_copies() {
    let (world, model, copies) = all_cells(84);
    let (log, _, recovery) = open_with(&world, &copies, degraded()).unwrap();
    assert!(is_sealed_again(&recovery), "{recovery:?}");
    assert_eq!(model.check(&log), 0);
    world.power_cut();
    drop(log);
    // As one of two copies was, one cell is enough.
    let (log, ..) = open_with(&world, &copies[..1], forced()).unwrap();
    assert_eq!(model.check(&log), 0);
}

/// `as_safe`: no copy goes on where the cells end.
#[test]
fn cells_do_not_count_when_a_copy_goes_on_after_them() {
    let (world, mut model, mut lane, log) = five_groups(85);
    let copies = holders(&world, ".copy");
    let before: Vec<_> = copies.iter().map(|drive| contents(&world, drive)).collect();
    model.commit(&mut lane, &SeededRng::new(85)).unwrap();
    world.power_cut();
    drop((log, lane));
    let name = file_of(&world, &copies[0], ".copy").unwrap();
    let longer = contents(&world, &copies[0]).remove(&name).unwrap();
    for (drive, before) in copies.iter().zip(&before) {
        put_contents(&world, drive, before);
    }
    let world = cut_when(&world, &names(3), &|world| holders(world, ".cell").len() == 3);
    let mut files = contents(&world, &copies[0]);
    files.insert(name, longer);
    put_contents(&world, &copies[0], &files);
    let (log, ..) = open(&world, K, M);
    assert_eq!(model.check(&log), 0);
}

/// Cells that do not read back are not taken while copies have it all.
#[test]
fn cells_that_can_not_be_read_do_not_replace_copies() {
    let (world, model, _) = all_cells(86);
    for drive in ["d0", "d1"] {
        let name = file_of(&world, drive, ".cell").unwrap();
        assert!(world.flip_bit(drive, &name, HEADER_BYTES + 100, 1));
    }
    let (log, _, recovery) = open(&world, K, M);
    assert!(is_sealed_again(&recovery), "{recovery:?}");
    assert_eq!(model.check(&log), 0);
    assert_eq!(log.verify(&mut |finding| panic!("{finding}")).groups, 5);
}

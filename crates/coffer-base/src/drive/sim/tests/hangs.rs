//! A drive that hangs: what its callers get, and when what they asked has its effect.

use super::*;
use crate::drive::queue::{Patience, Work, is_given_up, is_slow};

/// At the next operation drive `d` begins to hang, for `operations`.
fn hang(world: &SimWorld, operations: u64) {
    world.drive("other");
    world.strike_at(world.operations() + 1, "d", Strike::Hang(operations));
}

fn tick(world: &SimWorld) {
    world.drive("other").sync_dir().unwrap();
}

#[test]
fn a_call_that_hangs_gives_the_drive_up_and_lands_when_it_wakes() {
    let (world, drive, file) = settled(31, b"before");
    hang(&world, 3);
    let told = file.write_at(b"late!!", 0, true).unwrap_err();
    assert!(is_given_up(&told) && drive.queue().is_given_up(), "{told}");
    assert!(drive.queue().given_up().is_some());
    // Nothing is sent to it any more: not an operation, not in limbo.
    let operations = world.operations();
    assert!(is_given_up(&drive.sync_dir().unwrap_err()));
    assert!(is_given_up(&drive.probe().unwrap_err()));
    assert_eq!((world.operations(), world.in_limbo("d")), (operations, 1));

    tick(&world);
    tick(&world);
    assert!(world.is_hung("d"));
    tick(&world);
    assert_eq!((world.is_hung("d"), world.in_limbo("d")), (false, 0));
    // For those who gave it up it stays so; who comes anew finds what landed.
    assert!(is_given_up(&drive.probe().unwrap_err()));
    assert_eq!(read_all(&*world.drive("d"), "f").unwrap(), b"late!!");
}

#[test]
fn a_hedged_read_is_told_that_the_drive_is_slow_and_a_short_stall_gives_nobody_up() {
    let (world, drive, file) = settled(32, b"before");
    hang(&world, 2);
    tick(&world);
    let mut buf = [0; 6];
    assert!(is_slow(&file.read_at_soon(&mut buf, 0).unwrap_err()));
    assert!(drive.queue().is_slow() && !drive.queue().is_given_up());
    // As part of a job, too.
    let read = |file: Arc<dyn DriveFile>| file.read_at(&mut [0; 6], 0);
    let items = vec![(drive.queue().clone(), file.clone())];
    let results = DriveQueue::each(items, Work::Read, Patience::Hedged, read);
    assert!(results.iter().all(|r| is_slow(r.as_ref().unwrap_err())));

    tick(&world);
    tick(&world);
    assert!(!drive.queue().is_slow());
    assert_eq!(file.read_at(&mut buf, 0).unwrap(), 6);
    // Who waits gives it up.
    hang(&world, 100);
    tick(&world);
    let items = vec![(drive.queue().clone(), file.clone())];
    let results = DriveQueue::each(items, Work::Read, Patience::Full, read);
    assert!(is_given_up(results[0].as_ref().unwrap_err()) && drive.queue().is_given_up());
}

#[test]
fn a_change_that_fails_late_is_told_once_to_who_asked_for_it() {
    let (world, drive, file) = settled(33, b"before");
    world.set_faults("d", Faults { fail_sync: Some(1), ..Faults::default() });
    hang(&world, u64::MAX);
    assert!(is_given_up(&file.write_at(b"never!", 0, true).unwrap_err()));
    let other = world.drive("d");
    assert!(drive.queue().take_late_failure().is_none());
    world.wake("d");
    assert!(other.queue().take_late_failure().is_none());
    assert!(drive.queue().take_late_failure().is_some());
    assert!(drive.queue().take_late_failure().is_none());
}

/// Over the seeds, what hangs at a power cut landed before it, lands after the next start, or never.
#[test]
fn a_power_cut_decides_what_lands() {
    let (mut before, mut after, mut never, mut hangs_on) = (0, 0, 0, 0);
    for seed in 0..60 {
        let (world, _, file) = settled(seed, b"before");
        hang(&world, u64::MAX);
        assert!(is_given_up(&file.write_at(b"late!!", 0, true).unwrap_err()));
        world.power_cut();
        hangs_on += u64::from(world.is_hung("d"));
        world.wake("d");
        let holds = || read_all(&*world.drive("d"), "f").unwrap();
        if holds() == b"late!!" {
            before += 1;
            continue;
        }
        (0..70).for_each(|_| tick(&world));
        assert_eq!(world.in_limbo("d"), 0);
        match &holds()[..] {
            b"late!!" => after += 1,
            _ => never += 1,
        }
    }
    assert!([before, after, never, hangs_on].iter().all(|n| *n > 5), "{before} {after} {never}");
}

/// What several who opened it asked lands in the order in which they asked.
#[test]
fn names_land_late_too_and_forks_hang_alike() {
    let (world, drive, _) = settled(34, b"before");
    hang(&world, u64::MAX);
    assert!(is_given_up(&drive.rename("f", "g").unwrap_err()));
    let fork = world.fork();
    assert!(is_given_up(&fork.drive("d").sync_dir().unwrap_err()));
    fork.wake("d");
    fork.power_cut_with(Survival::None);
    assert_eq!(fork.files("d"), [("g".to_owned(), 6)]);
    assert_eq!(world.files("d"), [("f".to_owned(), 6)]);
}

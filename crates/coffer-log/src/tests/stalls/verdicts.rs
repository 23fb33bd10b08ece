//! Who is taken out when drives hang, and who is not.

use super::*;
use crate::Error;
use crate::segment::Layout;

/// Commits a group on a thread of its own.
pub(super) fn commit_beside<'s>(
    scope: &'s std::thread::Scope<'s, '_>,
    lane: &'s mut Lane,
    ack: Ack,
) -> std::thread::ScopedJoinHandle<'s, Extent> {
    scope.spawn(move || {
        let mut group = lane.begin(1000).unwrap();
        let extent = group.payload(b"a payload");
        lane.commit(group, ack).unwrap();
        extent
    })
}

pub(super) fn wait_until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(20), "it never happens");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The drives on which a sync hangs.
pub(super) fn that_hang(gates: &[Gate]) -> Vec<usize> {
    (0..gates.len()).filter(|i| gates[*i].waiting() > 0).collect()
}

#[test]
fn a_stall_of_all_after_one_member_answered_takes_out_none() {
    let mut store = Store::new(LIMIT, 21);
    store.commit();
    let gates = store.gates.clone();
    gates.iter().for_each(|gate| gate.close(&[Op::Sync]));
    let lane = &mut store.lane;
    std::thread::scope(|scope| {
        let commit = commit_beside(scope, lane, Ack::All);
        wait_until(|| that_hang(&gates).len() == 3);
        let members = that_hang(&gates);
        gates[members[0]].open();
        gates[members[1]].open();
        wait_until(|| that_hang(&gates) == [members[2]]);
        gates.iter().for_each(|gate| gate.close(&Op::ALL));
        std::thread::sleep(4 * LIMIT);
        gates.iter().for_each(Gate::open);
        commit.join().unwrap();
    });
    assert_eq!(store.states(), [DriveState::Active; 6]);
}

#[test]
fn a_copy_that_is_under_way_is_not_blamed_when_another_one_left_the_set() {
    let mut store = Store::new(Duration::from_secs(600), 22);
    store.commit();
    let gates = store.gates.clone();
    let inner = store.lane.shared().inner.clone();
    gates.iter().for_each(|gate| gate.close(&[Op::Sync]));
    let lane = &mut store.lane;
    std::thread::scope(|scope| {
        let commit = commit_beside(scope, lane, Ack::Quorum);
        wait_until(|| that_hang(&gates).len() == 3);
        let members = that_hang(&gates);
        gates[members[0]].open();
        wait_until(|| that_hang(&gates) == members[1..]);
        let gone = inner.set.with(|slots| slots[members[0]].id);
        assert!(inner.set.take_out(gone, DriveState::Lost, "as the test wants it"));
        gates[members[1]].open();
        wait_until(|| that_hang(&gates) == [members[2]]);
        // The answer of the one that left does not count: the third one's does.
        std::thread::sleep(Duration::from_millis(100));
        assert!(!commit.is_finished());
        gates.iter().for_each(Gate::open);
        commit.join().unwrap();
        let lost = inner.set.with(|slots| {
            slots.iter().filter(|s| s.id != gone).all(|s| s.state == DriveState::Active)
        });
        assert!(lost, "an innocent drive was taken out");
    });
}

#[test]
fn an_error_that_comes_after_the_verdict_fences_and_that_stays() {
    let mut store = Store::new(LIMIT, 23);
    store.fill();
    store.gates[1].close(&Op::ALL);
    store.fill();
    store.wait_for("it is lost", |s| s.states()[1] == DriveState::Lost);
    wait_until(|| store.gates[1].waiting() > 0);
    store
        .world
        .set_faults("d1", Faults { fail_writes: true, fail_sync: Some(1), ..Faults::default() });
    store.gates[1].open();
    store.wait_for("it is fenced", |s| s.states()[1] == DriveState::Fenced);
    let why = store.log.status().drives[1].why.clone();
    assert!(why.contains("after it was given up"), "{why}");
    let inner = store.lane.shared().inner.clone();
    wait_until(|| inner.supers.is_current(&inner.set));
    drop(inner);
    store.read_all();
    store.world.set_faults("d1", Faults::default());
    let Store { world, log, lane, .. } = store;
    let rest = Arc::downgrade(&lane.shared().inner);
    log.close(lane).unwrap();
    drop(log);
    wait_until(|| rest.strong_count() == 0);
    let store = Store::open(world, LIMIT, 24);
    assert_eq!(store.states()[1], DriveState::Fenced);
}

#[test]
fn status_does_not_wait_for_a_commit_and_shows_no_end_that_is_not_durable() {
    let mut store = Store::new(Duration::from_secs(600), 25);
    store.commit();
    let (gates, log) = (store.gates.clone(), store.log.clone());
    let end = log.end();
    gates.iter().for_each(|gate| gate.close(&[Op::Sync]));
    let lane = &mut store.lane;
    std::thread::scope(|scope| {
        let commit = commit_beside(scope, lane, Ack::All);
        wait_until(|| that_hang(&gates).len() == 3);
        let (sender, told) = std::sync::mpsc::channel();
        let asked = log.clone();
        scope.spawn(move || sender.send(asked.status().end));
        let told = told.recv_timeout(Duration::from_secs(10));
        gates.iter().for_each(Gate::open);
        commit.join().unwrap();
        assert_eq!(told, Ok(end));
    });
    assert_eq!(log.end().position.0, end.position.0 + 1);
}

#[test]
fn a_payload_of_which_no_copy_is_here_is_not_called_damaged() {
    let mut store = Store::new(Duration::from_secs(600), 26);
    let lane = &mut store.lane;
    let extent = std::thread::scope(|scope| commit_beside(scope, lane, Ack::All).join().unwrap());
    let inner = &store.lane.shared().inner;
    let segment = inner.table.get(extent.segment).unwrap();
    let Layout::Copies(copies) = &segment.layout else { panic!("it is sealed") };
    for (drive, _) in copies {
        inner.set.take_out(*drive, DriveState::Lost, "as the test wants it");
    }
    let read = crate::body::read_payload(inner, &segment, &extent);
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
}

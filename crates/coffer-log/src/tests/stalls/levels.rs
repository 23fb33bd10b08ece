//! What a write may lose at each level when a member is late: it is lost exactly when every drive
//! that had it is.

use super::verdicts::{commit_beside, that_hang, wait_until};
use super::*;

/// What a store holds, by the payloads' places in `extents`.
fn held(log: &Log, extents: &[Extent]) -> u64 {
    let mut groups = 0;
    let end = log.replay(None, &mut |_| {
        groups += 1;
        Ok(())
    });
    end.unwrap();
    for extent in &extents[..groups as usize] {
        assert_eq!(&log.read(extent, 0..extent.len).unwrap()[..], b"a payload");
    }
    groups
}

fn open_on(world: &SimWorld, drives: &[usize]) -> (Log, Lane) {
    let names: Vec<String> = drives.iter().map(|i| format!("d{i}")).collect();
    let (log, lane, _) =
        open_with(world, &names, LogOptions { degraded: true, ..options(4, 2) }).unwrap();
    (log, lane)
}

/// Commits a group inline.
fn commit(lane: &mut Lane) -> Extent {
    std::thread::scope(|scope| commit_beside(scope, lane, Ack::All).join().unwrap())
}

#[test]
fn a_late_member_costs_a_weak_write_only_with_all_that_had_it() {
    for (seed, ack) in (40..).zip([Ack::Primary, Ack::Quorum, Ack::All]) {
        let mut store = Store::new(Duration::from_secs(600), seed);
        let mut extents = vec![commit(&mut store.lane), commit(&mut store.lane)];
        let gates = store.gates.clone();
        gates.iter().for_each(|gate| gate.close(&[Op::Sync]));
        let lane = &mut store.lane;
        let holders = std::thread::scope(|scope| {
            let late = commit_beside(scope, lane, ack);
            wait_until(|| that_hang(&gates).len() == 3);
            let members = that_hang(&gates);
            let holders = members[..ack.copies(3)].to_vec();
            for holder in &holders[1..] {
                gates[*holder].open();
                wait_until(|| gates[*holder].waiting() == 0);
                assert!(!late.is_finished(), "{ack:?}: acknowledged too early");
            }
            gates[holders[0]].open();
            extents.push(late.join().unwrap());
            holders
        });
        // The next one is queued behind the late one, or held as well.
        extents.push(std::thread::scope(|scope| {
            commit_beside(scope, &mut store.lane, ack).join().unwrap()
        }));
        let cut = store.world.fork();
        cut.power_cut_with(Survival::None);

        for (a, b) in (0..6).flat_map(|a| (a..6).map(move |b| (a, b))) {
            let lost = [a, b];
            let here: Vec<usize> = (0..6).filter(|i| !lost.contains(i)).collect();
            let world = cut.fork();
            let (log, mut lane) = open_on(&world, &here);
            let is_lost = holders.iter().all(|holder| lost.contains(holder));
            let what = format!("{ack:?} on {holders:?}, without {lost:?}");
            let found = held(&log, &extents);
            assert_eq!(found, if is_lost { 2 } else { 4 }, "{what}");
            // What was lost stays so, when who had it is back after others went on.
            let mut extents = extents[..found as usize].to_vec();
            extents.push(commit(&mut lane));
            drop((log, lane));
            world.power_cut_with(Survival::None);
            let (log, _) = open_on(&world, &[0, 1, 2, 3, 4, 5]);
            assert_eq!(held(&log, &extents), found + 1, "{what}");
        }
        store.come_back();
    }
}

//! Drives that fail, fill up or lose power while rows are written.

use super::*;

/// What may happen to a drive while a payload is being written.
const TROUBLES: [&str; 5] = ["writes fail", "a sync fails", "removed", "unlinked", "lost silently"];

#[test]
fn what_finish_returns_counts_no_drive_that_was_lost_meanwhile() {
    let rng = SeededRng::new(7);
    for (k, m) in [(1, 1), (2, 1), (2, 2), (4, 2)] {
        for (number, trouble) in TROUBLES.iter().enumerate() {
            for at in 0..4 {
                let store = Store::new(k, m);
                let before = random(&rng, 300_000);
                let kept = store.put(&before, None).unwrap();
                let data = random(&rng, (usize::from(k) << 17) * 3 + 4321);
                let victim = rng.below(store.drives() as u64) as usize;
                let mut writer = store.log.bulk_writer(None).unwrap();
                for (i, piece) in data.chunks(data.len() / 3).enumerate() {
                    if i == at {
                        let name = format!("d{victim}");
                        match number {
                            0 => store
                                .fault(victim, Faults { fail_writes: true, ..Faults::default() }),
                            1 => store
                                .fault(victim, Faults { fail_sync: Some(1), ..Faults::default() }),
                            2 => store.world.remove_drive(&name),
                            3 => {
                                store.fault(victim, Faults { unlinked: true, ..Faults::default() })
                            }
                            _ => {
                                let id = store.inner.set.live()[victim];
                                store.inner.set.take_out(id, DriveState::Lost, "test");
                            }
                        }
                        store.log.watch();
                    }
                    writer.write(piece).unwrap();
                }
                let extents = writer.finish().unwrap();
                let what = format!("{k}+{m}: {trouble} at {at}");
                for extent in &extents {
                    let segment = store.inner.table.get(extent.segment).unwrap();
                    let crate::segment::Layout::Bulk { members, .. } = &segment.layout else {
                        panic!("{what}")
                    };
                    assert!(members.iter().all(|id| store.inner.set.is_live(*id)), "{what}");
                }
                assert_eq!(store.findings(&extents), Vec::<String>::new(), "{what}");
                store.check(&extents, &data, &rng);
                store.check(&kept, &before, &rng);
                assert_eq!(store.inner.bulk.memory_bytes(), 0);
            }
        }
    }
}

#[test]
fn parallel_writers_go_on_over_the_drives_that_are_left() {
    let world = SimWorld::new(11);
    let pool = |name| Arc::new(ThreadPool::new(name, 4).unwrap());
    let seams = Seams {
        clock: Arc::new(StillClock),
        rng: Arc::new(SeededRng::new(11)),
        drives: crate::DriveThreads::Own,
        background: pool("background"),
    };
    let drives = (0..6).map(|i| world.drive(&format!("d{i}")) as Arc<dyn Drive>);
    let (log, _lane, _) = Log::open(drives.collect(), options(4, 2), seams).unwrap();
    let payloads: Vec<(Vec<Extent>, Vec<u8>)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|i| {
                let (log, world) = (log.clone(), world.clone());
                scope.spawn(move || {
                    let rng = SeededRng::new(i);
                    let mut kept = Vec::new();
                    for round in 0..8 {
                        let data = random(&rng, 1 + rng.below(2 << 20) as usize);
                        let mut writer = log.bulk_writer(None).unwrap();
                        let (first, second) = data.split_at(data.len() / 2);
                        writer.write(first).unwrap();
                        if (i, round) == (0, 3) {
                            let fail_writes = Faults { fail_writes: true, ..Faults::default() };
                            world.set_faults("d4", fail_writes);
                        }
                        if (i, round) == (1, 5) {
                            world.remove_drive("d1");
                        }
                        writer.write(second).unwrap();
                        kept.push((writer.finish().unwrap(), data));
                    }
                    kept
                })
            })
            .collect();
        writers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    for (extents, data) in payloads {
        let read = extents.iter().map(|e| log.read(e, 0..e.len).unwrap());
        assert!(read.collect::<Vec<_>>().concat() == data);
    }
}

#[test]
fn when_all_drives_fail_the_writer_says_so() {
    for fault in [
        Faults { fail_writes: true, ..Faults::default() },
        Faults { fail_sync: Some(1), ..Faults::default() },
    ] {
        let store = Store::new(2, 1);
        store.put(&[1; 1000], None).unwrap();
        (0..3).for_each(|drive| store.fault(drive, fault.clone()));
        assert!(store.put(&[2; 1000], None).is_err(), "{fault:?}");
        // A sync that failed is not made good by the next one.
        let mut writer = store.log.bulk_writer(None).unwrap();
        writer.write(&[3; 1000]).ok();
        drop(writer);
        assert_eq!(store.inner.bulk.memory_bytes(), 0);
    }
}

#[test]
fn a_full_drive_is_full_not_broken() {
    let store = Store::new(2, 1);
    let full = Faults { capacity: Some(3 << 20), ..Faults::default() };
    store.fault(1, full);
    let data = vec![7; 400_000];
    let mut puts = Vec::new();
    let error = loop {
        match store.put(&data, None) {
            Ok(extents) => puts.push(extents),
            Err(e) => break e,
        }
        assert!(puts.len() < 100, "the drive never gets full");
    };
    assert_eq!(error, Error::Full);
    assert_eq!(store.inner.set.live().len(), 3);
    assert!(!puts.is_empty());
    store.fault(1, Faults::default());
    puts.push(store.put(&data, None).unwrap());
    for extents in &puts {
        assert_eq!(store.get(extents, 0, 400_000).unwrap(), data);
    }
}

#[test]
fn finished_payloads_survive_a_power_cut_and_syncs_are_why() {
    let rng = SeededRng::new(8);
    for forget_syncs in [false, true] {
        let store = Store::new(2, 1);
        (0..3).for_each(|d| store.fault(d, Faults { forget_syncs, ..Faults::default() }));
        let data = random(&rng, 3_000_000);
        let extents = store.put(&data, None).unwrap();
        // One row is written in another way.
        let small = random(&rng, 70_000);
        let small_extents = store.put(&small, Some(70_000)).unwrap();
        let mut half = store.log.bulk_writer(None).unwrap();
        half.write(&data).unwrap();
        store.world.power_cut_with(Survival::None);
        (0..3).for_each(|d| store.fault(d, Faults::default()));
        drop(half);
        let store = Store::open(store.world.clone(), options(2, 1));
        let read = store.get(&extents, 0, data.len() as u64);
        let small_read = store.get(&small_extents, 0, 70_000);
        if forget_syncs {
            assert!(read.is_err() && small_read.is_err());
            continue;
        }
        assert!(read.unwrap() == data && small_read.unwrap() == small);
        assert_eq!(store.findings(&extents), Vec::<String>::new());
        // What is found at a start is not appended to.
        let more = store.put(&data, None).unwrap();
        let old: BTreeSet<_> = extents.iter().map(|e| e.segment).collect();
        assert!(more.iter().all(|e| !old.contains(&e.segment)));
    }
}

use super::*;
use crate::buffer::AlignedBuf;
use crate::drive::RealDrive;

mod hangs;

fn read_all(drive: &dyn Drive, name: &str) -> io::Result<Vec<u8>> {
    let file = drive.open(name, Access::Buffered)?;
    let mut bytes = vec![0; file.len()? as usize];
    let n = file.read_at(&mut bytes, 0)?;
    assert_eq!(n, bytes.len());
    Ok(bytes)
}

fn kind<T>(result: io::Result<T>) -> Option<io::ErrorKind> {
    result.err().map(|e| e.kind())
}

/// A world with one drive whose file `f` holds `synced`, durable by name and content.
fn settled(seed: u64, synced: &[u8]) -> (SimWorld, Arc<SimDrive>, Arc<dyn DriveFile>) {
    let world = SimWorld::new(seed);
    let drive = world.drive("d");
    let file = drive.create("f", Access::Buffered).unwrap();
    file.write_at(synced, 0, true).unwrap();
    drive.sync_dir().unwrap();
    (world, drive, file)
}

#[test]
fn what_is_synced_survives_and_what_is_not_may_not() {
    for survival in [Survival::None, Survival::All, Survival::Random] {
        let (world, _, file) = settled(1, b"old");
        file.write_at(b"new", 0, false).unwrap();
        world.power_cut_with(survival);
        let after = read_all(&*world.drive("d"), "f").unwrap();
        match survival {
            Survival::None => assert_eq!(after, b"old"),
            Survival::All => assert_eq!(after, b"new"),
            Survival::Random => assert!(after == b"old" || after == b"new"),
        }
        assert!(file.read_at(&mut [0; 1], 0).is_err(), "a handle outlived the cut");
    }
}

#[test]
fn over_the_seeds_a_write_is_kept_and_lost_and_torn_by_sectors() {
    let mut seen = [false; 3];
    for seed in 0..40 {
        let (world, _, file) = settled(seed, &[1; 4096]);
        file.write_at(&[2; 4096], 0, false).unwrap();
        world.power_cut();
        let after = read_all(&*world.drive("d"), "f").unwrap();
        for sector in after.chunks(512) {
            assert!(sector.iter().all(|b| *b == sector[0]), "torn within a sector");
        }
        seen[match after.iter().filter(|b| **b == 2).count() {
            0 => 0,
            4096 => 1,
            _ => 2,
        }] = true;
    }
    assert_eq!(seen, [true; 3]);
}

#[test]
fn over_the_seeds_a_later_write_survives_an_earlier_one() {
    let reordered = (0..40).any(|seed| {
        let (world, _, file) = settled(seed, &[0; 1024]);
        file.write_at(&[1; 512], 0, false).unwrap();
        file.write_at(&[2; 512], 512, false).unwrap();
        world.power_cut();
        let after = read_all(&*world.drive("d"), "f").unwrap();
        after[0] == 0 && after[512] == 2
    });
    assert!(reordered);
}

#[test]
fn a_synchronous_write_does_not_sync_what_came_before() {
    let (world, _, file) = settled(3, &[0; 1024]);
    file.write_at(&[1; 512], 0, false).unwrap();
    file.write_at(&[2; 512], 512, true).unwrap();
    world.power_cut_with(Survival::None);
    let after = read_all(&*world.drive("d"), "f").unwrap();
    assert_eq!((after[0], after[512]), (0, 2));
}

#[test]
fn unsynced_names_go_either_way() {
    let (mut created, mut renamed, mut removed) = ([0; 2], [0; 2], [0; 2]);
    for seed in 0..40 {
        let world = SimWorld::new(seed);
        let drive = world.drive("d");
        for name in ["old", "gone"] {
            drive.create(name, Access::Buffered).unwrap().write_at(b"x", 0, true).unwrap();
        }
        drive.sync_dir().unwrap();
        drive.create("new", Access::Buffered).unwrap().write_at(b"y", 0, true).unwrap();
        drive.rename("old", "moved").unwrap();
        drive.remove("gone").unwrap();
        world.power_cut();
        let drive = world.drive("d");
        let names = drive.list().unwrap();
        let has = |name: &str| names.iter().any(|n| n == name);
        assert!(has("old") != has("moved"), "{names:?}");
        assert_eq!(read_all(&*drive, if has("old") { "old" } else { "moved" }).unwrap(), b"x");
        if has("gone") {
            assert_eq!(read_all(&*drive, "gone").unwrap(), b"x");
        }
        created[usize::from(has("new"))] += 1;
        renamed[usize::from(has("moved"))] += 1;
        removed[usize::from(!has("gone"))] += 1;
    }
    for outcomes in [created, renamed, removed] {
        assert!(outcomes[0] > 0 && outcomes[1] > 0);
    }
}

#[test]
fn a_synced_directory_keeps_its_names() {
    let (world, drive, _file) = settled(5, b"x");
    drive.create("new", Access::Buffered).unwrap();
    drive.rename("new", "f").unwrap();
    drive.sync_dir().unwrap();
    world.power_cut_with(Survival::None);
    assert_eq!(world.drive("d").list().unwrap(), ["f"]);
    assert_eq!(read_all(&*world.drive("d"), "f").unwrap(), b"");
}

#[test]
fn an_open_file_outlives_its_name() {
    let (_world, drive, file) = settled(6, b"still here");
    drive.remove("f").unwrap();
    drive.sync_dir().unwrap();
    let mut back = [0; 10];
    assert_eq!(file.read_at(&mut back, 0).unwrap(), 10);
    assert_eq!(&back, b"still here");
}

#[test]
fn the_power_goes_at_the_operation_asked_for() {
    let (world, drive, file) = settled(7, b"old");
    assert_eq!(world.operations(), 3);
    world.cut_power_at(5);
    file.write_at(b"4th", 0, true).unwrap();
    assert!(file.write_at(b"5th", 0, true).is_err());
    assert!(world.is_down());
    assert!(drive.list().is_err());
    let fork = world.fork();
    world.power_cut_with(Survival::None);
    assert_eq!(read_all(&*world.drive("d"), "f").unwrap(), b"4th");
    // The one that was cut was under way.
    fork.power_cut_with(Survival::All);
    assert_eq!(read_all(&*fork.drive("d"), "f").unwrap(), b"5th");
}

#[test]
fn forks_share_nothing() {
    let (world, _, file) = settled(8, b"before");
    let fork = world.fork();
    file.write_at(b"after!", 0, true).unwrap();
    world.remove_drive("d");
    assert_eq!(read_all(&*fork.drive("d"), "f").unwrap(), b"before");
}

#[test]
fn an_observer_sees_each_operation_under_way() {
    let (world, _, file) = settled(9, b"0");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let push = seen.clone();
    world.observe(Some(Box::new(move |operation, world| {
        let (kept, fork) = (world.fork(), world.fork());
        kept.power_cut_with(Survival::All);
        fork.power_cut_with(Survival::None);
        let read = |world: SimWorld| read_all(&*world.drive("d"), "f").unwrap();
        push.lock().unwrap().push((operation, read(fork), read(kept)));
    })));
    file.write_at(b"1", 0, true).unwrap();
    file.write_at(b"2", 0, false).unwrap();
    file.sync().unwrap();
    world.observe(None);
    let expected = [(4, b"0", b"1"), (5, b"1", b"2"), (6, b"1", b"2")];
    let expected = expected.map(|(n, none, all)| (n, none.to_vec(), all.to_vec()));
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[test]
fn a_failed_sync_keeps_its_writes_or_loses_them_for_good() {
    let mut seen = [0; 2];
    for seed in 0..40 {
        let (world, _, file) = settled(seed, b"old");
        world.set_faults("d", Faults { fail_sync: Some(2), ..Faults::default() });
        file.write_at(b"one", 0, true).unwrap();
        file.write_at(b"two", 0, false).unwrap();
        assert!(file.sync().is_err());
        file.sync().unwrap();
        // The page cache still shows it, the device may not.
        assert_eq!(read_all(&*world.drive("d"), "f").unwrap(), b"two");
        let direct = world.drive("d").open("f", Access::Direct).unwrap();
        let mut block = AlignedBuf::zeroed(ALIGN);
        assert_eq!(direct.read_at(&mut block, 0).unwrap(), 3);
        let device = block[..3].to_vec();
        world.power_cut_with(Survival::All);
        assert_eq!(read_all(&*world.drive("d"), "f").unwrap(), device);
        assert!(device == b"one" || device == b"two", "{device:?}");
        seen[usize::from(device == b"two")] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn the_nth_write_fails_and_changes_nothing() {
    let (world, _, file) = settled(16, b"old");
    world.set_faults("d", Faults { fail_write: Some(2), ..Faults::default() });
    file.write_at(b"one", 0, false).unwrap();
    assert!(file.write_at(b"two", 0, true).is_err());
    assert_eq!(read_all(&*world.drive("d"), "f").unwrap(), b"one");
    file.write_at(b"3rd", 0, true).unwrap();
}

#[test]
fn a_misdirected_write_lands_elsewhere_and_says_nothing() {
    let block = |n: u8| [n; 4096];
    let mut lost = false;
    for seed in 0..20 {
        let (world, drive, file) = settled(seed, &[block(1), block(2)].concat());
        drive.create("g", Access::Buffered).unwrap().write_at(&block(3), 0, true).unwrap();
        drive.sync_dir().unwrap();
        world.set_faults("d", Faults { misdirect_writes: Some(1), ..Faults::default() });
        file.write_at(&block(4), 0, true).unwrap();
        let mut seen = block(0);
        file.read_at(&mut seen, 0).unwrap();
        assert_eq!(seen, block(4), "the page cache has it");
        world.power_cut_with(Survival::All);
        let drive = world.drive("d");
        let all = [read_all(&*drive, "f").unwrap(), read_all(&*drive, "g").unwrap()].concat();
        let first: Vec<u8> = all.chunks(4096).map(|block| block[0]).collect();
        // At one place there is what should be at the start of the first file.
        assert_eq!(first.iter().filter(|n| **n == 4).count(), 1, "{first:?}");
        lost |= first[0] == 1;
    }
    assert!(lost);
}

#[test]
fn a_misdirected_read_gives_another_block_and_a_stale_one_an_old_version() {
    let (world, _, file) = settled(18, &[[1; 4096], [2; 4096]].concat());
    file.write_at(&[3; 4096], 0, true).unwrap();
    let read = || {
        let mut block = [9; 4096];
        assert_eq!(file.read_at(&mut block, 0).unwrap(), 4096);
        block[0]
    };
    assert_eq!(read(), 3);
    world.set_faults("d", Faults { stale_reads: Some(1), ..Faults::default() });
    assert_eq!(read(), 1);
    world.set_faults("d", Faults { misdirect_reads: Some(1), ..Faults::default() });
    let reads: Vec<u8> = (0..20).map(|_| read()).collect();
    assert!(reads.contains(&2), "{reads:?}");
    world.set_faults("d", Faults { misdirect_reads: Some(4), ..Faults::default() });
    let wrong = (0..100).filter(|_| read() != 3).count();
    assert!((1..50).contains(&wrong), "{wrong} of 100 with half of a rate of one in four");
}

#[test]
fn a_full_drive_takes_nothing_and_gives_all() {
    let (world, drive, file) = settled(19, b"old");
    file.allocate(100).unwrap();
    let full = Some(io::ErrorKind::StorageFull);
    world.set_faults("d", Faults { full_for_overwrites: true, ..Faults::default() });
    assert_eq!(kind(file.write_at(b"new", 0, true)), full);
    world.set_faults("d", Faults { full: true, ..Faults::default() });
    file.write_at(b"old", 0, true).unwrap();
    file.write_at(b"", 100, true).unwrap();
    assert_eq!(kind(file.write_at(b"beyond", 95, true)), full);
    assert_eq!(kind(drive.create("g", Access::Buffered)), full);
    assert_eq!(kind(file.allocate(200)), full);
    assert_eq!(read_all(&*drive, "f").unwrap(), b"old");
    drive.rename("f", "h").unwrap();
    drive.remove("h").unwrap();
    world.set_faults("d", Faults::default());
    assert_eq!(world.refused_for_space("d"), 4, "it is known when there is room again");
}

#[test]
fn a_strike_hits_at_its_operation() {
    let (world, _, file) = settled(20, b"old");
    let next = world.operations() + 1;
    world.strike_at(next + 1, "d", Strike::Remove);
    file.write_at(b"one", 0, true).unwrap();
    assert_eq!(kind(file.write_at(b"two", 0, true)), Some(io::ErrorKind::NotFound));
    world.restore_drive("d");
    world.strike_at(
        next + 2,
        "d",
        Strike::Faults(Faults { fail_writes: true, ..Faults::default() }),
    );
    assert!(file.write_at(b"two", 0, true).is_err());
    world.set_faults("d", Faults::default());
    world.strike_at(next + 3, "d", Strike::Remove);
    world.call_off_strikes();
    file.write_at(b"two", 0, true).unwrap();
}

#[test]
fn planted_syncs_do_nothing_and_others_do() {
    let gone = |forget: Forget, act: &dyn Fn(&SimWorld)| {
        let world = SimWorld::new(21);
        let drive = world.drive("d");
        drive.create("a.copy", Access::Buffered).unwrap().write_at(b"old", 0, true).unwrap();
        drive.sync_dir().unwrap();
        let faults = Faults { forget: vec![forget], ..Faults::default() };
        world.set_faults("d", faults);
        act(&world);
        world.power_cut_with(Survival::None);
        let drive = world.drive("d");
        let names = drive.list().unwrap();
        names.into_iter().map(|n| (read_all(&*drive, &n).unwrap(), n)).collect::<Vec<_>>()
    };
    let overwrite = |sync: bool| {
        move |world: &SimWorld| {
            let file = world.drive("d").open("a.copy", Access::Buffered).unwrap();
            file.write_at(b"new", 0, sync).unwrap();
            if !sync {
                file.sync().unwrap();
            }
        }
    };
    let create = |world: &SimWorld| {
        let drive = world.drive("d");
        let file = drive.create("b.copy", Access::Buffered).unwrap();
        file.write_at(b"new", 0, false).unwrap();
        file.sync().unwrap();
        drive.sync_dir().unwrap();
    };
    let rename = |world: &SimWorld| {
        let drive = world.drive("d");
        drive.rename("a.copy", "a.cell").unwrap();
        drive.sync_dir().unwrap();
    };
    let elsewhere = |world: &SimWorld| {
        world.drive("d").rename("a.copy", "a.cell").unwrap();
        world.drive("d").sync_dir().unwrap();
    };
    let old = |name: &str| (b"old".to_vec(), name.to_owned());
    let new = |name: &str| (b"new".to_vec(), name.to_owned());
    let copies = || ".copy".to_owned();
    assert_eq!(gone(Forget::Writes(copies()), &overwrite(true)), [old("a.copy")]);
    assert_eq!(gone(Forget::Writes(copies()), &overwrite(false)), [new("a.copy")]);
    assert_eq!(gone(Forget::Writes(".cell".into()), &overwrite(true)), [new("a.copy")]);
    assert_eq!(gone(Forget::LaterSyncs("a.".into()), &overwrite(false)), [old("a.copy")]);
    assert_eq!(gone(Forget::NewSyncs(copies()), &overwrite(false)), [new("a.copy")]);
    let empty = (Vec::new(), "b.copy".to_owned());
    assert_eq!(gone(Forget::NewSyncs(copies()), &create), [old("a.copy"), empty]);
    assert_eq!(gone(Forget::Created(copies()), &create), [old("a.copy")]);
    assert_eq!(gone(Forget::Renamed(copies()), &create), [old("a.copy"), new("b.copy")]);
    assert_eq!(gone(Forget::Renamed(".cell".into()), &rename), [old("a.copy")]);
    assert_eq!(gone(Forget::NamesOfBefore, &rename), [old("a.cell")]);
    assert_eq!(gone(Forget::NamesOfBefore, &elsewhere), [old("a.copy")]);
}

#[test]
fn an_old_copy_and_an_empty_drive_take_the_place_of_one() {
    let (world, _, file) = settled(22, b"old");
    let older = world.fork();
    older.power_cut_with(Survival::All);
    file.write_at(b"new", 0, true).unwrap();
    world.power_cut_with(Survival::All);
    world.put_back("d", &older);
    assert_eq!(read_all(&*world.drive("d"), "f").unwrap(), b"old");
    assert_eq!(world.files("d"), [("f".to_owned(), 3)]);
    world.replace_drive("d");
    assert_eq!(world.files("d"), []);
}

#[test]
fn faults_do_what_they_say() {
    let (world, drive, file) = settled(11, b"synced");
    let set = |faults| world.set_faults("d", faults);

    set(Faults { capacity: Some(8), ..Faults::default() });
    file.write_at(b"8 bytes.", 0, false).unwrap();
    assert_eq!(kind(file.write_at(b"9", 8, false)), Some(io::ErrorKind::StorageFull));
    assert_eq!(kind(file.allocate(9)), Some(io::ErrorKind::StorageFull));
    assert_eq!(drive.space().unwrap(), Space { total: 8, free: 0 });

    set(Faults { fail_reads: true, fail_writes: true, ..Faults::default() });
    assert!(file.read_at(&mut [0], 0).is_err());
    assert!(file.write_at(b"x", 0, false).is_err());

    set(Faults { unlinked: true, ..Faults::default() });
    assert_eq!(kind(drive.probe()), Some(io::ErrorKind::NotFound));
    assert_eq!(kind(drive.open("f", Access::Buffered)), Some(io::ErrorKind::NotFound));
    file.write_at(b"x", 0, true).unwrap();

    set(Faults { forget_syncs: true, ..Faults::default() });
    file.write_at(b"forgotten", 0, true).unwrap();
    file.sync().unwrap();
    drive.create("forgotten", Access::Buffered).unwrap();
    drive.sync_dir().unwrap();
    world.power_cut_with(Survival::None);
    assert_eq!(world.drive("d").list().unwrap(), ["f"]);
    assert_eq!(read_all(&*world.drive("d"), "f").unwrap(), b"xynced");

    set(Faults::default());
    assert!(world.flip_bit("d", "f", 1, 0));
    assert!(!world.flip_bit("d", "f", 6, 0) && !world.flip_bit("d", "g", 0, 0));
    assert_eq!(read_all(&*world.drive("d"), "f").unwrap(), b"xxnced");

    let (drive, file) = (world.drive("d"), world.drive("d").open("f", Access::Buffered).unwrap());
    world.remove_drive("d");
    assert_eq!(kind(drive.probe()), Some(io::ErrorKind::NotFound));
    assert!(file.read_at(&mut [0], 0).is_err());
    world.restore_drive("d");
    assert_eq!(file.read_at(&mut [0], 0).unwrap(), 1);
}

#[test]
fn direct_access_insists_on_alignment() {
    let world = SimWorld::new(12);
    let file = world.drive("d").create("f", Access::Direct).unwrap();
    let block = AlignedBuf::zeroed(2 * ALIGN);
    file.write_at(&block, ALIGN as u64, false).unwrap();
    assert!(file.write_at(&block[..100], 0, false).is_err());
    assert!(file.write_at(&block[1..ALIGN + 1], 0, false).is_err());
    assert!(file.write_at(&block, 512, false).is_err());
}

#[test]
fn the_same_calls_leave_the_same_trace() {
    let run = |seed| {
        let (world, _, file) = settled(seed, b"one");
        file.write_at(b"two", 0, false).unwrap();
        world.power_cut();
        (world.trace(), read_all(&*world.drive("d"), "f").unwrap())
    };
    assert_eq!(run(13), run(13));
    assert_ne!(run(13).0, run(14).0);
}

/// Random calls on a real and a simulated drive give the same answers and the same contents.
#[test]
fn it_agrees_with_a_real_drive() {
    let dir = tempfile::tempdir().unwrap();
    let real = RealDrive::open(dir.path()).unwrap();
    let world = SimWorld::new(0);
    let sim = world.drive("sim");
    let drives: [&dyn Drive; 2] = [&real, &*sim];
    let rng = SeededRng::new(15);
    let mut open: Vec<[Arc<dyn DriveFile>; 2]> = Vec::new();
    for step in 0..3000 {
        let name = |n: u64| format!("file-{n}");
        let (a, b) = (name(rng.below(6)), name(rng.below(6)));
        let (x, y) = (rng.below(30_000), rng.below(9_000));
        let sync = rng.below(8) == 0;
        let mut data = vec![0; y as usize];
        rng.fill(&mut data);
        let which = rng.below(open.len().max(1) as u64) as usize;
        let answers = match (rng.below(12), open.get(which)) {
            (0 | 1, _) => {
                let files = drives.map(|d| d.create(&a, Access::Buffered));
                let kinds = [0, 1].map(|i| files[i].as_ref().err().map(|e| e.kind()));
                if let [Ok(one), Ok(two)] = files {
                    open.push([one, two]);
                }
                kinds.map(|k| format!("{k:?}"))
            }
            (2, _) => {
                let files = drives.map(|d| d.open(&a, Access::Buffered));
                let kinds = [0, 1].map(|i| files[i].as_ref().err().map(|e| e.kind()));
                if let [Ok(one), Ok(two)] = files {
                    open.push([one, two]);
                }
                kinds.map(|k| format!("{k:?}"))
            }
            (3, _) => drives.map(|d| format!("{:?}", kind(d.rename(&a, &b)))),
            (4, _) => drives.map(|d| format!("{:?}", kind(d.remove(&a)))),
            (5, _) => drives.map(|d| format!("{:?} {:?}", d.list().unwrap(), kind(d.sync_dir()))),
            (6, Some(files)) => files.each_ref().map(|f| {
                f.set_len(x).unwrap();
                format!("{:?}", f.sync())
            }),
            (7, Some(files)) => files.each_ref().map(|f| {
                let mut back = vec![0; data.len()];
                let n = f.read_at(&mut back, x).unwrap();
                format!("{} {n} {:?}", f.len().unwrap(), &back[..n])
            }),
            (8, Some(_)) => {
                open.swap_remove(which);
                continue;
            }
            (_, Some(files)) => files.each_ref().map(|f| {
                f.allocate(x).unwrap();
                format!("{:?}", f.write_at(&data, x, sync))
            }),
            (_, None) => continue,
        };
        assert_eq!(answers[0], answers[1], "step {step}");
    }
    assert_eq!(real.list().unwrap(), sim.list().unwrap());
    assert!(real.barriers() > 0 && real.barriers() == sim.barriers());
    for name in real.list().unwrap() {
        assert_eq!(read_all(&real, &name).unwrap(), read_all(&*sim, &name).unwrap(), "{name}");
    }
}

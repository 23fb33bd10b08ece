use std::collections::BTreeSet;

use super::*;

fn at(dir: Ino, name: &str) -> Entry {
    Entry { dir, name: name.into() }
}

fn events(list: Vec<(usize, What)>) -> Vec<Event> {
    // One after another, and none under way when another happens.
    let one = |(number, (drive, what))| Event { drive, arrived: number + 1, what };
    list.into_iter().enumerate().map(one).collect()
}

fn create(name: &str, ino: Ino) -> What {
    What::Create { at: at(ROOT, name), ino, kind: Kind::File }
}

fn write(ino: Ino, offset: u64, data: &[u8], durable: bool) -> What {
    What::Write { ino, offset, data: data.into(), durable }
}

/// What is left of file `name` of drive 0 after a cut.
fn left(events: &[Event], at: usize, seed: u64, forget: Option<&str>) -> Option<Vec<u8>> {
    left_of(events, at, seed, forget, "a")
}

fn left_of(
    events: &[Event],
    at: usize,
    seed: u64,
    forget: Option<&str>,
    name: &str,
) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let cut = Cut { at, seed, forget_syncs: forget.map(str::to_owned) };
    materialise(events, &cut, &[folder.path().join("d0")]).unwrap();
    fs::read(folder.path().join("d0").join(name)).ok()
}

fn a_file() -> Vec<Event> {
    events(vec![
        (0, create("a", 2)),
        (0, What::SyncDir { dir: ROOT }),
        (0, write(2, 0, &[1; 2048], false)),
        (0, What::Sync { ino: 2, good: true }),
        (0, write(2, 0, &[2; 1024], true)),
        (0, write(2, 1024, &[3; 1024], false)),
    ])
}

#[test]
fn what_was_synced_before_the_cut_is_left_whatever_the_seed() {
    let events = a_file();
    for seed in 0..200 {
        let found = left(&events, 4, seed, None).unwrap();
        assert_eq!(found, vec![1; 2048], "seed {seed}");
        let found = left(&events, 6, seed, None).unwrap();
        assert_eq!(found[..1024], [2; 1024], "seed {seed}");
        assert!(found[1024..].iter().all(|byte| [1, 3].contains(byte)), "seed {seed}");
    }
}

#[test]
fn what_was_not_synced_is_there_lost_or_torn() {
    let events = a_file();
    let found: BTreeSet<Vec<u8>> =
        (0..300).map(|seed| left(&events, 6, seed, None).unwrap()).collect();
    // Two sectors of the last write, each there or not.
    assert_eq!(found.len(), 4);
    let names: BTreeSet<bool> =
        (0..50).map(|seed| left(&events, 1, seed, None).is_some()).collect();
    assert_eq!(names.len(), 2, "a name is there or not");
    let lengths: BTreeSet<usize> =
        (0..300).map(|seed| left(&events, 3, seed, None).unwrap().len()).collect();
    assert_eq!(lengths, BTreeSet::from([0, 2048]));
}

#[test]
fn what_was_under_way_is_there_lost_or_torn_and_not_durable() {
    let mut list = a_file();
    let before = |list: &[Event]| -> BTreeSet<Vec<u8>> {
        (0..300).map(|seed| left(list, 4, seed, None).unwrap()).collect()
    };
    assert_eq!(before(&list).len(), 1, "it was asked for later");
    list[4].arrived = 4;
    assert_eq!(before(&list).len(), 4, "two sectors, each there or not");
}

#[test]
fn a_sync_saves_only_what_came_before_it_was_asked_for() {
    let mut list = a_file();
    assert!((0..100).all(|seed| left(&list, 4, seed, None).unwrap() == [1; 2048]));
    list[3].arrived = 2;
    let found: BTreeSet<usize> =
        (0..300).map(|seed| left(&list, 4, seed, None).unwrap().len()).collect();
    assert_eq!(found, BTreeSet::from([0, 2048]));
}

#[test]
fn the_same_seed_leaves_the_same() {
    let events = a_file();
    for seed in 0..50 {
        assert_eq!(left(&events, 6, seed, None), left(&events, 6, seed, None));
    }
}

#[test]
fn forgotten_syncs_lose_what_they_should_have_kept() {
    let events = a_file();
    let losses = |forget| (0..60).filter(|seed| left(&events, 5, *seed, forget).is_none()).count();
    assert_eq!(losses(None), 0);
    assert!(losses(Some("*")) > 5);
    assert_eq!(losses(Some("another")), 0);
    let torn = (0..60).any(|seed| left(&events, 5, seed, Some("a")).unwrap() != [2; 2048]);
    assert!(torn);
}

#[test]
fn a_failed_sync_loses_what_the_next_one_can_not_save() {
    let mut list = a_file();
    list.truncate(4);
    list.extend(events(vec![
        (0, write(2, 0, &[9; 512], false)),
        (0, What::Sync { ino: 2, good: false }),
        (0, What::Sync { ino: 2, good: true }),
    ]));
    let found: BTreeSet<u8> = (0..100).map(|seed| left(&list, 7, seed, None).unwrap()[0]).collect();
    assert_eq!(found, BTreeSet::from([1, 9]), "what the kernel wrote before may be there");
}

#[test]
fn later_writes_can_survive_earlier_ones_and_drives_decide_apart() {
    let list = events(vec![
        (0, create("a", 2)),
        (0, What::SyncDir { dir: ROOT }),
        (0, write(2, 0, &[1; 512], false)),
        (0, write(2, 512, &[1; 512], false)),
        (1, create("b", 2)),
        (1, What::SyncDir { dir: ROOT }),
        (1, write(2, 0, &[1; 512], false)),
    ]);
    let mut seen = BTreeSet::new();
    for seed in 0..300 {
        let folder = tempfile::tempdir().unwrap();
        let into = [folder.path().join("d0"), folder.path().join("d1")];
        materialise(&list, &Cut { at: 7, seed, forget_syncs: None }, &into).unwrap();
        let (a, b) = (fs::read(into[0].join("a")).unwrap(), fs::read(into[1].join("b")).unwrap());
        let has = |bytes: &[u8], at: usize| bytes.get(at) == Some(&1);
        seen.insert((has(&a, 0), has(&a, 512), has(&b, 0)));
    }
    assert_eq!(seen.len(), 8);
}

#[test]
fn directories_and_names_that_moved_are_written_out() {
    let list = events(vec![
        (0, What::Create { at: at(ROOT, "d"), ino: 2, kind: Kind::Dir }),
        (0, What::Create { at: at(2, "tmp"), ino: 3, kind: Kind::File }),
        (0, write(3, 0, b"abc", false)),
        (0, What::Sync { ino: 3, good: true }),
        (0, What::Rename { from: at(2, "tmp"), to: at(2, "name") }),
        (0, What::SyncDir { dir: 2 }),
        (0, What::SyncDir { dir: ROOT }),
        (0, What::Remove { at: at(2, "name") }),
    ]);
    for seed in 0..20 {
        assert_eq!(left_of(&list, 7, seed, None, "d/name").as_deref(), Some(&b"abc"[..]));
        assert_eq!(left_of(&list, 7, seed, None, "d/tmp"), None);
    }
    let removed: BTreeSet<bool> =
        (0..60).map(|seed| left_of(&list, 8, seed, None, "d/name").is_none()).collect();
    assert_eq!(removed.len(), 2);
}

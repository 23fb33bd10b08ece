use std::ops::Bound;
use std::time::Instant;

use coffer_base::Ack;
use coffer_base::drive::{Gate, GatedDrive, Op};
use coffer_catalog::{Catalog, Sequencing, TxnError};
use coffer_log::{Lane, LogOptions, Seams};

use super::*;

struct Bench {
    root: tempfile::TempDir,
    places: Vec<Place>,
}

impl Bench {
    fn new() -> Bench {
        let root = tempfile::tempdir().unwrap();
        let places = ["d1", "d2"].map(|name| {
            let drive = Arc::new(RealDrive::create(&root.path().join(name)).unwrap());
            Place { dir: root.path().join(name).join("index"), drive }
        });
        Bench { places: places.to_vec(), root }
    }

    fn log(&self) -> (Log, Lane) {
        self.log_over(self.places.iter().map(|place| place.drive.clone()).collect())
    }

    fn log_over(&self, drives: Vec<Arc<dyn Drive>>) -> (Log, Lane) {
        let options = LogOptions {
            k: 1,
            m: 1,
            degraded: true,
            force: true,
            stall_limit: Duration::from_millis(500),
            probe_interval: None,
            ..LogOptions::default()
        };
        let (log, lane, _) = Log::open(drives, options, Seams::real(2).unwrap()).unwrap();
        (log, lane)
    }

    fn catalog(&self) -> (Catalog, Arc<Roaming>) {
        let (log, lane) = self.log();
        let engine = Arc::new(Roaming::open(log.clone(), self.places.clone()).unwrap());
        (Catalog::open(log, lane, engine.clone(), Sequencing::Thread).unwrap(), engine)
    }
}

fn put(catalog: &Catalog, n: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plan = move |txn: &mut coffer_catalog::Txn<'_>| -> Result<(), TxnError> {
        txn.put(format!("k{n:06}").as_bytes(), &n.to_le_bytes());
        txn.add(b"total", &[1]);
        Ok(())
    };
    runtime.block_on(catalog.commit(Ack::All, 100, plan)).unwrap();
}

fn check(catalog: &Catalog, keys: u64) {
    let snapshot = catalog.snapshot();
    let found = snapshot.range(Bound::Included(b"k"), Bound::Excluded(b"l"));
    let found: Vec<_> = found.map(|entry| entry.unwrap().1.to_vec()).collect();
    assert_eq!(found, (0..keys).map(|n| n.to_le_bytes().to_vec()).collect::<Vec<_>>());
    let total = catalog.get(b"total").unwrap().unwrap();
    assert_eq!(coffer_catalog::decode_counters(&total), [keys as i64]);
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_index_moves_when_its_directory_goes_while_commits_go_on() {
    let bench = Bench::new();
    let (catalog, engine) = bench.catalog();
    (0..100).for_each(|n| put(&catalog, n));
    std::fs::remove_dir_all(bench.root.path().join("d1/index")).unwrap();
    // Commits before, during and after the move.
    let mut n = 100;
    wait_until("the index moved", || {
        put(&catalog, n);
        n += 1;
        check(&catalog, n);
        engine.inner.current().at == 1
    });
    (n..n + 100).for_each(|n| put(&catalog, n));
    check(&catalog, n + 100);
    catalog.close().unwrap();
    drop((catalog, engine));

    // What it wrote in the new place is whole: the next start finds it there.
    let (log, lane) = bench.log();
    let places = bench.places[1..].to_vec();
    let engine = Arc::new(Roaming::open(log.clone(), places).unwrap());
    let catalog = Catalog::open(log, lane, engine, Sequencing::Thread).unwrap();
    assert_eq!(catalog.status().unwrap().rebuilt, None);
    check(&catalog, n + 100);
}

#[test]
fn the_index_leaves_a_drive_that_hangs_while_commits_go_on() {
    let bench = Bench::new();
    let gate = Gate::default();
    let drives: Vec<Arc<dyn Drive>> = vec![
        Arc::new(GatedDrive::new(bench.places[0].drive.clone(), gate.clone())),
        bench.places[1].drive.clone(),
    ];
    let (log, lane) = bench.log_over(drives);
    let engine = Arc::new(Roaming::open(log.clone(), bench.places.clone()).unwrap());
    let catalog = Catalog::open(log.clone(), lane, engine.clone(), Sequencing::Thread).unwrap();
    (0..100).for_each(|n| put(&catalog, n));
    gate.close(&Op::ALL);
    let mut n = 100;
    wait_until("the index moved", || {
        put(&catalog, n);
        n += 1;
        check(&catalog, n);
        engine.inner.current().at == 1
    });
    assert!(log.hung(&bench.places[0].drive.label()).is_some());
    (n..n + 100).for_each(|n| put(&catalog, n));
    check(&catalog, n + 100);
    gate.open();
    catalog.close().unwrap();
}

#[test]
fn an_index_that_takes_no_more_moves_within_the_commit() {
    let bench = Bench::new();
    let (catalog, engine) = bench.catalog();
    (0..10).for_each(|n| put(&catalog, n));
    std::fs::remove_dir_all(bench.root.path().join("d1/index")).unwrap();
    // The engine notices that it can't write: from now on it refuses.
    assert!(engine.persist().is_err());
    put(&catalog, 10);
    check(&catalog, 11);
    assert_ne!(engine.inner.current().home, bench.places[0].dir);
    catalog.close().unwrap();
}

#[test]
fn with_nowhere_to_go_the_error_is_told() {
    let bench = Bench::new();
    let (log, _lane) = bench.log();
    let roaming = Roaming::open(log, bench.places[..1].to_vec()).unwrap();
    let error = EngineError::Io("gone".into());
    // On the same drive there is always the other home.
    let old = Arc::downgrade(&roaming.inner.current());
    assert_eq!(roaming.inner.wait_for_move(&old, error, None), Ok(()));
    assert!(roaming.inner.current().home.ends_with("index/second"));

    let bench = Bench::new();
    let (log, _lane) = bench.log();
    let roaming = Roaming::open(log, bench.places.clone()).unwrap();
    for drive in ["d1", "d2"] {
        std::fs::remove_dir_all(bench.root.path().join(drive)).unwrap();
    }
    let gone = EngineError::Io("gone".into());
    let old = Arc::downgrade(&roaming.inner.current());
    let error = roaming.inner.wait_for_move(&old, gone, None).unwrap_err();
    assert!(error.to_string().contains("no other drive is there"), "{error}");
}

#[test]
fn a_group_that_the_new_index_has_already_is_not_applied_again() {
    let bench = Bench::new();
    let (catalog, engine) = bench.catalog();
    (0..5).for_each(|n| put(&catalog, n));
    let mark = engine.mark().unwrap().unwrap();
    let old = Mark { position: coffer_base::Position(mark.position.0 - 1), ..mark };
    engine.apply(vec![Write::Delete { key: Bytes::from_static(b"k000004") }], old).unwrap();
    check(&catalog, 5);
    catalog.close().unwrap();
}

#[test]
fn damage_that_a_read_meets_is_healed_and_nothing_wrong_is_answered() {
    let bench = Bench::new();
    let (catalog, engine) = bench.catalog();
    (0..800).for_each(|n| put(&catalog, n));
    catalog.close().unwrap();
    drop((catalog, engine));
    let (mut healed, mut seconds) = (0, 0);
    for round in 0..24 {
        let home = home::of(&bench.places[0].dir);
        seconds += u32::from(home.ends_with("second"));
        let tables = std::fs::read_dir(home.join("tree/tables")).unwrap();
        let table = tables.map(|entry| entry.unwrap().path()).max().unwrap();
        let mut bytes = std::fs::read(&table).unwrap();
        let at = bytes.len() * round / 24;
        bytes[at] ^= 1 << (round % 8);
        std::fs::write(&table, bytes).unwrap();
        let (catalog, engine) = bench.catalog();
        for n in 0..800_u64 {
            let key = format!("k{n:06}");
            let read = catalog.get(key.as_bytes()).unwrap();
            assert_eq!(read.as_deref(), Some(&n.to_le_bytes()[..]), "{key} with byte {at} flipped");
        }
        wait_until("a scan is whole", || {
            let snapshot = catalog.snapshot();
            let mut all = snapshot.range(Bound::Included(b"k"), Bound::Excluded(b"l"));
            all.all(|entry| entry.is_ok())
        });
        check(&catalog, 800);
        healed += engine.health().remade.load(Ordering::Relaxed);
        assert_eq!(engine.health().making(), None);
        catalog.close().unwrap();
    }
    assert!(healed > 3, "{healed} healed while running");
    assert!(seconds > 0, "the other home was never in use");
}

#[test]
fn what_is_wrong_with_an_old_index_is_not_held_against_the_new_one() {
    let bench = Bench::new();
    let (catalog, engine) = bench.catalog();
    (0..10).for_each(|n| put(&catalog, n));
    let inner = &engine.inner;
    let old = Arc::downgrade(&inner.current());
    inner.make(1, bench.places[1].dir.clone()).unwrap();
    let error = EngineError::Damaged("a snapshot of before met it".into());
    inner.want(&old, &error);
    assert_eq!(inner.wait_for_move(&old, error, Some(Duration::ZERO)), Ok(()));
    let state = inner.state();
    assert_eq!((&state.wanted, state.tried), (&None, 0));
    drop(state);
    assert_eq!(inner.current().at, 1);
    check(&catalog, 10);
}

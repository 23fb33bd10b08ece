//! The catalog over a real log: on simulated drives with the engine in memory, and on real files
//! with the real engine.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use coffer_base::drive::{Drive, Faults, RealDrive, SimWorld};
use coffer_base::rng::SeededRng;
use coffer_base::wire::Reader;
use coffer_base::{Ack, Position, Rng, StillClock};
use coffer_catalog::{
    Catalog, CommitError, Engine, EngineOptions, Leading, LsmEngine, MemEngine, OpenOptions,
    Sequencing, Txn, TxnError, decode_counters,
};
use coffer_log::{Chain, Extent, Lane, Log, LogOptions, Mark, Seams};

fn options() -> LogOptions {
    LogOptions { commit_segment_bytes: 1 << 20, probe_interval: None, ..LogOptions::default() }
}

fn sim_log(world: &SimWorld) -> (Log, Lane) {
    let drives: Vec<Arc<dyn Drive>> = vec![world.drive("d0")];
    let seams = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(5)));
    let (log, lane, _) = Log::open(drives, options(), seams).expect("the log opens");
    (log, lane)
}

fn real_log(dir: &std::path::Path) -> (Log, Lane) {
    let path = dir.join("drive");
    let drive = if path.exists() { RealDrive::open(&path) } else { RealDrive::create(&path) };
    let drives: Vec<Arc<dyn Drive>> = vec![Arc::new(drive.expect("the directory opens"))];
    let seams = Seams::real(1).expect("threads start");
    let (log, lane, _) = Log::open(drives, options(), seams).expect("the log opens");
    (log, lane)
}

fn small() -> EngineOptions {
    EngineOptions { cache_bytes: 1 << 20, write_buffer_bytes: 64 << 10, hot_bytes: 64 << 10 }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it starts");
    runtime.block_on(future)
}

/// What a plan does.
#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Add(Vec<u8>, Vec<i64>),
    Append(Vec<u8>, Vec<u8>),
    Get(Vec<u8>),
    Range(Vec<u8>, Vec<u8>, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Accept,
    Reject,
    Panic,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Refused {
    ByPlan,
    Index(TxnError),
}

impl From<TxnError> for Refused {
    fn from(error: TxnError) -> Self {
        Refused::Index(error)
    }
}

/// What a plan has read.
type Seen = Vec<(Vec<u8>, Vec<u8>)>;

fn run(txn: &mut Txn<'_>, steps: &[Step], ending: Ending) -> Result<Seen, Refused> {
    let mut seen = Vec::new();
    for step in steps {
        match step {
            Step::Put(key, value) => txn.put(key, value),
            Step::Delete(key) => txn.delete(key),
            Step::Add(key, deltas) => txn.add(key, deltas),
            Step::Append(key, payload) => {
                let mut extent = Vec::new();
                txn.append(payload).encode(&mut extent);
                txn.put(key, &extent);
            }
            Step::Get(key) => {
                if let Some(value) = txn.get(key)? {
                    seen.push((key.clone(), value.to_vec()));
                }
            }
            Step::Range(lo, hi, limit) => {
                let found = txn.range(Bound::Included(lo), Bound::Excluded(hi), *limit)?;
                seen.extend(found.into_iter().map(|(k, v)| (k.to_vec(), v.to_vec())));
            }
        }
    }
    match ending {
        Ending::Accept => Ok(seen),
        Ending::Reject => Err(Refused::ByPlan),
        Ending::Panic => panic!("a plan that panics, on purpose"),
    }
}

/// What the catalog must hold. Values of payload keys (subspace 3) are extents, which the model
/// can't foresee: it holds the payloads.
#[derive(Clone, Default)]
struct Model(BTreeMap<Vec<u8>, Vec<u8>>);

impl Model {
    fn run(&mut self, steps: &[Step]) -> Seen {
        let mut seen = Vec::new();
        for step in steps {
            match step {
                Step::Put(key, value) | Step::Append(key, value) => {
                    self.0.insert(key.clone(), value.clone());
                }
                Step::Delete(key) => {
                    self.0.remove(key);
                }
                Step::Add(key, deltas) => {
                    let mut row = self.0.get(key).map_or(Vec::new(), |v| decode_counters(v));
                    row.resize(row.len().max(deltas.len()), 0);
                    row.iter_mut().zip(deltas).for_each(|(sum, delta)| *sum += delta);
                    self.0.insert(key.clone(), coffer_catalog::record::encode_counters(&row));
                }
                Step::Get(key) => {
                    seen.extend(self.0.get(key).map(|value| (key.clone(), value.clone())));
                }
                Step::Range(lo, hi, limit) if lo < hi => {
                    let found = self.0.range(lo.clone()..hi.clone()).take(*limit);
                    seen.extend(found.map(|(k, v)| (k.clone(), v.clone())));
                }
                Step::Range(..) => {}
            }
        }
        seen
    }

    fn assert_holds(&self, catalog: &Catalog, when: &str) {
        let snapshot = catalog.snapshot();
        let entries: Vec<_> = snapshot
            .range(Bound::Unbounded, Bound::Unbounded)
            .collect::<Result<_, _>>()
            .expect("the index reads");
        assert_eq!(entries.len(), self.0.len(), "{when}");
        for ((key, value), (expected_key, expected)) in entries.iter().zip(&self.0) {
            assert_eq!(&key[..], &expected_key[..], "{when}");
            if key[0] == 3 {
                let extent = Extent::decode(&mut Reader::new(value)).expect("an extent");
                let payload = catalog.log().read(&extent, 0..extent.len).expect("it reads");
                assert_eq!(&payload[..], &expected[..], "{when}");
            } else {
                assert_eq!(&value[..], &expected[..], "{when}");
            }
        }
        let backwards: Vec<_> =
            snapshot.prefix(&[1]).rev().map(|entry| entry.expect("the index reads").0).collect();
        let expected = self.0.keys().filter(|key| key[0] == 1).rev();
        assert!(backwards.iter().map(|key| &key[..]).eq(expected.map(|key| &key[..])), "{when}");
    }
}

fn random_steps(rng: &SeededRng) -> Vec<Step> {
    let key = || vec![1, rng.below(50) as u8, b'k'];
    let bytes = |max| {
        let mut bytes = vec![0u8; rng.below(max) as usize];
        rng.fill(&mut bytes);
        bytes
    };
    (0..rng.below(8))
        .map(|_| match rng.below(8) {
            0 | 1 => Step::Put(key(), bytes(300)),
            2 => Step::Delete(key()),
            3 => Step::Add(vec![2, rng.below(3) as u8], vec![1, rng.below(9) as i64 - 4]),
            4 => Step::Append(vec![3, rng.below(20) as u8], bytes(5000)),
            5 => Step::Range(key(), key(), rng.below(20) as usize),
            _ => Step::Get(key()),
        })
        .collect()
}

fn size(steps: &[Step]) -> usize {
    steps
        .iter()
        .map(|step| if let Step::Append(_, payload) = step { payload.len() } else { 0 })
        .sum()
}

/// Commits `count` random plans one by one and compares what each saw.
fn commit_random(catalog: &Catalog, model: &mut Model, rng: &SeededRng, count: usize) {
    for _ in 0..count {
        let steps = random_steps(rng);
        let ending = match rng.below(12) {
            0 => Ending::Panic,
            1 | 2 => Ending::Reject,
            _ => Ending::Accept,
        };
        let mut after = model.clone();
        let expected = after.run(&steps);
        let plan = {
            let steps = steps.clone();
            move |txn: &mut Txn<'_>| run(txn, &steps, ending)
        };
        let outcome = block_on(catalog.commit(Ack::All, size(&steps), plan));
        match ending {
            Ending::Accept => {
                let seen = outcome.expect("an accepted plan commits");
                assert_eq!(seen, expected, "{steps:?}");
                *model = after;
            }
            Ending::Reject => assert_eq!(outcome, Err(CommitError::Rejected(Refused::ByPlan))),
            Ending::Panic => assert!(matches!(outcome, Err(CommitError::Panicked(_)))),
        }
    }
}

fn beyond_the_end(engine: &dyn Engine) {
    let mark = engine.mark().expect("it reads").unwrap_or_default();
    let position = Position(mark.position.0 + 5);
    engine.apply(Vec::new(), Mark { position, ..mark }).expect("it applies");
}

fn off_the_chain(engine: &dyn Engine) {
    let mark = engine.mark().expect("it reads").unwrap_or_default();
    engine.apply(Vec::new(), Mark { chain: Chain([9; 16]), ..mark }).expect("it applies");
}

#[test]
fn the_simulated_catalog_keeps_every_commit_whatever_becomes_of_its_engine() {
    let rng = SeededRng::new(11);
    let world = SimWorld::new(12);
    let mut engine = Arc::new(MemEngine::new());
    let mut model = Model::default();
    for round in 0..40 {
        let (log, lane) = sim_log(&world);
        let catalog = Catalog::open(log, lane, engine.clone(), Sequencing::Inline).expect("opens");
        model.assert_holds(&catalog, &format!("round {round}"));
        commit_random(&catalog, &mut model, &rng, 30);
        model.assert_holds(&catalog, &format!("end of round {round}"));
        if rng.below(3) == 0 {
            catalog.close().expect("it closes");
        }
        drop(catalog);
        match rng.below(5) {
            0 => engine.crash(),
            1 => engine = Arc::new(MemEngine::new()),
            2 => beyond_the_end(&*engine),
            3 => off_the_chain(&*engine),
            _ => {}
        }
        if rng.below(2) == 0 {
            world.power_cut();
        }
    }
}

#[test]
fn the_real_catalog_keeps_every_commit_whatever_becomes_of_its_engine() {
    let rng = SeededRng::new(21);
    let dir = tempfile::tempdir().expect("a directory");
    let index = dir.path().join("index");
    let mut model = Model::default();
    for round in 0..8 {
        let engine = Arc::new(LsmEngine::open(&index, small()).expect("the index opens"));
        match round {
            2 => beyond_the_end(&*engine),
            4 => off_the_chain(&*engine),
            _ => {}
        }
        let (log, lane) = real_log(dir.path());
        let catalog = Catalog::open(log, lane, engine, Sequencing::Thread).expect("it opens");
        let status = catalog.status().expect("status");
        assert_eq!(status.rebuilt.is_some(), matches!(round, 2 | 4), "round {round}: {status:?}");
        model.assert_holds(&catalog, &format!("round {round}"));
        commit_random(&catalog, &mut model, &rng, 60);
        model.assert_holds(&catalog, &format!("end of round {round}"));
        catalog.close().expect("it closes");
        catalog.close().expect("closing again does nothing");
        let late = block_on(catalog.commit(Ack::All, 0, |_| Ok::<_, Refused>(())));
        assert_eq!(late, Err(CommitError::Closed));
        drop(catalog);
        if round == 5 {
            std::fs::remove_dir_all(&index).expect("it is removed");
        }
    }
}

fn led(dir: &std::path::Path, leading: Leading) -> Catalog {
    let (log, lane) = real_log(dir);
    let engine = Arc::new(LsmEngine::open(&dir.join("index"), small()).expect("opens"));
    let options = OpenOptions { leading, ..OpenOptions::default() };
    Catalog::open_with(log, lane, engine, Sequencing::Thread, options).expect("it opens")
}

#[test]
fn a_lone_caller_runs_its_own_plan_where_its_thread_may_block() {
    for (leading, threads, expected) in [
        (Leading::Never, 2, "commit"),
        (Leading::Caller, 0, "own"),
        (Leading::Task, 0, "commit"),
        (Leading::Task, 1, "commit"),
        (Leading::Task, 2, "own"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let catalog = led(dir.path(), leading);
        let committing = {
            let catalog = catalog.clone();
            async move {
                let plan = |txn: &mut Txn<'_>| {
                    txn.put(b"\x01k", b"v");
                    let name = std::thread::current().name().map(str::to_owned);
                    Ok::<_, TxnError>(if name.as_deref() == Some("commit") {
                        "commit"
                    } else {
                        "own"
                    })
                };
                for _ in 0..3 {
                    let ran = catalog.commit(Ack::All, 16, plan).await.expect("commits");
                    assert_eq!(ran, expected, "{leading:?} with {threads} threads");
                }
            }
        };
        let runtime = match threads {
            0 => tokio::runtime::Builder::new_current_thread().build(),
            n => tokio::runtime::Builder::new_multi_thread().worker_threads(n).build(),
        };
        let runtime = runtime.expect("it starts");
        runtime.block_on(async { tokio::spawn(committing).await.expect("it ends") });
        catalog.close().expect("it closes");
        let late = block_on(catalog.commit(Ack::All, 0, |_| Ok::<_, Refused>(())));
        assert_eq!(late, Err(CommitError::Closed), "{leading:?}");
    }
}

#[test]
fn commits_from_many_tasks_are_serial_and_share_groups() {
    for leading in [Leading::Never, Leading::Task] {
        serial_and_shared(leading);
    }
}

fn serial_and_shared(leading: Leading) {
    let dir = tempfile::tempdir().expect("a directory");
    let catalog = led(dir.path(), leading);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("it starts").block_on(async {
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let catalog = catalog.clone();
                tokio::spawn(async move {
                    let mut numbers = Vec::new();
                    for _ in 0..40 {
                        let plan = |txn: &mut Txn<'_>| {
                            let before = txn.get(b"\x01n")?;
                            let before = before.map_or(0, |v| {
                                u64::from_le_bytes(v[..].try_into().expect("eight bytes"))
                            });
                            txn.put(b"\x01n", &(before + 1).to_le_bytes());
                            txn.add(b"\x02n", &[1]);
                            Ok::<_, TxnError>(txn.sequence())
                        };
                        numbers.push(catalog.commit(Ack::All, 16, plan).await.expect("commits"));
                    }
                    numbers
                })
            })
            .collect();
        let mut numbers = Vec::new();
        for task in tasks {
            let own = task.await.expect("it ends");
            assert!(own.is_sorted());
            numbers.extend(own);
        }
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 32 * 40, "sequence numbers are unique");
    });
    let value = catalog.get(b"\x01n").expect("it reads").expect("it is there");
    assert_eq!(value[..], (32u64 * 40).to_le_bytes());
    let row = catalog.get(b"\x02n").expect("it reads").expect("it is there");
    assert_eq!(decode_counters(&row), [32 * 40]);
    let status = catalog.status().expect("status");
    assert_eq!(status.commits, 32 * 40);
    assert!(status.groups < status.commits, "some shared a group: {status:?}");
    catalog.close().expect("it closes");
}

#[test]
fn a_failing_log_fails_every_caller_and_leaves_the_index_alone() {
    let world = SimWorld::new(31);
    let (log, lane) = sim_log(&world);
    let engine = Arc::new(MemEngine::new());
    let catalog = Catalog::open(log, lane, engine.clone(), Sequencing::Inline).expect("it opens");
    let put = |key: &'static [u8]| {
        let plan = move |txn: &mut Txn<'_>| {
            txn.put(key, b"v");
            Ok::<_, TxnError>(())
        };
        block_on(catalog.commit(Ack::All, 64, plan))
    };
    put(b"\x01a").expect("a healthy log commits");
    let before = engine.mark().expect("it reads");
    world.set_faults("d0", Faults { fail_writes: true, ..Faults::default() });
    assert!(matches!(put(b"\x01b"), Err(CommitError::Log(coffer_log::Error::Unknown(_)))));
    for _ in 0..3 {
        assert!(matches!(put(b"\x01c"), Err(CommitError::Log(_))), "it goes on failing");
    }
    assert_eq!(engine.mark().expect("it reads"), before);
    assert_eq!(catalog.get(b"\x01b").expect("it reads"), None);
    assert!(catalog.get(b"\x01a").expect("reads go on").is_some());
    assert_eq!(catalog.status().expect("status").failed, 4);
}

#[test]
fn a_plan_that_does_not_fit_is_refused_and_the_next_one_is_not() {
    let world = SimWorld::new(41);
    let (log, lane) = sim_log(&world);
    let engine = Arc::new(MemEngine::new());
    let catalog = Catalog::open(log, lane, engine, Sequencing::Inline).expect("it opens");
    let commit = |size_hint, value_bytes: usize| {
        let plan = move |txn: &mut Txn<'_>| {
            txn.put(b"\x01a", &vec![7; value_bytes]);
            Ok::<_, TxnError>(())
        };
        block_on(catalog.commit(Ack::All, size_hint, plan))
    };
    let too_much = Lane::GROUP_BYTES_MAX + 1;
    assert!(matches!(commit(too_much, 1), Err(CommitError::TooLarge { .. })));
    assert!(matches!(commit(0, 100_000), Err(CommitError::TooLarge { .. })), "a hint too low");
    assert_eq!(catalog.get(b"\x01a").expect("it reads"), None);
    commit(100_000, 100_000).expect("with the right hint it fits");
    let plan = |txn: &mut Txn<'_>| {
        txn.put(b"\0reserved", b"");
        Ok::<_, TxnError>(())
    };
    let reserved = block_on(catalog.commit(Ack::All, 0, plan));
    assert!(matches!(reserved, Err(CommitError::Panicked(_))));
}

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::{Duration, Instant};

use coffer_base::checksum::checksum;
use coffer_base::drive::{Faults, RealDrive, SimWorld};
use coffer_base::rng::SeededRng;
use coffer_base::wire::Put as _;
use coffer_base::{Ack, Drive, Rng, StillClock};
use coffer_log::{Chain, Lane, LogOptions, Seams};

use super::range::read_entries;
use super::root::{RangeRef, Root};
use super::write::{Job, Stopped, write};
use super::*;
use crate::{
    Catalog, EngineOptions, LsmEngine, MemEngine, OpenOptions, Txn, TxnError, decode_counters,
    record::encode_counters, replay_records,
};

fn log_options() -> LogOptions {
    LogOptions {
        commit_segment_bytes: 256 << 10,
        // Bulk segments of a few rows, so that a payload comes in several extents.
        cell_bytes_max: 64 << 10,
        bulk_file_bytes: 64 << 10,
        probe_interval: None,
        ..LogOptions::default()
    }
}

fn sim_log(world: &SimWorld) -> Result<(Log, Lane), coffer_log::OpenError> {
    let drives: Vec<Arc<dyn Drive>> = vec![world.drive("d0")];
    let seams = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(5)));
    let (log, lane, _) = Log::open(drives, log_options(), seams)?;
    Ok((log, lane))
}

/// A checkpoint each few groups, ranges of a few entries.
fn tiny() -> CheckpointOptions {
    CheckpointOptions {
        log_bytes_min: 16 << 10,
        log_bytes_per_checkpoint_byte: 0,
        range_bytes_target: 256,
    }
}

fn open_sim(world: &SimWorld, engine: Arc<MemEngine>, checkpoints: CheckpointOptions) -> Catalog {
    let (log, lane) = sim_log(world).expect("the log opens");
    let options = OpenOptions { checkpoints, ..OpenOptions::default() };
    Catalog::open_with(log, lane, engine, Sequencing::Inline, options).expect("it opens")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it starts");
    runtime.block_on(future)
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A change of the catalog and of its model.
#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Add(Vec<u8>, i64),
}

fn random_steps(rng: &SeededRng, keys: u64) -> Vec<Step> {
    let key = || vec![1, b'k', rng.below(keys) as u8, rng.below(4) as u8];
    let step = |_| match rng.below(8) {
        0..4 => {
            let mut value = vec![0; rng.below(120) as usize];
            rng.fill(&mut value);
            Step::Put(key(), value)
        }
        4..6 => Step::Delete(key()),
        _ => Step::Add(vec![2, rng.below(3) as u8], rng.below(9) as i64 - 4),
    };
    (0..1 + rng.below(6)).map(step).collect()
}

fn run_model(model: &mut Model, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Put(key, value) => drop(model.insert(key.clone(), value.clone())),
            Step::Delete(key) => drop(model.remove(key)),
            Step::Add(key, delta) => {
                let before = model.get(key).map_or(0, |row| decode_counters(row)[0]);
                model.insert(key.clone(), encode_counters(&[before + delta]));
            }
        }
    }
}

async fn commit(catalog: &Catalog, steps: Vec<Step>) -> bool {
    let plan = move |txn: &mut Txn<'_>| {
        for step in &steps {
            match step {
                Step::Put(key, value) => txn.put(key, value),
                Step::Delete(key) => txn.delete(key),
                Step::Add(key, delta) => txn.add(key, &[*delta]),
            }
        }
        Ok::<_, TxnError>(())
    };
    catalog.commit(Ack::All, 4096, plan).await.is_ok()
}

fn entries(engine: &dyn Engine) -> Model {
    let snapshot = engine.snapshot();
    let all = snapshot.range(Bound::Unbounded, Bound::Unbounded);
    all.map(|entry| entry.map(|(k, v)| (k.to_vec(), v.to_vec())).expect("it reads")).collect()
}

#[test]
fn a_lost_index_comes_back_from_checkpoints_and_what_followed() {
    let rng = SeededRng::new(71);
    let world = SimWorld::new(72);
    let mut engine = Arc::new(MemEngine::new());
    let mut model = Model::new();
    let (mut loaded, mut written) = (0, 0);
    for round in 0..45 {
        let catalog = open_sim(&world, engine.clone(), tiny());
        assert!(entries(&*engine) == model, "round {round}");
        let status = catalog.status().expect("status");
        if let Some(position) = status.loaded_checkpoint {
            loaded += 1;
            assert_eq!(status.replayed_groups, status.applied.position.0 - position.0);
            assert_eq!(status.checkpoints.last.expect("it was read").position, position);
        }
        // The key space grows and shrinks, so that ranges split and vanish.
        let keys = 1 + rng.below(40);
        for _ in 0..rng.below(25) {
            let steps = random_steps(&rng, keys);
            run_model(&mut model, &steps);
            assert!(block_on(commit(&catalog, steps)));
        }
        if rng.below(6) == 0 {
            let steps: Vec<_> = model.keys().cloned().map(Step::Delete).collect();
            run_model(&mut model, &steps);
            assert!(steps.is_empty() || block_on(commit(&catalog, steps)));
        }
        assert!(entries(&*engine) == model, "end of round {round}");
        let status = catalog.status().expect("status").checkpoints;
        assert_eq!(status.failure, None);
        written += status.written;
        let mut findings = Vec::new();
        verify(catalog.log(), &mut |what| findings.push(what));
        assert!(findings.is_empty(), "{findings:?}");
        let fresh = MemEngine::new();
        replay_records(catalog.log(), &fresh).expect("it replays");
        assert!(entries(&fresh) == model, "from the records alone");
        if rng.below(3) == 0 {
            catalog.close().expect("it closes");
        }
        drop(catalog);
        match rng.below(3) {
            0 => engine.crash(),
            1 => engine = Arc::new(MemEngine::new()),
            _ => {}
        }
        if rng.below(2) == 0 {
            world.power_cut();
        }
    }
    assert!(loaded > 15 && written > 60, "{loaded} loaded, {written} written");
}

/// Writes checkpoints of a map that is no catalog, with exact control of what changed.
struct Bench {
    log: Log,
    engine: MemEngine,
    model: Model,
    position: u64,
    previous: Option<(Arc<Root>, Vec<bool>)>,
}

impl Bench {
    fn new() -> Bench {
        let (log, _) = sim_log(&SimWorld::new(81)).expect("the log opens");
        Bench { log, engine: MemEngine::new(), model: Model::new(), position: 0, previous: None }
    }

    fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        let write = match value {
            Some(value) => {
                self.model.insert(key.to_vec(), value.to_vec());
                Write::Put { key: key.to_vec().into(), value: value.to_vec().into() }
            }
            None => {
                self.model.remove(key);
                Write::Delete { key: key.to_vec().into() }
            }
        };
        if let Some((root, dirty)) = &mut self.previous {
            dirty[root.range_of(key)] = true;
        }
        self.engine.apply(vec![write], Mark::default()).expect("it applies");
    }

    /// Writes a checkpoint, and looks whether what it loads is what is there.
    fn checkpoint(&mut self) -> (u64, u64) {
        self.position += 1;
        let mark = Mark { position: Position(self.position), ..Mark::default() };
        let job = Job {
            log: self.log.clone(),
            snapshot: self.engine.snapshot(),
            mark,
            previous: self.previous.take(),
            range_bytes_target: 1024,
            closing: Arc::default(),
        };
        let Ok(written) = write(job) else { panic!("it is written") };
        let fresh = MemEngine::new();
        let Ok(loaded) = load(&self.log, &fresh) else { panic!("it loads") };
        assert_eq!(loaded, Some(mark));
        assert_eq!(fresh.mark().expect("it reads"), Some(mark));
        assert!(entries(&fresh) == self.model, "at {}", self.position);
        assert_eq!(written.root.summary().entries, self.model.len() as u64);
        let dirty = vec![false; written.root.ranges.len()];
        if !dirty.is_empty() {
            self.previous = Some((Arc::new(written.root), dirty));
        }
        (written.ranges, written.bytes)
    }
}

#[test]
fn only_ranges_with_changes_are_written() {
    let mut bench = Bench::new();
    let key = |i: u32| [&[1][..], &i.to_be_bytes()].concat();
    let value = |i: u32| checksum(7, &key(i)).to_le_bytes().repeat(8);
    for i in 0..3000 {
        bench.set(&key(i), Some(&value(i)));
    }
    let (all, all_bytes) = bench.checkpoint();
    assert!(all > 100, "{all} ranges");
    assert_eq!(bench.checkpoint().0, 0, "nothing changed");
    bench.set(&key(1500), Some(b"changed"));
    let (one, one_bytes) = bench.checkpoint();
    assert_eq!(one, 1);
    assert!(one_bytes < all_bytes / 10, "{one_bytes} of {all_bytes}");
    bench.set(&key(3), None);
    bench.set(&key(2900), None);
    assert_eq!(bench.checkpoint().0, 2);
    // A range that grows is split, one without entries goes.
    let before = bench.previous.as_ref().expect("it has ranges").0.ranges.len();
    for i in 0..200u32 {
        bench.set(&[&key(1000)[..], &i.to_be_bytes()].concat(), Some(&value(i)));
    }
    let (grown, _) = bench.checkpoint();
    assert!((10..40).contains(&grown), "{grown}");
    let after = bench.previous.as_ref().expect("it has ranges").0.ranges.len();
    assert_eq!(after as u64, before as u64 + grown - 1);
    for i in 200..2000 {
        bench.set(&key(i), None);
    }
    assert!(bench.checkpoint().0 <= 20);
    bench.checkpoint();
    for key in bench.model.clone().into_keys() {
        bench.set(&key, None);
    }
    assert_eq!(bench.checkpoint().0, 0, "nothing is left");
    bench.set(b"\x01", Some(b"anew"));
    assert_eq!(bench.checkpoint().0, 1);
}

#[test]
fn any_change_of_any_ranges_is_in_the_next_checkpoint() {
    let rng = SeededRng::new(91);
    let mut bench = Bench::new();
    for _ in 0..150 {
        // A run of keys somewhere: put, or deleted.
        let at = rng.below(600);
        let deletes = rng.below(2) == 0;
        for i in at..at + rng.below(60) {
            let mut value = vec![0; rng.below(100) as usize];
            rng.fill(&mut value);
            let key = [&[1][..], &(i as u16).to_be_bytes()].concat();
            bench.set(&key, (!deletes).then_some(&value[..]));
        }
        bench.checkpoint();
    }
    // A value far larger than a range.
    let mut large = vec![0; crate::txn::VALUE_BYTES_MAX];
    rng.fill(&mut large);
    bench.set(b"\x01large", Some(&large));
    bench.checkpoint();
    let (root, _) = bench.previous.as_ref().expect("it has ranges");
    assert!(root.payloads[0].len() > 4, "the large one is in several segments");
}

#[test]
fn a_checkpoint_that_is_stopped_or_finds_no_room_leaves_the_older_one() {
    let mut bench = Bench::new();
    bench.set(b"\x01a", Some(b"old"));
    bench.checkpoint();
    let recorded = bench.log.checkpoint();
    bench.set(b"\x01a", Some(b"new"));
    let job = Job {
        log: bench.log.clone(),
        snapshot: bench.engine.snapshot(),
        mark: Mark { position: Position(2), ..Mark::default() },
        previous: bench.previous.take(),
        range_bytes_target: 1024,
        closing: Arc::new(AtomicBool::new(true)),
    };
    assert!(matches!(write(job), Err(Stopped::Closing)));
    assert_eq!(bench.log.checkpoint(), recorded);

    let world = SimWorld::new(95);
    let engine = Arc::new(MemEngine::new());
    let every_other = CheckpointOptions { log_bytes_min: 8 << 10, ..tiny() };
    let put = |catalog: &Catalog, value: &[u8]| {
        let steps = vec![Step::Put(b"\x01a".to_vec(), value.to_vec())];
        assert!(block_on(commit(catalog, steps)));
        catalog.status().expect("status").checkpoints
    };
    let catalog = open_sim(&world, engine.clone(), every_other.clone());
    put(&catalog, b"1");
    assert_eq!(put(&catalog, b"2").written, 1);
    drop(catalog);
    // A log that was just opened has no bulk segment to write to.
    let catalog = open_sim(&world, engine, every_other.clone());
    put(&catalog, b"3");
    world.set_faults("d0", Faults { capacity: Some(0), ..Faults::default() });
    let failed = put(&catalog, b"4");
    assert!(failed.failure.is_some() && failed.written == 0 && !failed.running, "{failed:?}");
    assert_eq!(failed.last.expect("the older one").position, Position(2));
    world.set_faults("d0", Faults::default());
    put(&catalog, b"5");
    let healed = put(&catalog, b"6");
    assert_eq!((healed.failure, healed.written), (None, 1));
    drop(catalog);
    let fresh = Arc::new(MemEngine::new());
    let catalog = open_sim(&world, fresh.clone(), every_other);
    assert_eq!(catalog.status().expect("status").loaded_checkpoint, Some(Position(6)));
    assert_eq!(entries(&*fresh)[&b"\x01a"[..]], b"6");
}

/// Commits plans until the third checkpoint; the model after each acknowledged one.
fn three_checkpoints(world: &SimWorld) -> Vec<Model> {
    let rng = SeededRng::new(101);
    let mut models = vec![Model::new()];
    let Ok((log, lane)) = sim_log(world) else { return models };
    let options = OpenOptions {
        checkpoints: CheckpointOptions { log_bytes_min: 12 << 10, ..tiny() },
        ..OpenOptions::default()
    };
    let engine = Arc::new(MemEngine::new());
    let catalog = Catalog::open_with(log, lane, engine, Sequencing::Inline, options)
        .expect("an empty catalog opens");
    while catalog.status().expect("status").checkpoints.written < 3 {
        let steps = random_steps(&rng, 10);
        let mut model = models.last().expect("there is one").clone();
        run_model(&mut model, &steps);
        let done = block_on(commit(&catalog, steps));
        // Of the one that is cut off the outcome is not known.
        models.push(model);
        if !done || world.is_down() {
            break;
        }
    }
    models
}

#[test]
fn a_power_cut_at_any_step_leaves_a_whole_checkpoint() {
    let whole = SimWorld::new(102);
    three_checkpoints(&whole);
    let operations = whole.operations();
    let mut positions = std::collections::BTreeSet::new();
    // The last cut comes after everything.
    for operation in 1..=operations + 1 {
        let world = SimWorld::new(102 + operation);
        world.cut_power_at(operation);
        let models = three_checkpoints(&world);
        world.power_cut();
        // Until the drive was formatted there is nothing to open; that is the log's matter.
        let Ok((log, lane)) = sim_log(&world) else { continue };
        let engine = Arc::new(MemEngine::new());
        let options = OpenOptions { checkpoints: tiny(), ..OpenOptions::default() };
        let catalog = Catalog::open_with(log, lane, engine.clone(), Sequencing::Inline, options)
            .expect("it opens");
        let found = entries(&*engine);
        assert!(models.iter().rev().take(2).any(|m| *m == found), "cut at {operation}");
        let mut findings = Vec::new();
        verify(catalog.log(), &mut |what| findings.push(what));
        assert!(findings.is_empty(), "cut at {operation}: {findings:?}");
        let status = catalog.status().expect("status");
        assert_eq!(
            status.loaded_checkpoint.is_some(),
            catalog.log().checkpoint().is_some(),
            "cut at {operation}: what is recorded is good"
        );
        positions.extend(status.loaded_checkpoint);
    }
    assert_eq!(positions.len(), 3, "each of them was met");
}

#[test]
fn a_damaged_checkpoint_costs_time_and_nothing_else() {
    let rng = SeededRng::new(111);
    let world = SimWorld::new(112);
    let engine = Arc::new(MemEngine::new());
    let catalog = open_sim(&world, engine, tiny());
    let mut model = Model::new();
    for _ in 0..40 {
        let steps = random_steps(&rng, 30);
        run_model(&mut model, &steps);
        assert!(block_on(commit(&catalog, steps)));
    }
    let recorded = catalog.log().checkpoint().expect("there is one");
    let Ok(Some(root)) = load::read_root(catalog.log()) else { panic!("it reads") };
    catalog.close().expect("it closes");
    drop(catalog);
    // Once a range, once the root.
    for extent in [root.payloads.iter().flatten().next_back(), recorded.extents.first()] {
        let (world, mut model) = (world.fork(), model.clone());
        let extent = extent.expect("there is one");
        let segment = extent.segment.to_string();
        let names = world.drive("d0").list().expect("it lists");
        let file = names.iter().find(|name| name.contains(&segment)).expect("its file");
        // The first byte after the row's header.
        assert!(world.flip_bit("d0", file, extent.offset + 4096, 3));
        let engine = Arc::new(MemEngine::new());
        let catalog = open_sim(&world, engine.clone(), tiny());
        let status = catalog.status().expect("status");
        assert_eq!((status.loaded_checkpoint, status.checkpoints.last), (None, None));
        assert!(status.checkpoints.failure.is_some());
        assert!(entries(&*engine) == model);
        let mut findings = Vec::new();
        verify(catalog.log(), &mut |what| findings.push(what));
        assert!(!findings.is_empty());
        // The next group brings a good one.
        assert!(block_on(commit(&catalog, vec![Step::Put(vec![1], vec![1])])));
        model.insert(vec![1], vec![1]);
        assert_eq!(catalog.status().expect("status").checkpoints.failure, None);
        drop(catalog);
        let engine = Arc::new(MemEngine::new());
        let catalog = open_sim(&world, engine.clone(), tiny());
        assert!(catalog.status().expect("status").loaded_checkpoint.is_some());
        assert!(entries(&*engine) == model);
    }
}

#[test]
fn a_load_that_was_cut_off_is_begun_again() {
    let world = SimWorld::new(121);
    let catalog = open_sim(&world, Arc::new(MemEngine::new()), tiny());
    for i in 0..20 {
        assert!(block_on(commit(&catalog, vec![Step::Add(vec![2, i % 3], 1)])));
    }
    drop(catalog);
    let half = Arc::new(MemEngine::new());
    let entry = Write::Put { key: vec![2, 0].into(), value: encode_counters(&[3]).into() };
    half.apply(vec![entry], load::LOADING).expect("it applies");
    let catalog = open_sim(&world, half.clone(), tiny());
    let status = catalog.status().expect("status");
    assert!(status.rebuilt.is_some() && status.loaded_checkpoint.is_some(), "{status:?}");
    let sums = entries(&*half).into_values().map(|row| decode_counters(&row)[0]);
    assert_eq!(sums.collect::<Vec<_>>(), [7, 7, 6]);
}

#[test]
fn a_checkpoint_of_another_history_is_not_used() {
    let world = SimWorld::new(125);
    let catalog = open_sim(&world, Arc::new(MemEngine::new()), tiny());
    for i in 0..10 {
        assert!(block_on(commit(&catalog, vec![Step::Put(vec![1, i], vec![i])])));
    }
    let mark = Mark { chain: Chain([3; 16]), ..catalog.log().end() };
    let engine = MemEngine::new();
    let write_other = Write::Put { key: vec![1, 99].into(), value: vec![9].into() };
    engine.apply(vec![write_other], mark).expect("it applies");
    let job = Job {
        log: catalog.log().clone(),
        snapshot: engine.snapshot(),
        mark,
        previous: None,
        range_bytes_target: 1024,
        closing: Arc::default(),
    };
    assert!(write(job).is_ok());
    drop(catalog);
    let engine = Arc::new(MemEngine::new());
    let catalog = open_sim(&world, engine.clone(), tiny());
    assert_eq!(catalog.status().expect("status").loaded_checkpoint, None);
    assert_eq!(entries(&*engine).len(), 10);
}

#[test]
fn garbage_is_refused_and_never_panics() {
    let mut bench = Bench::new();
    for i in 0..200u8 {
        bench.set(&[1, i], Some(&[i; 40]));
    }
    bench.checkpoint();
    let Ok(Some(root)) = load::read_root(&bench.log) else { panic!("it reads") };
    let good = root.encode();
    assert_eq!(Root::decode(&good), Ok(root.clone()));
    for cut in 0..good.len() {
        assert!(Root::decode(&good[..cut]).is_err());
    }
    let rng = SeededRng::new(131);
    let reseal = |body: &[u8]| {
        let mut bytes = body.to_vec();
        bytes.put_u64(checksum(u64::from_le_bytes(*b"COFFERCP"), body));
        bytes
    };
    let body = &good[..good.len() - 8];
    for cut in 0..body.len() {
        assert!(Root::decode(&reseal(&body[..cut])).is_err(), "cut at {cut}");
    }
    for _ in 0..3000 {
        let mut bytes = body.to_vec();
        for _ in 0..1 + rng.below(4) {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.below(256) as u8;
        }
        if let Ok(root) = Root::decode(&reseal(&bytes)) {
            // What passes can be used without a panic.
            for i in 0..root.ranges.len() {
                assert_eq!(root.next_first(i).is_some(), i + 1 < root.ranges.len());
            }
            root.summary();
        }
    }
    let raw = |entries: &[(&[u8], &[u8])]| {
        let mut raw = Vec::new();
        for (key, value) in entries {
            raw.put_bytes(key);
            raw.put_bytes(value);
        }
        raw
    };
    let range = |raw: &[u8], raw_len: usize, entries: u64| {
        let stored = lz4_flex::block::compress(raw);
        let range = RangeRef {
            first: Bytes::from_static(b"\x01b"),
            payload: 0,
            offset: 0,
            stored_len: stored.len(),
            raw_len,
            entries,
            position: Position(9),
            checksum: checksum(9, &stored),
        };
        read_entries(&range, Some(b"\x01d"), &stored)
    };
    let two = raw(&[(b"\x01b", b"v"), (b"\x01c", b"w")]);
    assert_eq!(range(&two, two.len(), 2).expect("it is good").len(), 2);
    assert!(range(&two, two.len(), 1).is_err(), "one more than there should be");
    assert!(range(&two, two.len() + 1, 2).is_err());
    assert!(range(&two, two.len() - 1, 2).is_err());
    for wrong in [
        raw(&[(b"\x01c", b"w"), (b"\x01b", b"v")]),
        raw(&[(b"\x01b", b"v"), (b"\x01b", b"v")]),
        raw(&[(b"\x01b", b"v"), (b"\x01d", b"v")]),
        raw(&[(b"\x01a", b"v"), (b"\x01b", b"v")]),
        raw(&[(b"", b"v"), (b"\x01b", b"v")]),
    ] {
        assert!(range(&wrong, wrong.len(), 2).is_err(), "{wrong:?}");
    }
    for _ in 0..2000 {
        let mut stored = vec![0; rng.below(60) as usize];
        rng.fill(&mut stored);
        let sealed = RangeRef {
            first: Bytes::new(),
            payload: 0,
            offset: 0,
            stored_len: stored.len(),
            raw_len: rng.below(300) as usize,
            entries: rng.below(5),
            position: Position(1),
            checksum: checksum(1, &stored),
        };
        drop(read_entries(&sealed, None, &stored));
    }
}

#[test]
fn a_server_writes_checkpoints_beside_its_commits() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = |index: &str| {
        let path = dir.path().join("drive");
        let drive = if path.exists() { RealDrive::open(&path) } else { RealDrive::create(&path) };
        let drives: Vec<Arc<dyn Drive>> = vec![Arc::new(drive.expect("the directory opens"))];
        let seams = Seams::real(1).expect("threads start");
        let (log, lane, _) = Log::open(drives, log_options(), seams).expect("the log opens");
        let options = EngineOptions {
            cache_bytes: 1 << 20,
            write_buffer_bytes: 64 << 10,
            hot_bytes: 64 << 10,
        };
        let engine = LsmEngine::open(&dir.path().join(index), options).expect("it opens");
        let engine = Arc::new(engine);
        let options = OpenOptions { checkpoints: tiny(), ..OpenOptions::default() };
        let catalog = Catalog::open_with(log, lane, engine.clone(), Sequencing::Thread, options);
        (catalog.expect("it opens"), engine)
    };
    let rng = SeededRng::new(141);
    let mut model = Model::new();
    for round in 0..4 {
        let (catalog, engine) = open(&format!("index{round}"));
        assert!(entries(&*engine) == model, "round {round}");
        let status = catalog.status().expect("status");
        assert_eq!(status.loaded_checkpoint.is_some(), round > 0);
        let begun = Instant::now();
        let mut commits = 0;
        while commits < 60 || catalog.status().expect("status").checkpoints.written < 4 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", catalog.status());
            let steps = random_steps(&rng, 60);
            run_model(&mut model, &steps);
            assert!(block_on(commit(&catalog, steps)));
            commits += 1;
        }
        assert_eq!(catalog.status().expect("status").checkpoints.failure, None);
        assert!(entries(&*engine) == model, "end of round {round}");
        catalog.close().expect("it closes");
        assert!(!catalog.status().expect("status").checkpoints.running);
    }
}

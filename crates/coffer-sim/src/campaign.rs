//! Cuts the power of one run at every operation, and looks at what is left each time.
//!
//! The workload runs once. At each operation of a drive the world is copied, in the state in
//! which a cut would find it, together with what the client knows then: the states a store may be
//! in. Each copy then has its power cut, and is opened and checked on its own:
//!
//! 1. what survives the cut is drawn, up to m drives are taken away in some cases, and in some
//!    the power goes again while the store recovers;
//! 2. the store opens and holds exactly one of the states it may be in; fsck is clean;
//! 3. it does a few more operations and holds what they make of it;
//! 4. it stops, the drives that were away are back, and it still holds the same.
//!
//! Everything follows from the seed, so a failure is replayed by its seed and boundary.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use coffer_base::drive::{Faults, SimWorld};
use coffer_base::rng::{Rng, SeededRng};

use crate::executor::block_on;
use crate::model::Model;
use crate::observe::{fsck, observe};
use crate::step::Step;
use crate::store::{IndexState, Scheme, Store};
use crate::workload::{chance, next_step, pick};

/// What a campaign does.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The erasure scheme.
    pub scheme: Scheme,
    /// Operations of the client.
    pub steps: usize,
    /// Every nth boundary is tried; 1: each.
    pub every: u64,
    /// Some writes ask for less than all drives; then no drive is ever missing.
    pub weak_acks: bool,
    /// Some uploads have a part of full size.
    pub big_parts: bool,
    /// Planted bug: syncs on this many of the drives do nothing.
    pub forget_syncs: usize,
}

impl Config {
    /// All of a scheme, as a seed's campaign has it.
    pub fn of(scheme: Scheme, seed: u64) -> Config {
        Config {
            scheme,
            steps: 40,
            every: 1,
            weak_acks: seed % 4 == 3,
            big_parts: seed % 16 == 6,
            forget_syncs: 0,
        }
    }

    /// The scheme and the rest, by the seed alone.
    pub fn of_seed(seed: u64) -> Config {
        let schemes = [(1, 0), (1, 1), (2, 1), (4, 2), (2, 2)];
        let (k, m) = schemes[(seed % schemes.len() as u64) as usize];
        Config::of(Scheme { k, m }, seed)
    }
}

/// One cut after which something was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed of the run.
    pub seed: u64,
    /// The operation of a drive that the power was cut at.
    pub boundary: u64,
    /// What the client was doing.
    pub doing: String,
    /// What was wrong.
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { seed, boundary, doing, what } = self;
        write!(f, "seed {seed}, power cut at operation {boundary} ({doing}): {what}")
    }
}

/// What came of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Operations of drives in the run: the possible cuts.
    pub boundaries: u64,
    /// Cuts tried, those during recovery included.
    pub cuts: u64,
    /// Cuts that left an operation undone, and done.
    pub undone_and_done: (u64, u64),
    /// A hash over everything that happened; the same for the same seed.
    pub trace: u64,
    /// What was wrong.
    pub failures: Vec<Failure>,
}

/// The run as it was when a drive did an operation.
struct Boundary {
    operation: u64,
    world: SimWorld,
    knowledge: Arc<Knowledge>,
}

/// What the client knows while it does one thing.
struct Knowledge {
    doing: String,
    /// The states the store may be in; the first is the one before.
    states: Vec<Model>,
    /// Indexes as they were: any of them may be what the machine kept.
    indexes: Vec<IndexState>,
    /// Nothing was acknowledged yet: drives may be half formatted.
    formatting: bool,
}

/// Runs the campaign of `seed`.
pub fn run(seed: u64, config: Config) -> Outcome {
    campaign(seed, config, None)
}

/// Runs the workload of `seed` and the one cut at `boundary`.
pub fn replay(seed: u64, config: Config, boundary: u64) -> Outcome {
    campaign(seed, config, Some(boundary))
}

fn campaign(seed: u64, config: Config, only: Option<u64>) -> Outcome {
    let mut outcome = Outcome::default();
    let world = SimWorld::new(seed);
    let (boundaries, end) = match record(seed, config, &world, only) {
        Ok(recorded) => recorded,
        Err(failure) => {
            outcome.failures.push(failure);
            return outcome;
        }
    };
    outcome.boundaries = world.operations();
    let results = check_all(seed, config, boundaries);
    let mut trace = vec![world.trace(), end];
    for (boundary, result) in results {
        match result {
            Ok(checked) => {
                outcome.cuts += checked.cuts;
                match checked.done {
                    true => outcome.undone_and_done.1 += 1,
                    false => outcome.undone_and_done.0 += 1,
                }
                trace.extend([boundary, checked.trace]);
            }
            Err(failure) => {
                trace.push(boundary);
                outcome.failures.push(failure);
            }
        }
    }
    let bytes: Vec<u8> = trace.iter().flat_map(|n| n.to_le_bytes()).collect();
    outcome.trace = coffer_base::checksum::checksum(seed, &bytes);
    outcome
}

/// A seed of its own for each cut.
fn seed_of(seed: u64, boundary: u64) -> u64 {
    let bytes = [seed.to_le_bytes(), boundary.to_le_bytes()].concat();
    coffer_base::checksum::checksum(0, &bytes)
}

/// Runs the workload, restarting now and then, and keeps a copy at each boundary wanted.
fn record(
    seed: u64,
    config: Config,
    world: &SimWorld,
    only: Option<u64>,
) -> Result<(Vec<Boundary>, u64), Failure> {
    let first = Arc::new(Knowledge {
        doing: "making the store".to_owned(),
        states: vec![Model::default()],
        indexes: Vec::new(),
        formatting: true,
    });
    let now = Arc::new(Mutex::new(first));
    let boundaries = Arc::new(Mutex::new(Vec::new()));
    let (known, keep) = (now.clone(), boundaries.clone());
    world.observe(Some(Box::new(move |operation, world| {
        let wanted = only.map_or(operation.is_multiple_of(config.every), |o| o == operation);
        if wanted {
            let knowledge = known.lock().expect("no holder panics").clone();
            let boundary = Boundary { operation, world: world.fork(), knowledge };
            keep.lock().expect("no holder panics").push(boundary);
        }
    })));
    let ran = catch_unwind(AssertUnwindSafe(|| run_workload(seed, config, world, &now)));
    world.observe(None);
    let ran = ran.unwrap_or_else(|panic| Err(panic_text(&*panic)));
    let usage = ran.map_err(|what| Failure {
        seed,
        boundary: world.operations(),
        doing: now.lock().expect("no holder panics").doing.clone(),
        what: format!("without any power cut: {what}"),
    })?;
    let boundaries = std::mem::take(&mut *boundaries.lock().expect("no holder panics"));
    Ok((boundaries, usage))
}

fn run_workload(
    seed: u64,
    config: Config,
    world: &SimWorld,
    now: &Mutex<Arc<Knowledge>>,
) -> Result<u64, String> {
    let rng = SeededRng::new(seed);
    let drives = config.scheme.drives();
    for (i, drive) in drives.iter().enumerate() {
        let faults = Faults { forget_syncs: i < config.forget_syncs, ..Faults::default() };
        world.set_faults(drive, faults);
    }
    let mut indexes: Vec<IndexState> = Vec::new();
    let mut model = Model::default();
    let mut store = Store::open(world, config.scheme, &drives, None, rng.next_u64())
        .map_err(|e| e.to_string())?;
    let know = |doing: String, states: Vec<Model>, indexes: &[IndexState]| {
        let indexes = indexes.to_vec();
        let knowledge = Knowledge { doing, states, indexes, formatting: false };
        *now.lock().expect("no holder panics") = Arc::new(knowledge);
    };
    for _ in 0..config.steps {
        indexes.extend(store.index()?);
        if chance(&rng, 1, 20) {
            let clean = chance(&rng, 1, 2);
            let how = if clean { "a clean restart" } else { "a restart after a power cut" };
            know(how.to_owned(), vec![model.clone()], &indexes);
            match clean {
                true => store.close()?,
                false => {
                    drop(store);
                    world.power_cut();
                }
            }
            let index = remembered(&rng, &indexes);
            store = Store::open(world, config.scheme, &drives, index, rng.next_u64())
                .map_err(|e| e.to_string())?;
            continue;
        }
        let step = next_step(&rng, &model, config.weak_acks, config.big_parts);
        know(step.describe(), step.alternatives(&model), &indexes);
        do_step(&step, &store, &mut model)?;
        know(format!("after: {}", step.describe()), vec![model.clone()], &indexes);
    }
    know("the end".to_owned(), vec![model.clone()], &indexes);
    expect(&store, &model)?;
    fsck(&store)?;
    know("a clean stop".to_owned(), vec![model.clone()], &indexes);
    store.close()?;
    Ok(model.usage().bytes)
}

/// What the machine kept of the index: nothing, or any of its states.
fn remembered<'a>(rng: &SeededRng, indexes: &'a [IndexState]) -> Option<&'a IndexState> {
    let some = !indexes.is_empty() && chance(rng, 1, 2);
    some.then(|| pick(rng, indexes))
}

fn do_step(step: &Step, store: &Store, model: &mut Model) -> Result<(), String> {
    let id =
        block_on(step.run(store, model)).map_err(|e| format!("{} fails: {e}", step.describe()))?;
    step.apply(model);
    model.name_upload(id);
    Ok(())
}

fn expect(store: &Store, model: &Model) -> Result<(), String> {
    let seen = block_on(observe(store))?;
    match model.difference(&seen) {
        None => Ok(()),
        Some(difference) => Err(difference),
    }
}

struct Checked {
    cuts: u64,
    /// The operation under way is done.
    done: bool,
    trace: u64,
}

/// Checks all boundaries on as many threads as there are cores; results in order.
fn check_all(
    seed: u64,
    config: Config,
    boundaries: Vec<Boundary>,
) -> Vec<(u64, Result<Checked, Failure>)> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(8);
    let queue = Mutex::new(boundaries.into_iter());
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("taking doesn't panic").next();
                    let Some(boundary) = next else { return };
                    let checked = catch_unwind(AssertUnwindSafe(|| check(seed, config, &boundary)));
                    let checked = checked.unwrap_or_else(|panic| Err(panic_text(&*panic)));
                    let checked = checked.map_err(|what| Failure {
                        seed,
                        boundary: boundary.operation,
                        doing: boundary.knowledge.doing.clone(),
                        what,
                    });
                    let mut results = results.lock().expect("adding doesn't panic");
                    results.push((boundary.operation, checked));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no thread panicked");
    results.sort_by_key(|(operation, _)| *operation);
    results
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic: {}", text.unwrap_or("of an unknown kind"))
}

/// Cuts the power at one boundary and looks at what is left.
fn check(seed: u64, config: Config, boundary: &Boundary) -> Result<Checked, String> {
    let Boundary { operation, world, knowledge } = boundary;
    let rng = SeededRng::new(seed_of(seed, *operation));
    let drives = config.scheme.drives();
    world.reseed(rng.next_u64());
    // One time in four only the process is killed: what the page cache has is there, until the
    // power goes later on.
    let mut cuts = 0;
    if chance(&rng, 3, 4) {
        world.power_cut();
        cuts += 1;
    }

    let may_lose = config.scheme.m > 0 && !knowledge.formatting && !config.weak_acks;
    let mut present = drives.clone();
    if may_lose && chance(&rng, 1, 3) {
        present = take_away(world, &drives, u64::from(config.scheme.m), &rng);
    }
    let mut changed = false;

    // The power goes again during recovery, or it doesn't come to that. In between drives may
    // come back, or others go.
    while cuts < 4 && (chance(&rng, 1, 3) || cuts == 0 && chance(&rng, 1, 2)) {
        world.cut_power_at(world.operations() + 1 + rng.below(25));
        let index = remembered(&rng, &knowledge.indexes);
        let opened = Store::open(world, config.scheme, &present, index, rng.next_u64());
        if let (Err(what), false) = (&opened, world.is_down())
            && !(changed && what.is_no_majority())
        {
            return Err(format!("after cut {cuts}: {what}"));
        }
        drop(opened);
        world.power_cut();
        cuts += 1;
        let forced = present.len() * 2 <= drives.len();
        if may_lose && !forced && chance(&rng, 1, 2) {
            restore_all(world, &drives);
            let most = usize::from(config.scheme.m).min((drives.len() - 1) / 2) as u64;
            present = match most > 0 && present.len() == drives.len() {
                true => take_away(world, &drives, most, &rng),
                false => drives.clone(),
            };
            changed = true;
        }
    }

    let index = remembered(&rng, &knowledge.indexes);
    let mut opened = Store::open(world, config.scheme, &present, index, rng.next_u64());
    if opened.as_ref().is_err_and(|what| changed && what.is_no_majority()) {
        // The drives that took part in the last start are not here: rightly refused.
        restore_all(world, &drives);
        present = drives.clone();
        opened = Store::open(world, config.scheme, &present, index, rng.next_u64());
    }
    let away = drives.len() - present.len();
    let context = |what: String| match away {
        0 => what,
        _ => format!("({away} drives away) {what}"),
    };
    let store = opened.map_err(|e| context(e.to_string()))?;
    let (mut model, done) = recognise(&store, &knowledge.states).map_err(context)?;
    if away == 0 {
        fsck(&store).map_err(context)?;
    }
    for _ in 0..rng.below(5) {
        let step = next_step(&rng, &model, config.weak_acks, false);
        do_step(&step, &store, &mut model).map_err(|e| context(format!("later {e}")))?;
    }
    expect(&store, &model).map_err(|e| context(format!("after more operations: {e}")))?;

    if chance(&rng, 1, 2) {
        match chance(&rng, 1, 2) {
            true => store.close().map_err(context)?,
            false => {
                drop(store);
                world.power_cut();
                cuts += 1;
            }
        }
        restore_all(world, &drives);
        let index = remembered(&rng, &knowledge.indexes);
        let store = match Store::open(world, config.scheme, &drives, index, rng.next_u64()) {
            // The operator started half of the drives by force while the other half, unseen, had
            // begun a start of its own.
            Err(what) if away * 2 >= drives.len() && what.is_divergence() => {
                return Ok(Checked { cuts, done, trace: world.trace() });
            }
            other => other.map_err(|e| context(format!("second life: {e}")))?,
        };
        expect(&store, &model).map_err(|e| context(format!("second life: {e}")))?;
        fsck(&store).map_err(|e| context(format!("second life: {e}")))?;
    }
    Ok(Checked { cuts, done, trace: world.trace() })
}

/// Takes 1 to `most` drives away; gives the names of the rest.
fn take_away(world: &SimWorld, drives: &[String], most: u64, rng: &SeededRng) -> Vec<String> {
    let mut present = drives.to_vec();
    for _ in 0..=rng.below(most) {
        let gone = present.remove(rng.below(present.len() as u64) as usize);
        world.remove_drive(&gone);
    }
    present
}

fn restore_all(world: &SimWorld, drives: &[String]) {
    for drive in drives {
        world.restore_drive(drive);
    }
}

/// Which of the states a store is in, and whether that is one with the last operation done.
fn recognise(store: &Store, states: &[Model]) -> Result<(Model, bool), String> {
    let seen = block_on(observe(store))?;
    let mut differences = Vec::new();
    for (i, state) in states.iter().enumerate() {
        let mut state = state.clone();
        state.learn_ids(&seen);
        match state.difference(&seen) {
            None => return Ok((state, i > 0)),
            Some(difference) => differences.push(difference),
        }
    }
    differences.dedup();
    Err(format!("neither done nor undone: {}", differences.join(" | ")))
}

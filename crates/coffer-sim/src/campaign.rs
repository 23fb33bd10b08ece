//! Cuts the power of one run at every operation, and looks at what is left each time.
//!
//! The workload runs once. At each operation of a drive the world is copied, in the state in
//! which a cut would find it, together with what the client knows then: the states a store may be
//! in. Each copy then has its power cut, and is opened and checked on its own:
//!
//! 1. what survives the cut is drawn, drives are taken away in some cases, and in some the power
//!    goes again while the store recovers, or a drive fails;
//! 2. the store opens and holds exactly one of the states it may be in; fsck is clean;
//! 3. it does a few more operations, some with failing drives or until the power goes, and holds
//!    what they make of it;
//! 4. it stops, other drives are here, it starts again, and still holds the same; up to three
//!    times.
//!
//! Everything follows from the seed, so a failure is replayed by its seed and boundary.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use coffer_base::drive::SimWorld;
use coffer_base::rng::{Rng, SeededRng};

use crate::life::{Ended, Knowledge, Machine};
use crate::model::Model;
use crate::plant::Plant;
use crate::store::Scheme;
use crate::workload::{chance, pick};

/// What a campaign does.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The erasure scheme.
    pub scheme: Scheme,
    /// Operations of the client.
    pub steps: usize,
    /// Every nth boundary is tried; 1: each.
    pub every: u64,
    /// Some writes ask for less than all drives.
    pub weak_acks: bool,
    /// Drives fail in the middle of the run, and of the lives after it.
    pub trouble: bool,
    /// Drives may hang, too.
    pub stalls: bool,
    /// Scrubs, rebuilds and replaced drives.
    pub mending: bool,
    /// Some uploads have a part of full size.
    pub big_parts: bool,
    /// Buckets may keep versions.
    pub versions: bool,
    /// Old copies of drives are put in their places.
    pub old_copies: bool,
    /// Print what happens.
    pub narrate: bool,
    /// A planted bug.
    pub plant: Plant,
}

impl Config {
    /// All of a scheme, as a seed's campaign has it.
    pub fn of(scheme: Scheme, seed: u64) -> Config {
        Config {
            scheme,
            steps: 40,
            every: 1,
            weak_acks: seed % 4 == 3 || seed % 8 == 1,
            trouble: seed % 4 == 1 || seed % 4 == 2,
            stalls: seed % 7 >= 3,
            mending: seed.is_multiple_of(3),
            big_parts: seed % 16 == 6,
            versions: (seed / 5) % 3 == 1,
            old_copies: matches!(seed % 7, 2 | 5),
            narrate: false,
            plant: Plant::Nothing,
        }
    }

    /// The scheme and the rest, by the seed alone.
    pub fn of_seed(seed: u64) -> Config {
        let schemes = [(1, 0), (1, 1), (2, 1), (4, 2), (2, 2)];
        let (k, m) = schemes[(seed % schemes.len() as u64) as usize];
        Config::of(Scheme { k, m }, seed)
    }
}

/// One campaign, or one boundary of it.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// The seed of the run.
    pub seed: u64,
    /// What it does.
    pub config: Config,
    /// The one boundary to look at; `None`: all.
    pub boundary: Option<u64>,
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
    /// States in which a store was opened and all it holds compared.
    pub states: u64,
    /// Power cuts, those during recovery included.
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
                outcome.states += checked.states;
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

/// Runs the workload, restarting now and then, and keeps a copy at each boundary wanted. Gives
/// these, and a number that tells what the run came to.
fn record(
    seed: u64,
    config: Config,
    world: &SimWorld,
    only: Option<u64>,
) -> Result<(Vec<Boundary>, u64), Failure> {
    let first = Knowledge {
        doing: "making the store".to_owned(),
        states: vec![Model::default()],
        formatting: true,
        ..Knowledge::default()
    };
    let now = Arc::new(Mutex::new(Arc::new(first.clone())));
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
    let tell = |known: &Knowledge| {
        *now.lock().expect("no holder panics") = Arc::new(known.clone());
    };
    let drives = config.scheme.drives();
    let rng = SeededRng::new(seed);
    let mut machine =
        Machine { world, config, drives, rng, known: first, cuts: 0, states: 0, tell: &tell };
    let ran = catch_unwind(AssertUnwindSafe(|| run_workload(&mut machine)));
    world.observe(None);
    let ran = ran.unwrap_or_else(|panic| Err(panic_text(&*panic)));
    let end = ran.map_err(|what| Failure {
        seed,
        boundary: world.operations(),
        doing: now.lock().expect("no holder panics").doing.clone(),
        what: format!("without any power cut: {what}"),
    })?;
    let boundaries = std::mem::take(&mut *boundaries.lock().expect("no holder panics"));
    Ok((boundaries, end))
}

fn run_workload(machine: &mut Machine<'_>) -> Result<u64, String> {
    machine.drives.iter().for_each(|drive| drop(machine.world.drive(drive)));
    machine.restore_all();
    let mut store = machine.open().map_err(|e| e.to_string())?;
    machine.known.formatting = false;
    let mut left = machine.config.steps;
    while left > 0 {
        let steps = left.min(1 + machine.rng.below(40) as usize);
        left -= steps;
        let ended = machine.work(&store, steps)?;
        if left == 0 && ended == Ended::Done {
            break;
        }
        let clean = ended == Ended::Done && chance(&machine.rng, 1, 2);
        machine.say(if clean { "a clean restart" } else { "a restart after a power cut" });
        match clean {
            true => machine.stop(store)?,
            false => {
                drop(store);
                machine.world.power_cut();
            }
        }
        // Some trouble is over, some is not.
        if chance(&machine.rng, 1, 2) {
            machine.restore_all();
        }
        if machine.config.mending && chance(&machine.rng, 1, 3) {
            machine.replace_one();
        }
        store = machine.open_somehow(false)?;
        machine.recognise(&store)?;
    }
    machine.say("the end");
    machine.check(&store)?;
    machine.say("a clean stop");
    machine.stop(store)?;
    Ok(machine.model().usage().bytes)
}

struct Checked {
    cuts: u64,
    states: u64,
    /// The operation under way is done.
    done: bool,
    trace: u64,
}

/// Checks all boundaries, in order.
fn check_all(
    seed: u64,
    config: Config,
    boundaries: Vec<Boundary>,
) -> Vec<(u64, Result<Checked, Failure>)> {
    let check_one = |boundary: Boundary| {
        let checked = catch_unwind(AssertUnwindSafe(|| check(seed, config, &boundary)));
        let checked = checked.unwrap_or_else(|panic| Err(panic_text(&*panic)));
        let operation = boundary.operation;
        let doing = || boundary.knowledge.doing.clone();
        let failed = |what| Failure { seed, boundary: operation, doing: doing(), what };
        (operation, checked.map_err(failed))
    };
    boundaries.into_iter().map(check_one).collect()
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
    world.reseed(rng.next_u64());
    if config.narrate {
        println!("  the cut at operation {operation}, while: {}", knowledge.doing);
    }
    let (drives, known) = (config.scheme.drives(), (**knowledge).clone());
    let mut machine =
        Machine { world, config, drives, rng, known, cuts: 0, states: 0, tell: &|_| {} };
    let done = live_on(&mut machine).map_err(|what| machine.in_context(what))?;
    Ok(Checked { cuts: machine.cuts, states: machine.states, done, trace: world.trace() })
}

/// The lives after a cut; whether the operation under way was found done.
fn live_on(machine: &mut Machine<'_>) -> Result<bool, String> {
    // One time in four only the process is killed: what the page cache has is there, until the
    // power goes later on.
    if chance(&machine.rng, 3, 4) {
        machine.cut();
    }
    let older = machine.world.fork();
    older.power_cut();
    if chance(&machine.rng, 1, 2) {
        machine.restore_all();
    }
    let may_lose = machine.config.scheme.m > 0 && !machine.known.formatting;
    if may_lose && chance(&machine.rng, 1, 3) {
        machine.take_away(usize::from(machine.config.scheme.m));
    }
    if machine.config.trouble && !machine.known.formatting && chance(&machine.rng, 1, 8) {
        machine.fill_all();
    }
    if machine.config.mending && may_lose && chance(&machine.rng, 1, 8) {
        machine.replace_one();
    }
    let changed = recover_in_vain(machine, may_lose)?;
    let mut store = machine.open_somehow(changed)?;
    let done = machine.recognise(&store)?;
    machine.check(&store)?;
    machine.known.formatting = false;
    let lives = [1, 2, 2, 3][machine.rng.below(4) as usize];
    for life in 1..=lives {
        let down_at = machine.world.operations() + 1 + machine.rng.below(60);
        if chance(&machine.rng, 1, 4) {
            machine.world.cut_power_at(down_at);
        }
        let steps = machine.rng.below(5) as usize;
        let ended = machine.work(&store, steps).map_err(|e| format!("life {life}: {e}"))?;
        if ended == Ended::Done {
            machine.check(&store).map_err(|e| format!("life {life}, later: {e}"))?;
        }
        if life == lives && chance(&machine.rng, 1, 2) {
            break;
        }
        match ended == Ended::Done && chance(&machine.rng, 1, 2) {
            true => machine.stop(store).map_err(|e| format!("life {life} does not end: {e}"))?,
            false => {
                drop(store);
                machine.cut();
            }
        }
        if life == lives || chance(&machine.rng, 1, 2) {
            machine.restore_all();
        }
        let may_lose = may_lose && life < lives;
        if may_lose && chance(&machine.rng, 1, 3) {
            machine.take_away(usize::from(machine.config.scheme.m));
        }
        if machine.config.mending && may_lose && chance(&machine.rng, 1, 5) {
            machine.replace_one();
        }
        if machine.config.old_copies && may_lose && chance(&machine.rng, 1, 3) {
            machine.put_back_one_of(&older);
        }
        store = machine.open_somehow(false).map_err(|e| format!("life {}: {e}", life + 1))?;
        machine.recognise(&store).map_err(|e| format!("life {}: {e}", life + 1))?;
        machine.check(&store).map_err(|e| format!("life {}: {e}", life + 1))?;
    }
    Ok(done)
}

/// The power goes again during recovery, or it doesn't come to that. In between drives may come
/// back, or others go: whether that happened.
fn recover_in_vain(machine: &mut Machine<'_>, may_lose: bool) -> Result<bool, String> {
    let mut changed = false;
    let mut tries = 0;
    while tries < 3
        && (chance(&machine.rng, 1, 3) || machine.cuts == 0 && chance(&machine.rng, 1, 2))
    {
        tries += 1;
        if machine.config.trouble && may_lose && chance(&machine.rng, 1, 3) {
            machine.cause_trouble();
        }
        // At the first operations, or beyond the sealing of what was open.
        let reach = *pick(&machine.rng, &[25, 120]);
        machine.world.cut_power_at(machine.world.operations() + 1 + machine.rng.below(reach));
        let opened = machine.open();
        if let (Err(what), false) = (&opened, machine.world.is_down())
            && !(changed && what.is_no_majority())
            && !machine.known.troubled
            && machine.known.harmed.is_empty()
        {
            return Err(format!("after cut {}: {what}", machine.cuts));
        }
        drop(opened);
        machine.cut();
        let (here, all) = (machine.here().len(), machine.drives.len());
        if may_lose && here * 2 > all && chance(&machine.rng, 1, 2) {
            machine.restore_all();
            if here == all && machine.known.empty.is_empty() {
                machine.take_away(usize::from(machine.config.scheme.m).min((all - 1) / 2));
            }
            changed = true;
        }
    }
    Ok(changed)
}

//! No space left, from each operation of a small run on: what is refused, and what must go on.
//!
//! The run is made once for each of its operations. From that one on the drives are full, until
//! the client has gone on for a while; then there is space again. In between, everything that was
//! there is read after each step, nothing but `Full` is answered, and what was refused has left
//! nothing. Afterwards the store writes, restarts, and holds the same.

use coffer_base::drive::{Faults, SimWorld, Strike};
use coffer_base::rng::{Rng, SeededRng};
use coffer_objects::Error;

use crate::executor::block_on;
use crate::model::Model;
use crate::observe::{fsck, observe};
use crate::step::Step;
use crate::store::{Present, Scheme, Store};
use crate::workload::next_step;

/// Steps of a run.
const STEPS: usize = 14;
/// Steps that a client does with full drives before there is space again.
const STEPS_FULL: usize = 5;

/// How the drives are full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fullness {
    /// What was reserved can still be written, on every drive.
    Reserved,
    /// No drive takes any write.
    Nothing,
    /// One drive takes no more than what was reserved; the others have space.
    One,
}

impl Fullness {
    /// All of them.
    pub const ALL: [Fullness; 3] = [Fullness::Reserved, Fullness::Nothing, Fullness::One];
}

/// What the runs came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Runs: operations from which on there was no space.
    pub runs: u64,
    /// Steps that were refused.
    pub refused: u64,
    /// Steps that were done while there was no space.
    pub done: u64,
    /// Deletes among these.
    pub deletes: u64,
}

struct Run {
    world: SimWorld,
    scheme: Scheme,
    seed: u64,
    rng: SeededRng,
    model: Model,
    starts: u64,
    outcome: Outcome,
}

/// Makes the run of `seed` once for each of its operations, or of every nth.
pub fn run(scheme: Scheme, seed: u64, fullness: Fullness, every: u64) -> Result<Outcome, String> {
    let mut total = Outcome::default();
    for from in (1..).step_by(every.max(1) as usize) {
        let mut run = Run {
            world: SimWorld::new(seed),
            scheme,
            seed,
            rng: SeededRng::new(seed),
            model: Model::default(),
            starts: 0,
            outcome: Outcome::default(),
        };
        let came = run.go(from, fullness).map_err(|what| {
            format!("seed {seed} ({scheme:?}), {fullness:?} from operation {from} on: {what}")
        })?;
        if !came {
            break;
        }
        total.runs += 1;
        total.refused += run.outcome.refused;
        total.done += run.outcome.done;
        total.deletes += run.outcome.deletes;
    }
    Ok(total)
}

impl Run {
    /// Whether operation `from` came at all.
    fn go(&mut self, from: u64, fullness: Fullness) -> Result<bool, String> {
        let drives = self.scheme.drives();
        drives.iter().for_each(|drive| drop(self.world.drive(drive)));
        let all = fullness == Fullness::Nothing;
        let faults = Faults { full: true, full_for_overwrites: all, ..Faults::default() };
        let struck = if fullness == Fullness::One { 1 } else { drives.len() };
        for drive in drives.iter().take(struck) {
            self.world.strike_at(from, drive, Strike::Faults(faults.clone()));
        }
        let mut store = match self.open() {
            Ok(store) => store,
            // There was no space to make a store.
            Err(_) if self.is_full() => {
                self.make_room();
                self.open()?
            }
            Err(what) => return Err(what),
        };
        let mut steps_full = 0;
        for _ in 0..STEPS {
            let unknown = self.step(&store)?;
            steps_full += usize::from(self.is_full());
            if let Some(states) = unknown {
                // Only a start tells.
                self.make_room();
                drop(store);
                store = self.open()?;
                self.recognise(&store, states)?;
                break;
            }
            if steps_full >= STEPS_FULL {
                break;
            }
        }
        let came = self.world.operations() >= from;
        self.make_room();
        // Everything goes on without a restart.
        for _ in 0..4 {
            if self.step(&store)?.is_some() {
                return Err("an outcome is unknown although there is space".to_owned());
            }
        }
        self.check(&store)?;
        fsck(&store)?;
        match self.rng.below(2) {
            0 => store.close()?,
            _ => {
                drop(store);
                self.world.power_cut();
            }
        }
        let store = self.open()?;
        self.check(&store)?;
        fsck(&store)?;
        Ok(came)
    }

    fn open(&mut self) -> Result<Store, String> {
        self.starts += 1;
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(self.starts);
        let drives = self.scheme.drives();
        Store::open(&self.world, self.scheme, Present::all(&drives), None, seed)
            .map_err(|e| e.to_string())
    }

    fn is_full(&self) -> bool {
        self.scheme.drives().iter().any(|drive| self.world.faults(drive).full)
    }

    fn takes_nothing(&self) -> bool {
        self.scheme.drives().iter().all(|drive| self.world.faults(drive).full_for_overwrites)
    }

    fn make_room(&self) {
        self.world.call_off_strikes();
        for drive in self.scheme.drives() {
            self.world.set_faults(&drive, Faults::default());
        }
    }

    /// Does a step. Where its outcome is unknown, since not even what was reserved could be written:
    /// what the store may hold.
    fn step(&mut self, store: &Store) -> Result<Option<Vec<Model>>, String> {
        let step = next_step(&self.rng, &self.model, false, false);
        let doing = step.describe();
        match step.run(store, &self.model) {
            Ok(id) => {
                step.apply(&mut self.model);
                self.model.name_upload(id);
                if self.is_full() {
                    self.outcome.done += 1;
                    let deletes = matches!(step, Step::Delete(_) | Step::DeleteIfMatch(..));
                    self.outcome.deletes += u64::from(deletes);
                }
            }
            Err(failed) if matches!(failed.error, Error::Full) && self.is_full() => {
                self.outcome.refused += 1;
                failed.done.iter().for_each(|step| step.apply(&mut self.model));
            }
            Err(failed) if matches!(failed.error, Error::Unknown(_)) && self.takes_nothing() => {
                self.outcome.refused += 1;
                return Ok(Some(step.alternatives(&self.model, true)));
            }
            Err(failed) => return Err(format!("{doing}: {}", failed.error)),
        }
        if self.is_full() {
            self.check(store).map_err(|what| format!("after {doing}, still full: {what}"))?;
        }
        Ok(None)
    }

    fn recognise(&mut self, store: &Store, states: Vec<Model>) -> Result<(), String> {
        let seen = block_on(observe(store))?;
        for mut state in states {
            state.learn_ids(&seen);
            if state.difference(&seen).is_none() {
                self.model = state;
                return Ok(());
            }
        }
        Err("after an unknown outcome it is neither done nor undone".to_owned())
    }

    fn check(&self, store: &Store) -> Result<(), String> {
        let seen = block_on(observe(store))?;
        self.model.difference(&seen).map_or(Ok(()), Err)
    }
}

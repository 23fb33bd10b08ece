//! One drive hangs for good at each operation of a small run: everything goes on over the others,
//! and what the drive was asked lands late, in every way that it can.

use coffer_base::drive::{SimWorld, Strike};
use coffer_base::rng::{Rng, SeededRng};
use coffer_log::DriveState;

use crate::executor::block_on;
use crate::model::Model;
use crate::observe::{fsck, observe};
use crate::store::{Present, Scheme, Store};
use crate::workload::next_step;

/// When the call that hung has its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// While the store that asked runs on.
    Meanwhile,
    /// After the next start, without the drive, has begun.
    AfterAStart,
    /// At a power cut or after the start that follows, or never.
    AroundACut,
}

impl Landing {
    /// All.
    pub const ALL: [Landing; 3] = [Landing::Meanwhile, Landing::AfterAStart, Landing::AroundACut];
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Runs in which a drive hung.
    pub runs: u64,
    /// Of these, with a call in limbo that changes the drive.
    pub in_limbo: u64,
}

/// Operations of the client before the call lands, and after.
const STEPS: usize = 5;

/// Makes the run of `seed` again for every nth of its operations.
pub fn run(scheme: Scheme, seed: u64, landing: Landing, every: u64) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    for at in (1..).step_by(every.max(1) as usize) {
        let (world, rng) = (SimWorld::new(seed), SeededRng::new(seed));
        let mut run = Run { world, scheme, rng, model: Model::default(), limbo: 0 };
        let came = run.run(landing, at);
        let came = came.map_err(|e| format!("{landing:?}, {at} operations after a start: {e}"))?;
        if !came {
            return Ok(outcome);
        }
        outcome.runs += 1;
        outcome.in_limbo += u64::from(run.limbo > 0);
    }
    Ok(outcome)
}

struct Run {
    world: SimWorld,
    scheme: Scheme,
    rng: SeededRng,
    model: Model,
    limbo: usize,
}

impl Run {
    /// Whether the drive hung at all.
    fn run(&mut self, landing: Landing, at: u64) -> Result<bool, String> {
        let drives = self.scheme.drives();
        let store = self.open(&drives)?;
        let drive = drives[at as usize % drives.len()].clone();
        self.world.strike_at(self.world.operations() + at, &drive, Strike::Hang(u64::MAX / 2));
        self.work(&store)?;
        if !self.world.is_hung(&drive) {
            return Ok(false);
        }
        self.limbo = self.world.in_limbo(&drive);
        let status = store.objects.catalog().log().status();
        let of_it = status.drives.iter().find(|status| status.label == drive);
        let is_out = of_it.is_some_and(|it| it.stalled && it.state == DriveState::Lost);
        if self.limbo > 0 && !is_out {
            return Err(format!("{drive} hangs and is not given up: {of_it:?}"));
        }
        let store = match landing {
            Landing::Meanwhile => {
                self.world.wake(&drive);
                store
            }
            Landing::AfterAStart | Landing::AroundACut => {
                drop(store);
                if landing == Landing::AroundACut {
                    self.world.power_cut();
                }
                let others: Vec<String> =
                    drives.iter().filter(|other| **other != drive).cloned().collect();
                let store = self.open(&others)?;
                self.check(&store)?;
                self.world.wake(&drive);
                store
            }
        };
        self.work(&store)?;
        store.close()?;
        let store = self.open(&drives)?;
        self.check(&store)?;
        if landing != Landing::AroundACut {
            fsck(&store)?;
        }
        self.work(&store)?;
        Ok(true)
    }

    fn open(&self, drives: &[String]) -> Result<Store, String> {
        let seed = self.rng.next_u64();
        Store::open(&self.world, self.scheme, Present::all(drives), None, seed)
            .map_err(|e| e.to_string())
    }

    /// Every operation succeeds, and is seen.
    fn work(&mut self, store: &Store) -> Result<(), String> {
        for _ in 0..STEPS {
            let step = next_step(&self.rng, &self.model, false, false);
            let doing = step.describe();
            let id = step.run(store, &self.model).map_err(|e| format!("{doing}: {}", e.error))?;
            step.apply(&mut self.model);
            self.model.name_upload(id);
            self.check(store).map_err(|what| format!("after {doing}: {what}"))?;
        }
        Ok(())
    }

    fn check(&self, store: &Store) -> Result<(), String> {
        let seen = block_on(observe(store))?;
        self.model.difference(&seen).map_or(Ok(()), Err)
    }
}

//! Drives that hang.
//!
//! A call that a hanging drive gets is inside it, *in limbo*: nothing came of it yet, and its caller
//! has the error that it would have when the drive is given up ([`crate::drive::queue`]). A drive is given
//! up, for the handle that asked, by the first call that waits; a hedged read says that it is slow.
//! Nothing is sent to it through that handle any more.
//!
//! What is in limbo has its effect, in order, when the drive wakes: at the operation that ends the
//! hang, whoever does it, or at [`super::SimWorld::wake`]. A failure of a change is then told as
//! that of a call that came back late. Until then the store may have stopped and started again,
//! without the drive. At a power cut some of it, from the first on, had its effect just before, and the
//! rest never will; except that what a drive had in a memory of its own may reach it after the next start has
//! begun: a write, durable then. The drive may hang on after a cut.

use std::io;
use std::sync::Mutex;

use super::call::Call;
use super::world::{DriveState, World};
use super::{Patience, SimWorld, Survival, Verdicts, chance, drive_of};
use crate::drive::queue::{given_up, late};
use crate::rng::{Rng, SeededRng};

/// What a drive was asked and did not do yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Limbo {
    /// The operation at which it wakes; `None`: it answers.
    until: Option<u64>,
    /// Which handle asked, and for what.
    inside: Vec<(u64, Call)>,
    /// Writes that outlived a power cut, and the operation at which they land.
    afloat: Vec<(u64, Call)>,
    /// The first failure of a call that came back late, and which handle asked.
    failed: Option<(u64, io::ErrorKind, String)>,
}

impl Limbo {
    pub(super) fn is_hung(&self) -> bool {
        self.until.is_some()
    }

    pub(super) fn hang(&mut self, until: u64) {
        self.until = Some(until);
    }

    pub(super) fn push(&mut self, handle: u64, call: Call) {
        self.inside.push((handle, call));
    }

    pub(super) fn len(&self) -> usize {
        self.inside.len() + self.afloat.len()
    }
}

impl World {
    /// Lands what is due at this operation.
    pub(super) fn land_due(&mut self) {
        let now = self.operations;
        let is_due = |drive: &DriveState| {
            drive.limbo.until.is_some_and(|until| until <= now)
                || drive.limbo.afloat.iter().any(|(at, _)| *at <= now)
        };
        let due: Vec<String> =
            self.drives.iter().filter(|(_, d)| is_due(d)).map(|(name, _)| name.clone()).collect();
        for name in due {
            let Ok(drive) = drive_of(self, &name) else { continue };
            let (landing, afloat) =
                std::mem::take(&mut drive.limbo.afloat).into_iter().partition(|(at, _)| *at <= now);
            drive.limbo.afloat = afloat;
            let wakes = drive.limbo.until.is_some_and(|until| until <= now);
            for (_, call) in landing {
                // Nobody is left who would hear of a failure.
                let _ = self.land(&name, &call);
            }
            if wakes {
                self.wake(&name);
            }
        }
    }

    /// A drive goes on.
    pub(super) fn wake(&mut self, name: &str) {
        let Ok(drive) = drive_of(self, name) else { return };
        drive.limbo.until = None;
        for (handle, call) in std::mem::take(&mut drive.limbo.inside) {
            if let Err(e) = self.land(name, &call)
                && let Ok(drive) = drive_of(self, name)
            {
                drive.limbo.failed.get_or_insert((handle, e.kind(), e.to_string()));
            }
        }
    }

    fn land(&mut self, name: &str, call: &Call) -> io::Result<()> {
        let rng = call.act(self, name)?;
        call.settle(drive_of(self, name)?, &rng)
    }

    /// What a power cut makes of it, before it takes what is not durable.
    pub(super) fn cut_limbo(&mut self, survival: Survival, rng: &SeededRng) {
        let names: Vec<String> = self.drives.keys().cloned().collect();
        for name in names {
            let now = self.operations;
            let Ok(drive) = drive_of(self, &name) else { continue };
            drive.limbo.failed = None;
            if !drive.limbo.is_hung() {
                continue;
            }
            let mut inside = std::mem::take(&mut drive.limbo.inside);
            let landed = match survival {
                Survival::None => 0,
                Survival::All => inside.len(),
                Survival::Random => rng.below(inside.len() as u64 + 1) as usize,
            };
            let rest = inside.split_off(landed);
            if survival == Survival::Random {
                if chance(rng, 1, 2) {
                    let at = now + 1 + rng.below(60);
                    let outlives = |(_, call): (u64, Call)| match call {
                        Call::Write { file, data, offset, .. } => {
                            Some((at, Call::Write { file, data, offset, sync: true }))
                        }
                        _ => None,
                    };
                    drive.limbo.afloat.extend(rest.into_iter().filter_map(outlives));
                }
                if chance(rng, 1, 2) {
                    drive.limbo.until = None;
                }
            }
            for (_, call) in inside {
                // The power goes: nobody hears of a failure.
                let _ = self.land(&name, &call);
            }
        }
    }
}

/// What the one who has a handle of a drive was told of how it answers.
pub(super) struct Answers {
    world: SimWorld,
    drive: String,
    start: u64,
    state: Mutex<State>,
}

struct State {
    given_up: Option<String>,
    /// A read was not waited for.
    late: bool,
    patience: Patience,
}

impl Answers {
    pub(super) fn new(world: SimWorld, drive: String, start: u64) -> Answers {
        let state = State { given_up: None, late: false, patience: Patience::Full };
        Answers { world, drive, start, state: Mutex::new(state) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Which handle it is.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Refuses what is asked of a drive that was given up.
    pub(super) fn check(&self) -> io::Result<()> {
        self.state().given_up.clone().map_or(Ok(()), |why| Err(given_up(why)))
    }

    /// Who waited for the drive gives it up.
    pub(super) fn give_up(&self) -> io::Error {
        let mut state = self.state();
        let why = || "simulated: no answer".to_owned();
        given_up(state.given_up.get_or_insert_with(why).clone())
    }

    /// What a reader is told; `None`: as patient as the job it is part of.
    pub(super) fn no_answer(&self, patience: Option<Patience>) -> io::Error {
        let mut state = self.state();
        if patience.unwrap_or(state.patience) == Patience::Hedged {
            state.late = true;
            return late(&self.drive);
        }
        drop(state);
        self.give_up()
    }
}

impl Verdicts for Answers {
    fn is_slow(&self) -> bool {
        // The world's lock is never taken while this one is held.
        let late = self.state().late;
        let is_given_up = self.given_up().is_some();
        if late && !is_given_up && !self.world.is_hung(&self.drive) {
            self.state().late = false;
            return false;
        }
        late
    }

    fn given_up(&self) -> Option<String> {
        self.state().given_up.clone()
    }

    fn take_late_failure(&self) -> Option<io::Error> {
        // Only of one that was given up does anybody want to know.
        self.given_up()?;
        let mut world = self.world.state();
        let limbo = &mut world.drives.get_mut(&self.drive)?.limbo;
        let of_mine = limbo.failed.take_if(|(handle, ..)| *handle == self.start);
        of_mine.map(|(_, kind, what)| io::Error::new(kind, what))
    }

    fn set_patience(&self, patience: Patience) -> Patience {
        std::mem::replace(&mut self.state().patience, patience)
    }
}

//! A store on its machine, over several starts: what it may hold, which drives may fail it, and
//! what a client may be told.
//!
//! What may be lost is decided here. A drive is *harmed* once it may lack something for good: it
//! failed, went away while others took writes, or tells lies. At most m are at any time, until a
//! scrub has healed them ([`crate::mend`]). Then nothing that was acknowledged may be missing, every read is right, and every
//! write is taken, unless a drive is full. Without redundancy no drive is harmed, but calls may
//! fail; then an answer may be an error, and what it was about is done or not.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use coffer_base::DriveId;
use coffer_base::drive::{Faults, SimWorld};
use coffer_base::rng::{Rng, SeededRng};
use coffer_log::DriveState;
use coffer_objects::Error;

use crate::campaign::Config;
use crate::executor::block_on;
use crate::model::Model;
use crate::observe::{fsck, observe};
use crate::step::{Failed, Step};
use crate::store::{IndexState, OpenFailure, Present, Store};
use crate::trouble::Trouble;
use crate::workload::{chance, next_step, next_versioned_step, pick};

/// What a client, and the one who watches the drives, know of a store.
#[derive(Clone, Default)]
pub struct Knowledge {
    /// What the client does.
    pub doing: String,
    /// The states the store may be in; the first is the one before.
    pub states: Vec<Model>,
    /// Indexes as they were: any of them may be what the machine kept.
    pub indexes: Vec<IndexState>,
    /// Nothing was acknowledged yet: drives may be half formatted.
    pub formatting: bool,
    /// Drives that may lack something for good.
    pub harmed: BTreeSet<String>,
    /// The operator has once started half of the drives by force.
    pub forced: bool,
    /// Drives that a write or a sync failed on, and the store went on without them: never to be
    /// trusted again.
    pub fenced: HashSet<DriveId>,
    /// Drives can't be trusted to answer well just now.
    pub troubled: bool,
    /// The ids of drives, as the last start had them.
    pub ids: BTreeMap<String, DriveId>,
    /// Empty drives that wait to take the place of those they replaced.
    pub empty: BTreeSet<String>,
    /// Something may be sealed with less parity than m, because too few drives were left.
    pub thin: bool,
}

/// How a run of steps ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All were done.
    Done,
    /// The power went.
    Cut,
    /// The store has to be started again.
    Broken,
}

/// A machine with drives.
pub struct Machine<'a> {
    /// Its drives.
    pub world: &'a SimWorld,
    /// What the campaign does.
    pub config: Config,
    /// All drives.
    pub drives: Vec<String>,
    /// Decides.
    pub rng: SeededRng,
    /// What is known.
    pub known: Knowledge,
    /// Power cuts so far.
    pub cuts: u64,
    /// Starts after which all was compared.
    pub states: u64,
    /// Told whenever what is known changes.
    pub tell: &'a dyn Fn(&Knowledge),
}

impl Machine<'_> {
    /// Drives whose loss the store survives.
    pub fn spare(&self) -> usize {
        usize::from(self.config.scheme.m)
    }

    /// Opens the store on the drives that are here, with some index.
    pub fn open(&mut self) -> Result<Store, OpenFailure> {
        let present = self.here();
        let index = self.remembered();
        self.narrate(|| format!("start on {present:?}, with an index: {}", index.is_some()));
        let empty: Vec<String> =
            present.iter().filter(|drive| self.known.empty.contains(*drive)).cloned().collect();
        self.known.forced |= (present.len() - empty.len()) * 2 <= self.drives.len();
        self.note_few(present.len());
        // The operator may know of a drive that gives no answer, and accept it.
        let hangs = present.iter().any(|drive| self.world.is_hung(drive));
        let degraded = hangs && chance(&self.rng, 3, 4);
        let seed = self.rng.next_u64();
        let opened = Store::open(
            self.world,
            self.config.scheme,
            Present { drives: &present, empty: empty.len(), degraded },
            index.as_ref(),
            seed,
        );
        match &opened {
            Ok(store) => {
                store.notes.iter().for_each(|note| self.narrate(|| format!("note: {note}")));
                self.welcome(store, &empty);
            }
            Err(refusal) => self.narrate(|| format!("refused: {refusal}")),
        }
        opened
    }

    /// Drives that were empty are members now.
    fn welcome(&mut self, store: &Store, filled: &[String]) {
        let drives = store.objects.catalog().log().status().drives;
        // One that hung was left out.
        let is_in = |label: &String| drives.iter().any(|drive| drive.label == *label);
        self.known.empty.retain(|label| !filled.contains(label) || !is_in(label));
        let ids = drives.iter().filter(|drive| self.drives.contains(&drive.label));
        self.known.ids.extend(ids.map(|drive| (drive.label.clone(), drive.id)));
        let live = drives.iter().filter(|drive| drive.state == DriveState::Active).count();
        self.note_few(live);
    }

    /// Only `live` drives take what is written.
    fn note_few(&mut self, live: usize) {
        self.known.thin |= self.spare() > 0 && live <= self.spare();
    }

    /// Drives that fail may have left too few, though nobody looked.
    fn suspect_few(&mut self) {
        if self.known.troubled {
            self.note_few(self.drives.len() - self.known.harmed.len());
        }
    }

    /// What the machine kept of the index: nothing, or any of its states.
    fn remembered(&self) -> Option<IndexState> {
        let indexes = &self.known.indexes;
        let some = !indexes.is_empty() && chance(&self.rng, 1, 2);
        some.then(|| pick(&self.rng, indexes).clone())
    }

    /// The one state that is known.
    pub fn model(&self) -> &Model {
        &self.known.states[0]
    }

    /// From here on the store holds `model`.
    fn settle(&mut self, model: Model, doing: String) {
        self.known.states = vec![model];
        self.known.doing = doing;
        (self.tell)(&self.known);
    }

    /// Tells a person who replays a failure what happens.
    pub fn narrate(&self, what: impl FnOnce() -> String) {
        if self.config.narrate {
            println!("  {:>5}  {}", self.world.operations(), what());
        }
    }

    /// From here on something else is done.
    pub fn say(&mut self, doing: &str) {
        self.known.doing = doing.to_owned();
        (self.tell)(&self.known);
    }

    /// What was wrong, and which drives were not well.
    pub fn in_context(&self, what: String) -> String {
        let here = self.here();
        let away: Vec<&String> = self.drives.iter().filter(|d| !here.contains(d)).collect();
        match (away.is_empty(), self.known.harmed.is_empty()) {
            (true, true) => what,
            _ => format!("{what} (away: {away:?}; harmed: {:?})", self.known.harmed),
        }
    }

    /// Stops the store cleanly, as far as the drives let it.
    pub fn stop(&mut self, store: Store) -> Result<(), String> {
        let closed = store.close();
        if self.world.is_down() {
            self.cut();
            return Ok(());
        }
        self.world.keep_power();
        match closed {
            Ok(()) => Ok(()),
            // What could not be sealed, or read back, keeps its copies.
            Err(_) if self.known.troubled => Ok(()),
            Err(what) => Err(what),
        }
    }

    fn is_full(&self) -> bool {
        self.drives.iter().any(|drive| self.world.faults(drive).full)
    }

    /// How often drives had no room for what was asked of them.
    fn refused_for_space(&self) -> u64 {
        self.drives.iter().map(|drive| self.world.refused_for_space(drive)).sum()
    }

    /// An old copy of a drive is put in its place, if one more may be harmed.
    pub fn put_back_one_of(&mut self, older: &SimWorld) {
        let drive = pick(&self.rng, &self.drives).clone();
        let others = self.drives.iter().filter(|d| **d != drive && self.lacks(d)).count();
        let is_filled = self.world.is_here(&drive) && !self.known.empty.contains(&drive);
        if others < self.spare() && is_filled {
            self.narrate(|| format!("an old copy of {drive} is put in its place"));
            self.world.put_back(&drive, older);
            self.known.harmed.insert(drive);
        }
    }

    /// Cuts the power.
    pub fn cut(&mut self) {
        self.suspect_few();
        self.narrate(|| "power cut".to_owned());
        self.world.power_cut();
        self.cuts += 1;
    }

    /// The drives that are here.
    pub fn here(&self) -> Vec<String> {
        self.drives.iter().filter(|drive| self.world.is_here(drive)).cloned().collect()
    }

    /// Takes one to `most` of the drives that are here away, but no more than may be missing.
    pub fn take_away(&mut self, most: usize) {
        if !self.known.empty.is_empty() {
            // Which of two an empty drive replaces would not be clear.
            return;
        }
        for _ in 0..=self.rng.below(most.max(1) as u64) {
            let here = self.here();
            let gone = pick(&self.rng, &here);
            let mut lacking = self.known.harmed.clone();
            lacking.extend(self.drives.iter().filter(|d| !here.contains(d)).cloned());
            lacking.insert(gone.clone());
            if most > 0 && lacking.len() <= self.spare() {
                self.narrate(|| format!("{gone} is taken away"));
                self.world.remove_drive(gone);
            }
        }
    }

    /// Brings all drives back, and nothing is wrong with them any more.
    pub fn restore_all(&mut self) {
        self.narrate(|| "all drives are back and well".to_owned());
        self.world.call_off_strikes();
        self.suspect_few();
        for drive in &self.drives {
            self.world.restore_drive(drive);
            self.world.set_faults(drive, self.config.plant.faults());
            self.world.wake(drive);
        }
        self.known.troubled = false;
    }

    /// Opens the store, with what an operator does when it refuses. `changed`: other drives than
    /// now took part in the last start. Drives that are not here may lack something from then on.
    pub fn open_somehow(&mut self, changed: bool) -> Result<Store, String> {
        if !self.known.harmed.is_empty() {
            // A start with full drives reads a segment from the copies of a drive that was away,
            // if it has one, and needs that drive from then on.
            self.make_room();
        }
        if self.spare() == 0 {
            self.drives.iter().for_each(|drive| self.world.restore_drive(drive));
        }
        let store = self.try_open(changed)?;
        let here = self.here();
        let away = self.drives.iter().filter(|drive| !here.contains(drive)).cloned();
        self.known.harmed.extend(away);
        assert!(self.known.harmed.len() <= self.spare(), "too many drives are harmed");
        Ok(store)
    }

    /// Whether a drive may not have what it should have.
    fn lacks(&self, drive: &String) -> bool {
        !self.world.is_here(drive) || self.known.harmed.contains(drive)
    }

    fn try_open(&mut self, changed: bool) -> Result<Store, String> {
        let mut refusal = match self.open() {
            Ok(store) => return Ok(store),
            Err(refusal) => refusal,
        };
        if self.world.is_down() {
            return Err("the power is off".to_owned());
        }
        if changed && refusal.is_no_majority() {
            // The drives that took part in the last start are not here: rightly refused.
            self.restore_all();
            match self.open() {
                Ok(store) => return Ok(store),
                Err(again) => refusal = again,
            }
        }
        let split = self.known.forced && refusal.is_divergence();
        if self.known.troubled || split || !self.known.harmed.is_empty() {
            self.restore_all();
            self.known.harmed.iter().for_each(|drive| self.world.remove_drive(drive));
            match self.open() {
                Ok(store) => return Ok(store),
                Err(again) => refusal = again,
            }
        }
        Err(refusal.to_string())
    }

    /// Which of the states the store is in, and whether that is one with the last operation done.
    pub fn recognise(&mut self, store: &Store) -> Result<bool, String> {
        self.states += 1;
        let fenced = fenced(store);
        if let Some(id) = self.known.fenced.difference(&fenced).next() {
            return Err(format!("drive {id} is trusted again: a write or sync had failed on it"));
        }
        self.narrate(|| format!("it holds one of {} states", self.known.states.len()));
        let seen = block_on(observe(store))?;
        let mut differences = Vec::new();
        for (i, state) in self.known.states.iter().enumerate() {
            let mut state = state.clone();
            state.learn_ids(&seen);
            match state.difference(&seen) {
                None => {
                    self.settle(state, "after a start".to_owned());
                    return Ok(i > 0);
                }
                Some(difference) => differences.push(difference),
            }
        }
        differences.dedup();
        Err(format!("neither done nor undone: {}", differences.join(" | ")))
    }

    /// The store holds what it should, and where no drive is harmed, every byte on the drives is
    /// as it should be.
    pub fn check(&self, store: &Store) -> Result<(), String> {
        if self.spare() == 0 && self.known.troubled {
            return Ok(());
        }
        let seen = block_on(observe(store))?;
        if let Some(difference) = self.model().difference(&seen) {
            return Err(difference);
        }
        if !self.known.troubled && self.known.harmed.is_empty() {
            fsck(store)?;
        }
        Ok(())
    }

    /// Does up to `steps` operations of a client.
    pub fn work(&mut self, store: &Store, steps: usize) -> Result<Ended, String> {
        for _ in 0..steps {
            self.known.indexes.extend(store.index()?);
            if self.config.trouble {
                if chance(&self.rng, 1, 5) {
                    self.cause_trouble();
                }
                if chance(&self.rng, 1, 4) {
                    store.objects.catalog().log().watch();
                }
            }
            let ended = match self.config.mending && chance(&self.rng, 1, 10) {
                true => self.mend(store)?,
                false => self.step(store)?,
            };
            if ended != Ended::Done {
                return Ok(ended);
            }
            if self.world.is_down() {
                return Ok(Ended::Cut);
            }
        }
        Ok(Ended::Done)
    }

    fn step(&mut self, store: &Store) -> Result<Ended, String> {
        let before = self.model().clone();
        let Config { weak_acks, big_parts, versions, .. } = self.config;
        let step = match versions {
            false => next_step(&self.rng, &before, weak_acks, big_parts),
            true => next_versioned_step(&self.rng, &before, weak_acks, big_parts),
        };
        self.known.doing = step.describe();
        self.known.states = step.alternatives(&before, self.known.troubled);
        (self.tell)(&self.known);
        self.narrate(|| step.describe());
        let after = format!("after: {}", step.describe());
        let fenced_before = fenced(store);
        let few = self.config.scheme.m > 0 && self.known.troubled;
        let refused_before = self.refused_for_space();
        let ran = step.run(store, &before);
        if few {
            self.note_few(live(store));
        }
        match ran {
            Ok(id) => {
                let mut model = before;
                step.apply(&mut model);
                model.name_upload(id);
                if matches!(step, Step::Put(..)) && !self.world.is_down() {
                    // That the store goes on without these was recorded first. Where an empty
                    // drive waits, it is the one before it that is not trusted.
                    let waits = |id: &DriveId| {
                        let of_id = self.known.ids.iter().find(|(_, known)| *known == id);
                        of_id.is_some_and(|(drive, _)| self.known.empty.contains(drive))
                    };
                    let fenced: Vec<_> =
                        fenced_before.into_iter().filter(|id| !waits(id)).collect();
                    self.known.fenced.extend(fenced);
                }
                self.settle(model, after);
                Ok(Ended::Done)
            }
            Err(_) if self.world.is_down() => Ok(Ended::Cut),
            Err(failed) => {
                // Trouble that comes in the middle of a step may bring space back.
                let full = self.is_full() || self.refused_for_space() > refused_before;
                self.excuse(&step, before, failed, full)
            }
        }
    }

    /// Whether an error may be, and what it leaves. `full`: a drive is, or was meanwhile.
    fn excuse(
        &mut self,
        step: &Step,
        before: Model,
        failed: Failed,
        full: bool,
    ) -> Result<Ended, String> {
        let Failed { error, done } = failed;
        self.narrate(|| format!("error: {error}"));
        let wrong = |why: &str| Err(format!("{} fails{why}: {error}", step.describe()));
        let alone = self.known.troubled && self.spare() == 0;
        match &error {
            Error::Full if full => {}
            _ if alone || full && self.known.troubled => {}
            _ if self.known.troubled => return wrong(" although enough drives are well"),
            _ => return wrong(""),
        }
        if matches!(error, Error::Unknown(_)) {
            return Ok(Ended::Broken);
        }
        let mut model = before;
        done.iter().for_each(|step| step.apply(&mut model));
        self.settle(model, format!("after the failure of: {}", step.describe()));
        match error {
            Error::Full => Ok(Ended::Done),
            _ => Ok(Ended::Broken),
        }
    }

    /// There is space again.
    fn make_room(&self) {
        for drive in &self.drives {
            let faults = self.world.faults(drive);
            let faults = Faults { full: false, full_for_overwrites: false, ..faults };
            self.world.set_faults(drive, faults);
        }
    }

    /// No drive has space left.
    pub fn fill_all(&mut self) {
        self.narrate(|| "all drives are full".to_owned());
        for drive in &self.drives {
            let faults = self.world.faults(drive);
            self.world.set_faults(drive, Faults { full: true, ..faults });
        }
        self.known.troubled = true;
    }

    /// Something goes wrong with a drive at one of the next operations. A drive that is full
    /// may have space again.
    pub fn cause_trouble(&mut self) {
        if self.is_full() && chance(&self.rng, 1, 3) {
            self.make_room();
        }
        let trouble = Trouble::draw(&self.rng, self.spare() > 0, self.config.stalls);
        let drive = pick(&self.rng, &self.drives).clone();
        if trouble.harms && self.spare() > 0 {
            let others = self.drives.iter().filter(|d| **d != drive && self.lacks(d)).count();
            if others + 1 > self.spare() {
                return;
            }
            self.known.harmed.insert(drive.clone());
        }
        self.known.troubled = true;
        let everywhere = !trouble.harms && chance(&self.rng, 1, 2);
        self.narrate(|| format!("trouble for {drive}: {}, everywhere: {everywhere}", trouble.name));
        for drive in if everywhere { self.drives.clone() } else { vec![drive] } {
            trouble.strike(self.world, &drive, &self.rng);
        }
        (self.tell)(&self.known);
    }
}

/// How many drives take part.
fn live(store: &Store) -> usize {
    let drives = store.objects.catalog().log().status().drives;
    drives.iter().filter(|drive| drive.state == DriveState::Active).count()
}

/// The drives that a store does not trust.
fn fenced(store: &Store) -> HashSet<DriveId> {
    let status = store.objects.catalog().log().status();
    let fenced = status.drives.into_iter().filter(|drive| drive.state == DriveState::Fenced);
    fenced.map(|drive| drive.id).collect()
}

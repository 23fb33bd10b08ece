//! The state of all simulated drives.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::file::File;
use super::limbo::Limbo;
use super::{Faults, Forget, Strike, Survival, chance};
use crate::checksum::checksum;
use crate::drive::Space;
use crate::rng::{Rng, SeededRng};

/// A file's identity within a world; names come and go.
pub(super) type FileId = u64;

#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) seed: u64,
    /// Operations so far: writes, syncs, changes of names and lengths, over all drives.
    pub(super) operations: u64,
    /// The operation at which the power goes.
    pub(super) cut_at: Option<u64>,
    /// No power.
    pub(super) down: bool,
    /// Power cuts so far; handles of an earlier one are dead.
    pub(super) era: u64,
    /// Hash over all operations.
    pub(super) trace: u64,
    next_file: FileId,
    /// Handles of drives given out.
    pub(super) starts: u64,
    /// What is to happen to drives at operations to come.
    pub(super) strikes: BTreeMap<u64, Vec<(String, Strike)>>,
    pub(super) drives: BTreeMap<String, DriveState>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct DriveState {
    pub(super) files: BTreeMap<FileId, Arc<File>>,
    /// Names as they are.
    pub(super) names: BTreeMap<String, FileId>,
    /// Names as of the last directory sync.
    durable_names: BTreeMap<String, FileId>,
    /// What has been done to `durable_names` since, in order.
    waiting: Vec<Waiting>,
    pub(super) faults: Faults,
    pub(super) removed: bool,
    pub(super) barriers: u64,
    /// How often it had no room for what was asked.
    pub(super) refused_for_space: u64,
    /// Reads and writes that faults were asked about.
    draws: u64,
    /// What it was asked and did not do yet.
    pub(super) limbo: Limbo,
}

#[derive(Clone, Debug)]
struct Waiting {
    change: NameChange,
    /// Which handle of the drive made it.
    by: u64,
}

#[derive(Clone, Debug)]
enum NameChange {
    Create(String, FileId),
    Rename { from: String, to: String, id: FileId },
    Remove(String),
}

/// What every call gets while the power is off, and what dead handles get.
pub(super) fn cut_error() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "simulated: the power was cut")
}

impl World {
    pub(super) fn new_file(&mut self) -> FileId {
        self.next_file += 1;
        self.next_file
    }

    /// Counts an operation. True: the power goes now, with its effect under way.
    pub(super) fn count(&mut self, what: &str, drive: &str, numbers: [u64; 2]) -> bool {
        self.operations += 1;
        while let Some(due) = self.strikes.first_entry()
            && *due.key() <= self.operations
        {
            for (drive, strike) in due.remove() {
                self.strike(&drive, strike);
            }
        }
        self.land_due();
        let mut line = Vec::with_capacity(64);
        line.extend_from_slice(&self.trace.to_le_bytes());
        line.extend_from_slice(what.as_bytes());
        line.extend_from_slice(drive.as_bytes());
        for n in numbers {
            line.extend_from_slice(&n.to_le_bytes());
        }
        self.trace = checksum(self.seed, &line);
        self.down = self.cut_at.is_some_and(|at| self.operations >= at);
        self.down
    }

    fn strike(&mut self, drive: &str, strike: Strike) {
        let operations = self.operations;
        let drive = self.drives.entry(drive.to_owned()).or_default();
        match strike {
            Strike::Hang(n) => drive.limbo.hang(operations.saturating_add(n)),
            Strike::Faults(faults) => drive.faults = faults,
            Strike::Remove => drive.removed = true,
        }
    }

    /// Randomness for what happens at this operation.
    pub(super) fn rng(&self) -> SeededRng {
        SeededRng::new(checksum(
            self.seed,
            &[self.operations.to_le_bytes(), self.era.to_le_bytes()].concat(),
        ))
    }

    pub(super) fn power_cut(&mut self, survival: Survival) {
        let rng = self.rng();
        self.cut_limbo(survival, &rng);
        for drive in self.drives.values_mut() {
            drive.cut(survival, &rng);
        }
        self.down = false;
        self.cut_at = None;
        self.era += 1;
    }
}

impl DriveState {
    pub(super) fn file_mut(&mut self, id: FileId) -> io::Result<&mut File> {
        let file = self.files.get_mut(&id).ok_or_else(cut_error)?;
        Ok(Arc::make_mut(file))
    }

    pub(super) fn create(&mut self, name: &str, id: FileId, by: u64) {
        self.files.insert(id, Arc::default());
        self.names.insert(name.to_owned(), id);
        self.waiting.push(Waiting { change: NameChange::Create(name.to_owned(), id), by });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, by: u64) -> io::Result<()> {
        let id = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.to_owned(), id);
        let (from, to) = (from.to_owned(), to.to_owned());
        self.waiting.push(Waiting { change: NameChange::Rename { from, to, id }, by });
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str, by: u64) -> io::Result<()> {
        self.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        self.waiting.push(Waiting { change: NameChange::Remove(name.to_owned()), by });
        Ok(())
    }

    /// Makes changes of names durable, but those that are planted out of the handle `by`'s syncs.
    pub(super) fn sync_dir(&mut self, by: u64) {
        let forget = &self.faults.forget;
        let is_forgotten = |waiting: &Waiting| {
            forget.iter().any(|forget| match (forget, &waiting.change) {
                (Forget::Created(suffix), NameChange::Create(name, _))
                | (Forget::Renamed(suffix), NameChange::Rename { to: name, .. }) => {
                    waiting.by == by && Forget::names(suffix, name)
                }
                (Forget::NamesOfBefore, _) => waiting.by != by,
                _ => false,
            })
        };
        let (forgotten, kept) =
            std::mem::take(&mut self.waiting).into_iter().partition(is_forgotten);
        self.waiting = forgotten;
        for waiting in kept {
            apply(&mut self.durable_names, waiting.change);
        }
        self.forget_nameless();
    }

    /// Drops files that no name, present or possibly coming back, and no handle holds.
    pub(super) fn forget_nameless(&mut self) {
        let held: std::collections::BTreeSet<FileId> = self
            .names
            .values()
            .chain(self.durable_names.values())
            .copied()
            .chain(self.waiting.iter().filter_map(|c| match &c.change {
                NameChange::Create(_, id) | NameChange::Rename { id, .. } => Some(*id),
                NameChange::Remove(_) => None,
            }))
            .collect();
        self.files.retain(|id, file| file.handles > 0 || held.contains(id));
    }

    fn cut(&mut self, survival: Survival, rng: &SeededRng) {
        for Waiting { change, .. } in std::mem::take(&mut self.waiting) {
            let kept = match survival {
                Survival::All => true,
                Survival::None => false,
                Survival::Random => chance(rng, 1, 2),
            };
            if kept {
                apply(&mut self.durable_names, change);
            }
        }
        self.names = self.durable_names.clone();
        for file in self.files.values_mut() {
            Arc::make_mut(file).cut(survival, rng);
        }
        self.forget_nameless();
        self.barriers = 0;
    }

    /// Bytes in use, counting reservations.
    fn used(&self) -> u64 {
        self.files.values().map(|f| f.len().max(f.reserved)).sum()
    }

    pub(super) fn space(&self) -> Space {
        let total = self.faults.capacity.unwrap_or(1 << 40);
        if self.faults.full || self.faults.full_for_overwrites {
            return Space { total, free: 0 };
        }
        Space { total, free: total.saturating_sub(self.used()) }
    }

    /// Whether file `id` may end, or be reserved, up to `end`. Counts refusals.
    pub(super) fn check_room(&mut self, id: FileId, end: u64) -> io::Result<()> {
        if self.has_room(id, end) {
            return Ok(());
        }
        self.refused_for_space += 1;
        Err(io::Error::new(io::ErrorKind::StorageFull, "simulated: drive full"))
    }

    fn has_room(&self, id: FileId, end: u64) -> bool {
        if self.faults.full_for_overwrites {
            return false;
        }
        let has = self.files.get(&id).map_or(0, |f| f.len().max(f.reserved));
        // A new file needs a place for its name.
        if self.faults.full && (end > has || !self.files.contains_key(&id)) {
            return false;
        }
        let Some(capacity) = self.faults.capacity else {
            return true;
        };
        end <= has || self.used() + (end - has) <= capacity
    }

    /// Counts down to the sync that fails.
    pub(super) fn sync_fails(&mut self) -> bool {
        count_down(&mut self.faults.fail_sync)
    }

    /// Counts down to the write that fails.
    pub(super) fn write_fails(&mut self) -> bool {
        self.faults.fail_writes || count_down(&mut self.faults.fail_write)
    }

    /// Randomness for one read or write, if it is one of those that go wrong: one in `rate`.
    pub(super) fn goes_wrong(&mut self, rate: Option<u64>, seed: u64) -> Option<SeededRng> {
        let rate = rate?;
        self.draws += 1;
        let rng = SeededRng::new(checksum(seed, &self.draws.to_le_bytes()));
        chance(&rng, 1, rate).then_some(rng)
    }

    /// Any block of any file of the drive.
    pub(super) fn any_block(&self, rng: &SeededRng) -> Option<(FileId, u64)> {
        let files: Vec<_> = self.files.iter().filter(|(_, file)| file.len() > 0).collect();
        let (id, file) = files.get(rng.below(files.len().max(1) as u64) as usize)?;
        Some((**id, rng.below(file.len().div_ceil(BLOCK)) * BLOCK))
    }
}

/// Where misdirected reads and writes land: at a multiple of this.
const BLOCK: u64 = 4096;

fn count_down(counter: &mut Option<u64>) -> bool {
    match *counter {
        Some(left @ 0..=1) => {
            *counter = None;
            left == 1
        }
        Some(left) => {
            *counter = Some(left - 1);
            false
        }
        None => false,
    }
}

fn apply(names: &mut BTreeMap<String, FileId>, change: NameChange) {
    match change {
        NameChange::Create(name, id) => {
            names.insert(name, id);
        }
        NameChange::Rename { from, to, id } => {
            if names.get(&from) == Some(&id) {
                names.remove(&from);
            }
            names.insert(to, id);
        }
        NameChange::Remove(name) => {
            names.remove(&name);
        }
    }
}

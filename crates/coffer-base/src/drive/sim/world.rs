//! The state of all simulated drives.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::file::File;
use super::{Faults, Survival, chance};
use crate::drive::Space;
use crate::rng::SeededRng;

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
    waiting: Vec<NameChange>,
    pub(super) faults: Faults,
    pub(super) removed: bool,
    pub(super) barriers: u64,
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
        let mut line = Vec::with_capacity(64);
        line.extend_from_slice(&self.trace.to_le_bytes());
        line.extend_from_slice(what.as_bytes());
        line.extend_from_slice(drive.as_bytes());
        for n in numbers {
            line.extend_from_slice(&n.to_le_bytes());
        }
        self.trace = crate::checksum::checksum(self.seed, &line);
        self.down = self.cut_at.is_some_and(|at| self.operations >= at);
        self.down
    }

    pub(super) fn power_cut(&mut self, survival: Survival) {
        let rng = SeededRng::new(crate::checksum::checksum(
            self.seed,
            &[self.operations.to_le_bytes(), self.era.to_le_bytes()].concat(),
        ));
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

    pub(super) fn create(&mut self, name: &str, id: FileId) {
        self.files.insert(id, Arc::default());
        self.names.insert(name.to_owned(), id);
        self.waiting.push(NameChange::Create(name.to_owned(), id));
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let id = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.to_owned(), id);
        let (from, to) = (from.to_owned(), to.to_owned());
        self.waiting.push(NameChange::Rename { from, to, id });
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        self.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        self.waiting.push(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    pub(super) fn sync_dir(&mut self) {
        self.waiting.clear();
        self.durable_names = self.names.clone();
        self.forget_nameless();
    }

    /// Drops files that no name, present or possibly coming back, and no handle holds.
    pub(super) fn forget_nameless(&mut self) {
        let held: std::collections::BTreeSet<FileId> = self
            .names
            .values()
            .chain(self.durable_names.values())
            .copied()
            .chain(self.waiting.iter().filter_map(|c| match c {
                NameChange::Create(_, id) | NameChange::Rename { id, .. } => Some(*id),
                NameChange::Remove(_) => None,
            }))
            .collect();
        self.files.retain(|id, file| file.handles > 0 || held.contains(id));
    }

    fn cut(&mut self, survival: Survival, rng: &SeededRng) {
        for change in std::mem::take(&mut self.waiting) {
            let kept = match survival {
                Survival::All => true,
                Survival::None => false,
                Survival::Random => chance(rng, 1, 2),
            };
            if !kept {
                continue;
            }
            let names = &mut self.durable_names;
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
        Space { total, free: total.saturating_sub(self.used()) }
    }

    /// Whether file `id` may end, or be reserved, up to `end`.
    pub(super) fn check_room(&self, id: FileId, end: u64) -> io::Result<()> {
        let Some(capacity) = self.faults.capacity else {
            return Ok(());
        };
        let has = self.files.get(&id).map_or(0, |f| f.len().max(f.reserved));
        if end > has && self.used() + (end - has) > capacity {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "simulated: drive full"));
        }
        Ok(())
    }

    /// Counts down to the sync that fails.
    pub(super) fn sync_fails(&mut self) -> bool {
        match self.faults.fail_sync {
            Some(left @ 0..=1) => {
                self.faults.fail_sync = None;
                left == 1
            }
            Some(left) => {
                self.faults.fail_sync = Some(left - 1);
                false
            }
            None => false,
        }
    }
}

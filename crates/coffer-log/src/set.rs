//! The drives of a set and what is known of each.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, RwLock};

use coffer_base::drive::queue::{Patience, is_given_up, is_slow};
use coffer_base::drive::{Access, Drive, DriveFile, DriveQueue};
use coffer_base::{Clock, DriveId, StoreId, Timestamp};

use crate::error::Error;
use crate::geometry::Geometry;

/// What the set thinks of a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DriveState {
    /// Takes part in everything.
    Active,
    /// Gone; when it is back at a start, it takes part again.
    Lost,
    /// A write or sync failed on it: nothing on it is trusted until an operator replaces it.
    Fenced,
}

impl DriveState {
    /// The word for status, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            DriveState::Active => "active",
            DriveState::Lost => "lost",
            DriveState::Fenced => "fenced",
        }
    }
}

/// One place in the set. The order of slots never changes.
pub(crate) struct Slot {
    pub id: DriveId,
    /// `None`: not here at this start.
    pub drive: Option<Arc<dyn Drive>>,
    /// For messages, also when the drive is not here.
    pub label: String,
    pub state: DriveState,
    /// Why it is not active.
    pub why: String,
    /// Since when it is not active; 0: not known.
    pub since: Timestamp,
    /// How many drives had its place before.
    pub replaced: u32,
    /// It left, and groups may still have too few copies without it.
    pub unsettled: bool,
}

impl Slot {
    /// The drive's threads.
    pub fn queue(&self) -> &DriveQueue {
        self.drive.as_ref().map_or(DriveQueue::none(), |drive| drive.queue())
    }
}

/// Drive, name, whether for direct I/O.
type FileKey = (DriveId, String, bool);

/// The drives of a store. Slots are few and read often: one lock, held briefly.
pub(crate) struct Set {
    pub store: StoreId,
    pub geometry: Geometry,
    pub clock: Arc<dyn Clock>,
    slots: RwLock<Vec<Slot>>,
    files: Mutex<HashMap<FileKey, Arc<dyn DriveFile>>>,
    /// Drives of which was said that they are slow.
    said_slow: Mutex<HashSet<DriveId>>,
}

const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// Open files that the cache holds at most.
const FILES_MAX: usize = 4096;

impl Set {
    pub fn new(
        store: StoreId,
        geometry: Geometry,
        clock: Arc<dyn Clock>,
        slots: Vec<Slot>,
    ) -> Self {
        for slot in slots.iter().filter(|s| s.state != DriveState::Active) {
            // What takes no part says nothing of the others.
            slot.queue().retire();
        }
        let (slots, files) = (RwLock::new(slots), Mutex::new(HashMap::new()));
        Self { store, geometry, clock, slots, files, said_slow: Mutex::default() }
    }

    /// Calls `look` with the slots.
    pub fn with<R>(&self, look: impl FnOnce(&[Slot]) -> R) -> R {
        look(&self.slots.read().expect("no holder panics"))
    }

    /// Takes out the drives that were given up, as [`coffer_base::drive::queue`] has it. Whoever
    /// asks for live drives sees that at once; who acknowledges records it first.
    fn leave_stalled(&self) {
        let stalled = |s: &&Slot| s.state == DriveState::Active && s.queue().is_given_up();
        if !self.with(|slots| slots.iter().any(|s| stalled(&s))) {
            return;
        }
        let stalled: Vec<(DriveId, String)> = self.with(|slots| {
            let stalled = slots.iter().filter(stalled);
            stalled.filter_map(|s| Some((s.id, s.queue().given_up()?))).collect()
        });
        for (id, why) in stalled {
            self.take_out(id, DriveState::Lost, &why);
        }
    }

    /// Says which drives have become slow, and which are not any more.
    pub fn tell_slow(&self) {
        let mut said = self.said_slow.lock().expect("no holder panics");
        self.with(|slots| {
            for slot in slots.iter().filter(|s| s.state == DriveState::Active) {
                if !slot.queue().is_slow() {
                    if said.remove(&slot.id) {
                        tracing::info!(drive = %slot.label, "drive answers in time again");
                    }
                } else if said.insert(slot.id) {
                    tracing::warn!(drive = %slot.label, "drive is {}", crate::status::slow(self.geometry));
                }
            }
        });
    }

    /// Whether a read of the drive is likely to come in time.
    pub fn is_at_hand(&self, id: DriveId) -> bool {
        self.is_live(id) && !self.queue(id).is_slow()
    }

    /// The threads of a drive.
    pub fn queue(&self, id: DriveId) -> DriveQueue {
        self.with(|slots| {
            let slot = slots.iter().find(|s| s.id == id);
            slot.map_or_else(DriveQueue::inline, |s| s.queue().clone())
        })
    }

    /// Ids of the active drives that are here, in slot order.
    pub fn live(&self) -> Vec<DriveId> {
        self.leave_stalled();
        self.with(|slots| {
            let here = |s: &&Slot| s.state == DriveState::Active && s.drive.is_some();
            slots.iter().filter(here).map(|s| s.id).collect()
        })
    }

    /// Whether `id` is active and here.
    pub fn is_live(&self, id: DriveId) -> bool {
        self.leave_stalled();
        self.with(|slots| {
            slots.iter().any(|s| s.id == id && s.state == DriveState::Active && s.drive.is_some())
        })
    }

    /// The drive, if it is active and here.
    pub fn drive(&self, id: DriveId) -> Result<Arc<dyn Drive>, Error> {
        self.leave_stalled();
        self.with(|slots| {
            let slot = slots.iter().find(|s| s.id == id);
            let slot =
                slot.ok_or_else(|| Error::Unavailable(format!("drive {id} is not in the set")))?;
            match (&slot.drive, slot.state) {
                (Some(drive), DriveState::Active) => Ok(drive.clone()),
                _ => Err(Error::Unavailable(format!(
                    "drive {} is {}",
                    slot.label,
                    slot.state.name()
                ))),
            }
        })
    }

    /// Its label for messages.
    pub fn label(&self, id: DriveId) -> String {
        self.with(|slots| {
            let slot = slots.iter().find(|s| s.id == id);
            slot.map_or_else(|| id.to_string(), |s| s.label.clone())
        })
    }

    /// Takes a drive out. Returns whether it was active until now. The caller records it on the
    /// other drives before it acknowledges anything again.
    ///
    /// The last live drive stays: there is nobody to record it, and what can still be read from
    /// it should be. Writes then fail by themselves.
    ///
    /// One that is lost already is fenced when that is what was found late.
    pub fn take_out(&self, id: DriveId, state: DriveState, why: &str) -> bool {
        let mut slots = self.slots.write().expect("no holder panics");
        let others = |s: &&Slot| s.id != id && s.state == DriveState::Active && s.drive.is_some();
        let last = slots.iter().filter(others).count() == 0;
        let Some(slot) = slots.iter_mut().find(|s| s.id == id) else { return false };
        let upgraded = slot.state == DriveState::Lost && state == DriveState::Fenced;
        if slot.state != DriveState::Active && !(upgraded && slot.drive.is_some()) {
            return false;
        }
        // Its threads know of one that was given up and is not out yet.
        if !upgraded && ((last && slot.drive.is_some()) || !slot.queue().retire()) {
            if slot.why != why {
                why.clone_into(&mut slot.why);
                tracing::error!(drive = %slot.label, why, "the last live drive has trouble");
            }
            return false;
        }
        slot.state = state;
        slot.why = why.to_owned();
        slot.since = self.clock.now();
        slot.unsettled = true;
        tracing::error!(drive = %slot.label, state = state.name(), why, "drive taken out");
        drop(slots);
        let mut files = self.files.lock().expect("no holder panics");
        let of_it: Vec<FileKey> =
            files.keys().filter(|(drive, ..)| *drive == id).cloned().collect();
        let closed: Vec<_> = of_it.iter().filter_map(|key| files.remove(key)).collect();
        // Closing them waits until the lock is free.
        drop(files);
        drop(closed);
        !upgraded
    }

    /// The drives that left and may still be needed.
    pub fn unsettled(&self) -> Vec<DriveId> {
        self.with(|slots| slots.iter().filter(|s| s.unsettled).map(|s| s.id).collect())
    }

    /// What `ids` hold has enough copies without them.
    pub fn settle(&self, ids: &[DriveId]) {
        let mut slots = self.slots.write().expect("no holder panics");
        for slot in slots.iter_mut().filter(|slot| ids.contains(&slot.id)) {
            slot.unsettled = false;
        }
    }

    /// Fences the drives on which a change failed after they were given up.
    pub fn fence_failed_late(&self) {
        let failed: Vec<(DriveId, io::Error)> = self.with(|slots| {
            slots.iter().filter_map(|s| Some((s.id, s.queue().take_late_failure()?))).collect()
        });
        for (id, e) in failed {
            if state_after(&e) == Some(DriveState::Fenced) {
                self.take_out(id, DriveState::Fenced, &format!("after it was given up: {e}"));
            }
        }
    }

    /// Takes a drive out that failed while `doing` something. An error when going on over the
    /// others does not help: it is full, which is not broken; the process has no more files or
    /// memory; or it is the last live drive.
    pub fn take_out_failed(&self, id: DriveId, e: &io::Error, doing: &str) -> Result<(), Error> {
        if is_full(e) {
            return Err(Error::Full);
        }
        let Some(state) = state_after(e) else { return Err(Error::io(&self.label(id), e)) };
        self.take_out(id, state, &format!("{doing}: {e}"));
        if self.is_live(id) { Err(Error::io(&self.label(id), e)) } else { Ok(()) }
    }

    /// An open file of a live drive, from the cache or freshly opened.
    pub fn file(
        &self,
        id: DriveId,
        name: &str,
        access: Access,
    ) -> Result<Arc<dyn DriveFile>, Error> {
        self.file_with(id, name, access, Patience::Full)?
            .ok_or_else(|| Error::Unavailable(format!("{} is slow", self.label(id))))
    }

    /// As [`Set::file`]; `None` when the drive is slow and `patience` does not wait for that.
    pub fn file_with(
        &self,
        id: DriveId,
        name: &str,
        access: Access,
        patience: Patience,
    ) -> Result<Option<Arc<dyn DriveFile>>, Error> {
        let drive = self.drive(id)?;
        let key = (id, name.to_owned(), access == Access::Direct);
        if let Some(file) = self.files.lock().expect("no holder panics").get(&key) {
            return Ok(Some(file.clone()));
        }
        let opened = match patience {
            Patience::Full => drive.open(name, access),
            Patience::Hedged => drive.open_soon(name, access),
        };
        let file = match opened {
            Ok(file) => file,
            Err(e) if is_slow(&e) => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Unavailable(format!("{} has no {name}", drive.label())));
            }
            Err(e) => return Err(Error::io(&drive.label(), &e)),
        };
        let mut files = self.files.lock().expect("no holder panics");
        // Open files are cheap to open again; closing them waits until the lock is free.
        let mut evicted = Vec::new();
        if files.len() >= FILES_MAX {
            let some: Vec<FileKey> = files.keys().take(FILES_MAX / 16).cloned().collect();
            evicted.extend(some.iter().filter_map(|key| files.remove(key)));
        }
        files.insert(key, file.clone());
        drop(files);
        drop(evicted);
        Ok(Some(file))
    }

    /// [`Set::file`], if the drive is live and the file is open already.
    pub fn opened_file(
        &self,
        id: DriveId,
        name: &str,
        access: Access,
    ) -> Option<Arc<dyn DriveFile>> {
        let key = (id, name.to_owned(), access == Access::Direct);
        let file = self.files.lock().expect("no holder panics").get(&key).cloned();
        file.filter(|_| self.is_live(id))
    }

    /// Forgets a cached file, because its name was removed or replaced.
    pub fn forget_file(&self, id: DriveId, name: &str) {
        let mut files = self.files.lock().expect("no holder panics");
        let closed = [false, true].map(|direct| files.remove(&(id, name.to_owned(), direct)));
        drop(files);
        drop(closed);
    }
}

pub(crate) fn is_full(e: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(e.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Whether the process, or the machine, is out of files or memory: it says nothing about a drive.
pub(crate) fn is_of_process(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(EMFILE | ENFILE | ENOMEM))
}

/// What a drive is after a change on it failed like this; `None`: as before.
pub(crate) fn state_after(e: &io::Error) -> Option<DriveState> {
    match e.kind() {
        _ if is_full(e) => None,
        _ if is_of_process(e) => None,
        // The drive went, or its directory did, or it hangs; what it holds may be whole.
        io::ErrorKind::NotFound => Some(DriveState::Lost),
        _ if is_given_up(e) => Some(DriveState::Lost),
        _ => Some(DriveState::Fenced),
    }
}

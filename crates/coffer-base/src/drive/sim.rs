//! Simulated drives: files in memory that behave as badly as the contract of
//! [`crate::drive`] lets them, by a seed.
//!
//! All drives of a [`SimWorld`] share one counter of *operations*: every write, sync, change of a
//! length or name, and directory sync, on any of them. The power can be cut at any of them, and
//! then [`SimWorld::power_cut`] decides what is left:
//! - each unsynced write is kept, lost, or torn into 512-byte sectors, independently; so writes
//!   survive in any order, and a file's new length with or without its bytes;
//! - each unsynced change of a name is kept or lost, independently;
//! - what was synced is there.
//!
//! A run is a function of the seed and of the calls made. Time does not exist here. A drive that
//! hangs ([`Strike::Hang`]) answers at once what [`super::queue`] answers when it is given up, and
//! what it was asked waits inside it; see [`limbo`].

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Access, Drive, DriveFile, Space, check_name};
use crate::buffer::ALIGN;
use crate::rng::{Rng, SeededRng};

mod call;
mod content;
mod file;
mod limbo;
mod world;

use super::queue::{DriveQueue, Patience, Verdicts};
use call::{Call, Opened};
use limbo::{Answers, Limbo};
use world::{DriveState, FileId, World, cut_error};

/// What a power cut leaves of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    None,
    /// Everything.
    All,
    /// What the seed says.
    Random,
}

/// What is wrong with one drive. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Every read fails.
    pub fail_reads: bool,
    /// Every read of these files fails.
    pub unreadable: BTreeSet<String>,
    /// Reads of these pages (file, where the 4 KiB begin) fail until something is written there.
    pub bad_sectors: BTreeSet<(String, u64)>,
    /// Every write fails.
    pub fail_writes: bool,
    /// The nth write from now (1 is the next) fails, and changes nothing.
    pub fail_write: Option<u64>,
    /// The nth sync from now (1 is the next; synchronous writes count) fails. As on Linux, what
    /// it should have made durable is kept, torn or lost for good, by the seed; later syncs
    /// succeed, and readers through the page cache don't notice.
    pub fail_sync: Option<u64>,
    /// One in so many writes lands elsewhere on the drive, over what is there, and says nothing.
    /// The page cache shows it where it should be.
    pub misdirect_writes: Option<u64>,
    /// One in so many reads gives another block of the drive.
    pub misdirect_reads: Option<u64>,
    /// One in so many reads gives what was there before the file's last sync.
    pub stale_reads: Option<u64>,
    /// Whatever needs more space (creating, writing or reserving beyond what is reserved, making
    /// longer) fails with `StorageFull`.
    pub full: bool,
    /// Where nothing is written in place: any write fails with `StorageFull`.
    pub full_for_overwrites: bool,
    /// Writes that would make the files longer than this together fail with `StorageFull`.
    pub capacity: Option<u64>,
    /// Syncs of files and of the directory succeed and do nothing.
    pub forget_syncs: bool,
    /// Syncs that do less than they should: planted bugs.
    pub forget: Vec<Forget>,
    /// The directory was deleted: everything by name fails, open files work on.
    pub unlinked: bool,
}

/// A sync that is planted out: it succeeds and does nothing. Files are told by how their name ends
/// or, for a pattern that ends in `.` or `-`, begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forget {
    /// Synchronous writes.
    Writes(String),
    /// Syncs through the handle that created the file.
    NewSyncs(String),
    /// Syncs through other handles.
    LaterSyncs(String),
    /// A directory sync leaves out the creation of such files by the same handle of the drive.
    Created(String),
    /// A directory sync leaves out renames to such names by the same handle of the drive.
    Renamed(String),
    /// A directory sync leaves out what earlier handles of the drive changed.
    NamesOfBefore,
}

impl Forget {
    fn names(pattern: &str, name: &str) -> bool {
        name.ends_with(pattern) || pattern.ends_with(['.', '-']) && name.starts_with(pattern)
    }
}

/// What happens to a drive at some operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strike {
    /// Its faults become these.
    Faults(Faults),
    /// It is gone, until [`SimWorld::restore_drive`].
    Remove,
    /// It hangs for so many operations of any drive, then does what it was asked meanwhile.
    Hang(u64),
}

/// Called at every operation with its number, when its effect is under way: done, but not
/// durable. It may [`SimWorld::fork`] the world, and nothing else.
pub type Observer = Box<dyn FnMut(u64, &SimWorld) + Send>;

#[derive(Default)]
struct Shared {
    world: Mutex<World>,
    observer: Mutex<Option<Observer>>,
}

/// A set of simulated drives under one power supply. Clones are the same world;
/// [`SimWorld::fork`] makes another one.
#[derive(Clone, Default)]
pub struct SimWorld(Arc<Shared>);

/// One drive of a [`SimWorld`].
pub struct SimDrive {
    world: SimWorld,
    name: String,
    era: u64,
    /// Which handle it is, of all that were given out.
    start: u64,
    answers: Arc<Answers>,
    queue: DriveQueue,
}

struct SimFile {
    world: SimWorld,
    drive: String,
    file: Opened,
    access: Access,
    era: u64,
    answers: Arc<Answers>,
}

fn chance(rng: &SeededRng, of: u64, outcomes: u64) -> bool {
    rng.below(outcomes) < of
}

fn simulated(kind: io::ErrorKind, what: &str) -> io::Error {
    io::Error::new(kind, format!("simulated: {what}"))
}

fn gone() -> io::Error {
    simulated(io::ErrorKind::NotFound, "the drive is gone")
}

impl SimWorld {
    /// A world without drives.
    pub fn new(seed: u64) -> SimWorld {
        let world = SimWorld::default();
        world.state().seed = seed;
        world
    }

    fn state(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().expect("no holder panics")
    }

    /// The drive `name`, made empty when there is none. It serves until the next power cut.
    pub fn drive(&self, name: &str) -> Arc<SimDrive> {
        let mut state = self.state();
        state.drives.entry(name.to_owned()).or_default();
        state.starts += 1;
        let (era, start) = (state.era, state.starts);
        drop(state);
        let (world, name) = (self.clone(), name.to_owned());
        let answers = Arc::new(Answers::new(self.clone(), name.clone(), start));
        let queue = DriveQueue::simulated(answers.clone());
        Arc::new(SimDrive { world, name, era, start, answers, queue })
    }

    /// A deep copy, without the observer. It shares nothing with this world, and what was opened
    /// here is not open there.
    pub fn fork(&self) -> SimWorld {
        let copy = self.state().clone();
        SimWorld(Arc::new(Shared { world: Mutex::new(copy), observer: Mutex::default() }))
    }

    /// Changes the seed of what power cuts do from now on.
    pub fn reseed(&self, seed: u64) {
        self.state().seed = seed;
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// A hash over all operations so far: kind, drive, place.
    pub fn trace(&self) -> u64 {
        self.state().trace
    }

    /// Operation number `operation` (the first is 1) and all after it fail, until
    /// [`SimWorld::power_cut`]; the effect of that one is then under way.
    pub fn cut_power_at(&self, operation: u64) {
        self.state().cut_at = Some(operation);
    }

    /// Takes [`SimWorld::cut_power_at`] back.
    pub fn keep_power(&self) {
        self.state().cut_at = None;
    }

    /// Whether the power is to go at some operation, or is off.
    pub fn will_go_down(&self) -> bool {
        let state = self.state();
        state.down || state.cut_at.is_some()
    }

    /// Whether the power is off.
    pub fn is_down(&self) -> bool {
        self.state().down
    }

    /// Cuts the power now (or settles a cut that happened) and switches it on again: what was not
    /// synced survives by the seed. All drives and files got before are dead.
    pub fn power_cut(&self) {
        self.power_cut_with(Survival::Random);
    }

    /// [`SimWorld::power_cut`] with a say in what survives.
    pub fn power_cut_with(&self, survival: Survival) {
        self.state().power_cut(survival);
    }

    /// At operation number `operation`, just before its effect, `strike` hits `drive`.
    pub fn strike_at(&self, operation: u64, drive: &str, strike: Strike) {
        let mut state = self.state();
        state.strikes.entry(operation).or_default().push((drive.to_owned(), strike));
    }

    /// Takes back all strikes that are to come.
    pub fn call_off_strikes(&self) {
        self.state().strikes.clear();
    }

    /// What is wrong with a drive now.
    pub fn faults(&self, drive: &str) -> Faults {
        self.state().drives.get(drive).map_or_else(Faults::default, |drive| drive.faults.clone())
    }

    /// How often a drive had no room for what was asked of it.
    pub fn refused_for_space(&self, drive: &str) -> u64 {
        self.state().drives.get(drive).map_or(0, |drive| drive.refused_for_space)
    }

    /// Puts the drive of `older`, an earlier state of this world, in the place of this one's.
    pub fn put_back(&self, drive: &str, older: &SimWorld) {
        let mut old = older.state().drives.get(drive).cloned().unwrap_or_default();
        let mut state = self.state();
        old.faults = state.drives.get(drive).map(|drive| drive.faults.clone()).unwrap_or_default();
        old.removed = false;
        old.limbo = Limbo::default();
        state.drives.insert(drive.to_owned(), old);
    }

    /// Puts an empty drive in the place of `drive`.
    pub fn replace_drive(&self, drive: &str) {
        self.state().drives.insert(drive.to_owned(), DriveState::default());
    }

    /// The files of a drive and their lengths.
    pub fn files(&self, drive: &str) -> Vec<(String, u64)> {
        let state = self.state();
        let Some(drive) = state.drives.get(drive) else { return Vec::new() };
        let len = |id: &FileId| drive.files.get(id).map_or(0, |file| file.len());
        drive.names.iter().map(|(name, id)| (name.clone(), len(id))).collect()
    }

    /// Calls `observer` at every operation from now on.
    pub fn observe(&self, observer: Option<Observer>) {
        *self.0.observer.lock().expect("observers don't panic") = observer;
    }

    /// Takes a drive away with all it holds: every call to it and its open files fails.
    pub fn remove_drive(&self, name: &str) {
        if let Some(drive) = self.state().drives.get_mut(name) {
            drive.removed = true;
        }
    }

    /// Brings a removed drive back as it was.
    pub fn restore_drive(&self, name: &str) {
        if let Some(drive) = self.state().drives.get_mut(name) {
            drive.removed = false;
        }
    }

    /// Ends a hang: what the drive was asked meanwhile has its effect now.
    pub fn wake(&self, drive: &str) {
        self.state().wake(drive);
    }

    /// Whether a drive hangs now.
    pub fn is_hung(&self, drive: &str) -> bool {
        self.state().drives.get(drive).is_some_and(|drive| drive.limbo.is_hung())
    }

    /// How many calls are inside a drive that hangs, or may still reach it.
    pub fn in_limbo(&self, drive: &str) -> usize {
        self.state().drives.get(drive).map_or(0, |drive| drive.limbo.len())
    }

    /// Whether a drive is there and not removed.
    pub fn is_here(&self, name: &str) -> bool {
        self.state().drives.get(name).is_some_and(|drive| !drive.removed)
    }

    /// Replaces what is wrong with a drive.
    pub fn set_faults(&self, drive: &str, faults: Faults) {
        self.state().drives.entry(drive.to_owned()).or_default().faults = faults;
    }

    /// Flips a bit of what a drive has stored; false when there is no such file or byte.
    pub fn flip_bit(&self, drive: &str, file: &str, byte: u64, bit: u8) -> bool {
        let mut state = self.state();
        let Some(drive) = state.drives.get_mut(drive) else {
            return false;
        };
        let Some(id) = drive.names.get(file).copied() else {
            return false;
        };
        drive.file_mut(id).is_ok_and(|file| file.flip_bit(byte, bit))
    }

    /// Runs one counted operation: what it does is not durable at first; that follows when the
    /// power is still on.
    fn operate(&self, place: Place<'_>, call: Call) -> io::Result<()> {
        let mut state = self.state();
        place.check(&state)?;
        let cut = state.count(call.what(), place.drive, call.numbers());
        // A strike may just have taken it away.
        place.check_drive(&state)?;
        let hangs = drive_of(&mut state, place.drive)?.limbo.is_hung();
        let rng = match hangs {
            true => {
                drive_of(&mut state, place.drive)?.limbo.push(place.answers.start(), call.clone());
                state.rng()
            }
            false => call.act(&mut state, place.drive)?,
        };
        if cut {
            return Err(cut_error());
        }
        let operation = state.operations;
        drop(state);
        let mut observer = self.0.observer.lock().expect("observers don't panic");
        if let Some(observer) = observer.as_mut() {
            observer(operation, self);
        }
        drop(observer);
        if hangs {
            return Err(place.answers.give_up());
        }
        let mut state = self.state();
        call.settle(drive_of(&mut state, place.drive)?, &rng)
    }
}

/// Where an operation happens, to refuse it when there is nothing there any more.
#[derive(Clone, Copy)]
struct Place<'a> {
    drive: &'a str,
    era: u64,
    by_name: bool,
    answers: &'a Answers,
}

impl Place<'_> {
    fn check(&self, state: &World) -> io::Result<()> {
        if state.down || state.era != self.era {
            return Err(cut_error());
        }
        self.answers.check()?;
        self.check_drive(state)
    }

    /// As [`Place::check`], for what is asked and does not change the drive: no answer while it
    /// hangs.
    fn check_answers(&self, state: &World, patience: Option<Patience>) -> io::Result<()> {
        self.check(state)?;
        match state.drives.get(self.drive) {
            Some(drive) if drive.limbo.is_hung() => Err(self.answers.no_answer(patience)),
            _ => Ok(()),
        }
    }

    fn check_drive(&self, state: &World) -> io::Result<()> {
        match state.drives.get(self.drive) {
            Some(d) if d.removed || self.by_name && d.faults.unlinked => Err(gone()),
            Some(_) => Ok(()),
            None => Err(gone()),
        }
    }
}

fn drive_of<'a>(world: &'a mut World, name: &str) -> io::Result<&'a mut DriveState> {
    world.drives.get_mut(name).ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl SimDrive {
    fn place(&self) -> Place<'_> {
        Place { drive: &self.name, era: self.era, by_name: true, answers: &self.answers }
    }

    /// Looks at the drive without counting.
    fn look<T>(
        &self,
        patience: Option<Patience>,
        look: impl FnOnce(&mut DriveState) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.world.state();
        self.place().check_answers(&state, patience)?;
        look(drive_of(&mut state, &self.name)?)
    }

    fn file(&self, name: &str, id: FileId, access: Access, created: bool) -> Arc<dyn DriveFile> {
        Arc::new(SimFile {
            world: self.world.clone(),
            drive: self.name.clone(),
            file: Opened { name: name.to_owned(), id, created },
            access,
            era: self.era,
            answers: self.answers.clone(),
        })
    }

    fn open_with(
        &self,
        name: &str,
        access: Access,
        patience: Option<Patience>,
    ) -> io::Result<Arc<dyn DriveFile>> {
        check_name(name)?;
        let id = self.look(patience, |drive| {
            let id = *drive.names.get(name).ok_or(io::ErrorKind::NotFound)?;
            drive.file_mut(id)?.handles += 1;
            Ok(id)
        })?;
        Ok(self.file(name, id, access, false))
    }
}

impl Drive for SimDrive {
    fn label(&self) -> String {
        self.name.clone()
    }

    fn create(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        check_name(name)?;
        let id = self.world.state().new_file();
        let call = Call::Create { name: name.to_owned(), id, by: self.start };
        self.world.operate(self.place(), call)?;
        Ok(self.file(name, id, access, true))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        self.open_with(name, access, None)
    }

    fn open_soon(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        self.open_with(name, access, Some(Patience::Hedged))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let call = Call::Rename { from: from.to_owned(), to: to.to_owned(), by: self.start };
        self.world.operate(self.place(), call)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        let call = Call::Remove { name: name.to_owned(), by: self.start };
        self.world.operate(self.place(), call)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.look(None, |drive| Ok(drive.names.keys().cloned().collect()))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.world.operate(self.place(), Call::SyncDir { by: self.start })
    }

    fn space(&self) -> io::Result<Space> {
        self.look(None, |drive| Ok(drive.space()))
    }

    fn probe(&self) -> io::Result<()> {
        self.look(None, |_| Ok(()))
    }

    fn barriers(&self) -> u64 {
        self.world.state().drives.get(&self.name).map_or(0, |drive| drive.barriers)
    }

    fn queue(&self) -> &DriveQueue {
        &self.queue
    }
}

impl SimFile {
    fn place(&self) -> Place<'_> {
        Place { drive: &self.drive, era: self.era, by_name: false, answers: &self.answers }
    }

    fn check_alignment(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let aligned = (buf.as_ptr() as usize).is_multiple_of(ALIGN)
            && buf.len().is_multiple_of(ALIGN)
            && offset.is_multiple_of(ALIGN as u64);
        if self.access == Access::Direct && !aligned {
            return Err(simulated(io::ErrorKind::InvalidInput, "unaligned direct I/O"));
        }
        Ok(())
    }

    fn read(&self, buf: &mut [u8], offset: u64, patience: Option<Patience>) -> io::Result<usize> {
        self.check_alignment(buf, offset)?;
        let mut state = self.world.state();
        self.place().check_answers(&state, patience)?;
        let seed = state.seed;
        let drive = drive_of(&mut state, &self.drive)?;
        if drive.faults.fail_reads || drive.faults.unreadable.contains(&self.file.name) {
            return Err(simulated(io::ErrorKind::Other, "unreadable"));
        }
        let end = offset + buf.len() as u64;
        let hits = |(name, at): &(String, u64)| {
            *name == self.file.name && *at < end && offset < at + ALIGN as u64
        };
        if drive.faults.bad_sectors.iter().any(hits) {
            return Err(simulated(io::ErrorKind::Other, "bad sector"));
        }
        let (misdirected, stale) = (drive.faults.misdirect_reads, drive.faults.stale_reads);
        let stale = drive.goes_wrong(stale, seed).is_some();
        let elsewhere = drive.goes_wrong(misdirected, seed).and_then(|rng| drive.any_block(&rng));
        let file = drive.files.get(&self.file.id).ok_or_else(cut_error)?;
        if stale {
            return Ok(file.read_stale(buf, offset));
        }
        let n = file.read(buf, offset, self.access == Access::Direct);
        if let Some((id, offset)) = elsewhere
            && let Some(other) = drive.files.get(&id)
        {
            let had = other.read(&mut buf[..n], offset, true);
            buf[had..n].fill(0);
        }
        Ok(n)
    }
}

impl DriveFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read(buf, offset, None)
    }

    fn read_at_soon(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read(buf, offset, Some(Patience::Hedged))
    }

    fn write_at(&self, data: &[u8], offset: u64, sync: bool) -> io::Result<()> {
        self.check_alignment(data, offset)?;
        let call = Call::Write { file: self.file.clone(), data: data.into(), offset, sync };
        self.world.operate(self.place(), call)
    }

    fn sync(&self) -> io::Result<()> {
        self.world.operate(self.place(), Call::Sync { file: self.file.clone() })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut state = self.world.state();
        self.place().check_answers(&state, None)?;
        let drive = drive_of(&mut state, &self.drive)?;
        drive.check_room(self.file.id, len)?;
        let file = drive.file_mut(self.file.id)?;
        file.reserved = file.reserved.max(len);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.world.operate(self.place(), Call::SetLen { id: self.file.id, len })
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.world.state();
        self.place().check_answers(&state, None)?;
        let file = state.drives.get(&self.drive).and_then(|drive| drive.files.get(&self.file.id));
        file.map(|file| file.len()).ok_or_else(cut_error)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let Ok(mut state) = self.world.0.world.lock() else {
            return;
        };
        if state.era != self.era {
            return;
        }
        let Some(drive) = state.drives.get_mut(&self.drive) else {
            return;
        };
        if let Ok(file) = drive.file_mut(self.file.id) {
            file.handles = file.handles.saturating_sub(1);
            if file.handles == 0 {
                drive.forget_nameless();
            }
        }
    }
}

#[cfg(test)]
mod tests;

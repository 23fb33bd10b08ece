//! An index that outlives the drive it is on.
//!
//! The index lies on one drive, while the store promises to go on without any M of them. So when
//! its directory goes away, or it can't go on for another reason, it is made again from the log
//! in the next place and takes over while the server runs. Meanwhile readers have the old one,
//! whose files are all open, and commits wait only once it takes no more.
//!
//! Damage is healed in the same way: a place has two homes, the directory itself and one inside
//! it, and an index that turns out damaged is made anew in the other one. A read that met the
//! damage waits for that, at most [`WAIT_MAX`]; nothing wrong is ever answered.
//!
//! A drive that hangs is not waited for. The log notices it, and gives it up; the index then moves
//! away, and leaves its old files to a thread that may never end. Until then what is read of the
//! index and lies neither in its cache nor in the system's waits for the drive.
//!
//! The two orders that matter:
//! - The new index is brought up to the end of the log twice: first beside the running commits,
//!   then, for the little that came meanwhile, under the lock that [`Engine::apply`] takes too.
//! - A group that was committed before the change and is applied after it is in the new index
//!   already; [`Engine::apply`] leaves out what lies before the mark.

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use coffer_base::Drive;
use coffer_base::drive::RealDrive;
use coffer_catalog::{
    Engine, EngineError, EngineOptions, EngineSnapshot, Entries, IndexReads, LsmEngine, Write,
    catch_up,
};
use coffer_log::{Log, Mark};

pub mod home;
#[cfg(test)]
mod tests;

/// How often the directory is looked at.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// How long a directory may take to say that it is there.
const PROBE_LIMIT: Duration = Duration::from_secs(1);
/// How long to wait after moving failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How long a read waits for a new index.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Where an index can be.
#[derive(Clone)]
pub struct Place {
    /// The directory of the index.
    pub dir: PathBuf,
    /// The drive that it is on.
    pub drive: Arc<dyn Drive>,
}

/// An index in one of several places. It is an [`Engine`] like the one inside it.
pub struct Roaming {
    inner: Arc<Inner>,
    mover: Option<JoinHandle<()>>,
}

struct Inner {
    log: Log,
    places: Vec<Place>,
    health: Arc<Health>,
    current: RwLock<Arc<Placed>>,
    /// Held to change the place, and to apply.
    writer: Mutex<()>,
    /// Position of the current engine's mark.
    applied: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

/// An index in its place.
struct Placed {
    /// Which of the places …
    at: usize,
    /// … and which directory there.
    home: PathBuf,
    /// Its directory, for noticing that it is gone.
    dir: Arc<RealDrive>,
    engine: LsmEngine,
}

#[derive(Default)]
struct State {
    /// Why the index should move, or be made anew.
    wanted: Option<EngineError>,
    /// Moves that were tried, whatever came of them.
    tried: u64,
    /// Why the last one failed.
    failed: Option<EngineError>,
    stop: bool,
}

/// What there is to say of indexes that were made anew while the server runs.
#[derive(Debug, Default)]
pub struct Health {
    /// How many.
    pub remade: AtomicU64,
    /// Why one is being made now.
    making: Mutex<Option<String>>,
}

impl Health {
    /// Why an index is being made now, if one is.
    pub fn making(&self) -> Option<String> {
        self.making.lock().expect("no holder panics").clone()
    }

    fn set_making(&self, why: Option<String>) {
        *self.making.lock().expect("no holder panics") = why;
    }
}

impl Placed {
    /// Opens the index in a home; a damaged one is emptied, with the reason.
    fn open(at: usize, home: PathBuf) -> Result<(Placed, Option<String>), EngineError> {
        let wrong = |e: std::io::Error| EngineError::Io(format!("{}: {e}", home.display()));
        let dir = Arc::new(RealDrive::create(&home).map_err(wrong)?);
        let options = EngineOptions::default();
        #[cfg(feature = "failpoints")]
        let options = crate::failpoints::engine_options(options);
        let (engine, damage) = LsmEngine::open_or_wipe(&home, options)?;
        Ok((Placed { at, home, dir, engine }, damage))
    }
}

impl Roaming {
    /// Opens the index in the first of `places`. The log is where it can be made from.
    pub fn open(log: Log, places: Vec<Place>) -> Result<Roaming, EngineError> {
        let home = home::of(&places[0].dir);
        let (placed, damage) = Placed::open(0, home.clone()).or_else(|error| {
            tracing::error!(dir = %home.display(), %error, "the index can't be opened");
            Placed::open(0, home::other(&places[0].dir, &home))
        })?;
        if let Some(damage) = damage {
            let dir = placed.home.display();
            tracing::warn!(event = "index-damaged", %dir, damage, "the index is made anew");
        }
        home::remove(&home::other(&places[0].dir, &placed.home));
        let position = placed.engine.mark()?.map_or(0, |mark| mark.position.0);
        let inner = Arc::new(Inner {
            log,
            places,
            health: Arc::default(),
            current: RwLock::new(Arc::new(placed)),
            writer: Mutex::new(()),
            applied: AtomicU64::new(position),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let mover = {
            let inner = inner.clone();
            let thread = std::thread::Builder::new().name("index-move".into());
            thread.spawn(move || inner.watch()).map_err(|e| EngineError::Io(e.to_string()))?
        };
        Ok(Roaming { inner, mover: Some(mover) })
    }

    /// What there is to say of it.
    pub fn health(&self) -> Arc<Health> {
        self.inner.health.clone()
    }
}

impl Drop for Roaming {
    fn drop(&mut self) {
        self.inner.state().stop = true;
        self.inner.changed.notify_all();
        if let Some(mover) = self.mover.take() {
            // A panic there was reported when it happened.
            drop(mover.join());
        }
    }
}

impl Inner {
    fn current(&self) -> Arc<Placed> {
        self.current.read().expect("no holder panics").clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    fn writer(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().expect("no holder panics")
    }

    /// Moves the index whenever that is wanted, or its directory is gone.
    fn watch(&self) {
        let mut state = self.state();
        let mut pause = PROBE_INTERVAL;
        loop {
            if state.stop {
                return;
            }
            if state.wanted.is_none() {
                let waited = self.changed.wait_timeout(state, pause);
                state = waited.expect("no holder panics").0;
            }
            if state.stop {
                return;
            }
            if state.wanted.is_none() {
                drop(state);
                let wanted = self.trouble();
                state = self.state();
                state.wanted = state.wanted.take().or(wanted);
            }
            let Some(why) = state.wanted.clone() else { continue };
            drop(state);
            let moved = self.move_on(&why);
            state = self.state();
            state.wanted = None;
            state.tried += 1;
            state.failed = moved.err();
            pause = if state.failed.is_some() { RETRY_INTERVAL } else { PROBE_INTERVAL };
            self.changed.notify_all();
        }
    }

    /// Why the index can't stay where it is.
    fn trouble(&self) -> Option<EngineError> {
        let current = self.current();
        if let Some(why) = self.log.hung(&self.places[current.at].drive.label()) {
            // Who waits for it waits for the next place instead.
            current.engine.abandon(&why);
            return Some(EngineError::Io(why));
        }
        // One that does not answer may be slow only; the log decides that.
        let gone = probe(current.dir.clone()).and_then(Result::err);
        gone.map(|gone| EngineError::Io(gone.to_string())).or_else(|| current.engine.damage())
    }

    /// Whether an index can be made in a place.
    fn is_here(&self, at: usize) -> bool {
        let drive = &self.places[at].drive;
        self.log.hung(&drive.label()).is_none()
            && probe(drive.clone()).is_some_and(|found| found.is_ok())
    }

    /// Makes the index in another home and lets it take over.
    fn move_on(&self, why: &EngineError) -> Result<(), EngineError> {
        let (at, old) = {
            let current = self.current();
            (current.at, current.home.clone())
        };
        tracing::warn!(
            event = "index-remaking", from = %old.display(), %why,
            "the index is made again from the log, in another directory"
        );
        self.health.set_making(Some(why.to_string()));
        let moved = self.try_homes(at, &old, why);
        self.health.set_making(None);
        let to = moved?;
        self.health.remade.fetch_add(1, Ordering::Relaxed);
        let (from, to) = (old.display(), to.display());
        tracing::warn!(event = "index-moved", %from, %to, "the index moved");
        Ok(())
    }

    fn try_homes(&self, at: usize, old: &Path, why: &EngineError) -> Result<PathBuf, EngineError> {
        let beside = (at, home::other(&self.places[at].dir, old));
        let elsewhere = (0..self.places.len()).filter(|other| *other != at);
        let mut homes: Vec<_> = elsewhere.map(|at| (at, home::of(&self.places[at].dir))).collect();
        match why {
            EngineError::Damaged(_) => homes.insert(0, beside),
            EngineError::Io(_) => homes.push(beside),
        }
        homes.retain(|(at, _)| self.is_here(*at));
        let mut failed = EngineError::Io(format!("{why}, and no other drive is there"));
        for (at, home) in homes {
            match self.make(at, home.clone()) {
                Ok(()) => return Ok(home),
                Err(error) => {
                    tracing::error!(to = %home.display(), %error, "the index can't be made here");
                    failed = error;
                }
            }
        }
        Err(failed)
    }

    fn make(&self, at: usize, home: PathBuf) -> Result<(), EngineError> {
        let (placed, _) = Placed::open(at, home)?;
        coffer_base::failpoint::pass("roaming.opened");
        let catch_up = || {
            catch_up(&self.log, &placed.engine).map_err(|error| match error {
                coffer_catalog::Error::Index(error) => error,
                other => EngineError::Io(other.to_string()),
            })
        };
        catch_up()?;
        placed.engine.persist()?;
        coffer_base::failpoint::pass("roaming.filled");
        let writer = self.writer();
        catch_up()?;
        let position = placed.engine.mark()?.map_or(0, |mark| mark.position.0);
        self.applied.store(position, Ordering::Release);
        let before = {
            let mut current = self.current.write().expect("no holder panics");
            std::mem::replace(&mut *current, Arc::new(placed))
        };
        coffer_base::failpoint::pass("roaming.moved");
        drop(writer);
        // Closing the old engine may take long, or for ever if its drive hangs. Its files go before
        // its lock does.
        let thread = std::thread::Builder::new().name("index-close".into());
        let close = move || {
            home::remove(&before.home);
            drop(before);
        };
        if let Err(error) = thread.spawn(close) {
            tracing::warn!(%error, "no thread to close the old index: it is closed here");
        }
        Ok(())
    }

    /// Whether `placed` is the index still. Asked under the lock of the state, since a move ends
    /// under it.
    fn is_current(&self, placed: &Weak<Placed>) -> bool {
        Weak::ptr_eq(placed, &Arc::downgrade(&self.current()))
    }

    /// Asks for a new index, because of `error`, which is of `placed`: nothing is wrong with one
    /// that took over meanwhile.
    fn want(&self, placed: &Weak<Placed>, error: &EngineError) {
        let mut state = self.state();
        if self.is_current(placed) {
            state.wanted.get_or_insert_with(|| error.clone());
            self.changed.notify_all();
        }
    }

    /// Waits until there is another index than `placed`; `error`, which is of that one, is why
    /// there must be.
    fn wait_for_move(
        &self,
        placed: &Weak<Placed>,
        error: EngineError,
        limit: Option<Duration>,
    ) -> Result<(), EngineError> {
        let mut state = self.state();
        if !self.is_current(placed) {
            return Ok(());
        }
        let before = state.tried;
        state.wanted.get_or_insert_with(|| error.clone());
        self.changed.notify_all();
        let waits = |state: &mut State| state.tried == before && !state.stop;
        state = match limit {
            None => self.changed.wait_while(state, waits).expect("no holder panics"),
            Some(limit) => {
                let waited = self.changed.wait_timeout_while(state, limit, waits);
                waited.expect("no holder panics").0
            }
        };
        if state.tried == before {
            return Err(error);
        }
        match &state.failed {
            None => Ok(()),
            Some(failed) => Err(failed.clone()),
        }
    }
}

/// A snapshot that asks for a new index when it meets damage.
struct Watched {
    snapshot: Arc<dyn EngineSnapshot>,
    /// What it is of. It does not keep that open.
    placed: Weak<Placed>,
    inner: Arc<Inner>,
}

impl EngineSnapshot for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.snapshot.get(key).inspect_err(|error| self.inner.want(&self.placed, error))
    }

    fn range(&self, lo: Bound<&[u8]>, hi: Bound<&[u8]>) -> Entries<'_> {
        let entries = self.snapshot.range(lo, hi);
        let watched = |error: &EngineError| self.inner.want(&self.placed, error);
        Box::new(entries.map(move |entry| entry.inspect_err(watched)))
    }
}

/// What [`Drive::probe`] says, unless that takes too long.
fn probe(drive: Arc<dyn Drive>) -> Option<std::io::Result<()>> {
    let (sender, answer) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("index-probe".into());
    // Without a thread nobody knows.
    thread.spawn(move || drop(sender.send(drive.probe()))).ok()?;
    answer.recv_timeout(PROBE_LIMIT).ok()
}

impl Engine for Roaming {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let placed = self.inner.current();
        placed.engine.get(key).or_else(|error| {
            let old = Arc::downgrade(&placed);
            drop(placed);
            // Called from tasks of the runtime, whose other tasks must not wait with this one.
            match tokio::runtime::Handle::try_current() {
                Ok(_) => tokio::task::block_in_place(|| {
                    self.inner.wait_for_move(&old, error, Some(WAIT_MAX))
                })?,
                Err(_) => self.inner.wait_for_move(&old, error, None)?,
            }
            self.inner.current().engine.get(key)
        })
    }

    fn get_for_plan(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let placed = self.inner.current();
        placed.engine.get(key).or_else(|error| {
            let old = Arc::downgrade(&placed);
            drop(placed);
            self.inner.wait_for_move(&old, error, None)?;
            self.inner.current().engine.get(key)
        })
    }

    fn snapshot(&self) -> Arc<dyn EngineSnapshot> {
        let placed = self.inner.current();
        let (snapshot, placed) = (placed.engine.snapshot(), Arc::downgrade(&placed));
        Arc::new(Watched { snapshot, placed, inner: self.inner.clone() })
    }

    fn check(&self) -> Result<(), EngineError> {
        let placed = self.inner.current();
        placed.engine.check().or_else(|error| {
            let old = Arc::downgrade(&placed);
            drop(placed);
            self.inner.wait_for_move(&old, error, None)?;
            self.inner.current().engine.check()
        })
    }

    fn apply(&self, writes: Vec<Write>, mark: Mark) -> Result<(), EngineError> {
        let inner = &*self.inner;
        let (old, applied) = {
            let _writer = inner.writer();
            if mark.position.0 < inner.applied.load(Ordering::Acquire) {
                return Ok(());
            }
            let placed = inner.current();
            let applied = placed.engine.apply(writes, mark);
            if applied.is_ok() {
                inner.applied.store(mark.position.0, Ordering::Release);
            }
            (Arc::downgrade(&placed), applied)
        };
        // The log has the group, and a new index is made from the log.
        applied.or_else(|error| inner.wait_for_move(&old, error, None))
    }

    fn mark(&self) -> Result<Option<Mark>, EngineError> {
        self.inner.current().engine.mark()
    }

    fn persist(&self) -> Result<(), EngineError> {
        self.inner.current().engine.persist()
    }

    fn wipe(&self) -> Result<(), EngineError> {
        let _writer = self.inner.writer();
        self.inner.applied.store(0, Ordering::Release);
        self.inner.current().engine.wipe()
    }

    fn disk_bytes(&self) -> u64 {
        self.inner.current().engine.disk_bytes()
    }

    fn reads(&self) -> IndexReads {
        self.inner.current().engine.reads()
    }
}

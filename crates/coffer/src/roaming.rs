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
//! The two orders that matter:
//! - The new index is brought up to the end of the log twice: first beside the running commits,
//!   then, for the little that came meanwhile, under the lock that [`Engine::apply`] takes too.
//! - A group that was committed before the change and is applied after it is in the new index
//!   already; [`Engine::apply`] leaves out what lies before the mark.

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use coffer_base::Drive;
use coffer_base::drive::RealDrive;
use coffer_catalog::{
    Engine, EngineError, EngineOptions, EngineSnapshot, Entries, LsmEngine, Write, catch_up,
};
use coffer_log::{Log, Mark};

pub mod home;
#[cfg(test)]
mod tests;

/// How often the directory is looked at.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
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
    dir: RealDrive,
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
        let dir = RealDrive::create(&home).map_err(wrong)?;
        let (engine, damage) = LsmEngine::open_or_wipe(&home, EngineOptions::default())?;
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
                let current = self.current();
                let gone = current.dir.probe().err().map(|gone| EngineError::Io(gone.to_string()));
                state.wanted = gone.or_else(|| current.engine.damage());
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

    /// Makes the index in another home and lets it take over.
    fn move_on(&self, why: &EngineError) -> Result<(), EngineError> {
        let current = self.current();
        let old = current.home.display();
        tracing::warn!(
            event = "index-remaking", from = %old, %why,
            "the index is made again from the log, in another directory"
        );
        self.health.set_making(Some(why.to_string()));
        let moved = self.try_homes(&current, why);
        self.health.set_making(None);
        let home = moved?;
        self.health.remade.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(event = "index-moved", from = %old, to = %home.display(), "the index moved");
        home::remove(&current.home);
        Ok(())
    }

    fn try_homes(&self, current: &Placed, why: &EngineError) -> Result<PathBuf, EngineError> {
        let beside = (current.at, home::other(&self.places[current.at].dir, &current.home));
        let elsewhere = (0..self.places.len()).filter(|at| *at != current.at);
        let mut homes: Vec<_> = elsewhere.map(|at| (at, home::of(&self.places[at].dir))).collect();
        match why {
            EngineError::Damaged(_) => homes.insert(0, beside),
            EngineError::Io(_) => homes.push(beside),
        }
        homes.retain(|(at, _)| self.places[*at].drive.probe().is_ok());
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
        // Closing the old engine may take long; commits go on meanwhile.
        drop(writer);
        drop(before);
        Ok(())
    }

    /// Asks for a new index, because of `error`.
    fn want(&self, error: &EngineError) {
        self.state().wanted.get_or_insert_with(|| error.clone());
        self.changed.notify_all();
    }

    /// Waits until there is a new index; `error` is why there must be.
    fn wait_for_move(
        &self,
        error: EngineError,
        limit: Option<Duration>,
    ) -> Result<(), EngineError> {
        let mut state = self.state();
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
    inner: Arc<Inner>,
}

impl EngineSnapshot for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.snapshot.get(key).inspect_err(|error| self.inner.want(error))
    }

    fn range(&self, lo: Bound<&[u8]>, hi: Bound<&[u8]>) -> Entries<'_> {
        let entries = self.snapshot.range(lo, hi);
        Box::new(entries.map(|entry| entry.inspect_err(|error| self.inner.want(error))))
    }
}

impl Engine for Roaming {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let placed = self.inner.current();
        placed.engine.get(key).or_else(|error| {
            // Called from tasks of the runtime, whose other tasks must not wait with this one.
            match tokio::runtime::Handle::try_current() {
                Ok(_) => {
                    tokio::task::block_in_place(|| self.inner.wait_for_move(error, Some(WAIT_MAX)))?
                }
                Err(_) => self.inner.wait_for_move(error, None)?,
            }
            self.inner.current().engine.get(key)
        })
    }

    fn snapshot(&self) -> Arc<dyn EngineSnapshot> {
        let snapshot = self.inner.current().engine.snapshot();
        Arc::new(Watched { snapshot, inner: self.inner.clone() })
    }

    fn check(&self) -> Result<(), EngineError> {
        let placed = self.inner.current();
        placed.engine.check().or_else(|error| {
            self.inner.wait_for_move(error, None)?;
            self.inner.current().engine.check()
        })
    }

    fn apply(&self, writes: Vec<Write>, mark: Mark) -> Result<(), EngineError> {
        let inner = &*self.inner;
        let applied = {
            let _writer = inner.writer();
            if mark.position.0 < inner.applied.load(Ordering::Acquire) {
                return Ok(());
            }
            let applied = inner.current().engine.apply(writes, mark);
            if applied.is_ok() {
                inner.applied.store(mark.position.0, Ordering::Release);
            }
            applied
        };
        // The log has the group, and a new index is made from the log.
        applied.or_else(|error| inner.wait_for_move(error, None))
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
}

//! The real engine: a log-structured merge tree on the file system, without a log of its own.
//!
//! Batches go to a table in memory. Full tables are sorted, written, synced and entered into the
//! tree's manifest in one step by a background thread ([`upkeep`]), so what a crash leaves is
//! exactly the state after the last batch of some table, with that batch's mark inside. The tail
//! that is lost is replayed from Coffer's log. That is why this engine has no journal: it would
//! write every change a second time, and sync it on the path of commits, to save nothing.
//!
//! Readers see a [`View`]: the tree and a sequence number up to which every batch is complete. It
//! is published after each batch under the writer's lock, so no reader sees half a batch,
//! although the tree itself moves its visible number on when it flushes in the middle of one.
//!
//! Directory: `LOCK`; `DAMAGED` if damage was met while running, so that the next opening fails
//! and its caller rebuilds; `tree/`; `tree.old/` while a wipe is under way.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use coffer_base::wire::{Put, Reader};
use coffer_log::Mark;
use lsm_tree::checksum::ChecksummedWriter;
use lsm_tree::config::PinningPolicy;
use lsm_tree::{AbstractTree, AnyTree, Cache, Config, Memtable, SequenceNumberCounter};

use super::{Engine, EngineError, EngineSnapshot, IndexReads, Write};
use crate::keys::SUBSPACE_RESERVED;

mod damage;
mod hot;
#[cfg(test)]
mod tests;
mod upkeep;
mod view;

use damage::Damage;
use hot::HotRows;
use upkeep::Work;
use view::{Pins, View};

/// The key of the mark, below all keys of the catalog.
const MARK_KEY: &[u8] = &[SUBSPACE_RESERVED, b'm'];

/// What the index holds and how its keys are encoded. Another version is rebuilt, not read.
const INDEX_VERSION: u8 = 1;

/// Full tables in memory that wait to be written. More make [`Engine::check`] wait.
const SEALED_TABLES_MAX: usize = 3;

/// Runs of tables on the first level that wait to be merged. More make [`Engine::check`] wait.
const FIRST_LEVEL_RUNS_MAX: usize = 32;

/// Deletions after which a table counts as full: a scan walks over each one that is still in
/// memory, and only a table on the drive can be merged away.
const DELETES_PER_TABLE_MAX: u64 = 32 << 10;

/// Deletions in memory that are worth tidying up once no more come.
const DELETES_WORTH_TIDYING: u64 = 4 << 10;

/// How much memory an index takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Blocks kept in memory for reading.
    pub cache_bytes: u64,
    /// Size of a table in memory before it is written. At most four exist at a time.
    pub write_buffer_bytes: u64,
    /// Rows kept in memory as such, for gets of the same keys again and again.
    pub hot_bytes: u64,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { cache_bytes: 32 << 20, write_buffer_bytes: 4 << 20, hot_bytes: 8 << 20 }
    }
}

/// A disposable index in a directory.
pub struct LsmEngine {
    core: Arc<Core>,
    threads: Vec<JoinHandle<()>>,
}

/// What the engine and its background threads share. Locks are taken in this order: `files`,
/// `writer`, then any one of the others.
struct Core {
    dir: PathBuf,
    options: EngineOptions,
    /// Held by whoever works on the tree's files; exclusively by [`Engine::wipe`].
    files: RwLock<()>,
    writer: Mutex<Writer>,
    view: RwLock<Arc<View>>,
    hot: HotRows,
    /// Full tables, to be freed by who wrote them: the tree would free them under the lock that
    /// its readers take, which is milliseconds for each.
    sealed: Mutex<Vec<Arc<Memtable>>>,
    pins: Arc<Pins>,
    damage: Arc<Damage>,
    work: Mutex<Work>,
    work_changed: Condvar,
    /// Keeps the directory ours.
    _lock: File,
}

/// The right to apply batches.
struct Writer {
    tree: AnyTree,
    seqno: SequenceNumberCounter,
    /// Deletions in the table in memory.
    deletes: u64,
    /// Deletions since the engine was opened.
    deletes_ever: u64,
}

impl LsmEngine {
    /// Opens or creates the index in `dir`. [`EngineError::Damaged`] says that it must be wiped
    /// ([`LsmEngine::open_or_wipe`]); nothing was changed then.
    pub fn open(dir: &Path, options: EngineOptions) -> Result<Self, EngineError> {
        let lock = lock_dir(dir)?;
        Self::open_locked(dir, options, lock)
    }

    /// Opens or creates the index in `dir`; a damaged one is wiped and comes back empty, with
    /// the reason.
    pub fn open_or_wipe(
        dir: &Path,
        options: EngineOptions,
    ) -> Result<(Self, Option<String>), EngineError> {
        let lock = lock_dir(dir)?;
        let again = lock.try_clone().map_err(|e| io_error(dir, &e))?;
        match Self::open_locked(dir, options, lock) {
            Ok(engine) => Ok((engine, None)),
            Err(EngineError::Damaged(what)) => {
                remove_tree(dir)?;
                Ok((Self::open_locked(dir, options, again)?, Some(what)))
            }
            Err(error) => Err(error),
        }
    }

    /// The damage that was met since it was opened, if any.
    pub fn damage(&self) -> Option<EngineError> {
        self.core.damage.check().err()
    }

    /// Says that its drive hangs: from here on [`Engine::check`] fails instead of waiting for what
    /// the drive may never have done.
    pub fn abandon(&self, why: &str) {
        self.core.work().abandoned = Some(why.to_owned());
        self.core.work_changed.notify_all();
    }

    fn open_locked(dir: &Path, options: EngineOptions, lock: File) -> Result<Self, EngineError> {
        remove_old_tree(dir)?;
        let damage = Arc::new(Damage::none(dir)?);
        let writer = open_tree(dir, options)?;
        let pins = Arc::new(Pins::default());
        let view = View::new(&writer, &pins, &damage);
        let core = Arc::new(Core {
            dir: dir.to_owned(),
            options,
            files: RwLock::new(()),
            writer: Mutex::new(writer),
            view: RwLock::new(Arc::new(view)),
            hot: HotRows::new(options.hot_bytes),
            sealed: Mutex::default(),
            pins,
            damage,
            work: Mutex::default(),
            work_changed: Condvar::new(),
            _lock: lock,
        });
        let engine = Self { threads: upkeep::start(&core).map_err(|e| io_error(dir, &e))?, core };
        engine.mark()?;
        Ok(engine)
    }
}

impl Drop for LsmEngine {
    fn drop(&mut self) {
        self.core.work().stop = true;
        self.core.work_changed.notify_all();
        for thread in self.threads.drain(..) {
            // A background thread that panicked has reported it already.
            drop(thread.join());
        }
    }
}

impl Core {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().expect("applying doesn't panic")
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().expect("no holder panics")
    }

    fn view(&self) -> Arc<View> {
        self.view.read().expect("no holder panics").clone()
    }

    /// Shows readers everything that was applied; `writer` proves that no batch is half done.
    fn publish(&self, writer: &Writer) {
        let view = View::new(writer, &self.pins, &self.damage);
        let before = {
            let mut current = self.view.write().expect("no holder panics");
            std::mem::replace(&mut *current, Arc::new(view))
        };
        drop(before);
    }

    /// Makes the table in memory a full one.
    fn seal_table(&self, writer: &mut Writer) {
        let sealed = writer.tree.rotate_memtable();
        self.sealed.lock().expect("no holder panics").extend(sealed);
        coffer_base::failpoint::pass("index.table-full");
        writer.deletes = 0;
    }
}

impl Engine for LsmEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.core.hot.get(key, || self.core.view().get(key))
    }

    fn snapshot(&self) -> Arc<dyn EngineSnapshot> {
        self.core.view()
    }

    fn check(&self) -> Result<(), EngineError> {
        let core = &self.core;
        loop {
            let tree = core.view().tree().clone();
            let flush_behind = tree.sealed_memtable_count() >= SEALED_TABLES_MAX;
            let merge_behind = tree.l0_run_count() >= FIRST_LEVEL_RUNS_MAX;
            core.damage.check()?;
            let mut work = core.work();
            if let Some(why) = &work.abandoned {
                return Err(EngineError::Io(why.clone()));
            }
            if !flush_behind && !merge_behind {
                return Ok(());
            }
            work.flush_wanted |= flush_behind;
            work.merge_wanted |= merge_behind;
            core.work_changed.notify_all();
            // What failed is tried again at once, by the request just made; this caller is told.
            if let Some(what) = work.flush_failed.take().filter(|_| flush_behind) {
                return Err(EngineError::Io(what));
            }
            if let Some(what) = work.merge_failed.take().filter(|_| merge_behind) {
                return Err(EngineError::Io(what));
            }
            let wait = core.work_changed.wait_timeout(work, Duration::from_millis(100));
            drop(wait.expect("no holder panics"));
        }
    }

    fn apply(&self, writes: Vec<Write>, mark: Mark) -> Result<(), EngineError> {
        let core = &self.core;
        let mut writer = core.writer();
        let seqno = writer.seqno.next();
        let mut deletes = 0;
        let mut changed = Vec::with_capacity(writes.len());
        for write in writes {
            match write {
                Write::Put { key, value } => {
                    debug_assert!(key.first().is_some_and(|&s| s != SUBSPACE_RESERVED));
                    changed.push(key.clone());
                    writer.tree.insert(key, value, seqno);
                }
                Write::Delete { key } => {
                    changed.push(key.clone());
                    writer.tree.remove(key, seqno);
                    deletes += 1;
                }
            }
        }
        let worth_tidying = writer.deletes < DELETES_WORTH_TIDYING
            && writer.deletes + deletes >= DELETES_WORTH_TIDYING;
        writer.deletes += deletes;
        writer.deletes_ever += deletes;
        let (_, table_bytes) = writer.tree.insert(MARK_KEY, encode_mark(&mark), seqno);
        core.hot.change(&changed, || core.publish(&writer));
        if table_bytes >= core.options.write_buffer_bytes || writer.deletes >= DELETES_PER_TABLE_MAX
        {
            core.seal_table(&mut writer);
            core.work().flush_wanted = true;
            core.work_changed.notify_all();
        } else if worth_tidying {
            core.work().merge_wanted = true;
            core.work_changed.notify_all();
        }
        Ok(())
    }

    fn mark(&self) -> Result<Option<Mark>, EngineError> {
        let view = self.core.view();
        let Some(value) = view.get(MARK_KEY)? else {
            return if view.tree().table_count() == 0 {
                Ok(None)
            } else {
                Err(EngineError::Damaged("it holds entries but no mark".into()))
            };
        };
        decode_mark(&value).map(Some)
    }

    fn persist(&self) -> Result<(), EngineError> {
        let _files = self.core.files.read().expect("no holder panics");
        {
            let mut writer = self.core.writer();
            self.core.seal_table(&mut writer);
        }
        self.core.flush().map_err(|e| self.core.damage.fault(e))
    }

    fn wipe(&self) -> Result<(), EngineError> {
        let core = &self.core;
        let _files = core.files.write().expect("no holder panics");
        let mut writer = core.writer();
        remove_tree(&core.dir)?;
        *writer = open_tree(&core.dir, core.options)?;
        *core.work() = Work::default();
        core.sealed.lock().expect("no holder panics").clear();
        core.damage.forget();
        core.hot.change_all(|| core.publish(&writer));
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.core.view().tree().disk_space()
    }

    fn reads(&self) -> IndexReads {
        let tree = self.core.view().tree().clone();
        let counts = tree.metrics();
        let (hot, gets) = self.core.hot.hits_and_misses();
        let filtered = counts.io_skipped_by_filter() as u64;
        // Before the count of all, which is not below it then.
        let blocks_cached = counts.data_block_load_cached_count() as u64;
        IndexReads {
            hot,
            gets,
            filtered,
            filter_errors: (counts.filter_queries() as u64).saturating_sub(filtered),
            blocks_cached,
            blocks_read: (counts.data_block_load_count() as u64).saturating_sub(blocks_cached),
            directory_blocks: (counts.filter_block_load_count() + counts.index_block_load_count())
                as u64,
        }
    }
}

fn open_tree(dir: &Path, options: EngineOptions) -> Result<Writer, EngineError> {
    let path = dir.join("tree");
    if holds_files_without_manifest(&path).map_err(|e| io_error(&path, &e))? {
        return Err(EngineError::Damaged("its manifest is gone".into()));
    }
    verify_version(&path)?;
    let seqno = SequenceNumberCounter::default();
    let config = Config::new(path, seqno.clone(), SequenceNumberCounter::default())
        .use_cache(Arc::new(Cache::with_capacity_bytes(options.cache_bytes)))
        // The filters and the indexes of blocks stay in memory, some two bytes a key. Read through
        // the cache they would push out what is asked for, in a flood of keys that are not there
        // above all; now such a key is answered without a look at any block.
        .filter_block_partitioning_policy(PinningPolicy::all(false))
        .filter_block_pinning_policy(PinningPolicy::all(true))
        .index_block_partitioning_policy(PinningPolicy::all(false))
        .index_block_pinning_policy(PinningPolicy::all(true))
        // Every table stays open, so that a directory that goes away can still be read until the
        // index has moved. Tables are large, so they are few.
        .use_descriptor_table(None);
    // The tree asserts some properties of files that a damaged directory lacks.
    let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
    let tree = match opened {
        Ok(opened) => opened.map_err(tree_error)?,
        Err(_) => return Err(EngineError::Damaged("its files do not fit together".into())),
    };
    seqno.fetch_max(tree.get_highest_seqno().map_or(0, |highest| highest + 1));
    // Views name the first number they do not see, and number 0 means "no version" to the tree.
    seqno.fetch_max(1);
    Ok(Writer { tree, seqno, deletes: 0, deletes_ever: 0 })
}

/// The tree would take such a directory for a new one, and then trip over the tables in it.
fn holds_files_without_manifest(tree: &Path) -> io::Result<bool> {
    Ok(tree.try_exists()? && !tree.join("current").try_exists()?)
}

/// Which tables there are stands in a file of its own, which the tree does not verify: a flipped
/// bit there can hide keys. `current` names it, with its checksum (u64, u128, u8 0).
fn verify_version(tree: &Path) -> Result<(), EngineError> {
    let damaged = |what: &str| Err(EngineError::Damaged(what.into()));
    let read = |path: PathBuf| match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io_error(&path, &e)),
    };
    let Some(current) = read(tree.join("current"))? else { return Ok(()) };
    let mut r = Reader::new(&current);
    let (Some(version), Some(sum), Some(0)) = (r.u64(), r.u128(), r.u8()) else {
        return damaged("its manifest is malformed");
    };
    let Some(bytes) = read(tree.join(format!("v{version}")))? else {
        return damaged("its manifest names a version that is not there");
    };
    let mut hashed = ChecksummedWriter::new(io::sink());
    let hashing = hashed.write_all(&bytes).map(|()| hashed.checksum().into_u128());
    match hashing {
        Ok(found) if found == sum && r.is_empty() => Ok(()),
        Ok(_) => damaged("the list of its tables has a wrong checksum"),
        Err(e) => Err(io_error(tree, &e)),
    }
}

fn encode_mark(mark: &Mark) -> Vec<u8> {
    let mut value = Vec::with_capacity(41);
    value.put_u8(INDEX_VERSION);
    mark.encode(&mut value);
    value
}

fn decode_mark(value: &[u8]) -> Result<Mark, EngineError> {
    let mut r = Reader::new(value);
    match r.u8() {
        Some(INDEX_VERSION) => Mark::decode(&mut r)
            .filter(|_| r.is_empty())
            .ok_or_else(|| EngineError::Damaged("its mark is malformed".into())),
        other => Err(EngineError::Damaged(format!(
            "it has version {other:?}, this program builds {INDEX_VERSION}"
        ))),
    }
}

fn tree_error(error: lsm_tree::Error) -> EngineError {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    match error {
        lsm_tree::Error::Io(e) => match e.kind() {
            NotFound | UnexpectedEof | InvalidData | InvalidInput => {
                EngineError::Damaged(e.to_string())
            }
            _ => EngineError::Io(e.to_string()),
        },
        other => EngineError::Damaged(other.to_string()),
    }
}

fn io_error(path: &Path, error: &io::Error) -> EngineError {
    EngineError::Io(format!("{}: {error}", path.display()))
}

fn lock_dir(dir: &Path) -> Result<File, EngineError> {
    fs::create_dir_all(dir).map_err(|e| io_error(dir, &e))?;
    let path = dir.join("LOCK");
    let lock = File::create(&path).map_err(|e| io_error(&path, &e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => {
            Err(EngineError::Io(format!("{} is used by another process", dir.display())))
        }
        Err(fs::TryLockError::Error(e)) => Err(io_error(&path, &e)),
    }
}

/// Removes the tree so that a crash in between leaves it whole or gone, then the damage marker.
fn remove_tree(dir: &Path) -> Result<(), EngineError> {
    remove_old_tree(dir)?;
    match fs::rename(dir.join("tree"), dir.join("tree.old")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io_error(dir, &e)),
        _ => File::open(dir).and_then(|d| d.sync_all()).map_err(|e| io_error(dir, &e))?,
    }
    coffer_base::failpoint::pass("index.wipe-renamed");
    remove_old_tree(dir)?;
    coffer_base::failpoint::pass("index.wiped");
    damage::remove_marker(dir)
}

fn remove_old_tree(dir: &Path) -> Result<(), EngineError> {
    let old = dir.join("tree.old");
    match fs::remove_dir_all(&old) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error(&old, &e)),
        _ => Ok(()),
    }
}

/// Clamps a lower bound to the keys of the catalog.
fn above_reserved(lo: Bound<&[u8]>) -> Bound<&[u8]> {
    const FIRST: &[u8] = &[SUBSPACE_RESERVED + 1];
    match lo {
        Bound::Included(key) | Bound::Excluded(key) if key >= FIRST => lo,
        _ => Bound::Included(FIRST),
    }
}

//! The engine's background work: writing full tables, and merging written ones.
//!
//! Two threads, so that a long merge never keeps a full table in memory. Both sleep until asked.
//!
//! Merging follows the tree's own levels, which let deletions sink to the last level before they
//! disappear. A bucket emptied from the front would make every listing walk over the remains
//! until then (0.1 µs for each), so when deletions make up a good part of all entries, everything
//! is merged into the last level at once. By the time that happens again, as many deletions have
//! come as pay for it. When no more come, a smaller part is enough.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lsm_tree::compaction::Leveled;
use lsm_tree::{AbstractTree, AnyTree};

use super::{Core, DELETES_WORTH_TIDYING, EngineError};

/// Fewer deletions than this are never worth a full merge.
const DELETES_WORTH_A_MERGE: u64 = 4 << 10;

/// A full merge starts when one in this many entries on the drive is a deletion, while deletions
/// still come …
const ENTRIES_PER_DELETE_BUSY: u64 = 8;

/// … and once none came for [`QUIET`].
const ENTRIES_PER_DELETE_QUIET: u64 = 64;

/// How long no deletion came when they are taken to have ended.
const QUIET: Duration = Duration::from_secs(1);

/// Size of the tables that a merge writes.
const TABLE_BYTES: u64 = 64 << 20;

/// What is asked of the background threads, and what they had to say.
#[derive(Default)]
pub(super) struct Work {
    pub(super) flush_wanted: bool,
    pub(super) merge_wanted: bool,
    /// Why the last flush failed; it is tried again when asked.
    pub(super) flush_failed: Option<String>,
    /// Why the last merge failed.
    pub(super) merge_failed: Option<String>,
    pub(super) stop: bool,
    /// Why nobody waits for this engine any more.
    pub(super) abandoned: Option<String>,
}

/// Starts both threads.
pub(super) fn start(core: &Arc<Core>) -> std::io::Result<Vec<JoinHandle<()>>> {
    let (flusher, merger) = (core.clone(), core.clone());
    let flusher = thread::Builder::new()
        .name("index-flush".into())
        .spawn(move || guarded(&flusher, Core::run_flushes))?;
    let spawned = thread::Builder::new()
        .name("index-merge".into())
        .spawn(move || guarded(&merger, Core::run_merges));
    match spawned {
        Ok(merger) => Ok(vec![flusher, merger]),
        Err(e) => {
            core.work().stop = true;
            core.work_changed.notify_all();
            drop(flusher.join());
            Err(e)
        }
    }
}

/// Runs `work`; a panic in it (the tree asserts some properties of its files) is damage.
fn guarded(core: &Core, work: fn(&Core)) {
    if catch_unwind(AssertUnwindSafe(|| work(core))).is_err() {
        core.damage.remember("a background thread of the index panicked");
    }
}

impl Core {
    /// Writes every full table. The caller holds `files`.
    pub(super) fn flush(&self) -> Result<(), lsm_tree::Error> {
        let tree = self.view().tree().clone();
        // Freed at the end, when the tree has let go of them.
        let _written = std::mem::take(&mut *self.sealed.lock().expect("no holder panics"));
        {
            let turn = tree.get_flush_lock();
            coffer_base::failpoint::pass("index.before-flush");
            tree.flush(&turn, self.pins.lowest())?;
            coffer_base::failpoint::pass("index.flushed");
        }
        self.let_go();
        self.work().merge_wanted = true;
        self.work_changed.notify_all();
        Ok(())
    }

    /// Moves readers to the newest files and frees the old ones and the tables in memory.
    fn let_go(&self) {
        let tree = {
            let writer = self.writer();
            self.publish(&writer);
            writer.tree.clone()
        };
        let path = tree.tree_config().path.clone();
        let freed = tree.get_version_history_lock().maintenance(&path, self.pins.lowest());
        if let Err(e) = freed {
            tracing::warn!("can't remove an old manifest of the index: {e}");
        }
        coffer_base::failpoint::pass("index.let-go");
    }

    fn run_flushes(&self) {
        while self.next_turn(|work| &mut work.flush_wanted) {
            let _files = self.files.read().expect("no holder panics");
            let failed = self.flush().map_err(|e| self.damage.fault(e)).err();
            if let Some(error) = &failed {
                tracing::error!("writing a table of the index failed: {error}");
            }
            self.work().flush_failed = failed.map(|e| e.to_string());
            self.work_changed.notify_all();
        }
    }

    fn run_merges(&self) {
        while self.next_turn(|work| &mut work.merge_wanted) {
            let merged = self.merge_until_quiet().and_then(|()| self.tidy_when_quiet());
            let failed = merged.map_err(|e| self.damage.fault(e)).err();
            if let Some(error) = &failed {
                tracing::error!("merging tables of the index failed: {error}");
            }
            self.work().merge_failed = failed.map(|e| match e {
                EngineError::Io(what) | EngineError::Damaged(what) => what,
            });
            self.work_changed.notify_all();
        }
    }

    /// Waits until the flag is raised and lowers it; `false` when the engine stops.
    fn next_turn(&self, flag: impl Fn(&mut super::Work) -> &mut bool) -> bool {
        let mut work = self.work();
        loop {
            if work.stop {
                return false;
            }
            if std::mem::take(flag(&mut work)) {
                return true;
            }
            work = self.work_changed.wait(work).expect("no holder panics");
        }
    }

    /// Follows the levels until the tree has nothing to do.
    fn merge_until_quiet(&self) -> Result<(), lsm_tree::Error> {
        let strategy = Arc::new(Leveled::default().with_table_target_size(TABLE_BYTES));
        while !self.work().stop {
            let _files = self.files.read().expect("no holder panics");
            let tree = self.view().tree().clone();
            // Held until the tree has let go of it: the last holder of a merged table removes its
            // file, and the tree would do so under the lock that its readers take.
            let before = tree.current_version();
            tree.compact(strategy.clone(), self.pins.lowest())?;
            if tree.current_version().id() != before.id() {
                coffer_base::failpoint::pass("index.merged");
                self.let_go();
            } else if !self.merge_all(ENTRIES_PER_DELETE_BUSY)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits for the end of the deletions that are in the tree or in memory, unless other work
    /// comes first, and merges them away.
    fn tidy_when_quiet(&self) -> Result<(), lsm_tree::Error> {
        loop {
            let tree = self.view().tree().clone();
            let (in_memory, before) = {
                let writer = self.writer();
                (writer.deletes, writer.deletes_ever)
            };
            if in_memory < DELETES_WORTH_TIDYING
                && !is_worth_merging(&tree, ENTRIES_PER_DELETE_QUIET)
            {
                return Ok(());
            }
            let work = self.work();
            if work.stop || work.merge_wanted {
                return Ok(());
            }
            let waited = self.work_changed.wait_timeout(work, QUIET).expect("no holder panics");
            if !waited.1.timed_out() {
                continue;
            }
            drop(waited);
            let _files = self.files.read().expect("no holder panics");
            let sealed = {
                let mut writer = self.writer();
                if writer.deletes_ever != before {
                    continue;
                }
                let worth = writer.deletes >= DELETES_WORTH_TIDYING;
                if worth {
                    self.seal_table(&mut writer);
                }
                worth
            };
            if sealed {
                self.flush()?;
            }
            if !self.merge_all(ENTRIES_PER_DELETE_QUIET)? {
                return Ok(());
            }
        }
    }

    /// Merges everything into the last level if deletions make up enough of it; whether that
    /// removed any. The caller holds `files`.
    fn merge_all(&self, entries_per_delete: u64) -> Result<bool, lsm_tree::Error> {
        let tree = self.view().tree().clone();
        if !is_worth_merging(&tree, entries_per_delete) {
            return Ok(false);
        }
        let before = tree.tombstone_count();
        // As in `merge_until_quiet`.
        let _merged = tree.current_version();
        tree.major_compact(TABLE_BYTES, self.pins.lowest())?;
        self.let_go();
        let after = tree.tombstone_count();
        tracing::debug!(before, after, "merged the deletions of the index");
        Ok(after < before)
    }
}

fn is_worth_merging(tree: &AnyTree, entries_per_delete: u64) -> bool {
    let deletes = tree.tombstone_count();
    let version = tree.current_version();
    let entries: u64 = version.iter_tables().map(|table| table.metadata.item_count).sum();
    deletes >= DELETES_WORTH_A_MERGE && deletes * entries_per_delete >= entries
}

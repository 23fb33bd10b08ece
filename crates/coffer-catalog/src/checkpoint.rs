//! Checkpoints: the catalog itself, written into the log now and then as compressed sorted
//! ranges, so that a lost index is made again without reading all of history.
//!
//! The key space is cut into ranges. A checkpoint writes the ranges in which a key changed since
//! the last one and names the others where they are; a root lists them all. The first checkpoint
//! after a start, or after a failure, writes every range, because what changed before is not
//! known.
//!
//! The order of the steps, and what a crash leaves after each:
//!
//! 1. The sequencer takes a snapshot right after a group was applied, with that group's mark:
//!    nothing.
//! 2. The changed ranges are written and synced: dead bytes.
//! 3. The root is written and synced: dead bytes.
//! 4. The root's place is recorded in the superblocks: the new checkpoint on the drives that have
//!    it, which recovery finds; else the old one, whose bytes nobody touches.
//!
//! Steps 2 to 4 run on a thread of their own beside commits; inline sequencing does them where
//! they fall due.
//!
//! `docs/formats/checkpoint.md` has the bytes. Which checkpoint a root belongs to is told by its
//! mark; that the mark is part of history is checked by replay, which follows every load.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use coffer_base::Position;
use coffer_base::buffer::{ALIGN, align_up};
use coffer_log::{Log, Mark};

use crate::catalog::Sequencing;
use crate::engine::{Engine, Write};
use root::Root;
use write::{Job, Stopped, Written};

mod load;
mod range;
mod root;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use load::{Failed as LoadFailed, load};
pub use load::{extents, verify};

/// The largest [`CheckpointOptions::range_bytes_target`]: larger ranges would not be read.
pub const RANGE_BYTES_TARGET_MAX: usize = 8 << 20;

/// Keys that are remembered while a checkpoint is written; more, and the next one is full.
const KEYS_KEPT_MAX: usize = 128 << 10;

/// When checkpoints are written, and how finely they are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// Commit lane bytes between two checkpoints, at least.
    pub log_bytes_min: u64,
    /// Commit lane bytes between two checkpoints for each byte that a full one takes, at least:
    /// bounds what checkpoints add to the log.
    pub log_bytes_per_checkpoint_byte: u64,
    /// Bytes of keys and values in a range, about; at most [`RANGE_BYTES_TARGET_MAX`].
    pub range_bytes_target: usize,
}

impl Default for CheckpointOptions {
    fn default() -> Self {
        Self {
            log_bytes_min: 256 << 20,
            log_bytes_per_checkpoint_byte: 16,
            range_bytes_target: 1 << 20,
        }
    }
}

/// A checkpoint in a few numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointSummary {
    /// The group after which it was taken.
    pub position: Position,
    /// Keys in it.
    pub entries: u64,
    /// Ranges that they are in.
    pub ranges: u64,
    /// Bytes of all its ranges in the log, before erasure coding.
    pub bytes: u64,
}

/// What checkpoints have come to. Counts start at the opening.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStatus {
    /// The one that a rebuild would start from.
    pub last: Option<CheckpointSummary>,
    /// One is being written.
    pub running: bool,
    /// Checkpoints written.
    pub written: u64,
    /// Bytes of ranges and roots written for them, before erasure coding.
    pub written_bytes: u64,
    /// Ranges written for them.
    pub written_ranges: u64,
    /// Why the last attempt failed, or why the recorded one could not be loaded, until one is
    /// written again.
    pub failure: Option<String>,
}

/// Where the status is kept for readers.
#[derive(Default)]
pub(crate) struct Report(Mutex<CheckpointStatus>);

impl Report {
    pub(crate) fn status(&self) -> CheckpointStatus {
        self.change().clone()
    }

    fn change(&self) -> MutexGuard<'_, CheckpointStatus> {
        self.0.lock().expect("no holder panics")
    }

    /// Takes note of how a checkpoint ended; its root, if it was recorded.
    fn ended(&self, outcome: Result<Written, Stopped>) -> Option<Arc<Root>> {
        let mut status = self.change();
        status.running = false;
        match outcome {
            Ok(written) => {
                let summary = written.root.summary();
                tracing::info!(
                    position = summary.position.0,
                    entries = summary.entries,
                    ranges = summary.ranges,
                    written_ranges = written.ranges,
                    written_bytes = written.bytes,
                    "the catalog is checkpointed"
                );
                status.last = Some(summary);
                status.written += 1;
                status.written_bytes += written.bytes;
                status.written_ranges += written.ranges;
                status.failure = None;
                Some(Arc::new(written.root))
            }
            Err(Stopped::Closing) => None,
            Err(Stopped::Failed(error)) => {
                tracing::error!("the checkpoint failed, the older one stays: {error}");
                status.failure = Some(error.to_string());
                None
            }
        }
    }
}

/// What the next checkpoint must write.
enum Changed {
    /// Everything: what changed is not known.
    All,
    /// The ranges of `root` whose flag is set; it has some.
    Ranges { root: Arc<Root>, dirty: Vec<bool> },
    /// What holds these keys, of the ranges of the checkpoint that is being written.
    Keys(Vec<Bytes>),
}

struct Running {
    thread: JoinHandle<Option<Arc<Root>>>,
    closing: Arc<AtomicBool>,
}

/// The sequencer's part: knows what changed, and starts checkpoints. Takes no locks but that of
/// the status.
pub(crate) struct Checkpoints {
    log: Log,
    options: CheckpointOptions,
    mode: Sequencing,
    report: Arc<Report>,
    /// Of the commit lane since the last checkpoint was taken.
    log_bytes: u64,
    /// That many make the next one due.
    log_bytes_due: u64,
    changed: Changed,
    running: Option<Running>,
}

impl Checkpoints {
    /// For a log at its end. A recorded checkpoint that can't be read counts as none.
    pub(crate) fn new(
        log: Log,
        options: CheckpointOptions,
        mode: Sequencing,
        report: Arc<Report>,
    ) -> Self {
        assert!(
            (1..=RANGE_BYTES_TARGET_MAX).contains(&options.range_bytes_target),
            "ranges of {} bytes",
            options.range_bytes_target
        );
        let recorded = match load::read_root(&log) {
            Ok(root) => root.map(|root| root.summary()),
            Err(error) => {
                tracing::warn!("the checkpoint in the log is of no use: {error}");
                None
            }
        };
        report.change().last = recorded;
        let since = recorded.map_or(0, |summary| summary.position.0);
        let groups = log.end().position.0.saturating_sub(since);
        let mut checkpoints = Self {
            log,
            options,
            mode,
            report,
            // A low estimate: the lengths of these groups are not known.
            log_bytes: groups.saturating_mul(ALIGN as u64),
            log_bytes_due: 0,
            changed: Changed::All,
            running: None,
        };
        checkpoints.set_due(recorded.map_or(0, |summary| summary.bytes));
        checkpoints
    }

    /// The recorded checkpoint is of no use: the next group makes a new one due.
    pub(crate) fn replace_soon(&mut self, why: &str) {
        self.log_bytes = u64::MAX;
        let mut status = self.report.change();
        status.last = None;
        status.failure = Some(format!("the recorded one is of no use: {why}"));
    }

    fn set_due(&mut self, full_bytes: u64) {
        let share = self.options.log_bytes_per_checkpoint_byte.saturating_mul(full_bytes);
        self.log_bytes_due = self.options.log_bytes_min.max(share);
    }

    /// Takes note of what a group changes, before or after it is applied.
    pub(crate) fn touch(&mut self, writes: &[Write]) {
        for write in writes {
            let (Write::Put { key, .. } | Write::Delete { key }) = write;
            match &mut self.changed {
                Changed::All => return,
                Changed::Ranges { root, dirty } => dirty[root.range_of(key)] = true,
                Changed::Keys(keys) if keys.len() < KEYS_KEPT_MAX => keys.push(key.clone()),
                Changed::Keys(_) => self.changed = Changed::All,
            }
        }
    }

    /// Takes note of a group of `group_bytes` that `engine` has just applied, and starts a
    /// checkpoint of that state when one is due. Waits for nothing.
    pub(crate) fn after_apply(&mut self, engine: &dyn Engine, mark: Mark, group_bytes: u64) {
        // Each group begins on a block of its own.
        self.log_bytes = self.log_bytes.saturating_add(align_up(group_bytes));
        if let Some(running) = self.running.take_if(|running| running.thread.is_finished()) {
            self.join(running);
        }
        if self.running.is_some() || self.log_bytes < self.log_bytes_due {
            return;
        }
        self.log_bytes = 0;
        let previous = match std::mem::replace(&mut self.changed, Changed::Keys(Vec::new())) {
            Changed::Ranges { root, dirty } => Some((root, dirty)),
            Changed::All | Changed::Keys(_) => None,
        };
        let job = Job {
            log: self.log.clone(),
            snapshot: engine.snapshot(),
            mark,
            previous,
            range_bytes_target: self.options.range_bytes_target,
            closing: Arc::default(),
        };
        self.report.change().running = true;
        match self.mode {
            Sequencing::Inline => {
                let root = self.report.ended(write::write(job));
                self.take_root(root);
            }
            Sequencing::Thread => {
                let closing = job.closing.clone();
                let report = self.report.clone();
                let thread = thread::Builder::new()
                    .name("checkpoint".into())
                    .spawn(move || report.ended(write::write(job)));
                match thread {
                    Ok(thread) => self.running = Some(Running { thread, closing }),
                    Err(error) => {
                        let what = format!("can't start a thread: {error}");
                        self.fail(what);
                    }
                }
            }
        }
    }

    fn join(&mut self, running: Running) {
        match running.thread.join() {
            Ok(root) => self.take_root(root),
            Err(_) => self.fail("writing a checkpoint panicked".to_owned()),
        }
    }

    fn fail(&mut self, what: String) {
        tracing::error!("{what}");
        let mut status = self.report.change();
        status.running = false;
        status.failure = Some(what);
        drop(status);
        self.take_root(None);
    }

    /// From here on changes are counted against `root`, the one just recorded.
    fn take_root(&mut self, root: Option<Arc<Root>>) {
        let changed = std::mem::replace(&mut self.changed, Changed::All);
        let Some(root) = root else { return };
        self.set_due(root.summary().bytes);
        if let Changed::Keys(keys) = changed
            && !root.ranges.is_empty()
        {
            let mut dirty = vec![false; root.ranges.len()];
            for key in keys {
                dirty[root.range_of(&key)] = true;
            }
            self.changed = Changed::Ranges { root, dirty };
        }
    }

    /// Ends what is running; a checkpoint that is not complete is left out.
    pub(crate) fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.closing.store(true, Ordering::Relaxed);
            self.join(running);
        }
    }
}

/// Why a checkpoint is of no use: history has to be replayed from further back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

impl From<coffer_log::Error> for Unusable {
    fn from(error: coffer_log::Error) -> Self {
        Unusable(error.to_string())
    }
}

fn unusable(what: impl Into<String>) -> Unusable {
    Unusable(what.into())
}

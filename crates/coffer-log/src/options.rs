//! What an operator or a test can set.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use coffer_base::drive::GuardedDrive;
use coffer_base::pool::{InlinePool, ThreadPool};
use coffer_base::{Clock, Drive, Pool, Rng, SystemClock, SystemRng};

use crate::mark::Mark;

/// Settings of a log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Data cells per row; with `m`, fixed when the drives are formatted. Both 0: whatever the
    /// drives were formatted with.
    pub k: u8,
    /// Parity cells per row.
    pub m: u8,
    /// Body bytes of a commit segment.
    pub commit_segment_bytes: u64,
    /// A bulk segment takes no more rows once its files have this length.
    pub bulk_file_bytes: u64,
    /// Payloads of at least this many bytes go to a bulk lane.
    pub bulk_threshold_bytes: u64,
    /// The largest bulk cell; a multiple of 64 KiB.
    pub cell_bytes_max: usize,
    /// Memory for rows that are being filled or written, all writers together.
    pub row_memory_bytes: usize,
    /// Start although drives of the set are missing (a majority must be here).
    pub degraded: bool,
    /// Fill empty drives in the places of those that are missing, lost or fenced.
    pub replace: bool,
    /// Start even without a majority. Recorded in the log's history.
    pub force: bool,
    /// How many drives an operator named, those that are not here included. More than the set has
    /// are refused.
    pub drives_named: usize,
    /// A point that history is known to have reached, from an index. A start that finds less is
    /// refused unless `force` says so, before anything is decided. A mark of another history, or
    /// beyond an end that was decided since, does not count.
    pub reached: Option<Mark>,
    /// Writes stop below this many live drives; `None`: `k`.
    pub write_floor_drives: Option<u8>,
    /// A drive that does not answer for longer than this, while others do, is taken out.
    pub stall_limit: Duration,
    /// How often drives are probed for having gone; `None`: only when asked (simulation).
    pub probe_interval: Option<Duration>,
    /// Open for looking only: nothing is written, not even a new epoch.
    pub read_only: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            k: 1,
            m: 0,
            commit_segment_bytes: 64 << 20,
            bulk_file_bytes: 256 << 20,
            bulk_threshold_bytes: 256 << 10,
            cell_bytes_max: 1 << 20,
            row_memory_bytes: 48 << 20,
            degraded: false,
            replace: false,
            force: false,
            drives_named: 0,
            reached: None,
            write_floor_drives: None,
            stall_limit: Duration::from_secs(3),
            probe_interval: Some(Duration::from_millis(500)),
            read_only: false,
        }
    }
}

/// The seams a log stands on.
#[derive(Clone)]
pub struct Seams {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// What asks the drives.
    pub drives: DriveThreads,
    /// Runs what nobody waits for, one thing after another: sealing, preparing segments. Its jobs
    /// wait for the drives' threads, so it has its own.
    pub background: Arc<dyn Pool>,
}

/// Which threads ask the drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriveThreads {
    /// Each drive has its own, so that none waits for another; one that hangs is noticed.
    Own,
    /// The caller's, in order: deterministic. A drive that hangs is waited for.
    None,
}

impl Seams {
    /// The machine's own clock, randomness and threads. (`_drives`: how many there are; each gets
    /// its threads when the log is opened.)
    pub fn real(_drives: usize) -> io::Result<Seams> {
        Ok(Seams {
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
            drives: DriveThreads::Own,
            background: Arc::new(ThreadPool::new("background", 2)?),
        })
    }

    /// Everything inline, in order: deterministic.
    pub fn inline(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Seams {
        let pool: Arc<dyn Pool> = Arc::new(InlinePool);
        Seams { clock, rng, drives: DriveThreads::None, background: pool }
    }

    /// `drives` as the log is to use them.
    pub(crate) fn guard(
        &self,
        drives: Vec<Arc<dyn Drive>>,
        options: &LogOptions,
    ) -> io::Result<Vec<Arc<dyn Drive>>> {
        match self.drives {
            DriveThreads::Own => GuardedDrive::set(drives, options.stall_limit),
            DriveThreads::None => Ok(drives),
        }
    }
}

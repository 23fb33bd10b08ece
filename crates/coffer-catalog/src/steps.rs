//! What commits waited for longest, step by step: a stall has a cause with a name.

use std::time::Duration;

use coffer_base::{Clock, SystemClock};

/// The longest that each step of a group took since the opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LongestSteps {
    /// Waiting until the index can take a group: tables in memory are written, or merged, too slowly.
    pub index_behind: Duration,
    /// Running the plans, which read the index.
    pub plans: Duration,
    /// The log: writing, syncing, and beginning a new segment.
    pub log: Duration,
    /// Applying to the index and showing the result to readers.
    pub apply: Duration,
    /// Taking a snapshot for a checkpoint and starting it.
    pub checkpoint: Duration,
}

impl LongestSteps {
    /// The longer one of each.
    pub(crate) fn merge(&mut self, other: &LongestSteps) {
        self.index_behind = self.index_behind.max(other.index_behind);
        self.plans = self.plans.max(other.plans);
        self.log = self.log.max(other.log);
        self.apply = self.apply.max(other.apply);
        self.checkpoint = self.checkpoint.max(other.checkpoint);
    }
}

/// Measures one step after the other.
pub(crate) struct StepWatch {
    began: Duration,
}

impl StepWatch {
    pub(crate) fn start() -> Self {
        Self { began: SystemClock.monotonic() }
    }

    /// How long the step took that ends now; the next one begins.
    pub(crate) fn lap(&mut self) -> Duration {
        let now = SystemClock.monotonic();
        now.saturating_sub(std::mem::replace(&mut self.began, now))
    }
}

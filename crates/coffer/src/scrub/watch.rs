//! Watching a pass: how fast it may go, what it finds, and whether a row that can't be rebuilt
//! was ever anybody's.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use coffer_base::SegmentId;
use coffer_catalog::Catalog;
use coffer_log::{Finding, Outcome, ScrubProgress, ScrubVisitor};
use coffer_objects::named;

/// What a pass asks while it runs.
pub trait Control {
    /// The pace now in bytes a second, 0 for all it can; `None` ends the pass.
    fn pace(&mut self, progress: &ScrubProgress) -> Option<u64>;

    /// Something was found.
    fn finding(&mut self, finding: &Finding);
}

/// A pass over the log of a catalog.
pub struct Watch<'a, C> {
    control: C,
    catalog: &'a Catalog,
    pace: Pace,
    /// The rows of a segment that were named when it was last asked; `None` inside when that can't
    /// be read.
    named: Option<(SegmentId, Option<HashSet<u64>>)>,
    /// Names could be read so far.
    knows_names: bool,
}

/// The longest wait without asking whether to go on.
const NAP: Duration = Duration::from_millis(100);

impl<'a, C: Control> Watch<'a, C> {
    /// Watches a pass that begins now.
    pub fn new(catalog: &'a Catalog, control: C) -> Self {
        let pace = Pace::new(Instant::now());
        Self { control, catalog, pace, named: None, knows_names: true }
    }
}

/// How far a pass is ahead of what it may read.
pub(super) struct Pace {
    /// Bytes a second; the two after it are for it.
    pace: u64,
    since: Instant,
    bytes_before: u64,
}

impl Pace {
    /// What was not read in time is caught up with for so long, and not longer: else a pass that
    /// waited for something goes at full speed afterwards.
    const CREDIT: Duration = Duration::from_secs(1);

    pub(super) fn new(now: Instant) -> Pace {
        Pace { pace: 0, since: now, bytes_before: 0 }
    }

    /// How long to wait at `now`, after `bytes` in all, at `pace` bytes a second; 0: no limit.
    pub(super) fn ahead(&mut self, pace: u64, bytes: u64, now: Instant) -> Duration {
        if pace != self.pace {
            (self.pace, self.since, self.bytes_before) = (pace, now, bytes);
        }
        if pace == 0 {
            return Duration::ZERO;
        }
        let due = Duration::from_secs_f64((bytes - self.bytes_before) as f64 / pace as f64);
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed > due + Self::CREDIT {
            (self.since, self.bytes_before) = (now.checked_sub(Self::CREDIT).unwrap_or(now), bytes);
        }
        due.saturating_sub(elapsed)
    }
}

impl<C: Control> ScrubVisitor for Watch<'_, C> {
    fn finding(&mut self, finding: &Finding) {
        match finding.outcome {
            Outcome::Healed => tracing::warn!(event = "healed", "{finding}"),
            Outcome::Later(_) => tracing::warn!(event = "healed-later", "{finding}"),
            Outcome::Refused(_) | Outcome::Lost(_) => {
                tracing::error!(event = "not-healed", "{finding}");
            }
        }
        self.control.finding(finding);
    }

    fn progress(&mut self, progress: &ScrubProgress) -> bool {
        loop {
            let Some(pace) = self.control.pace(progress) else { return false };
            let ahead = self.pace.ahead(pace, progress.report.bytes, Instant::now());
            if ahead.is_zero() {
                return true;
            }
            std::thread::sleep(ahead.min(NAP));
        }
    }

    fn knows_names(&self) -> bool {
        self.knows_names
    }

    fn refresh_names(&mut self, segment: SegmentId) {
        let named = match named::bulk_rows_of(self.catalog, segment) {
            Ok(named) => Some(named),
            Err(error) => {
                tracing::warn!(%error, "which rows are named can't be read");
                None
            }
        };
        self.knows_names = named.is_some();
        self.named = Some((segment, named));
    }

    fn is_named(&mut self, segment: SegmentId, offset: u64) -> bool {
        if self.named.as_ref().is_none_or(|(of, _)| *of != segment) {
            self.refresh_names(segment);
        }
        let named = self.named.as_ref().and_then(|(_, named)| named.as_ref());
        named.is_none_or(|named| named.contains(&offset))
    }
}

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
    /// The pace that the two after it are for.
    pace: u64,
    since: Instant,
    bytes_before: u64,
    /// Read when first asked for; `None` inside when it can't be.
    named: Option<Option<HashSet<(SegmentId, u64)>>>,
}

/// The longest wait without asking whether to go on.
const NAP: Duration = Duration::from_millis(100);

impl<'a, C: Control> Watch<'a, C> {
    /// Watches a pass that begins now.
    pub fn new(catalog: &'a Catalog, control: C) -> Self {
        Self { control, catalog, pace: 0, since: Instant::now(), bytes_before: 0, named: None }
    }
}

impl<C: Control> ScrubVisitor for Watch<'_, C> {
    fn finding(&mut self, finding: &Finding) {
        match finding.outcome {
            Outcome::Healed => tracing::warn!(event = "healed", "{finding}"),
            Outcome::Refused(_) | Outcome::Lost(_) => {
                tracing::error!(event = "not-healed", "{finding}");
            }
        }
        self.control.finding(finding);
    }

    fn progress(&mut self, progress: &ScrubProgress) -> bool {
        loop {
            let Some(pace) = self.control.pace(progress) else { return false };
            if pace != self.pace {
                (self.pace, self.since) = (pace, Instant::now());
                self.bytes_before = progress.report.bytes;
            }
            if pace == 0 {
                return true;
            }
            let bytes = progress.report.bytes - self.bytes_before;
            let due = Duration::from_secs_f64(bytes as f64 / pace as f64);
            let ahead = due.saturating_sub(self.since.elapsed());
            if ahead.is_zero() {
                return true;
            }
            std::thread::sleep(ahead.min(NAP));
        }
    }

    fn knows_names(&self) -> bool {
        !matches!(self.named, Some(None))
    }

    fn is_named(&mut self, segment: SegmentId, offset: u64) -> bool {
        let catalog = self.catalog;
        let named = self.named.get_or_insert_with(|| match named::bulk_rows(catalog) {
            Ok(named) => Some(named),
            Err(error) => {
                tracing::warn!(%error, "which rows are named can't be read");
                None
            }
        });
        named.as_ref().is_none_or(|named| named.contains(&(segment, offset)))
    }
}

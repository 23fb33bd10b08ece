//! What there is to say of scrubbing, for the socket, the status page and the metrics.

use std::time::Duration;

use coffer_log::ScrubReport;
use serde::{Deserialize, Serialize};

/// What a server's scrubbing does and did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ScrubState {
    /// What runs now: "background", "asked for" or "rebuild".
    pub running: Option<String>,
    /// About how many bytes the running pass will read.
    pub bytes_total: Option<u64>,
    /// The running pass.
    pub pass: Option<Pass>,
    /// The number of the last pass that was asked for and has ended.
    pub asked_ended: u64,
    /// What it found.
    pub asked: Option<Pass>,
    /// Since the last pass over everything ended, in seconds.
    pub last_full_secs: Option<u64>,
    /// The same, or since the store was made, when none has ended yet.
    #[serde(default)]
    pub age_secs: u64,
    /// Of all passes since the start.
    pub totals: Totals,
}

/// One pass.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pass {
    /// Segments looked at.
    pub segments: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Milliseconds it took so far.
    pub took_ms: u64,
    /// Things that were not as they must be.
    pub found: u64,
    /// Of those, healed.
    pub healed: u64,
    /// Of those, known and not taken by the drive.
    pub refused: u64,
    /// Of those, left for the next pass: rows were being written there, or the server was short of
    /// files or memory.
    #[serde(default)]
    pub later: u64,
    /// Of those, beyond what parity gives back.
    pub lost: u64,
    /// Rows that were being written when the power went, and that nobody names.
    pub unfinished: u64,
    /// Drives that were not looked at, or not to the end, because they are out.
    #[serde(default)]
    pub drives_missed: u64,
    /// It ended before it had looked at everything.
    pub stopped: bool,
    /// The last of what was found, in words.
    pub findings: Vec<String>,
}

/// Sums since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Bytes read.
    pub bytes: u64,
    /// Things found.
    pub found: u64,
    /// Healed.
    pub healed: u64,
    /// Not healed: refused by the drive, or lost.
    pub unhealed: u64,
    /// Of those, lost.
    pub lost: u64,
}

impl Pass {
    /// A pass that took so long.
    pub fn new(report: &ScrubReport, took: Duration, findings: Vec<String>) -> Pass {
        Pass {
            segments: report.segments,
            bytes: report.bytes,
            took_ms: took.as_millis() as u64,
            found: report.found,
            healed: report.healed,
            refused: report.refused,
            later: report.later,
            lost: report.lost,
            unfinished: report.unfinished,
            drives_missed: report.drives_missed,
            stopped: report.stopped,
            findings,
        }
    }
}

impl Totals {
    /// Adds what a pass did from `before` to `now`.
    pub fn add(&mut self, before: &ScrubReport, now: &ScrubReport) {
        self.bytes += now.bytes - before.bytes;
        self.found += now.found - before.found;
        self.healed += now.healed - before.healed;
        self.lost += now.lost - before.lost;
        self.unhealed += now.lost + now.refused - before.lost - before.refused;
    }
}

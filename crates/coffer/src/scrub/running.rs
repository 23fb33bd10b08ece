//! The scrubbing of a running server: passes in the background at a set pace, passes that are
//! asked for, and the rebuilding of what a live drive lacks. One at a time.

use std::collections::VecDeque;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use coffer_base::{Clock, SystemClock, Timestamp};
use coffer_catalog::Catalog;
use coffer_log::{Finding, ScrubProgress, ScrubReport};

use super::kept::{Keeper, Kept};
use super::report::{Pass, ScrubState, Totals};
use super::watch::{Control, Watch};

/// How fast, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Bytes a second that a pass in the background reads; 0: none is made.
    pub background: u64,
    /// Bytes a second that a rebuild reads; 0: none is made unless asked for.
    pub rebuild: u64,
    /// From the end of a pass to the beginning of the next in the background.
    pub pause: Duration,
}

/// What one pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Background,
    Asked { pace: u64, number: u64 },
    Rebuild,
}

/// Findings of a pass that are kept to be shown.
const FINDINGS_MAX: usize = 1000;
/// How often it looks for drives that lack something.
const LOOK: Duration = Duration::from_secs(2);
/// How long a rebuild that left something undone waits for the next try …
const REBUILD_AGAIN: Duration = Duration::from_secs(60);
/// … and how long at most, after tries that changed nothing.
const REBUILD_AGAIN_MAX: Duration = Duration::from_secs(3600);
/// How often it is kept how far a pass in the background is.
const KEEP: Duration = Duration::from_secs(10);

#[derive(Default)]
struct State {
    stopping: bool,
    /// The last pass that was asked for, and its pace; taken when it begins.
    asked: Option<u64>,
    /// Passes asked for so far.
    asked_count: u64,
    running: Option<Running>,
    asked_last: Option<Ended>,
    kept: Kept,
    totals: Totals,
}

struct Running {
    kind: Kind,
    began: Instant,
    progress: ScrubProgress,
    findings: VecDeque<String>,
}

struct Ended {
    number: u64,
    report: ScrubReport,
    took: Duration,
    findings: VecDeque<String>,
}

/// The scrubbing of one server.
pub struct Scrubbing {
    plan: Plan,
    keeper: Keeper,
    /// When the store was made.
    created: Timestamp,
    state: Mutex<State>,
    changed: Condvar,
}

/// Its thread; stopped when dropped.
pub struct Scrubber {
    scrubbing: Arc<Scrubbing>,
    thread: Option<JoinHandle<()>>,
}

impl Scrubbing {
    /// Begins scrubbing the log of `catalog`.
    pub fn start(catalog: Catalog, plan: Plan, keeper: Keeper) -> io::Result<Scrubber> {
        let state = State { kept: keeper.read(), ..State::default() };
        let scrubbing = Arc::new(Scrubbing {
            plan,
            keeper,
            created: catalog.log().created(),
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let of_thread = scrubbing.clone();
        let thread = std::thread::Builder::new()
            .name("scrub".into())
            .spawn(move || of_thread.run(&catalog))?;
        Ok(Scrubber { scrubbing, thread: Some(thread) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Asks for a pass over everything at `pace`, which ends one in the background; returns its
    /// number. One that was asked for and has not begun is the same.
    pub fn ask(&self, pace: u64) -> u64 {
        let mut state = self.state();
        if state.asked.is_none() {
            state.asked_count += 1;
        }
        state.asked = Some(pace);
        self.changed.notify_all();
        state.asked_count
    }

    /// What it does and what it did last.
    pub fn report(&self) -> ScrubState {
        let state = self.state();
        let pass = |report: &ScrubReport, took, findings: &VecDeque<String>| {
            Pass::new(report, took, findings.iter().cloned().collect())
        };
        let running = state.running.as_ref();
        ScrubState {
            running: running.map(|running| match running.kind {
                Kind::Background => "background".to_owned(),
                Kind::Asked { .. } => "asked for".to_owned(),
                Kind::Rebuild => "rebuild".to_owned(),
            }),
            bytes_total: running.map(|running| running.progress.bytes_total),
            pass: running.map(|r| pass(&r.progress.report, r.began.elapsed(), &r.findings)),
            asked_ended: state.asked_last.as_ref().map_or(0, |last| last.number),
            asked: state.asked_last.as_ref().map(|l| pass(&l.report, l.took, &l.findings)),
            last_full_secs: state.kept.last_full().map(secs_since),
            age_secs: secs_since(state.kept.last_full().unwrap_or(self.created)),
            totals: state.totals,
        }
    }

    fn run(&self, catalog: &Catalog) {
        let kept = self.state().kept;
        let first = self.plan.pause.min(Duration::from_secs(60));
        // What is left of the pause before the restart, unless a pass is under way.
        let since = kept.last_full().filter(|_| kept.reached().is_none()).map(secs_since);
        let left = since.map(|secs| self.plan.pause.saturating_sub(Duration::from_secs(secs)));
        let mut next_pass = Instant::now() + left.unwrap_or(first).max(first);
        let mut next_rebuild = Instant::now();
        let mut rebuild_again = REBUILD_AGAIN;
        while let Some(kind) = self.next(catalog, next_pass, next_rebuild) {
            let pass = AssertUnwindSafe(|| self.pass(catalog, kind));
            let report = std::panic::catch_unwind(pass).unwrap_or_else(|_| {
                tracing::error!("a pass over the drives has panicked");
                self.end(kind, |before| ScrubReport { stopped: true, ..before })
            });
            let now = Instant::now();
            match kind {
                Kind::Rebuild => {
                    rebuild_again = again(rebuild_again, report);
                    next_rebuild = now + rebuild_again;
                }
                Kind::Background | Kind::Asked { .. } => {
                    if report.is_some_and(|report| !report.stopped) {
                        next_pass = now + self.plan.pause;
                    } else if kind == Kind::Background {
                        // It goes on where it was; not at once, since it may not be able to.
                        next_pass = now + LOOK;
                    }
                }
            }
        }
    }

    /// Waits for something to do; `None` when it is to stop.
    fn next(&self, catalog: &Catalog, next_pass: Instant, next_rebuild: Instant) -> Option<Kind> {
        let mut state = self.state();
        loop {
            if state.stopping {
                return None;
            }
            if let Some(pace) = state.asked.take() {
                let number = state.asked_count;
                return Some(self.begin(&mut state, Kind::Asked { pace, number }));
            }
            let now = Instant::now();
            if self.plan.rebuild > 0
                && now >= next_rebuild
                && catalog.log().segments_with_gaps() > 0
            {
                return Some(self.begin(&mut state, Kind::Rebuild));
            }
            if self.plan.background > 0 && now >= next_pass {
                return Some(self.begin(&mut state, Kind::Background));
            }
            state = self.changed.wait_timeout(state, LOOK).expect("no holder panics").0;
        }
    }

    fn begin(&self, state: &mut State, kind: Kind) -> Kind {
        state.running = Some(Running {
            kind,
            began: Instant::now(),
            progress: ScrubProgress::default(),
            findings: VecDeque::new(),
        });
        kind
    }

    fn pass(&self, catalog: &Catalog, kind: Kind) -> Option<ScrubReport> {
        let reached = self.state().kept.reached().filter(|_| kind == Kind::Background);
        let passing = Passing { scrubbing: self, kind, kept_at: Instant::now() };
        let mut watch = Watch::new(catalog, passing);
        let result = match (kind, reached) {
            (Kind::Rebuild, _) => catalog.log().rebuild(&mut watch),
            (Kind::Background, Some(after)) => catalog.log().scrub_on(after, &mut watch),
            (Kind::Background | Kind::Asked { .. }, _) => catalog.log().scrub(&mut watch),
        };
        self.end(kind, |before| match result {
            Ok(report) => report,
            Err(error) => {
                tracing::warn!(%error, "no scrub");
                ScrubReport { stopped: true, ..before }
            }
        })
    }

    /// The running pass is over; `report` is given what was known of it.
    fn end(
        &self,
        kind: Kind,
        report: impl FnOnce(ScrubReport) -> ScrubReport,
    ) -> Option<ScrubReport> {
        let mut state = self.state();
        let running = state.running.take()?;
        let report = report(running.progress.report);
        state.totals.add(&running.progress.report, &report);
        let took = running.began.elapsed();
        let before = state.kept;
        match (kind, running.progress.reached) {
            (Kind::Rebuild, _) => {}
            (Kind::Background | Kind::Asked { .. }, _) if !report.stopped => {
                state.kept.ended(SystemClock.now());
            }
            (Kind::Background, Some(reached)) => state.kept.reach(reached),
            (Kind::Background | Kind::Asked { .. }, _) => {}
        }
        let kept = state.kept;
        if report.found > 0 {
            tracing::warn!(
                event = "scrubbed",
                found = report.found,
                healed = report.healed,
                refused = report.refused,
                later = report.later,
                lost = report.lost,
                bytes = report.bytes,
                "a pass over the drives found damage"
            );
        }
        if let Kind::Asked { number, .. } = kind {
            state.asked_last = Some(Ended { number, report, took, findings: running.findings });
        }
        drop(state);
        if kept != before {
            self.keeper.write(kept);
        }
        Some(report)
    }
}

/// How long after a rebuild the next one is tried, if it was `before` that long.
fn again(before: Duration, report: Option<ScrubReport>) -> Duration {
    match report {
        Some(report) if report.stopped => REBUILD_AGAIN,
        // It left nothing: what is lacking by then is new.
        Some(report) if report.healed == report.found && report.healed > 0 => LOOK,
        Some(report) if report.later > 0 => REBUILD_AGAIN,
        Some(report) if report.healed == 0 => (before * 2).clamp(REBUILD_AGAIN, REBUILD_AGAIN_MAX),
        _ => REBUILD_AGAIN,
    }
}

fn secs_since(at: Timestamp) -> u64 {
    SystemClock.now().seconds().saturating_sub(at.seconds())
}

/// The pass that runs.
struct Passing<'a> {
    scrubbing: &'a Scrubbing,
    kind: Kind,
    /// When it was last kept how far it is.
    kept_at: Instant,
}

impl Control for Passing<'_> {
    fn pace(&mut self, progress: &ScrubProgress) -> Option<u64> {
        let mut state = self.scrubbing.state();
        if let Some(running) = &mut state.running {
            let before = std::mem::replace(&mut running.progress, *progress);
            state.totals.add(&before.report, &progress.report);
        }
        if let Some(reached) = progress.reached
            && self.kind == Kind::Background
            && state.kept.reached() != Some(reached)
            && self.kept_at.elapsed() >= KEEP
        {
            state.kept.reach(reached);
            let kept = state.kept;
            drop(state);
            self.scrubbing.keeper.write(kept);
            self.kept_at = Instant::now();
            state = self.scrubbing.state();
        }
        if state.stopping || (state.asked.is_some() && !matches!(self.kind, Kind::Asked { .. })) {
            return None;
        }
        Some(match self.kind {
            Kind::Background => self.scrubbing.plan.background,
            Kind::Rebuild => self.scrubbing.plan.rebuild,
            Kind::Asked { pace, .. } => pace,
        })
    }

    fn finding(&mut self, finding: &Finding) {
        let mut state = self.scrubbing.state();
        if let Some(running) = &mut state.running {
            if running.findings.len() == FINDINGS_MAX {
                running.findings.pop_front();
            }
            running.findings.push_back(finding.to_string());
        }
    }
}

impl Scrubber {
    /// What others ask.
    pub fn scrubbing(&self) -> &Arc<Scrubbing> {
        &self.scrubbing
    }

    /// Ends what it does, at the next piece. Blocking.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.scrubbing.state().stopping = true;
        self.scrubbing.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that scrubs has panicked");
        }
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuild_that_changes_nothing_is_tried_less_and_less() {
        let nothing = Some(ScrubReport { found: 1, refused: 1, ..ScrubReport::default() });
        let mut wait = REBUILD_AGAIN;
        for _ in 0..3 {
            let longer = again(wait, nothing);
            assert_eq!(longer, wait * 2);
            wait = longer;
        }
        assert_eq!(again(REBUILD_AGAIN_MAX, nothing), REBUILD_AGAIN_MAX);
        let something = Some(ScrubReport { found: 2, healed: 1, ..ScrubReport::default() });
        assert_eq!(again(wait, something), REBUILD_AGAIN);
    }

    #[test]
    fn what_is_lacking_after_a_rebuild_that_left_nothing_does_not_wait() {
        let all = ScrubReport { found: 2, healed: 2, ..ScrubReport::default() };
        assert_eq!(again(REBUILD_AGAIN_MAX, Some(all)), LOOK);
        assert_eq!(again(LOOK, Some(ScrubReport { stopped: true, ..all })), REBUILD_AGAIN);
        let nothing = Some(ScrubReport { found: 1, refused: 1, ..ScrubReport::default() });
        assert_eq!(again(LOOK, nothing), REBUILD_AGAIN);
        let later = Some(ScrubReport { found: 1, later: 1, ..ScrubReport::default() });
        assert_eq!(again(REBUILD_AGAIN, later), REBUILD_AGAIN);
    }
}

//! The scrubbing of a running server: passes in the background at a set pace, passes that are
//! asked for, and the rebuilding of what a live drive lacks. One at a time.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use coffer_catalog::Catalog;
use coffer_log::{Finding, ScrubProgress, ScrubReport};

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
/// How long a rebuild that left something undone waits for the next try.
const REBUILD_AGAIN: Duration = Duration::from_secs(60);

#[derive(Default)]
struct State {
    stopping: bool,
    /// The last pass that was asked for, and its pace; taken when it begins.
    asked: Option<u64>,
    /// Passes asked for so far.
    asked_count: u64,
    running: Option<Running>,
    asked_last: Option<Ended>,
    /// The last of those that looked at everything.
    last_full: Option<Instant>,
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
    pub fn start(catalog: Catalog, plan: Plan) -> io::Result<Scrubber> {
        let scrubbing =
            Arc::new(Scrubbing { plan, state: Mutex::default(), changed: Condvar::new() });
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
            last_full_secs: state.last_full.map(|at| at.elapsed().as_secs()),
            totals: state.totals,
        }
    }

    fn run(&self, catalog: &Catalog) {
        let mut next_pass = Instant::now() + self.plan.pause.min(Duration::from_secs(60));
        let mut next_rebuild = Instant::now();
        while let Some(kind) = self.next(catalog, next_pass, next_rebuild) {
            let report = self.pass(catalog, kind);
            let now = Instant::now();
            match kind {
                Kind::Rebuild => next_rebuild = now + REBUILD_AGAIN,
                Kind::Background | Kind::Asked { .. } => {
                    if report.is_some_and(|report| !report.stopped) {
                        next_pass = now + self.plan.pause;
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
        let mut watch = Watch::new(catalog, Passing { scrubbing: self, kind });
        let result = match kind {
            Kind::Rebuild => catalog.log().rebuild(&mut watch),
            Kind::Background | Kind::Asked { .. } => catalog.log().scrub(&mut watch),
        };
        let mut state = self.state();
        let running = state.running.take()?;
        let report = match result {
            Ok(report) => report,
            Err(error) => {
                tracing::warn!(%error, "no scrub");
                ScrubReport { stopped: true, ..running.progress.report }
            }
        };
        state.totals.add(&running.progress.report, &report);
        let took = running.began.elapsed();
        if !report.stopped && kind != Kind::Rebuild {
            state.last_full = Some(Instant::now());
        }
        if report.found > 0 {
            tracing::warn!(
                event = "scrubbed",
                found = report.found,
                healed = report.healed,
                refused = report.refused,
                lost = report.lost,
                bytes = report.bytes,
                "a pass over the drives found damage"
            );
        }
        if let Kind::Asked { number, .. } = kind {
            state.asked_last = Some(Ended { number, report, took, findings: running.findings });
        }
        Some(report)
    }
}

/// The pass that runs.
struct Passing<'a> {
    scrubbing: &'a Scrubbing,
    kind: Kind,
}

impl Control for Passing<'_> {
    fn pace(&mut self, progress: &ScrubProgress) -> Option<u64> {
        let mut state = self.scrubbing.state();
        if let Some(running) = &mut state.running {
            let before = std::mem::replace(&mut running.progress, *progress);
            state.totals.add(&before.report, &progress.report);
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

//! The line that shows on a terminal how far a run is.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::figures::{grouped, human_bytes};

const REDRAW_EVERY: Duration = Duration::from_millis(200);
const BAR_CELLS: usize = 24;

/// What workers count while they run.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests answered.
    pub done: AtomicU64,
    /// Bytes moved.
    pub bytes: AtomicU64,
    /// Requests failed.
    pub failed: AtomicU64,
}

/// When the run is complete.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// After this long.
    pub duration: Option<Duration>,
    /// After this many requests.
    pub requests: Option<u64>,
}

impl Goal {
    fn fraction(&self, elapsed: Duration, done: u64) -> f64 {
        let by_time = self.duration.map_or(0.0, |d| elapsed.as_secs_f64() / d.as_secs_f64());
        let by_count = self.requests.map_or(0.0, |n| done as f64 / n.max(1) as f64);
        by_time.max(by_count).clamp(0.0, 1.0)
    }
}

/// Redraws the line until the returned guard is dropped; shows nothing if standard error is no
/// terminal.
pub fn show(title: &'static str, goal: Goal, tally: Arc<Tally>) -> Shown {
    if !std::io::stderr().is_terminal() {
        return Shown(None);
    }
    let started = Instant::now();
    Shown(Some(tokio::spawn(async move {
        let mut every = tokio::time::interval(REDRAW_EVERY);
        let (mut before, mut bytes_before, mut rate, mut byte_rate) = (0, 0, 0.0, 0.0);
        loop {
            every.tick().await;
            let (done, bytes) = (tally.done.load(Relaxed), tally.bytes.load(Relaxed));
            // Smoothed, so that the figures can be read.
            let smooth =
                |old: f64, delta: u64| old * 0.8 + delta as f64 / REDRAW_EVERY.as_secs_f64() * 0.2;
            rate = smooth(rate, done - before);
            byte_rate = smooth(byte_rate, bytes - bytes_before);
            (before, bytes_before) = (done, bytes);
            let line = line(
                title,
                goal.fraction(started.elapsed(), done),
                rate,
                byte_rate,
                tally.failed.load(Relaxed),
            );
            draw(&format!("\r{line}\x1b[K"));
        }
    })))
}

fn line(title: &str, fraction: f64, rate: f64, byte_rate: f64, failed: u64) -> String {
    let full = (fraction * BAR_CELLS as f64).round() as usize;
    let bar = "█".repeat(full) + &"░".repeat(BAR_CELLS - full);
    let failures = if failed == 0 { String::new() } else { format!("  {failed} failed") };
    format!(
        "{title:<9} {bar} {:>3.0} %  {}/s  {}/s{failures}",
        fraction * 100.0,
        grouped(rate.round() as u64),
        human_bytes(byte_rate),
    )
}

/// Standard error may be closed under us; a progress line is not worth failing a run for.
fn draw(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Clears the line when dropped.
#[derive(Debug)]
pub struct Shown(Option<tokio::task::JoinHandle<()>>);

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
            draw("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_full_when_either_goal_is_met() {
        let goal = Goal { duration: Some(Duration::from_secs(10)), requests: Some(100) };
        assert_eq!(goal.fraction(Duration::from_secs(5), 10), 0.5);
        assert_eq!(goal.fraction(Duration::from_secs(1), 100), 1.0);
        assert_eq!(goal.fraction(Duration::from_secs(60), 0), 1.0);
        assert!(line("put", 0.5, 1234.0, 2e6, 3).contains("50 %  1,234/s  2.00 MB/s  3 failed"));
    }
}

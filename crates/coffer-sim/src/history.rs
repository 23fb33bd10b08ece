//! Checks that a history of concurrent clients is linearisable, key by key.
//!
//! A history is what clients saw: for each request when it was sent, when it was answered, what
//! was asked and what came back. It is linearisable if every request can be given one moment
//! between its two ends so that, one after the other in that order, an object register gives
//! exactly those answers. Linearisability is local: a history is linearisable if it is so for
//! each key on its own, so keys are checked one by one.
//!
//! What is deliberately not checked: anything across keys (a page of a listing counts as one read
//! of each key, not as one snapshot of all), common prefixes, times of modification, headers.
//!
//! | module | concept |
//! |---|---|
//! | [`record`] | a line of a history file |
//! | [`collect`] | records split into the operations on each key |
//! | [`register`] | what one object does: the sequential specification |
//! | [`search`] | whether an order exists |
//! | [`window`] | the smallest part that shows that none exists, for people |
//! | [`command`] | `coffer-sim check-history` |
//!
//! Read [`register`] first, then [`search`].

pub mod collect;
pub mod command;
pub mod record;
pub mod register;
pub mod search;
pub mod window;

#[cfg(test)]
mod tests;

use collect::Collected;
use search::Verdict;

/// What checking a history found.
#[derive(Debug, Default)]
pub struct Report {
    /// Lines of the history.
    pub records: usize,
    /// Those whose outcome their client never learned.
    pub unknown: usize,
    /// Keys that it is about.
    pub keys: usize,
    /// Operations on single keys, entries of listings among them.
    pub operations: usize,
    /// Most operations under way at once on one key.
    pub overlap_max: usize,
    /// Most orders that had to be kept apart at once, on one key.
    pub orders_max: usize,
    /// What can't be, each as text for people.
    pub violations: Vec<String>,
    /// Keys on which the search was given up, and why.
    pub undecided: Vec<String>,
}

impl Report {
    /// Whether the whole history was checked and nothing is wrong.
    pub fn is_linearisable(&self) -> bool {
        self.violations.is_empty() && self.undecided.is_empty()
    }
}

/// Checks all keys of a history.
pub fn check(mut collected: Collected) -> Report {
    let mut report = Report {
        records: collected.records,
        unknown: collected.unknown,
        keys: collected.keys.len(),
        violations: std::mem::take(&mut collected.broken_pages),
        ..Report::default()
    };
    while let Some((name, key)) = collected.next_key() {
        report.operations += key.operations.len();
        let checked = search::search(&[register::State::default()], &key, &key.all());
        report.overlap_max = report.overlap_max.max(checked.overlap_max);
        report.orders_max = report.orders_max.max(checked.orders_max);
        match checked.verdict {
            Verdict::Linearisable => {}
            Verdict::Violated(violation) => {
                report.violations.push(window::show(&collected, &name, &key, &violation));
            }
            Verdict::Undecided(why) => report.undecided.push(format!("{name:?}: {why}")),
        }
    }
    report
}

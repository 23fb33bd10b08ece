//! Histories by hand, and at random against a checker that tries all orders.

mod brute;
mod files;
mod random;
mod rules;

use super::collect::{Collected, Collector};
use super::record::Record;
use super::{Report, check};

/// A history from lines, each `client, begin, end, outcome, operation as JSON fields`.
fn collect(lines: &[String]) -> Collected {
    let mut collector = Collector::default();
    for (i, line) in lines.iter().enumerate() {
        let record = Record::parse(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        collector.add(i as u32 + 1, &record);
    }
    collector.finish()
}

fn report(lines: &[String]) -> Report {
    check(collect(lines))
}

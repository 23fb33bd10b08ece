//! Latencies and rates, as a table and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::process::ServerFigures;

/// Longest latency that is told apart, in microseconds: an hour.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// A histogram of microseconds with three significant digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are valid")
}

/// Adds one latency.
pub fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    let us = u64::try_from(latency.as_micros()).unwrap_or(LATENCY_US_MAX);
    histogram.saturating_record(us.max(1));
}

/// What one worker, or all of them, saw of one operation.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// The operation's name.
    pub name: &'static str,
    latencies_us: Histogram<u64>,
    bytes: u64,
    keys: u64,
    failed: u64,
    first_failure: Option<String>,
}

impl Recorder {
    /// Nothing seen yet of `name`.
    pub fn new(name: &'static str) -> Self {
        Self { name, latencies_us: histogram(), bytes: 0, keys: 0, failed: 0, first_failure: None }
    }

    /// One request that was answered as it should be; `keys` counts what a listing listed.
    pub fn succeeded(&mut self, latency: Duration, bytes: u64, keys: u64) {
        record(&mut self.latencies_us, latency);
        self.bytes += bytes;
        self.keys += keys;
    }

    /// One request that failed.
    pub fn failed(&mut self, why: String) {
        self.failed += 1;
        self.first_failure.get_or_insert(why);
    }

    /// Adds what `other` saw of the same operation.
    pub fn merge(&mut self, other: Recorder) {
        assert_eq!(self.name, other.name, "recorders of one operation are merged");
        self.latencies_us.add(other.latencies_us).expect("all histograms have the same bounds");
        self.bytes += other.bytes;
        self.keys += other.keys;
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    /// Whether any request was sent.
    pub fn is_empty(&self) -> bool {
        self.latencies_us.is_empty() && self.failed == 0
    }

    /// All latencies, unless a request failed.
    pub fn latencies(&self) -> anyhow::Result<&Histogram<u64>> {
        match &self.first_failure {
            Some(first) => anyhow::bail!("{} requests failed; the first: {first}", self.failed),
            None => Ok(&self.latencies_us),
        }
    }

    /// The figures of a run that took `seconds`.
    pub fn figures(self, seconds: f64) -> OperationFigures {
        let count = self.latencies_us.len();
        OperationFigures {
            name: self.name,
            count,
            failed: self.failed,
            first_failure: self.first_failure,
            per_second: count as f64 / seconds,
            bytes: self.bytes,
            mb_per_second: self.bytes as f64 / 1e6 / seconds,
            keys: self.keys,
            keys_per_second: self.keys as f64 / seconds,
            latency_us: Latency::of(&self.latencies_us),
        }
    }
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub mean: f64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

impl Latency {
    /// The percentiles of `histogram`; zeros if it is empty.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            mean: histogram.mean(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
        }
    }

    /// The percentiles in milliseconds, as cells of a table.
    pub fn cells(&self) -> [String; 5] {
        [self.p50, self.p90, self.p99, self.p999, self.max].map(milliseconds)
    }
}

/// The figures of one operation.
#[derive(Clone, Debug, Serialize)]
pub struct OperationFigures {
    /// `put`, `get`, `list`, `delete`, `part` or `multipart`.
    pub name: &'static str,
    /// Requests answered as they should be.
    pub count: u64,
    /// Requests that failed.
    pub failed: u64,
    /// What the first failure was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<String>,
    /// Requests a second.
    pub per_second: f64,
    /// Bytes of bodies.
    pub bytes: u64,
    /// 10^6 bytes a second.
    pub mb_per_second: f64,
    /// Keys and common prefixes listed.
    pub keys: u64,
    /// Keys and common prefixes listed a second.
    pub keys_per_second: f64,
    /// How long requests took.
    pub latency_us: Latency,
}

/// The figures of a whole run.
#[derive(Clone, Debug, Serialize)]
pub struct RunFigures {
    /// The subcommand.
    pub load: &'static str,
    /// Where requests went.
    pub endpoint: String,
    /// The distribution of sizes.
    pub size: String,
    /// Workers.
    pub concurrency: usize,
    /// What signatures covered.
    pub payload: &'static str,
    /// The acknowledgement level asked for, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ack: Option<String>,
    /// The seed.
    pub seed: u64,
    /// How long the measured part took, to the last answer.
    pub seconds: f64,
    /// What was measured, one entry an operation.
    pub operations: Vec<OperationFigures>,
    /// What the server used, if its process id was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerFigures>,
}

impl RunFigures {
    /// The table for people.
    pub fn table(&self) -> String {
        let mut rows = vec![row(["", "requests", "failed", "per s", "MB/s", "p50 ms", "p90 ms"])];
        rows[0].extend(["p99 ms", "p99.9 ms", "max ms"].map(str::to_owned));
        for op in &self.operations {
            let mut cells = vec![
                op.name.to_owned(),
                grouped(op.count),
                grouped(op.failed),
                grouped(op.per_second.round() as u64),
                format!("{:.1}", op.mb_per_second),
            ];
            cells.extend(op.latency_us.cells());
            rows.push(cells);
        }
        let mut out = format!(
            "{} of {} · {} clients · bodies {} · {:.1} s · {}\n\n",
            self.load, self.size, self.concurrency, self.payload, self.seconds, self.endpoint
        );
        out.push_str(&columns(&rows));
        for op in self.operations.iter().filter(|op| op.keys > 0) {
            let per_second = grouped(op.keys_per_second.round() as u64);
            let _ = writeln!(out, "{}: {} keys, {per_second}/s", op.name, grouped(op.keys));
        }
        if let Some(server) = &self.server {
            let _ = write!(out, "server: {:.2} CPU s", server.cpu_seconds);
            if let Some(per_gb) = server.cpu_seconds_per_gb {
                let _ = write!(out, " ({per_gb:.2}/GB)");
            }
            if let Some(per_request) = server.cpu_us_per_request {
                let _ = write!(out, " ({per_request:.0} µs/request)");
            }
            let _ = writeln!(
                out,
                ", memory {} (peak {})",
                human_bytes(server.rss_bytes as f64),
                human_bytes(server.rss_peak_bytes as f64)
            );
        }
        out
    }
}

/// Cells as owned strings.
pub fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Rows as aligned columns: the first to the left, the others to the right.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(out, "{cell:<width$}"),
                _ => write!(out, "  {cell:>width$}"),
            };
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

/// 1234567 as 1,234,567.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes with a decimal unit and three significant digits.
pub fn human_bytes(bytes: f64) -> String {
    let (mut value, mut unit) = (bytes, "B");
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    let decimals = match value {
        _ if unit == "B" => 0,
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

fn milliseconds(us: u64) -> String {
    let ms = us as f64 / 1000.0;
    match us {
        0..10_000 => format!("{ms:.2}"),
        10_000..100_000 => format!("{ms:.1}"),
        _ => grouped(ms.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(human_bytes(999.0), "999 B");
        assert_eq!(human_bytes(1234.0), "1.23 kB");
        assert_eq!(human_bytes(5.1e9), "5.10 GB");
        assert_eq!(milliseconds(1234), "1.23");
        assert_eq!(milliseconds(1_234_000), "1,234");
    }

    #[test]
    fn merged_recorders_hold_all_that_was_seen() {
        let mut all = Recorder::new("get");
        assert!(all.is_empty());
        for worker in 1..=4u64 {
            let mut one = Recorder::new("get");
            for ms in 1..=250 {
                one.succeeded(Duration::from_millis(ms * worker), 10, 0);
            }
            one.failed(format!("worker {worker}"));
            all.merge(one);
        }
        let figures = all.figures(2.0);
        assert_eq!((figures.count, figures.failed, figures.bytes), (1000, 4, 10_000));
        assert_eq!(figures.first_failure.as_deref(), Some("worker 1"));
        assert_eq!(figures.per_second, 500.0);
        let latency = figures.latency_us;
        assert!(latency.p50 <= latency.p90 && latency.p90 <= latency.p99);
        assert!((1_000_000..=1_001_000).contains(&latency.max), "{}", latency.max);
    }

    #[test]
    fn a_latency_out_of_range_is_kept_at_the_bound() {
        let mut h = histogram();
        record(&mut h, Duration::ZERO);
        record(&mut h, Duration::from_secs(1 << 40));
        assert_eq!(h.len(), 2);
    }
}

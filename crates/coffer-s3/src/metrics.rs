//! Counts and latencies by operation, as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use coffer_base::Clock;
use http::StatusCode;

/// Upper bounds of the latency buckets in microseconds; one more holds the rest.
const BOUNDS_US: [u64; 16] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As asked; a 304 counts here.
    Success,
    /// The client's fault: 4xx.
    ClientError,
    /// The server's fault: 5xx.
    ServerError,
    /// The reply did not go out whole.
    Aborted,
}

impl Outcome {
    const ALL: [Outcome; 4] =
        [Outcome::Success, Outcome::ClientError, Outcome::ServerError, Outcome::Aborted];

    fn of(status: StatusCode) -> Outcome {
        match status.as_u16() {
            400..=499 => Outcome::ClientError,
            500.. => Outcome::ServerError,
            _ => Outcome::Success,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::ClientError => "client_error",
            Outcome::ServerError => "server_error",
            Outcome::Aborted => "aborted",
        }
    }
}

/// The counters of one operation.
#[derive(Debug, Default)]
pub struct Counters {
    outcomes: [AtomicU64; 4],
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    took_us: AtomicU64,
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
}

impl Counters {
    /// Adds payload bytes that came.
    pub fn received(&self, bytes: u64) {
        self.received_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many requests ended with `outcome`.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize].load(Ordering::Relaxed)
    }

    fn end(&self, outcome: Outcome, sent_bytes: u64, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < took_us);
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
        self.sent_bytes.fetch_add(sent_bytes, Ordering::Relaxed);
        self.took_us.fetch_add(took_us, Ordering::Relaxed);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
    }
}

/// All counters of a service.
#[derive(Debug, Default)]
pub struct Metrics {
    operations: RwLock<BTreeMap<&'static str, Arc<Counters>>>,
    in_flight: Arc<AtomicU64>,
}

/// Counts one thing as present until it is dropped.
#[derive(Debug)]
pub struct Presence(Arc<AtomicU64>);

impl Presence {
    fn new(gauge: &Arc<AtomicU64>) -> Presence {
        gauge.fetch_add(1, Ordering::Relaxed);
        Presence(gauge.clone())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// The counters of an operation.
    pub fn operation(&self, name: &'static str) -> Arc<Counters> {
        if let Some(counters) = self.operations.read().expect("no holder panics").get(name) {
            return counters.clone();
        }
        self.operations.write().expect("no holder panics").entry(name).or_default().clone()
    }

    /// A request that is being served, until dropped.
    pub fn request(&self) -> Presence {
        Presence::new(&self.in_flight)
    }

    /// How many requests are being served.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self) -> String {
        let operations: Vec<(&'static str, Arc<Counters>)> = {
            let operations = self.operations.read().expect("no holder panics");
            operations.iter().map(|(name, counters)| (*name, counters.clone())).collect()
        };
        let mut out = String::new();
        let mut family = |name: &str, kind: &str, help: &str, lines: String| {
            write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}")
                .expect("a String takes everything");
        };
        let mut requests = String::new();
        let mut received = String::new();
        let mut sent = String::new();
        let mut took = String::new();
        for (name, counters) in &operations {
            lines_of(name, counters, &mut requests, &mut received, &mut sent, &mut took)
                .expect("a String takes everything");
        }
        family("coffer_s3_requests_total", "counter", "Requests answered.", requests);
        family("coffer_s3_received_bytes_total", "counter", "Payload bytes received.", received);
        family("coffer_s3_sent_bytes_total", "counter", "Body bytes sent.", sent);
        family(
            "coffer_s3_request_duration_seconds",
            "histogram",
            "Time from a request's head to its reply's last byte.",
            took,
        );
        family(
            "coffer_s3_requests_in_flight",
            "gauge",
            "Requests being served.",
            format!("coffer_s3_requests_in_flight {}\n", self.in_flight()),
        );
        out
    }
}

fn lines_of(
    name: &str,
    counters: &Counters,
    requests: &mut String,
    received: &mut String,
    sent: &mut String,
    took: &mut String,
) -> std::fmt::Result {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    for outcome in Outcome::ALL {
        let (count, outcome) = (counters.count(outcome), outcome.name());
        writeln!(
            requests,
            "coffer_s3_requests_total{{operation=\"{name}\",outcome=\"{outcome}\"}} {count}"
        )?;
    }
    let label = format!("{{operation=\"{name}\"}}");
    let received_bytes = load(&counters.received_bytes);
    writeln!(received, "coffer_s3_received_bytes_total{label} {received_bytes}")?;
    writeln!(sent, "coffer_s3_sent_bytes_total{label} {}", load(&counters.sent_bytes))?;
    let family = "coffer_s3_request_duration_seconds";
    let mut below = 0;
    for (i, bucket) in counters.buckets.iter().enumerate() {
        below += load(bucket);
        let le = match BOUNDS_US.get(i) {
            Some(bound) => (*bound as f64 / 1e6).to_string(),
            None => "+Inf".to_owned(),
        };
        writeln!(took, "{family}_bucket{{operation=\"{name}\",le=\"{le}\"}} {below}")?;
    }
    let sum = load(&counters.took_us) as f64 / 1e6;
    writeln!(took, "{family}_sum{label} {sum}")?;
    writeln!(took, "{family}_count{label} {below}")
}

/// One request's entry, booked when dropped: after the reply's last byte, or when its connection
/// went away.
pub struct Account {
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
    started: Duration,
    status: StatusCode,
    /// Body bytes still to be sent.
    left_bytes: u64,
    sent_bytes: u64,
    broke: bool,
    _presence: Presence,
}

impl Account {
    pub(crate) fn new(
        counters: Arc<Counters>,
        clock: Arc<dyn Clock>,
        started: Duration,
        status: StatusCode,
        body_bytes: u64,
        presence: Presence,
    ) -> Account {
        Account {
            counters,
            clock,
            started,
            status,
            left_bytes: body_bytes,
            sent_bytes: 0,
            broke: false,
            _presence: presence,
        }
    }

    pub(crate) fn sent(&mut self, bytes: u64) {
        self.sent_bytes += bytes;
        self.left_bytes = self.left_bytes.saturating_sub(bytes);
    }

    pub(crate) fn broke(&mut self) {
        self.broke = true;
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let outcome = if self.broke {
            Outcome::ServerError
        } else if self.left_bytes > 0 {
            Outcome::Aborted
        } else {
            Outcome::of(self.status)
        };
        let took = self.clock.monotonic().saturating_sub(self.started);
        self.counters.end(outcome, self.sent_bytes, took);
    }
}

#[cfg(test)]
mod tests;

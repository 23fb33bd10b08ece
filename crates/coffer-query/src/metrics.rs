//! Counts and latencies by operation, as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use coffer_sigv4::Service;
use http::StatusCode;

use crate::table::Operation;

/// Upper bounds of the latency buckets in microseconds; one more holds the rest.
const BOUNDS_US: [u64; 12] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

/// How a request ended, by the first digit of its status.
const OUTCOMES: [&str; 3] = ["success", "client_error", "server_error"];

/// What a request counts for that was refused before it was known what it wants.
const UNKNOWN: &str = "none";

/// The counters of one operation.
#[derive(Debug, Default)]
struct Counters {
    outcomes: [AtomicU64; OUTCOMES.len()],
    took_us: AtomicU64,
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
}

/// A service and one of its operations, by their names.
type Name = (&'static str, &'static str);

/// All counters of the face.
#[derive(Debug, Default)]
pub struct Metrics {
    operations: RwLock<BTreeMap<Name, Arc<Counters>>>,
}

impl Metrics {
    /// Books a request that was answered.
    pub(crate) fn book(
        &self,
        service: Service,
        operation: Option<Operation>,
        status: StatusCode,
        took: Duration,
    ) {
        let counters = self.of((service.name(), operation.map_or(UNKNOWN, Operation::name)));
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let outcome = match status.as_u16() {
            500.. => 2,
            400.. => 1,
            _ => 0,
        };
        let bucket = BOUNDS_US.partition_point(|bound| *bound < took_us);
        counters.outcomes[outcome].fetch_add(1, Ordering::Relaxed);
        counters.took_us.fetch_add(took_us, Ordering::Relaxed);
        counters.buckets[bucket].fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, name: Name) -> Arc<Counters> {
        // The map is whole after any panic.
        let operations = self.operations.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = operations.get(&name) {
            return counters.clone();
        }
        drop(operations);
        let mut operations = self.operations.write().unwrap_or_else(PoisonError::into_inner);
        operations.entry(name).or_default().clone()
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self) -> String {
        let operations = self.operations.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut requests, mut took) = (String::new(), String::new());
        for ((service, operation), counters) in &operations {
            let labels = format!("service=\"{service}\",operation=\"{operation}\"");
            lines_of(&labels, counters, &mut requests, &mut took)
                .expect("a String takes everything");
        }
        format!(
            "# HELP {REQUESTS} Requests to IAM and STS answered.\n# TYPE {REQUESTS} counter\n\
             {requests}# HELP {TOOK} Time from a request's head to its reply.\n\
             # TYPE {TOOK} histogram\n{took}"
        )
    }
}

const REQUESTS: &str = "coffer_query_requests_total";
const TOOK: &str = "coffer_query_request_duration_seconds";

fn lines_of(
    labels: &str,
    counters: &Counters,
    requests: &mut String,
    took: &mut String,
) -> std::fmt::Result {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    for (outcome, count) in OUTCOMES.iter().zip(&counters.outcomes) {
        writeln!(requests, "{REQUESTS}{{{labels},outcome=\"{outcome}\"}} {}", load(count))?;
    }
    let mut below = 0;
    for (i, bucket) in counters.buckets.iter().enumerate() {
        below += load(bucket);
        let le = match BOUNDS_US.get(i) {
            Some(bound) => (*bound as f64 / 1e6).to_string(),
            None => "+Inf".to_owned(),
        };
        writeln!(took, "{TOOK}_bucket{{{labels},le=\"{le}\"}} {below}")?;
    }
    writeln!(took, "{TOOK}_sum{{{labels}}} {}", load(&counters.took_us) as f64 / 1e6)?;
    writeln!(took, "{TOOK}_count{{{labels}}} {below}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_booked_by_operation_outcome_and_time() {
        let metrics = Metrics::default();
        let get = Some(Operation::GetUser);
        for (status, us) in [(200, 0), (200, 251), (404, 250), (503, u64::MAX)] {
            let status = StatusCode::from_u16(status).unwrap();
            metrics.book(Service::Iam, get, status, Duration::from_micros(us));
        }
        metrics.book(Service::Sts, None, StatusCode::BAD_REQUEST, Duration::ZERO);
        let text = metrics.render();
        let labels = "service=\"iam\",operation=\"GetUser\"";
        for line in [
            format!("{REQUESTS}{{{labels},outcome=\"success\"}} 2"),
            format!("{REQUESTS}{{{labels},outcome=\"client_error\"}} 1"),
            format!("{REQUESTS}{{{labels},outcome=\"server_error\"}} 1"),
            format!("{TOOK}_bucket{{{labels},le=\"0.00025\"}} 2"),
            format!("{TOOK}_bucket{{{labels},le=\"0.0005\"}} 3"),
            format!("{TOOK}_bucket{{{labels},le=\"+Inf\"}} 4"),
            format!("{TOOK}_count{{{labels}}} 4"),
            format!("{REQUESTS}{{service=\"sts\",operation=\"none\",outcome=\"client_error\"}} 1"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}

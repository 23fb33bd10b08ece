use coffer_base::SystemClock;

use super::*;

#[test]
fn a_request_is_booked_when_its_reply_ends() {
    let metrics = Metrics::default();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let account = |status: u16, body_bytes| {
        let status = StatusCode::from_u16(status).unwrap();
        let counters = metrics.operation("GetObject");
        let started = clock.monotonic();
        Account::new(counters, clock.clone(), started, status, body_bytes, metrics.request())
    };
    let mut whole = account(200, 10);
    let mut cut_off = account(200, 10);
    let mut broken = account(200, 10);
    let refused = account(404, 0);
    let failed = account(503, 0);
    assert_eq!(metrics.in_flight(), 5);
    whole.sent(10);
    cut_off.sent(9);
    broken.broke();
    drop((whole, cut_off, broken, refused, failed));
    assert_eq!(metrics.in_flight(), 0);
    let text = metrics.render();
    for line in [
        "coffer_s3_requests_total{operation=\"GetObject\",outcome=\"success\"} 1",
        "coffer_s3_requests_total{operation=\"GetObject\",outcome=\"client_error\"} 1",
        "coffer_s3_requests_total{operation=\"GetObject\",outcome=\"server_error\"} 2",
        "coffer_s3_requests_total{operation=\"GetObject\",outcome=\"aborted\"} 1",
        "coffer_s3_sent_bytes_total{operation=\"GetObject\"} 19",
        "coffer_s3_request_duration_seconds_bucket{operation=\"GetObject\",le=\"+Inf\"} 5",
        "coffer_s3_request_duration_seconds_count{operation=\"GetObject\"} 5",
        "# TYPE coffer_s3_request_duration_seconds histogram",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}

#[test]
fn a_latency_falls_into_the_first_bucket_that_holds_it() {
    let counters = Counters::default();
    for us in [0, 250, 251, u64::MAX] {
        counters.end(Outcome::Success, 0, Duration::from_micros(us));
    }
    let bucket = |i: usize| counters.buckets[i].load(Ordering::Relaxed);
    assert_eq!((bucket(0), bucket(1), bucket(BOUNDS_US.len())), (2, 1, 1));
}

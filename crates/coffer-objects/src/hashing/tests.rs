//! Bodies hashed together, on threads that come and go.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::blocking::{InlineBlocking, Job};
use crate::digest;
use crate::types::ChecksumAlgorithm;

struct Body(Vec<Vec<u8>>);

impl Pieces for Body {
    fn piece(&self, index: usize) -> Option<&[u8]> {
        self.0.get(index).map(Vec::as_slice)
    }
}

fn bytes(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251 + seed * 31) as u8).collect()
}

fn pieces(whole: &[u8], size: usize) -> Body {
    Body(whole.chunks(size).map(<[u8]>::to_vec).collect())
}

const ALGORITHM: ChecksumAlgorithm = ChecksumAlgorithm::Crc64Nvme;

fn digester() -> Digester {
    Digester::new(&[ALGORITHM])
}

fn assert_digests(digester: Digester, whole: &[u8]) {
    let digests = digester.finish();
    assert_eq!(digests.md5, digest::md5(whole), "{} bytes", whole.len());
    assert_eq!(digests.checksums, [digest::checksum(ALGORITHM, whole)]);
}

/// Keeps jobs until they are let go.
#[derive(Default)]
struct Held(Mutex<Vec<Job>>);

impl Blocking for Held {
    fn run(&self, job: Job) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.lock().unwrap().push(job);
        Box::pin(std::future::ready(()))
    }
}

/// A thread a job.
#[derive(Default)]
struct Threads(AtomicUsize);

impl Blocking for Threads {
    fn run(&self, job: Job) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        std::thread::spawn(job);
        Box::pin(std::future::ready(()))
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn what_waits_is_hashed_together_by_as_few_as_it_needs() {
    let held = Arc::new(Held::default());
    let hashing = Hashing::new(held.clone());
    let bodies: Vec<Vec<u8>> = (0..40).map(|i| bytes(i, i * 5003)).collect();
    let started: Vec<_> =
        bodies.iter().map(|body| hashing.start(digester(), pieces(body, 20_011))).collect();
    let mut jobs = std::mem::take(&mut *held.0.lock().unwrap());
    // 16, 16, 8.
    assert_eq!(jobs.len(), 3);
    jobs.truncate(2);
    // The third was refused; the others do its work.
    jobs.into_iter().for_each(|job| job());
    run(async {
        for (started, body) in started.into_iter().zip(&bodies) {
            assert_digests(started.await.unwrap(), body);
        }
    });
    assert_eq!(lock(&hashing.state).hashers, 0);
}

#[test]
fn batches_of_a_body_follow_each_other_beside_many_others() {
    let hashing = Hashing::new(Arc::new(Threads::default()));
    let bodies: Vec<Vec<u8>> = (0..20).map(|i| bytes(i, 90_000 + i * 10_007)).collect();
    std::thread::scope(|scope| {
        for (i, body) in bodies.iter().enumerate() {
            let hashing = hashing.clone();
            scope.spawn(move || {
                let mut digester = digester();
                for batch in body.chunks(30_000 + i * 997) {
                    digester = run(hashing.start(digester, pieces(batch, 7001))).unwrap();
                }
                assert_digests(digester, body);
            });
        }
    });
    assert_eq!(lock(&hashing.state).hashers, 0);
}

#[test]
fn one_alone_is_done_in_place_where_jobs_run_in_place() {
    let hashing = Hashing::new(Arc::new(InlineBlocking));
    let body = bytes(1, 100_000);
    let mut started = Box::pin(hashing.start(digester(), pieces(&body, 100_000)));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match started.as_mut().poll(&mut context) {
        std::task::Poll::Ready(digested) => assert_digests(digested.unwrap(), &body),
        std::task::Poll::Pending => panic!("it waits for somebody"),
    }
}

#[test]
fn refused_and_panicked_jobs_leave_nobody_waiting() {
    let held = Arc::new(Held::default());
    let hashing = Hashing::new(held.clone());
    let body = bytes(1, 1000);
    let refused = hashing.start(digester(), pieces(&body, 1000));
    held.0.lock().unwrap().clear();
    assert!(matches!(run(refused), Err(Error::Unavailable(_))));

    struct Poisonous;
    impl Pieces for Poisonous {
        fn piece(&self, _: usize) -> Option<&[u8]> {
            panic!("on purpose")
        }
    }
    let beside = hashing.start(digester(), pieces(&body, 1000));
    let panicked = hashing.start(digester(), Poisonous);
    let job = held.0.lock().unwrap().pop().unwrap();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err());
    assert!(matches!(run(panicked), Err(Error::Unavailable(_))));
    assert!(matches!(run(beside), Err(Error::Unavailable(_))));

    // The next one finds a hasher.
    let next = hashing.start(digester(), pieces(&body, 1000));
    let job = held.0.lock().unwrap().pop().unwrap();
    job();
    assert_digests(run(next).unwrap(), &body);
}

#[test]
fn who_is_cut_off_stops_nobody() {
    let held = Arc::new(Held::default());
    let hashing = Hashing::new(held.clone());
    let body = bytes(2, 50_000);
    let kept = hashing.start(digester(), pieces(&body, 9000));
    drop(hashing.start(digester(), pieces(&body, 1000)));
    let job = held.0.lock().unwrap().pop().unwrap();
    job();
    assert_digests(run(kept).unwrap(), &body);
}

//! [`ThreadPool`] under many schedules.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Job, Pool, ThreadPool};
use crate::sync::{explore, thread};

/// Two callers share two threads: when a call returns, each of its jobs has run once.
fn calls_return_after_their_jobs() {
    let pool = Arc::new(ThreadPool::new("test", 2).expect("threads start"));
    let call = |pool: Arc<ThreadPool>| {
        let runs: Arc<Vec<AtomicUsize>> = Arc::new((0..3).map(|_| AtomicUsize::new(0)).collect());
        let jobs = (0..runs.len()).map(|i| {
            let runs = runs.clone();
            Box::new(move || {
                thread::yield_now();
                runs[i].fetch_add(1, Ordering::SeqCst);
            }) as Job
        });
        pool.run_all(jobs.collect());
        for (i, runs) in runs.iter().enumerate() {
            assert_eq!(runs.load(Ordering::SeqCst), 1, "of job {i}");
        }
    };
    let other = {
        let pool = pool.clone();
        thread::spawn(move || call(pool))
    };
    call(pool);
    other.join().expect("the other caller returns");
}

#[test]
fn a_call_returns_when_all_its_jobs_have_ended() {
    explore("ThreadPool::run_all", calls_return_after_their_jobs);
}

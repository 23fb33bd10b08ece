//! The seam between "do this meanwhile" and threads.

use std::sync::Arc;

use crate::sync::{Mutex, mpsc, thread};

/// One piece of blocking work.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs blocking work: on threads in a server, inline and in order in a simulation.
pub trait Pool: Send + Sync {
    /// Starts `job` and does not wait for it (inline, it has ended on return).
    fn spawn(&self, job: Job);
}

/// Runs every job at once where it is called; deterministic.
#[derive(Clone, Copy, Debug, Default)]
pub struct InlinePool;

impl Pool for InlinePool {
    fn spawn(&self, job: Job) {
        job();
    }
}

/// A fixed number of threads that share one queue.
pub struct ThreadPool {
    queue: mpsc::Sender<Job>,
}

impl ThreadPool {
    /// Starts `threads` threads; they end when the pool is dropped and its queue is empty.
    pub fn new(name: &str, threads: usize) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        for i in 0..threads.max(1) {
            let jobs = jobs.clone();
            thread::Builder::new().name(format!("{name}-{i}")).spawn(move || {
                loop {
                    let job = jobs.lock().expect("receiving doesn't panic").recv();
                    match job {
                        Ok(job) => job(),
                        Err(mpsc::RecvError) => return,
                    }
                }
            })?;
        }
        Ok(Self { queue })
    }
}

impl Pool for ThreadPool {
    fn spawn(&self, job: Job) {
        self.queue.send(job).expect("the threads live as long as the pool");
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn both_pools_run_every_job_once() {
        let threads = ThreadPool::new("test", 3).unwrap();
        for pool in [&InlinePool as &dyn Pool, &threads] {
            let (done, all) = mpsc::channel();
            for n in 0..100 {
                let done = done.clone();
                pool.spawn(Box::new(move || done.send(n).unwrap()));
            }
            drop(done);
            let mut all: Vec<i32> = all.iter().collect();
            all.sort_unstable();
            assert_eq!(all, (0..100).collect::<Vec<_>>());
        }
    }
}

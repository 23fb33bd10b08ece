//! The seam between "do these at the same time" and threads.

use std::sync::Arc;

use crate::sync::{Condvar, Mutex, mpsc, thread};

#[cfg(all(test, feature = "shuttle"))]
mod schedules;

/// One piece of blocking work.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs blocking work: on threads in a server, inline and in order in a simulation.
pub trait Pool: Send + Sync {
    /// Runs all `jobs`, possibly at the same time, and returns when the last has ended. Called
    /// from blocking code, never from a job of the same pool.
    fn run_all(&self, jobs: Vec<Job>);

    /// Starts `job` and does not wait for it (inline, it has ended on return).
    fn spawn(&self, job: Job);
}

/// Runs every job at once where it is called; deterministic.
#[derive(Clone, Copy, Debug, Default)]
pub struct InlinePool;

impl Pool for InlinePool {
    fn run_all(&self, jobs: Vec<Job>) {
        for job in jobs {
            job();
        }
    }

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
    fn run_all(&self, mut jobs: Vec<Job>) {
        let Some(last) = jobs.pop() else { return };
        let left = Arc::new((Mutex::new(jobs.len()), Condvar::new()));
        for job in jobs {
            let left = Ending(left.clone());
            self.spawn(Box::new(move || {
                let _ending = left;
                job();
            }));
        }
        last();
        let (count, ended) = &*left;
        let mut count = count.lock().expect("counting doesn't panic");
        while *count > 0 {
            count = ended.wait(count).expect("counting doesn't panic");
        }
    }

    fn spawn(&self, job: Job) {
        self.queue.send(job).expect("the threads live as long as the pool");
    }
}

/// Counts a job as ended when dropped, so that a panicking job can't leave its caller waiting.
struct Ending(Arc<(Mutex<usize>, Condvar)>);

impl Drop for Ending {
    fn drop(&mut self) {
        let (count, ended) = &*self.0;
        *count.lock().expect("counting doesn't panic") -= 1;
        ended.notify_one();
    }
}

/// Runs `work` on each of `items` through `pool` and returns the results in order.
pub fn map_all<T, R, F>(pool: &dyn Pool, items: Vec<T>, work: F) -> Vec<R>
where
    T: Send + 'static,
    R: Send + 'static,
    F: Fn(T) -> R + Send + Sync + 'static,
{
    let work = Arc::new(work);
    let results: Arc<Mutex<Vec<Option<R>>>> =
        Arc::new(Mutex::new(items.iter().map(|_| None).collect()));
    let jobs = items
        .into_iter()
        .enumerate()
        .map(|(i, item)| {
            let (work, results) = (work.clone(), results.clone());
            Box::new(move || {
                let result = work(item);
                results.lock().expect("storing doesn't panic")[i] = Some(result);
            }) as Job
        })
        .collect();
    pool.run_all(jobs);
    let mut results = results.lock().expect("storing doesn't panic");
    results.iter_mut().map(|r| r.take().expect("a job of the pool panicked")).collect()
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn both_pools_give_all_results_in_order() {
        let threads = ThreadPool::new("test", 3).unwrap();
        for pool in [&InlinePool as &dyn Pool, &threads] {
            let doubled = map_all(pool, (0..100).collect(), |n: i32| n * 2);
            assert_eq!(doubled, (0..100).map(|n| n * 2).collect::<Vec<_>>());
        }
    }
}

//! The seam between async code and work that blocks a thread (drive I/O, long hashing).

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};

/// A piece of work that may block.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs blocking work: on threads in a server, in place in a simulation.
pub trait Blocking: Send + Sync {
    /// Starts `job` at once, not at the first poll; the future ends when the job has. Dropping
    /// the future does not stop the job.
    fn run(&self, job: Job) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Runs every job where it is called; deterministic.
#[derive(Clone, Copy, Debug, Default)]
pub struct InlineBlocking;

impl Blocking for InlineBlocking {
    fn run(&self, job: Job) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        job();
        Box::pin(std::future::ready(()))
    }
}

/// Starts `work` on `blocking` now; the future gives its result. A job that panicked, or was
/// refused because the process is stopping, is [`Error::Unavailable`].
pub fn call<T, F>(
    blocking: &dyn Blocking,
    work: F,
) -> impl Future<Output = Result<T>> + Send + 'static
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let slot = Arc::new(Mutex::new(None));
    let result = slot.clone();
    let ended = blocking.run(Box::new(move || {
        let value = work();
        *slot.lock().expect("storing doesn't panic") = Some(value);
    }));
    async move {
        ended.await;
        let value = result.lock().expect("storing doesn't panic").take();
        value.ok_or_else(|| Error::Unavailable("blocking work did not finish".to_owned()))
    }
}

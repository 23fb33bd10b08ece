//! The locks and threads of the commit path: the standard library's, or, with the cargo feature
//! `shuttle`, those of a scheduler that runs a test under thousands of interleavings.
//!
//! What waits for another thread, or holds a lock while something else may wait, takes its
//! `Mutex`, `Condvar`, `mpsc` and `thread` from here. Locks that are held for a few statements
//! only may be the standard library's: nothing is scheduled while they are held.
//!
//! The scheduler knows no time: a wait with a limit never reaches it.

#[cfg(feature = "shuttle")]
pub mod mpsc;

#[cfg(feature = "shuttle")]
pub use explored::*;
#[cfg(not(feature = "shuttle"))]
pub use std::{
    sync::{Condvar, Mutex, MutexGuard, mpsc},
    thread,
};

#[cfg(feature = "shuttle")]
mod explored {
    use std::any::Any;
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::marker::PhantomData;

    pub use shuttle::future::block_on;
    pub use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub use shuttle::thread;

    use crate::pool::{Job, Pool};

    /// What `thread_local!` is to threads, for tasks of the scheduler.
    pub struct PerTask<T>(PhantomData<fn() -> T>);

    thread_local! {
        /// All tasks of an exploration are on the thread that began it.
        static VALUES: RefCell<HashMap<(usize, thread::ThreadId), Box<dyn Any>>> =
            RefCell::default();
    }

    impl<T: Clone + 'static> PerTask<T> {
        /// None for every task.
        #[expect(clippy::new_without_default, reason = "for statics only")]
        pub const fn new() -> Self {
            Self(PhantomData)
        }

        fn key(&'static self) -> (usize, thread::ThreadId) {
            (std::ptr::from_ref(self).addr(), thread::current().id())
        }

        /// Replaces this task's.
        pub fn set(&'static self, value: Option<T>) {
            let key = self.key();
            let before = VALUES.with_borrow_mut(|values| match value {
                Some(value) => values.insert(key, Box::new(value)),
                None => values.remove(&key),
            });
            drop(before);
        }

        /// Looks at this task's.
        pub fn with_borrow<R>(&'static self, look: impl FnOnce(&Option<T>) -> R) -> R {
            let key = self.key();
            let value = VALUES.with_borrow(|values| {
                values.get(&key).and_then(|value| value.downcast_ref::<T>()).cloned()
            });
            look(&value)
        }
    }

    /// A task of the scheduler for each piece of work that nobody waits for.
    pub struct TaskPool;

    impl Pool for TaskPool {
        fn spawn(&self, job: Job) {
            thread::spawn(job);
        }
    }

    /// Most points at which the second scheduler changes its mind.
    const DEPTH: usize = 3;

    /// Schedules of each of the two kinds; `COFFER_SCHEDULES` says otherwise.
    fn schedules() -> usize {
        match std::env::var("COFFER_SCHEDULES") {
            Ok(text) => text.parse().expect("COFFER_SCHEDULES is a number"),
            Err(_) => 500,
        }
    }

    /// Runs `test` under random schedules, and under as many that follow priorities with a few
    /// changes (PCT), which find rare orders. Panics when one fails, with the schedule.
    pub fn explore(name: &str, test: fn()) {
        let times = schedules();
        shuttle::check_random(test, times);
        shuttle::check_pct(test, times, DEPTH);
        println!("{name}: {} schedules", 2 * times);
    }
}

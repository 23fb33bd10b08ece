//! The threads of a drive.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::sync::{Condvar, Mutex, MutexGuard, thread};

/// Threads over one queue, started when they are needed.
pub(super) struct Crew {
    state: Mutex<CrewState>,
    wake: Condvar,
    name: String,
    threads_max: usize,
}

#[derive(Default)]
pub(super) struct CrewState {
    pub tasks: VecDeque<Task>,
    threads: usize,
    idle: usize,
    ended: bool,
}

pub(super) type Task = Box<dyn FnOnce() + Send>;

impl Crew {
    pub fn new(name: String, threads_max: usize) -> io::Result<Arc<Crew>> {
        let (state, wake) = (Mutex::default(), Condvar::new());
        let crew = Arc::new(Crew { state, wake, name, threads_max });
        // The first one must be there; others are help.
        let mut state = crew.state();
        crew.hire(&mut state)?;
        drop(state);
        Ok(crew)
    }

    pub fn state(&self) -> MutexGuard<'_, CrewState> {
        self.state.lock().expect("no holder panics")
    }

    fn hire(self: &Arc<Self>, state: &mut CrewState) -> io::Result<()> {
        let crew = self.clone();
        let name = format!("{}-{}", self.name, state.threads);
        thread::Builder::new().name(name).spawn(move || crew.work())?;
        state.threads += 1;
        Ok(())
    }

    pub fn push(self: &Arc<Self>, task: Task) {
        let mut state = self.state();
        state.tasks.push_back(task);
        if state.tasks.len() > state.idle && state.threads < self.threads_max {
            // Without another thread those that are there do it.
            let _is_help = self.hire(&mut state);
        }
        drop(state);
        self.wake.notify_one();
    }

    fn work(&self) {
        let mut state = self.state();
        loop {
            match state.tasks.pop_front() {
                Some(task) => {
                    drop(state);
                    task();
                    state = self.state();
                }
                None if state.ended => return,
                None => {
                    state.idle += 1;
                    state = self.wake.wait(state).expect("no holder panics");
                    state.idle -= 1;
                }
            }
        }
    }

    /// Lets the threads end when nothing is queued any more.
    pub fn end(&self) {
        // Poisoned only where a failing test is taken apart.
        let Ok(mut state) = self.state.lock() else { return };
        state.ended = true;
        drop(state);
        self.wake.notify_all();
    }
}

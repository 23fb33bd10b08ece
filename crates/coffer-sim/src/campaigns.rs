//! Many campaigns at once, on several threads: a seed is a piece of work.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::campaign::{Outcome, Task, replay, run};

/// What many campaigns came to.
#[derive(Clone, Debug, Default)]
pub struct Total {
    /// Campaigns.
    pub seeds: u64,
    /// States in which a store was opened and looked at.
    pub states: u64,
    /// Power cuts.
    pub cuts: u64,
    /// States in which the operation under way was undone, and done.
    pub undone_and_done: (u64, u64),
    /// What was wrong.
    pub failures: Vec<crate::campaign::Failure>,
}

impl Total {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.states += outcome.states;
        self.cuts += outcome.cuts;
        self.undone_and_done.0 += outcome.undone_and_done.0;
        self.undone_and_done.1 += outcome.undone_and_done.1;
        self.failures.extend(outcome.failures.iter().cloned());
    }
}

/// Runs `tasks` on `jobs` threads; `report` is called with each outcome, in the order of the
/// tasks.
pub fn run_all(
    tasks: impl IntoIterator<Item = Task, IntoIter: Send>,
    jobs: usize,
    report: &mut (dyn FnMut(&Task, &Outcome) + Send),
) -> Total {
    let queue = Mutex::new(tasks.into_iter().enumerate());
    // Outcomes that wait for an earlier one, the next to report, and where they are reported.
    let ended = Mutex::new((BTreeMap::new(), 0, Total::default(), report));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("taking doesn't panic").next();
                    let Some((i, task)) = next else { return };
                    let outcome = match task.boundary {
                        None => run(task.seed, task.config),
                        Some(boundary) => replay(task.seed, task.config, boundary),
                    };
                    let mut ended = ended.lock().expect("reporting doesn't panic");
                    let (waiting, reported, total, report) = &mut *ended;
                    waiting.insert(i, (task, outcome));
                    while let Some((task, outcome)) = waiting.remove(reported) {
                        total.add(&outcome);
                        report(&task, &outcome);
                        *reported += 1;
                    }
                }
            });
        }
    });
    ended.into_inner().expect("no thread panicked").2
}

//! Hashing many bodies together: what is waiting to be hashed is hashed in lock step, on as few
//! threads as that needs.
//!
//! Nothing waits for company. A body that is alone is hashed at once; one that comes meanwhile
//! joins at the next piece. Each body is in here at most once at a time (its digester is), so its
//! batches are hashed in their order, and what waits is bounded by what uploads may gather.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use coffer_md5::LANES_MAX;
use tokio::sync::oneshot;

use crate::blocking::Blocking;
use crate::digest::{Digester, update_together};
use crate::error::{Error, Result};

/// So much of each body is hashed before others may join: together it fits the processor's cache,
/// so that it is still there for the second digest.
const PIECE_BYTES: usize = 16 << 10;

/// Shared by all uploads of a store. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hashing {
    blocking: Arc<dyn Blocking>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Task>,
    /// Threads that hash, or will as soon as they run.
    hashers: usize,
}

/// One body's next bytes.
struct Task {
    digester: Digester,
    bytes: Box<dyn Pieces>,
    /// Where in `bytes` it is: a piece, and an offset into it.
    at: (usize, usize),
    done: oneshot::Sender<Digester>,
}

/// Bytes in pieces, of which none is empty.
pub(crate) trait Pieces: Send {
    /// The piece with this number; `None` after the last.
    fn piece(&self, index: usize) -> Option<&[u8]>;
}

impl Hashing {
    pub(crate) fn new(blocking: Arc<dyn Blocking>) -> Hashing {
        Hashing { blocking, state: Arc::default() }
    }

    /// Starts to give `bytes` to `digester`, now; the future gives it back. Dropping the future
    /// stops nothing.
    pub(crate) fn start(
        &self,
        digester: Digester,
        bytes: impl Pieces + 'static,
    ) -> impl Future<Output = Result<Digester>> + Send + 'static {
        let (done, digested) = oneshot::channel();
        let task = Task { digester, bytes: Box::new(bytes), at: (0, 0), done };
        if task.digester.gains_from_company() {
            self.join_others(task);
        } else {
            // In a queue it would only wait for the others' turn on one core.
            drop(self.blocking.run(Box::new(move || task.work_alone())));
        }
        async move {
            let digested = digested.await;
            digested.map_err(|_| Error::Unavailable("hashing did not finish".to_owned()))
        }
    }

    fn join_others(&self, task: Task) {
        let mut state = lock(&self.state);
        state.waiting.push_back(task);
        // Those that hash take in so many each.
        if state.hashers == 0 || state.waiting.len() > LANES_MAX * state.hashers {
            state.hashers += 1;
            drop(state);
            let hasher = Hasher { state: self.state.clone(), is_counted: true };
            // It runs to its end by itself.
            drop(self.blocking.run(Box::new(move || hasher.work())));
        }
    }
}

impl Task {
    fn work_alone(mut self) {
        let mut index = 0;
        while let Some(piece) = self.bytes.piece(index) {
            self.digester.update(piece);
            index += 1;
        }
        // Who is not waiting any more was cut off.
        let _ = self.done.send(self.digester);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no holder panics")
}

/// A thread's part; counted until it is done or dropped.
struct Hasher {
    state: Arc<Mutex<State>>,
    is_counted: bool,
}

impl Hasher {
    /// Hashes until nothing waits.
    fn work(mut self) {
        let mut tasks: Vec<Task> = Vec::new();
        while self.take_in(&mut tasks) {
            step(&mut tasks);
            for task in tasks.extract_if(.., |task| task.bytes.piece(task.at.0).is_none()) {
                // Who is not waiting any more was cut off.
                let _ = task.done.send(task.digester);
            }
        }
    }

    /// Takes what waits into the free lanes; `false` when there is nothing to do, and from then on
    /// this hasher does not count.
    fn take_in(&mut self, tasks: &mut Vec<Task>) -> bool {
        let mut state = lock(&self.state);
        let free = LANES_MAX.saturating_sub(tasks.len()).min(state.waiting.len());
        tasks.extend(state.waiting.drain(..free));
        if tasks.is_empty() {
            state.hashers -= 1;
            self.is_counted = false;
        }
        self.is_counted
    }
}

impl Drop for Hasher {
    /// A hasher that ends early, as its job was refused or panicked, leaves nobody waiting for it.
    fn drop(&mut self) {
        if !self.is_counted {
            return;
        }
        let mut state = lock(&self.state);
        state.hashers -= 1;
        if state.hashers == 0 {
            let abandoned = std::mem::take(&mut state.waiting);
            drop(state);
            drop(abandoned);
        }
    }
}

/// Gives each digester its next bytes.
fn step(tasks: &mut [Task]) {
    let mut next: Vec<(&mut Digester, &[u8])> = Vec::with_capacity(tasks.len());
    for Task { digester, bytes, at: (index, offset), .. } in tasks {
        let Some(piece) = bytes.piece(*index) else { continue };
        let left = &piece[*offset..];
        let now = &left[..left.len().min(PIECE_BYTES)];
        *offset += now.len();
        if *offset == piece.len() {
            (*index, *offset) = (*index + 1, 0);
        }
        next.push((digester, now));
    }
    update_together(&mut next);
}

#[cfg(test)]
mod tests;

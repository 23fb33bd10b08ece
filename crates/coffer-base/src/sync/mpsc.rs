//! A queue as the standard library's, for the scheduler of tests: when its receiver goes, what
//! waits in it is dropped, and so are the answers that somebody waits for.

pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError};

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Condvar, Mutex};

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    senders: usize,
    is_open: bool,
}

/// The end that is given messages.
pub struct Sender<T>(Arc<Shared<T>>);

/// The end that gives them, in order.
pub struct Receiver<T>(Arc<Shared<T>>);

/// An empty queue.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let state = State { waiting: VecDeque::new(), senders: 1, is_open: true };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    (Sender(shared.clone()), Receiver(shared))
}

/// As [`channel`]: no limit, since nothing here waits for room.
pub fn sync_channel<T>(_bound: usize) -> (Sender<T>, Receiver<T>) {
    channel()
}

impl<T> Sender<T> {
    /// Adds a message, unless the receiver is gone.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.0.state.lock().expect("no holder panics");
        if !state.is_open {
            return Err(SendError(message));
        }
        state.waiting.push_back(message);
        self.0.changed.notify_one();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().expect("no holder panics").senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // Also where a failing test is taken apart.
        let Ok(mut state) = self.0.state.lock() else { return };
        state.senders -= 1;
        self.0.changed.notify_one();
    }
}

impl<T> Receiver<T> {
    /// The next message; waits for it as long as there is somebody to send one.
    pub fn recv(&self) -> Result<T, RecvError> {
        let mut state = self.0.state.lock().expect("no holder panics");
        loop {
            if let Some(message) = state.waiting.pop_front() {
                return Ok(message);
            }
            if state.senders == 0 {
                return Err(RecvError);
            }
            state = self.0.changed.wait(state).expect("no holder panics");
        }
    }

    /// As [`Receiver::recv`]: the limit is never reached.
    pub fn recv_timeout(&self, _limit: Duration) -> Result<T, RecvTimeoutError> {
        self.recv().map_err(|RecvError| RecvTimeoutError::Disconnected)
    }

    /// The next message, if it is there.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.0.state.lock().expect("no holder panics");
        let none =
            if state.senders == 0 { TryRecvError::Disconnected } else { TryRecvError::Empty };
        state.waiting.pop_front().ok_or(none)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let Ok(mut state) = self.0.state.lock() else { return };
        state.is_open = false;
        let dropped = std::mem::take(&mut state.waiting);
        // Whoever learns of it may come here again.
        drop(state);
        drop(dropped);
    }
}

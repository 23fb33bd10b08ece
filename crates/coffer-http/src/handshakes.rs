//! TLS handshakes under way: when there are too many, the oldest makes room.
//!
//! An honest handshake ends within a few round trips, so those that are old are slow or not meant
//! to end. Refusing the newest instead would let a few thousand silent connections lock others
//! out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

/// Those under way, by age.
#[derive(Clone, Debug)]
pub(crate) struct Handshakes {
    max: usize,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A handshake under way, until it is dropped.
pub(crate) struct Underway {
    id: u64,
    waiting: Arc<Mutex<Waiting>>,
    /// Ends when the handshake has to make room.
    pub(crate) outrun: oneshot::Receiver<()>,
}

impl Handshakes {
    pub(crate) fn new(max: usize) -> Handshakes {
        Handshakes { max: max.max(1), waiting: Arc::default() }
    }

    /// Begins one; the oldest is outrun if there are too many.
    pub(crate) fn begin(&self) -> Underway {
        let (outrunning, outrun) = oneshot::channel();
        let mut waiting = self.waiting.lock().expect("no holder panics");
        let id = waiting.next;
        waiting.next += 1;
        waiting.by_age.insert(id, outrunning);
        if waiting.by_age.len() > self.max {
            // Dropping the sender ends the other side.
            waiting.by_age.pop_first();
        }
        Underway { id, waiting: self.waiting.clone(), outrun }
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.waiting.lock().expect("no holder panics").by_age.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot::error::TryRecvError;

    #[test]
    fn the_oldest_makes_room() {
        let handshakes = Handshakes::new(2);
        let mut first = handshakes.begin();
        let mut second = handshakes.begin();
        assert_eq!(first.outrun.try_recv(), Err(TryRecvError::Empty));
        let mut third = handshakes.begin();
        assert_eq!(first.outrun.try_recv(), Err(TryRecvError::Closed));
        drop(second);
        let mut fourth = handshakes.begin();
        second = handshakes.begin();
        assert_eq!(third.outrun.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(fourth.outrun.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(second.outrun.try_recv(), Err(TryRecvError::Empty));
        drop((first, second, third, fourth));
        assert!(handshakes.waiting.lock().unwrap().by_age.is_empty());
    }
}

//! What was counted of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that a server and whoever reports on it share.
#[derive(Debug, Default)]
pub struct Traffic {
    connections: AtomicU64,
}

impl Traffic {
    /// How many connections are open.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// A connection that is open until what is returned is dropped.
    pub(crate) fn connection(self: &Arc<Self>) -> Presence {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Presence(self.clone())
    }
}

/// Counts a connection as open until it is dropped.
#[derive(Debug)]
pub(crate) struct Presence(Arc<Traffic>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

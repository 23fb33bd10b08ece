//! A clock without chance.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coffer_base::{Clock, Timestamp};

/// 2026-11-24T00:00:00Z.
const START_MS: u64 = 1_795_478_400_000;

/// Every look moves the time on by a microsecond.
#[derive(Debug, Default)]
pub struct SteadyClock {
    looks: AtomicU64,
}

impl SteadyClock {
    fn look_us(&self) -> u64 {
        self.looks.fetch_add(1, Ordering::Relaxed)
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        Timestamp(START_MS + self.look_us() / 1000)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.look_us())
    }
}

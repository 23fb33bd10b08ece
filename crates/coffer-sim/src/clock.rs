//! A clock that no machine's time gets into.

use std::sync::Mutex;
use std::time::Duration;

use coffer_base::clock::{Clock, Timestamp};
use coffer_base::rng::{Rng, SeededRng};

/// Every look moves the time on a little; one look in eight the wall clock steps back, by up to a
/// minute.
pub struct SimClock {
    rng: SeededRng,
    time: Mutex<Time>,
}

struct Time {
    wall_ms: u64,
    monotonic: Duration,
}

/// 2026-11-01, so that timestamps look like ones.
const START_MS: u64 = 1_793_491_200_000;

impl SimClock {
    /// A clock whose steps follow from `seed`.
    pub fn new(seed: u64) -> SimClock {
        let time = Time { wall_ms: START_MS, monotonic: Duration::ZERO };
        SimClock { rng: SeededRng::new(seed), time: Mutex::new(time) }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let mut time = self.time.lock().expect("no holder panics");
        match self.rng.below(8) {
            0 => time.wall_ms -= self.rng.below(60_000),
            _ => time.wall_ms += self.rng.below(2_000),
        }
        Timestamp(time.wall_ms)
    }

    fn monotonic(&self) -> Duration {
        let mut time = self.time.lock().expect("no holder panics");
        time.monotonic += Duration::from_micros(self.rng.below(1_000));
        time.monotonic
    }
}

//! The clock seam.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock time: milliseconds since the Unix epoch. For showing, for expiry and for
/// signatures; order in the store never rests on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Whole seconds since the Unix epoch.
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }
}

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// Wall-clock time; may step back.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary start; never steps back.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

static START: OnceLock<Instant> = OnceLock::new();

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(since.as_millis() as u64)
    }

    fn monotonic(&self) -> Duration {
        START.get_or_init(Instant::now).elapsed()
    }
}

/// A clock that stands still, one millisecond after the epoch: for tests and tools in which time
/// plays no part.
#[derive(Clone, Copy, Debug, Default)]
pub struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(1)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

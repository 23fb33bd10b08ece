//! How many bodies are on their way at once, and so how much memory each may take: few move in
//! large steps, many in small ones, and the sum stays bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// Steps of readers together, about: with one being sent and one read ahead each, twice this.
const READERS_BYTES_TARGET: u64 = 32 << 20;
/// The largest step.
const STEP_BYTES_MAX: u64 = 512 << 10;
/// The smallest step: what one checksum of a bulk cell covers.
const STEP_BYTES_MIN: u64 = 64 << 10;
/// Bulk writers that wait for memory at the same time, each on a thread. The others wait
/// without one, so that those which have memory find threads to give it back.
const OPENING_MAX: usize = 32;

/// Shared by all bodies of a store.
#[derive(Clone)]
pub(crate) struct Crowd {
    readers: Arc<AtomicUsize>,
    opening: Arc<Semaphore>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            readers: Arc::new(AtomicUsize::new(0)),
            opening: Arc::new(Semaphore::new(OPENING_MAX)),
        }
    }
}

/// A reader's place; gone when dropped.
pub(crate) struct Place(Crowd);

impl Crowd {
    /// One more reader.
    pub(crate) fn enter(&self) -> Place {
        self.readers.fetch_add(1, Ordering::Relaxed);
        Place(self.clone())
    }

    /// Waits for the turn to open a bulk writer.
    pub(crate) async fn turn_to_open(&self) -> Result<OwnedSemaphorePermit> {
        let turn = self.opening.clone().acquire_owned().await;
        turn.map_err(|closed| Error::Unavailable(closed.to_string()))
    }
}

impl Place {
    /// How much to read at once: a power of two.
    pub(crate) fn step_bytes(&self) -> u64 {
        step_bytes(self.0.readers.load(Ordering::Relaxed))
    }

    /// Whether to read ahead.
    pub(crate) fn may_read_ahead(&self) -> bool {
        self.step_bytes() > STEP_BYTES_MIN
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

fn step_bytes(readers: usize) -> u64 {
    let share = READERS_BYTES_TARGET / readers.max(1) as u64;
    let power = if share == 0 { 1 } else { 1 << share.ilog2() };
    power.clamp(STEP_BYTES_MIN, STEP_BYTES_MAX)
}

/// How much of a body to gather before it is hashed and written, for a writer with rows of
/// `row_bytes`: these shrink as writers become many.
pub(crate) fn batch_bytes(row_bytes: usize) -> usize {
    row_bytes.clamp(STEP_BYTES_MIN as usize, STEP_BYTES_MAX as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_shrink_as_readers_become_many() {
        for (readers, kib) in [(0, 512), (1, 512), (64, 512), (65, 256), (256, 128), (9999, 64)] {
            assert_eq!(step_bytes(readers), kib << 10, "{readers}");
        }
        let crowd = Crowd::default();
        let places: Vec<_> = (0..1000).map(|_| crowd.enter()).collect();
        assert_eq!((places[0].step_bytes(), places[0].may_read_ahead()), (64 << 10, false));
        drop(places);
        let alone = crowd.enter();
        assert_eq!((alone.step_bytes(), alone.may_read_ahead()), (512 << 10, true));
    }
}

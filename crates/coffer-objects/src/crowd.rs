//! How many bodies are on their way at once, and so how much memory each may take: few move in
//! large steps, many in small ones, and the sum stays bounded however slow the clients are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// Steps of readers together, about: with one being sent and one read ahead each, twice this.
const READERS_BYTES_TARGET: u64 = 16 << 20;
/// The largest step: a row of a large upload, so that what drives are missing is rebuilt from one
/// read of each of the others.
const STEP_BYTES_MAX: u64 = ROW_BYTES_MAX as u64;
/// The smallest step: what one checksum of a bulk cell covers.
const STEP_BYTES_MIN: u64 = 64 << 10;

/// What uploads have gathered, together: beyond that each writes what it has as soon as it is its
/// share, in small rows.
const UPLOADS_BYTES_TARGET: usize = 32 << 20;
/// An upload gathers as much for a row, unless there are too many.
pub(crate) const ROW_BYTES_MAX: usize = 1 << 20;
/// The smallest share of an upload.
const SHARE_BYTES_MIN: usize = 64 << 10;
/// Uploads that write rows at the same time, each on a thread. The others wait without one, so
/// that reading and hashing find threads.
const WRITING_MAX: usize = 32;

/// Shared by all bodies of a store.
#[derive(Clone)]
pub(crate) struct Crowd(Arc<Shared>);

struct Shared {
    readers: AtomicUsize,
    uploads: AtomicUsize,
    gathered_bytes: AtomicUsize,
    writing: Arc<Semaphore>,
}

impl Default for Crowd {
    fn default() -> Self {
        Crowd(Arc::new(Shared {
            readers: AtomicUsize::new(0),
            uploads: AtomicUsize::new(0),
            gathered_bytes: AtomicUsize::new(0),
            writing: Arc::new(Semaphore::new(WRITING_MAX)),
        }))
    }
}

impl Crowd {
    /// One more reader.
    pub(crate) fn enter(&self) -> Place {
        self.0.readers.fetch_add(1, Ordering::Relaxed);
        Place(self.clone())
    }

    /// One more upload.
    pub(crate) fn enter_upload(&self) -> Upload {
        self.0.uploads.fetch_add(1, Ordering::Relaxed);
        Upload(self.clone())
    }
}

/// A reader's place; gone when dropped.
pub(crate) struct Place(Crowd);

impl Place {
    /// How much to read at once: a power of two.
    pub(crate) fn step_bytes(&self) -> u64 {
        step_bytes(self.0.0.readers.load(Ordering::Relaxed))
    }

    /// Whether to read ahead.
    pub(crate) fn may_read_ahead(&self) -> bool {
        self.step_bytes() > STEP_BYTES_MIN
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

fn step_bytes(readers: usize) -> u64 {
    let share = READERS_BYTES_TARGET / readers.max(1) as u64;
    let power = if share == 0 { 1 } else { 1 << share.ilog2() };
    power.clamp(STEP_BYTES_MIN, STEP_BYTES_MAX)
}

/// An upload's place; gone when dropped.
pub(crate) struct Upload(Crowd);

impl Upload {
    /// Nothing gathered, to be counted here.
    pub(crate) fn gathered(&self) -> Gathered {
        Gathered { crowd: self.0.clone(), bytes: 0 }
    }

    /// How much to put into a row, if an upload that has gathered `bytes` should write them now
    /// although there is room in larger ones.
    pub(crate) fn squeezed(&self, bytes: usize) -> Option<usize> {
        if self.0.0.gathered_bytes.load(Ordering::Relaxed) <= UPLOADS_BYTES_TARGET {
            return None;
        }
        let share = share_bytes(self.0.0.uploads.load(Ordering::Relaxed));
        (bytes >= share).then_some(share)
    }

    /// Waits for the turn to write rows.
    pub(crate) async fn turn_to_write(&self) -> Result<OwnedSemaphorePermit> {
        let turn = self.0.0.writing.clone().acquire_owned().await;
        turn.map_err(|closed| Error::Unavailable(closed.to_string()))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.0.uploads.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What each of so many uploads may gather; as much may be on its way into a row.
fn share_bytes(uploads: usize) -> usize {
    (UPLOADS_BYTES_TARGET / (2 * uploads.max(1))).clamp(SHARE_BYTES_MIN, ROW_BYTES_MAX)
}

/// Counts bytes in memory as gathered until it is dropped.
pub(crate) struct Gathered {
    crowd: Crowd,
    bytes: usize,
}

impl Gathered {
    /// Counts `bytes` more.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.crowd.0.gathered_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts `bytes` of these by themselves.
    pub(crate) fn split(&mut self, bytes: usize) -> Gathered {
        assert!(bytes <= self.bytes, "{bytes} of {} bytes", self.bytes);
        self.bytes -= bytes;
        Gathered { crowd: self.crowd.clone(), bytes }
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.crowd.0.gathered_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_shrink_as_readers_become_many() {
        for (readers, kib) in [(0, 1024), (16, 1024), (17, 512), (33, 256), (128, 128), (9999, 64)]
        {
            assert_eq!(step_bytes(readers), kib << 10, "{readers}");
        }
        let crowd = Crowd::default();
        let places: Vec<_> = (0..1000).map(|_| crowd.enter()).collect();
        assert_eq!((places[0].step_bytes(), places[0].may_read_ahead()), (64 << 10, false));
        drop(places);
        let alone = crowd.enter();
        assert_eq!((alone.step_bytes(), alone.may_read_ahead()), (1 << 20, true));
    }

    #[test]
    fn uploads_are_squeezed_only_when_they_hold_too_much_together() {
        let crowd = Crowd::default();
        let uploads: Vec<_> = (0..200).map(|_| crowd.enter_upload()).collect();
        let mut one = uploads[0].gathered();
        one.add(UPLOADS_BYTES_TARGET);
        assert_eq!(uploads[1].squeezed(1 << 20), None);
        let mut other = one.split(UPLOADS_BYTES_TARGET - 5);
        other.add(1);
        let share = UPLOADS_BYTES_TARGET / 400;
        assert_eq!(uploads[1].squeezed(share), Some(share));
        assert_eq!(uploads[1].squeezed(share - 1), None);
        drop(other);
        assert_eq!(uploads[1].squeezed(1 << 20), None);
        assert_eq!(crowd.0.gathered_bytes.load(Ordering::Relaxed), 5);
        drop(uploads);
        assert_eq!(crowd.0.uploads.load(Ordering::Relaxed), 0);
    }
}

//! Rows that are read again and again, by key, in front of the tree.
//!
//! It is exact. Every key belongs to a *stripe*, a counter that is odd while a batch that changes
//! one of its keys becomes visible. A value is kept with the count of before it was read, and
//! counts only while the stripe still stands there. So
//!
//! - what was read before a batch is void once the batch is visible, whoever keeps it and when;
//! - while the batch becomes visible, all read the tree, whose one visible number moves on once:
//!   nobody sees the older value after another has seen the newer one;
//! - the counter moves before the writer is answered.
//!
//! Rows that are absent are not kept: a filter answers those, and a flood of them must not push
//! others out.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Weighter};

/// Stripes; more mean that a change voids fewer other rows. 512 KiB.
const STRIPES: usize = 64 << 10;

/// Larger rows are not kept: they are few, and many small ones would have to go.
const ROW_BYTES_MAX: usize = 4 << 10;

/// What an entry takes beside its key and value: two reference counts, its place in the cache.
const ENTRY_BYTES: usize = 160;

/// See the module.
pub(super) struct HotRows {
    rows: Cache<Bytes, Kept, Weigh>,
    stripes: Box<[AtomicU64]>,
    hasher: DefaultHashBuilder,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// A value, and where its stripe stood before it was read.
#[derive(Clone)]
struct Kept {
    value: Bytes,
    stood: u64,
}

#[derive(Clone)]
struct Weigh;

impl Weighter<Bytes, Kept> for Weigh {
    fn weight(&self, key: &Bytes, kept: &Kept) -> u64 {
        (key.len() + kept.value.len() + ENTRY_BYTES) as u64
    }
}

impl HotRows {
    /// At most so many bytes of rows.
    pub(super) fn new(bytes: u64) -> Self {
        let rows_about = (bytes as usize / (2 * ENTRY_BYTES)).max(1);
        Self {
            rows: Cache::with_weighter(rows_about, bytes, Weigh),
            stripes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            hasher: DefaultHashBuilder::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    fn stripe(&self, key: &[u8]) -> &AtomicU64 {
        &self.stripes[self.hasher.hash_one(key) as usize % STRIPES]
    }

    /// The value of `key`: a kept one, or what `read` finds, which is kept.
    pub(super) fn get<E>(
        &self,
        key: &[u8],
        read: impl FnOnce() -> Result<Option<Bytes>, E>,
    ) -> Result<Option<Bytes>, E> {
        let stripe = self.stripe(key);
        let stood = stripe.load(Ordering::SeqCst);
        if stood.is_multiple_of(2)
            && let Some(kept) = self.rows.get(key)
            && kept.stood == stood
        {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(kept.value));
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let found = read()?;
        if let Some(value) = &found
            && stood.is_multiple_of(2)
            && key.len() + value.len() <= ROW_BYTES_MAX
        {
            // A copy, since the value is a part of a block that would be held as a whole.
            let kept = Kept { value: Bytes::copy_from_slice(value), stood };
            self.rows.insert(Bytes::copy_from_slice(key), kept);
        }
        Ok(found)
    }

    /// Runs `publish`, which makes new values of `keys` visible. One caller at a time.
    pub(super) fn change(&self, keys: &[Bytes], publish: impl FnOnce()) {
        // Keys may share a stripe, which then moves on once for all of them.
        for key in keys {
            self.stripe(key).fetch_or(1, Ordering::SeqCst);
        }
        publish();
        for key in keys {
            let stripe = self.stripe(key);
            let stood = stripe.load(Ordering::SeqCst);
            if !stood.is_multiple_of(2) {
                stripe.store(stood + 1, Ordering::SeqCst);
            }
        }
    }

    /// Forgets all, around `publish`, which makes another state visible.
    pub(super) fn change_all(&self, publish: impl FnOnce()) {
        for stripe in &self.stripes {
            stripe.fetch_or(1, Ordering::SeqCst);
        }
        publish();
        for stripe in &self.stripes {
            stripe.fetch_add(1, Ordering::SeqCst);
        }
        self.rows.clear();
    }

    /// Gets that a kept row answered, and the others.
    pub(super) fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;

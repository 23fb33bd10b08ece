//! What a commit group has changed so far, on top of the engine.
//!
//! The plans of a group run one after another before any of them is durable. Each sees what the
//! earlier ones changed; a rejected one leaves no trace. Replay goes through the same code, so
//! that a record means the same when it is written and when it is read.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use crate::engine::{Engine, EngineError, Entry, Write};
use crate::keys::is_empty_range;
use crate::record::{Mutation, add_counters};

#[cfg(test)]
mod tests;

/// Changed keys and their new values; `None`: deleted.
#[derive(Default)]
pub(crate) struct Overlay {
    changed: BTreeMap<Bytes, Option<Bytes>>,
    /// What the current plan has overwritten in `changed`, in order; the inner option is the
    /// entry, the outer says whether there was one.
    undo: Vec<(Bytes, Option<Option<Bytes>>)>,
}

impl Overlay {
    /// From here on, [`Overlay::roll_back`] returns to this state.
    pub(crate) fn begin_plan(&mut self) {
        self.undo.clear();
    }

    /// Takes back what was changed since [`Overlay::begin_plan`].
    pub(crate) fn roll_back(&mut self) {
        for (key, before) in self.undo.drain(..).rev() {
            match before {
                Some(entry) => self.changed.insert(key, entry),
                None => self.changed.remove(&key),
            };
        }
    }

    fn set(&mut self, key: &[u8], value: Option<Bytes>) {
        let key = Bytes::copy_from_slice(key);
        let before = self.changed.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.set(key, Some(Bytes::copy_from_slice(value)));
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.set(key, None);
    }

    pub(crate) fn add(
        &mut self,
        engine: &dyn Engine,
        key: &[u8],
        deltas: &[i64],
    ) -> Result<(), EngineError> {
        let before = self.get(engine, key)?;
        self.put(key, &add_counters(before.as_deref(), deltas));
        Ok(())
    }

    /// Does what a record says.
    pub(crate) fn replay(
        &mut self,
        engine: &dyn Engine,
        mutation: &Mutation<'_>,
    ) -> Result<(), EngineError> {
        match mutation {
            Mutation::Put { key, value } => self.put(key, value),
            Mutation::Delete { key } => self.delete(key),
            Mutation::Add { key, deltas } => self.add(engine, key, deltas)?,
        }
        // A replayed record was accepted; nothing rolls it back.
        self.undo.clear();
        Ok(())
    }

    pub(crate) fn get(
        &self,
        engine: &dyn Engine,
        key: &[u8],
    ) -> Result<Option<Bytes>, EngineError> {
        match self.changed.get(key) {
            Some(entry) => Ok(entry.clone()),
            None => engine.get_for_plan(key),
        }
    }

    /// The first `limit` entries between the bounds.
    pub(crate) fn range(
        &self,
        engine: &dyn Engine,
        lo: Bound<&[u8]>,
        hi: Bound<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, EngineError> {
        if is_empty_range(lo, hi) || limit == 0 {
            return Ok(Vec::new());
        }
        let snapshot = engine.snapshot();
        let mut below = snapshot.range(lo, hi);
        let mut next_below = below.next().transpose()?;
        let mut found = Vec::new();
        for (key, value) in self.changed.range::<[u8], _>((lo, hi)) {
            while let Some(entry) = next_below.take_if(|(below_key, _)| *below_key < *key) {
                if found.len() == limit {
                    return Ok(found);
                }
                found.push(entry);
                next_below = below.next().transpose()?;
            }
            if found.len() == limit {
                return Ok(found);
            }
            if next_below.take_if(|(below_key, _)| *below_key == *key).is_some() {
                next_below = below.next().transpose()?;
            }
            if let Some(value) = value {
                found.push((key.clone(), value.clone()));
            }
        }
        while found.len() < limit
            && let Some(entry) = next_below.take()
        {
            found.push(entry);
            next_below = below.next().transpose()?;
        }
        Ok(found)
    }

    /// How many keys were changed.
    pub(crate) fn len(&self) -> usize {
        self.changed.len()
    }

    /// Everything that was changed, each key once.
    pub(crate) fn into_writes(self) -> Vec<Write> {
        let write = |(key, value)| match value {
            Some(value) => Write::Put { key, value },
            None => Write::Delete { key },
        };
        self.changed.into_iter().map(write).collect()
    }
}

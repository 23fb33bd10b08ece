//! What readers see of the tree, and which old states they still need.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use lsm_tree::{AbstractTree, AnyTree, Guard, SeqNo};

use super::damage::Damage;
use super::{Writer, above_reserved};
use crate::engine::{EngineError, EngineSnapshot, Entries};
use crate::keys::is_empty_range;

/// The sequence numbers of the views that are alive, with their counts. The tree keeps what the
/// lowest one needs.
#[derive(Default)]
pub(super) struct Pins(Mutex<BTreeMap<SeqNo, usize>>);

impl Pins {
    fn pins(&self) -> MutexGuard<'_, BTreeMap<SeqNo, usize>> {
        self.0.lock().expect("no holder panics")
    }

    /// Nobody reads below this number; there is always the current view.
    pub(super) fn lowest(&self) -> SeqNo {
        self.pins().first_key_value().map_or(0, |(&seqno, _)| seqno)
    }
}

/// The tree up to, and without, a sequence number.
pub(super) struct View {
    tree: AnyTree,
    seqno: SeqNo,
    pins: Arc<Pins>,
    damage: Arc<Damage>,
}

impl View {
    /// All that `writer` has applied.
    pub(super) fn new(writer: &Writer, pins: &Arc<Pins>, damage: &Arc<Damage>) -> Self {
        let seqno = writer.seqno.get();
        *pins.pins().entry(seqno).or_insert(0) += 1;
        let (tree, pins, damage) = (writer.tree.clone(), pins.clone(), damage.clone());
        Self { tree, seqno, pins, damage }
    }

    pub(super) fn tree(&self) -> &AnyTree {
        &self.tree
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let mut pins = self.pins.pins();
        if let Some(count) = pins.get_mut(&self.seqno) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.seqno);
            }
        }
    }
}

impl EngineSnapshot for View {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let value = self.tree.get(key, self.seqno);
        Ok(value.map_err(|e| self.damage.fault(e))?.map(Bytes::from))
    }

    fn range(&self, lo: Bound<&[u8]>, hi: Bound<&[u8]>) -> Entries<'_> {
        let lo = above_reserved(lo);
        if is_empty_range(lo, hi) {
            return Box::new(std::iter::empty());
        }
        let entries = self.tree.range::<&[u8], _>((lo, hi), self.seqno, None);
        Box::new(entries.map(|entry| match entry.into_inner() {
            Ok((key, value)) => Ok((Bytes::from(key), Bytes::from(value))),
            Err(error) => Err(self.damage.fault(error)),
        }))
    }
}

//! What readers see of the tree, and which old states they still need.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use lsm_tree::{AbstractTree, AnyTree, Guard, SeqNo};

use super::{above_reserved, tree_error};
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
}

impl View {
    pub(super) fn new(tree: AnyTree, seqno: SeqNo, pins: Arc<Pins>) -> Self {
        *pins.pins().entry(seqno).or_insert(0) += 1;
        Self { tree, seqno, pins }
    }

    pub(super) fn tree(&self) -> &AnyTree {
        &self.tree
    }

    pub(super) fn value(&self, key: &[u8]) -> Result<Option<Bytes>, lsm_tree::Error> {
        Ok(self.tree.get(key, self.seqno)?.map(Bytes::from))
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
        self.value(key).map_err(tree_error)
    }

    fn range(&self, lo: Bound<&[u8]>, hi: Bound<&[u8]>) -> Entries<'_> {
        let lo = above_reserved(lo);
        if is_empty_range(lo, hi) {
            return Box::new(std::iter::empty());
        }
        let entries = self.tree.range::<&[u8], _>((lo, hi), self.seqno, None);
        Box::new(entries.map(|entry| match entry.into_inner() {
            Ok((key, value)) => Ok((Bytes::from(key), Bytes::from(value))),
            Err(error) => Err(tree_error(error)),
        }))
    }
}

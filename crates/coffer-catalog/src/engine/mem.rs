//! The engine of simulations and tests: a map in memory, deterministic.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use coffer_log::Mark;

use super::{Engine, EngineError, EngineSnapshot, Entries, Write};

type Map = BTreeMap<Bytes, Bytes>;

#[derive(Clone, Default)]
struct State {
    map: Arc<Map>,
    mark: Option<Mark>,
}

#[derive(Default)]
struct States {
    now: State,
    persisted: State,
}

/// An index in memory. Snapshots share the map; a batch that meets one copies it first.
#[derive(Default)]
pub struct MemEngine {
    states: Mutex<States>,
}

impl MemEngine {
    /// An empty engine.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a power cut leaves: the state of the last [`Engine::persist`], or nothing.
    pub fn crash(&self) {
        let mut states = self.states();
        states.now = states.persisted.clone();
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().expect("no holder panics")
    }
}

impl Engine for MemEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.states().now.map.get(key).cloned())
    }

    fn snapshot(&self) -> Arc<dyn EngineSnapshot> {
        Arc::new(MemSnapshot(self.states().now.map.clone()))
    }

    fn check(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn apply(&self, writes: Vec<Write>, mark: Mark) -> Result<(), EngineError> {
        let mut states = self.states();
        let map = Arc::make_mut(&mut states.now.map);
        for write in writes {
            match write {
                Write::Put { key, value } => {
                    map.insert(key, value);
                }
                Write::Delete { key } => {
                    map.remove(&key);
                }
            }
        }
        states.now.mark = Some(mark);
        Ok(())
    }

    fn mark(&self) -> Result<Option<Mark>, EngineError> {
        Ok(self.states().now.mark)
    }

    fn persist(&self) -> Result<(), EngineError> {
        let mut states = self.states();
        states.persisted = states.now.clone();
        Ok(())
    }

    fn wipe(&self) -> Result<(), EngineError> {
        *self.states() = States::default();
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        0
    }
}

struct MemSnapshot(Arc<Map>);

impl EngineSnapshot for MemSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&self, lo: Bound<&[u8]>, hi: Bound<&[u8]>) -> Entries<'_> {
        let entries = self.0.range::<[u8], _>((lo, hi));
        Box::new(entries.map(|(key, value)| Ok((key.clone(), value.clone()))))
    }
}

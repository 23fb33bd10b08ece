//! Whether the index is what the log says: the log is replayed into an empty engine, apart from
//! the code that the catalog itself replays with, and the two are compared entry by entry.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Bound;

use bytes::Bytes;
use coffer_catalog::record::{Mutation, encode_counters, mutations};
use coffer_catalog::{Engine, Snapshot, Write, decode_counters};
use coffer_log::{Log, Mark};

use super::Finding;
use crate::error::{Error, Result};
use crate::rows::keys;

/// Changes held before they go into the engine.
const PENDING_KEYS_MAX: usize = 8192;

/// Reports every difference.
pub(super) fn compare(
    log: &Log,
    index: &Snapshot,
    fresh: &dyn Engine,
    finding: &mut dyn FnMut(Finding),
) -> Result<()> {
    match replay(log, fresh) {
        Ok(()) => {}
        Err(Stopped::Log(why)) => {
            finding(Finding { place: "the log".to_owned(), what: why });
            return Ok(());
        }
        Err(Stopped::Engine(error)) => return Err(error),
    }
    let rebuilt = fresh.snapshot();
    let mut left = index.prefix(&[]);
    let mut right = rebuilt.range(Bound::Unbounded, Bound::Unbounded);
    let (mut in_index, mut in_log) = (left.next().transpose()?, right.next().transpose()?);
    loop {
        let order = match (&in_index, &in_log) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.0.cmp(&b.0),
        };
        let what = match (order, &in_index, &in_log) {
            (Ordering::Less, Some((key, _)), _) => {
                Some((key.clone(), "it is in the index, but not in the log"))
            }
            (Ordering::Greater, _, Some((key, _))) => {
                Some((key.clone(), "it is in the log, but not in the index"))
            }
            (_, Some((key, a)), Some((_, b))) if a != b => {
                Some((key.clone(), "the index and the log have different values"))
            }
            _ => None,
        };
        if let Some((key, what)) = what {
            finding(Finding { place: keys::show(&key), what: what.to_owned() });
        }
        if order != Ordering::Greater {
            in_index = left.next().transpose()?;
        }
        if order != Ordering::Less {
            in_log = right.next().transpose()?;
        }
    }
}

/// Why a replay did not come to the end.
enum Stopped {
    /// What is wrong with the log.
    Log(String),
    /// The fresh engine failed.
    Engine(Error),
}

fn replay(log: &Log, fresh: &dyn Engine) -> Result<(), Stopped> {
    let mut pending = Pending { engine: fresh, values: HashMap::new() };
    let mut stopped = None;
    let replayed = log.replay(None, &mut |group| {
        let applied = group.records.iter().try_for_each(|record| pending.take(record));
        applied.and_then(|()| pending.flush(group.mark, PENDING_KEYS_MAX)).map_err(|why| {
            stopped = Some(why);
            coffer_log::Error::Corrupt("the replay was stopped".to_owned())
        })
    });
    match (replayed, stopped) {
        (_, Some(why)) => Err(why),
        (Ok(mark), None) => pending.flush(mark, 0),
        (Err(error), None) => Err(Stopped::Log(format!("it can't be replayed: {error}"))),
    }
}

/// Changes that are not in the engine yet.
struct Pending<'a> {
    engine: &'a dyn Engine,
    values: HashMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Pending<'_> {
    fn take(&mut self, record: &[u8]) -> Result<(), Stopped> {
        for mutation in mutations(record) {
            match mutation.map_err(|error| Stopped::Log(error.to_string()))? {
                Mutation::Put { key, value } => {
                    self.values.insert(key.to_vec(), Some(value.to_vec()));
                }
                Mutation::Delete { key } => {
                    self.values.insert(key.to_vec(), None);
                }
                Mutation::Add { key, deltas } => {
                    let old = match self.values.get(key) {
                        Some(value) => value.clone(),
                        None => {
                            let old = self.engine.get(key);
                            old.map_err(|error| Stopped::Engine(error.into()))?
                                .map(|value| value.to_vec())
                        }
                    };
                    let mut counters = old.map_or_else(Vec::new, |old| decode_counters(&old));
                    counters.resize(counters.len().max(deltas.len()), 0);
                    for (counter, delta) in counters.iter_mut().zip(deltas) {
                        *counter = counter.wrapping_add(delta);
                    }
                    self.values.insert(key.to_vec(), Some(encode_counters(&counters)));
                }
            }
        }
        Ok(())
    }

    /// Gives the changes to the engine if there are more than `keys_max`.
    fn flush(&mut self, mark: Mark, keys_max: usize) -> Result<(), Stopped> {
        if self.values.len() <= keys_max {
            return Ok(());
        }
        let mut changes: Vec<_> = std::mem::take(&mut self.values).into_iter().collect();
        changes.sort_unstable();
        let writes = changes.into_iter().map(|(key, value)| match value {
            Some(value) => Write::Put { key: key.into(), value: Bytes::from(value) },
            None => Write::Delete { key: key.into() },
        });
        let applied = self.engine.apply(writes.collect(), mark);
        applied.map_err(|error| Stopped::Engine(error.into()))
    }
}

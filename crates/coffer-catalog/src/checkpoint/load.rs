//! Reading a checkpoint: into an empty engine, or to see whether it is whole.

use bytes::Bytes;
use coffer_base::{EpochId, Position};
use coffer_log::{Chain, Extent, Log, Mark};

use super::range::read_entries;
use super::root::{ROOT_BYTES_MAX, Root};
use super::{CheckpointSummary, Unusable, unusable};
use crate::engine::{Engine, EngineError, Entry, Write};
use crate::rebuild::Progress;

/// The mark of an engine while a checkpoint is being loaded into it. It is on no history, so an
/// engine that was left half loaded is thrown away at the next start.
pub(super) const LOADING: Mark =
    Mark { epoch: EpochId(0), position: Position(0), chain: Chain([0xff; 16]) };

/// Why a checkpoint was not loaded.
pub(crate) enum Failed {
    /// It is damaged or can't be read. The engine may hold a part of it: wipe it.
    Unusable(Unusable),
    /// The engine failed.
    Engine(EngineError),
}

impl<E: Into<Unusable>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed::Unusable(error.into())
    }
}

/// Loads the recorded checkpoint, if there is one, into `engine`, which is empty. The engine then
/// has the checkpoint's mark; that it is part of history remains to be seen.
pub(crate) fn load(log: &Log, engine: &dyn Engine) -> Result<Option<Mark>, Failed> {
    let Some(root) = read_root(log)? else { return Ok(None) };
    let CheckpointSummary { position, entries, ranges, .. } = root.summary();
    tracing::info!(position = position.0, entries, ranges, "loading a checkpoint into the index");
    let mut progress =
        Progress::new("loading a checkpoint into the index", root.ranges.len() as u64);
    let mut keys = 0;
    for index in 0..root.ranges.len() {
        let entries = read_range(log, &root, index)?;
        keys += entries.len() as u64;
        progress.at(index as u64, keys);
        let write = |(key, value)| Write::Put { key, value };
        let writes = entries.into_iter().map(write).collect();
        let applied = engine.check().and_then(|()| engine.apply(writes, LOADING));
        applied.map_err(Failed::Engine)?;
    }
    engine.apply(Vec::new(), root.mark).map_err(Failed::Engine)?;
    Ok(Some(root.mark))
}

/// Reads all of the recorded checkpoint, data and parity, and calls `finding` with each thing
/// that is not as it should be. Its numbers, if its root can be read.
pub fn verify(log: &Log, finding: &mut dyn FnMut(String)) -> Option<CheckpointSummary> {
    let root = match read_root(log) {
        Ok(root) => root?,
        Err(error) => {
            finding(error.to_string());
            return None;
        }
    };
    let recorded = log.checkpoint().map(|checkpoint| checkpoint.extents).unwrap_or_default();
    for extent in recorded.iter().chain(root.payloads.iter().flatten()) {
        log.verify_extent(extent, finding);
    }
    for index in 0..root.ranges.len() {
        if let Err(error) = read_range(log, &root, index) {
            finding(format!("range {index} of the checkpoint: {error}"));
        }
    }
    Some(root.summary())
}

/// Where all bytes of the recorded checkpoint are; an error when its root can't be read.
pub fn extents(log: &Log) -> Result<Vec<Extent>, String> {
    let root = read_root(log).map_err(|error| error.to_string())?;
    let mut extents = log.checkpoint().map(|checkpoint| checkpoint.extents).unwrap_or_default();
    extents.extend(root.into_iter().flat_map(|root| root.payloads).flatten());
    Ok(extents)
}

/// The root of the recorded checkpoint.
pub(super) fn read_root(log: &Log) -> Result<Option<Root>, Unusable> {
    let Some(recorded) = log.checkpoint() else { return Ok(None) };
    let lens = recorded.extents.iter().map(|extent| extent.len);
    let len = lens.fold(0u64, u64::saturating_add);
    if len > ROOT_BYTES_MAX {
        return Err(unusable(format!("the root of a checkpoint with {len} bytes")));
    }
    let root = Root::decode(&read_slice(log, &recorded.extents, 0, len)?)?;
    if root.mark != recorded.mark {
        return Err(unusable("the root of another checkpoint than the recorded one"));
    }
    Ok(Some(root))
}

fn read_range(log: &Log, root: &Root, index: usize) -> Result<Vec<Entry>, Unusable> {
    let range = &root.ranges[index];
    let extents = &root.payloads[range.payload];
    let stored = read_slice(log, extents, range.offset, range.stored_len as u64)?;
    read_entries(range, root.next_first(index).map(|next| &next[..]), &stored)
}

/// `len` bytes at `offset` of the bytes that `extents` hold one after another.
fn read_slice(log: &Log, extents: &[Extent], offset: u64, len: u64) -> Result<Bytes, Unusable> {
    let mut parts = Vec::new();
    // What is to be skipped, and what is still wanted.
    let (mut skip, mut left) = (offset, len);
    for extent in extents {
        if skip >= extent.len {
            skip -= extent.len;
            continue;
        }
        let n = left.min(extent.len - skip);
        if n > 0 {
            parts.push(log.read(extent, skip..skip + n)?);
        }
        (skip, left) = (0, left - n);
    }
    if left > 0 {
        return Err(unusable("a checkpoint names bytes beyond its extents"));
    }
    Ok(match parts.len() {
        1 => parts.swap_remove(0),
        _ => Bytes::from(parts.concat()),
    })
}

//! Holding extents while they are read.

use std::sync::Arc;

use coffer_log::Extent;

use crate::rows::blob::Manifest;

/// Keeps extents from being reused while something reads them.
///
/// In this release nothing in the log is ever reclaimed while the store is open, so there is
/// nothing to keep and a reader goes on undisturbed after an overwrite or a delete. When
/// compaction comes it registers the segments of these extents here, and drops them with the pin.
#[derive(Debug)]
pub(crate) enum Pin {
    /// No bytes.
    Empty,
    /// One payload.
    One(Extent),
    /// A blob. All its readers share the manifest.
    Blob(Arc<Manifest>),
}

/// A place among the extents of a pin: the extent, and where in the body it begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct At {
    part: usize,
    extent: usize,
    start: u64,
}

impl Pin {
    /// The extent that has byte `byte` of the body, and where in the body it begins. `at` is a
    /// place at or before it, and goes there. `None` if the extents end before.
    pub(crate) fn extent_with(&self, byte: u64, at: &mut At) -> Option<(Extent, u64)> {
        match self {
            Pin::Empty => None,
            Pin::One(extent) => (byte < extent.len).then_some((*extent, 0)),
            Pin::Blob(manifest) => loop {
                let part = manifest.parts.get(at.part)?;
                if at.extent == 0 && byte >= at.start + part.size {
                    at.start += part.size;
                    at.part += 1;
                    continue;
                }
                match part.extents.get(at.extent) {
                    Some(extent) if byte < at.start + extent.len => {
                        return Some((*extent, at.start));
                    }
                    Some(extent) => {
                        at.start += extent.len;
                        at.extent += 1;
                    }
                    None => *at = At { part: at.part + 1, extent: 0, start: at.start },
                }
            },
        }
    }
}

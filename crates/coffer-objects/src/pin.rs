//! Holding extents while they are read.

use coffer_log::Extent;

/// Keeps extents from being reused while something reads them.
///
/// In this release nothing in the log is ever reclaimed while the store is open, so there is
/// nothing to keep and a reader goes on undisturbed after an overwrite or a delete. When
/// compaction comes it registers the segments of these extents here, and drops them with the pin.
#[derive(Debug)]
pub(crate) struct Pin {
    extents: Vec<Extent>,
}

impl Pin {
    /// Pins `extents`.
    pub(crate) fn new(extents: Vec<Extent>) -> Self {
        Self { extents }
    }

    /// What is pinned, in the order of the bytes.
    pub(crate) fn extents(&self) -> &[Extent] {
        &self.extents
    }
}

//! Headers of sealed segments that were read lately: rebuilding a block needs one, and reading it
//! again each time would take as long as the block.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use coffer_base::{DriveId, SegmentId};

use crate::error::Error;
use crate::segment::Sealed;

/// Headers kept; each has 8 bytes for a block of 64 KiB, so 12 KiB for a full segment of 4+2.
const KEPT: usize = 64;

/// The last ones that were asked for.
#[derive(Default)]
pub(crate) struct SealedHeaders(Mutex<VecDeque<Kept>>);

struct Kept {
    segment: SegmentId,
    members: Vec<DriveId>,
    sealed: Arc<Sealed>,
}

impl SealedHeaders {
    /// The header of `segment` as it was sealed over `members`, read by `read` if need be.
    pub fn get(
        &self,
        segment: SegmentId,
        members: &[DriveId],
        read: impl FnOnce() -> Result<Sealed, Error>,
    ) -> Result<Arc<Sealed>, Error> {
        let is_it = |kept: &Kept| kept.segment == segment && kept.members == members;
        if let Some(kept) = self.0.lock().expect("no holder panics").iter().find(|k| is_it(k)) {
            return Ok(kept.sealed.clone());
        }
        let sealed = Arc::new(read()?);
        let mut all = self.0.lock().expect("no holder panics");
        all.retain(|kept| kept.segment != segment);
        all.truncate(KEPT - 1);
        all.push_front(Kept { segment, members: members.to_vec(), sealed: sealed.clone() });
        Ok(sealed)
    }

    /// The segment is sealed again: other checksums may hold for it.
    pub fn forget(&self, segment: SegmentId) {
        self.0.lock().expect("no holder panics").retain(|kept| kept.segment != segment);
    }
}

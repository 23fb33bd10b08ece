//! What the parts of a log share.

use std::sync::atomic::{AtomicU32, Ordering};

use coffer_base::{DriveId, SegmentId};

use crate::bulk::{BulkLanes, ReadBuffers};
use crate::error::Error;
use crate::geometry::Geometry;
use crate::health::Health;
use crate::options::{LogOptions, Seams};
use crate::sealed_headers::SealedHeaders;
use crate::segment::{Layout, SegmentTable};
use crate::set::Set;
use crate::superblock::Epoch;
use crate::supers::Supers;

/// The shared state of a log, without the lane.
pub(crate) struct Inner {
    pub options: LogOptions,
    pub seams: Seams,
    pub set: Set,
    pub table: SegmentTable,
    pub bulk: BulkLanes,
    pub read_buffers: ReadBuffers,
    pub sealed: SealedHeaders,
    pub supers: Supers,
    pub health: Health,
    pub epoch: Epoch,
    next_segment: AtomicU32,
}

impl Inner {
    pub fn new(
        options: LogOptions,
        seams: Seams,
        set: Set,
        table: SegmentTable,
        supers: Supers,
        epoch: Epoch,
    ) -> Self {
        let bulk = BulkLanes::default();
        let read_buffers = ReadBuffers::default();
        let sealed = SealedHeaders::default();
        let next_segment = AtomicU32::new(1);
        let health = Health::default();
        Self {
            options,
            seams,
            set,
            table,
            bulk,
            read_buffers,
            sealed,
            supers,
            health,
            epoch,
            next_segment,
        }
    }

    /// A segment id that was never used.
    pub fn new_segment_id(&self) -> SegmentId {
        let counter = self.next_segment.fetch_add(1, Ordering::Relaxed);
        assert!(counter < u32::MAX, "an epoch has at most 2^32 segments");
        SegmentId::new(self.epoch.number, counter)
    }

    /// The live drives and the scheme over them, to seal what was written already. A set has
    /// exactly as many drives as its scheme has cells, so there is no choice to make.
    pub fn members_for_sealing(&self) -> Result<(Geometry, Vec<DriveId>), Error> {
        if self.options.read_only {
            return Err(Error::ReadOnly("it was opened for looking only".into()));
        }
        let live = self.set.live();
        match self.set.geometry.over(live.len()) {
            Some(geometry) => Ok((geometry, live)),
            None => Err(Error::Unavailable("no drive is live".into())),
        }
    }

    /// As [`Inner::members_for_sealing`], for new writes: not below the floor.
    pub fn members(&self) -> Result<(Geometry, Vec<DriveId>), Error> {
        let (geometry, live) = self.members_for_sealing()?;
        let floor = usize::from(self.options.write_floor_drives.unwrap_or(self.set.geometry.k));
        if live.len() < floor.max(1) {
            return Err(Error::ReadOnly(format!(
                "{} drives are live and writing needs {}",
                live.len(),
                floor.max(1)
            )));
        }
        Ok((geometry, live))
    }

    /// Whether a segment is sealed, or has at least so many copies on live drives.
    pub fn has_copies(&self, id: SegmentId, copies: usize) -> bool {
        match self.table.get(id).map(|segment| segment.layout.clone()) {
            Some(Layout::Copies(files)) => {
                files.iter().filter(|(drive, _)| self.set.is_live(*drive)).count() >= copies
            }
            Some(Layout::Cells { .. } | Layout::Bulk { .. }) | None => true,
        }
    }
}

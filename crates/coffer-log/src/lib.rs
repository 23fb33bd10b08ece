//! The log: every byte of a store, appended over the drives of one machine, erasure coded, synced
//! before it is acknowledged, verified before it is returned.
//!
//! It knows segments, groups, payloads and opaque records. It does not know what a record means,
//! what a key or an object is, or who asks.
//!
//! | module | concept |
//! |---|---|
//! | `log` | [`Log`]: the handle |
//! | `lane` | [`Lane`]: appending to history, one group at a time |
//! | `group` | [`Group`]: what is appended and synced at once |
//! | `copies` | the open commit segment on its `m + 1` drives |
//! | `seal`, `sealed_headers` | re-encoding a full commit segment `k + m`; its headers at hand |
//! | `body` | reading commit segments: payloads and groups |
//! | `bulk` | rows of cells for large payloads |
//! | `erasure` | the code |
//! | `recovery` | opening: formatting, or deciding where history ended |
//! | `replay`, `verify`, `status` | reading history; checking everything; looking in |
//! | `scrub`, `health` | finding silent damage and healing it; what is known to be wrong |
//! | `set`, `supers`, `superblock` | the drives, their states, what they record of them |
//! | `segment`, `extent`, `mark`, `geometry` | the vocabulary |
//!
//! Invariants:
//! 1. A group is acknowledged at [`coffer_base::Ack::All`] only when every member of its segment
//!    has synced it and every member is in the recorded set.
//! 2. No byte of an acknowledged group's block is ever written again; a recovered segment is never
//!    appended to; a segment id is never used twice.
//! 3. The whole copies of a segment go only after its cells were synced and read back.
//! 4. A recovery decision is durable before anything is served or removed.
//! 5. Nothing is returned that was not verified against a checksum bound to its place.
//! 6. A drive on which a write or sync failed is never trusted again without an operator; but one
//!    that does not take what would heal it stays, as far as it is needed (`scrub::failed`).
//! 7. Addresses never change.
//!
//! Read `lane` first.

mod body;
mod bulk;
mod copies;
mod erasure;
mod error;
mod extent;
mod geometry;
mod group;
mod health;
mod inner;
mod lane;
mod log;
mod mark;
mod options;
mod recovery;
mod replay;
mod scrub;
mod seal;
mod sealed_headers;
mod segment;
mod set;
mod status;
mod superblock;
mod supers;
mod verify;

pub use bulk::BulkWriter;
pub use error::{Error, OpenError, ReplayError};
pub use extent::Extent;
pub use geometry::{DRIVES_MAX, Geometry};
pub use group::{Group, Savepoint};
pub use health::DriveHealth;
pub use lane::Lane;
pub use log::Log;
pub use mark::{Chain, Mark};
pub use options::{DriveThreads, LogOptions, Seams};
pub use recovery::Recovery;
pub use replay::ReplayedGroup;
pub use scrub::{Covered, Finding, Outcome, ScrubProgress, ScrubReport, ScrubVisitor};
pub use segment::is_segment_name;
pub use set::DriveState;
pub use status::{DriveStatus, LogStatus, SegmentCounts};
pub use superblock::Checkpoint;
pub use verify::VerifyReport;

#[cfg(test)]
mod tests;

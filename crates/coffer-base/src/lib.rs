//! What every other crate stands on: ids, checksums, and the seams to the world.
//!
//! A *seam* is a trait with a real implementation and a simulated one: [`Clock`], [`Rng`],
//! [`Drive`], [`Pool`] and [`net::Net`]. Nothing above this crate touches time, randomness, a file
//! or a socket except through them, so that a whole store runs inside one deterministic
//! simulation.
//!
//! It does not know what a segment, an object or a request is.
//!
//! | module | concept |
//! |---|---|
//! | [`ids`] | newtypes for every identity |
//! | [`checksum`] | the one checksum of the on-drive formats |
//! | [`wire`] | little-endian and varint reading and writing with bounds |
//! | [`buffer`] | 4 KiB-aligned buffers |
//! | [`clock`], [`rng`], [`drive`], [`pool`], [`net`] | the seams |
//! | [`sync`] | locks and threads that a scheduler of tests can drive |
//! | [`failpoint`] | named points at which a test kills the process |
//!
//! Invariants:
//! 1. Every seam is object-safe; one dynamic call per I/O costs nothing.
//! 2. Parsing never panics on any input; it returns `None` or an error.
//!
//! Read [`drive::Drive`] first.

pub mod ack;
pub mod buffer;
pub mod checksum;
pub mod clock;
pub mod drive;
pub mod failpoint;
pub mod ids;
pub mod net;
pub mod pool;
pub mod rng;
pub mod sync;
pub mod wire;

pub use ack::Ack;
pub use buffer::AlignedBuf;
pub use clock::{Clock, StillClock, SystemClock, Timestamp};
pub use drive::{Drive, DriveFile};
pub use ids::{BucketId, DriveId, EpochId, ObjectId, Position, SegmentId, StoreId};
pub use pool::Pool;
pub use rng::{Rng, SystemRng};

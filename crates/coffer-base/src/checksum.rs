//! The one checksum of the on-drive formats: XXH3, 64 bits, seeded with the place it protects,
//! so that a block that is right but in the wrong place is wrong.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::ids::{SegmentId, StoreId};

/// Checksum of `data` under `seed`.
pub fn checksum(seed: u64, data: &[u8]) -> u64 {
    xxh3_64_with_seed(data, seed)
}

/// The seed for bytes at `offset` of `segment` in `store`; `lane` tells apart things that share
/// an offset (a copy, cell 0, cell 1, …).
pub fn place_seed(store: StoreId, segment: SegmentId, lane: u32, offset: u64) -> u64 {
    let mut place = [0u8; 36];
    place[..16].copy_from_slice(&store.0.to_le_bytes());
    place[16..24].copy_from_slice(&segment.0.to_le_bytes());
    place[24..28].copy_from_slice(&lane.to_le_bytes());
    place[28..].copy_from_slice(&offset.to_le_bytes());
    xxh3_64(&place)
}

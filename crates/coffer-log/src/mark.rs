//! A point of history.

use coffer_base::wire::{Put, Reader};
use coffer_base::{EpochId, Position};
use xxhash_rust::xxh3::xxh3_128;

/// The hash of all groups up to a position; each group names its predecessor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Chain(pub [u8; 16]);

impl Chain {
    /// The chain after a group with this header (which holds the checksum of its body).
    pub(crate) fn extend(self, group_header: &[u8]) -> Chain {
        let mut bytes = Vec::with_capacity(16 + group_header.len());
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(group_header);
        Chain(xxh3_128(&bytes).to_le_bytes())
    }
}

/// A point of history: "everything up to and including this group".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mark {
    /// The epoch in which the mark was taken.
    pub epoch: EpochId,
    /// Position of the last group.
    pub position: Position,
    /// The chain after it.
    pub chain: Chain,
}

impl Mark {
    /// Appends the encoding, 40 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u128(self.epoch.0);
        out.put_u64(self.position.0);
        out.extend_from_slice(&self.chain.0);
    }

    /// Reads what [`Mark::encode`] wrote.
    pub fn decode(r: &mut Reader<'_>) -> Option<Mark> {
        Some(Mark {
            epoch: EpochId(r.u128()?),
            position: Position(r.u64()?),
            chain: Chain(r.take(16)?.try_into().ok()?),
        })
    }
}

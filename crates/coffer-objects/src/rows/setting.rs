//! What is set on a bucket besides its row: its policy and its public access block.

use coffer_base::Timestamp;
use coffer_base::wire::{Put, Reader};

use super::Row;
use crate::types::PublicAccessBlock;

/// `S` bucket `P`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyRow {
    /// The document as it was given.
    pub json: String,
    pub changed: Timestamp,
}

impl Row for PolicyRow {
    const NAME: &'static str = "bucket policy";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_bytes(self.json.as_bytes());
        out.put_varint(self.changed.0);
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        Some(PolicyRow { json: r.str()?.to_owned(), changed: Timestamp(r.varint()?) })
    }
}

/// `S` bucket `A`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccessBlockRow(pub PublicAccessBlock);

impl Row for AccessBlockRow {
    const NAME: &'static str = "public access block";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        let PublicAccessBlock {
            block_public_acls,
            ignore_public_acls,
            block_public_policy,
            restrict_public_buckets,
        } = self.0;
        out.put_u8(
            u8::from(block_public_acls)
                | u8::from(ignore_public_acls) << 1
                | u8::from(block_public_policy) << 2
                | u8::from(restrict_public_buckets) << 3,
        );
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        let flags = r.u8()?;
        (flags < 0x10).then_some(AccessBlockRow(PublicAccessBlock {
            block_public_acls: flags & 1 != 0,
            ignore_public_acls: flags & 2 != 0,
            block_public_policy: flags & 4 != 0,
            restrict_public_buckets: flags & 8 != 0,
        }))
    }
}

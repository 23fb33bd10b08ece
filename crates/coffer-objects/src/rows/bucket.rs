//! Buckets.

use coffer_base::wire::{Put, Reader};
use coffer_base::{Ack, BucketId, Timestamp};

use super::Row;
use crate::types::Bucket;

/// `B` name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BucketRow {
    pub id: BucketId,
    pub created: Timestamp,
    pub ack: Option<Ack>,
    pub owner: String,
    /// Empty in a row of version 1: the account that the store had from its beginning.
    pub account: String,
    pub region: String,
}

impl BucketRow {
    /// What callers see.
    pub(crate) fn bucket(self, name: String) -> Bucket {
        let BucketRow { id, created, ack, owner, account, region } = self;
        Bucket { name, id, owner, account, region, created, ack }
    }
}

impl Row for BucketRow {
    const NAME: &'static str = "bucket";
    const VERSION: u8 = 2;

    fn decode(value: &[u8]) -> Option<Self> {
        let mut r = Reader::new(value);
        let row = match r.u8()? {
            // Before stores had several accounts.
            1 => BucketRow::decode_first(&mut r)?,
            Self::VERSION => Self::decode_fields(&mut r)?,
            _ => return None,
        };
        r.is_empty().then_some(row)
    }

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_u64(self.id.0);
        out.put_varint(self.created.0);
        out.put_u8(match self.ack {
            None => 0,
            Some(Ack::Primary) => 1,
            Some(Ack::Quorum) => 2,
            Some(Ack::All) => 3,
        });
        out.put_bytes(self.owner.as_bytes());
        out.put_bytes(self.region.as_bytes());
        out.put_bytes(self.account.as_bytes());
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        let row = BucketRow::decode_first(r)?;
        Some(BucketRow { account: r.str()?.to_owned(), ..row })
    }
}

impl BucketRow {
    /// The fields of version 1.
    fn decode_first(r: &mut Reader<'_>) -> Option<Self> {
        let id = BucketId(r.u64()?);
        let created = Timestamp(r.varint()?);
        let ack = match r.u8()? {
            0 => None,
            1 => Some(Ack::Primary),
            2 => Some(Ack::Quorum),
            3 => Some(Ack::All),
            _ => return None,
        };
        let owner = r.str()?.to_owned();
        let region = r.str()?.to_owned();
        Some(BucketRow { id, created, ack, owner, account: String::new(), region })
    }
}

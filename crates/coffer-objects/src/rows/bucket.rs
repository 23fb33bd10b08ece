//! Buckets.

use coffer_base::wire::{Put, Reader};
use coffer_base::{Ack, BucketId, Timestamp};

use super::Row;
use crate::types::{Bucket, Versioning};

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
    pub versioning: Versioning,
}

impl BucketRow {
    /// What callers see.
    pub(crate) fn bucket(self, name: String) -> Bucket {
        let BucketRow { id, created, ack, owner, account, region, versioning } = self;
        Bucket { name, id, owner, account, region, created, ack, versioning }
    }
}

/// The version of rows that end with the state of versioning.
const WITH_VERSIONING: u8 = 3;
const ENABLED: u8 = 1;
const SUSPENDED: u8 = 2;

impl Row for BucketRow {
    const NAME: &'static str = "bucket";
    const VERSION: u8 = 2;
    const NEWEST: u8 = 3;

    fn encode(&self) -> Vec<u8> {
        let version = match self.versioning {
            Versioning::Never => Self::VERSION,
            Versioning::Enabled | Versioning::Suspended => WITH_VERSIONING,
        };
        let mut out = vec![version];
        self.encode_fields(&mut out);
        match self.versioning {
            Versioning::Never => {}
            Versioning::Enabled => out.put_u8(ENABLED),
            Versioning::Suspended => out.put_u8(SUSPENDED),
        }
        out
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let mut r = Reader::new(value);
        let row = match r.u8()? {
            // Before stores had several accounts.
            1 => BucketRow::decode_first(&mut r)?,
            Self::VERSION => Self::decode_fields(&mut r)?,
            WITH_VERSIONING => {
                let row = Self::decode_fields(&mut r)?;
                let versioning = match r.u8()? {
                    ENABLED => Versioning::Enabled,
                    SUSPENDED => Versioning::Suspended,
                    _ => return None,
                };
                BucketRow { versioning, ..row }
            }
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
        let (account, versioning) = (String::new(), Versioning::Never);
        Some(BucketRow { id, created, ack, owner, account, region, versioning })
    }
}

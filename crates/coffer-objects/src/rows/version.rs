//! Versions that are not the current object of their key: objects, and delete markers.

use coffer_base::wire::{Put, Reader};
use coffer_base::{ObjectId, Timestamp};

use super::Row;
use super::head::{HeadRow, VersionTag};

const OBJECT: u8 = 1;
const MARKER: u8 = 2;

/// `V` bucket key !sequence.
#[expect(clippy::large_enum_variant, reason = "most are objects")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VersionRow {
    /// As it stood when it was the current one.
    Object(HeadRow),
    Marker(MarkerRow),
}

/// A delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MarkerRow {
    pub is_null: bool,
    /// Of the marker itself.
    pub object_id: ObjectId,
    pub modified: Timestamp,
}

impl VersionRow {
    /// The tag of the version at `sequence`; `None` if the row says that it is another.
    pub(crate) fn tag(&self, sequence: u64) -> Option<VersionTag> {
        match self {
            VersionRow::Object(head) => {
                Some(head.version).filter(|version| version.sequence == sequence)
            }
            VersionRow::Marker(marker) => Some(VersionTag { sequence, is_null: marker.is_null }),
        }
    }

    pub(crate) fn object_id(&self) -> ObjectId {
        match self {
            VersionRow::Object(head) => head.object_id,
            VersionRow::Marker(marker) => marker.object_id,
        }
    }
}

impl Row for VersionRow {
    const NAME: &'static str = "version";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        match self {
            VersionRow::Object(head) => {
                out.put_u8(OBJECT);
                out.extend_from_slice(&head.encode());
            }
            VersionRow::Marker(marker) => {
                out.put_u8(MARKER);
                out.put_u8(VersionTag { sequence: 0, is_null: marker.is_null }.flags());
                out.put_u128(marker.object_id.0);
                out.put_varint(marker.modified.0);
            }
        }
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        match r.u8()? {
            OBJECT => {
                let head = HeadRow::decode(r.rest())?;
                r.take(r.rest().len())?;
                Some(VersionRow::Object(head))
            }
            MARKER => Some(VersionRow::Marker(MarkerRow {
                is_null: VersionTag::is_null(r.u8()?)?,
                object_id: ObjectId(r.u128()?),
                modified: Timestamp(r.varint()?),
            })),
            _ => None,
        }
    }
}

/// `N` bucket key: which of the versions that are not the current object is the null one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NullRow {
    pub sequence: u64,
}

impl Row for NullRow {
    const NAME: &'static str = "null version";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_u64(self.sequence);
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        Some(NullRow { sequence: r.u64()? })
    }
}

//! Blobs: the manifest that says where the bytes are, and the owners that keep it alive.

use std::collections::BTreeMap;
use std::ops::Range;

use coffer_base::wire::{Put, Reader};
use coffer_base::{ObjectId, SegmentId};
use coffer_log::Extent;

use super::{Row, checksum};
use crate::types::Checksum;

/// A manifest whose encoding is longer than this is kept in the log, not in its row.
pub(crate) const MANIFEST_ROW_BYTES_MAX: usize = 32 << 10;
/// Up to this it is a payload of the commit lane, beyond it is in bulk rows.
pub(crate) const MANIFEST_PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// One part of a blob: the whole of an object that was put, or a part of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlobPart {
    pub size: u64,
    /// Of multipart uploads.
    pub checksum: Option<Checksum>,
    pub extents: Vec<Extent>,
}

/// Where the bytes of a blob are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub parts: Vec<BlobPart>,
}

impl Manifest {
    /// Bytes of the blob.
    pub(crate) fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }

    /// All extents in the order of the bytes.
    pub(crate) fn extents(&self) -> impl Iterator<Item = &Extent> {
        self.parts.iter().flat_map(|part| &part.extents)
    }

    /// The part of this number, counting from 1, and the bytes of the blob that it is.
    pub(crate) fn part(&self, number: u32) -> Option<(Range<u64>, &BlobPart)> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        let part = self.parts.get(index)?;
        let start: u64 = self.parts[..index].iter().map(|part| part.size).sum();
        Some((start..start + part.size, part))
    }

    /// The encoding: number of parts, and for each its size, checksum and extents.
    pub(crate) fn encode_parts(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_varint(self.parts.len() as u64);
        for part in &self.parts {
            out.put_varint(part.size);
            checksum::encode_optional(part.checksum.as_ref(), &mut out);
            encode_extents(&part.extents, &mut out);
        }
        out
    }

    /// Reads all of `bytes`.
    pub(crate) fn decode_parts(bytes: &[u8]) -> Option<Manifest> {
        let mut r = Reader::new(bytes);
        let count = counted(&mut r)?;
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            let size = r.varint()?;
            let checksum = checksum::decode_optional(&mut r)?;
            let extents = decode_extents(&mut r)?;
            let held = extents.iter().try_fold(0u64, |sum, e| sum.checked_add(e.len))?;
            if held != size {
                return None;
            }
            parts.push(BlobPart { size, checksum, extents });
        }
        parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.size))?;
        r.is_empty().then_some(Manifest { parts })
    }
}

/// A count of things that take a byte each at least, so that a lying one can't reserve memory.
fn counted(r: &mut Reader<'_>) -> Option<usize> {
    let count = usize::try_from(r.varint()?).ok()?;
    (count <= r.rest().len()).then_some(count)
}

pub(crate) fn encode_extents(extents: &[Extent], out: &mut Vec<u8>) {
    out.put_varint(extents.len() as u64);
    extents.iter().for_each(|extent| extent.encode(out));
}

pub(crate) fn decode_extents(r: &mut Reader<'_>) -> Option<Vec<Extent>> {
    let count = counted(r)?;
    (0..count).map(|_| Extent::decode(r)).collect()
}

/// Bytes of `extents` by segment.
pub(crate) fn bytes_by_segment<'a>(
    extents: impl IntoIterator<Item = &'a Extent>,
) -> BTreeMap<SegmentId, i64> {
    let mut bytes = BTreeMap::new();
    add_bytes_by_segment(extents, &mut bytes);
    bytes
}

/// Adds the bytes of `extents` to those of their segments.
pub(crate) fn add_bytes_by_segment<'a>(
    extents: impl IntoIterator<Item = &'a Extent>,
    bytes: &mut BTreeMap<SegmentId, i64>,
) {
    for extent in extents {
        *bytes.entry(extent.segment).or_insert(0) += extent.len as i64;
    }
}

/// `M` blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ManifestRow {
    /// The manifest itself.
    Here(Manifest),
    /// Payloads in the commit lane, or bulk rows, which together are its encoding.
    InLog(Vec<Extent>),
}

impl Row for ManifestRow {
    const NAME: &'static str = "manifest";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        match self {
            ManifestRow::Here(manifest) => {
                out.put_u8(0);
                out.put_bytes(&manifest.encode_parts());
            }
            ManifestRow::InLog(extents) => {
                out.put_u8(1);
                encode_extents(extents, out);
            }
        }
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        match r.u8()? {
            0 => Manifest::decode_parts(r.bytes()?).map(ManifestRow::Here),
            1 => decode_extents(r).map(ManifestRow::InLog),
            _ => None,
        }
    }
}

/// `R` blob bucket key: a head that the blob lives for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnerRow {
    /// The version of that head.
    pub object_id: ObjectId,
}

impl Row for OwnerRow {
    const NAME: &'static str = "owner";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_u128(self.object_id.0);
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        Some(OwnerRow { object_id: ObjectId(r.u128()?) })
    }
}

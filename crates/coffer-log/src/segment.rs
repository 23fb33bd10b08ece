//! A segment: what its files are called, their header, and the table of all segments.
//!
//! `docs/formats/segments.md` has the bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use coffer_base::buffer::align_up;
use coffer_base::checksum::{checksum, place_seed};
use coffer_base::drive::DriveFile;
use coffer_base::wire::{Put, Reader};
use coffer_base::{DriveId, Position, SegmentId, StoreId};

use crate::geometry::{DRIVES_MAX, Geometry};
use crate::mark::Chain;

/// Bytes that one checksum covers in a cell.
pub(crate) const BLOCK_BYTES: usize = 64 << 10;
/// Length of the header of copies and bulk files.
pub(crate) const HEADER_BYTES: u64 = 4096;

const MAGIC: &[u8; 8] = b"COFFERSG";
const VERSION: u16 = 1;

/// What a file of a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FileKind {
    /// A whole copy of a commit segment that is not sealed yet.
    Copy,
    /// One cell of a sealed commit segment.
    Cell,
    /// One cell of each row of a bulk segment.
    Bulk,
}

impl FileKind {
    fn code(self) -> u8 {
        match self {
            FileKind::Copy => 1,
            FileKind::Cell => 2,
            FileKind::Bulk => 3,
        }
    }

    /// The name of such a file of `segment`.
    pub fn file_name(self, segment: SegmentId) -> String {
        match self {
            FileKind::Copy => format!("commit-{segment}.copy"),
            FileKind::Cell => format!("commit-{segment}.cell"),
            FileKind::Bulk => format!("bulk-{segment}.cell"),
        }
    }

    /// Reads a name that [`FileKind::file_name`] made.
    pub fn parse_name(name: &str) -> Option<(FileKind, SegmentId)> {
        let (kind, hex) = if let Some(rest) = name.strip_prefix("bulk-") {
            (FileKind::Bulk, rest.strip_suffix(".cell")?)
        } else {
            let rest = name.strip_prefix("commit-")?;
            match rest.strip_suffix(".copy") {
                Some(hex) => (FileKind::Copy, hex),
                None => (FileKind::Cell, rest.strip_suffix(".cell")?),
            }
        };
        if hex.len() != 16 || hex.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        Some((kind, SegmentId(u64::from_str_radix(hex, 16).ok()?)))
    }
}

/// Whether a file of this name in a data directory is one of a segment.
pub fn is_segment_name(name: &str) -> bool {
    FileKind::parse_name(name).is_some()
}

/// What the header of a sealed commit segment adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Bytes in each cell; a multiple of 4 KiB.
    pub cell_bytes: u64,
    /// Bytes of body that the cells hold together.
    pub body_bytes: u64,
    /// Position of the first group.
    pub first: Position,
    /// Position of the last group.
    pub last: Position,
    /// The chain before the first group.
    pub chain_before: Chain,
    /// The chain after the last group.
    pub chain_after: Chain,
    /// Checksums of all cells, one per [`BLOCK_BYTES`]: cell 0's, cell 1's, …
    pub blocks: Vec<u64>,
}

impl Sealed {
    /// Checksummed blocks per cell.
    pub fn blocks_per_cell(&self) -> usize {
        (self.cell_bytes as usize).div_ceil(BLOCK_BYTES)
    }
}

/// The header at the start of each file of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub kind: FileKind,
    pub store: StoreId,
    pub segment: SegmentId,
    pub geometry: Geometry,
    /// Which member's file this is.
    pub index: u8,
    /// Copies: `m + 1` drives. Cells and bulk: `k + m` drives in cell order.
    pub members: Vec<DriveId>,
    /// For [`FileKind::Cell`] only.
    pub sealed: Option<Sealed>,
}

impl Header {
    /// The bytes, padded to a multiple of 4 KiB: length u32 (of all), then the fields, then
    /// zeros, and the checksum of everything before it in the last 8 bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.put_u32(0);
        out.put_u16(VERSION);
        out.put_u8(self.kind.code());
        out.put_u8(self.geometry.k);
        out.put_u8(self.geometry.m);
        out.put_u8(self.index);
        out.put_u128(self.store.0);
        out.put_u64(self.segment.0);
        out.put_u8(self.members.len() as u8);
        for member in &self.members {
            out.put_u128(member.0);
        }
        if let Some(sealed) = &self.sealed {
            out.put_u64(sealed.cell_bytes);
            out.put_u64(sealed.body_bytes);
            out.put_u64(sealed.first.0);
            out.put_u64(sealed.last.0);
            out.extend_from_slice(&sealed.chain_before.0);
            out.extend_from_slice(&sealed.chain_after.0);
            for block in &sealed.blocks {
                out.put_u64(*block);
            }
        }
        let total = align_up(out.len() as u64 + 8) as usize;
        out.resize(total - 8, 0);
        out[8..12].copy_from_slice(&(total as u32).to_le_bytes());
        let sum = checksum(Self::seed(self.store, self.segment, self.index), &out);
        out.put_u64(sum);
        out
    }

    /// How long the whole header is, from its first 12 bytes.
    pub fn total_bytes(start: &[u8]) -> Option<u64> {
        let mut r = Reader::new(start);
        if r.take(8)? != MAGIC {
            return None;
        }
        let total = u64::from(r.u32()?);
        // 24 cells of 64 MiB have 192 KiB of checksums.
        ((HEADER_BYTES..=64 << 20).contains(&total) && total % HEADER_BYTES == 0).then_some(total)
    }

    /// Reads a whole header; `None` when it is not one, or damaged.
    pub fn decode(bytes: &[u8]) -> Option<Header> {
        if Self::total_bytes(bytes)? != bytes.len() as u64 {
            return None;
        }
        let (body, sum) = bytes.split_at(bytes.len() - 8);
        let mut r = Reader::new(&body[12..]);
        if r.u16()? != VERSION {
            return None;
        }
        let kind = match r.u8()? {
            1 => FileKind::Copy,
            2 => FileKind::Cell,
            3 => FileKind::Bulk,
            _ => return None,
        };
        let geometry = Geometry { k: r.u8()?, m: r.u8()? };
        let index = r.u8()?;
        let store = StoreId(r.u128()?);
        let segment = SegmentId(r.u64()?);
        let sum = u64::from_le_bytes(sum.try_into().ok()?);
        if checksum(Self::seed(store, segment, index), body) != sum {
            return None;
        }
        let count = usize::from(r.u8()?);
        let wanted = match kind {
            FileKind::Copy => geometry.copies(),
            FileKind::Cell | FileKind::Bulk => geometry.cells(),
        };
        if geometry.k == 0 || count != wanted || count > DRIVES_MAX || usize::from(index) >= count {
            return None;
        }
        let members =
            (0..count).map(|_| r.u128().map(DriveId)).collect::<Option<Vec<DriveId>>>()?;
        let sealed = match kind {
            FileKind::Cell => Some(Self::decode_sealed(&mut r, geometry)?),
            FileKind::Copy | FileKind::Bulk => None,
        };
        Some(Header { kind, store, segment, geometry, index, members, sealed })
    }

    /// The version of a header that a newer program wrote; `None` for anything else. Every version
    /// keeps the fields up to the segment and the checksum where they are.
    pub fn newer_version(bytes: &[u8]) -> Option<u16> {
        if Self::total_bytes(bytes)? != bytes.len() as u64 {
            return None;
        }
        let (body, sum) = bytes.split_last_chunk::<8>()?;
        let mut r = Reader::new(&body[12..]);
        let version = r.u16()?;
        r.take(3)?;
        let index = r.u8()?;
        let store = StoreId(r.u128()?);
        let segment = SegmentId(r.u64()?);
        let right = checksum(Self::seed(store, segment, index), body) == u64::from_le_bytes(*sum);
        (version > VERSION && right).then_some(version)
    }

    fn decode_sealed(r: &mut Reader<'_>, geometry: Geometry) -> Option<Sealed> {
        let mut sealed = Sealed {
            cell_bytes: r.u64()?,
            body_bytes: r.u64()?,
            first: Position(r.u64()?),
            last: Position(r.u64()?),
            chain_before: Chain(r.take(16)?.try_into().ok()?),
            chain_after: Chain(r.take(16)?.try_into().ok()?),
            blocks: Vec::new(),
        };
        if sealed.cell_bytes > 1 << 40
            || sealed.body_bytes > sealed.cell_bytes * u64::from(geometry.k)
        {
            return None;
        }
        let blocks = sealed.blocks_per_cell() * geometry.cells();
        if r.rest().len() < blocks * 8 {
            return None;
        }
        sealed.blocks = (0..blocks).map(|_| r.u64()).collect::<Option<Vec<u64>>>()?;
        Some(sealed)
    }

    fn seed(store: StoreId, segment: SegmentId, index: u8) -> u64 {
        place_seed(store, segment, 0x100 + u32::from(index), 0)
    }
}

/// Where the bytes of a segment are now. Never changes: sealing puts a new `Segment` into the
/// table, and who holds the old one goes on reading from its open files.
#[derive(Clone)]
pub(crate) enum Layout {
    /// Whole copies, in the open files of drives.
    Copies(Vec<(DriveId, Arc<dyn DriveFile>)>),
    /// One file a member; the body is cut into `k` equal cells.
    Cells {
        geometry: Geometry,
        members: Vec<DriveId>,
        /// Length of the file header, after which the cell starts.
        header_bytes: u64,
        cell_bytes: u64,
        body_bytes: u64,
        last: Position,
        chain_after: Chain,
    },
    /// Rows of cells at the same offset in each member's file.
    Bulk { geometry: Geometry, members: Vec<DriveId> },
}

/// One segment.
#[derive(Clone)]
pub(crate) struct Segment {
    pub id: SegmentId,
    pub layout: Layout,
}

/// All segments, by id; commit segments in id order are history.
#[derive(Default)]
pub(crate) struct SegmentTable(RwLock<BTreeMap<SegmentId, Arc<Segment>>>);

impl SegmentTable {
    pub fn get(&self, id: SegmentId) -> Option<Arc<Segment>> {
        self.0.read().expect("no holder panics").get(&id).cloned()
    }

    pub fn insert(&self, segment: Segment) {
        self.0.write().expect("no holder panics").insert(segment.id, Arc::new(segment));
    }

    pub fn remove(&self, id: SegmentId) {
        self.0.write().expect("no holder panics").remove(&id);
    }

    /// All segments in id order.
    pub fn all(&self) -> Vec<Arc<Segment>> {
        self.0.read().expect("no holder panics").values().cloned().collect()
    }
}

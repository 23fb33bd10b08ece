//! A commit group: what is appended and synced at once. `docs/formats/commit-lane.md` has the
//! bytes.

use coffer_base::buffer::align_up;
use coffer_base::checksum::{checksum, place_seed};
use coffer_base::wire::{Put, Reader};
use coffer_base::{Position, SegmentId, StoreId, Timestamp};

use crate::extent::Extent;
use crate::mark::Chain;

/// Length of a group's header.
pub(crate) const GROUP_HEADER_BYTES: usize = 80;
/// Length of an item's header.
pub(crate) const ITEM_HEADER_BYTES: usize = 16;

const MAGIC: u32 = u32::from_le_bytes(*b"CGRP");
const VERSION: u16 = 1;
const ITEM_PAYLOAD: u8 = 1;
const ITEM_RECORD: u8 = 2;
/// Seed lanes within a commit segment.
const LANE_GROUP: u32 = 0;
const LANE_ITEM: u32 = 1;

/// A group being built in memory. Dropping it means that nothing happened.
pub struct Group {
    store: StoreId,
    segment: SegmentId,
    /// Where the group's header will stand in the segment's body.
    offset: u64,
    position: Position,
    chain_before: Chain,
    room: usize,
    items: u32,
    /// Header (zero until sealed) and items.
    bytes: Vec<u8>,
}

impl Group {
    pub(crate) fn new(
        store: StoreId,
        segment: SegmentId,
        offset: u64,
        position: Position,
        chain_before: Chain,
        room: usize,
    ) -> Self {
        // Room for the padding too: nothing is copied again.
        let mut bytes = Vec::with_capacity(align_up((GROUP_HEADER_BYTES + room) as u64) as usize);
        bytes.resize(GROUP_HEADER_BYTES, 0);
        Self { store, segment, offset, position, chain_before, room, items: 0, bytes }
    }

    /// Bytes that an item of `len` bytes takes.
    pub const fn item_bytes(len: usize) -> usize {
        ITEM_HEADER_BYTES + len
    }

    fn item(&mut self, kind: u8, data: &[u8]) -> (u64, u64) {
        assert!(
            Self::item_bytes(data.len()) <= self.room_left(),
            "an item of {} bytes does not fit in {} of a group",
            data.len(),
            self.room_left()
        );
        let at = self.offset + (self.bytes.len() + ITEM_HEADER_BYTES) as u64;
        let sum = checksum(place_seed(self.store, self.segment, LANE_ITEM, at), data);
        self.bytes.put_u8(kind);
        self.bytes.extend_from_slice(&[0; 3]);
        self.bytes.put_u32(data.len() as u32);
        self.bytes.put_u64(sum);
        self.bytes.extend_from_slice(data);
        self.items += 1;
        (at, sum)
    }

    /// Appends a payload; its address is final at once.
    pub fn payload(&mut self, data: &[u8]) -> Extent {
        let (offset, checksum) = self.item(ITEM_PAYLOAD, data);
        Extent { segment: self.segment, offset, len: data.len() as u64, row_bytes: 0, checksum }
    }

    /// Appends a record; replay hands it back in order.
    pub fn record(&mut self, data: &[u8]) {
        self.item(ITEM_RECORD, data);
    }

    /// Body bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len() - GROUP_HEADER_BYTES
    }

    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Body bytes that still fit, item headers included.
    pub fn room_left(&self) -> usize {
        self.room - self.len()
    }

    /// The position that the group will have.
    pub fn position(&self) -> Position {
        self.position
    }

    /// A point to return to with [`Group::roll_back`].
    pub fn savepoint(&self) -> Savepoint {
        Savepoint { len: self.bytes.len(), items: self.items }
    }

    /// Takes back all that was appended since `savepoint`.
    pub fn roll_back(&mut self, savepoint: Savepoint) {
        self.bytes.truncate(savepoint.len);
        self.items = savepoint.items;
    }

    pub(crate) fn segment(&self) -> SegmentId {
        self.segment
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Finishes the bytes, padded to 4 KiB, and gives the chain after the group.
    pub(crate) fn seal(mut self, now: Timestamp) -> (Vec<u8>, Chain) {
        let body_len = self.len() as u32;
        let mut header = Vec::with_capacity(GROUP_HEADER_BYTES);
        header.put_u32(MAGIC);
        header.put_u16(VERSION);
        header.put_u16(0);
        header.put_u64(self.segment.0);
        header.put_u64(self.offset);
        header.put_u64(self.position.0);
        header.put_u64(now.0);
        header.put_u32(body_len);
        header.put_u32(self.items);
        header.extend_from_slice(&self.chain_before.0);
        header.put_u64(0);
        header.resize(GROUP_HEADER_BYTES - 8, 0);
        self.bytes[..header.len()].copy_from_slice(&header);
        let sum = group_checksum(self.store, self.segment, self.offset, &self.bytes);
        self.bytes[GROUP_HEADER_BYTES - 8..GROUP_HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
        let chain = self.chain_before.extend(&self.bytes[..GROUP_HEADER_BYTES]);
        let padded = align_up(self.bytes.len() as u64) as usize;
        self.bytes.resize(padded, 0);
        (self.bytes, chain)
    }
}

/// A point in a group under construction.
#[derive(Clone, Copy, Debug)]
pub struct Savepoint {
    len: usize,
    items: u32,
}

/// Over header and body with the checksum field left out.
fn group_checksum(store: StoreId, segment: SegmentId, offset: u64, bytes: &[u8]) -> u64 {
    let seed = place_seed(store, segment, LANE_GROUP, offset);
    let header = checksum(seed, &bytes[..GROUP_HEADER_BYTES - 8]);
    checksum(header, &bytes[GROUP_HEADER_BYTES..])
}

/// The header of a group that was read, not verified yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupHeader {
    pub position: Position,
    pub time: Timestamp,
    body_len: u32,
    items: u32,
    pub chain_before: Chain,
    sum: u64,
}

impl GroupHeader {
    /// Reads the header of the group that must stand at `offset` of `segment`.
    pub fn decode(bytes: &[u8], segment: SegmentId, offset: u64) -> Option<GroupHeader> {
        let mut r = Reader::new(bytes.get(..GROUP_HEADER_BYTES)?);
        if r.u32()? != MAGIC || r.u16()? != VERSION {
            return None;
        }
        r.u16()?;
        if r.u64()? != segment.0 || r.u64()? != offset {
            return None;
        }
        let position = Position(r.u64()?);
        let time = Timestamp(r.u64()?);
        let body_len = r.u32()?;
        let items = r.u32()?;
        let chain_before = Chain(r.take(16)?.try_into().ok()?);
        r.u64()?;
        let sum = r.u64()?;
        Some(GroupHeader { position, time, body_len, items, chain_before, sum })
    }

    /// The version of the group at `offset` of `segment`, if a newer program wrote it. Every
    /// version begins with the same fields.
    pub fn newer_version(bytes: &[u8], segment: SegmentId, offset: u64) -> Option<u16> {
        let mut r = Reader::new(bytes);
        let (magic, version) = (r.u32()?, r.u16()?);
        r.u16()?;
        let here = r.u64()? == segment.0 && r.u64()? == offset;
        (magic == MAGIC && version > VERSION && here).then_some(version)
    }

    /// Header and body.
    pub fn group_bytes(&self) -> u64 {
        GROUP_HEADER_BYTES as u64 + u64::from(self.body_len)
    }

    /// Header, body and padding.
    pub fn padded_bytes(&self) -> u64 {
        align_up(self.group_bytes())
    }

    /// Whether `bytes` (header and body) are what was written there.
    pub fn verify(&self, store: StoreId, segment: SegmentId, offset: u64, bytes: &[u8]) -> bool {
        bytes.len() as u64 == self.group_bytes()
            && group_checksum(store, segment, offset, bytes) == self.sum
    }

    /// The chain after this group.
    pub fn chain_after(&self, bytes: &[u8]) -> Chain {
        self.chain_before.extend(&bytes[..GROUP_HEADER_BYTES])
    }

    /// The records of a verified group, in order; `None` when the items do not add up.
    pub fn records<'a>(&self, bytes: &'a [u8]) -> Option<Vec<&'a [u8]>> {
        let mut records = Vec::new();
        let mut r = Reader::new(&bytes[GROUP_HEADER_BYTES..]);
        for _ in 0..self.items {
            let kind = r.u8()?;
            r.take(3)?;
            let len = r.u32()?;
            r.u64()?;
            let data = r.take(len as usize)?;
            match kind {
                ITEM_PAYLOAD => {}
                ITEM_RECORD => records.push(data),
                _ => return None,
            }
        }
        r.is_empty().then_some(records)
    }
}

/// Whether `data` is the item that was written at this place.
pub(crate) fn verify_item(store: StoreId, extent: &Extent, data: &[u8]) -> bool {
    checksum(place_seed(store, extent.segment, LANE_ITEM, extent.offset), data) == extent.checksum
}

//! The superblock of a drive: which store, set and slot it is, the membership of the set, and the
//! last recovery decision. Two files are written in turn, so that one is always whole.
//!
//! `docs/formats/superblock.md` has the bytes.

use std::io;

use coffer_base::checksum::checksum;
use coffer_base::drive::{Access, Drive};
use coffer_base::wire::{Put, Reader};
use coffer_base::{DriveId, EpochId, Position, StoreId, Timestamp};

use crate::extent::Extent;
use crate::geometry::{DRIVES_MAX, Geometry};
use crate::mark::{Chain, Mark};
use crate::set::DriveState;

/// The two files; generation `g` goes to `NAMES[g % 2]`.
pub(crate) const NAMES: [&str; 2] = ["super.a", "super.b"];

const MAGIC: &[u8; 8] = b"COFFERSB";
/// The version this program writes; it reads all up to it.
pub(crate) const VERSION: u16 = 2;
const BYTES: usize = 4096;
const SEED: u64 = 0x5355_5045_5242_4c4b;
/// Epochs a superblock remembers; a drive that was away for longer can't prove its ancestry.
const ANCESTRY_MAX: usize = 100;

/// Where the count in [`Member::replaced`] begins.
pub(crate) const REPLACED_SHIFT: u32 = 16;

/// The bit in the state of a member that is not active.
const UNSETTLED: u8 = 0x80;

/// The longest reason that is kept of why a drive went …
const WHY_BYTES_MAX: usize = 120;
/// … and what all of them may take together.
const WHYS_BYTES_MAX: usize = 1000;

/// One place in the set, and what is recorded of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub id: DriveId,
    pub state: DriveState,
    /// Which of the drives that had the place: above [`REPLACED_SHIFT`] how many times an empty one
    /// was put there, below it a random number, since the first try may have come to nothing. What
    /// another one has is not part of the set.
    pub replaced: u32,
    /// Since when it is not active; 0: not known.
    pub since: Timestamp,
    /// Why it is not active.
    pub why: String,
    /// It is not active, and groups that it has a copy of may have too few without it: they were
    /// not sealed yet when this was recorded.
    pub unsettled: bool,
}

impl Member {
    pub fn active(id: DriveId) -> Self {
        let (since, why) = (Timestamp(0), String::new());
        Self { id, state: DriveState::Active, replaced: 0, since, why, unsettled: false }
    }

    pub fn is_active(&self) -> bool {
        self.state == DriveState::Active
    }

    /// Whether it may have groups of which the others have too few copies.
    pub fn is_needed(&self) -> bool {
        self.is_active() || self.unsettled
    }
}

/// One life of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub number: u32,
    pub id: EpochId,
}

/// Where the catalog's last checkpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The point of history that it is true for.
    pub mark: Mark,
    /// The bytes of its root; at most [`Checkpoint::EXTENTS_MAX`].
    pub extents: Vec<Extent>,
}

impl Checkpoint {
    /// The pieces of a root that a superblock has room for.
    pub const EXTENTS_MAX: usize = 16;
}

/// What a superblock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub store: StoreId,
    pub drive: DriveId,
    /// Grows with every write; over all drives the newest (epoch, generation) is right.
    pub generation: u64,
    /// False until every drive of a new set has a superblock: nothing was stored yet.
    pub formatted: bool,
    /// An empty drive that is to take a place in the set, which is not recorded on the others
    /// yet: it says what for, and nothing else that it says counts.
    pub joining: bool,
    /// Every drive that is called active had this epoch before this was recorded: whichever lacks
    /// it is an older copy of itself, and the epoch counts.
    pub complete: bool,
    /// When it was recorded, by the clock of then; 0: not known.
    pub recorded: Timestamp,
    pub geometry: Geometry,
    pub created: Timestamp,
    pub epoch: Epoch,
    /// Where history ended when the epoch began: what earlier epochs wrote beyond is dead.
    pub decided: (Position, Chain),
    /// An operator forced this epoch without a majority.
    pub forced: bool,
    /// The epochs before, newest first, each with the position where history ended when it began.
    pub ancestry: Vec<(Epoch, Position)>,
    /// The set, in slot order.
    pub members: Vec<Member>,
    pub checkpoint: Option<Checkpoint>,
}

/// What reading a drive's superblocks found.
pub(crate) enum Found {
    /// At least one is valid.
    Valid(Box<Slots>),
    /// No superblock file at all.
    None,
    /// Written by a newer program.
    Newer(u16),
    /// Files are there, but neither is valid.
    Damaged,
}

/// The superblocks of a drive of which one at least is valid.
pub(crate) struct Slots {
    pub newest: Superblock,
    /// The other one, if it is valid, too.
    pub older: Option<Superblock>,
    /// The names of those that are damaged or gone.
    pub bad: Vec<&'static str>,
}

impl Superblock {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.put_u16(VERSION);
        out.put_u128(self.store.0);
        out.put_u128(self.drive.0);
        out.put_u64(self.generation);
        out.put_u8(match (self.formatted, self.joining) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        });
        out.put_u8(self.geometry.k);
        out.put_u8(self.geometry.m);
        out.put_u64(self.created.0);
        put_epoch(&mut out, self.epoch);
        out.put_u64(self.decided.0.0);
        out.extend_from_slice(&self.decided.1.0);
        out.put_u8(u8::from(self.forced) | u8::from(self.complete) << 1);
        out.put_u64(self.recorded.0);
        out.put_u8(self.members.len() as u8);
        let away = self.members.iter().filter(|member| !member.is_active()).count();
        let why_bytes_max = WHY_BYTES_MAX.min(WHYS_BYTES_MAX / away.max(1));
        for member in &self.members {
            out.put_u128(member.id.0);
            let state = match member.state {
                DriveState::Active => 0,
                DriveState::Lost => 1,
                DriveState::Fenced => 2,
            };
            let is_unsettled = member.unsettled && !member.is_active();
            out.put_u8(state | if is_unsettled { UNSETTLED } else { 0 });
            out.put_u32(member.replaced);
            if !member.is_active() {
                out.put_u64(member.since.0);
                let why = short(&member.why, why_bytes_max);
                out.put_u8(why.len() as u8);
                out.extend_from_slice(why.as_bytes());
            }
        }
        match &self.checkpoint {
            None => out.put_u8(0),
            Some(root) => {
                out.put_u8(1);
                root.mark.encode(&mut out);
                out.put_u8(root.extents.len() as u8);
                for extent in &root.extents {
                    extent.encode(&mut out);
                }
            }
        }
        let room = (BYTES - 8 - out.len() - 1) / 28;
        let kept = &self.ancestry[..self.ancestry.len().min(ANCESTRY_MAX).min(room)];
        out.put_u8(kept.len() as u8);
        for (epoch, decided) in kept {
            put_epoch(&mut out, *epoch);
            out.put_u64(decided.0);
        }
        assert!(out.len() <= BYTES - 8, "a superblock of {} bytes does not fit", out.len());
        out.resize(BYTES - 8, 0);
        let sum = checksum(SEED, &out);
        out.put_u64(sum);
        out
    }

    /// `None` when the bytes are not a valid superblock of this version or an older one.
    pub fn decode(bytes: &[u8]) -> Option<Superblock> {
        if !is_whole(bytes) {
            return None;
        }
        let mut r = Reader::new(&bytes[..BYTES - 8]);
        if r.take(8)? != MAGIC {
            return None;
        }
        let version = r.u16()?;
        if !(1..=VERSION).contains(&version) {
            return None;
        }
        let store = StoreId(r.u128()?);
        let drive = DriveId(r.u128()?);
        let generation = r.u64()?;
        let (formatted, joining) = match r.u8()? {
            0 => (false, false),
            2 if version >= 2 => (true, true),
            _ => (true, false),
        };
        let geometry = Geometry { k: r.u8()?, m: r.u8()? };
        let created = Timestamp(r.u64()?);
        let epoch = take_epoch(&mut r)?;
        let decided = (Position(r.u64()?), Chain(r.take(16)?.try_into().ok()?));
        let flags = r.u8()?;
        let (forced, complete) = (flags & 1 != 0, flags & 2 != 0);
        let recorded = if version >= 2 { Timestamp(r.u64()?) } else { Timestamp(0) };
        let count = usize::from(r.u8()?);
        if geometry.k == 0 || count != geometry.cells() || count > DRIVES_MAX {
            return None;
        }
        let mut members = Vec::with_capacity(count);
        for _ in 0..count {
            members.push(take_member(&mut r, version)?);
        }
        let checkpoint = match r.u8()? {
            0 => None,
            _ => {
                let mark = Mark::decode(&mut r)?;
                let extents = (0..r.u8()?)
                    .map(|_| Extent::decode(&mut r))
                    .collect::<Option<Vec<Extent>>>()?;
                Some(Checkpoint { mark, extents })
            }
        };
        let ancestry = (0..r.u8()?)
            .map(|_| Some((take_epoch(&mut r)?, Position(r.u64()?))))
            .collect::<Option<Vec<(Epoch, Position)>>>()?;
        Some(Superblock {
            store,
            drive,
            generation,
            formatted,
            joining,
            complete,
            recorded,
            geometry,
            created,
            epoch,
            decided,
            forced,
            ancestry,
            members,
            checkpoint,
        })
    }

    /// What is recorded of `id`, if it is a member.
    pub fn member(&self, id: DriveId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Which of the drives that had this place in the set it is of: 0 is the first.
    pub fn incarnation(&self) -> u32 {
        self.member(self.drive).map_or(0, |member| member.replaced)
    }

    /// Whether it is of a drive that was put in the place after the one that `recorded` is of.
    pub fn is_after(&self, recorded: &Member) -> bool {
        self.incarnation() >> REPLACED_SHIFT > recorded.replaced >> REPLACED_SHIFT
    }

    /// Whether `epoch` is its own or one before it.
    pub fn knows(&self, epoch: Epoch) -> bool {
        self.epoch == epoch || self.ancestry.iter().any(|(known, _)| *known == epoch)
    }

    /// Where the history of epoch `number` ended: what it wrote beyond is dead. `None` for the
    /// current epoch, whose end is not decided yet.
    pub fn bound_of(&self, number: u32) -> Option<Position> {
        let mut bound = (self.epoch.number > number).then_some(self.decided.0);
        for (epoch, decided) in &self.ancestry {
            // Later ends lie behind earlier ones, unless one was forced.
            if epoch.number > number {
                bound = bound.min(Some(*decided));
            }
        }
        bound
    }

    /// Reads the valid superblocks of a drive. One that can't be read is a damaged one, as long as
    /// the other is whole.
    pub fn read(drive: &dyn Drive) -> io::Result<Found> {
        let mut valid: Vec<Superblock> = Vec::new();
        let mut seen = false;
        let mut bad = Vec::new();
        let mut newer = None;
        let mut failed = None;
        for name in NAMES {
            let file = match drive.open(name, Access::Buffered) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    bad.push(name);
                    continue;
                }
                Err(e) => return Err(e),
            };
            seen = true;
            // What a crash left in the page cache only must not be believed and then lost.
            file.sync()?;
            let mut bytes = vec![0u8; BYTES];
            let n = match file.read_at(&mut bytes, 0) {
                Ok(n) => n,
                Err(e) => {
                    failed.get_or_insert(e);
                    bad.push(name);
                    continue;
                }
            };
            if let Some(version) = version_of(&bytes[..n])
                && version > VERSION
                && is_whole(&bytes[..n])
            {
                newer = Some(version);
            }
            match Superblock::decode(&bytes[..n]) {
                Some(superblock) => valid.push(superblock),
                None => bad.push(name),
            }
        }
        valid.sort_by_key(|superblock| superblock.generation);
        Ok(match (newer, valid.pop(), failed) {
            (Some(version), ..) => Found::Newer(version),
            (None, Some(newest), _) => {
                Found::Valid(Box::new(Slots { newest, older: valid.pop(), bad }))
            }
            (None, None, Some(e)) => return Err(e),
            (None, None, None) if seen => Found::Damaged,
            (None, None, None) => Found::None,
        })
    }

    /// Writes it durably over the less useful of the drive's two: a torn write leaves the other.
    /// That is the newest of an epoch that counts. One of an epoch that not all have yet does not,
    /// so it is never the parent's that goes for its sake.
    pub fn write(&self, drive: &dyn Drive) -> io::Result<()> {
        let mut kept = None;
        let mut failed = None;
        for (slot, name) in NAMES.iter().enumerate() {
            let mut bytes = vec![0u8; BYTES];
            let n = match drive.open(name, Access::Buffered) {
                // One that can't be read is the one to write over.
                Ok(file) => file.read_at(&mut bytes, 0),
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            match n {
                Ok(n) => {
                    let found = Superblock::decode(&bytes[..n]);
                    let of_parent = |s: &Superblock| {
                        !self.complete && s.epoch != self.epoch && self.knows(s.epoch)
                    };
                    kept = kept.max(found.map(|s| (of_parent(&s), s.generation, slot)));
                }
                Err(e) => failed = Some(e),
            }
        }
        let slot = match (kept, failed) {
            (Some((.., slot)), _) => 1 - slot,
            (None, None) => (self.generation % 2) as usize,
            (None, Some(e)) => return Err(e),
        };
        let name = NAMES[slot];
        let file = match drive.open(name, Access::Buffered) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let file = drive.create(name, Access::Buffered)?;
                coffer_base::failpoint::pass("superblock.created");
                file.write_at(&self.encode(), 0, false)?;
                coffer_base::failpoint::pass("superblock.new-written");
                file.sync()?;
                coffer_base::failpoint::pass("superblock.new-synced");
                drive.sync_dir()?;
                coffer_base::failpoint::pass("superblock.named");
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        coffer_base::failpoint::pass("superblock.before-write");
        file.write_at(&self.encode(), 0, false)?;
        coffer_base::failpoint::pass("superblock.written");
        file.sync()?;
        coffer_base::failpoint::pass("superblock.synced");
        Ok(())
    }
}

/// Whether the checksum is right. Every version keeps it in the last 8 of 4,096 bytes.
fn is_whole(bytes: &[u8]) -> bool {
    let Some((body, sum)) = bytes.split_last_chunk::<8>() else { return false };
    bytes.len() == BYTES && checksum(SEED, body) == u64::from_le_bytes(*sum)
}

fn version_of(bytes: &[u8]) -> Option<u16> {
    let mut r = Reader::new(bytes);
    (r.take(8)? == MAGIC).then_some(())?;
    r.u16()
}

fn put_epoch(out: &mut Vec<u8>, epoch: Epoch) {
    out.put_u32(epoch.number);
    out.put_u128(epoch.id.0);
}

fn take_epoch(r: &mut Reader<'_>) -> Option<Epoch> {
    Some(Epoch { number: r.u32()?, id: EpochId(r.u128()?) })
}

fn take_member(r: &mut Reader<'_>, version: u16) -> Option<Member> {
    let mut member = Member::active(DriveId(r.u128()?));
    let state = r.u8()?;
    member.unsettled = version >= 2 && state & UNSETTLED != 0;
    member.state = match if member.unsettled { state & !UNSETTLED } else { state } {
        0 => DriveState::Active,
        1 => DriveState::Lost,
        2 => DriveState::Fenced,
        _ => return None,
    };
    if version >= 2 {
        member.replaced = r.u32()?;
        if !member.is_active() {
            member.since = Timestamp(r.u64()?);
            let len = usize::from(r.u8()?);
            member.why = str::from_utf8(r.take(len)?).ok()?.to_owned();
        }
    }
    Some(member)
}

/// As much of `text` as fits, in whole characters.
fn short(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
pub(crate) use tests::encode_version_1;

#[cfg(test)]
mod tests;

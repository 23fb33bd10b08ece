//! Scrubbing the superblocks: both slots of each live drive.
//!
//! The newest is known to the running log. What the older slot held stands in those of the other
//! drives; where none has it, the slot gets the newest as well, which is as good: the next one
//! goes over either.

use std::io;

use coffer_base::drive::Drive;
use coffer_base::drive::queue::is_given_up;
use coffer_base::{AlignedBuf, DriveId, failpoint};

use super::failed::Failed;
use super::target::read_one;
use super::{Access, Outcome, Scrubber};
use crate::set::state_after;
use crate::superblock::{NAMES, Superblock};

/// What one slot of one drive holds.
struct Slot {
    member: DriveId,
    name: &'static str,
    is_missing: bool,
    /// `None`: it is not a superblock of this drive.
    valid: Option<Superblock>,
}

impl Slot {
    fn generation(&self) -> Option<u64> {
        self.valid.as_ref().map(|superblock| superblock.generation)
    }
}

/// How often it looks again when something was recorded meanwhile.
const LOOKS_MAX: usize = 3;

pub(super) fn scrub(scrubber: &mut Scrubber<'_>) {
    let inner = scrubber.inner;
    for _ in 0..LOOKS_MAX {
        // Not locked while drives are read: recording must not wait for that.
        let before = inner.supers.recorded().clone();
        let slots = read_slots(scrubber, &before);
        if (0..slots.len()).all(|at| wrong(&slots, at, &before).is_none()) {
            return;
        }
        let recorded = inner.supers.recorded();
        if recorded.generation != before.generation {
            continue;
        }
        // After a recording that failed half way some drives know of a state that the log does
        // not. Compared as they are written, since that keeps less than memory has.
        let is_as_recorded = |superblock: &Superblock| {
            superblock.generation < recorded.generation
                || superblock.encode()
                    == Superblock { drive: superblock.drive, ..recorded.clone() }.encode()
        };
        if slots.iter().filter_map(|slot| slot.valid.as_ref()).all(is_as_recorded) {
            for at in 0..slots.len() {
                scrub_slot(scrubber, &slots, at, &recorded);
            }
        } else {
            tracing::warn!("superblocks are not healed: a drive has a newer one than was recorded");
        }
        return;
    }
}

fn read_slots(scrubber: &mut Scrubber<'_>, recorded: &Superblock) -> Vec<Slot> {
    let inner = scrubber.inner;
    let len = recorded.encode().len();
    let mut slots = Vec::new();
    for member in inner.set.live() {
        let Ok(drive) = inner.set.drive(member) else { continue };
        for name in NAMES {
            match read_slot(&*drive, name, len) {
                Ok(stored) => {
                    let valid = stored.as_deref().and_then(Superblock::decode);
                    let valid = valid.filter(|s| (s.store, s.drive) == (inner.set.store, member));
                    slots.push(Slot { member, name, is_missing: stored.is_none(), valid });
                }
                Err(e)
                    if drive.probe().is_err() || state_after(&e).is_none() || is_given_up(&e) =>
                {
                    tracing::warn!(drive = %drive.label(), error = %e, "{name} is not looked at");
                }
                Err(e) => {
                    // What a sector no longer gives is rewritten as what is wrong.
                    tracing::warn!(drive = %drive.label(), error = %e, "{name} can't be read");
                    slots.push(Slot { member, name, is_missing: false, valid: None });
                }
            }
        }
    }
    scrubber.has_read((slots.len() * len) as u64);
    slots
}

/// What is wrong with a slot, if anything is.
fn wrong(slots: &[Slot], at: usize, recorded: &Superblock) -> Option<&'static str> {
    let slot = &slots[at];
    let newest = Some(recorded.generation);
    let own = slots.iter().find(|s| s.member == slot.member && s.name != slot.name);
    let own = own.and_then(Slot::generation);
    // An old drive put back: both are valid, and neither is what was recorded on it.
    let is_stale = own.is_some() && own < newest && slot.generation() < own;
    match slot.valid {
        _ if slot.is_missing => Some("is missing"),
        None => Some("is damaged"),
        Some(_) => is_stale.then_some("is stale"),
    }
}

fn scrub_slot(scrubber: &mut Scrubber<'_>, slots: &[Slot], at: usize, recorded: &Superblock) {
    let slot = &slots[at];
    let newest = Some(recorded.generation);
    let own = slots.iter().find(|s| s.member == slot.member && s.name != slot.name);
    let own = own.and_then(Slot::generation);
    let Some(is_wrong) = wrong(slots, at, recorded) else { return };
    let Ok(drive) = scrubber.inner.set.drive(slot.member) else { return };
    if !scrubber.takes_writes(slot.member) {
        return;
    }
    let others = || slots.iter().filter(|s| s.member != slot.member);
    let is_newest = match own {
        Some(own) => Some(own) != newest,
        // Both are wrong: drives that were written in step have the newest in the same slot.
        None => {
            let alike = others().find(|s| s.name == slot.name && s.valid.is_some());
            alike.is_none_or(|s| s.generation() == newest)
        }
    };
    let older = others().filter_map(|s| s.valid.as_ref());
    let older = older.filter(|s| Some(s.generation) < newest).max_by_key(|s| s.generation);
    let restored = older.filter(|_| !is_newest).unwrap_or(recorded);
    let bytes = Superblock { drive: slot.member, ..restored.clone() }.encode();
    let what = format!("{} on {} {is_wrong}", slot.name, drive.label());
    let outcome = match put(&*drive, slot, &bytes) {
        Ok(true) => Outcome::Healed,
        Ok(false) => {
            scrubber.refusing.insert(slot.member);
            Outcome::Refused("what was written does not read back".to_owned())
        }
        Err((e, failed)) => scrubber.failed(slot.member, &e, failed),
    };
    scrubber.found(slot.member, what, outcome);
}

fn read_slot(drive: &dyn Drive, name: &str, len: usize) -> io::Result<Option<Vec<u8>>> {
    match drive.open(name, Access::Direct) {
        Ok(file) => {
            let mut bytes = AlignedBuf::zeroed(len);
            let n = file.read_at(&mut bytes, 0)?;
            Ok(Some(bytes[..n].to_vec()))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            drive.probe()?;
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// Writes a slot durably; whether it reads back. A crash leaves it wrong, as it was, or right.
fn put(drive: &dyn Drive, slot: &Slot, bytes: &[u8]) -> Result<bool, (io::Error, Failed)> {
    let write = |e| (e, Failed::Write);
    let sync = |e| (e, Failed::Sync);
    let file = match slot.is_missing {
        true => drive.create(slot.name, Access::Direct).map_err(write)?,
        false => drive.open(slot.name, Access::Direct).map_err(write)?,
    };
    let mut aligned = AlignedBuf::zeroed(bytes.len());
    aligned.copy_from_slice(bytes);
    file.write_at(&aligned, 0, false).map_err(write)?;
    failpoint::pass("heal.superblock-written");
    file.sync().map_err(sync)?;
    drive.sync_dir().map_err(sync)?;
    failpoint::pass("heal.superblock-synced");
    Ok(read_one(&*file, 0, bytes.len()).as_deref() == Some(bytes))
}

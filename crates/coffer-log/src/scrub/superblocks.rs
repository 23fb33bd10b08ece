//! Scrubbing the superblocks: both slots of each live drive.
//!
//! The newest is known to the running log. What the older slot held stands in those of the other
//! drives; where none has it, the slot gets the newest as well, which is as good: the next one
//! goes over either.

use std::io;

use coffer_base::drive::Drive;
use coffer_base::{AlignedBuf, DriveId, failpoint};

use super::target::read_one;
use super::{Access, Outcome, Scrubber};
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

pub(super) fn scrub(scrubber: &mut Scrubber<'_>) {
    let inner = scrubber.inner;
    // Nobody records anything meanwhile.
    let recorded = inner.supers.recorded();
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
                Err(e) if drive.probe().is_err() => {
                    tracing::warn!(drive = %drive.label(), error = %e, "the drive went");
                }
                Err(e) => {
                    let what = format!("{name} on {} can't be read", drive.label());
                    scrubber.found(member, what, Outcome::Refused(e.to_string()));
                }
            }
        }
    }
    // After a recording that failed half way some drives know of a state that the log does not.
    let is_as_recorded = |superblock: &Superblock| {
        superblock.generation < recorded.generation
            || *superblock == Superblock { drive: superblock.drive, ..recorded.clone() }
    };
    if slots.iter().filter_map(|slot| slot.valid.as_ref()).all(is_as_recorded) {
        for at in 0..slots.len() {
            scrub_slot(scrubber, &slots, at, &recorded);
        }
    }
    drop(recorded);
    scrubber.has_read((slots.len() * len) as u64);
}

fn scrub_slot(scrubber: &mut Scrubber<'_>, slots: &[Slot], at: usize, recorded: &Superblock) {
    let slot = &slots[at];
    let newest = Some(recorded.generation);
    let own = slots.iter().find(|s| s.member == slot.member && s.name != slot.name);
    let own = own.and_then(Slot::generation);
    // An old drive put back: both are valid, and neither is what was recorded on it.
    let is_stale = own.is_some() && own < newest && slot.generation() < own;
    if slot.valid.is_some() && !is_stale {
        return;
    }
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
    let what = format!(
        "{} on {} {}",
        slot.name,
        drive.label(),
        if slot.is_missing {
            "is missing"
        } else if is_stale {
            "is stale"
        } else {
            "is damaged"
        }
    );
    let outcome = match put(&*drive, slot, &bytes) {
        Ok(true) => Outcome::Healed,
        Ok(false) => {
            let e = io::Error::other("what was written reads back differently");
            Outcome::Refused(scrubber.failed(slot.member, &e))
        }
        Err(e) => Outcome::Refused(scrubber.failed(slot.member, &e)),
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
fn put(drive: &dyn Drive, slot: &Slot, bytes: &[u8]) -> io::Result<bool> {
    let file = match slot.is_missing {
        true => drive.create(slot.name, Access::Direct)?,
        false => drive.open(slot.name, Access::Direct)?,
    };
    let mut aligned = AlignedBuf::zeroed(bytes.len());
    aligned.copy_from_slice(bytes);
    file.write_at(&aligned, 0, false)?;
    failpoint::pass("heal.superblock-written");
    file.sync()?;
    drive.sync_dir()?;
    failpoint::pass("heal.superblock-synced");
    Ok(read_one(&*file, 0, bytes.len()).as_deref() == Some(bytes))
}

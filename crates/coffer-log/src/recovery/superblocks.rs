//! The superblocks of drives at a start: reading them, and making those of a new set.

use std::sync::Arc;

use coffer_base::drive::Drive;
use coffer_base::{DriveId, EpochId, Position, StoreId};

use super::is_ignorable;
use crate::error::OpenError;
use crate::geometry::{DRIVES_MAX, Geometry};
use crate::mark::Chain;
use crate::options::Seams;
use crate::segment::FileKind;
use crate::superblock::{Epoch, Found, Member, NAMES, Slots, Superblock};

pub(super) fn check_scheme(geometry: Geometry, drives: usize) -> Result<(), OpenError> {
    if geometry.k == 0 || geometry.cells() > DRIVES_MAX {
        return Err(OpenError::Scheme(format!("{geometry} is not a scheme")));
    }
    if geometry.cells() != drives {
        return Err(OpenError::Scheme(format!(
            "the scheme {geometry} needs {} drives, {drives} were given",
            geometry.cells()
        )));
    }
    Ok(())
}

/// What the superblocks of a drive say.
pub(super) enum Looked {
    /// What they say; one at least is valid.
    Superblock(Box<Slots>),
    /// Nothing is on it yet.
    Empty,
    /// Both are damaged, and there is more on it.
    Damaged,
}

pub(super) fn look(drive: &dyn Drive) -> Result<Looked, OpenError> {
    // Names that a killed process left in memory only must not be believed and then lost.
    drive.sync_dir().map_err(|e| OpenError::io(&drive.label(), &e))?;
    let found = Superblock::read(drive).map_err(|e| OpenError::io(&drive.label(), &e))?;
    let none = match found {
        Found::Valid(slots) => return Ok(Looked::Superblock(slots)),
        Found::Newer(version) => {
            return Err(OpenError::NewerFormat(format!(
                "{} has format version {version}, this program knows up to {}: it was used by a \
                 newer Coffer, which must be used again; nothing was changed",
                drive.label(),
                crate::superblock::VERSION
            )));
        }
        Found::None => true,
        Found::Damaged => false,
    };
    let names = drive.list().map_err(|e| OpenError::io(&drive.label(), &e))?;
    // A crash while formatting leaves at most torn superblocks.
    let mut others = names.iter().filter(|n| !is_ignorable(n) && !NAMES.contains(&n.as_str()));
    let Some(other) = others.next() else { return Ok(Looked::Empty) };
    // Both may have been removed.
    if none && FileKind::parse_name(other).is_none() {
        return Err(OpenError::NotCoffer { drive: drive.label(), found: other.clone() });
    }
    Ok(Looked::Damaged)
}

/// Makes a new store: first a superblock that says "not formatted yet" on every drive, then the
/// real one. Nothing is stored before every drive has the latter.
pub(super) fn format(
    drives: &[Arc<dyn Drive>],
    unfinished: &[&Superblock],
    geometry: Geometry,
    seams: &Seams,
) -> Result<Superblock, OpenError> {
    let rng = seams.rng.as_ref();
    let members: Vec<DriveId> = drives.iter().map(|_| DriveId::random(rng)).collect();
    let mut superblock = Superblock {
        store: StoreId::random(rng),
        drive: DriveId::default(),
        // Above those of an attempt that was cut short.
        generation: unfinished.iter().map(|s| s.generation).max().unwrap_or(0),
        formatted: false,
        joining: false,
        complete: false,
        recorded: seams.clock.now(),
        geometry,
        created: seams.clock.now(),
        epoch: Epoch { number: 0, id: EpochId::random(rng) },
        decided: (Position(0), Chain::default()),
        forced: false,
        ancestry: Vec::new(),
        members: members.iter().map(|id| Member::active(*id)).collect(),
        checkpoint: None,
    };
    for formatted in [false, true] {
        superblock.formatted = formatted;
        superblock.generation += 1;
        for (drive, id) in drives.iter().zip(&members) {
            let of_drive = Superblock { drive: *id, ..superblock.clone() };
            of_drive.write(drive.as_ref()).map_err(|e| OpenError::io(&drive.label(), &e))?;
            coffer_base::failpoint::pass("format.drive");
        }
    }
    Ok(superblock)
}

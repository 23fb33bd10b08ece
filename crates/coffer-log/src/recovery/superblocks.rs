//! The superblocks of drives at a start: reading them, and making those of a new set.

use coffer_base::drive::Drive;
use coffer_base::{DriveId, EpochId, Position, StoreId};
use std::sync::Arc;

use super::is_ignorable;
use crate::error::OpenError;
use crate::geometry::{DRIVES_MAX, Geometry};
use crate::mark::Chain;
use crate::options::Seams;
use crate::set::DriveState;
use crate::superblock::{Epoch, Found, NAMES, Superblock};

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

pub(super) fn read_superblock(drive: &dyn Drive) -> Result<Option<Superblock>, OpenError> {
    // Names that a killed process left in memory only must not be believed and then lost.
    drive.sync_dir().map_err(|e| OpenError::io(&drive.label(), &e))?;
    let found = Superblock::read(drive).map_err(|e| OpenError::io(&drive.label(), &e))?;
    match found {
        Found::Valid(superblock) => Ok(Some(*superblock)),
        Found::Newer(version) => Err(OpenError::NewerFormat(format!(
            "{} has format version {version}, this program knows up to {}",
            drive.label(),
            crate::superblock::VERSION
        ))),
        Found::None | Found::Damaged => {
            let names = drive.list().map_err(|e| OpenError::io(&drive.label(), &e))?;
            let foreign = names.iter().find(|n| !is_ignorable(n) && !NAMES.contains(&n.as_str()));
            match foreign {
                // A crash while formatting leaves at most torn superblocks.
                None => Ok(None),
                Some(name) if matches!(found, Found::None) => {
                    Err(OpenError::NotCoffer { drive: drive.label(), found: name.clone() })
                }
                Some(_) => Err(OpenError::Damaged(format!(
                    "{}: both superblocks are damaged",
                    drive.label()
                ))),
            }
        }
    }
}

/// Makes a new store: first a superblock that says "not formatted yet" on every drive, then the
/// real one. Nothing is stored before every drive has the latter.
pub(super) fn format(
    drives: &[Arc<dyn Drive>],
    unfinished: &[Option<Superblock>],
    geometry: Geometry,
    seams: &Seams,
) -> Result<Superblock, OpenError> {
    let rng = seams.rng.as_ref();
    let members: Vec<DriveId> = drives.iter().map(|_| DriveId::random(rng)).collect();
    let mut superblock = Superblock {
        store: StoreId::random(rng),
        drive: DriveId::default(),
        // Above those of an attempt that was cut short.
        generation: unfinished.iter().flatten().map(|s| s.generation).max().unwrap_or(0),
        formatted: false,
        geometry,
        created: seams.clock.now(),
        epoch: Epoch { number: 0, id: EpochId::random(rng) },
        decided: (Position(0), Chain::default()),
        forced: false,
        ancestry: Vec::new(),
        members: members.iter().map(|id| (*id, DriveState::Active)).collect(),
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

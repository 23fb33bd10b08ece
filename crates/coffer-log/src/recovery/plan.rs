//! Which drives take part, judged by their superblocks alone. Nothing is changed here.

use std::collections::HashSet;
use std::sync::Arc;

use coffer_base::drive::Drive;
use coffer_base::{DriveId, Position};

use crate::error::OpenError;
use crate::geometry::Geometry;
use crate::mark::Mark;
use crate::options::LogOptions;
use crate::set::DriveState;
use crate::superblock::{Epoch, Superblock};

/// Which drives take part, and what the newest superblock says.
pub(super) struct Plan {
    pub(super) drives: Vec<Arc<dyn Drive>>,
    pub(super) newest: Superblock,
    pub(super) created: bool,
    /// Ids in the order of `drives`; empty when freshly formatted (then slot order).
    pub(super) readmitted: Vec<Option<DriveId>>,
}

pub(super) fn plan(
    drives: Vec<Arc<dyn Drive>>,
    superblocks: Vec<Option<Superblock>>,
    options: &LogOptions,
) -> Result<Plan, OpenError> {
    // When no epoch was recorded to the end, none served, and any of them will do.
    let mut newest = superblocks
        .iter()
        .flatten()
        .max_by_key(|s| (s.formatted, !is_void(s, &superblocks), s.epoch.number, s.generation))
        .expect("a formatted drive is here")
        .clone();
    // A void superblock may have a higher one, and the next has to be above it.
    let generations = superblocks.iter().flatten().map(|s| s.generation);
    newest.generation = generations.max().expect("a formatted drive is here");
    let named = drives.len().max(options.drives_named);
    if named > newest.members.len() {
        let outside = drives.iter().zip(&superblocks).find(|(_, s)| s.is_none());
        return Err(OpenError::Foreign(format!(
            "{named} drives were given and store {} has {}{}",
            newest.store,
            newest.members.len(),
            outside.map_or(String::new(), |(d, _)| format!(": {} is none of them", d.label())),
        )));
    }
    for (drive, superblock) in drives.iter().zip(&superblocks) {
        let Some(superblock) = superblock else { continue };
        if superblock.store != newest.store {
            return Err(OpenError::Foreign(format!(
                "{} belongs to store {}, another drive to store {}",
                drive.label(),
                superblock.store,
                newest.store
            )));
        }
        if !newest.members.iter().any(|(id, _)| *id == superblock.drive) {
            return Err(OpenError::Foreign(format!(
                "{} (drive {}) is not a member of store {}",
                drive.label(),
                superblock.drive,
                newest.store
            )));
        }
        let known = |epoch: &Epoch| {
            *epoch == newest.epoch || newest.ancestry.iter().any(|(known, _)| known == epoch)
        };
        let void = is_void(superblock, &superblocks)
            && superblock.ancestry.first().is_some_and(|(parent, _)| known(parent));
        if !void {
            check_ancestry(drive.as_ref(), superblock, &newest)?;
        }
    }
    let mut seen = HashSet::new();
    for (drive, superblock) in drives.iter().zip(&superblocks) {
        if let Some(superblock) = superblock
            && !seen.insert(superblock.drive)
        {
            return Err(OpenError::Foreign(format!(
                "{} is a second copy of drive {}",
                drive.label(),
                superblock.drive
            )));
        }
    }
    let asked = Geometry { k: options.k, m: options.m };
    let as_made = asked == Geometry { k: 0, m: 0 };
    if !as_made && asked != newest.geometry {
        return Err(OpenError::Scheme(format!(
            "the store was made {} and can't become {}+{}",
            newest.geometry, options.k, options.m
        )));
    }

    let here = |id: &DriveId| superblocks.iter().flatten().any(|s| s.drive == *id);
    let active: Vec<DriveId> = newest
        .members
        .iter()
        .filter(|(_, state)| *state == DriveState::Active)
        .map(|(id, _)| *id)
        .collect();
    let missing: Vec<DriveId> = active.iter().filter(|id| !here(id)).copied().collect();
    if !missing.is_empty() {
        let unformatted: Vec<String> = drives
            .iter()
            .zip(&superblocks)
            .filter(|(_, s)| s.is_none())
            .map(|(d, _)| d.label())
            .collect();
        let mut what = format!(
            "{} of {} drives of store {} are missing (drive {})",
            missing.len(),
            newest.members.len(),
            newest.store,
            missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", drive ")
        );
        if !unformatted.is_empty() {
            what += &format!("; empty: {}", unformatted.join(", "));
        }
        if !is_enough(&newest, active.len(), missing.len()) && !options.force {
            return Err(OpenError::NoMajority(format!(
                "{what}: too many, history that only they know could be lost"
            )));
        }
        if !options.degraded && !options.force {
            return Err(OpenError::Missing(what));
        }
    }
    let readmitted = superblocks.iter().map(|s| s.as_ref().map(|s| s.drive)).collect();
    Ok(Plan { drives, newest, created: false, readmitted })
}

/// Whether history is safe with the drives that are here: a majority of the active ones, and not
/// more missing than the copies of the newest groups may lose.
pub(super) fn is_enough(newest: &Superblock, active: usize, missing: usize) -> bool {
    let parity = newest.geometry.over(active).map_or(0, |g| usize::from(g.m));
    missing <= parity && (active - missing) * 2 > active
}

/// How far the history of `newest` must go if an index is at `mark`.
pub(super) fn known_to_reach(newest: &Superblock, mark: Mark) -> Option<Position> {
    if mark.epoch == newest.epoch.id {
        return Some(mark.position);
    }
    let (epoch, _) = newest.ancestry.iter().find(|(epoch, _)| epoch.id == mark.epoch)?;
    Some(newest.bound_of(epoch.number).map_or(mark.position, |bound| mark.position.min(bound)))
}

/// Whether the recording of a superblock's epoch was cut short: then nothing was served in it.
/// An epoch is served only once all drives that its last superblock calls active have it.
pub(super) fn is_void(superblock: &Superblock, all: &[Option<Superblock>]) -> bool {
    let epoch = superblock.epoch;
    let of_epoch = all.iter().flatten().filter(|s| s.epoch == epoch);
    let last = of_epoch.max_by_key(|s| s.generation).unwrap_or(superblock);
    all.iter().flatten().any(|other| {
        last.members.contains(&(other.drive, DriveState::Active))
            && other.epoch != epoch
            && !other.ancestry.iter().any(|(known, _)| *known == epoch)
    })
}

/// The epoch of a drive must be the newest one or an ancestor of it.
pub(super) fn check_ancestry(
    drive: &dyn Drive,
    superblock: &Superblock,
    newest: &Superblock,
) -> Result<(), OpenError> {
    let epoch = superblock.epoch;
    if epoch == newest.epoch || newest.ancestry.iter().any(|(known, _)| *known == epoch) {
        return Ok(());
    }
    if newest.ancestry.last().is_some_and(|(oldest, _)| epoch.number < oldest.number) {
        return Err(OpenError::Foreign(format!(
            "{} was last used at epoch {}, too long ago to prove that it belongs to the history at \
             epoch {}",
            drive.label(),
            epoch.number,
            newest.epoch.number
        )));
    }
    Err(OpenError::Diverged(format!(
        "two histories: {} is at epoch {} ({}), another drive at epoch {} ({}); neither is chosen",
        drive.label(),
        epoch.number,
        epoch.id,
        newest.epoch.number,
        newest.epoch.id
    )))
}

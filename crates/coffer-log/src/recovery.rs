//! Opening a set of drives: formatting empty ones, or deciding where history ended.
//!
//! Recovery is a durable decision. In order: read all superblocks and refuse what does not belong
//! together; sync every copy of an unsealed segment and read it past the page cache; take the
//! longest unbroken chain of groups; seal what was open; record a new epoch with that end on all
//! drives; only then remove what lies beyond, and serve. A crash anywhere in between is recovered
//! by the same steps: sealing changes no history, and once the epoch is recorded its end bounds
//! what earlier epochs can add.

use std::sync::Arc;

use coffer_base::drive::Drive;
use coffer_base::{DriveId, EpochId, StoreId};

use crate::bulk;
use crate::error::{Error, OpenError};
use crate::geometry::Geometry;
use crate::inner::Inner;
use crate::lane::{Lane, Shared};
use crate::mark::Mark;
use crate::options::{LogOptions, Seams};
use crate::seal::seal;
use crate::segment::SegmentTable;
use crate::set::{DriveState, Set, Slot};
use crate::superblock::{Epoch, Superblock};
use crate::supers::Supers;

mod history;
mod plan;
mod scan;
mod settle;
mod superblocks;

use history::read_history;
use plan::{Plan, is_enough, known_to_reach, plan};
use scan::scan;
use settle::{level_copies, remove_dead};
use superblocks::{check_scheme, format, read_superblock};

/// What opening did.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The store.
    pub store: StoreId,
    /// The drives were empty and are a new store now.
    pub created: bool,
    /// Where history ends.
    pub end: Mark,
    /// What an operator should know.
    pub notes: Vec<String>,
}

/// Names that an empty drive may hold: other programs put them there, or Coffer itself before it
/// formats.
fn is_ignorable(name: &str) -> bool {
    matches!(name, "lost+found" | "lock" | "credentials.toml" | "admin.sock" | "index")
        || name.starts_with("credentials.toml.")
}

pub(crate) fn open(
    drives: Vec<Arc<dyn Drive>>,
    options: LogOptions,
    seams: Seams,
) -> Result<(Arc<Shared>, Lane, Recovery), OpenError> {
    let geometry = Geometry { k: options.k, m: options.m };
    let mut superblocks: Vec<Option<Superblock>> = Vec::new();
    for drive in &drives {
        superblocks.push(read_superblock(drive.as_ref())?);
    }
    coffer_base::failpoint::pass("recovery.superblocks");
    let unformatted = superblocks.iter().flatten().all(|s| !s.formatted);
    if unformatted {
        check_scheme(geometry, drives.len()).map_err(|e| {
            // The power went while the set was made: with all its drives it can be made again.
            // Perhaps before any superblock was whole: then nobody knows the scheme.
            if superblocks.iter().any(Option::is_some) || geometry == (Geometry { k: 0, m: 0 }) {
                return OpenError::Unfinished(format!("these drives were never made a set: {e}"));
            }
            e
        })?;
        if options.read_only {
            return Err(OpenError::Missing("there is no store in these directories yet".into()));
        }
        let newest = format(&drives, &superblocks, geometry, &seams)?;
        coffer_base::failpoint::pass("format.done");
        let plan = Plan { drives, newest, created: true, readmitted: Vec::new() };
        return recover(plan, options, seams);
    }
    let plan = plan(drives, superblocks, &options)?;
    recover(plan, options, seams)
}

fn recover(
    plan: Plan,
    options: LogOptions,
    seams: Seams,
) -> Result<(Arc<Shared>, Lane, Recovery), OpenError> {
    let Plan { drives, newest, created, readmitted } = plan;
    let mut notes = Vec::new();
    let place = |id: DriveId, slot: usize| -> Option<Arc<dyn Drive>> {
        if readmitted.is_empty() {
            return drives.get(slot).cloned();
        }
        let at = readmitted.iter().position(|here| *here == Some(id))?;
        Some(drives[at].clone())
    };
    let mut slots = Vec::new();
    for (slot, (id, recorded)) in newest.members.iter().enumerate() {
        let drive = place(*id, slot);
        let label = drive.as_ref().map_or_else(|| format!("drive {id}"), |d| d.label());
        let (state, why) = match (&drive, recorded) {
            (Some(_), DriveState::Fenced) => {
                (DriveState::Fenced, "a write or sync on it had failed".to_owned())
            }
            (Some(_), _) => (DriveState::Active, String::new()),
            (None, DriveState::Fenced) => (DriveState::Fenced, "not here".to_owned()),
            (None, _) => (DriveState::Lost, "not here at the start".to_owned()),
        };
        if state != DriveState::Active {
            notes.push(format!("{label} is {}: {why}", state.name()));
        } else if *recorded == DriveState::Lost {
            notes.push(format!("{label} is back"));
        }
        let drive = drive.filter(|_| state == DriveState::Active);
        slots.push(Slot { id: *id, drive, label, state, why });
    }
    let set = Set::new(newest.store, newest.geometry, slots);
    let epoch = Epoch { number: newest.epoch.number + 1, id: EpochId::random(seams.rng.as_ref()) };
    let supers = Supers::new(newest.clone());
    let mut inner = Inner::new(options, seams, set, SegmentTable::default(), supers, epoch);

    let found = scan(&inner)?;
    if found.epoch_max > newest.epoch.number {
        // A damaged superblock hid an epoch. Its number must not be used again, since segment ids
        // are made of it.
        notes.push(format!(
            "segments of epoch {} are here, and no valid superblock of it",
            found.epoch_max
        ));
        inner.epoch.number = found.epoch_max + 1;
    }
    let inner = inner;
    let epoch = inner.epoch;
    let active = newest.members.iter().filter(|(_, s)| *s == DriveState::Active).count();
    let gone = newest
        .members
        .iter()
        .filter(|(id, s)| *s == DriveState::Active && !inner.set.is_live(*id))
        .count();
    if gone > 0 && !is_enough(&newest, active, gone) && !inner.options.force {
        return Err(OpenError::NoMajority(format!(
            "{gone} of {active} active drives are missing or failed at the start: {}",
            inner.set.with(|slots| {
                let out = slots.iter().filter(|s| s.state != DriveState::Active);
                out.map(|s| format!("{} ({})", s.label, s.why)).collect::<Vec<_>>().join(", ")
            })
        )));
    }
    let history = read_history(&inner, &found, &newest, &mut notes)?;
    coffer_base::failpoint::pass("recovery.history");
    if let Some(reached) = inner.options.reached.and_then(|mark| known_to_reach(&newest, mark))
        && history.position < reached
        && !inner.options.force
        && !created
    {
        return Err(OpenError::Damaged(format!(
            "history ends at position {} and the index has seen position {}: acknowledged writes \
             would be lost; `force` accepts that",
            history.position.0, reached.0
        )));
    }
    for (id, header) in &found.bulk {
        bulk::recover_bulk(&inner, *id, header)?;
        coffer_base::failpoint::pass("recovery.bulk");
    }
    let end = Mark { epoch: epoch.id, position: history.position, chain: history.chain };
    let store = newest.store;
    if inner.options.read_only {
        let broken = Some("it was opened for looking only".to_owned());
        let shared = Arc::new(Shared::new(inner, history.position, history.chain, broken));
        let recovery = Recovery { store, created, end, notes };
        return Ok((shared.clone(), Lane::new(shared), recovery));
    }

    // Sealed before the end is recorded: what the tail's last holder alone knows is on all drives
    // by then, so a recorded end can always be reached again.
    let mut unsealed = Vec::new();
    for closed in &history.open {
        match seal(&inner, closed) {
            Ok(()) => coffer_base::failpoint::pass("recovery.sealed"),
            // Reading and deleting must go on; the watcher tries again. The copies take the place
            // of the cells until then.
            Err(Error::Full) => {
                level_copies(&inner, closed)?;
                unsealed.push(closed.clone());
            }
            Err(error) => return Err(error.into()),
        }
    }
    let forced = inner.options.force;
    inner.supers.record(&inner.set, forced, |superblock| {
        let parent = superblock.epoch;
        superblock.ancestry.insert(0, (parent, superblock.decided.0));
        superblock.epoch = epoch;
        superblock.decided = (history.position, history.chain);
        superblock.forced = forced;
    })?;
    coffer_base::failpoint::pass("recovery.recorded");
    remove_dead(&inner, &found, &history);
    coffer_base::failpoint::pass("recovery.done");
    let shared = Arc::new(Shared::new(inner, history.position, history.chain, None));
    shared.add_unsealed(unsealed);
    shared.prepare();
    let recovery = Recovery { store, created, end, notes };
    Ok((shared.clone(), Lane::new(shared), recovery))
}

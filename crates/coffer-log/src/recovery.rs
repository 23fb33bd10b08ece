//! Opening a set of drives: formatting empty ones, or deciding where history ended.
//!
//! Recovery is a durable decision. In order: read all superblocks and refuse what does not belong
//! together; sync every copy of an unsealed segment and read it past the page cache; take the
//! longest unbroken chain of groups; seal what was open; record a new epoch with that end on all
//! drives; only then remove what lies beyond, and serve. A crash anywhere in between is recovered
//! by the same steps: sealing changes no history, and once the epoch is recorded its end bounds
//! what earlier epochs can add.

use std::sync::Arc;

use coffer_base::drive::queue::{Patience, Work};
use coffer_base::drive::{Drive, DriveQueue};
use coffer_base::{DriveId, EpochId, StoreId, Timestamp};

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
use crate::superblock::{Epoch, Member, REPLACED_SHIFT, Superblock};
use crate::supers::Supers;

mod history;
mod identity;
mod plan;
mod replace;
mod scan;
mod settle;
mod superblocks;

use history::read_history;
use plan::{Candidate, Plan, Seat, Standing, is_enough, known_to_reach, plan};
use replace::join;
use scan::scan;
use settle::{level_copies, remove_dead, tell_headless};
use superblocks::{Looked, check_scheme, format, look};

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
    const NAMES: [&str; 6] =
        ["lost+found", "lock", "credentials.toml", "secrets.key", "admin.sock", "index"];
    NAMES.contains(&name)
        || name.starts_with("credentials.toml.")
        || name.starts_with("secrets.key.")
}

pub(crate) fn open(
    drives: Vec<Arc<dyn Drive>>,
    options: LogOptions,
    seams: Seams,
) -> Result<(Arc<Shared>, Lane, Recovery), OpenError> {
    let geometry = Geometry { k: options.k, m: options.m };
    let (drives, looked) = look_at_all(drives, options.degraded || options.force)?;
    coffer_base::failpoint::pass("recovery.superblocks");
    let found = |wanted: &dyn Fn(&Superblock) -> bool| {
        looked.iter().any(|l| matches!(l, Looked::Superblock(s) if wanted(&s.newest)))
    };
    if found(&|s| s.formatted && !s.joining) {
        let pairs = drives.into_iter().zip(looked);
        let candidates = pairs.map(|(drive, looked)| Candidate { drive, looked }).collect();
        return recover(plan(candidates, &options)?, options, seams);
    }
    let labels = |wanted: &dyn Fn(&Looked) -> bool| {
        let named = drives.iter().zip(&looked).filter(|(_, looked)| wanted(looked));
        named.map(|(drive, _)| drive.label()).collect::<Vec<_>>().join(", ")
    };
    let joining = labels(&|l| matches!(l, Looked::Superblock(s) if s.newest.joining));
    if !joining.is_empty() {
        return Err(OpenError::Missing(format!(
            "{joining} was to take a place in a store and is not part of it yet: name its other \
             drives, too"
        )));
    }
    let damaged = labels(&|l| matches!(l, Looked::Damaged));
    if !damaged.is_empty() {
        return Err(OpenError::Damaged(format!(
            "both superblocks are damaged on every drive that has any ({damaged}): name the other \
             drives of the store, too; if these are all, put super.a or super.b of each back from \
             a backup"
        )));
    }
    let unfinished: Vec<&Superblock> = looked
        .iter()
        .filter_map(|l| match l {
            Looked::Superblock(slots) => Some(&slots.newest),
            Looked::Empty | Looked::Damaged => None,
        })
        .collect();
    check_scheme(geometry, drives.len()).map_err(|e| {
        // The power went while the set was made: with all its drives it can be made again.
        // Perhaps before any superblock was whole: then nobody knows the scheme.
        if !unfinished.is_empty() || geometry == (Geometry { k: 0, m: 0 }) {
            return OpenError::Unfinished(format!("these drives were never made a set: {e}"));
        }
        e
    })?;
    if options.read_only {
        return Err(OpenError::Missing("there is no store in these directories yet".into()));
    }
    let newest = format(&drives, &unfinished, geometry, &seams)?;
    coffer_base::failpoint::pass("format.done");
    recover(plan::created(drives, newest), options, seams)
}

/// Drives, and what each says of itself.
type LookedAt = (Vec<Arc<dyn Drive>>, Vec<Looked>);

/// What each drive says of itself, all asked at once. One that fails or hangs is as good as
/// missing, where that is allowed.
fn look_at_all(drives: Vec<Arc<dyn Drive>>, may_miss: bool) -> Result<LookedAt, OpenError> {
    let items = drives.iter().map(|drive| (drive.queue().clone(), drive.clone())).collect();
    let answers = DriveQueue::each(items, Work::Look, Patience::Full, |drive: Arc<dyn Drive>| {
        Ok(look(drive.as_ref()))
    });
    let (mut here, mut looked) = (Vec::new(), Vec::new());
    let mut failed = None;
    for (drive, answer) in drives.into_iter().zip(answers) {
        match answer.unwrap_or_else(|e| Err(OpenError::io(&drive.label(), &e))) {
            Ok(found) => {
                here.push(drive);
                looked.push(found);
            }
            Err(error @ OpenError::Io { .. }) if may_miss => {
                tracing::error!(drive = %drive.label(), %error, "left out of this start");
                failed.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match failed {
        Some(error) if here.is_empty() => Err(error),
        _ => Ok((here, looked)),
    }
}

fn recover(
    plan: Plan,
    options: LogOptions,
    seams: Seams,
) -> Result<(Arc<Shared>, Lane, Recovery), OpenError> {
    let Plan { newest, created, mut seats, fences, mut notes } = plan;
    for seat in seats.iter_mut().flatten() {
        if let Standing::Empty { replaced } = &mut seat.standing {
            *replaced |= seams.rng.below(1 << REPLACED_SHIFT) as u32;
        }
    }
    let weak: Vec<DriveId> = newest
        .members
        .iter()
        .zip(&seats)
        .filter(|(_, seat)| seat.as_ref().is_some_and(|s| s.standing != Standing::Whole))
        .map(|(member, _)| member.id)
        .collect();
    let slots = slots(&newest, &seats, &fences, seams.clock.now(), &mut notes);
    let set = Set::new(newest.store, newest.geometry, seams.clock.clone(), slots);
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
    check_enough(&inner, &newest, &weak)?;
    let mut history = read_history(&inner, &found, &newest, &weak, &mut notes)?;
    for (id, e) in history.unread.drain(..) {
        inner.set.take_out(id, DriveState::Lost, &format!("reading history: {e}"));
        if inner.set.is_live(id) && !inner.options.force {
            return Err(OpenError::io(&inner.set.label(id), &e));
        }
    }
    // Again: a drive that failed or went meanwhile may be the one that knew the end.
    check_enough(&inner, &newest, &weak)?;
    coffer_base::failpoint::pass("recovery.history");
    if let Some(reached) = inner.options.reached.map(|mark| known_to_reach(&newest, mark))
        && history.position < reached
        && !inner.options.force
        && !created
    {
        return Err(OpenError::Damaged(format!(
            "history ends at position {} and the index has seen position {}: the drives are older \
             than the index (copies from before?), and acknowledged writes would be lost; bring the \
             newer drives back, remove the index if it is not theirs, or accept that with --force",
            history.position.0, reached.0
        )));
    }
    tell_headless(&inner, &found, &mut notes);
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

    for (at, seat) in seats.iter().enumerate() {
        if let Some(seat) = seat
            && let Standing::Empty { replaced } = seat.standing
        {
            join(seat.drive.as_ref(), &newest, at, replaced)?;
            coffer_base::failpoint::pass("recovery.joined");
        }
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
                // An end that one more failure makes unreachable must not be decided.
                let copies = inner.members_for_sealing()?.0.copies();
                if !inner.has_copies(closed.id, copies) && !inner.options.force {
                    return Err(OpenError::NoMajority(format!(
                        "the drives are full, and of segment {}, which can't be sealed before there \
                         is room, fewer copies than {copies} are here: make room or bring drives \
                         back, or accept that one more failure loses it with --force",
                        closed.id
                    )));
                }
                unsealed.push(closed.clone());
            }
            Err(error) => return Err(error.into()),
        }
    }
    if unsealed.is_empty() {
        inner.set.settle(&inner.set.unsettled());
    }
    let forced = inner.options.force;
    inner.supers.record_beside(&inner.set, forced, &weak, |superblock| {
        let parent = superblock.epoch;
        superblock.ancestry.insert(0, (parent, superblock.decided.0));
        superblock.epoch = epoch;
        superblock.decided = (history.position, history.chain);
        superblock.forced = forced;
        superblock.complete = false;
    })?;
    coffer_base::failpoint::pass("recovery.recorded");
    // All have the epoch; from here on who lacks it is an older copy. This goes over the other one
    // of each drive's two superblocks, so none is left that was damaged.
    inner.supers.record(&inner.set, forced, |superblock| superblock.complete = true)?;
    coffer_base::failpoint::pass("recovery.complete");
    remove_dead(&inner, &found, &history);
    coffer_base::failpoint::pass("recovery.done");
    let shared = Arc::new(Shared::new(inner, history.position, history.chain, None));
    shared.add_unsealed(unsealed);
    shared.prepare();
    let recovery = Recovery { store, created, end, notes };
    Ok((shared.clone(), Lane::new(shared), recovery))
}

/// Refuses to decide where history ends without the drives that must know. `weak` are here, but
/// may lack what they should have.
fn check_enough(inner: &Inner, newest: &Superblock, weak: &[DriveId]) -> Result<(), OpenError> {
    let active = newest.members.iter().filter(|m| m.is_needed()).count();
    let is_gone = |id: DriveId| !inner.set.is_live(id) || weak.contains(&id);
    if is_enough(newest, &is_gone) || inner.options.force {
        return Ok(());
    }
    let gone = newest.members.iter().filter(|m| m.is_needed() && is_gone(m.id)).count();
    let out = inner.set.with(|slots| {
        let out = slots.iter().filter_map(|s| match s.state {
            DriveState::Active if weak.contains(&s.id) => {
                Some(format!("{} (it is not known to be complete)", s.label))
            }
            DriveState::Active => None,
            _ => Some(format!("{} ({})", s.label, s.why)),
        });
        out.collect::<Vec<_>>().join(", ")
    });
    Err(OpenError::NoMajority(format!(
        "{gone} of {active} drives that may have the newest groups are missing, failed, or may lack \
         what they should hold: {out}"
    )))
}

/// The set as it is at this start: who is here takes part, but for the fenced.
fn slots(
    newest: &Superblock,
    seats: &[Option<Seat>],
    fences: &[Option<Member>],
    now: Timestamp,
    notes: &mut Vec<String>,
) -> Vec<Slot> {
    let mut slots = Vec::new();
    for ((recorded, seat), fence) in newest.members.iter().zip(seats).zip(fences) {
        let member = fence.as_ref().unwrap_or(recorded);
        let drive = seat.as_ref().map(|seat| seat.drive.clone());
        let label = drive.as_ref().map_or_else(|| format!("drive {}", member.id), |d| d.label());
        let mut slot = Slot {
            id: member.id,
            drive,
            label,
            state: member.state,
            why: member.why.clone(),
            since: member.since,
            replaced: member.replaced,
            unsettled: member.unsettled || fence.is_some(),
        };
        match (seat.as_ref().map(|seat| seat.standing), member.state) {
            (Some(Standing::Empty { replaced } | Standing::Joining { replaced }), _) => {
                slot.state = DriveState::Active;
                slot.replaced = replaced;
            }
            (Some(Standing::Whole | Standing::Doubtful), DriveState::Active | DriveState::Lost) => {
                if member.state == DriveState::Lost {
                    notes.push(format!("{} is back", slot.label));
                }
                slot.state = DriveState::Active;
            }
            (None, DriveState::Active) => {
                slot.state = DriveState::Lost;
                slot.why = "not here at the start".to_owned();
                slot.since = now;
                slot.unsettled = true;
            }
            (_, DriveState::Fenced | DriveState::Lost) => {
                if slot.why.is_empty() {
                    // An older format did not keep it.
                    slot.why = match member.state {
                        DriveState::Fenced => "a write or sync on it had failed".to_owned(),
                        _ => "not here at an earlier start".to_owned(),
                    };
                }
            }
        }
        if slot.state == DriveState::Active {
            slot.why = String::new();
            slot.since = Timestamp(0);
            slot.unsettled = false;
        } else {
            slot.drive = None;
            let since = match slot.since.0 {
                0 => String::new(),
                _ => format!(" since {}", slot.since),
            };
            notes.push(format!("{} is {}{since}: {}", slot.label, slot.state.name(), slot.why));
        }
        slots.push(slot);
    }
    slots
}

#[cfg(test)]
mod tests;

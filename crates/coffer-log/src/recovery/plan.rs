//! Which drives take part, judged by their superblocks. Nothing is changed here.

use std::fmt::Write as _;
use std::sync::Arc;

use coffer_base::drive::Drive;
use coffer_base::{DriveId, Position};

use super::identity;
use super::replace::{self, Replacing};
use super::superblocks::Looked;
use crate::error::OpenError;
use crate::geometry::Geometry;
use crate::mark::Mark;
use crate::options::LogOptions;
use crate::set::DriveState;
use crate::superblock::{Epoch, Member, Superblock};

/// Which drives take part, and what the newest superblock says.
pub(super) struct Plan {
    pub(super) newest: Superblock,
    pub(super) created: bool,
    /// For each member: its drive, if it is here.
    pub(super) seats: Vec<Option<Seat>>,
    /// For each member: what an epoch that came to nothing says of it, if it was fenced then.
    pub(super) fences: Vec<Option<Member>>,
    /// What an operator should know.
    pub(super) notes: Vec<String>,
}

/// A drive that is here for a member.
pub(super) struct Seat {
    pub(super) drive: Arc<dyn Drive>,
    pub(super) standing: Standing,
}

/// How much of what a member should hold can be expected on its drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Everything, or the others have recorded that it was away.
    Whole,
    /// Perhaps not all: it is an older copy of itself, or its superblocks are damaged and could
    /// have told more. Counts as missing when it is decided whether enough is here.
    Doubtful,
    /// Nothing: it is empty and takes the place of the drives before, of which there were so many.
    /// Counts as missing, too.
    Empty { replaced: u32 },
    /// As [`Standing::Empty`], and it says so itself already.
    Joining { replaced: u32 },
}

/// A drive and what it says of itself.
pub(super) struct Candidate {
    pub(super) drive: Arc<dyn Drive>,
    pub(super) looked: Looked,
}

impl Candidate {
    fn superblock(&self) -> Option<&Superblock> {
        match &self.looked {
            Looked::Superblock(slots) => Some(&slots.newest),
            Looked::Empty | Looked::Damaged => None,
        }
    }

    /// What the other slot says.
    fn older(&self) -> Option<&Superblock> {
        match &self.looked {
            Looked::Superblock(slots) => slots.older.as_ref(),
            Looked::Empty | Looked::Damaged => None,
        }
    }
}

/// A set whose drives were just formatted.
pub(super) fn created(drives: Vec<Arc<dyn Drive>>, newest: Superblock) -> Plan {
    let seat = |drive| Some(Seat { drive, standing: Standing::Whole });
    let seats = drives.into_iter().map(seat).collect();
    let fences = newest.members.iter().map(|_| None).collect();
    Plan { newest, created: true, seats, fences, notes: Vec::new() }
}

pub(super) fn plan(candidates: Vec<Candidate>, options: &LogOptions) -> Result<Plan, OpenError> {
    let all: Vec<&Superblock> = candidates.iter().filter_map(Candidate::superblock).collect();
    // When no epoch was recorded to the end, none served, and any of them will do.
    // What counts may be in the other slot of a drive then.
    let void = candidates.iter().filter(|c| c.superblock().is_some_and(|s| is_void(s, &all)));
    let before: Vec<&Superblock> = void.filter_map(Candidate::older).collect();
    let known = all.iter().chain(&before);
    let newest = known.clone().filter(|s| s.formatted && !s.joining).max_by_key(|s| {
        let void = is_void(s, &all);
        (!void, s.epoch.number, s.generation)
    });
    let mut newest: Superblock = (*newest.expect("the caller saw one")).clone();
    let newest_void = is_void(&newest, &all);
    let fences = fences(&newest, known.copied().filter(|s| is_void(s, &all)));
    // A void superblock may have a higher one, and the next has to be above it.
    newest.generation = all.iter().map(|s| s.generation).max().expect("one is here");

    for candidate in &candidates {
        if let Some(superblock) = candidate.superblock() {
            belongs(candidate.drive.as_ref(), superblock, &newest)?;
        }
    }
    check_one_history(&candidates, &all, &newest)?;
    let mut notes = Vec::new();
    let mut seats: Vec<Option<Seat>> = newest.members.iter().map(|_| None).collect();
    let mut replacing = Replacing::default();
    for candidate in &candidates {
        let label = candidate.drive.label();
        let (id, standing) = match &candidate.looked {
            Looked::Superblock(slots) => {
                let superblock = &slots.newest;
                for name in &slots.bad {
                    notes.push(format!("{label}: {name} is damaged or gone and is written anew"));
                }
                let standing = standing(superblock, &newest, newest_void, &all, &label, &mut notes);
                (superblock.drive, standing)
            }
            Looked::Empty => {
                replacing.empty.push(candidate.drive.clone());
                continue;
            }
            Looked::Damaged => {
                let claimed = |id| all.iter().any(|s| s.drive == id);
                let id = identity::of_segments(candidate.drive.as_ref(), &newest, &claimed)?;
                notes.push(format!(
                    "{label}: both superblocks are damaged; its segments say that it is drive {id}, \
                     and it takes part again as one that was away"
                ));
                (id, Standing::Doubtful)
            }
        };
        let member = newest.members.iter().position(|m| m.id == id).expect("it belongs");
        let standing = match standing {
            // It counts as missing.
            Standing::Whole if fences[member].is_some() => Standing::Doubtful,
            other => other,
        };
        if let Some(first) = &seats[member] {
            let (first, second) = (first.drive.label(), &label);
            return Err(OpenError::Foreign(format!(
                "{second} is a second copy of drive {id}, and {first} is the first: leave one out"
            )));
        }
        seats[member] = Some(Seat { drive: candidate.drive.clone(), standing });
    }
    check_scheme(&newest, options)?;
    let named = seats.iter().flatten().count() + replacing.empty.len();
    check_count(&newest, named.max(options.drives_named), &seats, &replacing)?;
    for (member, seat) in newest.members.iter().zip(&seats) {
        let Some(Seat { drive, standing: Standing::Joining { replaced } }) = seat else { continue };
        // The drive that has the place may just be away, and this one from long ago.
        if *replaced != member.replaced && member.is_active() && !options.replace && !options.force
        {
            return Err(OpenError::Missing(format!(
                "{} was to take the place of drive {}, which was not recorded: start with --replace \
                 to have it do so now, or name the drive that has the place instead of it",
                drive.label(),
                member.id
            )));
        }
    }
    if options.replace && !options.read_only {
        replace::fill(&mut seats, &newest, &mut replacing, &mut notes)?;
    }
    check_enough(&newest, &seats, &replacing, options)?;
    replacing.tell_left(&newest, &seats, &mut notes);
    Ok(Plan { newest, created: false, seats, fences, notes })
}

/// The members that were fenced by an attempt at the next epoch, which came to nothing: what is not
/// to be trusted did not get better by that.
fn fences<'a>(
    newest: &Superblock,
    void: impl Iterator<Item = &'a Superblock>,
) -> Vec<Option<Member>> {
    let mut fences: Vec<Option<Member>> = newest.members.iter().map(|_| None).collect();
    for superblock in void {
        let parent = superblock.ancestry.first().map(|(parent, _)| *parent);
        if superblock.joining || parent != Some(newest.epoch) {
            continue;
        }
        for (fence, recorded) in fences.iter_mut().zip(&newest.members) {
            let fenced = superblock.member(recorded.id).filter(|member| {
                member.state == DriveState::Fenced
                    && recorded.state != DriveState::Fenced
                    && member.replaced == recorded.replaced
            });
            *fence = fence.take().or(fenced.cloned());
        }
    }
    fences
}

/// How much is expected on the drive with `superblock`.
fn standing(
    superblock: &Superblock,
    newest: &Superblock,
    newest_void: bool,
    all: &[&Superblock],
    label: &str,
    notes: &mut Vec<String>,
) -> Standing {
    let recorded = newest.member(superblock.drive).expect("it belongs");
    if superblock.joining && recorded.state == DriveState::Fenced && !superblock.is_after(recorded)
    {
        return Standing::Doubtful;
    }
    if superblock.joining || superblock.is_after(recorded) {
        notes.push(format!(
            "{label} was to take the place of drive {}, which the power cut short: it goes on",
            superblock.drive
        ));
        return Standing::Joining { replaced: superblock.incarnation() };
    }
    // All that an epoch calls active have it before it serves. Who has a void one has its parent.
    let parent = superblock.ancestry.first().map(|(parent, _)| *parent);
    let stale = recorded.is_active()
        && !newest_void
        && superblock.epoch != newest.epoch
        && !(is_void(superblock, all) && parent == Some(newest.epoch));
    if !stale {
        return Standing::Whole;
    }
    notes.push(format!(
        "{label} is an older copy of drive {}: its superblock is of epoch {} and the others are at \
         epoch {}; what it lacks comes from them",
        superblock.drive, superblock.epoch.number, newest.epoch.number
    ));
    Standing::Doubtful
}

fn check_scheme(newest: &Superblock, options: &LogOptions) -> Result<(), OpenError> {
    let asked = Geometry { k: options.k, m: options.m };
    let as_made = asked == Geometry { k: 0, m: 0 };
    if as_made || asked == newest.geometry {
        return Ok(());
    }
    Err(OpenError::Scheme(format!(
        "the store was made {} and can't become {}+{}",
        newest.geometry, options.k, options.m
    )))
}

/// No more drives were named than the set has.
fn check_count(
    newest: &Superblock,
    named: usize,
    seats: &[Option<Seat>],
    replacing: &Replacing,
) -> Result<(), OpenError> {
    if named <= newest.members.len() {
        return Ok(());
    }
    let mut what = format!(
        "{named} drives were given and store {} has {}",
        newest.store,
        newest.members.len()
    );
    if let Some(empty) = replacing.empty.first() {
        let _ = write!(what, ": {} is empty and none of them", empty.label());
    }
    let fenced = newest.members.iter().zip(seats).find_map(|(member, seat)| {
        let seat = seat.as_ref().filter(|_| member.state == DriveState::Fenced)?;
        Some((member, seat.drive.label()))
    });
    if let Some((member, label)) = fenced {
        let _ = write!(
            what,
            "; to replace {label} (drive {}, fenced), name the empty directory instead of it and \
             start with --replace",
            member.id
        );
    }
    Err(OpenError::Foreign(what))
}

/// Enough of the active drives are here, and none is missing unless that was accepted.
fn check_enough(
    newest: &Superblock,
    seats: &[Option<Seat>],
    replacing: &Replacing,
    options: &LogOptions,
) -> Result<(), OpenError> {
    let active: Vec<_> = newest.members.iter().zip(seats).filter(|(m, _)| m.is_active()).collect();
    let missing: Vec<DriveId> =
        active.iter().filter(|(_, seat)| seat.is_none()).map(|(m, _)| m.id).collect();
    let weak: Vec<String> = active
        .iter()
        .filter_map(|(_, seat)| seat.as_ref())
        .filter(|seat| seat.standing != Standing::Whole)
        .map(|seat| seat.drive.label())
        .collect();
    let is_gone = |id: DriveId| {
        let at = newest.members.iter().position(|m| m.id == id);
        let seat = at.and_then(|at| seats[at].as_ref());
        let is_trusted = newest.member(id).is_some_and(|m| m.state != DriveState::Fenced);
        !is_trusted || seat.is_none_or(|seat| seat.standing != Standing::Whole)
    };
    let is_enough = is_enough(newest, &is_gone);
    if missing.is_empty() && weak.is_empty() && is_enough {
        return Ok(());
    }
    let mut what = String::new();
    if !missing.is_empty() {
        let _ = write!(
            what,
            "{} of {} drives of store {} are missing (drive {})",
            missing.len(),
            newest.members.len(),
            newest.store,
            missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", drive ")
        );
    }
    if !weak.is_empty() {
        let and = if what.is_empty() { "" } else { "; " };
        let _ = write!(what, "{and}{} may lack what it should hold", weak.join(", "));
    }
    let needed = newest.members.iter().filter(|m| m.unsettled && is_gone(m.id));
    let needed: Vec<String> = needed.map(|m| format!("drive {}", m.id)).collect();
    if !needed.is_empty() {
        let and = if what.is_empty() { "" } else { "; " };
        let _ = write!(what, "{and}{} went before all was sealed without it", needed.join(", "));
    }
    if !is_enough && !options.force {
        return Err(OpenError::NoMajority(format!(
            "{what}: too many, history that only they know could be lost; bring drives back, or \
             accept that with --force"
        )));
    }
    if missing.is_empty() || options.degraded || options.force {
        return Ok(());
    }
    if replacing.empty.is_empty() {
        let _ = write!(what, "; start with --degraded to go on without");
    } else {
        let labels: Vec<String> = replacing.empty.iter().map(|drive| drive.label()).collect();
        let _ = write!(
            what,
            "; empty: {}; start with --replace to fill the empty in the place of the missing, or \
             with --degraded to go on without",
            labels.join(", ")
        );
    }
    Err(OpenError::Missing(what))
}

/// Whether history is safe with the drives that are here: a majority of the active ones, and not
/// more missing than the copies of the newest groups may lose. Of those, drives that left may have
/// some.
pub(super) fn is_enough(newest: &Superblock, is_gone: &dyn Fn(DriveId) -> bool) -> bool {
    let count = |counts: &dyn Fn(&Member) -> bool| {
        let (mut all, mut gone) = (0, 0);
        for member in newest.members.iter().filter(|m| counts(m)) {
            all += 1;
            gone += usize::from(is_gone(member.id));
        }
        (all, gone)
    };
    let (active, missing) = count(&Member::is_active);
    let (holders, lacking) = count(&Member::is_needed);
    let parity = newest.geometry.over(holders).map_or(0, |g| usize::from(g.m));
    lacking <= parity && (missing == 0 || (active - missing) * 2 > active)
}

/// How far the history of `newest` must go if an index is at `mark`. An index is brought up only
/// in an epoch that is recorded: drives that don't know its epoch are copies from before it, or
/// the index is another store's.
pub(super) fn known_to_reach(newest: &Superblock, mark: Mark) -> Position {
    if mark.epoch == newest.epoch.id {
        return mark.position;
    }
    let known = newest.ancestry.iter().find(|(epoch, _)| epoch.id == mark.epoch);
    let bound = known.and_then(|(epoch, _)| newest.bound_of(epoch.number));
    bound.map_or(mark.position, |bound| mark.position.min(bound))
}

/// Whether the recording of a superblock's epoch was cut short: then nothing was served in it.
/// An epoch is served only once all drives that its last superblock calls active have it, and that
/// is recorded in turn: a drive that lacks a complete epoch is an older copy of itself. (The first
/// version of the format did not record it.)
fn is_void(superblock: &Superblock, all: &[&Superblock]) -> bool {
    let epoch = superblock.epoch;
    if all.iter().any(|s| s.epoch == epoch && s.complete) {
        return false;
    }
    let of_epoch = all.iter().filter(|s| s.epoch == epoch && !s.joining);
    let last = of_epoch.max_by_key(|s| s.generation).unwrap_or(&superblock);
    all.iter().any(|other| {
        let member = last.member(other.drive);
        member.is_some_and(|m| m.is_active() && m.replaced == other.incarnation())
            && (other.joining || !other.knows(epoch))
    })
}

/// A drive must be of the store, a member, and not one whose place another drive has by now.
fn belongs(
    drive: &dyn Drive,
    superblock: &Superblock,
    newest: &Superblock,
) -> Result<(), OpenError> {
    let label = drive.label();
    if superblock.store != newest.store {
        return Err(OpenError::Foreign(format!(
            "{label} belongs to store {}, another drive to store {}",
            superblock.store, newest.store
        )));
    }
    let Some(member) = newest.member(superblock.drive) else {
        return Err(OpenError::Foreign(format!(
            "{label} (drive {}) is not a member of store {}",
            superblock.drive, newest.store
        )));
    };
    if superblock.incarnation() != member.replaced && !superblock.is_after(member) {
        return Err(OpenError::Foreign(format!(
            "{label} is the former drive {}, whose place another drive has taken: name that one \
             instead; to use this one again, empty it, but not before the store can be read without \
             it",
            superblock.drive
        )));
    }
    Ok(())
}

/// The epoch of every drive is the newest one or an ancestor of it.
fn check_one_history(
    candidates: &[Candidate],
    all: &[&Superblock],
    newest: &Superblock,
) -> Result<(), OpenError> {
    let of_newest = |superblock: &Superblock| {
        let parent = superblock.ancestry.first().map(|(parent, _)| *parent);
        superblock.joining
            || newest.knows(superblock.epoch)
            || (is_void(superblock, all) && parent.is_some_and(|parent| newest.knows(parent)))
    };
    let strange = candidates.iter().filter_map(|c| Some((c, c.superblock()?)));
    let strange: Vec<_> = strange.filter(|(_, superblock)| !of_newest(superblock)).collect();
    let Some((candidate, other)) =
        strange.iter().max_by_key(|(_, s)| (s.epoch.number, s.generation))
    else {
        return Ok(());
    };
    if newest.ancestry.last().is_some_and(|(oldest, _)| other.epoch.number < oldest.number) {
        return Err(OpenError::Foreign(format!(
            "{} was last used at epoch {}, too long ago to prove that it belongs to the history at \
             epoch {}: empty it and start with --replace",
            candidate.drive.label(),
            other.epoch.number,
            newest.epoch.number
        )));
    }
    let labels = |here: &dyn Fn(&Superblock) -> bool| {
        let named = candidates.iter().filter(|c| c.superblock().is_some_and(here));
        named.map(|c| c.drive.label()).collect::<Vec<_>>().join(", ")
    };
    let parted = newest.ancestry.iter().find(|(epoch, _)| other.knows(*epoch));
    let since = match parted {
        Some((epoch, _)) => format!("they part after epoch {} ({})", epoch.number, epoch.id),
        None => "no epoch that they have in common is known".to_owned(),
    };
    Err(OpenError::Diverged(format!(
        "two histories of store {}, and neither is chosen: (1) {}, on {}; (2) {}, on {}; {since}. \
         Start with the drives of one of them alone; empty the others and add them with --replace",
        newest.store,
        history_of(newest),
        labels(&of_newest),
        history_of(other),
        labels(&|s| !of_newest(s)),
    )))
}

/// What a superblock knows of its history, for people.
fn history_of(superblock: &Superblock) -> String {
    let Epoch { number, id } = superblock.epoch;
    let mut what = format!("epoch {number} ({id}), begun at position {}", superblock.decided.0.0);
    if superblock.recorded.0 > 0 {
        let _ = write!(what, ", recorded {}", superblock.recorded);
    }
    if superblock.forced {
        what += ", forced without a majority";
    }
    what
}

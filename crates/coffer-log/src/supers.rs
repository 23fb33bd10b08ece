//! What the superblocks of the set say, and changing it on all live drives at once.

use std::sync::{Mutex, MutexGuard};

use coffer_base::drive::DriveQueue;
use coffer_base::drive::queue::{Patience, Work};
use coffer_base::{DriveId, Timestamp};

use crate::error::Error;
use crate::set::{DriveState, Set, Slot};
use crate::superblock::{Member, Superblock};

/// The last recorded superblock; `drive` in it means nothing.
pub(crate) struct Supers {
    recorded: Mutex<Superblock>,
    /// The states in it, apart, since it is locked while drives are written to.
    states: Mutex<Vec<DriveState>>,
}

impl Supers {
    pub fn new(recorded: Superblock) -> Self {
        let states = recorded.members.iter().map(|member| member.state).collect();
        Self { recorded: Mutex::new(recorded), states: Mutex::new(states) }
    }

    /// What is recorded.
    pub fn recorded(&self) -> MutexGuard<'_, Superblock> {
        self.recorded.lock().expect("no holder panics")
    }

    /// Whether the drives' states are recorded as they are now.
    pub fn is_current(&self, set: &Set) -> bool {
        let states = self.states.lock().expect("no holder panics");
        set.with(|slots| slots.iter().zip(&*states).all(|(slot, state)| slot.state == *state))
    }

    /// Applies `change` and records it, with the drives' present states, durably on every live
    /// drive, all at once. A drive that fails to take it is fenced, one that hangs is lost, which
    /// is recorded in turn on the others.
    ///
    /// Refused when fewer than half of the last recorded active members are live: the others
    /// could be a majority and start without knowing of this. Members that were not active then
    /// and are back now do not count: they know of nothing that came since.
    /// `force` records it nevertheless.
    pub fn record(
        &self,
        set: &Set,
        force: bool,
        change: impl FnOnce(&mut Superblock),
    ) -> Result<(), Error> {
        self.record_beside(set, force, &[], change)
    }

    /// As [`Supers::record`], where `weak` are here and do not know what was recorded last: they
    /// are no part of a majority.
    pub fn record_beside(
        &self,
        set: &Set,
        force: bool,
        weak: &[DriveId],
        change: impl FnOnce(&mut Superblock),
    ) -> Result<(), Error> {
        let mut recorded = self.recorded();
        let mut next = recorded.clone();
        change(&mut next);
        let before = recorded.members.clone();
        let active_before: Vec<DriveId> =
            before.iter().filter(|m| m.is_active()).map(|m| m.id).collect();
        let mut is_doubled = false;
        loop {
            let live = set.live();
            let left =
                live.iter().filter(|id| active_before.contains(id) && !weak.contains(id)).count();
            if live.is_empty() || (left * 2 < active_before.len() && !force) {
                return Err(Error::ReadOnly(format!(
                    "only {left} of {} active drives are left to record a change on",
                    active_before.len()
                )));
            }
            next.generation += 1;
            next.recorded = set.clock.now();
            next.members = set.with(|slots| slots.iter().map(Member::of).collect());
            let mut failed = false;
            let mut items = Vec::with_capacity(live.len());
            for id in live {
                let Ok(drive) = set.drive(id) else {
                    failed = true;
                    continue;
                };
                let superblock = Superblock { drive: id, ..next.clone() };
                items.push((id, (drive.queue().clone(), (drive, superblock))));
            }
            let (ids, items): (Vec<_>, Vec<_>) = items.into_iter().unzip();
            let written =
                DriveQueue::each(items, Work::Commit, Patience::Full, |(drive, superblock)| {
                    superblock.write(drive.as_ref())
                });
            // All that failed go before anything is returned: none may stay trusted.
            let mut stopped = Ok(());
            for (id, written) in ids.into_iter().zip(written) {
                if let Err(e) = written {
                    // A generation that some drives have must not be written again.
                    recorded.generation = next.generation;
                    stopped = stopped.and(set.take_out_failed(id, &e, "writing its superblock"));
                    failed = true;
                }
                coffer_base::failpoint::pass("supers.drive");
            }
            stopped?;
            if !failed {
                coffer_base::failpoint::pass("supers.recorded");
                *self.states.lock().expect("no holder panics") =
                    next.members.iter().map(|member| member.state).collect();
                let is_worse = |(before, after): (&Member, &Member)| {
                    !after.is_active() && before.state != after.state
                };
                let mut changes = before.iter().zip(&next.members);
                let leaves = next.complete && changes.any(is_worse);
                *recorded = next.clone();
                if !leaves || is_doubled {
                    return Ok(());
                }
                // In both slots of each, so that no damage to one brings a drive back.
                is_doubled = true;
            }
        }
    }
}

impl Member {
    fn of(slot: &Slot) -> Member {
        let active = slot.state == DriveState::Active;
        Member {
            id: slot.id,
            state: slot.state,
            replaced: slot.replaced,
            since: if active { Timestamp(0) } else { slot.since },
            why: if active { String::new() } else { slot.why.clone() },
            unsettled: !active && slot.unsettled,
        }
    }
}

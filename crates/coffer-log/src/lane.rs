//! The commit lane: history is what is appended here.
//!
//! One group at a time: append to every member of the open segment, one barrier on each, answer.
//! When a member fails or is lost, the group is acknowledged only after the membership
//! change is recorded on the other drives and the segment is sealed over them
//! ([`LaneCore::reform`]).
//!
//! What a power cut leaves at each step: before any member has synced, the group may or may not
//! be found by recovery (nobody was told); after the level's members have, it is found on each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coffer_base::buffer::align_up;
use coffer_base::drive::DriveQueue;
use coffer_base::drive::queue::{Patience, Work, is_given_up, is_slow};
use coffer_base::sync::{Condvar, Mutex, MutexGuard};
use coffer_base::{Ack, Drive, DriveId, Position, SegmentId};

use crate::copies::{ClosedSegment, OpenSegment, WaveResults};
use crate::error::Error;
use crate::group::{GROUP_HEADER_BYTES, Group};
use crate::inner::Inner;
use crate::mark::{Chain, Mark};
use crate::seal::seal;
use crate::segment::HEADER_BYTES;
use crate::set::DriveState;

/// What all handles of a log share.
pub(crate) struct Shared {
    pub inner: Arc<Inner>,
    pub core: Mutex<LaneCore>,
    /// The end of history as far as it was acknowledged, and why no commit is taken any more. Apart
    /// from `core`, which is held while a group syncs.
    end: Mutex<Mark>,
    broken: Mutex<Option<String>>,
    prepared: Mutex<Prepared>,
    attempts: AtomicU64,
    prepared_changed: Condvar,
    seals: Mutex<Vec<PendingSeal>>,
    seals_changed: Condvar,
}

/// The next open segment, made ahead.
enum Prepared {
    None,
    /// Under way; which attempt.
    Making(u64),
    Ready(OpenSegment),
}

struct PendingSeal {
    closed: ClosedSegment,
    /// The last attempt failed; the watcher tries again at `next_try`.
    failed: bool,
    attempts: u32,
    next_try: Duration,
}

/// Full segments that may wait to be sealed before the lane waits for them.
const SEALS_MAX: usize = 2;

/// The lane's own state.
pub(crate) struct LaneCore {
    current: Option<OpenSegment>,
    position: Position,
    chain: Chain,
    /// A group was begun and has not been committed: the segment must not change under it.
    building: bool,
    /// A segment that takes no more groups.
    leaving: Option<SegmentId>,
}

/// The one handle that appends.
pub struct Lane {
    shared: Arc<Shared>,
}

impl Shared {
    pub fn new(inner: Inner, position: Position, chain: Chain, broken: Option<String>) -> Self {
        let core = LaneCore { current: None, position, chain, building: false, leaving: None };
        let end = core.mark(&inner);
        Self {
            inner: Arc::new(inner),
            core: Mutex::new(core),
            end: Mutex::new(end),
            broken: Mutex::new(broken),
            prepared: Mutex::new(Prepared::None),
            attempts: AtomicU64::new(0),
            prepared_changed: Condvar::new(),
            seals: Mutex::default(),
            seals_changed: Condvar::new(),
        }
    }

    pub fn core(&self) -> MutexGuard<'_, LaneCore> {
        self.core.lock().expect("no holder panics")
    }

    /// Takes over segments that could not be sealed at the start.
    pub fn add_unsealed(&self, unsealed: Vec<ClosedSegment>) {
        let mut seals = self.seals.lock().expect("no holder panics");
        seals.extend(unsealed.into_iter().map(|closed| PendingSeal {
            closed,
            failed: true,
            attempts: 1,
            next_try: Duration::ZERO,
        }));
    }

    /// Starts making the next segment, unless that is under way.
    pub fn prepare(self: &Arc<Self>) {
        let mut prepared = self.prepared.lock().expect("no holder panics");
        if !matches!(*prepared, Prepared::None) {
            return;
        }
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        *prepared = Prepared::Making(attempt);
        drop(prepared);
        let shared = self.clone();
        self.inner.seams.background.spawn(Box::new(move || {
            let made =
                OpenSegment::create(&shared.inner, shared.inner.options.commit_segment_bytes);
            coffer_base::failpoint::pass("lane.prepared");
            let mut prepared = shared.prepared.lock().expect("no holder panics");
            if !matches!(*prepared, Prepared::Making(current) if current == attempt) {
                // Nobody waited so long. A later segment may be in use, so this one never can be.
                drop(prepared);
                if let Ok(segment) = made {
                    segment.discard(&shared.inner);
                }
                return;
            }
            *prepared = match made {
                Ok(segment) => Prepared::Ready(segment),
                Err(error) => {
                    tracing::warn!(%error, "the next segment can't be prepared yet");
                    Prepared::None
                }
            };
            shared.prepared_changed.notify_all();
        }));
    }

    /// A fresh segment with room for `need` body bytes: the prepared one if it will do.
    fn fresh(self: &Arc<Self>, need: u64) -> Result<OpenSegment, Error> {
        let bytes = self.inner.options.commit_segment_bytes.max(align_up(need));
        let prepared = self.prepared.lock().expect("no holder panics");
        let making = |p: &mut Prepared| matches!(*p, Prepared::Making(_));
        let limit = self.inner.options.stall_limit;
        let (mut prepared, _) = self
            .prepared_changed
            .wait_timeout_while(prepared, limit, making)
            .expect("no holder panics");
        // One that is still being made is discarded when it is ready.
        if let Prepared::Ready(segment) = std::mem::replace(&mut *prepared, Prepared::None) {
            drop(prepared);
            if segment.is_whole(&self.inner)
                && segment.capacity >= need
                && segment.members.len() == self.inner.members()?.0.copies()
            {
                return Ok(segment);
            }
            segment.discard(&self.inner);
        }
        OpenSegment::create(&self.inner, bytes)
    }

    /// Seals `closed` in the background; waits when too many are under way.
    fn seal_later(self: &Arc<Self>, closed: ClosedSegment) {
        let mut seals = self.seals.lock().expect("no holder panics");
        seals.push(PendingSeal {
            closed: closed.clone(),
            failed: false,
            attempts: 0,
            next_try: Duration::ZERO,
        });
        drop(seals);
        let shared = self.clone();
        self.inner.seams.background.spawn(Box::new(move || shared.run_seal(&closed)));
        let seals = self.seals.lock().expect("no holder panics");
        let crowded =
            |seals: &mut Vec<PendingSeal>| seals.iter().filter(|s| !s.failed).count() > SEALS_MAX;
        // Sealing that hangs must not stop commits: its copies are whole.
        let limit = self.inner.options.stall_limit;
        drop(self.seals_changed.wait_timeout_while(seals, limit, crowded).expect("no panics"));
    }

    fn run_seal(&self, closed: &ClosedSegment) {
        let result = seal(&self.inner, closed);
        let mut seals = self.seals.lock().expect("no holder panics");
        match result {
            Ok(()) => seals.retain(|s| s.closed.id != closed.id),
            Err(error) => {
                tracing::warn!(segment = %closed.id, %error, "not sealed yet, its copies stay");
                let now = self.inner.seams.clock.monotonic();
                for pending in seals.iter_mut().filter(|s| s.closed.id == closed.id) {
                    pending.failed = true;
                    pending.attempts += 1;
                    pending.next_try = now + Duration::from_secs(1 << pending.attempts.min(8));
                }
            }
        }
        self.seals_changed.notify_all();
    }

    /// Tries again what could not be sealed.
    fn retry_seals(self: &Arc<Self>) {
        let now = self.inner.seams.clock.monotonic();
        let mut seals = self.seals.lock().expect("no holder panics");
        let again: Vec<ClosedSegment> = seals
            .iter_mut()
            .filter(|s| s.failed && s.next_try <= now)
            .map(|s| {
                s.failed = false;
                s.closed.clone()
            })
            .collect();
        drop(seals);
        for closed in again {
            let shared = self.clone();
            self.inner.seams.background.spawn(Box::new(move || shared.run_seal(&closed)));
        }
    }

    /// Looks whether every live drive is still there, and takes care of what is not: the
    /// membership is recorded and the open segment leaves the drives that went.
    pub fn watch(self: &Arc<Self>) {
        self.inner.set.tell_slow();
        self.inner.set.fence_failed_late();
        let live = self.inner.set.with(|slots| {
            slots
                .iter()
                .filter(|s| s.state == DriveState::Active)
                .filter_map(|s| s.drive.clone().map(|drive| (s.id, drive)))
                .collect::<Vec<_>>()
        });
        let ids: Vec<DriveId> = live.iter().map(|(id, _)| *id).collect();
        let drives = live.into_iter().map(|(_, drive)| (drive.queue().clone(), drive)).collect();
        let probed =
            DriveQueue::each(drives, Work::Look, Patience::Hedged, |drive: Arc<dyn Drive>| {
                drive.probe()
            });
        for (id, probed) in ids.into_iter().zip(probed) {
            // One that does not answer is looked after by its threads.
            if let Err(e) = probed
                && !is_slow(&e)
                && !is_given_up(&e)
                && !self.inner.set.take_out(id, DriveState::Lost, &e.to_string())
                && self.inner.set.is_live(id)
            {
                // Its open files would take writes into nothing.
                self.stop(format!("the last drive went: {e}"));
            }
        }
        let mut core = self.core();
        if self.broken().is_none() && !core.building && core.needs_reform(&self.inner) {
            // A failure breaks the lane, which the next commit reports.
            if let Err(error) = core.reform(self) {
                tracing::error!(%error, "the commit lane stops");
            }
        }
        if self.broken().is_none()
            && let Err(error) = core.settle(self)
        {
            self.stop(error.to_string());
        }
        drop(core);
        if self.broken().is_none() {
            self.retry_seals();
        }
    }

    /// Writes no more to segment `id`, whose copy on a live drive lost its name, and has it sealed
    /// now; one that was only prepared is discarded. Why not, if that can't be.
    pub fn leave(self: &Arc<Self>, id: SegmentId) -> Result<(), String> {
        let mut prepared = self.prepared.lock().expect("no holder panics");
        if matches!(&*prepared, Prepared::Ready(segment) if segment.id == id)
            && let Prepared::Ready(segment) = std::mem::replace(&mut *prepared, Prepared::None)
        {
            drop(prepared);
            segment.discard(&self.inner);
            return Ok(());
        }
        drop(prepared);
        let mut core = self.core();
        if core.current.as_ref().is_some_and(|current| current.id == id) {
            core.leaving = Some(id);
            if core.building {
                return Err("the next commit ends its segment".to_owned());
            }
            core.make_room(self, HEADER_BYTES).map_err(|error| error.to_string())?;
        }
        drop(core);
        let seals = self.seals.lock().expect("no holder panics");
        let waits = |seals: &mut Vec<PendingSeal>| {
            seals.iter().any(|pending| pending.closed.id == id && !pending.failed)
        };
        let limit = self.inner.options.stall_limit;
        let (seals, _) =
            self.seals_changed.wait_timeout_while(seals, limit, waits).expect("no holder panics");
        match seals.iter().any(|pending| pending.closed.id == id) {
            true => Err("its segment waits to be sealed".to_owned()),
            false => Ok(()),
        }
    }

    /// Clean stop: everything sealed, nothing reserved.
    pub fn close(self: &Arc<Self>) -> Result<(), Error> {
        let mut core = self.core();
        if self.inner.options.read_only {
            return Ok(());
        }
        let (position, chain) = (core.position, core.chain);
        let result = match core.current.take() {
            Some(current) if current.offset > 0 => {
                seal(&self.inner, &current.close(position, chain))
            }
            Some(current) => {
                current.discard(&self.inner);
                Ok(())
            }
            None => Ok(()),
        };
        coffer_base::failpoint::pass("lane.close-sealed");
        self.stop("it was closed".into());
        drop(core);
        let seals = self.seals.lock().expect("no holder panics");
        let busy = |seals: &mut Vec<PendingSeal>| seals.iter().any(|s| !s.failed);
        drop(self.seals_changed.wait_while(seals, busy).expect("no holder panics"));
        let prepared = self.prepared.lock().expect("no holder panics");
        let making = |p: &mut Prepared| matches!(*p, Prepared::Making(_));
        let limit = self.inner.options.stall_limit;
        let (mut prepared, _) = self
            .prepared_changed
            .wait_timeout_while(prepared, limit, making)
            .expect("no holder panics");
        if let Prepared::Ready(segment) = std::mem::replace(&mut *prepared, Prepared::None) {
            segment.discard(&self.inner);
        }
        drop(prepared);
        self.inner.bulk.close_all(&self.inner);
        coffer_base::failpoint::pass("lane.closed");
        result
    }

    /// Why no commit is taken, if so.
    pub fn broken(&self) -> Option<String> {
        self.broken.lock().expect("no holder panics").clone()
    }

    /// No commit is taken from here on; the first reason stays.
    fn stop(&self, why: String) {
        self.broken.lock().expect("no holder panics").get_or_insert(why);
    }

    fn check(&self) -> Result<(), Error> {
        match self.broken() {
            Some(why) => Err(Error::ReadOnly(why)),
            None => Ok(()),
        }
    }

    /// The end of history.
    pub fn end(&self) -> Mark {
        *self.end.lock().expect("no holder panics")
    }

    /// The segments that are full and not sealed yet.
    fn pending(&self) -> Vec<SegmentId> {
        let seals = self.seals.lock().expect("no holder panics");
        seals.iter().map(|pending| pending.closed.id).collect()
    }

    /// How many are full and not sealed yet.
    pub fn unsealed(&self) -> usize {
        self.seals.lock().expect("no holder panics").len()
    }
}

impl LaneCore {
    fn mark(&self, inner: &Inner) -> Mark {
        Mark { epoch: inner.epoch.id, position: self.position, chain: self.chain }
    }

    fn needs_reform(&self, inner: &Inner) -> bool {
        let troubled = self.current.as_ref().is_some_and(|current| {
            !current.is_whole(inner) || current.members.iter().any(|m| m.failure().is_some())
        });
        troubled || !inner.supers.is_current(&inner.set)
    }

    /// Opens the first segment, or a fresh one when the current has no room.
    fn make_room(&mut self, shared: &Arc<Shared>, need: u64) -> Result<(), Error> {
        if let Some(current) = &self.current
            && current.offset + need <= current.capacity
            && self.leaving != Some(current.id)
        {
            if current.offset > current.capacity / 4 {
                shared.prepare();
            }
            return Ok(());
        }
        // A weaker level may have left a member behind. The next segment's groups must not be
        // durable while one before them is not.
        if let Some(current) = &self.current {
            let inner = &shared.inner;
            for member in current.members.iter().filter(|m| inner.set.is_live(m.drive)) {
                member.wait_idle();
            }
            if self.needs_reform(inner) {
                self.reform(shared)?;
                return self.make_room(shared, need);
            }
        }
        let fresh = shared.fresh(need)?;
        coffer_base::failpoint::pass("lane.roll-fresh");
        let old = self.current.take();
        self.install(fresh);
        coffer_base::failpoint::pass("lane.roll-installed");
        match old {
            Some(old) if old.offset > 0 => shared.seal_later(old.close(self.position, self.chain)),
            Some(old) => old.discard(&shared.inner),
            None => {}
        }
        Ok(())
    }

    fn install(&mut self, mut fresh: OpenSegment) {
        fresh.first = Position(self.position.0 + 1);
        fresh.chain_before = self.chain;
        self.current = Some(fresh);
    }

    /// Leaves the drives that failed or went: takes them out, records that on the others, seals
    /// the open segment over them, and opens a fresh one. On an error the lane is broken.
    fn reform(&mut self, shared: &Arc<Shared>) -> Result<(), Error> {
        let result = self.try_reform(shared);
        if let Err(error) = &result
            && *error != Error::Full
        {
            shared.stop(error.to_string());
        }
        result
    }

    fn try_reform(&mut self, shared: &Arc<Shared>) -> Result<(), Error> {
        let inner = &shared.inner;
        if let Some(current) = &self.current {
            // What is still queued belongs to the segment that will be sealed. A failed write has
            // fenced its drive already.
            for member in current.members.iter().filter(|m| inner.set.is_live(m.drive)) {
                member.wait_idle();
            }
            for member in &current.members {
                if let Some(why) = member.failure() {
                    inner.set.take_out(member.drive, DriveState::Lost, &why);
                }
            }
        }
        while !inner.supers.is_current(&inner.set) {
            inner.supers.record(&inner.set, false, |_| {})?;
        }
        coffer_base::failpoint::pass("lane.reform-recorded");
        if self.current.as_ref().is_some_and(|current| !current.is_whole(inner)) {
            // Sealed first: until then the groups that were just written count a lost drive.
            if let Some(current) = &self.current
                && current.offset > 0
            {
                seal(inner, &current.close(self.position, self.chain))?;
                coffer_base::failpoint::pass("lane.reform-sealed");
            }
            if let Some(current) = self.current.take()
                && current.offset == 0
            {
                current.discard(inner);
            }
            let fresh = shared.fresh(0)?;
            self.install(fresh);
            coffer_base::failpoint::pass("lane.reform-installed");
        }
        while !inner.supers.is_current(&inner.set) {
            inner.supers.record(&inner.set, false, |_| {})?;
        }
        self.settle(shared)
    }

    /// Records that drives that left are not needed any more, once all that is not sealed has as
    /// many copies without them as it should. Until then a start counts them as missing.
    fn settle(&self, shared: &Shared) -> Result<(), Error> {
        let inner = &shared.inner;
        let left = inner.set.unsettled();
        if left.is_empty() || self.current.as_ref().is_some_and(|c| !c.is_whole(inner)) {
            return Ok(());
        }
        let copies = inner.members_for_sealing()?.0.copies();
        if !shared.pending().iter().all(|id| inner.has_copies(*id, copies)) {
            return Ok(());
        }
        inner.set.settle(&left);
        inner.supers.record(&inner.set, false, |_| {})?;
        coffer_base::failpoint::pass("lane.settled");
        Ok(())
    }
}

impl Lane {
    /// The most body bytes of a group.
    pub const GROUP_BYTES_MAX: usize = 8 << 20;

    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Opens a group with `room` body bytes (item headers included, see [`Group::item_bytes`]).
    /// A group that is dropped instead of committed leaves nothing.
    pub fn begin(&mut self, room: usize) -> Result<Group, Error> {
        assert!(room <= Self::GROUP_BYTES_MAX, "a group of {room} bytes is too large");
        let mut core = self.shared.core();
        core.building = false;
        self.shared.check()?;
        if core.needs_reform(&self.shared.inner) {
            core.reform(&self.shared)?;
        }
        let need = align_up((GROUP_HEADER_BYTES + room) as u64);
        core.make_room(&self.shared, need)?;
        core.building = true;
        let current = core.current.as_ref().expect("make_room left one");
        let position = Position(core.position.0 + 1);
        Ok(Group::new(
            self.shared.inner.set.store,
            current.id,
            current.offset,
            position,
            core.chain,
            room,
        ))
    }

    /// Ends a group that was begun and will not be committed, so that the lane may leave a lost
    /// drive while it is idle.
    pub fn cancel(&mut self, group: Group) {
        drop(group);
        self.shared.core().building = false;
    }

    /// Appends the group, syncs, and returns once `ack` is met.
    ///
    /// An error means that the outcome is not known ([`Error::Unknown`]); the lane takes no
    /// more commits then, and recovery decides.
    pub fn commit(&mut self, group: Group, ack: Ack) -> Result<Mark, Error> {
        assert!(!group.is_empty(), "a group without items");
        let shared = &self.shared;
        let inner = &shared.inner;
        let mut core = shared.core();
        shared.check()?;
        core.building = false;
        let current = core.current.as_ref().expect("a begun group has its segment");
        assert_eq!(
            (group.segment(), group.offset()),
            (current.id, current.offset),
            "a group of another time"
        );
        let (bytes, chain) = group.seal(inner.seams.clock.now());
        let len = bytes.len() as u64;
        let members = current.members.len();
        let wave = current.submit(bytes, inner);
        coffer_base::failpoint::pass("lane.submitted");
        // Only drives that are still in the set count; one of those that answered may have left it,
        // and the others are no worse for that.
        let counted = |drives: &[DriveId]| drives.iter().filter(|d| inner.set.is_live(**d)).count();
        let mut results = WaveResults::default();
        loop {
            let missing = ack.copies(members).saturating_sub(counted(&results.done));
            if missing == 0 || results.done.len() + results.failed.len() == members {
                break;
            }
            results = wave.wait(results.done.len() + missing, members);
        }
        coffer_base::failpoint::pass("lane.wave");
        let enough = counted(&results.done) >= ack.copies(members);
        let any = counted(&results.done) > 0;
        if !any {
            let why = results
                .failed
                .iter()
                .map(|(drive, why)| format!("{}: {why}", inner.set.label(*drive)));
            let why =
                format!("no drive took the last group: {}", why.collect::<Vec<_>>().join("; "));
            shared.stop(why.clone());
            return Err(Error::Unknown(why));
        }
        let current = core.current.as_mut().expect("still there");
        current.offset += len;
        core.position = Position(core.position.0 + 1);
        core.chain = chain;
        if !enough || !results.failed.is_empty() || core.needs_reform(inner) {
            if !enough {
                for (drive, why) in &results.failed {
                    // A drive that is not to be trusted has been fenced where it failed.
                    inner.set.take_out(*drive, DriveState::Lost, why);
                }
            }
            // Recovery would find the group, but it is not safe at its level: unknown.
            core.reform(shared).map_err(|e| {
                shared.stop(e.to_string());
                Error::Unknown(e.to_string())
            })?;
        }
        coffer_base::failpoint::pass("lane.committed");
        let mark = core.mark(inner);
        *shared.end.lock().expect("no holder panics") = mark;
        Ok(mark)
    }

    /// The end of history.
    pub fn end(&self) -> Mark {
        self.shared.end()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

//! The one place where commits get their order.
//!
//! A group is formed from what arrived while the last one was syncing; an idle sequencer takes
//! the first commit that comes alone and at once. No timers: the sync is the pace-maker.
//!
//! Groups are run by a thread that owns the queue of commits. Where it is allowed ([`Leading`]), a
//! caller that finds nobody waiting and no group under way runs its own plan as a group of one
//! instead: two hand-overs between threads less, which is a third of what it then waits for.
//!
//! The steps of a group, and what a crash leaves after each:
//!
//! 1. Plans run one after another on an [`Overlay`]: nothing.
//! 2. The lane commits the group: all of it, found again by replay; or, if the commit did not
//!    return, all or nothing of it.
//! 3. The engine applies the overlay as one batch with the group's mark: the same as after 2,
//!    because what the engine loses is replayed.
//! 4. The callers are answered.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use coffer_base::Ack;
use coffer_base::sync::mpsc::{Receiver, SendError, Sender, TryRecvError};
use coffer_base::sync::{self, MutexGuard};
use coffer_log::{Group, Lane};
use tokio::sync::oneshot;

use crate::catalog::CommitError;
use crate::checkpoint::Checkpoints;
use crate::engine::{Engine, EngineError};
use crate::overlay::Overlay;
use crate::persister::Persister;
use crate::steps::{LongestSteps, StepWatch};
use crate::txn::Txn;

/// Room in a group for the record of a plan on top of its size hint: keys and framing.
const RECORD_BYTES_EXTRA: usize = 4 << 10;

/// More plans than this do not go into one group, however small they are.
const PLANS_PER_GROUP_MAX: usize = 4096;

/// What a queue carries.
pub(crate) enum Message {
    /// A commit.
    Commit(Box<dyn Request>),
    /// Nothing comes after this.
    Close,
}

/// Why a whole group failed.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    Log(coffer_log::Error),
    Index(EngineError),
    TooLarge { bytes: usize },
}

/// A commit that waits for its turn, its types erased.
pub(crate) trait Request: Send {
    fn ack(&self) -> Ack;
    /// Bytes it needs in a group, at most.
    fn room(&self) -> usize;
    /// Runs the plan and keeps its result; whether its effects are wanted.
    fn run(&mut self, txn: &mut Txn<'_>) -> bool;
    /// Sends the kept result, or the failure of the group in its place.
    fn answer(self: Box<Self>, failure: Option<Failure>);
}

/// The one implementation of [`Request`].
pub(crate) struct Pending<T, R, F> {
    ack: Ack,
    size_hint: usize,
    plan: Option<F>,
    result: Option<Result<T, CommitError<R>>>,
    reply: oneshot::Sender<Result<T, CommitError<R>>>,
}

impl<T, R, F> Pending<T, R, F> {
    pub(crate) fn new(
        ack: Ack,
        size_hint: usize,
        plan: F,
        reply: oneshot::Sender<Result<T, CommitError<R>>>,
    ) -> Self {
        Self { ack, size_hint, plan: Some(plan), result: None, reply }
    }
}

impl<T, R, F> Request for Pending<T, R, F>
where
    T: Send,
    R: Send,
    F: FnOnce(&mut Txn<'_>) -> Result<T, R> + Send,
{
    fn ack(&self) -> Ack {
        self.ack
    }

    fn room(&self) -> usize {
        self.size_hint.saturating_add(self.size_hint / 8).saturating_add(RECORD_BYTES_EXTRA)
    }

    fn run(&mut self, txn: &mut Txn<'_>) -> bool {
        let plan = self.plan.take().expect("a plan runs once");
        // What a panicking plan has changed is rolled back by the caller: the overlay and the
        // group hold no invariants across calls, so going on is sound.
        let result = match catch_unwind(AssertUnwindSafe(|| plan(txn))) {
            Ok(result) => result.map_err(CommitError::Rejected),
            Err(panic) => Err(CommitError::Panicked(panic_message(&*panic))),
        };
        let accepted = result.is_ok();
        self.result = Some(result);
        accepted
    }

    fn answer(self: Box<Self>, failure: Option<Failure>) {
        let result = match (failure, self.result) {
            (Some(Failure::Log(error)), _) => Err(CommitError::Log(error)),
            (Some(Failure::Index(error)), _) => Err(CommitError::Index(error)),
            (Some(Failure::TooLarge { bytes }), _) => Err(CommitError::TooLarge { bytes }),
            (None, Some(result)) => result,
            (None, None) => Err(CommitError::Closed),
        };
        // A caller that has gone away does not want its answer.
        drop(self.reply.send(result));
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
        .to_owned()
}

/// What a sequencer has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) groups: u64,
    pub(crate) commits: u64,
    pub(crate) rejected: u64,
    pub(crate) failed: u64,
    pub(crate) group_bytes: u64,
    pub(crate) changed_keys: u64,
    pub(crate) longest: LongestSteps,
}

/// Owns the commit lane and runs the plans.
pub(crate) struct Sequencer {
    lane: Lane,
    engine: Arc<dyn Engine>,
    counts: Arc<Mutex<Counts>>,
    persister: Persister,
    checkpoints: Checkpoints,
    /// Set when the engine refused a durable group: from then on it is behind the log, and
    /// plans would run on a stale state.
    behind: Option<EngineError>,
}

impl Sequencer {
    pub(crate) fn new(
        lane: Lane,
        engine: Arc<dyn Engine>,
        counts: Arc<Mutex<Counts>>,
        persister: Persister,
        checkpoints: Checkpoints,
    ) -> Self {
        Self { lane, engine, counts, persister, checkpoints, behind: None }
    }

    /// Stops background work and gives the lane back.
    pub(crate) fn finish(self) -> Lane {
        self.checkpoints.stop();
        self.persister.stop();
        self.lane
    }

    /// Runs `batch` as one group and answers every caller.
    pub(crate) fn run_group(&mut self, mut batch: Vec<Box<dyn Request>>) {
        let mut too_large = vec![None; batch.len()];
        let mut counts = Counts::default();
        let outcome = self.try_group(&mut batch, &mut too_large, &mut counts);
        match outcome {
            Ok(()) => counts.groups = u64::from(counts.group_bytes > 0),
            Err(_) => counts = Counts { failed: batch.len() as u64, ..Counts::default() },
        }
        {
            let mut all = self.counts.lock().expect("counting doesn't panic");
            all.groups += counts.groups;
            all.commits += counts.commits;
            all.rejected += counts.rejected;
            all.failed += counts.failed;
            all.group_bytes += counts.group_bytes;
            all.changed_keys += counts.changed_keys;
            all.longest.merge(&counts.longest);
        }
        for (request, too_large) in batch.into_iter().zip(too_large) {
            request.answer(outcome.clone().err().or(too_large));
            coffer_base::failpoint::pass("sequencer.answered");
        }
        self.persister.after_group(counts.group_bytes);
    }

    fn try_group(
        &mut self,
        batch: &mut [Box<dyn Request>],
        too_large: &mut [Option<Failure>],
        counts: &mut Counts,
    ) -> Result<(), Failure> {
        if let Some(error) = &self.behind {
            return Err(Failure::Index(error.clone()));
        }
        let mut watch = StepWatch::start();
        self.engine.check().map_err(Failure::Index)?;
        counts.longest.index_behind = watch.lap();
        let room = batch.iter().fold(0, |sum: usize, request| sum.saturating_add(request.room()));
        let mut group = self.lane.begin(room.min(Lane::GROUP_BYTES_MAX)).map_err(Failure::Log)?;
        let mut overlay = Overlay::default();
        let ran = self.run_plans(batch, too_large, &mut overlay, &mut group, counts);
        if ran.is_err() || group.is_empty() {
            // Nothing but reads and rejections saw only what is durable already.
            self.lane.cancel(group);
            return ran.map(|_| ());
        }
        let ack = ran?;
        counts.group_bytes = group.len() as u64;
        counts.changed_keys = overlay.len() as u64;
        counts.longest.plans = watch.lap();
        coffer_base::failpoint::pass("sequencer.plans");
        let mark = self.lane.commit(group, ack).map_err(Failure::Log)?;
        counts.longest.log = watch.lap();
        coffer_base::failpoint::pass("sequencer.committed");
        let writes = overlay.into_writes();
        self.checkpoints.touch(&writes);
        self.engine.apply(writes, mark).map_err(|error| {
            tracing::error!(
                "a durable group did not get into the index, restart to replay it: \
                {error}"
            );
            self.behind = Some(error.clone());
            Failure::Index(error)
        })?;
        counts.longest.apply = watch.lap();
        coffer_base::failpoint::pass("sequencer.applied");
        self.checkpoints.after_apply(&*self.engine, mark, counts.group_bytes);
        counts.longest.checkpoint = watch.lap();
        Ok(())
    }

    /// Runs the plans in order; the strictest acknowledgement that an accepted one wants.
    fn run_plans(
        &self,
        batch: &mut [Box<dyn Request>],
        too_large: &mut [Option<Failure>],
        overlay: &mut Overlay,
        group: &mut Group,
        counts: &mut Counts,
    ) -> Result<Ack, Failure> {
        let ordinals = Cell::new(0);
        let mut ack = Ack::Primary;
        for (request, too_large) in batch.iter_mut().zip(too_large) {
            let savepoint = group.savepoint();
            let accepted = match self.run_plan(&mut **request, overlay, group, &ordinals) {
                Ok(accepted) => accepted,
                Err(failure @ Failure::TooLarge { .. }) => {
                    *too_large = Some(failure);
                    false
                }
                Err(failure) => return Err(failure),
            };
            if accepted {
                counts.commits += 1;
                ack = ack.max(request.ack());
            } else {
                group.roll_back(savepoint);
                overlay.roll_back();
                counts.rejected += 1;
            }
        }
        Ok(ack)
    }

    /// Runs one plan and appends its record; whether its effects stay.
    fn run_plan(
        &self,
        request: &mut dyn Request,
        overlay: &mut Overlay,
        group: &mut Group,
        ordinals: &Cell<u64>,
    ) -> Result<bool, Failure> {
        if request.room() > group.room_left() {
            return Err(Failure::TooLarge { bytes: request.room() });
        }
        let mut txn = Txn::new(&*self.engine, overlay, group, ordinals);
        let accepted = request.run(&mut txn);
        let record = txn.finish().map_err(|error| Failure::Index(error.0))?;
        if !accepted {
            return Ok(false);
        }
        if !record.is_empty() {
            let bytes = record.bytes();
            if bytes.len() + RECORD_BYTES_EXTRA / 4 > group.room_left() {
                return Err(Failure::TooLarge { bytes: bytes.len() });
            }
            group.record(bytes);
        }
        Ok(true)
    }
}

/// Who may run groups beside the sequencer's own thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leading {
    /// Nobody.
    #[default]
    Never,
    /// A caller of a commit, on its own thread, which is blocked for that long.
    Caller,
    /// A task of a runtime with several threads: its thread's other tasks go on elsewhere. On other
    /// runtimes nobody.
    Task,
}

/// A sequencer between the thread that serves its queue and callers that run their own groups.
pub(crate) struct Shared {
    /// None from the end on.
    sequencer: sync::Mutex<Option<Sequencer>>,
    /// Commits that wait for the thread. While there are any, nobody else begins a group: they were
    /// first.
    waiting: AtomicUsize,
    leading: Leading,
}

impl Shared {
    pub(crate) fn new(sequencer: Sequencer, leading: Leading) -> Shared {
        let sequencer = sync::Mutex::new(Some(sequencer));
        Shared { sequencer, waiting: AtomicUsize::new(0), leading }
    }

    /// Has `request` run and answered: now, or later by the thread that serves `queue`. An error:
    /// nothing is taken any more.
    pub(crate) fn take(
        &self,
        request: Box<dyn Request>,
        queue: &Sender<Message>,
    ) -> Result<(), SendError<Message>> {
        let request = match self.leading {
            Leading::Never => Some(request),
            Leading::Caller => self.try_lead(request, |lead| lead()),
            Leading::Task if is_on_threads() => {
                self.try_lead(request, |lead| tokio::task::block_in_place(lead))
            }
            Leading::Task => Some(request),
        };
        let Some(request) = request else { return Ok(()) };
        self.waiting.fetch_add(1, Ordering::SeqCst);
        queue.send(Message::Commit(request))
    }

    /// Runs `request` as a group, unless another is under way or was there before: then it is given
    /// back. `within` calls what it is given.
    fn try_lead(
        &self,
        request: Box<dyn Request>,
        within: impl FnOnce(&mut dyn FnMut()),
    ) -> Option<Box<dyn Request>> {
        let nobody_waits = || self.waiting.load(Ordering::SeqCst) == 0;
        if !nobody_waits() {
            return Some(request);
        }
        let Ok(mut sequencer) = self.sequencer.try_lock() else { return Some(request) };
        let Some(sequencer) = sequencer.as_mut().filter(|_| nobody_waits()) else {
            return Some(request);
        };
        let mut batch = vec![request];
        within(&mut || sequencer.run_group(std::mem::take(&mut batch)));
        batch.pop()
    }

    fn sequencer(&self) -> MutexGuard<'_, Option<Sequencer>> {
        self.sequencer.lock().expect("a group that panics ends the commits")
    }

    /// Serves the queue until [`Message::Close`], or until nobody can send any more.
    pub(crate) fn run(&self, queue: &Receiver<Message>) -> Lane {
        let mut held = None;
        loop {
            let first = match held.take() {
                Some(request) => request,
                None => match queue.recv() {
                    Ok(Message::Commit(request)) => request,
                    Ok(Message::Close) | Err(_) => return self.finish(),
                },
            };
            // What comes while a caller's group syncs is in the next one.
            let mut running = self.sequencer();
            let mut room = first.room();
            let mut batch = vec![first];
            let mut closing = false;
            while batch.len() < PLANS_PER_GROUP_MAX {
                match queue.try_recv() {
                    Ok(Message::Commit(request)) => {
                        if room.saturating_add(request.room()) > Lane::GROUP_BYTES_MAX {
                            held = Some(request);
                            break;
                        }
                        room += request.room();
                        batch.push(request);
                    }
                    Ok(Message::Close) => {
                        closing = true;
                        break;
                    }
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.waiting.fetch_sub(batch.len(), Ordering::SeqCst);
            let sequencer = running.as_mut().expect("it is taken by this thread alone");
            sequencer.run_group(batch);
            drop(running);
            if closing {
                return self.finish();
            }
        }
    }

    fn finish(&self) -> Lane {
        let sequencer = self.sequencer().take().expect("it is taken once");
        sequencer.finish()
    }
}

/// Whether the current task may block its thread in place.
fn is_on_threads() -> bool {
    use tokio::runtime::{Handle, RuntimeFlavor};
    // The only thread of a runtime has nobody to hand its other tasks to at once.
    Handle::try_current().is_ok_and(|on| {
        on.runtime_flavor() == RuntimeFlavor::MultiThread && on.metrics().num_workers() > 1
    })
}

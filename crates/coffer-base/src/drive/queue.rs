//! A drive's own threads, and what is known of how it answers.
//!
//! A drive may hang: no error, just no answer, for seconds or for ever. So whatever asks a drive
//! does so on threads that belong to this drive alone, and a caller waits for the answer only as
//! long as somebody believes in it. Two clocks run:
//!
//! - A *read* that has not come after the hedge delay (a few times what reads of this set usually
//!   take) is given up by its reader, who takes the bytes from elsewhere. While it is outstanding,
//!   and for some time after it came late, the drive is *slow*: readers that have another way do
//!   not ask it.
//! - A drive that does not move for the stall limit, while others do, is *given up* for good:
//!   every caller that waits for it is told so at once, nothing that is queued is begun, and
//!   nothing is ever sent to it again. What was inside the drive at that moment may still land
//!   later; a job owns all that it touches. Files are closed on these threads, too.
//!
//! When time counts against a drive is told in [`watch`].

#[cfg(not(feature = "shuttle"))]
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use self::crew::Crew;
use crate::sync::{Mutex, MutexGuard, mpsc};

/// Threads for commits: the open segment, and what is left of the one before.
const COMMIT_THREADS: usize = 2;
/// Threads for everything else: as many operations are inside one drive at once.
const OTHER_THREADS: usize = 16;

/// A read is not given up by its reader before this, however fast reads are otherwise.
const HEDGE_MIN: Duration = Duration::from_millis(20);
/// Nor is it waited for longer than this if there is another way.
const HEDGE_MAX: Duration = Duration::from_millis(500);
/// The hedge delay as a multiple of the usual time.
const HEDGE_FACTOR: u32 = 8;
/// How long a drive whose read came late is left alone, as a multiple of how late it was.
const SHUN_FACTOR: u32 = 8;
const SHUN_MIN: Duration = Duration::from_secs(1);
const SHUN_MAX: Duration = Duration::from_secs(10);

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A group of the commit lane: never waits behind other work.
    Commit,
    /// Reading.
    Read,
    /// Asking how it is: like reading, but not counted as a read.
    Look,
    /// Writing, syncing, changing names.
    Write,
}

/// How long to wait for a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// There is another way to the bytes: not longer than the hedge delay, and not at all while
    /// the drive is slow. Then the error is one that [`is_slow`] knows.
    Hedged,
    /// Until it comes, or the drive is given up.
    Full,
}

/// What one call to a drive proves when it comes back: no more than that such calls do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Reading and asking.
    Answers,
    /// Making durable.
    Durable,
    /// Writing past the system's memory; the drive's own may have taken it.
    Direct,
    /// Names, lengths, writes that memory takes.
    Other,
}

impl Class {
    const COUNT: usize = 4;
}

/// Makes a drive show that it still makes things durable.
pub(super) type Check = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

#[derive(Debug)]
struct Late(String);

impl std::fmt::Display for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Late {}

/// Whether `e` says that a read was not waited for, see [`Patience::Hedged`].
pub fn is_slow(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::WouldBlock && e.get_ref().is_some_and(|inner| inner.is::<Late>())
}

/// Whether `e` says that the drive was given up because it does not answer.
pub fn is_given_up(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::TimedOut && e.get_ref().is_some_and(|inner| inner.is::<Late>())
}

/// The threads of one drive. Cheap to clone; the threads end with the last clone.
#[derive(Clone)]
pub struct DriveQueue(Option<Arc<Handle>>, Option<Arc<dyn Verdicts>>);

/// The queue of drives without threads: everything runs at once where it is called.
pub(super) static INLINE: DriveQueue = DriveQueue(None, None);

/// What becomes of a drive without threads that hangs. In a simulation no time passes: a call that
/// would hang answers at once with [`late`] or [`given_up`], and who gave it up is told here.
pub(super) trait Verdicts: Send + Sync {
    /// See [`DriveQueue::is_slow`].
    fn is_slow(&self) -> bool;
    /// See [`DriveQueue::given_up`].
    fn given_up(&self) -> Option<String>;
    /// See [`DriveQueue::take_late_failure`].
    fn take_late_failure(&self) -> Option<io::Error>;
    /// How long calls from now on wait; returns how long those before did.
    fn set_patience(&self, patience: Patience) -> Patience;
}

/// The error of a call that was not waited for.
pub(super) fn late(label: &str) -> io::Error {
    io::Error::new(io::ErrorKind::WouldBlock, Late(format!("{label} is slow")))
}

/// The error of a call to a drive that was given up.
pub(super) fn given_up(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, Late(why))
}

struct Handle(Arc<Shared>);

struct Shared {
    number: u64,
    label: String,
    /// The only drive of its set: there is no other way, so callers wait where they are.
    alone: bool,
    pace: Arc<Pace>,
    commit: Arc<Crew>,
    other: Arc<Crew>,
    jobs: Mutex<Jobs>,
    given_up: AtomicBool,
    /// Not part of the set any more: proves nothing for or against others.
    retired: AtomicBool,
    /// Reads that nobody waits for any more and that have not come.
    overdue: AtomicUsize,
    /// Milliseconds of the pace's clock until which it is left alone.
    shunned_until: AtomicU64,
    /// Something has not moved for a quarter of the stall limit.
    troubled: AtomicBool,
    hedged: AtomicU64,
    check: Check,
    /// A check is under way.
    checking: AtomicBool,
    /// The calls that came back well.
    done: [Done; Class::COUNT],
    /// The first failure of a change that came after the drive was given up, until it is taken.
    late_failure: Mutex<Option<io::Error>>,
}

/// The calls of one class that came back well; nanoseconds of the pace's clock.
#[derive(Default)]
struct Done {
    /// When the last one of them began, and when the last one ended.
    begun: AtomicU64,
    ended: AtomicU64,
}

#[derive(Default)]
struct Jobs {
    next: u64,
    waiting: BTreeMap<u64, Entry>,
    /// Why nothing is begun any more.
    closed: Option<String>,
}

/// A job that has not ended.
struct Entry {
    work: Work,
    /// Waiting for a thread is not the drive's slowness.
    began: Option<Instant>,
    /// `None` until it runs.
    progress: Option<Arc<Progress>>,
    overdue: bool,
    /// Tells its caller that the drive was given up.
    abandon: Box<dyn FnOnce(io::Error) + Send>,
    /// `Progress::moves` when the watch looked last, and for how long that has been so.
    seen: u64,
    still: Duration,
    /// How much of that counts against the drive.
    charged: Duration,
}

/// How far a running job is.
#[derive(Default)]
struct Progress {
    /// Counts the beginnings and ends of its calls to the drive: odd while it is in one.
    moves: AtomicU64,
    /// The class of that call, and when it began, in nanoseconds of the pace's clock.
    class: AtomicUsize,
    began: AtomicU64,
}

/// What the drives of a set have in common.
struct Pace {
    began: Instant,
    /// What a read usually takes.
    read_ns: AtomicU64,
    /// How many are part of the set and not given up. Never none.
    live: Mutex<usize>,
}

impl Pace {
    fn new(drives: usize) -> Pace {
        let read_ns = AtomicU64::new(1_000_000);
        Pace { began: Instant::now(), read_ns, live: Mutex::new(drives) }
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn now_ns(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    fn live(&self) -> MutexGuard<'_, usize> {
        self.live.lock().expect("no holder panics")
    }

    fn hedge_delay(&self) -> Duration {
        let usual = Duration::from_nanos(self.read_ns.load(Relaxed));
        (usual * HEDGE_FACTOR).clamp(HEDGE_MIN, HEDGE_MAX)
    }

    /// A moving mean; what is far off counts little, so that a stall doesn't become usual.
    fn add(&self, took: Duration) {
        let usual = self.read_ns.load(Relaxed);
        let took = (took.as_nanos() as u64).min(usual * 4 + 1_000_000);
        self.read_ns.store(usual - usual / 16 + took / 16, Relaxed);
    }
}

#[cfg(feature = "shuttle")]
static HERE: crate::sync::PerTask<(u64, Arc<Progress>)> = crate::sync::PerTask::new();

#[cfg(not(feature = "shuttle"))]
thread_local! {
    /// The queue whose job runs on this thread, and how far it is.
    static HERE: RefCell<Option<(u64, Arc<Progress>)>> = const { RefCell::new(None) };
}

impl Drop for Handle {
    fn drop(&mut self) {
        // A drive that nobody has any more is not the one that is left.
        if self.0.is_live()
            && let Ok(mut live) = self.0.pace.live.lock()
        {
            *live = live.saturating_sub(1);
        }
        for crew in [&self.0.commit, &self.0.other] {
            crew.end();
        }
    }
}

impl DriveQueue {
    /// Threads for each of the drives of a set, by what they are called and how they are checked,
    /// and one that watches them; see the module.
    pub(super) fn for_set(
        drives: Vec<(String, Check)>,
        stall_limit: Duration,
    ) -> io::Result<Vec<DriveQueue>> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let pace = Arc::new(Pace::new(drives.len()));
        let alone = drives.len() == 1;
        let mut queues = Vec::with_capacity(drives.len());
        for (i, (label, check)) in drives.into_iter().enumerate() {
            let handle = Arc::new(Handle(Arc::new(Shared {
                number: NUMBERS.fetch_add(1, Relaxed),
                label,
                alone,
                pace: pace.clone(),
                commit: Crew::new(format!("commit{i}"), COMMIT_THREADS)?,
                other: Crew::new(format!("drive{i}"), OTHER_THREADS)?,
                jobs: Mutex::default(),
                given_up: AtomicBool::new(false),
                retired: AtomicBool::new(false),
                overdue: AtomicUsize::new(0),
                shunned_until: AtomicU64::new(0),
                troubled: AtomicBool::new(false),
                hedged: AtomicU64::new(0),
                check,
                checking: AtomicBool::new(false),
                done: Default::default(),
                late_failure: Mutex::default(),
            })));
            queues.push(DriveQueue(Some(handle), None));
        }
        // Where no time passes, nothing stalls.
        if queues.len() > 1 && !cfg!(feature = "shuttle") {
            let watched = queues.iter().filter_map(|q| q.0.as_ref().map(Arc::downgrade)).collect();
            let builder = std::thread::Builder::new().name("stalls".into());
            builder.spawn(move || watch::watch(watched, stall_limit))?;
        }
        Ok(queues)
    }

    /// Starts `work` on a thread of the drive, and does not wait for it. `done` gets its result,
    /// once: from that thread, or from another if the drive is given up before. A job on a thread
    /// of this drive, or of a drive without threads, has ended on return.
    pub fn start<R: Send + 'static>(
        &self,
        kind: Work,
        work: impl FnOnce() -> io::Result<R> + Send + 'static,
        done: impl FnOnce(io::Result<R>) + Send + 'static,
    ) {
        match self.elsewhere() {
            Some(shared) => {
                shared.submit(kind, work, done);
            }
            None => done(work()),
        }
    }

    /// Runs `work` on each drive, all at once, and returns the results in order. Drives without
    /// threads are asked one after another.
    pub fn each<T, R>(
        items: Vec<(DriveQueue, T)>,
        kind: Work,
        patience: Patience,
        work: impl Fn(T) -> io::Result<R> + Clone + Send + 'static,
    ) -> Vec<io::Result<R>>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        let mut results: Vec<Option<io::Result<R>>> = items.iter().map(|_| None).collect();
        let (sender, answers) = mpsc::channel();
        let mut asked: Vec<Option<(DriveQueue, u64)>> = Vec::with_capacity(items.len());
        let mut left = 0;
        let mut delay = Duration::ZERO;
        for (i, (queue, item)) in items.into_iter().enumerate() {
            let Some(shared) = queue.elsewhere() else {
                results[i] = Some(queue.run_here(patience, || work(item)));
                asked.push(None);
                continue;
            };
            if patience == Patience::Hedged && shared.is_slow() {
                results[i] = Some(Err(shared.hedge(kind)));
                asked.push(None);
                continue;
            }
            delay = shared.pace.hedge_delay();
            let (work, sender) = (work.clone(), sender.clone());
            // Nobody listens any more once a read was given up.
            let done = move |result| drop(sender.send((i, result)));
            let id = shared.submit(kind, move || work(item), done);
            asked.push(Some((queue, id)));
            left += 1;
        }
        drop(sender);
        let until = Instant::now() + delay;
        while left > 0 {
            let answer = match patience {
                Patience::Full => answers.recv().ok(),
                Patience::Hedged => {
                    answers.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
                }
            };
            let Some((i, result)) = answer else { break };
            results[i] = Some(result);
            left -= 1;
        }
        let late = results.into_iter().zip(asked).map(|(result, asked)| match (result, asked) {
            (Some(result), _) => result,
            (None, Some((queue, id))) => {
                Err(queue.0.as_ref().map_or_else(gone, |handle| handle.0.overdue(id, kind)))
            }
            (None, None) => Err(gone()),
        });
        late.collect()
    }

    /// What [`DriveQueue::each`] does with a drive without threads, and on the drive's own.
    fn run_here<R>(
        &self,
        patience: Patience,
        work: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let Some(verdicts) = &self.1 else { return work() };
        let before = verdicts.set_patience(patience);
        let result = work();
        verdicts.set_patience(before);
        result
    }

    /// Runs `work` on each drive, all at once, and hands `take` each result as it comes, with its
    /// place in `items`, until it has enough (`true`) or all have answered or been given up.
    pub fn first<T, R>(
        items: Vec<(DriveQueue, T)>,
        kind: Work,
        work: impl Fn(T) -> io::Result<R> + Clone + Send + 'static,
        mut take: impl FnMut(usize, io::Result<R>) -> bool,
    ) where
        T: Send + 'static,
        R: Send + 'static,
    {
        let (sender, answers) = mpsc::channel();
        for (i, (queue, item)) in items.into_iter().enumerate() {
            let (work, sender) = (work.clone(), sender.clone());
            let done = move |result| drop(sender.send((i, result)));
            queue.start(kind, move || work(item), done);
        }
        drop(sender);
        while let Ok((i, result)) = answers.recv() {
            if take(i, result) {
                return;
            }
        }
    }

    /// One call to the drive, from anywhere; `class` is what its success says.
    pub(super) fn call<R: Send + 'static>(
        &self,
        kind: Work,
        class: Class,
        patience: Patience,
        work: impl FnOnce() -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let Some(Handle(shared)) = self.0.as_deref() else { return work() };
        if self.is_here() {
            return self.call_here(class, work);
        }
        if patience == Patience::Hedged && shared.is_slow() {
            return Err(shared.hedge(kind));
        }
        let (sender, answer) = mpsc::sync_channel(1);
        let here = self.clone();
        let work = move || here.call_here(class, work);
        let id = shared.submit(kind, work, move |result| drop(sender.send(result)));
        match patience {
            Patience::Full => answer.recv().unwrap_or_else(|_| Err(gone())),
            Patience::Hedged => match answer.recv_timeout(shared.pace.hedge_delay()) {
                Ok(result) => result,
                Err(mpsc::RecvTimeoutError::Timeout) => Err(shared.overdue(id, kind)),
                Err(mpsc::RecvTimeoutError::Disconnected) => Err(gone()),
            },
        }
    }

    /// One call from a job on a thread of this drive; refused once the drive was given up.
    pub(super) fn call_here<R>(
        &self,
        class: Class,
        work: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        match self.0.as_deref() {
            Some(Handle(shared)) => shared.call(class, work),
            None => work(),
        }
    }

    /// Whether calls from this thread may go straight to the drive.
    pub(super) fn is_here(&self) -> bool {
        self.0.as_ref().is_none_or(|handle| handle.0.alone) || self.elsewhere().is_none()
    }

    /// The queue of a drive without threads: everything runs at once where it is called.
    pub fn inline() -> DriveQueue {
        INLINE.clone()
    }

    /// As [`DriveQueue::inline`], for a drive that may hang in a simulation.
    pub(super) fn simulated(verdicts: Arc<dyn Verdicts>) -> DriveQueue {
        DriveQueue(None, Some(verdicts))
    }

    /// As [`DriveQueue::inline`], borrowed.
    pub fn none() -> &'static DriveQueue {
        &INLINE
    }

    /// Whether readers that have another way leave it alone.
    pub fn is_slow(&self) -> bool {
        self.0.as_ref().is_some_and(|handle| handle.0.is_slow())
            || self.1.as_ref().is_some_and(|verdicts| verdicts.is_slow())
    }

    /// Whether it was given up: nothing is sent to it any more.
    pub fn is_given_up(&self) -> bool {
        self.0.as_ref().is_some_and(|handle| handle.0.given_up.load(Relaxed))
            || self.1.as_ref().is_some_and(|verdicts| verdicts.given_up().is_some())
    }

    /// Why it was given up, if so.
    pub fn given_up(&self) -> Option<String> {
        match (&self.0, &self.1) {
            (Some(handle), _) => handle.0.jobs().closed.clone(),
            (None, verdicts) => verdicts.as_ref()?.given_up(),
        }
    }

    /// Says that the drive is not part of the set any more; it stays usable. Refused (`false`)
    /// when no other one is left that was not given up.
    pub fn retire(&self) -> bool {
        let Some(Handle(shared)) = self.0.as_deref() else { return true };
        let mut live = shared.pace.live();
        if !shared.is_live() {
            shared.retired.store(true, Relaxed);
            return true;
        }
        if *live == 1 {
            return false;
        }
        *live -= 1;
        shared.retired.store(true, Relaxed);
        true
    }

    /// Has a thread of the drive drop `what`, which may take as long as any call to it.
    pub(super) fn drop_there<T: Send + 'static>(&self, what: T) {
        let Some(Handle(shared)) = self.0.as_deref() else { return };
        // Where a failing test is taken apart, threads may be gone.
        if !self.is_here() && !std::thread::panicking() {
            shared.other.push(Box::new(move || drop(what)));
        }
    }

    /// A change that failed after the drive was given up, once.
    pub fn take_late_failure(&self) -> Option<io::Error> {
        let Some(Handle(shared)) = self.0.as_deref() else {
            return self.1.as_ref()?.take_late_failure();
        };
        shared.late_failure.lock().expect("no holder panics").take()
    }

    /// Reads that were taken from elsewhere because this drive did not answer.
    pub fn hedged_reads(&self) -> u64 {
        self.0.as_ref().map_or(0, |handle| handle.0.hedged.load(Relaxed))
    }

    /// The drive's shared state, unless calls from this thread go straight to the drive.
    fn elsewhere(&self) -> Option<&Arc<Shared>> {
        let shared = &self.0.as_ref()?.0;
        let here = HERE.with_borrow(|here| here.as_ref().map(|(number, _)| *number));
        (here != Some(shared.number)).then_some(shared)
    }
}

fn gone() -> io::Error {
    io::Error::other("a thread of the drive ended without an answer")
}

impl Shared {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().expect("no holder panics")
    }

    fn submit<R: Send + 'static>(
        self: &Arc<Self>,
        kind: Work,
        work: impl FnOnce() -> io::Result<R> + Send + 'static,
        done: impl FnOnce(io::Result<R>) + Send + 'static,
    ) -> u64 {
        // Whoever takes it calls it: the job when it ends, or the watch.
        let done = Arc::new(Mutex::new(Some(done)));
        let take = |done: &Mutex<Option<_>>| done.lock().expect("no holder panics").take();
        let abandoned = done.clone();
        let mut jobs = self.jobs();
        if jobs.closed.is_some() {
            drop(jobs);
            if let Some(done) = take(&done) {
                done(Err(self.given_up_error()));
            }
            return 0;
        }
        jobs.next += 1;
        let id = jobs.next;
        jobs.waiting.insert(
            id,
            Entry {
                work: kind,
                began: None,
                progress: None,
                overdue: false,
                abandon: Box::new(move |e| {
                    if let Some(done) = take(&abandoned) {
                        done(Err(e));
                    }
                }),
                seen: 0,
                still: Duration::ZERO,
                charged: Duration::ZERO,
            },
        );
        drop(jobs);
        let shared = self.clone();
        let task = Box::new(move || {
            if !shared.begin(id) {
                return;
            }
            let result = catch_unwind(AssertUnwindSafe(work));
            let result = result.unwrap_or_else(|_| Err(io::Error::other("a drive's job panicked")));
            shared.end(id);
            if let Some(done) = take(&done) {
                done(result);
            }
        });
        match kind {
            Work::Commit => self.commit.push(task),
            Work::Read | Work::Look | Work::Write => self.other.push(task),
        }
        id
    }

    fn begin(&self, id: u64) -> bool {
        let mut jobs = self.jobs();
        let Some(entry) = jobs.waiting.get_mut(&id) else { return false };
        let progress = Arc::new(Progress::default());
        entry.progress = Some(progress.clone());
        entry.began = Some(Instant::now());
        drop(jobs);
        HERE.set(Some((self.number, progress)));
        true
    }

    /// See [`DriveQueue::call_here`].
    fn call<R>(&self, class: Class, work: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        if self.given_up.load(Relaxed) {
            return Err(self.given_up_error());
        }
        let began = self.pace.now_ns();
        self.moved(class, began);
        let result = work();
        self.moved(class, began);
        match &result {
            Ok(_) => {
                let done = &self.done[class as usize];
                done.begun.fetch_max(began, Relaxed);
                done.ended.fetch_max(self.pace.now_ns(), Relaxed);
            }
            Err(e) if class != Class::Answers && self.given_up.load(Relaxed) => {
                let mut late = self.late_failure.lock().expect("no holder panics");
                late.get_or_insert_with(|| match e.raw_os_error() {
                    Some(number) => io::Error::from_raw_os_error(number),
                    None => io::Error::new(e.kind(), e.to_string()),
                });
            }
            Err(_) => {}
        }
        result
    }

    /// The job of this thread begins a call to the drive, or ends one.
    fn moved(&self, class: Class, began: u64) {
        HERE.with_borrow(|here| {
            let Some((_, progress)) = here else { return };
            progress.class.store(class as usize, Relaxed);
            progress.began.store(began, Relaxed);
            progress.moves.fetch_add(1, Relaxed);
        });
    }

    /// Whether it is part of the set and not given up.
    fn is_live(&self) -> bool {
        !self.retired.load(Relaxed) && !self.given_up.load(Relaxed)
    }

    fn end(&self, id: u64) {
        HERE.set(None);
        let entry = self.jobs().waiting.remove(&id);
        let Some(entry) = entry else { return };
        let took = entry.began.map_or(Duration::ZERO, |began| began.elapsed());
        if entry.overdue {
            if took > 2 * self.pace.hedge_delay() {
                let shun = (took * SHUN_FACTOR).clamp(SHUN_MIN, SHUN_MAX);
                self.shunned_until.store(self.pace.now_ms() + shun.as_millis() as u64, Relaxed);
            }
            self.overdue.fetch_sub(1, Relaxed);
        }
        if entry.work == Work::Read {
            self.pace.add(took);
        }
    }

    fn is_slow(&self) -> bool {
        self.overdue.load(Relaxed) > 0
            || self.troubled.load(Relaxed)
            || self.shunned_until.load(Relaxed) > self.pace.now_ms()
    }

    /// Counts a read that goes elsewhere.
    fn hedge(&self, kind: Work) -> io::Error {
        self.hedged.fetch_add(u64::from(kind == Work::Read), Relaxed);
        late(&self.label)
    }

    /// Nobody waits for read `id` any more.
    fn overdue(&self, id: u64, kind: Work) -> io::Error {
        if let Some(entry) = self.jobs().waiting.get_mut(&id) {
            entry.overdue = true;
            self.overdue.fetch_add(1, Relaxed);
        }
        self.hedge(kind)
    }

    fn given_up_error(&self) -> io::Error {
        given_up(self.jobs().closed.clone().unwrap_or_default())
    }

    /// Begins nothing any more; returns the jobs that have not ended.
    fn close(&self, why: String) -> Vec<Entry> {
        let mut jobs = self.jobs();
        jobs.closed = Some(why);
        self.given_up.store(true, Relaxed);
        let waiting = std::mem::take(&mut jobs.waiting);
        drop(jobs);
        for crew in [&self.commit, &self.other] {
            let never_begun = std::mem::take(&mut crew.state().tasks);
            // Theirs may be the last reference to a file, and closing it hangs.
            crew.push(Box::new(move || drop(never_begun)));
        }
        waiting.into_values().collect()
    }

    /// Tells those that wait for the jobs.
    fn tell(&self, waiting: Vec<Entry>) {
        for entry in waiting {
            (entry.abandon)(self.given_up_error());
        }
    }
}

mod crew;
mod watch;

#[cfg(all(test, feature = "shuttle"))]
mod schedules;
#[cfg(all(test, not(feature = "shuttle")))]
mod tests;

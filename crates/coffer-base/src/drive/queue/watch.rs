//! When a drive is given up.
//!
//! Time counts against a drive only for a call that is inside it, and only while another drive of
//! the set shows that it is this drive and not the machine, the load, or a disk under all of them.
//! The other one
//!
//! - has lately made something durable that it began no earlier than that call (for a read:
//!   answered is enough). Drives that have nothing to do are checked for that: their directory is
//!   synced. So a machine that was paused, a stall of all drives, or an old answer prove nothing;
//! - has itself no call of the same class inside for even half as long;
//! - and has finished a call of the same class that began about when that call did, or later.
//!   Without that, time counts a quarter: names and cached writes say little of each other.
//!
//! It counts a quarter, too, while the drive goes on finishing other calls of the class. A drive that
//! reaches the limit is closed, one at a time, and never the last one that is left.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::{Class, Handle, Shared, Work};
use crate::sync::Mutex;

/// The longest call that is inside a drive, for each class.
type Still = [Duration; Class::COUNT];

/// Charges drives that do not move with the time that passes, and gives up those that reach
/// `limit`. Ends when the set is gone.
pub(super) fn watch(set: Vec<Weak<Handle>>, limit: Duration) {
    let tick = (limit / 20).clamp(Duration::from_millis(2), Duration::from_millis(100));
    let mut last = Instant::now();
    loop {
        std::thread::sleep(tick);
        let handles: Vec<Arc<Handle>> = set.iter().filter_map(Weak::upgrade).collect();
        if handles.is_empty() {
            return;
        }
        // Time in which this thread was not let run, or the machine was paused, is nobody's fault.
        let now = Instant::now();
        let elapsed = (now - last).min(2 * tick);
        last = now;
        let queues: Vec<&Arc<Shared>> =
            handles.iter().map(|h| &h.0).filter(|q| !q.given_up.load(Relaxed)).collect();
        let still: Vec<Still> = queues.iter().map(|q| q.stillness(elapsed)).collect();
        let longest = |still: &Still| still.iter().max().copied().unwrap_or_default();
        for (queue, still) in queues.iter().zip(&still) {
            queue.troubled.store(longest(still) >= limit / 4, Relaxed);
        }
        for (i, queue) in queues.iter().enumerate() {
            if still.iter().enumerate().any(|(j, s)| j != i && longest(s) >= limit / 8) {
                queue.check(limit / 8);
            }
        }
        let mut worst: Option<(Duration, &Arc<Shared>)> = None;
        for (i, queue) in queues.iter().enumerate() {
            let others = queues.iter().zip(&still).enumerate().filter(|(j, _)| *j != i);
            let others = others.map(|(_, (other, still))| (&***other, still));
            let others: Vec<(&Shared, &Still)> = others.filter(|(o, _)| o.is_live()).collect();
            let charged = queue.charge(elapsed, limit / 4, &others);
            if charged >= limit && worst.is_none_or(|(most, _)| charged > most) {
                worst = Some((charged, queue));
            }
        }
        if let Some((_, queue)) = worst {
            give_up(queue, limit);
        }
    }
}

fn give_up(queue: &Arc<Shared>, limit: Duration) {
    let mut live = queue.pace.live();
    let was_live = queue.is_live();
    if was_live && *live == 1 {
        return;
    }
    *live -= usize::from(was_live);
    let waiting = queue.close(format!("it does not answer for over {limit:?}"));
    drop(live);
    // Who is told may ask other drives, which this thread watches.
    let waiting = Arc::new(Mutex::new(Some(waiting)));
    let tell = {
        let (queue, waiting) = (queue.clone(), waiting.clone());
        move || {
            let waiting = waiting.lock().expect("no holder panics").take();
            queue.tell(waiting.unwrap_or_default());
        }
    };
    let teller = std::thread::Builder::new().name("given-up".into());
    if teller.spawn(tell.clone()).is_err() {
        tell();
    }
}

impl Shared {
    /// How long the calls inside the drive have taken; counts `elapsed` for those under way.
    fn stillness(&self, elapsed: Duration) -> Still {
        let mut most = Still::default();
        for entry in self.jobs().waiting.values_mut() {
            let Some(progress) = &entry.progress else { continue };
            let now = progress.moves.load(Relaxed);
            if now == entry.seen && now % 2 == 1 {
                entry.still += elapsed;
            } else {
                (entry.still, entry.charged) = Default::default();
                entry.seen = now;
            }
            let most = &mut most[progress.class.load(Relaxed)];
            *most = entry.still.max(*most);
        }
        most
    }

    /// Has it make something durable, unless it did lately or is at it.
    fn check(self: &Arc<Self>, lately: Duration) {
        let since = self.pace.now_ns().saturating_sub(lately.as_nanos() as u64);
        if !self.is_live()
            || self.has_done(Class::Durable, since, since)
            || self.checking.swap(true, Relaxed)
        {
            return;
        }
        let (asked, ended) = (self.clone(), self.clone());
        let work = move || asked.call(Class::Durable, || (asked.check)());
        // One that fails has not done it: the next write says so to somebody.
        self.submit(Work::Look, work, move |_result| ended.checking.store(false, Relaxed));
    }

    /// Whether calls of `class` have come back well that began after `begun`, and one after
    /// `ended`.
    fn has_done(&self, class: Class, begun: u64, ended: u64) -> bool {
        let done = &self.done[class as usize];
        done.begun.load(Relaxed) > begun && done.ended.load(Relaxed) > ended
    }

    /// Charges what did not move. The most charged so far.
    fn charge(
        &self,
        elapsed: Duration,
        lately: Duration,
        others: &[(&Shared, &Still)],
    ) -> Duration {
        const CLASSES: [Class; Class::COUNT] =
            [Class::Answers, Class::Durable, Class::Direct, Class::Other];
        let mut most = Duration::ZERO;
        let lately_ns = lately.as_nanos() as u64;
        let since = self.pace.now_ns().saturating_sub(lately_ns);
        for entry in self.jobs().waiting.values_mut() {
            let Some(progress) = entry.progress.as_ref().filter(|_| !entry.still.is_zero()) else {
                continue;
            };
            let class = CLASSES[progress.class.load(Relaxed)];
            let began = progress.began.load(Relaxed);
            let well = |(other, still): &&(&Shared, &Still)| {
                still[class as usize] <= entry.still / 2
                    && (other.has_done(Class::Durable, began, since)
                        || (class == Class::Answers && other.has_done(class, began, since)))
            };
            let did_the_same = |(other, _): &(&Shared, &Still)| {
                let about_then = began.saturating_sub(lately_ns);
                matches!(class, Class::Answers | Class::Durable)
                    || other.has_done(class, about_then, 0)
            };
            let mut well = others.iter().filter(well).peekable();
            if well.peek().is_some() {
                let moves = self.has_done(class, began, since);
                let in_full = !moves && well.any(did_the_same);
                entry.charged += if in_full { elapsed } else { elapsed / 4 };
            }
            most = most.max(entry.charged);
        }
        most
    }
}

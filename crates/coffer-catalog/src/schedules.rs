//! Callers, the sequencing thread, the drives and readers, under many schedules.
//!
//! What must hold, whoever comes first: each caller is answered once, and in its own order; what
//! it is told is durable and visible by then; a reader, and a plan that is refused, sees nothing
//! that is not durable; what was handed over before the end is done before the end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use coffer_base::drive::{Drive, SimDrive, SimWorld};
use coffer_base::rng::SeededRng;
use coffer_base::sync::{block_on, explore, thread};
use coffer_base::wire::{Put, Reader};
use coffer_base::{Ack, StillClock};
use coffer_log::{DriveThreads, Log, LogOptions, Seams};

use crate::{Catalog, CommitError, Leading, MemEngine, OpenOptions, Sequencing, TxnError};

/// The key that every plan reads and writes: the number of the last plan.
const LAST: &[u8] = b"last";

/// A catalog over two drives, one parity, whose commits need both.
struct Bench {
    catalog: Catalog,
    drives: Vec<Arc<SimDrive>>,
    /// Barriers of each drive after the first group.
    barriers: Vec<u64>,
    /// The position of that group.
    first: u64,
}

#[derive(Debug, PartialEq)]
enum Refused {
    /// With the number that it saw.
    Seen(u64),
    Index(TxnError),
}

impl From<TxnError> for Refused {
    fn from(error: TxnError) -> Self {
        Refused::Index(error)
    }
}

fn number(value: Option<bytes::Bytes>) -> u64 {
    value.map_or(0, |value| Reader::new(&value).u64().expect("a number"))
}

impl Bench {
    fn open(leading: Leading) -> Arc<Bench> {
        let world = SimWorld::new(1);
        let drives: Vec<_> = (0..2).map(|i| world.drive(&format!("d{i}"))).collect();
        let inline = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(1)));
        let seams = Seams { drives: DriveThreads::Own, ..inline };
        // Room for all groups of a test: no other barriers come between.
        let options = LogOptions {
            k: 1,
            m: 1,
            commit_segment_bytes: 128 << 10,
            probe_interval: None,
            ..LogOptions::default()
        };
        let given = drives.iter().map(|drive| drive.clone() as Arc<dyn Drive>).collect();
        let (log, lane, _) = Log::open(given, options, seams).expect("the set opens");
        let engine = Arc::new(MemEngine::default());
        let options = OpenOptions { leading, ..OpenOptions::default() };
        let catalog = Catalog::open_with(log, lane, engine, Sequencing::Thread, options);
        let catalog = catalog.expect("it opens");
        let mut bench = Bench { catalog, drives, barriers: Vec::new(), first: 0 };
        bench.first = bench.put(b"first") >> 20;
        bench.barriers = bench.drives.iter().map(|drive| drive.barriers()).collect();
        Arc::new(bench)
    }

    fn commit(
        &self,
        key: &'static [u8],
        accept: bool,
    ) -> impl Future<Output = Result<(u64, u64), CommitError<Refused>>> {
        self.catalog.commit(Ack::All, 64, move |txn| {
            let seen = number(txn.get(LAST)?);
            if !accept {
                return Err(Refused::Seen(seen));
            }
            let own = txn.sequence();
            assert!(own > seen, "plan {own} runs after {seen}");
            let mut value = Vec::new();
            value.put_u64(own);
            txn.put(LAST, &value);
            txn.put(key, &value);
            Ok((seen, own))
        })
    }

    /// Commits, and checks what the answer promises; the plan's number.
    fn put(&self, key: &'static [u8]) -> u64 {
        let (_, own) = block_on(self.commit(key, true)).expect("it is committed");
        self.assert_durable(own, "an answered commit");
        assert_eq!(number(self.catalog.get(key).expect("readable")), own, "visible");
        own
    }

    /// Both drives have synced the group of plan `number`.
    fn assert_durable(&self, number: u64, what: &str) {
        for (drive, before) in self.drives.iter().zip(&self.barriers) {
            let durable = self.first + drive.barriers() - before;
            assert!(number >> 20 <= durable, "{what} at {} of {durable} durable", number >> 20);
        }
    }
}

/// Two clients that write, one that is refused, one that reads.
fn clients_and_readers(leading: Leading) {
    let bench = Bench::open(leading);
    let mut tasks = Vec::new();
    for key in [b"a", b"b"] {
        let bench = bench.clone();
        tasks.push(thread::spawn(move || {
            let first = bench.put(key);
            assert!(bench.put(key) > first, "a client's commits are in its order");
        }));
    }
    tasks.push({
        let bench = bench.clone();
        thread::spawn(move || match block_on(bench.commit(b"c", false)) {
            Err(CommitError::Rejected(Refused::Seen(seen))) => {
                bench.assert_durable(seen, "what a refusal saw");
            }
            other => panic!("{other:?}"),
        })
    });
    let mut before = 0;
    for _ in 0..4 {
        let seen = number(bench.catalog.get(LAST).expect("readable"));
        bench.assert_durable(seen, "what was read");
        assert!(seen >= before, "readers don't go back");
        before = seen;
        thread::yield_now();
    }
    for task in tasks {
        task.join().expect("everybody is answered");
    }
    let status = bench.catalog.status().expect("readable");
    assert_eq!((status.commits, status.rejected, status.failed), (5, 1, 0));
    bench.catalog.close().expect("it closes");
}

/// A commit is handed over, then the catalog is closed by the same caller, while another caller
/// commits, who may come too late.
fn the_end_comes_after_what_was_handed_over(leading: Leading) {
    let bench = Bench::open(leading);
    let other = {
        let bench = bench.clone();
        thread::spawn(move || match block_on(bench.commit(b"b", true)) {
            Ok((_, own)) => {
                bench.assert_durable(own, "an answered commit");
                Some(own)
            }
            Err(CommitError::Closed) => None,
            Err(error) => panic!("{error:?}"),
        })
    };
    let mut handed_over = pin!(bench.commit(b"a", true));
    let polled = handed_over.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    bench.catalog.close().expect("it closes");
    let answer = match polled {
        Poll::Ready(answer) => answer,
        Poll::Pending => block_on(handed_over),
    };
    let (_, own) = answer.expect("it was there before the end");
    let others = other.join().expect("the other is answered");
    assert_eq!(number(bench.catalog.get(b"a").expect("readable")), own);
    assert_eq!(number(bench.catalog.get(b"b").expect("readable")), others.unwrap_or(0));
    assert!(matches!(block_on(bench.commit(b"c", true)), Err(CommitError::Closed)));
}

#[test]
fn nobody_sees_what_is_not_durable() {
    explore("Catalog, clients and readers", || clients_and_readers(Leading::Never));
}

#[test]
fn a_close_leaves_nobody_waiting() {
    let end = || the_end_comes_after_what_was_handed_over(Leading::Never);
    explore("Catalog, commits and its end", end);
}

#[test]
fn callers_that_run_their_own_groups_keep_the_same_promises() {
    explore("Catalog, callers that lead", || clients_and_readers(Leading::Caller));
    let end = || the_end_comes_after_what_was_handed_over(Leading::Caller);
    explore("Catalog, callers that lead and its end", end);
}

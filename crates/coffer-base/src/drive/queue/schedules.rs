//! A drive's threads under many schedules: each job's end is told once, whether it ran, was
//! refused or was given up with its drive, and nobody waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Check, Class, DriveQueue, Patience, Work, is_given_up};
use crate::sync::{explore, mpsc, thread};

fn two_drives() -> Vec<DriveQueue> {
    let drives = ["a", "b"].map(|label| (label.to_owned(), Arc::new(|| Ok(())) as Check));
    DriveQueue::for_set(drives.into(), Duration::from_secs(3600)).expect("threads start")
}

/// Two callers ask the same two drives; each gets all of its own results in order.
fn callers_get_their_own_results() {
    let queues = two_drives();
    let ask = |queues: &[DriveQueue], first: usize| {
        let items = queues.iter().cloned().zip(first..).collect();
        let work = |number: usize| {
            thread::yield_now();
            Ok(number)
        };
        let results = DriveQueue::each(items, Work::Write, Patience::Full, work);
        let results: Vec<usize> = results.into_iter().map(|r| r.expect("it answers")).collect();
        assert_eq!(results, [first, first + 1]);
    };
    let other = {
        let queues = queues.clone();
        thread::spawn(move || ask(&queues, 10))
    };
    ask(&queues, 20);
    let called = queues[0].call(Work::Read, Class::Answers, Patience::Full, || Ok(7));
    assert_eq!(called.expect("it answers"), 7);
    other.join().expect("the other caller returns");
}

/// A drive is given up while jobs are asked of it: each is told its end once, and those that were
/// told that the drive is given up did not begin later.
fn a_drive_is_given_up() {
    const JOBS: usize = 3;
    let queues = two_drives();
    let queue = queues[0].clone();
    let (sender, ends) = mpsc::channel();
    let asking = {
        let queue = queue.clone();
        thread::spawn(move || {
            for job in 0..JOBS {
                let (sender, ran) = (sender.clone(), Arc::new(AtomicUsize::new(0)));
                let running = ran.clone();
                let work = move || {
                    thread::yield_now();
                    running.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                };
                queue.start(Work::Commit, work, move |result| {
                    drop(sender.send((job, result, ran)));
                });
            }
        })
    };
    let shared = queue.0.as_ref().expect("it has threads").0.clone();
    let waiting = shared.close("for a test".into());
    shared.tell(waiting);
    asking.join().expect("asking never waits");
    let mut told = vec![0; JOBS];
    while let Ok((job, result, ran)) = ends.recv() {
        told[job] += 1;
        match result {
            Ok(()) => assert_eq!(ran.load(Ordering::SeqCst), 1),
            Err(e) => assert!(is_given_up(&e), "{e}"),
        }
    }
    assert_eq!(told, [1; JOBS], "each once");
    let refused = queue.call(Work::Read, Class::Answers, Patience::Full, || Ok(()));
    assert!(refused.is_err_and(|e| is_given_up(&e)), "nothing is begun any more");
}

#[test]
fn each_caller_gets_its_own_results() {
    explore("DriveQueue, two callers", callers_get_their_own_results);
}

#[test]
fn a_drive_that_is_given_up_leaves_nobody_waiting() {
    explore("DriveQueue, given up", a_drive_is_given_up);
}

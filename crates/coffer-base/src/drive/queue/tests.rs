use std::sync::Arc;

use super::*;
use crate::drive::{Access, Drive, Gate, GatedDrive, GuardedDrive, Op, SimWorld, read_exact_at};

const LIMIT: Duration = Duration::from_millis(300);

/// For tests in which nobody is given up.
const NEVER: Duration = Duration::from_secs(3600);

/// Guarded drives with a file `f` of 64 KiB each, and their gates.
fn set(n: usize, limit: Duration) -> (Vec<Arc<dyn Drive>>, Vec<Gate>) {
    let world = SimWorld::new(1);
    let gates: Vec<Gate> = (0..n).map(|_| Gate::default()).collect();
    let gated = gates.iter().enumerate().map(|(i, gate)| {
        let drive = world.drive(&format!("d{i}"));
        let file = drive.create("f", Access::Buffered).unwrap();
        file.write_at(&[i as u8; 1 << 16], 0, true).unwrap();
        Arc::new(GatedDrive::new(drive, gate.clone())) as Arc<dyn Drive>
    });
    (GuardedDrive::set(gated.collect(), limit).unwrap(), gates)
}

fn wait_for(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(20), "it never happens");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Makes something durable on each drive but `not` until `done`.
fn keep_busy(drives: &[Arc<dyn Drive>], not: usize, done: impl Fn() -> bool) {
    wait_for(|| {
        for (_, drive) in drives.iter().enumerate().filter(|(i, _)| *i != not) {
            drive.sync_dir().unwrap();
        }
        done()
    });
}

#[test]
fn everything_passes_through_as_it_is() {
    let (drives, _gates) = set(2, NEVER);
    let drive = &drives[1];
    let file = drive.open("f", Access::Buffered).unwrap();
    let mut buf = [0; 100];
    read_exact_at(&*file, &mut buf, 7).unwrap();
    assert_eq!(buf, [1; 100]);
    assert_eq!(file.read_at_soon(&mut buf, (1 << 16) - 10).unwrap(), 10);
    let made = drive.create("g", Access::Direct).unwrap();
    made.write_at(&[5; 4096], 4096, false).unwrap();
    made.sync().unwrap();
    assert_eq!(made.len().unwrap(), 8192);
    made.set_len(4096).unwrap();
    drive.rename("g", "h").unwrap();
    assert_eq!(drive.list().unwrap(), ["f", "h"]);
    drive.remove("h").unwrap();
    assert_eq!(drive.open("h", Access::Buffered).err().unwrap().kind(), io::ErrorKind::NotFound);
    drive.probe().unwrap();
    assert_eq!(drive.queue().given_up(), None);
}

#[test]
fn a_drive_that_hangs_is_given_up_and_everybody_is_told() {
    let (drives, gates) = set(3, LIMIT);
    let file = drives[0].open("f", Access::Buffered).unwrap();
    gates[0].close(&Op::ALL);
    std::thread::scope(|scope| {
        // More than it has threads for.
        let waiting: Vec<_> = (0..40)
            .map(|i| {
                let (file, drive) = (&file, &drives[0]);
                scope.spawn(move || match i % 4 {
                    0 => file.read_at(&mut [0; 10], 0).map(drop),
                    1 => file.write_at(&[9; 10], 0, true),
                    2 => drive.create(&format!("n{i}"), Access::Buffered).map(drop),
                    _ => drive.rename("f", "g"),
                })
            })
            .collect();
        keep_busy(&drives, 0, || drives[0].queue().given_up().is_some());
        for waiting in waiting {
            let error = waiting.join().unwrap().unwrap_err();
            assert!(is_given_up(&error), "{error}");
        }
    });
    assert!(is_given_up(&file.sync().unwrap_err()));
    // Only what was inside the drive lands when it comes back.
    assert_eq!(gates[0].waiting(), OTHER_THREADS);
    let passed = gates[0].passed();
    gates[0].open();
    wait_for(|| gates[0].waiting() == 0);
    assert!(file.sync().is_err());
    assert_eq!(gates[0].passed() - passed, OTHER_THREADS as u64);
    for drive in &drives[1..] {
        assert_eq!(drive.queue().given_up(), None);
        drive.probe().unwrap();
    }
}

#[test]
fn a_job_that_gets_on_is_not_given_up_however_long_it_takes() {
    let (drives, _gates) = set(2, LIMIT);
    let file = drives[0].open("f", Access::Buffered).unwrap();
    let (sender, ended) = mpsc::channel();
    let work = move || {
        for i in 0..20 {
            std::thread::sleep(LIMIT / 5);
            file.write_at(&[1; 10], i, false)?;
        }
        Ok(())
    };
    drives[0].queue().start(Work::Write, work, move |result| sender.send(result).unwrap());
    let result = std::cell::RefCell::new(None);
    keep_busy(&drives, 0, || {
        let ended = ended.try_recv().ok();
        let has = ended.is_some();
        *result.borrow_mut() = ended;
        has
    });
    result.into_inner().unwrap().unwrap();
}

#[test]
fn nobody_is_given_up_when_all_stand_still_or_it_is_the_only_one() {
    for n in [1, 3] {
        let (drives, gates) = set(n, LIMIT);
        gates.iter().for_each(|gate| gate.close(&[Op::Sync]));
        std::thread::scope(|scope| {
            let waiting: Vec<_> =
                drives.iter().map(|drive| scope.spawn(move || drive.sync_dir())).collect();
            std::thread::sleep(3 * LIMIT);
            gates.iter().for_each(Gate::open);
            waiting.into_iter().for_each(|waiting| waiting.join().unwrap().unwrap());
        });
        assert!(drives.iter().all(|drive| drive.queue().given_up().is_none()));
    }
}

#[test]
fn one_that_hangs_while_the_others_rest_is_given_up_as_soon() {
    let (drives, gates) = set(2, LIMIT);
    gates[1].close(&[Op::Look]);
    let began = Instant::now();
    assert!(is_given_up(&drives[1].probe().unwrap_err()));
    let took = began.elapsed();
    assert!(took >= LIMIT && took < Duration::from_secs(5), "{took:?}");
}

/// What hangs on one drive in the end, others had done just before: that proves nothing.
#[test]
fn a_stall_of_all_gives_up_none_whatever_was_done_just_before() {
    let (drives, gates) = set(2, LIMIT);
    let files: Vec<_> = drives.iter().map(|d| d.create("g", Access::Direct).unwrap()).collect();
    gates.iter().for_each(|gate| gate.close(&[Op::Create]));
    std::thread::scope(|scope| {
        let create = |drive: &Arc<dyn Drive>| drive.create("h", Access::Buffered).map(drop);
        let waiting: Vec<_> =
            drives.iter().map(|drive| scope.spawn(move || create(drive))).collect();
        wait_for(|| gates.iter().all(|gate| gate.waiting() == 1));
        for file in &files {
            file.write_at(&[1; 4096], 0, true).unwrap();
        }
        gates.iter().for_each(|gate| gate.close(&Op::ALL));
        std::thread::sleep(4 * LIMIT);
        gates.iter().for_each(Gate::open);
        waiting.into_iter().for_each(|waiting| waiting.join().unwrap().unwrap());
    });
    assert!(drives.iter().all(|drive| drive.queue().given_up().is_none()));
}

#[test]
fn drives_that_go_on_are_not_given_up_for_a_long_call_each() {
    let (drives, _gates) = set(3, LIMIT);
    let files: Vec<_> = drives.iter().map(|d| d.create("g", Access::Direct).unwrap()).collect();
    // One sync of each is long; others, and writes, go on.
    let long = Arc::new(AtomicBool::new(true));
    std::thread::scope(|scope| {
        for drive in &drives {
            let (queue, long) = (drive.queue().clone(), long.clone());
            scope.spawn(move || {
                queue.call(Work::Write, Class::Durable, Patience::Full, move || {
                    while long.load(Relaxed) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    Ok(())
                })
            });
        }
        let began = Instant::now();
        while began.elapsed() < 6 * LIMIT {
            for file in &files {
                file.write_at(&[1; 4096], 0, false).unwrap();
                file.write_at(&[1; 4096], 0, true).unwrap();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        long.store(false, Relaxed);
    });
    assert!(drives.iter().all(|drive| drive.queue().given_up().is_none()));
}

#[test]
fn the_last_drive_that_is_left_is_not_given_up_nor_left() {
    let (drives, gates) = set(3, LIMIT);
    assert!(drives[2].queue().retire(), "it takes no part any more");
    for gate in &gates[..2] {
        gate.close(&Op::ALL);
    }
    std::thread::scope(|scope| {
        let waiting: Vec<_> =
            drives[..2].iter().map(|drive| scope.spawn(move || drive.sync_dir())).collect();
        // One that takes no part proves nothing.
        let began = Instant::now();
        while began.elapsed() < 3 * LIMIT {
            drives[2].sync_dir().unwrap();
        }
        assert!(drives.iter().all(|drive| drive.queue().given_up().is_none()));
        gates[0].open();
        wait_for(|| drives[1].queue().given_up().is_some());
        gates[0].close(&Op::ALL);
        let last = scope.spawn(|| drives[0].sync_dir());
        gates[1].open();
        std::thread::sleep(3 * LIMIT);
        assert!(!drives[0].queue().retire());
        assert_eq!(drives[0].queue().given_up(), None);
        gates[0].open();
        last.join().unwrap().unwrap();
        drop(waiting);
    });
}

#[test]
fn a_failure_that_comes_late_is_kept_for_who_asks() {
    let (drives, _gates) = set(2, LIMIT);
    let (go, hangs) = mpsc::channel::<()>();
    let queue = drives[0].queue().clone();
    let error =
        queue.call(Work::Write, Class::Durable, Patience::Full, move || -> io::Result<()> {
            hangs.recv().unwrap();
            Err(io::Error::from_raw_os_error(5))
        });
    assert!(is_given_up(&error.unwrap_err()));
    assert!(queue.take_late_failure().is_none());
    go.send(()).unwrap();
    let late = RefCell::new(None);
    wait_for(|| {
        *late.borrow_mut() = queue.take_late_failure();
        late.borrow().is_some()
    });
    assert_eq!(late.into_inner().unwrap().raw_os_error(), Some(5));
    assert!(queue.take_late_failure().is_none());
}

/// Closing says when it begins, and hangs.
struct HangingClose(std::sync::mpsc::Sender<std::thread::ThreadId>);

impl Drop for HangingClose {
    fn drop(&mut self) {
        let _nobody_listens = self.0.send(std::thread::current().id());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_is_dropped_is_dropped_on_a_thread_of_the_drive_also_when_it_was_given_up() {
    let (drives, gates) = set(2, LIMIT);
    let queue = drives[0].queue();
    let (sender, dropped) = std::sync::mpsc::channel();
    let elsewhere = |by: std::thread::ThreadId, crew: &[std::thread::ThreadId]| {
        assert!(crew.contains(&by), "dropped by another thread");
    };
    gates[0].close(&Op::ALL);
    let crew = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..OTHER_THREADS {
        let (drive, crew) = (drives[0].clone(), crew.clone());
        let work = move || {
            crew.lock().unwrap().push(std::thread::current().id());
            drive.sync_dir()
        };
        queue.start(Work::Write, work, |_| ());
    }
    wait_for(|| gates[0].waiting() == OTHER_THREADS);
    let crew = crew.lock().unwrap().clone();
    // Queued, and never begun.
    let held = HangingClose(sender.clone());
    let work = move || {
        drop(held);
        Ok(())
    };
    queue.start(Work::Write, work, |_| ());
    wait_for(|| queue.given_up().is_some());
    queue.drop_there(HangingClose(sender));
    assert!(dropped.try_recv().is_err(), "all its threads are inside the drive");
    gates[0].open();
    elsewhere(dropped.recv().unwrap(), &crew);
    elsewhere(dropped.recv().unwrap(), &crew);
}

#[test]
fn commits_do_not_wait_behind_other_work_nor_one_drive_behind_another() {
    let (drives, gates) = set(2, NEVER);
    let file = drives[0].open("f", Access::Buffered).unwrap();
    gates[0].close(&[Op::Write]);
    let stuck = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let (file, stuck) = (file.clone(), stuck.clone());
        let done = move |_: io::Result<()>| {
            stuck.fetch_add(1, Relaxed);
        };
        drives[0].queue().start(Work::Write, move || file.write_at(&[1], 0, false), done);
    }
    wait_for(|| gates[0].waiting() == OTHER_THREADS);
    drives[1].probe().unwrap();
    let (sender, ended) = mpsc::channel();
    let commit = file.clone();
    let work = move || commit.write_at(&[1], 0, true);
    drives[0].queue().start(Work::Commit, work, move |result| sender.send(result).unwrap());
    ended.recv().unwrap().unwrap();
    assert_eq!(stuck.load(Relaxed), 0);
    gates[0].open();
    wait_for(|| stuck.load(Relaxed) == 100);
}

#[test]
fn a_read_that_does_not_come_is_hedged_and_the_drive_left_alone_until_it_comes() {
    let (drives, gates) = set(2, NEVER);
    let files: Vec<_> = drives.iter().map(|d| d.open("f", Access::Buffered).unwrap()).collect();
    gates[0].close(&[Op::Read]);
    let queue = drives[0].queue();
    assert!(is_slow(&files[0].read_at_soon(&mut [0; 10], 0).unwrap_err()));
    assert!(queue.is_slow());
    let waiting = gates[0].waiting();
    let began = Instant::now();
    assert!(is_slow(&files[0].read_at_soon(&mut [0; 10], 0).unwrap_err()));
    let opened = drives[0].open_soon("f", Access::Buffered);
    assert!(is_slow(&opened.err().unwrap()));
    assert!(began.elapsed() < HEDGE_MIN, "it was asked again");
    assert_eq!(gates[0].waiting(), waiting);
    assert_eq!(queue.hedged_reads(), 3);
    let items = (0..2).map(|i| (drives[i].queue().clone(), files[i].clone())).collect();
    let read = |file: Arc<dyn crate::DriveFile>| {
        let mut buf = [9; 1];
        file.read_at(&mut buf, 0).map(|_| buf[0])
    };
    let results = DriveQueue::each(items, Work::Read, Patience::Hedged, read);
    assert!(is_slow(results[0].as_ref().unwrap_err()));
    assert_eq!(*results[1].as_ref().unwrap(), 1);
    // Who has no other way waits.
    std::thread::scope(|scope| {
        let file = &files[0];
        let patient = scope.spawn(move || file.read_at(&mut [0; 10], 0));
        wait_for(|| gates[0].waiting() > waiting);
        gates[0].open();
        assert_eq!(patient.join().unwrap().unwrap(), 10);
    });
    wait_for(|| !queue.is_slow());
    assert_eq!(files[0].read_at_soon(&mut [0; 10], 0).unwrap(), 10);
    assert_eq!(queue.given_up(), None);
}

#[test]
fn without_threads_everything_runs_where_it_is_called() {
    let queue = INLINE.clone();
    let here = std::thread::current().id();
    let ran = Arc::new(Mutex::new(Vec::new()));
    let items = (0..5).map(|i| (queue.clone(), i)).collect();
    let log = ran.clone();
    let results = DriveQueue::each(items, Work::Write, Patience::Full, move |i: u32| {
        assert_eq!(std::thread::current().id(), here);
        log.lock().unwrap().push(i);
        Ok(i)
    });
    assert_eq!(results.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(*ran.lock().unwrap(), [0, 1, 2, 3, 4]);
    assert!(queue.given_up().is_none() && !queue.is_slow());
}

#[test]
fn a_job_that_panics_is_an_error_and_the_threads_go_on() {
    let (drives, _gates) = set(1, NEVER);
    for _ in 0..20 {
        let items = vec![(drives[0].queue().clone(), ())];
        let results =
            DriveQueue::each(items, Work::Write, Patience::Full, |()| -> io::Result<()> {
                panic!("as the test wants it")
            });
        assert!(results[0].is_err());
    }
    drives[0].probe().unwrap();
}

//! Group commit of 4 KiB writes.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use coffer_base::AlignedBuf;
use hdrhistogram::Histogram;
use rustix::fs::OFlags;

use super::CommitFigures;
use super::file::{Scratch, noise};
use crate::bench::figures::{Latency, histogram, record};

const WRITE_BYTES: usize = 4096;
const FILE_BYTES: u64 = 64 << 20;

/// A way to make a group durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One write past the page cache that is durable on return.
    DirectDsync,
    /// One write to the page cache, then fdatasync.
    BufferedSync,
    /// One write through the page cache that is durable on return.
    BufferedDsync,
}

impl Way {
    pub const ALL: [Way; 3] = [Way::DirectDsync, Way::BufferedSync, Way::BufferedDsync];

    /// What the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Way::DirectDsync => "O_DIRECT, O_DSYNC",
            Way::BufferedSync => "buffered, fdatasync",
            Way::BufferedDsync => "buffered, O_DSYNC",
        }
    }

    fn flags(self) -> OFlags {
        match self {
            Way::DirectDsync => OFlags::DIRECT | OFlags::DSYNC,
            Way::BufferedSync => OFlags::empty(),
            Way::BufferedDsync => OFlags::DSYNC,
        }
    }
}

/// What writers and committer share.
#[derive(Default)]
struct Queue {
    waiting: u64,
    /// Number of the group that is gathering.
    gathering: u64,
    /// Groups below this number are durable.
    durable: u64,
    /// No more writes will come, or none can be made durable.
    closed: bool,
}

struct Lane {
    queue: Mutex<Queue>,
    arrived: Condvar,
    committed: Condvar,
}

impl Lane {
    /// Hands 4 KiB to the committer and waits until they are durable; false if the lane closed.
    fn commit(&self) -> bool {
        let mut queue = self.queue.lock().expect("no holder panics");
        if queue.closed {
            return false;
        }
        queue.waiting += 1;
        let group = queue.gathering;
        self.arrived.notify_one();
        while queue.durable <= group && !queue.closed {
            queue = self.committed.wait(queue).expect("no holder panics");
        }
        queue.durable > group
    }

    fn close(&self) {
        self.queue.lock().expect("no holder panics").closed = true;
        self.arrived.notify_all();
        self.committed.notify_all();
    }

    /// Writes group after group; the number of barriers.
    fn run(&self, scratch: &Scratch, way: Way, data: &AlignedBuf) -> io::Result<u64> {
        let mut barriers = 0;
        let mut offset = 0;
        loop {
            let mut queue = self.queue.lock().expect("no holder panics");
            while queue.waiting == 0 {
                if queue.closed {
                    return Ok(barriers);
                }
                queue = self.arrived.wait(queue).expect("no holder panics");
            }
            let len = queue.waiting as usize * WRITE_BYTES;
            queue.waiting = 0;
            queue.gathering += 1;
            let group_end = queue.gathering;
            drop(queue);

            if offset + len as u64 > FILE_BYTES {
                offset = 0;
            }
            scratch.file.write_all_at(&data[..len], offset)?;
            if way == Way::BufferedSync {
                scratch.file.sync_data()?;
            }
            offset += len as u64;
            barriers += 1;

            self.queue.lock().expect("no holder panics").durable = group_end;
            self.committed.notify_all();
        }
    }
}

/// Lets `writers` commit for `duration`.
pub fn measure(
    dir: &Path,
    way: Way,
    writers: usize,
    duration: Duration,
) -> io::Result<CommitFigures> {
    let scratch = Scratch::zeroed(dir, way.flags(), FILE_BYTES)?;
    let data = noise(writers * WRITE_BYTES);
    let lane = Lane { queue: Mutex::default(), arrived: Condvar::new(), committed: Condvar::new() };
    let begun = Instant::now();
    let (barriers, latencies, seconds) = std::thread::scope(|scope| {
        let committer = scope.spawn(|| {
            let result = lane.run(&scratch, way, &data);
            lane.close();
            result
        });
        let threads: Vec<_> = (0..writers)
            .map(|_| {
                scope.spawn(|| {
                    let mut latencies = histogram();
                    while begun.elapsed() < duration {
                        let handed = Instant::now();
                        if !lane.commit() {
                            break;
                        }
                        record(&mut latencies, handed.elapsed());
                    }
                    latencies
                })
            })
            .collect();
        let mut all: Histogram<u64> = histogram();
        for thread in threads {
            let latencies = thread.join().expect("a writer doesn't panic");
            all.add(latencies).expect("all histograms have the same bounds");
        }
        let seconds = begun.elapsed().as_secs_f64();
        lane.close();
        (committer.join().expect("the committer doesn't panic"), all, seconds)
    });
    Ok(CommitFigures {
        way: way.name(),
        writers,
        writes: latencies.len(),
        per_second: latencies.len() as f64 / seconds,
        barriers: barriers?,
        latency_us: Latency::of(&latencies),
    })
}

//! Group commit to bare files: what arrives while a write is under way is the next write.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use bytes::Bytes;
use coffer_base::AlignedBuf;
use coffer_base::buffer::align_up;
use rustix::fs::{FallocateFlags, OFlags};
use tokio::sync::oneshot;

/// Length of a file; writing begins again at its start.
const FILE_BYTES: u64 = 256 << 20;
/// The most that one write takes.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// Zeros are written ahead in pieces of this size.
const ZERO_BYTES: usize = 1 << 20;

/// How a group is made durable; `coffer bench drive` says which is fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// One write past the page cache that is durable on return.
    DirectDsync,
    /// One write to the page cache, then fdatasync.
    BufferedSync,
    /// One write through the page cache that is durable on return.
    BufferedDsync,
}

impl Way {
    fn flags(self) -> OFlags {
        match self {
            Way::DirectDsync => OFlags::DIRECT | OFlags::DSYNC,
            Way::BufferedSync => OFlags::empty(),
            Way::BufferedDsync => OFlags::DSYNC,
        }
    }
}

/// What is to be durable, and who waits for it.
struct Entry {
    data: Bytes,
    durable: oneshot::Sender<Result<(), String>>,
}

/// Takes writes and makes them durable in groups. When the last of its clones is dropped, its
/// threads end.
#[derive(Clone)]
pub struct Lane {
    entries: Sender<Entry>,
}

impl Lane {
    /// A lane over `paths`, made or overwritten: each group goes to all of them at once.
    pub fn open(paths: &[PathBuf], way: Way) -> io::Result<Lane> {
        let mut files = Vec::new();
        for path in paths {
            files.push(preallocated(path, way)?);
        }
        let mut copies = Vec::new();
        for (number, file) in files.into_iter().enumerate() {
            let (writes, orders) = sync_channel::<Order>(1);
            let name = format!("file-{number}");
            std::thread::Builder::new().name(name).spawn(move || obey(&file, way, &orders))?;
            copies.push(writes);
        }
        let (entries, arriving) = channel();
        std::thread::Builder::new().name("lane".into()).spawn(move || run(&arriving, &copies))?;
        Ok(Lane { entries })
    }

    /// Ends when `data` is durable in all files.
    pub async fn commit(&self, data: Bytes) -> io::Result<()> {
        let (durable, waiting) = oneshot::channel();
        let gone = || io::Error::other("the lane has ended");
        self.entries.send(Entry { data, durable }).map_err(|_| gone())?;
        waiting.await.map_err(|_| gone())?.map_err(io::Error::other)
    }
}

/// A write for the thread of one file, and where it says how it went.
struct Order {
    data: Arc<AlignedBuf>,
    offset: u64,
    done: Sender<io::Result<()>>,
}

fn obey(file: &File, way: Way, orders: &Receiver<Order>) {
    while let Ok(Order { data, offset, done }) = orders.recv() {
        let mut result = file.write_all_at(&data, offset);
        if result.is_ok() && way == Way::BufferedSync {
            result = file.sync_data();
        }
        drop(data);
        // Who asked is there until all copies have answered, unless it panicked.
        let _ = done.send(result);
    }
}

fn run(arriving: &Receiver<Entry>, copies: &[SyncSender<Order>]) {
    let mut offset = 0;
    while let Ok(first) = arriving.recv() {
        let mut bytes = first.data.len();
        let mut group = vec![first];
        while bytes < GROUP_BYTES_MAX
            && let Ok(next) = arriving.try_recv()
        {
            bytes += next.data.len();
            group.push(next);
        }
        let length = align_up(bytes as u64);
        let mut data = AlignedBuf::zeroed(length as usize);
        let mut at = 0;
        for entry in &group {
            data[at..at + entry.data.len()].copy_from_slice(&entry.data);
            at += entry.data.len();
        }
        if offset + length > FILE_BYTES {
            offset = 0;
        }
        let result = write(copies, Arc::new(data), offset).map_err(|error| error.to_string());
        offset += length;
        for entry in group {
            // A client that went away waits for nothing.
            let _ = entry.durable.send(result.clone());
        }
    }
}

/// Writes to all files at once.
fn write(copies: &[SyncSender<Order>], data: Arc<AlignedBuf>, offset: u64) -> io::Result<()> {
    let (done, answers) = channel();
    for copy in copies {
        let order = Order { data: data.clone(), offset, done: done.clone() };
        copy.send(order).map_err(|_| io::Error::other("the thread of a file has ended"))?;
    }
    drop(done);
    answers.into_iter().collect()
}

/// A file whose space is there and was written before.
fn preallocated(path: &Path, way: Way) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let file = options.clone().create(true).truncate(true).open(path)?;
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, FILE_BYTES)?;
    let zeros = vec![0; ZERO_BYTES];
    for piece in 0..FILE_BYTES / ZERO_BYTES as u64 {
        file.write_all_at(&zeros, piece * ZERO_BYTES as u64)?;
    }
    file.sync_all()?;
    options.custom_flags(way.flags().bits() as i32).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_in_all_files() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [dir.path().join("a"), dir.path().join("b")];
        let lane = Lane::open(&paths, Way::BufferedSync).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            lane.commit(Bytes::from_static(b"first")).await.unwrap();
            lane.commit(Bytes::from_static(b"second")).await.unwrap();
        });
        for path in &paths {
            let file = File::open(path).unwrap();
            let mut found = [0; 6];
            file.read_exact_at(&mut found[..5], 0).unwrap();
            assert_eq!(&found[..5], b"first");
            file.read_exact_at(&mut found, 4096).unwrap();
            assert_eq!(&found, b"second");
        }
    }
}

//! The drive seam: a directory of flat files on one failure domain.
//!
//! Durability contract, the one real drives give:
//! - A write is durable after a later successful [`DriveFile::sync`] (or the `sync` flag of the
//!   write itself). Until then it may be lost, kept, or torn at 512-byte granularity, and writes
//!   may survive in any order.
//! - A new, renamed or removed *name* is durable after a later successful [`Drive::sync_dir`].
//! - After a failed sync, nothing is known of any write since the last good one.

use std::io;
use std::ops::Range;
use std::sync::Arc;

mod gated;
mod guarded;
pub mod queue;
mod real;
mod sim;

pub use gated::{Gate, GatedDrive, Op};
pub use guarded::GuardedDrive;
pub use queue::DriveQueue;
pub use real::{Lock, RealDrive};
pub use sim::{Faults, Forget, Observer, SimDrive, SimWorld, Strike, Survival};

/// How a file will be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Through the page cache: any offset and length.
    Buffered,
    /// Past the page cache where the file system can: offsets, lengths and buffer addresses are
    /// multiples of [`crate::buffer::ALIGN`].
    Direct,
}

/// Space on a drive, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Size of the file system.
    pub total: u64,
    /// What can still be written.
    pub free: u64,
}

/// A directory of flat files. Names are ASCII without `/`.
pub trait Drive: Send + Sync {
    /// For messages: the path, or the simulated drive's name.
    fn label(&self) -> String;
    /// Creates a file that must not exist yet. The name is durable after [`Drive::sync_dir`].
    fn create(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>>;
    /// As [`Drive::open`], but does not wait longer than for a read that has another way; see
    /// [`queue::Patience::Hedged`].
    fn open_soon(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        self.open(name, access)
    }
    /// Renames, replacing what has the name `to`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name; open files stay readable.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// All names, in order; without those that belong to the place and not to its user (the lock
    /// of a real drive, `lost+found`).
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes all changes of names durable.
    fn sync_dir(&self) -> io::Result<()>;
    /// Free and total space.
    fn space(&self) -> io::Result<Space>;
    /// Whether the directory that was opened is still the one at its path: an error says it was
    /// removed, replaced or unmounted. Open files of a removed directory stay writable, so only
    /// this notices.
    fn probe(&self) -> io::Result<()>;
    /// How many durability barriers files of this drive have had since it was opened: good
    /// [`DriveFile::sync`]s and good writes with `sync`. [`Drive::sync_dir`] doesn't count.
    fn barriers(&self) -> u64;
    /// Its own threads, if it has any.
    fn queue(&self) -> &DriveQueue {
        &queue::INLINE
    }
}

/// An open file; all calls take explicit offsets and may run at the same time.
pub trait DriveFile: Send + Sync {
    /// Reads up to `buf.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// As [`DriveFile::read_at`], but only what is in memory: never waits for the drive. `None` says
    /// that it can't tell, or would have to wait.
    fn read_at_now(&self, _buf: &mut [u8], _offset: u64) -> Option<usize> {
        None
    }
    /// As [`DriveFile::read_at`], for a reader that has another way to the bytes; see
    /// [`queue::Patience::Hedged`].
    fn read_at_soon(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buf, offset)
    }
    /// Lets go of what memory has of these bytes, so that the next read asks the drive. A hint.
    fn forget_cached(&self, _range: Range<u64>) {}
    /// Writes all of `data`; with `sync` it is durable on return, in one barrier.
    fn write_at(&self, data: &[u8], offset: u64, sync: bool) -> io::Result<()>;
    /// Makes everything written to this file (and its length) durable: one barrier.
    fn sync(&self) -> io::Result<()>;
    /// Reserves space for `len` bytes without changing the length.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// Cuts or extends (with zeros) to `len` and frees reserved space beyond it.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Current length.
    fn len(&self) -> io::Result<u64>;
    /// Whether it holds no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// Reads exactly `buf.len()` bytes; a file that ends earlier is `UnexpectedEof`.
pub fn read_exact_at(file: &dyn DriveFile, buf: &mut [u8], offset: u64) -> io::Result<()> {
    let n = file.read_at(buf, offset)?;
    if n == buf.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Refuses what [`Drive`] does not call a name.
fn check_name(name: &str) -> io::Result<()> {
    let good = name.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    if good && !matches!(name, "" | "." | "..") {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("not a file name: {name:?}")))
}

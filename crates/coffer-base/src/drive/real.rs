//! Real drives: a directory held open by its descriptor, and files relative to it.
//!
//! The descriptor is what counts: a directory that is renamed, replaced or unmounted behind the
//! store keeps taking writes through it, so only [`Drive::probe`] tells. No call follows a path
//! again after [`RealDrive::open`], except that one.

use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{Advice, AtFlags, CWD, FallocateFlags, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};

use super::{Access, Drive, DriveFile, Space, check_name};
use crate::buffer::ALIGN;

/// The name of the file that [`RealDrive::lock`] locks. No drive lists it.
const LOCK_NAME: &str = "lock";

/// A directory of the machine.
pub struct RealDrive {
    path: PathBuf,
    dir: OwnedFd,
    barriers: Arc<AtomicU64>,
}

/// Holds a drive for one process; released when dropped or when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: OwnedFd,
}

impl RealDrive {
    /// Opens an existing directory.
    pub fn open(path: &Path) -> io::Result<RealDrive> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))?;
        Ok(RealDrive { path: path.to_owned(), dir, barriers: Arc::default() })
    }

    /// Creates the directory, and those above it that are missing, with mode 0700, and opens it.
    /// One that exists is left as it is.
    pub fn create(path: &Path) -> io::Result<RealDrive> {
        let mut missing = Vec::new();
        let mut at = path;
        while !at.as_os_str().is_empty() && !at.exists() {
            missing.push(at);
            let Some(above) = at.parent() else { break };
            at = above;
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        for new in missing {
            let above = match new.parent() {
                Some(above) if !above.as_os_str().is_empty() => above,
                _ => Path::new("."),
            };
            RealDrive::open(above)?.sync_dir()?;
        }
        RealDrive::open(path)
    }

    /// Takes the drive for this process. `WouldBlock` says that another one has it.
    pub fn lock(&self) -> io::Result<Lock> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = retry_on_intr(|| rustix::fs::openat(&self.dir, LOCK_NAME, flags, FILE_MODE))?;
        retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive))?;
        Ok(Lock { _file: file })
    }

    fn open_file(&self, name: &str, access: Access, extra: OFlags) -> io::Result<OwnedFd> {
        check_name(name)?;
        let base = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let open =
            |flags| retry_on_intr(|| rustix::fs::openat(&self.dir, name, base | flags, FILE_MODE));
        match access {
            Access::Buffered => Ok(open(extra)?),
            // A file system without direct I/O refuses before or after it made the file.
            Access::Direct => match open(extra | OFlags::DIRECT) {
                Err(Errno::INVAL) => Ok(open(extra - OFlags::EXCL)?),
                other => Ok(other?),
            },
        }
    }

    fn file(&self, fd: OwnedFd, access: Access) -> Arc<dyn DriveFile> {
        Arc::new(RealFile {
            fd,
            direct: AtomicBool::new(access == Access::Direct),
            no_dsync: AtomicBool::new(false),
            barriers: self.barriers.clone(),
        })
    }
}

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

impl Drive for RealDrive {
    fn label(&self) -> String {
        self.path.display().to_string()
    }

    fn create(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        let fd = self.open_file(name, access, OFlags::CREATE | OFlags::EXCL)?;
        Ok(self.file(fd, access))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        let fd = self.open_file(name, access, OFlags::empty())?;
        Ok(self.file(fd, access))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        Ok(retry_on_intr(|| rustix::fs::renameat(&self.dir, from, &self.dir, to))?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        Ok(retry_on_intr(|| rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()))?)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !matches!(name.as_str(), "." | ".." | LOCK_NAME | "lost+found") {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::fsync(&self.dir))?)
    }

    fn space(&self) -> io::Result<Space> {
        let s = retry_on_intr(|| rustix::fs::fstatvfs(&self.dir))?;
        Ok(Space { total: s.f_blocks * s.f_frsize, free: s.f_bavail * s.f_frsize })
    }

    fn probe(&self) -> io::Result<()> {
        let held = retry_on_intr(|| rustix::fs::fstat(&self.dir))?;
        if held.st_nlink == 0 {
            return Err(gone(&self.path, "was removed"));
        }
        let found = retry_on_intr(|| rustix::fs::stat(&self.path))?;
        if (found.st_dev, found.st_ino) != (held.st_dev, held.st_ino) {
            return Err(gone(&self.path, "was replaced by another directory"));
        }
        Ok(())
    }

    fn barriers(&self) -> u64 {
        self.barriers.load(Ordering::Relaxed)
    }
}

fn gone(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} {what}", path.display()))
}

struct RealFile {
    fd: OwnedFd,
    /// Direct I/O, until the file system turns out to refuse it.
    direct: AtomicBool,
    /// The file system refuses synchronous writes: write, then sync.
    no_dsync: AtomicBool,
    barriers: Arc<AtomicU64>,
}

impl RealFile {
    /// Runs `io`; where direct I/O on well-aligned arguments is refused, goes on without it.
    fn with_fallback<T>(
        &self,
        aligned: bool,
        io: impl Fn() -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        match retry_on_intr(&io) {
            Err(Errno::INVAL) if aligned && self.direct.load(Ordering::Relaxed) => {
                let flags = rustix::fs::fcntl_getfl(&self.fd)?;
                rustix::fs::fcntl_setfl(&self.fd, flags - OFlags::DIRECT)?;
                self.direct.store(false, Ordering::Relaxed);
                Ok(retry_on_intr(&io)?)
            }
            other => Ok(other?),
        }
    }

    /// One write, possibly short.
    fn write_some(&self, data: &[u8], offset: u64, sync: bool) -> io::Result<usize> {
        let aligned = is_aligned(data, offset);
        if sync && !self.no_dsync.load(Ordering::Relaxed) {
            let write = || {
                let parts = [io::IoSlice::new(data)];
                rustix::io::pwritev2(&self.fd, &parts, offset, ReadWriteFlags::DSYNC)
            };
            match self.with_fallback(aligned, write) {
                Err(e)
                    if matches!(
                        Errno::from_io_error(&e),
                        Some(Errno::OPNOTSUPP | Errno::NOSYS)
                    ) =>
                {
                    self.no_dsync.store(true, Ordering::Relaxed);
                }
                other => return other,
            }
        }
        let n = self.with_fallback(aligned, || rustix::io::pwrite(&self.fd, data, offset))?;
        if sync {
            retry_on_intr(|| rustix::fs::fdatasync(&self.fd))?;
        }
        Ok(n)
    }
}

fn is_aligned(buf: &[u8], offset: u64) -> bool {
    (buf.as_ptr() as usize).is_multiple_of(ALIGN)
        && buf.len().is_multiple_of(ALIGN)
        && offset.is_multiple_of(ALIGN as u64)
}

impl DriveFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let aligned = is_aligned(&buf[done..], at);
            let n = match retry_on_intr(|| rustix::io::pread(&self.fd, &mut buf[done..], at)) {
                Ok(n) => n,
                Err(Errno::INVAL) if aligned && self.direct.load(Ordering::Relaxed) => {
                    let flags = rustix::fs::fcntl_getfl(&self.fd)?;
                    rustix::fs::fcntl_setfl(&self.fd, flags - OFlags::DIRECT)?;
                    self.direct.store(false, Ordering::Relaxed);
                    continue;
                }
                Err(e) => return Err(e.into()),
            };
            done += n;
            if n == 0 {
                break;
            }
            // Direct I/O can't go on from the middle of a block: only the end of the file, or a
            // signal, leaves one there.
            if self.direct.load(Ordering::Relaxed) && !done.is_multiple_of(ALIGN) {
                if offset + done as u64 >= self.len()? {
                    break;
                }
                done -= done % ALIGN;
            }
        }
        Ok(done)
    }

    fn read_at_now(&self, buf: &mut [u8], offset: u64) -> Option<usize> {
        if self.direct.load(Ordering::Relaxed) {
            return None;
        }
        // An error, that the file system can't do this among them, is told by the read that waits.
        let mut parts = [io::IoSliceMut::new(buf)];
        rustix::io::preadv2(&self.fd, &mut parts, offset, ReadWriteFlags::NOWAIT).ok()
    }

    fn forget_cached(&self, range: Range<u64>) {
        let len = NonZeroU64::new(range.end.saturating_sub(range.start));
        if let Some(len) = len.filter(|len| i64::try_from(len.get()).is_ok()) {
            // Pages that are dirty stay; a file system that has no cache does nothing.
            let _ = rustix::fs::fadvise(&self.fd, range.start, Some(len), Advice::DontNeed);
        }
    }

    fn write_at(&self, data: &[u8], offset: u64, sync: bool) -> io::Result<()> {
        if data.is_empty() {
            return if sync { self.sync() } else { Ok(()) };
        }
        let mut done = 0;
        while done < data.len() {
            match self.write_some(&data[done..], offset + done as u64, sync)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => done += n,
            }
        }
        if sync {
            self.barriers.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        retry_on_intr(|| rustix::fs::fdatasync(&self.fd))?;
        self.barriers.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        let keep = FallocateFlags::KEEP_SIZE;
        match retry_on_intr(|| rustix::fs::fallocate(&self.fd, keep, 0, len)) {
            // Reserving is a help, not a promise.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::ftruncate(&self.fd, len))?)
    }

    fn len(&self) -> io::Result<u64> {
        let stat = retry_on_intr(|| rustix::fs::fstat(&self.fd))?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests;

//! What the kernel asks, answered from a [`Tree`], noted in the [`Journal`].
//!
//! All files are opened for direct I/O: the kernel keeps no pages, so that each write arrives when
//! it is made, and each read is answered here. A request that a rule makes wait gets a thread of
//! its own; the others go on.

use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::faults::{Faults, Op, Verdict};
use crate::journal::{Entry, Ino, Journal, Kind, What};
use crate::tree::{Node, Tree};

/// Nothing is remembered by the kernel.
const TTL: Duration = Duration::ZERO;
const BLOCK: u64 = 4096;
/// What direct I/O must be aligned to.
const DIRECT_ALIGN: u64 = 512;
/// Which byte of a block rots.
const ROTTEN: u64 = 100;

/// A drive: its state, its rules, and where it notes what happens.
#[derive(Debug)]
pub struct Disk {
    /// Its number.
    pub number: usize,
    /// How large it says it is.
    pub capacity_bytes: u64,
    /// Its rules.
    pub faults: Faults,
    tree: Mutex<Tree>,
    journal: Arc<Journal>,
}

impl Disk {
    /// A drive that begins with `tree`.
    pub fn new(number: usize, capacity_bytes: u64, tree: Tree, journal: Arc<Journal>) -> Disk {
        Disk { number, capacity_bytes, faults: Faults::default(), tree: Mutex::new(tree), journal }
    }

    /// Its state. Events are pushed while it is locked, so that they are in its order.
    pub fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, verdict: &Verdict, what: What) {
        self.journal.push(self.number, verdict.arrived, what);
    }

    fn make(&self, at: &Entry, kind: Kind, mode: u32, verdict: &Verdict) -> Result<Ino, Errno> {
        if verdict.full {
            return Err(Errno::ENOSPC);
        }
        let mut tree = self.tree();
        let ino = tree.create(at, kind, mode)?;
        self.note(verdict, What::Create { at: at.clone(), ino, kind });
        Ok(ino)
    }

    /// Writes; `durable` if it was asked for, and then `sync` says how that went.
    fn write(
        &self,
        ino: Ino,
        offset: u64,
        data: Arc<[u8]>,
        durable: bool,
        (write, sync): (&Verdict, &Verdict),
    ) -> Result<u32, Errno> {
        if let Some(error) = write.error {
            return Err(error);
        }
        let mut tree = self.tree();
        let end = offset.checked_add(data.len() as u64).ok_or(Errno::EFBIG)?;
        let node = tree.node(ino)?;
        let has = node.reserved.max(node.data.len() as u64);
        let grows = end.saturating_sub(has);
        if grows > 0 && (write.full || tree.used_bytes + grows > self.capacity_bytes) {
            return Err(Errno::ENOSPC);
        }
        tree.write(ino, offset, &data)?;
        let written = data.len() as u32;
        let durable_now = durable && sync.error.is_none();
        self.note(write, What::Write { ino, offset, data, durable: durable_now });
        match sync.error {
            Some(error) if durable => {
                self.note(sync, What::Sync { ino, good: false });
                Err(error)
            }
            _ => Ok(written),
        }
    }

    fn sync(&self, ino: Ino, verdict: &Verdict) -> Result<(), Errno> {
        let tree = self.tree();
        tree.node(ino)?;
        self.note(verdict, What::Sync { ino, good: verdict.error.is_none() });
        verdict.error.map_or(Ok(()), Err)
    }

    fn set_len(&self, ino: Ino, len: u64, verdict: &Verdict) -> Result<(), Errno> {
        let mut tree = self.tree();
        tree.set_len(ino, len)?;
        self.note(verdict, What::SetLen { ino, len });
        Ok(())
    }

    fn allocate(&self, ino: Ino, end: u64, mode: i32, verdict: &Verdict) -> Result<(), Errno> {
        if mode & !libc::FALLOC_FL_KEEP_SIZE != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let mut tree = self.tree();
        let node = tree.node(ino)?;
        let len = node.data.len() as u64;
        let grows = end.saturating_sub(node.reserved.max(len));
        if grows > 0 && (verdict.full || tree.used_bytes + grows > self.capacity_bytes) {
            return Err(Errno::ENOSPC);
        }
        tree.reserve(ino, end)?;
        if mode & libc::FALLOC_FL_KEEP_SIZE == 0 && end > len {
            tree.set_len(ino, end)?;
            self.note(verdict, What::SetLen { ino, len: end });
        }
        Ok(())
    }

    fn attr(&self, ino: Ino) -> Result<FileAttr, Errno> {
        Ok(attr(ino, self.tree().node(ino)?))
    }
}

fn attr(ino: Ino, node: &Node) -> FileAttr {
    let size = node.data.len() as u64;
    FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: size.max(node.reserved).div_ceil(512),
        atime: node.changed,
        mtime: node.changed,
        ctime: node.changed,
        crtime: UNIX_EPOCH,
        kind: file_type(node.kind),
        perm: (node.mode & 0o7777) as u16,
        nlink: node.links,
        // The one who mounts is the one who uses it.
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        rdev: 0,
        blksize: BLOCK as u32,
        flags: 0,
    }
}

fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Dir => FileType::Directory,
        Kind::Socket => FileType::Socket,
    }
}

/// A drive as the kernel sees it.
#[derive(Clone, Debug)]
pub struct Mounted(pub Arc<Disk>);

impl Mounted {
    /// Judges an operation on `path`, waits if need be, and runs `job`.
    fn judged(&self, op: Op, path: &str, job: impl FnOnce(&Disk, Verdict) + Send + 'static) {
        let verdict = self.verdict(op, path);
        self.in_time(vec![verdict], move |disk, verdicts| job(disk, verdicts[0]));
    }

    fn verdict(&self, op: Op, path: &str) -> Verdict {
        let arrived = self.0.journal.len();
        Verdict { arrived, ..self.0.faults.judge(op, path) }
    }

    fn in_time(
        &self,
        verdicts: Vec<Verdict>,
        job: impl FnOnce(&Disk, &[Verdict]) + Send + 'static,
    ) {
        if !verdicts.iter().any(Verdict::waits) {
            return job(&self.0, &verdicts);
        }
        let disk = self.0.clone();
        std::thread::spawn(move || {
            for verdict in &verdicts {
                disk.faults.wait(verdict);
            }
            job(&disk, &verdicts);
        });
    }

    fn path(&self, ino: Ino) -> String {
        self.0.tree().path(ino)
    }

    fn path_of(&self, at: &Entry) -> String {
        let above = self.path(at.dir);
        let name = at.name.to_string_lossy();
        if above.is_empty() { name.into_owned() } else { format!("{above}/{name}") }
    }

    fn create_entry(&self, at: Entry, kind: Kind, mode: u32, reply: ReplyEntry) {
        self.judged(Op::Change, &self.path_of(&at), move |disk, verdict| {
            let made = match verdict.error {
                Some(error) => Err(error),
                None => disk.make(&at, kind, mode, &verdict).and_then(|ino| disk.attr(ino)),
            };
            match made {
                Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
                Err(error) => reply.error(error),
            }
        });
    }

    fn remove_entry(&self, at: Entry, is_dir: bool, reply: ReplyEmpty) {
        self.judged(Op::Change, &self.path_of(&at), move |disk, verdict| {
            let done = verdict.error.map_or(Ok(()), Err).and_then(|()| {
                let mut tree = disk.tree();
                tree.remove(&at, is_dir)?;
                disk.note(&verdict, What::Remove { at });
                Ok(())
            });
            answer(reply, done);
        });
    }
}

fn answer(reply: ReplyEmpty, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn entry(dir: INodeNo, name: &OsStr) -> Entry {
    Entry { dir: dir.0, name: name.to_owned() }
}

fn misaligned(flags: OpenFlags, offset: u64, len: u64) -> bool {
    flags.0 & libc::O_DIRECT != 0
        && !(offset.is_multiple_of(DIRECT_ALIGN) && len.is_multiple_of(DIRECT_ALIGN))
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let at = entry(parent, name);
        self.judged(Op::Look, &self.path_of(&at), move |disk, verdict| {
            let tree = disk.tree();
            let found = verdict.error.map_or(Ok(()), Err).and_then(|()| {
                let ino = tree.lookup(&at)?;
                Ok(attr(ino, tree.node(ino)?))
            });
            match found {
                Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
                Err(error) => reply.error(error),
            }
        });
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.judged(Op::Look, &self.path(ino.0), move |disk, verdict| {
            match verdict.error.map_or_else(|| disk.attr(ino.0), Err) {
                Ok(attr) => reply.attr(&TTL, &attr),
                Err(error) => reply.error(error),
            }
        });
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        self.judged(Op::Change, &self.path(ino.0), move |disk, verdict| {
            let done = verdict.error.map_or(Ok(()), Err).and_then(|()| {
                if let Some(len) = size {
                    disk.set_len(ino.0, len, &verdict)?;
                }
                if let Some(mode) = mode {
                    disk.tree().set_mode(ino.0, mode)?;
                }
                disk.attr(ino.0)
            });
            match done {
                Ok(attr) => reply.attr(&TTL, &attr),
                Err(error) => reply.error(error),
            }
        });
    }

    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        let kind = match mode & libc::S_IFMT {
            libc::S_IFSOCK => Kind::Socket,
            libc::S_IFREG | 0 => Kind::File,
            _ => return reply.error(Errno::EPERM),
        };
        self.create_entry(entry(parent, name), kind, mode & !umask, reply);
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        self.create_entry(entry(parent, name), Kind::Dir, mode & !umask, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove_entry(entry(parent, name), false, reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove_entry(entry(parent, name), true, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !(flags - RenameFlags::RENAME_NOREPLACE).is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let (from, to) = (entry(parent, name), entry(newparent, newname));
        let no_replace = flags.contains(RenameFlags::RENAME_NOREPLACE);
        self.judged(Op::Change, &self.path_of(&from), move |disk, verdict| {
            let done = verdict.error.map_or(Ok(()), Err).and_then(|()| {
                let mut tree = disk.tree();
                tree.rename(&from, &to, no_replace)?;
                disk.note(&verdict, What::Rename { from, to });
                Ok(())
            });
            answer(reply, done);
        });
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.judged(Op::Look, &self.path(ino.0), move |disk, verdict| {
            let done = verdict.error.map_or(Ok(()), Err).and_then(|()| {
                if flags.0 & libc::O_TRUNC != 0 {
                    disk.set_len(ino.0, 0, &verdict)?;
                }
                disk.tree().open(ino.0)
            });
            match done {
                Ok(()) => reply.opened(FileHandle(ino.0), direct()),
                Err(error) => reply.error(error),
            }
        });
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let at = entry(parent, name);
        self.judged(Op::Change, &self.path_of(&at), move |disk, verdict| {
            let made = verdict.error.map_or(Ok(()), Err).and_then(|()| {
                let ino = disk.make(&at, Kind::File, mode & !umask, &verdict)?;
                disk.tree().open(ino)?;
                disk.attr(ino)
            });
            match made {
                Ok(attr) => {
                    let handle = FileHandle(attr.ino.0);
                    reply.created(&TTL, &attr, Generation(0), handle, direct());
                }
                Err(error) => reply.error(error),
            }
        });
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if misaligned(flags, offset, size.into()) {
            return reply.error(Errno::EINVAL);
        }
        self.judged(Op::Read, &self.path(ino.0), move |disk, verdict| {
            if let Some(error) = verdict.error {
                return reply.error(error);
            }
            let tree = disk.tree();
            match tree.read(ino.0, offset, size as usize) {
                Ok(data) if verdict.corrupt => reply.data(&with_flipped_bits(data, offset)),
                Ok(data) => reply.data(data),
                Err(error) => reply.error(error),
            }
        });
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        if misaligned(flags, offset, data.len() as u64) {
            return reply.error(Errno::EINVAL);
        }
        let data: Arc<[u8]> = data.into();
        // The kernel adds this flag for RWF_DSYNC, too.
        let durable = flags.0 & (libc::O_DSYNC | libc::O_SYNC) != 0;
        let path = self.path(ino.0);
        let mut verdicts = vec![self.verdict(Op::Write, &path)];
        if durable {
            verdicts.push(self.verdict(Op::Sync, &path));
        }
        self.in_time(verdicts, move |disk, verdicts| {
            let sync = verdicts.get(1).copied().unwrap_or_default();
            match disk.write(ino.0, offset, data, durable, (&verdicts[0], &sync)) {
                Ok(written) => reply.written(written),
                Err(error) => reply.error(error),
            }
        });
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        answer(reply, self.0.tree().release(ino.0));
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.judged(Op::Sync, &self.path(ino.0), move |disk, verdict| {
            answer(reply, disk.sync(ino.0, &verdict));
        });
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.judged(Op::SyncDir, &self.path(ino.0), move |disk, verdict| {
            let done = verdict.error.map_or(Ok(()), Err).and_then(|()| {
                let tree = disk.tree();
                tree.node(ino.0)?;
                disk.note(&verdict, What::SyncDir { dir: ino.0 });
                Ok(())
            });
            answer(reply, done);
        });
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        self.judged(Op::Look, &self.path(ino.0), move |disk, verdict| {
            if let Some(error) = verdict.error {
                return reply.error(error);
            }
            let tree = disk.tree();
            let node = match tree.node(ino.0) {
                Ok(node) => node,
                Err(error) => return reply.error(error),
            };
            let dots = [(ino.0, OsStr::new(".")), (node.above, OsStr::new(".."))];
            let names = node.names.iter().map(|(name, ino)| (*ino, name.as_os_str()));
            // A cookie is the inode: it stays right while names come and go.
            let mut all: Vec<(u64, u64, &OsStr)> = Vec::new();
            all.extend(dots.iter().enumerate().map(|(i, (ino, name))| (i as u64 + 1, *ino, *name)));
            all.extend(names.map(|(ino, name)| (ino + 2, ino, name)));
            all.sort_unstable_by_key(|(cookie, ..)| *cookie);
            for (cookie, ino, name) in all.into_iter().filter(|(cookie, ..)| *cookie > offset) {
                let kind = tree.node(ino).map_or(FileType::Directory, |node| file_type(node.kind));
                if reply.add(INodeNo(ino), cookie, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, ino: INodeNo, reply: ReplyStatfs) {
        self.judged(Op::Look, &self.path(ino.0), move |disk, verdict| {
            if let Some(error) = verdict.error {
                return reply.error(error);
            }
            let blocks = disk.capacity_bytes / BLOCK;
            let free = match verdict.full {
                true => 0,
                false => blocks.saturating_sub(disk.tree().used_bytes.div_ceil(BLOCK)),
            };
            let size = BLOCK as u32;
            reply.statfs(blocks, free, free, 1 << 20, 1 << 20, size, 255, size);
        });
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        self.judged(Op::Change, &self.path(ino.0), move |disk, verdict| {
            let done = verdict.error.map_or(Ok(()), Err).and_then(|()| {
                let end = offset.checked_add(length).ok_or(Errno::EFBIG)?;
                disk.allocate(ino.0, end, mode, &verdict)
            });
            answer(reply, done);
        });
    }
}

fn direct() -> FopenFlags {
    FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES
}

/// One bit in each block of the file, always the same one: a sector that has rotted stays rotten.
fn with_flipped_bits(data: &[u8], offset: u64) -> Vec<u8> {
    let mut data = data.to_vec();
    let first = (ROTTEN + BLOCK - offset % BLOCK) % BLOCK;
    for byte in data.iter_mut().skip(first as usize).step_by(BLOCK as usize) {
        *byte ^= 0x10;
    }
    data
}

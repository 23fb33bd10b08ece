//! A drive as running processes see it: names, and bytes as the page cache holds them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::SystemTime;
use std::{fs, io};

use fuser::Errno;

use crate::journal::{Entry, Ino, Kind, ROOT};

/// No file may be longer: contents are in memory.
const FILE_BYTES_MAX: u64 = 8 << 30;

/// An inode.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Names it has; 0: it goes with its last handle.
    pub links: u32,
    /// Open handles.
    pub handles: u32,
    /// Bytes of a file.
    pub data: Vec<u8>,
    /// Up to here the space is reserved, so that a full drive takes writes.
    pub reserved: u64,
    /// Names in a directory.
    pub names: BTreeMap<OsString, Ino>,
    /// The directory that this one is in.
    pub above: Ino,
    /// The last name it had, for rules about paths.
    pub name: OsString,
    /// When its bytes or names changed.
    pub changed: SystemTime,
}

impl Node {
    fn new(kind: Kind, mode: u32, above: Ino, name: &OsStr) -> Node {
        Node {
            kind,
            mode,
            links: 1,
            handles: 0,
            data: Vec::new(),
            reserved: 0,
            names: BTreeMap::new(),
            above,
            name: name.to_owned(),
            changed: SystemTime::now(),
        }
    }
}

/// All inodes of a drive.
#[derive(Debug)]
pub struct Tree {
    nodes: BTreeMap<Ino, Node>,
    next: Ino,
    /// Bytes of all files.
    pub used_bytes: u64,
}

impl Default for Tree {
    fn default() -> Self {
        let root = Node::new(Kind::Dir, 0o755, ROOT, OsStr::new(""));
        Tree { nodes: BTreeMap::from([(ROOT, root)]), next: ROOT + 1, used_bytes: 0 }
    }
}

type Done<T> = Result<T, Errno>;

fn as_io(error: Errno) -> io::Error {
    io::Error::from_raw_os_error(error.code())
}

impl Tree {
    /// A tree with the files and directories of `folder`.
    pub fn load(folder: &Path) -> io::Result<Tree> {
        let mut tree = Tree::default();
        tree.load_into(ROOT, folder)?;
        Ok(tree)
    }

    fn load_into(&mut self, dir: Ino, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let at = Entry { dir, name: entry.file_name() };
            if kind.is_dir() {
                let ino = self.create(&at, Kind::Dir, 0o700).map_err(as_io)?;
                self.load_into(ino, &entry.path())?;
            } else if kind.is_file() {
                let ino = self.create(&at, Kind::File, 0o600).map_err(as_io)?;
                self.write(ino, 0, &fs::read(entry.path())?).map_err(as_io)?;
            }
        }
        Ok(())
    }

    /// An inode.
    pub fn node(&self, ino: Ino) -> Done<&Node> {
        self.nodes.get(&ino).ok_or(Errno::ENOENT)
    }

    fn node_mut(&mut self, ino: Ino) -> Done<&mut Node> {
        self.nodes.get_mut(&ino).ok_or(Errno::ENOENT)
    }

    fn dir(&mut self, ino: Ino) -> Done<&mut Node> {
        match self.node_mut(ino)? {
            node if node.kind == Kind::Dir => Ok(node),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn file(&mut self, ino: Ino) -> Done<&mut Node> {
        match self.node_mut(ino)? {
            node if node.kind == Kind::File => Ok(node),
            _ => Err(Errno::EISDIR),
        }
    }

    /// Every inode with its number.
    pub fn nodes(&self) -> impl Iterator<Item = (Ino, &Node)> {
        self.nodes.iter().map(|(ino, node)| (*ino, node))
    }

    /// The path of an inode below the root, as far as it has names.
    pub fn path(&self, mut ino: Ino) -> String {
        let mut parts = Vec::new();
        while ino != ROOT
            && let Some(node) = self.nodes.get(&ino)
        {
            parts.push(node.name.to_string_lossy().into_owned());
            ino = node.above;
        }
        parts.reverse();
        parts.join("/")
    }

    /// The inode of a name.
    pub fn lookup(&self, at: &Entry) -> Done<Ino> {
        let node = self.node(at.dir)?;
        if node.kind != Kind::Dir {
            return Err(Errno::ENOTDIR);
        }
        node.names.get(&at.name).copied().ok_or(Errno::ENOENT)
    }

    /// Makes an inode.
    pub fn create(&mut self, at: &Entry, kind: Kind, mode: u32) -> Done<Ino> {
        let ino = self.next;
        let dir = self.dir(at.dir)?;
        if dir.links == 0 {
            return Err(Errno::ENOENT);
        }
        if dir.names.contains_key(&at.name) {
            return Err(Errno::EEXIST);
        }
        dir.names.insert(at.name.clone(), ino);
        dir.changed = SystemTime::now();
        self.next += 1;
        self.nodes.insert(ino, Node::new(kind, mode, at.dir, &at.name));
        Ok(ino)
    }

    /// Takes a name away; `is_dir` says what the caller thinks it is.
    pub fn remove(&mut self, at: &Entry, is_dir: bool) -> Done<()> {
        let ino = self.lookup(at)?;
        self.may_go(ino, is_dir)?;
        let dir = self.dir(at.dir)?;
        dir.names.remove(&at.name);
        dir.changed = SystemTime::now();
        self.unlink(ino)
    }

    fn may_go(&self, ino: Ino, is_dir: bool) -> Done<()> {
        let node = self.node(ino)?;
        match (is_dir, node.kind == Kind::Dir) {
            (true, false) => Err(Errno::ENOTDIR),
            (false, true) => Err(Errno::EISDIR),
            (true, true) if !node.names.is_empty() => Err(Errno::ENOTEMPTY),
            _ => Ok(()),
        }
    }

    fn unlink(&mut self, ino: Ino) -> Done<()> {
        self.node_mut(ino)?.links = 0;
        self.free_if_unused(ino);
        Ok(())
    }

    fn free_if_unused(&mut self, ino: Ino) {
        if ino != ROOT
            && let Some(node) = self.nodes.get(&ino)
            && node.links == 0
            && node.handles == 0
        {
            self.used_bytes -= node.data.len() as u64;
            self.nodes.remove(&ino);
        }
    }

    /// Moves a name.
    pub fn rename(&mut self, from: &Entry, to: &Entry, no_replace: bool) -> Done<()> {
        let ino = self.lookup(from)?;
        let is_dir = self.node(ino)?.kind == Kind::Dir;
        match self.lookup(to) {
            Ok(_) if no_replace => return Err(Errno::EEXIST),
            Ok(same) if same == ino => return Ok(()),
            Ok(other) => {
                self.may_go(other, is_dir)?;
                self.unlink(other)?;
            }
            Err(error) if error == Errno::ENOENT => {}
            Err(error) => return Err(error),
        }
        self.dir(from.dir)?.names.remove(&from.name);
        let dir = self.dir(to.dir)?;
        dir.names.insert(to.name.clone(), ino);
        dir.changed = SystemTime::now();
        let node = self.node_mut(ino)?;
        node.above = to.dir;
        node.name = to.name.clone();
        Ok(())
    }

    /// One more handle.
    pub fn open(&mut self, ino: Ino) -> Done<()> {
        self.node_mut(ino)?.handles += 1;
        Ok(())
    }

    /// One handle less.
    pub fn release(&mut self, ino: Ino) -> Done<()> {
        let node = self.node_mut(ino)?;
        node.handles = node.handles.saturating_sub(1);
        self.free_if_unused(ino);
        Ok(())
    }

    /// The bytes at `offset`, fewer at the end.
    pub fn read(&self, ino: Ino, offset: u64, len: usize) -> Done<&[u8]> {
        let data = &self.node(ino)?.data;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
        let end = start.saturating_add(len).min(data.len());
        Ok(&data[start..end])
    }

    /// Writes bytes; the file grows as needed.
    pub fn write(&mut self, ino: Ino, offset: u64, bytes: &[u8]) -> Done<()> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(Errno::EFBIG)?;
        if end > self.file(ino)?.data.len() as u64 {
            self.set_len(ino, end)?;
        }
        let node = self.file(ino)?;
        // Both fit: the data is that long.
        let start = offset as usize;
        node.data[start..start + bytes.len()].copy_from_slice(bytes);
        node.changed = SystemTime::now();
        Ok(())
    }

    /// Cuts a file or fills it up with zeros.
    pub fn set_len(&mut self, ino: Ino, len: u64) -> Done<()> {
        if len > FILE_BYTES_MAX {
            return Err(Errno::EFBIG);
        }
        let node = self.file(ino)?;
        let before = node.data.len() as u64;
        node.data.resize(len as usize, 0);
        node.reserved = if len < before { len } else { node.reserved };
        node.changed = SystemTime::now();
        self.used_bytes = self.used_bytes - before + len;
        Ok(())
    }

    /// Reserves space up to `end`.
    pub fn reserve(&mut self, ino: Ino, end: u64) -> Done<()> {
        let node = self.file(ino)?;
        node.reserved = node.reserved.max(end);
        Ok(())
    }

    /// Sets permission bits.
    pub fn set_mode(&mut self, ino: Ino, mode: u32) -> Done<()> {
        self.node_mut(ino)?.mode = mode & 0o7777;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! A file that is removed when its measurement ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use coffer_base::AlignedBuf;
use rustix::fs::{FallocateFlags, OFlags};

/// Zeros are written ahead in pieces of this size.
const ZERO_BYTES: usize = 1 << 20;

/// A file of fixed length, removed on drop.
pub struct Scratch {
    pub file: File,
    path: PathBuf,
}

impl Scratch {
    /// Makes a file of `len` bytes in `dir`, preallocated, zero-written and synced, then opens it
    /// with `flags`.
    pub fn zeroed(dir: &Path, flags: OFlags, len: u64) -> io::Result<Scratch> {
        let scratch = Scratch::empty(dir, OFlags::empty())?;
        rustix::fs::fallocate(&scratch.file, FallocateFlags::empty(), 0, len)?;
        let zeros = vec![0; ZERO_BYTES];
        let mut offset = 0;
        while offset < len {
            let n = (len - offset).min(ZERO_BYTES as u64) as usize;
            scratch.file.write_all_at(&zeros[..n], offset)?;
            offset += n as u64;
        }
        scratch.file.sync_all()?;
        scratch.reopened(flags)
    }

    /// Makes an empty file in `dir`, open with `flags`.
    pub fn empty(dir: &Path, flags: OFlags) -> io::Result<Scratch> {
        let path = dir.join(format!("coffer-bench-{}.scratch", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .custom_flags(flags.bits() as i32)
            .open(&path)
            .inspect_err(|_| {
                // Some file systems make the name before they refuse the flags. What matters is
                // the refusal; that nothing is left to remove is the usual case.
                let _ = std::fs::remove_file(&path);
            })?;
        Ok(Scratch { file, path })
    }

    /// The same file, open with other flags.
    pub fn reopened(mut self, flags: OFlags) -> io::Result<Scratch> {
        self.file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits() as i32)
            .open(&self.path)?;
        Ok(self)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            eprintln!("can't remove {}: {error}", self.path.display());
        }
    }
}

/// `len` bytes that no drive can shrink, aligned for direct I/O.
pub fn noise(len: usize) -> AlignedBuf {
    let mut buffer = AlignedBuf::zeroed(len);
    let mut state = 1;
    for word in buffer.chunks_mut(8) {
        state = crate::bench::pattern::mix(state);
        word.copy_from_slice(&state.to_le_bytes()[..word.len()]);
    }
    buffer
}

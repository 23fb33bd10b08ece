//! Files that only their owner may read: root's keys, the store's secret key.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::fault::Fault;

/// The longest that is read.
const FILE_BYTES_MAX: u64 = 4096;

/// What is wrong with the file.
pub fn fault(path: &Path, what: impl std::fmt::Display) -> Fault {
    Fault::Data(format!("{}: {what}", path.display()))
}

/// Reads one; `None` if it is not there. One that others may read too is refused.
pub fn read(path: &Path) -> Result<Option<String>, Fault> {
    let wrong = |what: String| fault(path, what);
    // Not blocking, should it be a pipe.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = match std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(wrong(e.to_string())),
    };
    let meta = file.metadata().map_err(|e| wrong(e.to_string()))?;
    if !meta.is_file() {
        return Err(wrong("it is not a file".to_owned()));
    }
    let mode = meta.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(wrong(format!("others can read it (mode {mode:04o}): chmod 600 it")));
    }
    let mut text = String::new();
    let limited = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    limited.map_err(|e| wrong(e.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    Ok(Some(text))
}

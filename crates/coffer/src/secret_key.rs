//! The store's secret key, which seals the secrets of users in the log.
//!
//! It is in `secrets.key` (mode 0600), of which every drive directory has the same copy, or in the
//! file that the setting `secrets_key_file` names, off the drives. It is made once, when the store
//! has nothing sealed yet. After that it is never made again: a start without it is refused, since
//! a new one would open nothing.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use coffer_base::SystemRng;
use coffer_base::drive::{Access, Drive};
use coffer_identity::SecretKey;

use crate::fault::Fault;
use crate::store::HeldDrive;

#[cfg(test)]
mod tests;

/// The file in each drive directory.
pub const FILE: &str = "secrets.key";
/// Its name until it is whole.
pub const FILE_NEW: &str = "secrets.key.new";
const FILE_BYTES_MAX: u64 = 4096;

/// What the files of several directories say.
#[derive(Debug, Default)]
struct Found {
    /// The key, and the first file that has it.
    key: Option<(SecretKey, PathBuf)>,
    /// Which directories have no file.
    lacking: Vec<usize>,
}

/// The key of the store on these drives. `sealed`: it has secrets that are sealed already. On
/// return the key is durable where it is to be kept; a new one on most drives at least.
pub fn of_store(file: Option<&Path>, held: &[HeldDrive], sealed: bool) -> Result<SecretKey, Fault> {
    if let Some(path) = file {
        return in_file(path, sealed);
    }
    let dirs: Vec<PathBuf> = held.iter().map(|held| held.path.clone()).collect();
    let found = read(&dirs)?;
    let key = match found.key {
        Some((key, _)) => key,
        None if sealed => {
            let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
            return Err(Fault::Data(format!(
                "the secrets of this store are sealed, and their key, {FILE}, is not in {}: put \
                 it back, or name it with secrets_key_file",
                dirs.join(", ")
            )));
        }
        None => SecretKey::random(&SystemRng),
    };
    // A drive that fails does not keep the store from starting, as long as most of them have it.
    let (mut have, mut failed) = (dirs.len() - found.lacking.len(), None);
    for i in found.lacking {
        match write(&*held[i].drive, &key) {
            Ok(()) => have += 1,
            Err(error) => {
                let path = dirs[i].join(FILE);
                tracing::warn!(path = %path.display(), %error, "the key has no copy here");
                failed.get_or_insert(Fault::Data(format!("{}: {error}", path.display())));
            }
        }
    }
    match failed {
        Some(fault) if !sealed && 2 * have <= dirs.len() => Err(fault),
        _ => Ok(key),
    }
}

/// The key in the file that the settings name; made there if nothing is sealed yet.
fn in_file(path: &Path, sealed: bool) -> Result<SecretKey, Fault> {
    let wrong = |what: String| Fault::Data(format!("{}: {what}", path.display()));
    match read_file(path)? {
        Some(key) => Ok(key),
        None if sealed => Err(wrong(
            "it is not there, and the secrets of this store are sealed with the key in it"
                .to_owned(),
        )),
        None => {
            let key = SecretKey::random(&SystemRng);
            create(path, &key).map_err(|e| wrong(e.to_string()))?;
            Ok(key)
        }
    }
}

/// Makes a file that is not there: whole or not at all, durable on return. What is there meanwhile
/// is not replaced.
fn create(path: &Path, key: &SecretKey) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match std::fs::remove_file(&beside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text(key).as_bytes())?;
    file.sync_all()?;
    // Unlike a rename it fails if the name is taken.
    std::fs::hard_link(&beside, path)?;
    std::fs::remove_file(&beside)?;
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    std::fs::File::open(dir)?.sync_all()
}

fn text(key: &SecretKey) -> String {
    format!(
        "# The key that seals the secrets of this store's users. Without it they can't sign in\n\
         # any more; with it and the drives, anybody can. Keep a copy apart from the drives.\n{}\n",
        key.to_hex()
    )
}

fn parse(text: &str) -> Option<SecretKey> {
    let mut lines = text.lines().map(str::trim);
    let mut keys = lines.by_ref().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let key = SecretKey::parse(keys.next()?)?;
    keys.next().is_none().then_some(key)
}

/// Reads the files of `dirs`; ones that differ are refused.
fn read(dirs: &[PathBuf]) -> Result<Found, Fault> {
    let mut found = Found::default();
    for (i, dir) in dirs.iter().enumerate() {
        let path = dir.join(FILE);
        match (read_file(&path)?, &found.key) {
            (None, _) => found.lacking.push(i),
            (Some(key), None) => found.key = Some((key, path)),
            (Some(key), Some((first, _))) if key == *first => {}
            (Some(_), Some((_, first))) => {
                return Err(Fault::Data(format!(
                    "{} and {} hold different keys: remove the one that is wrong",
                    first.display(),
                    path.display()
                )));
            }
        }
    }
    Ok(found)
}

fn read_file(path: &Path) -> Result<Option<SecretKey>, Fault> {
    let wrong = |what: String| Fault::Data(format!("{}: {what}", path.display()));
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
    match parse(&text) {
        Some(key) => Ok(Some(key)),
        None => Err(wrong("it does not hold a key of 64 hexadecimal digits".to_owned())),
    }
}

/// Writes the file of one drive: whole or not at all, durable on return.
fn write(drive: &dyn Drive, key: &SecretKey) -> std::io::Result<()> {
    match drive.remove(FILE_NEW) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = drive.create(FILE_NEW, Access::Buffered)?;
    file.write_at(text(key).as_bytes(), 0, false)?;
    file.sync()?;
    coffer_base::failpoint::pass("secrets.written");
    drive.rename(FILE_NEW, FILE)?;
    coffer_base::failpoint::pass("secrets.renamed");
    drive.sync_dir()?;
    coffer_base::failpoint::pass("secrets.done");
    Ok(())
}

//! The store's secret key, which seals the secrets of users in the log.
//!
//! It is in `secrets.key` (mode 0600), of which every drive directory has the same copy, or in the
//! file that the setting `secrets_key_file` names, off the drives. It is made once, when the store
//! has nothing sealed yet. After that it is never made again: a start without it is refused, since
//! a new one would open nothing; and no key counts but the one that the store is sealed with.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use coffer_base::SystemRng;
use coffer_base::drive::{Access, Drive};
use coffer_identity::{KeyCheck, SecretKey};

use crate::fault::Fault;
use crate::private_file;
use crate::store::HeldDrive;

#[cfg(test)]
mod tests;

/// The file in each drive directory.
pub const FILE: &str = "secrets.key";
/// Its name until it is whole.
pub const FILE_NEW: &str = "secrets.key.new";

/// The key of the store on these drives; `check` knows it, unless nothing is sealed yet. On return
/// the key is durable where it is to be kept; before anything is sealed, on most drives at least.
pub fn of_store(
    file: Option<&Path>,
    held: &[HeldDrive],
    check: Option<&KeyCheck>,
) -> Result<SecretKey, Fault> {
    if let Some(path) = file {
        return in_file(path, check.is_some());
    }
    let dirs: Vec<PathBuf> = held.iter().map(|held| held.path.clone()).collect();
    let found = read(&dirs)?;
    let key = choose(&dirs, &found, check)?;
    // A drive that fails does not keep the store from starting, as long as most of them have it.
    let (mut have, mut failed) = (0, None);
    for (found, held) in found.iter().zip(held) {
        let path = held.path.join(FILE);
        let done = match found {
            None => write(&*held.drive, &key),
            Some(other) if *other != key => {
                // Made by a start that was cut short, say, while this drive was elsewhere. It is
                // somebody's, perhaps: left as it is.
                let path = path.display();
                tracing::warn!(%path, "this is not the key that the secrets are sealed with");
                continue;
            }
            // The start that wrote it may have ended before its name was durable.
            Some(_) if check.is_none() => held.drive.sync_dir(),
            Some(_) => Ok(()),
        };
        match done {
            Ok(()) => have += 1,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the key has no copy here");
                failed.get_or_insert(private_file::fault(&path, error));
            }
        }
    }
    match failed {
        Some(fault) if check.is_none() && 2 * have <= dirs.len() => Err(fault),
        _ => Ok(key),
    }
}

/// Which of the keys that were found it is; a new one if there is none and nothing is sealed.
fn choose(
    dirs: &[PathBuf],
    found: &[Option<SecretKey>],
    check: Option<&KeyCheck>,
) -> Result<SecretKey, Fault> {
    let shown: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    let shown = shown.join(", ");
    let mut keys = found.iter().zip(dirs).filter_map(|(key, dir)| Some((key.as_ref()?, dir)));
    let Some((first, at)) = keys.next() else {
        return match check {
            None => Ok(SecretKey::random(&SystemRng)),
            Some(_) => Err(Fault::Data(format!(
                "the secrets of this store are sealed, and their key, {FILE}, is not in {shown}: \
                 put it back, or name it with secrets_key_file"
            ))),
        };
    };
    match check {
        None => match keys.find(|(key, _)| *key != first) {
            None => Ok(first.clone()),
            Some((_, other)) => Err(Fault::Data(format!(
                "{} and {} hold different keys: remove the one that is wrong",
                at.join(FILE).display(),
                other.join(FILE).display()
            ))),
        },
        Some(check) => found.iter().flatten().find(|key| check.fits(key)).cloned().ok_or_else(|| {
            Fault::Data(format!(
                "{FILE} in {shown} is not the key that the secrets of this store are sealed with: \
                 put that one back, or name it with secrets_key_file"
            ))
        }),
    }
}

/// The key in the file that the settings name; made there if nothing is sealed yet.
fn in_file(path: &Path, sealed: bool) -> Result<SecretKey, Fault> {
    match read_file(path)? {
        Some(key) if sealed => Ok(key),
        // The start that made it may have ended before its name was durable.
        Some(key) => {
            sync_dir_of(path).map_err(|e| private_file::fault(path, e))?;
            Ok(key)
        }
        None if sealed => Err(private_file::fault(
            path,
            "it is not there, and the secrets of this store are sealed with the key in it",
        )),
        None => {
            let key = SecretKey::random(&SystemRng);
            create(path, &key).map_err(|e| private_file::fault(path, e))?;
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
    sync_dir_of(path)
}

/// Makes the name of a file durable.
fn sync_dir_of(path: &Path) -> std::io::Result<()> {
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

/// What the file of each directory says, if there is one.
fn read(dirs: &[PathBuf]) -> Result<Vec<Option<SecretKey>>, Fault> {
    dirs.iter().map(|dir| read_file(&dir.join(FILE))).collect()
}

fn read_file(path: &Path) -> Result<Option<SecretKey>, Fault> {
    let Some(text) = private_file::read(path)? else {
        return Ok(None);
    };
    let key = parse(&text).ok_or("it does not hold a key of 64 hexadecimal digits");
    key.map(Some).map_err(|what| private_file::fault(path, what))
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

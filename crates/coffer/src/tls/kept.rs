//! Small files that are the same in every drive directory, and outlive the loss of some.

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use coffer_base::drive::{Access, Drive};

use crate::store::HeldDrive;

const FILE_BYTES_MAX: u64 = 1 << 20;

/// The drive directories.
pub struct Drives(Vec<(PathBuf, Arc<dyn Drive>)>);

impl Drives {
    /// Those that this process holds.
    pub fn of(held: &[HeldDrive]) -> Drives {
        let each = held.iter().map(|h| (h.path.clone(), h.drive.clone() as Arc<dyn Drive>));
        Drives(each.collect())
    }

    /// The path of the file `name` in the first directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0[0].0.join(name)
    }

    /// The texts of the file `name`, where it is there and readable.
    pub fn read(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (path, _) in &self.0 {
            let path = path.join(name);
            match read(&path) {
                Ok(Some(text)) => found.push(text),
                Ok(None) => {}
                Err(error) => tracing::warn!("{}: {error}", path.display()),
            }
        }
        found
    }

    /// Whether each directory has the file with just this text.
    pub fn has_everywhere(&self, name: &str, text: &str) -> bool {
        let has =
            |path: &PathBuf| matches!(read(&path.join(name)), Ok(Some(found)) if found == text);
        self.0.iter().all(|(path, _)| has(path))
    }

    /// Writes the file to each directory, whole or not at all; an error if none took it.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let mut failure = None;
        let mut took = 0;
        for (path, drive) in &self.0 {
            match write(&**drive, name, text) {
                Ok(()) => took += 1,
                Err(error) => {
                    tracing::warn!("{}: {error}", path.join(name).display());
                    failure = Some(error);
                }
            }
        }
        match failure {
            Some(error) if took == 0 => Err(error),
            _ => Ok(()),
        }
    }
}

fn read(path: &std::path::Path) -> io::Result<Option<String>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Durable on return, with mode 0600.
fn write(drive: &dyn Drive, name: &str, text: &str) -> io::Result<()> {
    let new = format!("{name}.new");
    match drive.remove(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = drive.create(&new, Access::Buffered)?;
    file.write_at(text.as_bytes(), 0, false)?;
    file.sync()?;
    drive.rename(&new, name)?;
    drive.sync_dir()
}

/// The first line of a kept certificate says whom it is for.
const FOR: &str = "# for: ";

/// The text of a kept pair: names, key and chain in one file, so that they are replaced together.
pub fn pair_text(names: &[String], chain: &str, key: &str) -> String {
    format!("{FOR}{}\n{key}{chain}", names.join(" "))
}

/// Whom the pair in `text` is for.
pub fn names_of(text: &str) -> Vec<String> {
    let first = text.lines().next().and_then(|line| line.strip_prefix(FOR));
    first.unwrap_or("").split_whitespace().map(str::to_owned).collect()
}

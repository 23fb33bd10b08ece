//! Root's access key and secret.
//!
//! They come from the settings, both or neither; else from `credentials.toml` (mode 0600), of
//! which every drive directory has the same copy; else they are made at random and written
//! there. There is no default. Removing the file from all directories makes new ones at the
//! next start.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use coffer_base::Rng;
use coffer_base::drive::{Access, Drive};
use toml::de::{DeTable, DeValue};

use crate::fault::Fault;
use crate::private_file;
use crate::settings::{Origin, Settings, TABLE};

#[cfg(test)]
mod tests;

/// The file in each drive directory.
pub const FILE: &str = "credentials.toml";
/// Its name until it is whole.
pub const FILE_NEW: &str = "credentials.toml.new";

const ACCESS_KEY_CHARS_MIN: usize = 3;
const SECRET_KEY_CHARS_MIN: usize = 8;
const KEY_CHARS_MAX: usize = 128;

/// A key pair.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Public: it travels with each request.
    pub access_key: String,
    /// Never printed but once, never logged.
    pub secret_key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl Credentials {
    /// A random pair: 20 capital letters and digits, 40 letters and digits.
    pub fn random(rng: &dyn Rng) -> Credentials {
        const CAPITALS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        const ALL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let text = |letters: &[u8], len: usize| -> String {
            let letter = |_| letters[rng.below(letters.len() as u64) as usize] as char;
            (0..len).map(letter).collect()
        };
        Credentials { access_key: text(CAPITALS, 20), secret_key: text(ALL, 40) }
    }

    fn check(&self) -> Result<(), String> {
        let allowed = |c: char| c.is_ascii_graphic() && !"/,=\"\\".contains(c);
        let chars = self.access_key.chars().count();
        if !(ACCESS_KEY_CHARS_MIN..=KEY_CHARS_MAX).contains(&chars) {
            return Err(format!(
                "the access key has {chars} characters; it needs {ACCESS_KEY_CHARS_MIN} to \
                 {KEY_CHARS_MAX}"
            ));
        }
        if !self.access_key.chars().all(allowed) {
            return Err("the access key may hold visible ASCII except / , = \" \\".to_owned());
        }
        let chars = self.secret_key.chars().count();
        if !(SECRET_KEY_CHARS_MIN..=KEY_CHARS_MAX).contains(&chars) {
            return Err(format!(
                "the secret key has {chars} characters; it needs {SECRET_KEY_CHARS_MIN} to \
                 {KEY_CHARS_MAX}"
            ));
        }
        if !self.secret_key.chars().all(|c| c.is_ascii_graphic()) {
            return Err("the secret key may hold visible ASCII only".to_owned());
        }
        Ok(())
    }

    fn to_file(&self) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let mut out = String::from(
            "# Root's keys of this store, the same in each of its directories. Whoever reads\n\
             # them can do everything. Remove all copies to get new ones at the next start.\n",
        );
        let _ = writeln!(out, "access_key = {}", quoted(&self.access_key));
        let _ = writeln!(out, "secret_key = {}", quoted(&self.secret_key));
        out
    }

    fn parse(text: &str) -> Result<Credentials, String> {
        let table = DeTable::parse(text).map_err(|e| e.message().replace('\n', " "))?;
        let (mut access_key, mut secret_key) = (None, None);
        for (key, value) in table.get_ref() {
            let name: &str = key.get_ref();
            let slot = match name {
                "access_key" => &mut access_key,
                "secret_key" => &mut secret_key,
                _ => return Err(format!("it has a key {name:?} that means nothing")),
            };
            match value.get_ref() {
                DeValue::String(text) => *slot = Some(text.to_string()),
                _ => return Err(format!("{name} is not a text")),
            }
        }
        let credentials = Credentials {
            access_key: access_key.ok_or("it has no access_key")?,
            secret_key: secret_key.ok_or("it has no secret_key")?,
        };
        credentials.check()?;
        Ok(credentials)
    }
}

/// Where root's keys are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The settings said them, in the place given.
    Settings(Origin),
    /// This file.
    File(PathBuf),
    /// This file, made just now.
    Made(PathBuf),
}

/// The pair that the settings say, if they say one; both or neither.
pub fn from_settings(settings: &Settings) -> Result<Option<(Credentials, Origin)>, Fault> {
    match (&settings.root_access_key, &settings.root_secret_key) {
        (None, None) => Ok(None),
        (Some(access_key), Some(secret_key)) => {
            let credentials =
                Credentials { access_key: access_key.clone(), secret_key: secret_key.clone() };
            credentials.check().map_err(Fault::Usage)?;
            let at = TABLE.iter().position(|s| s.key == "root_secret_key");
            let at = at.expect("the setting is in the table");
            Ok(Some((credentials, settings.effective[at].origin.clone())))
        }
        (Some(_), None) => Err(Fault::Usage(
            "root_access_key is set without root_secret_key (COFFER_ROOT_SECRET_KEY)".to_owned(),
        )),
        (None, Some(_)) => Err(Fault::Usage(
            "root_secret_key is set without root_access_key (COFFER_ROOT_ACCESS_KEY)".to_owned(),
        )),
    }
}

/// What the files of several directories say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The pair, and the first file that has it.
    pub pair: Option<(Credentials, PathBuf)>,
    /// Which directories have no file.
    pub lacking: Vec<usize>,
    /// A file that has another pair. Where directories belong to different stores, the log says
    /// that better.
    pub other: Option<PathBuf>,
}

/// Reads the files of `dirs`.
pub fn read(dirs: &[PathBuf]) -> Result<Found, Fault> {
    let mut found = Found::default();
    for (i, dir) in dirs.iter().enumerate() {
        let path = dir.join(FILE);
        match (read_file(&path)?, &found.pair) {
            (None, _) => found.lacking.push(i),
            (Some(credentials), None) => found.pair = Some((credentials, path)),
            (Some(credentials), Some((first, _))) if credentials == *first => {}
            (Some(_), Some(_)) => found.other = Some(path),
        }
    }
    Ok(found)
}

impl Found {
    /// Refuses directories that disagree.
    pub fn check(&self) -> Result<(), Fault> {
        match (&self.pair, &self.other) {
            (Some((_, first)), Some(other)) => Err(Fault::Data(format!(
                "{} and {} hold different keys: remove the one that is wrong",
                first.display(),
                other.display()
            ))),
            _ => Ok(()),
        }
    }
}

fn read_file(path: &Path) -> Result<Option<Credentials>, Fault> {
    match private_file::read(path)? {
        Some(text) => {
            Credentials::parse(&text).map(Some).map_err(|what| private_file::fault(path, what))
        }
        None => Ok(None),
    }
}

/// Writes the file of one drive: whole or not at all, durable on return.
pub fn write(drive: &dyn Drive, credentials: &Credentials) -> std::io::Result<()> {
    match drive.remove(FILE_NEW) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = drive.create(FILE_NEW, Access::Buffered)?;
    file.write_at(credentials.to_file().as_bytes(), 0, false)?;
    file.sync()?;
    coffer_base::failpoint::pass("credentials.written");
    drive.rename(FILE_NEW, FILE)?;
    coffer_base::failpoint::pass("credentials.renamed");
    drive.sync_dir()?;
    coffer_base::failpoint::pass("credentials.done");
    Ok(())
}

//! Remembering that damage was met, so that the next opening rebuilds the index.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::{io_error, tree_error};
use crate::engine::EngineError;

/// The first damage that a reader or a background thread met. It stays for as long as the engine
/// is open, and in a marker file beyond that.
pub(super) struct Damage {
    dir: PathBuf,
    first: Mutex<Option<String>>,
}

impl Damage {
    /// Nothing met yet, in an index that has no marker; [`EngineError::Damaged`] if it has one.
    pub(super) fn none(dir: &Path) -> Result<Self, EngineError> {
        let marker = marker(dir);
        if marker.try_exists().map_err(|e| io_error(&marker, &e))? {
            return Err(EngineError::Damaged("damage was found while it was in use".into()));
        }
        Ok(Self { dir: dir.to_owned(), first: Mutex::new(None) })
    }

    /// Fails if damage was met.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        match &*self.first.lock().expect("no holder panics") {
            Some(what) => Err(EngineError::Damaged(what.clone())),
            None => Ok(()),
        }
    }

    /// Turns an error of the tree into ours, and remembers damage.
    pub(super) fn fault(&self, error: lsm_tree::Error) -> EngineError {
        let error = tree_error(error);
        if let EngineError::Damaged(what) = &error {
            self.remember(what);
        }
        error
    }

    pub(super) fn remember(&self, what: &str) {
        let mut first = self.first.lock().expect("no holder panics");
        if first.is_some() {
            return;
        }
        *first = Some(what.to_owned());
        tracing::error!(
            index = %self.dir.display(),
            "the index is damaged and has to be made again from the log: {what}"
        );
        let marker = marker(&self.dir);
        if let Err(e) = fs::write(&marker, what).and_then(|()| File::open(&marker)?.sync_all()) {
            tracing::error!("can't write {}: {e}", marker.display());
        }
    }

    /// Forgets all, after the index was made anew.
    pub(super) fn forget(&self) {
        *self.first.lock().expect("no holder panics") = None;
    }
}

/// Removes the marker of an index that was wiped.
pub(super) fn remove_marker(dir: &Path) -> Result<(), EngineError> {
    let marker = marker(dir);
    match fs::remove_file(&marker) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error(&marker, &e)),
        _ => Ok(()),
    }
}

fn marker(dir: &Path) -> PathBuf {
    dir.join("DAMAGED")
}

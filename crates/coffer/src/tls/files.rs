//! A certificate and a key in files that somebody else writes: read again when they change, and on
//! SIGHUP.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use coffer_http::Certificate;
use tokio::signal::unix::{SignalKind, signal};

use super::Shown;
use super::plan::shown as path_shown;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a pair is; both may be the same file.
#[derive(Clone, Debug)]
pub struct Files {
    /// The chain, PEM.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Files {
    /// For messages.
    pub fn name(&self) -> String {
        format!("file {}", path_shown(&self.cert))
    }

    /// Reads the pair; the error says which file is wrong.
    pub fn load(&self) -> Result<Certificate, String> {
        let chain = read(&self.cert)?;
        let key = read(&self.key)?;
        Certificate::from_pem(&chain, &key)
            .map_err(|e| format!("{} and {}: {e}", path_shown(&self.cert), path_shown(&self.key)))
    }

    /// `None` where there is no file.
    fn stamps(&self) -> [Option<Stamp>; 2] {
        [&self.cert, &self.key].map(|path| {
            let meta = std::fs::metadata(path).ok()?;
            Some(Stamp {
                device: meta.dev(),
                inode: meta.ino(),
                bytes: meta.len(),
                modified: (meta.mtime(), meta.mtime_nsec()),
            })
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |what: String| format!("{}: {what}", path.display());
    let meta = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?;
    if !meta.is_file() {
        return Err(wrong("it is not a file".to_owned()));
    }
    if meta.len() > FILE_BYTES_MAX {
        return Err(wrong(format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    std::fs::read(path).map_err(|e| wrong(e.to_string()))
}

/// Shows the pair anew whenever the files have changed and then kept still for one look, since a
/// certificate and its key are rarely replaced in one moment; on SIGHUP at once.
pub(super) async fn watch(files: Files, shown: Arc<Shown>) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            tracing::error!(%error, "SIGHUP can't be waited for: certificates are not reloaded");
            return;
        }
    };
    let mut taken = files.stamps();
    let mut last = taken;
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        let now = files.stamps();
        let settled = now == last;
        last = now;
        if !asked && (now == taken || !settled) {
            continue;
        }
        taken = now;
        match files.load() {
            Ok(certificate) => shown.take(certificate),
            Err(why) => shown.refuse(why),
        }
    }
}

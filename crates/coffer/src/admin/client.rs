//! Asking a running server over its socket: one JSON object a line each way.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::explain::Question;

/// The socket in each data directory: any of them may be the one that is left.
pub const SOCKET: &str = "admin.sock";

/// Longest line either way.
pub const LINE_BYTES_MAX: u64 = 16 << 20;

/// What can be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// The report of `coffer status`.
    Status,
    /// Asks for a pass over all that the drives hold; answered with its number.
    Scrub {
        /// How fast, in MiB a second; 0: as it can.
        mib_per_sec: u64,
    },
    /// What scrubbing does now.
    ScrubState,
    /// Adds a user.
    UserAdd {
        /// The user's name.
        name: String,
        /// Name of a canned policy, or a policy document.
        policy: String,
    },
    /// Lists the users.
    UserList,
    /// Lets a user in again.
    UserEnable {
        /// The user's name.
        name: String,
    },
    /// Refuses a user's requests from now on.
    UserDisable {
        /// The user's name.
        name: String,
    },
    /// Removes a user and its keys.
    UserRemove {
        /// The user's name.
        name: String,
    },
    /// Adds an account.
    AccountAdd {
        /// Its name.
        name: String,
    },
    /// Lists the accounts.
    AccountList,
    /// Removes an account that has nothing.
    AccountRemove {
        /// Its name or number.
        name: String,
    },
    /// Asks whether a request would be allowed, and why.
    IamExplain {
        /// The request.
        question: Question,
    },
}

/// What is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// What was asked for.
    Ok(serde_json::Value),
    /// Why not, in one line.
    Error(String),
}

/// A path of at most 107 bytes, as a socket needs, for `dir`/[`SOCKET`]; through the open
/// directory if its own path is too long.
pub struct SocketPath {
    path: PathBuf,
    _dir: Option<OwnedFd>,
}

impl SocketPath {
    /// The path in `dir`, which must exist.
    pub fn of(dir: &Path) -> io::Result<SocketPath> {
        let path = dir.join(SOCKET);
        if path.as_os_str().len() < 108 {
            return Ok(SocketPath { path, _dir: None });
        }
        let dir: OwnedFd = std::fs::File::open(dir)?.into();
        let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()));
        Ok(SocketPath { path, _dir: Some(dir) })
    }
}

impl AsRef<Path> for SocketPath {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// A connection to a running server.
pub struct Server {
    stream: BufReader<UnixStream>,
}

/// Connects to the server that runs on one of `dirs`; `None` if none does.
pub fn connect(dirs: &[PathBuf]) -> anyhow::Result<Option<Server>> {
    let mut unusable = None;
    for dir in dirs {
        let wrong = |e: io::Error| anyhow::anyhow!("{}: {e}", dir.join(SOCKET).display());
        let connected = SocketPath::of(dir).and_then(UnixStream::connect);
        match connected {
            Ok(stream) => {
                stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(wrong)?;
                return Ok(Some(Server { stream: BufReader::new(stream) }));
            }
            // Left by a server that was killed.
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {}
            // A drive that fails must not hide what the server says of it on the others.
            Err(e) => {
                unusable.get_or_insert(wrong(e));
            }
        }
    }
    unusable.map_or(Ok(None), Err)
}

impl Server {
    /// Asks and waits for the answer.
    pub fn ask(&mut self, request: &Request) -> anyhow::Result<serde_json::Value> {
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes())?;
        let mut answer = String::new();
        io::Read::take(&mut self.stream, LINE_BYTES_MAX).read_line(&mut answer)?;
        if answer.is_empty() {
            anyhow::bail!("the server ended the connection");
        }
        match serde_json::from_str(&answer)? {
            Reply::Ok(value) => Ok(value),
            Reply::Error(why) => Err(anyhow::anyhow!(why)),
        }
    }
}

#[cfg(test)]
mod tests;

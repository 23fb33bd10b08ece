//! The admin socket: a JSON object a line each way, see [`super::client`].

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Mode;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::client::{Reply, Request, SocketPath};
use super::facts::Facts;
use super::users;

/// Longest request; a policy document fits.
const REQUEST_BYTES_MAX: u64 = 256 << 10;

/// The listening socket; its name goes when it is dropped.
pub struct Socket {
    listener: UnixListener,
    path: SocketPath,
}

impl Socket {
    /// Listens in `dir`, which the caller has locked: a socket found there is a leftover.
    pub fn bind(dir: &Path) -> io::Result<Socket> {
        let path = SocketPath::of(dir)?;
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        // So that it never exists with a wider mode.
        let before = rustix::process::umask(Mode::from_raw_mode(0o177));
        let listener = UnixListener::bind(&path);
        rustix::process::umask(before);
        Ok(Socket { listener: listener?, path })
    }

    /// Answers until the task is dropped.
    pub async fn serve(self, facts: Arc<Facts>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let facts = facts.clone();
                    tokio::spawn(async move {
                        if let Err(error) = talk(stream, &facts).await {
                            tracing::debug!(%error, "a connection to the admin socket broke");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin socket can't accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Its directory may be gone; a leftover is removed at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn talk(stream: UnixStream, facts: &Arc<Facts>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let n = (&mut stream).take(REQUEST_BYTES_MAX).read_until(b'\n', &mut line).await?;
        if n == 0 {
            return Ok(());
        }
        let complete = line.ends_with(b"\n");
        let reply = if complete {
            match serde_json::from_slice::<Request>(&line) {
                Ok(request) => answer(request, facts).await,
                Err(e) => Reply::Error(format!("the request can't be read: {e}")),
            }
        } else {
            Reply::Error(format!("a request is one line of at most {REQUEST_BYTES_MAX} bytes"))
        };
        let mut text = serde_json::to_string(&reply)?;
        text.push('\n');
        stream.get_mut().write_all(text.as_bytes()).await?;
        if !complete {
            return Ok(());
        }
    }
}

async fn answer(request: Request, facts: &Arc<Facts>) -> Reply {
    let result = match request {
        Request::Status => {
            let facts = facts.clone();
            // Asking drives for their space blocks.
            match tokio::task::spawn_blocking(move || facts.report()).await {
                Ok(report) => report.and_then(|r| Ok(serde_json::to_value(r)?)),
                Err(e) => Err(e.into()),
            }
        }
        Request::Scrub { mib_per_sec } => {
            Ok(facts.scrubbing().ask(crate::scrub::pace_bytes(mib_per_sec)).into())
        }
        Request::ScrubState => {
            serde_json::to_value(facts.scrubbing().report()).map_err(anyhow::Error::from)
        }
        other => users::answer(facts.objects(), facts.identity(), other).await,
    };
    match result {
        Ok(value) => Reply::Ok(value),
        Err(error) => Reply::Error(format!("{error:#}")),
    }
}

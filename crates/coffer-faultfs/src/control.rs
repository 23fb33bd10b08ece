//! The control channel: a JSON object a line each way, over a unix socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cut::{self, Cut};
use crate::faults::Rule;
use crate::fuse::Disk;
use crate::journal::Journal;

/// What can be asked.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Request {
    /// The number that the next event gets: `{"number": 17}`.
    Number,
    /// One word for each event from a number on: `{"events": ["create", ...]}`.
    Events {
        #[serde(default)]
        from: usize,
    },
    /// Adds a rule to a drive: `{"rule": 1}`.
    Fault { drive: usize, rule: Rule },
    /// Takes a rule of a drive away, or all: `{}`.
    Clear {
        drive: usize,
        #[serde(default)]
        rule: Option<u64>,
    },
    /// How often rules of a drive applied: `{"applied": 3}`.
    Applied { drive: usize },
    /// Writes what the drives hold after a cut into directories, one a drive.
    Cut {
        at: usize,
        seed: u64,
        #[serde(default)]
        forget_syncs: Option<String>,
        into: Vec<PathBuf>,
    },
}

/// What requests are about.
#[derive(Clone, Debug)]
pub struct Controlled {
    /// The drives.
    pub disks: Vec<Arc<Disk>>,
    /// Their journal.
    pub journal: Arc<Journal>,
}

/// Answers on `path` until the process ends.
pub fn serve(path: &Path, controlled: Controlled) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let controlled = controlled.clone();
            match stream {
                Ok(stream) => {
                    std::thread::spawn(move || {
                        if let Err(error) = talk(stream, &controlled) {
                            eprintln!("coffer-faultfs: a control connection broke: {error}");
                        }
                    });
                }
                Err(error) => {
                    eprintln!("coffer-faultfs: no more control connections: {error}");
                    return;
                }
            }
        }
    });
    Ok(())
}

fn talk(stream: UnixStream, controlled: &Controlled) -> io::Result<()> {
    let mut out = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        let reply = match serde_json::from_str::<Request>(&line?) {
            Ok(request) => controlled.answer(request),
            Err(error) => Err(error.to_string()),
        };
        let reply = reply.unwrap_or_else(|error| json!({ "error": error }));
        out.write_all(format!("{reply}\n").as_bytes())?;
    }
    Ok(())
}

impl Controlled {
    fn answer(&self, request: Request) -> Result<Value, String> {
        let disk = |drive: usize| {
            self.disks.get(drive).ok_or_else(|| format!("there is no drive {drive}"))
        };
        match request {
            Request::Number => Ok(json!({ "number": self.journal.len() })),
            Request::Events { from } => {
                let events = self.journal.events();
                let words: Vec<&str> =
                    events.iter().skip(from).map(|event| event.what.word()).collect();
                Ok(json!({ "events": words }))
            }
            Request::Fault { drive, rule } => Ok(json!({ "rule": disk(drive)?.faults.add(rule)? })),
            Request::Clear { drive, rule } => {
                disk(drive)?.faults.clear(rule);
                Ok(json!({}))
            }
            Request::Applied { drive } => Ok(json!({ "applied": disk(drive)?.faults.applied() })),
            Request::Cut { at, seed, forget_syncs, into } => {
                if into.len() != self.disks.len() {
                    return Err(format!("{} directories are needed", self.disks.len()));
                }
                let events = self.journal.events();
                if at > events.len() {
                    return Err(format!("only {} events happened", events.len()));
                }
                let cut = Cut { at, seed, forget_syncs };
                let found = cut::materialise(&events, &cut, &into).map_err(|e| e.to_string())?;
                serde_json::to_value(found).map_err(|e| e.to_string())
            }
        }
    }
}

//! `coffer-faultfs --control SOCKET [--size-gib N] [--no-journal] MOUNT[=FOLDER]…`: mounts a drive
//! at each `MOUNT`, with the files of `FOLDER` if one is given, says `mounted` and runs until its
//! standard input ends.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use coffer_faultfs::control::{self, Controlled};
use coffer_faultfs::fuse::{Disk, Mounted};
use coffer_faultfs::journal::{Entry, Journal, Kind, ROOT, What};
use coffer_faultfs::tree::Tree;
use fuser::{BackgroundSession, Config, MountOption};

const USAGE: &str =
    "usage: coffer-faultfs --control SOCKET [--size-gib N] [--no-journal] MOUNT[=FOLDER]...";

/// Threads that answer the kernel, for each drive.
const THREADS: usize = 4;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coffer-faultfs: {error:#}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    control: PathBuf,
    size_gib: u64,
    keeps_journal: bool,
    mounts: Vec<(PathBuf, Option<PathBuf>)>,
}

fn arguments() -> Result<Arguments> {
    let mut control = None;
    let mut parsed =
        Arguments { control: PathBuf::new(), size_gib: 64, keeps_journal: true, mounts: vec![] };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--control" => control = Some(PathBuf::from(given.next().context(USAGE)?)),
            "--size-gib" => {
                let text = given.next().context(USAGE)?;
                parsed.size_gib = text.parse().with_context(|| format!("--size-gib {text}"))?;
            }
            "--no-journal" => parsed.keeps_journal = false,
            flag if flag.starts_with('-') => bail!("there is no {flag}\n{USAGE}"),
            mount => parsed.mounts.push(match mount.split_once('=') {
                Some((at, folder)) => (at.into(), Some(folder.into())),
                None => (mount.into(), None),
            }),
        }
    }
    parsed.control = control.context(USAGE)?;
    if parsed.mounts.is_empty() {
        bail!(USAGE);
    }
    Ok(parsed)
}

fn run() -> Result<()> {
    let arguments = arguments()?;
    let journal = Arc::new(Journal::new(arguments.keeps_journal));
    let mut disks = Vec::new();
    for (number, (_, folder)) in arguments.mounts.iter().enumerate() {
        let tree = match folder {
            Some(folder) => {
                Tree::load(folder).with_context(|| format!("can't read {}", folder.display()))?
            }
            None => Tree::default(),
        };
        note_as_durable(number, &tree, &journal);
        let size = arguments.size_gib << 30;
        disks.push(Arc::new(Disk::new(number, size, tree, journal.clone())));
    }
    let mut sessions = Vec::new();
    for ((at, _), disk) in arguments.mounts.iter().zip(&disks) {
        let session = mount(at, disk).with_context(|| format!("can't mount {}", at.display()));
        match session {
            Ok(session) => sessions.push((at, session)),
            Err(error) => {
                unmount(sessions);
                return Err(error);
            }
        }
    }
    let controlled = Controlled { disks: disks.clone(), journal };
    let served = control::serve(&arguments.control, controlled)
        .with_context(|| format!("can't listen on {}", arguments.control.display()));
    let ended = served.and_then(|()| {
        println!("mounted");
        // Whoever started this holds the other end, also when it is killed.
        io::stdin().read_to_end(&mut Vec::new()).context("can't wait for the end")
    });
    for disk in &disks {
        disk.faults.clear(None);
    }
    unmount(sessions);
    ended.map(drop)
}

/// What a drive begins with was made durable long ago.
fn note_as_durable(drive: usize, tree: &Tree, journal: &Journal) {
    for (ino, node) in tree.nodes().filter(|(ino, _)| *ino != ROOT) {
        let at = Entry { dir: node.above, name: node.name.clone() };
        journal.push(drive, journal.len(), What::Create { at, ino, kind: node.kind });
        if node.kind == Kind::File {
            let data = node.data.as_slice().into();
            journal.push(drive, journal.len(), What::Write { ino, offset: 0, data, durable: true });
            journal.push(drive, journal.len(), What::Sync { ino, good: true });
        }
    }
    for (ino, _) in tree.nodes().filter(|(_, node)| node.kind == Kind::Dir) {
        journal.push(drive, journal.len(), What::SyncDir { dir: ino });
    }
}

fn mount(at: &Path, disk: &Arc<Disk>) -> io::Result<BackgroundSession> {
    let mut config = Config::default();
    config.n_threads = Some(THREADS);
    config.mount_options = vec![MountOption::FSName("coffer-faultfs".into())];
    fuser::spawn_mount(Mounted(disk.clone()), at, &config)
}

fn unmount(sessions: Vec<(&PathBuf, BackgroundSession)>) {
    for (at, session) in sessions {
        // Also while a process still has files open there; it gets errors from then on.
        if let Err(error) = rustix::mount::unmount(at, rustix::mount::UnmountFlags::DETACH) {
            eprintln!("coffer-faultfs: can't unmount {}: {error}", at.display());
        }
        drop(session);
    }
}

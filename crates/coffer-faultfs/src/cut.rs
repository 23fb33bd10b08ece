//! What drives hold after their power was cut at some event of the journal.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use coffer_base::rng::{Rng, SeededRng};
use serde::Serialize;

use crate::journal::{Entry, Event, Ino, Kind, ROOT, What};
use crate::names::Names;
use crate::page::{PagedFile, SECTOR};

/// Only so many events after a cut are looked at: as many requests are not open at once.
const UNDER_WAY_MAX: usize = 256;

/// Where the power is cut, and how chance then decides.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The events before this number happened. Those from it on that had been asked for by then
    /// were under way: done, and not durable.
    pub at: usize,
    /// Decides about all that was not durable.
    pub seed: u64,
    /// Syncs of files and directories with this in their names do nothing (`*`: all do nothing): a
    /// planted fault, which a campaign must notice.
    pub forget_syncs: Option<String>,
}

/// What a cut found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Writes that no sync had made durable.
    pub open_writes: u64,
    /// Changes of names that no sync had made durable.
    pub open_names: u64,
    /// Files that are left.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How a drive treats what was not durable; drawn anew for each drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// All is lost.
    Loses,
    /// All is there, as after the end of the process alone.
    Keeps,
    /// Each file is either.
    ByFile,
    /// Each write is either, later ones perhaps without earlier ones.
    ByWrite,
    /// Each sector is either.
    BySector,
}

const MOODS: [Mood; 5] = [Mood::Loses, Mood::Keeps, Mood::ByFile, Mood::ByWrite, Mood::BySector];

/// Writes what drives hold after `cut` into new directories, one a drive.
pub fn materialise(events: &[Event], cut: &Cut, into: &[PathBuf]) -> io::Result<Found> {
    let (events, later) = events.split_at(cut.at.min(events.len()));
    let dice = SeededRng::new(cut.seed);
    let mut found = Found::default();
    for (number, folder) in into.iter().enumerate() {
        let mut drive = Drive::new(&dice);
        let synced = Synced::of(events, number, cut.forget_syncs.as_deref());
        for (index, event) in as_it_counts(events, number) {
            drive.happen(index, &event.what, &synced, &dice);
        }
        let later = later.iter().take(UNDER_WAY_MAX).enumerate();
        for (i, event) in later.filter(|(_, e)| e.drive == number && e.arrived <= events.len()) {
            if let Some(what) = under_way(&event.what) {
                drive.happen(events.len() + i, &what, &synced, &dice);
            }
        }
        drive.cut(folder, &dice, &mut found)?;
    }
    Ok(found)
}

/// The events of a drive, syncs where they were asked for: a write that came later may have missed
/// them.
fn as_it_counts(events: &[Event], drive: usize) -> Vec<(usize, &Event)> {
    let mut list: Vec<_> = events.iter().enumerate().filter(|(_, e)| e.drive == drive).collect();
    list.sort_by_key(|(index, event)| match event.what {
        What::Sync { .. } | What::SyncDir { .. } => (event.arrived.min(*index), 0),
        _ => (*index, 1),
    });
    list
}

/// What an event is when the power goes before it was answered.
fn under_way(what: &What) -> Option<What> {
    match what {
        What::Sync { .. } | What::SyncDir { .. } => None,
        What::Write { ino, offset, data, .. } => {
            Some(What::Write { ino: *ino, offset: *offset, data: data.clone(), durable: false })
        }
        other => Some(other.clone()),
    }
}

/// Which syncs count, and the last good one of each file.
struct Synced {
    last: HashMap<Ino, usize>,
    failed: HashSet<Ino>,
    forgotten: HashSet<usize>,
}

impl Synced {
    fn of(events: &[Event], drive: usize, forget: Option<&str>) -> Synced {
        let mut synced =
            Synced { last: HashMap::new(), failed: HashSet::new(), forgotten: HashSet::new() };
        let mut names: HashMap<Ino, OsString> = HashMap::new();
        let mut at: HashMap<Entry, Ino> = HashMap::new();
        for (index, event) in events.iter().enumerate().filter(|(_, e)| e.drive == drive) {
            let is_forgotten = |names: &HashMap<Ino, OsString>, ino: &Ino| match forget {
                None => false,
                Some("*") => true,
                Some(part) => {
                    names.get(ino).is_some_and(|name| name.to_string_lossy().contains(part))
                }
            };
            match &event.what {
                What::Create { at: entry, ino, .. } => {
                    names.insert(*ino, entry.name.clone());
                    at.insert(entry.clone(), *ino);
                }
                What::Rename { from, to } => {
                    if let Some(ino) = at.remove(from) {
                        names.insert(ino, to.name.clone());
                        at.insert(to.clone(), ino);
                    }
                }
                What::Sync { ino, .. }
                | What::SyncDir { dir: ino }
                | What::Write { ino, durable: true, .. }
                    if is_forgotten(&names, ino) =>
                {
                    synced.forgotten.insert(index);
                }
                What::Sync { ino, good: true } => {
                    let last = synced.last.entry(*ino).or_default();
                    *last = (*last).max(event.arrived.min(index));
                }
                What::Sync { ino, good: false } => {
                    synced.failed.insert(*ino);
                }
                _ => {}
            }
        }
        synced
    }

    /// Whether a later sync makes what happens to `ino` now durable in any case.
    fn covers(&self, ino: Ino, index: usize) -> bool {
        self.last.get(&ino).is_some_and(|asked_for| index < *asked_for)
            && !self.failed.contains(&ino)
    }
}

struct Drive {
    mood: Mood,
    names: Names,
    kinds: HashMap<Ino, Kind>,
    files: HashMap<Ino, PagedFile>,
    /// Files that keep what is open, where that goes by file.
    keeps: HashMap<Ino, bool>,
    open_writes: u64,
}

fn is_heads(dice: &SeededRng) -> bool {
    dice.below(2) == 0
}

impl Drive {
    fn new(dice: &SeededRng) -> Drive {
        Drive {
            mood: MOODS[dice.below(MOODS.len() as u64) as usize],
            names: Names::default(),
            kinds: HashMap::new(),
            files: HashMap::new(),
            keeps: HashMap::new(),
            open_writes: 0,
        }
    }

    fn happen(&mut self, index: usize, what: &What, synced: &Synced, dice: &SeededRng) {
        let is_forgotten = synced.forgotten.contains(&index);
        match what {
            What::Create { at, ino, kind } => {
                self.names.set(at.clone(), *ino);
                self.kinds.insert(*ino, *kind);
            }
            What::Remove { at } => self.names.remove(at.clone()),
            What::Rename { from, to } => {
                self.names.rename(from.clone(), to.clone());
            }
            What::SyncDir { dir } if !is_forgotten => self.names.sync(*dir),
            What::Sync { ino, good } if !is_forgotten => match good {
                true => self.file(*ino).sync(),
                false => self.file(*ino).fail_sync(),
            },
            What::SyncDir { .. } | What::Sync { .. } => {}
            What::Write { ino, offset, data, durable } => {
                let offset = *offset as usize;
                if *durable && !is_forgotten || synced.covers(*ino, index) {
                    self.file(*ino).write_durably(offset, data);
                } else {
                    self.open_writes += 1;
                    self.file(*ino).write(offset, data);
                    self.write_some_back(*ino, offset, data.len(), dice);
                }
            }
            What::SetLen { ino, len } => {
                self.file(*ino).set_len(*len as usize);
                let is_written_back = match self.mood {
                    Mood::Loses => synced.covers(*ino, index),
                    Mood::Keeps => true,
                    Mood::ByFile => self.keeps(*ino, dice),
                    Mood::ByWrite | Mood::BySector => is_heads(dice),
                };
                if is_written_back {
                    self.file(*ino).write_back_len();
                }
            }
        }
    }

    fn file(&mut self, ino: Ino) -> &mut PagedFile {
        self.files.entry(ino).or_default()
    }

    fn keeps(&mut self, ino: Ino, dice: &SeededRng) -> bool {
        *self.keeps.entry(ino).or_insert_with(|| is_heads(dice))
    }

    /// The kernel writes back when it likes: perhaps now, while a later write is still to come.
    fn write_some_back(&mut self, ino: Ino, offset: usize, len: usize, dice: &SeededRng) {
        let sectors: Vec<usize> = (offset / SECTOR..(offset + len).div_ceil(SECTOR)).collect();
        let chosen: Vec<usize> = match self.mood {
            Mood::ByWrite if is_heads(dice) => sectors,
            Mood::BySector => torn(&sectors, dice),
            _ => return,
        };
        let file = self.file(ino);
        for sector in chosen {
            file.write_back(sector);
        }
        if is_heads(dice) {
            file.write_back_len();
        }
    }

    /// Decides about what is still open, and writes what is left into `folder`.
    fn cut(mut self, folder: &Path, dice: &SeededRng, found: &mut Found) -> io::Result<()> {
        let mut inos: Vec<Ino> = self.files.keys().copied().collect();
        inos.sort_unstable();
        for ino in inos {
            let keeps = match self.mood {
                Mood::Loses | Mood::ByWrite => false,
                Mood::Keeps => true,
                Mood::ByFile => self.keeps(ino, dice),
                Mood::BySector => {
                    let file = self.file(ino);
                    for sector in torn(&file.dirty(), dice) {
                        file.write_back(sector);
                    }
                    if file.len_is_dirty() && is_heads(dice) {
                        file.write_back_len();
                    }
                    false
                }
            };
            if keeps {
                self.file(ino).sync();
            }
        }
        found.open_writes += self.open_writes;
        let waiting = self.names.waiting();
        found.open_names += waiting as u64;
        // A journal keeps names in order; a file system without one promises nothing.
        let draw = dice.below(4);
        let until = dice.below(waiting as u64 + 1) as usize;
        let names = self.names.after_cut(|number| match draw {
            0 => false,
            1 => true,
            2 => number < until,
            _ => is_heads(dice),
        });
        fs::create_dir_all(folder)?;
        write_dir(ROOT, folder, &names, &self.kinds, &self.files, found)
    }
}

/// Some of the sectors: a run from the start, a run to the end, or any.
fn torn(sectors: &[usize], dice: &SeededRng) -> Vec<usize> {
    let at = dice.below(sectors.len() as u64 + 1) as usize;
    match dice.below(3) {
        0 => sectors[..at].to_vec(),
        1 => sectors[at..].to_vec(),
        _ => sectors.iter().copied().filter(|_| is_heads(dice)).collect(),
    }
}

fn write_dir(
    dir: Ino,
    folder: &Path,
    names: &BTreeMap<Entry, Ino>,
    kinds: &HashMap<Ino, Kind>,
    files: &HashMap<Ino, PagedFile>,
    found: &mut Found,
) -> io::Result<()> {
    for (at, ino) in names.range(Entry { dir, name: OsString::new() }..) {
        if at.dir != dir {
            break;
        }
        let path = folder.join(&at.name);
        match kinds.get(ino) {
            Some(Kind::Dir) => {
                fs::create_dir(&path)?;
                write_dir(*ino, &path, names, kinds, files, found)?;
            }
            Some(Kind::File) => {
                let bytes = files.get(ino).map(PagedFile::after_cut).unwrap_or_default();
                // Modes are not recorded: a store's files are their owner's alone.
                let mut file = File::options();
                file.write(true).create_new(true).mode(0o600).open(&path)?.write_all(&bytes)?;
                found.files += 1;
                found.bytes += bytes.len() as u64;
            }
            // A socket means nothing without its process.
            Some(Kind::Socket) | None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

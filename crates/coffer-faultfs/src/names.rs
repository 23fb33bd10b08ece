//! The names of one drive between the page cache and the platter.

use std::collections::BTreeMap;

use crate::journal::{Entry, Ino};

/// A change of names that is not durable yet.
#[derive(Clone, Debug)]
enum Change {
    Set { at: Entry, ino: Ino },
    Remove { at: Entry, ino: Ino },
    Move { from: Entry, to: Entry, ino: Ino },
}

impl Change {
    fn touches(&self, dir: Ino) -> bool {
        match self {
            Change::Set { at, .. } | Change::Remove { at, .. } => at.dir == dir,
            Change::Move { from, to, .. } => from.dir == dir || to.dir == dir,
        }
    }
}

/// All names of a drive.
#[derive(Clone, Debug, Default)]
pub struct Names {
    seen: BTreeMap<Entry, Ino>,
    platter: BTreeMap<Entry, Ino>,
    waiting: Vec<Change>,
}

impl Names {
    /// A new name.
    pub fn set(&mut self, at: Entry, ino: Ino) {
        self.seen.insert(at.clone(), ino);
        self.waiting.push(Change::Set { at, ino });
    }

    /// A name that is taken away.
    pub fn remove(&mut self, at: Entry) {
        if let Some(ino) = self.seen.remove(&at) {
            self.waiting.push(Change::Remove { at, ino });
        }
    }

    /// A name that moves; its inode.
    pub fn rename(&mut self, from: Entry, to: Entry) -> Option<Ino> {
        let ino = self.seen.remove(&from)?;
        self.seen.insert(to.clone(), ino);
        self.waiting.push(Change::Move { from, to, ino });
        Some(ino)
    }

    /// A sync of a directory: all changes in it are durable.
    pub fn sync(&mut self, dir: Ino) {
        let (now, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|change| change.touches(dir));
        self.waiting = later;
        for change in now {
            if let Change::Move { from, ino, .. } = &change {
                // A name that moved on must not come back when its own directory is synced.
                let (from, ino) = (from.clone(), *ino);
                self.waiting.retain(
                    |other| !matches!(other, Change::Set { at, ino: i } if *at == from && *i == ino),
                );
            }
            self.apply(&change);
        }
    }

    /// How many changes wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Ends with those of the waiting changes for which `kept`, given their number, says so.
    pub fn after_cut(mut self, mut kept: impl FnMut(usize) -> bool) -> BTreeMap<Entry, Ino> {
        for (number, change) in std::mem::take(&mut self.waiting).iter().enumerate() {
            if kept(number) {
                self.apply(change);
            }
        }
        self.platter
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Set { at, ino } => {
                self.platter.insert(at.clone(), *ino);
            }
            Change::Remove { at, ino } => self.take(at, *ino),
            Change::Move { from, to, ino } => {
                self.take(from, *ino);
                self.platter.insert(to.clone(), *ino);
            }
        }
    }

    fn take(&mut self, at: &Entry, ino: Ino) {
        if self.platter.get(at) == Some(&ino) {
            self.platter.remove(at);
        }
    }
}

#[cfg(test)]
mod tests;

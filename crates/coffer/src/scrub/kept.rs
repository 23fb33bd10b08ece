//! What is kept of scrubbing over a restart: how far a pass in the background is, and when the
//! last whole one ended. Beside the index; when it is lost, or damaged, the pass begins anew.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use coffer_base::drive::DriveQueue;
use coffer_base::drive::queue::{Patience, Work};
use coffer_base::{SegmentId, StoreId, Timestamp};
use serde::{Deserialize, Serialize};

/// The file, and the one that takes its place.
const NAME: &str = "scrub.json";
const NEW: &str = "scrub.json.new";

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Milliseconds since the Unix epoch.
    last_full: Option<u64>,
    reached: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    store: String,
    #[serde(flatten)]
    kept: Kept,
}

impl Kept {
    /// When the last pass over everything ended.
    pub fn last_full(&self) -> Option<Timestamp> {
        self.last_full.map(Timestamp)
    }

    /// The last segment that the pass in the background has looked at.
    pub fn reached(&self) -> Option<SegmentId> {
        self.reached.map(SegmentId)
    }

    /// A pass in the background has come so far.
    pub fn reach(&mut self, segment: SegmentId) {
        self.reached = Some(segment.0);
    }

    /// Everything was looked at.
    pub fn ended(&mut self, now: Timestamp) {
        *self = Kept { last_full: Some(now.0), reached: None };
    }
}

/// Where it is kept.
pub struct Keeper {
    dir: PathBuf,
    /// Of the drive that the directory is on: no call there is made without it.
    queue: DriveQueue,
    store: StoreId,
}

impl Keeper {
    /// In `dir`, which is on the drive of `queue`.
    pub fn new(dir: PathBuf, queue: DriveQueue, store: StoreId) -> Keeper {
        Keeper { dir, queue, store }
    }

    fn on_drive<R: Send + 'static>(
        &self,
        work: impl Fn(PathBuf) -> io::Result<R> + Clone + Send + 'static,
    ) -> io::Result<R> {
        let asked = vec![(self.queue.clone(), self.dir.clone())];
        let answer = DriveQueue::each(asked, Work::Look, Patience::Full, work).pop();
        answer.unwrap_or_else(|| Err(io::Error::other("the drive was not asked")))
    }

    /// What is kept; nothing when it is not there, is damaged, or is of another store.
    pub fn read(&self) -> Kept {
        let read = self.on_drive(|dir| std::fs::read(dir.join(NAME)));
        let stored = read.ok().and_then(|text| serde_json::from_slice::<Stored>(&text).ok());
        let ours = stored.filter(|stored| stored.store == self.store.to_string());
        ours.map(|stored| stored.kept).unwrap_or_default()
    }

    /// Keeps it; a crash leaves what was kept before.
    pub fn write(&self, kept: Kept) {
        let stored = Stored { store: self.store.to_string(), kept };
        let written = serde_json::to_vec(&stored)
            .map_err(io::Error::other)
            .and_then(|text| self.on_drive(move |dir| replace(&dir, &text)));
        if let Err(error) = written {
            tracing::warn!(%error, "how far the scrub is can't be kept; it begins anew after a restart");
        }
    }
}

fn replace(dir: &Path, text: &[u8]) -> io::Result<()> {
    let new = dir.join(NEW);
    let mut file = std::fs::File::create(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&new, dir.join(NAME))?;
    std::fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_for_the_store_and_disposable() {
        let dir = tempfile::tempdir().expect("there is room");
        let keeper =
            |store| Keeper::new(dir.path().to_owned(), DriveQueue::inline(), StoreId(store));
        assert_eq!(keeper(1).read(), Kept::default());
        let mut kept = Kept::default();
        kept.ended(Timestamp(77));
        kept.reach(SegmentId(5));
        keeper(1).write(kept);
        assert_eq!(keeper(1).read(), kept);
        assert_eq!((kept.last_full(), kept.reached()), (Some(Timestamp(77)), Some(SegmentId(5))));
        assert_eq!(keeper(2).read(), Kept::default());
        let file = dir.path().join(NAME);
        let whole = std::fs::read(&file).expect("it is there");
        for len in 0..whole.len() {
            std::fs::write(&file, &whole[..len]).expect("it writes");
            assert_eq!(keeper(1).read(), Kept::default());
        }
        std::fs::write(&file, [0xff, 0, 7]).expect("it writes");
        assert_eq!(keeper(1).read(), Kept::default());
        kept.ended(Timestamp(99));
        keeper(1).write(kept);
        assert_eq!(keeper(1).read(), kept);
        assert_eq!(kept.reached(), None);
    }
}

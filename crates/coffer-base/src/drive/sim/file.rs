//! One simulated file: what is durable, what is not yet, and what a power cut makes of it.

use std::sync::Arc;

use super::content::Content;
use super::{Survival, chance};
use crate::rng::{Rng, SeededRng};

/// What a drive writes as a unit.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Change {
    /// `forced` writes are durable: a synchronous write behind which older ones still wait. Of
    /// one that went `astray`, only the length that it gave the file is to come.
    Write {
        data: Arc<[u8]>,
        offset: u64,
        forced: bool,
        astray: bool,
    },
    SetLen(u64),
}

#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// What readers see through the page cache.
    current: Content,
    /// What has been synced.
    durable: Content,
    /// What has been done to `durable` since, in order.
    waiting: Vec<Change>,
    /// What was durable before the last good sync: what a stale read gives.
    old: Content,
    /// A sync failed, or a write went astray: `current` shows bytes that no later sync will write.
    lost_writes: bool,
    /// End of the space reserved by `allocate`.
    pub(super) reserved: u64,
    /// Open handles.
    pub(super) handles: u32,
}

impl File {
    pub(super) fn len(&self) -> u64 {
        self.current.len()
    }

    pub(super) fn read(&self, buf: &mut [u8], offset: u64, direct: bool) -> usize {
        if direct && self.lost_writes {
            return self.written_back().read(buf, offset);
        }
        self.current.read(buf, offset)
    }

    /// As [`File::read`], but as the drive had it before the last good sync; zeros where it had
    /// nothing.
    pub(super) fn read_stale(&self, buf: &mut [u8], offset: u64) -> usize {
        let n = self.len().saturating_sub(offset).min(buf.len() as u64) as usize;
        let had = self.old.read(&mut buf[..n], offset);
        buf[had..n].fill(0);
        n
    }

    /// `durable` with all that waits.
    fn written_back(&self) -> Content {
        let mut content = self.durable.clone();
        for change in &self.waiting {
            apply(&mut content, change);
        }
        content
    }

    pub(super) fn write(&mut self, data: &[u8], offset: u64) {
        self.current.write(data, offset);
        self.push_write(data, offset, false);
    }

    fn push_write(&mut self, data: &[u8], offset: u64, astray: bool) {
        self.waiting.push(Change::Write { data: data.into(), offset, forced: false, astray });
    }

    /// A write that the drive puts elsewhere: only the page cache has it here.
    pub(super) fn write_astray(&mut self, data: &[u8], offset: u64) {
        self.current.write(data, offset);
        self.push_write(data, offset, true);
        self.lost_writes = true;
    }

    /// Another file's write lands here, as far as the file goes.
    pub(super) fn hit(&mut self, data: &[u8], offset: u64) {
        for content in [&mut self.durable, &mut self.current] {
            let n = content.len().saturating_sub(offset).min(data.len() as u64) as usize;
            content.write(&data[..n], offset);
        }
    }

    /// Makes the last write durable, and only that.
    pub(super) fn force_last_write(&mut self) {
        if let [change @ Change::Write { .. }] = &self.waiting[..] {
            self.old = self.durable.clone();
            apply(&mut self.durable, change);
            self.waiting.clear();
        } else if let Some(Change::Write { forced, .. }) = self.waiting.last_mut() {
            *forced = true;
        }
    }

    /// The last write failed while syncing: what did not reach the drive by then never will.
    pub(super) fn lose_last_write(&mut self, rng: &SeededRng) {
        if let Some(change) = self.waiting.pop() {
            self.half_write(&change, rng);
        }
        self.lost_writes = true;
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.current.set_len(len);
        self.waiting.push(Change::SetLen(len));
        self.reserved = 0;
    }

    pub(super) fn sync(&mut self) {
        if !self.waiting.is_empty() {
            self.old = std::mem::take(&mut self.durable);
            self.durable = self.old.clone();
            for change in std::mem::take(&mut self.waiting) {
                apply(&mut self.durable, &change);
            }
        }
    }

    /// What Linux does when write-back fails: the pages are dropped from what waits, and later
    /// syncs succeed without them. Some may have reached the drive before.
    pub(super) fn fail_sync(&mut self, rng: &SeededRng) {
        for change in std::mem::take(&mut self.waiting) {
            match change {
                Change::Write { forced: true, .. } => apply(&mut self.durable, &change),
                _ => self.half_write(&change, rng),
            }
        }
        self.lost_writes = true;
    }

    /// A change reaches the drive whole, not at all, or torn.
    fn half_write(&mut self, change: &Change, rng: &SeededRng) {
        match change {
            Change::SetLen(_) => {
                if chance(rng, 1, 2) {
                    apply(&mut self.durable, change);
                }
            }
            Change::Write { data, offset, astray, .. } => match rng.below(3) {
                _ if *astray => self.maybe_extend(offset + data.len() as u64, rng),
                0 => apply(&mut self.durable, change),
                1 => self.maybe_extend(offset + data.len() as u64, rng),
                _ => {
                    tear(&mut self.durable, data, *offset, rng);
                    self.maybe_extend(offset + data.len() as u64, rng);
                }
            },
        }
    }

    pub(super) fn flip_bit(&mut self, offset: u64, bit: u8) -> bool {
        let durable = self.durable.flip_bit(offset, bit);
        self.current.flip_bit(offset, bit) || durable
    }

    /// The power is cut: what waits is kept, lost or torn.
    pub(super) fn cut(&mut self, survival: Survival, rng: &SeededRng) {
        for change in std::mem::take(&mut self.waiting) {
            match (survival, &change) {
                (_, Change::Write { forced: true, .. }) | (Survival::All, _) => {
                    apply(&mut self.durable, &change);
                }
                (Survival::None, _) => {}
                (Survival::Random, _) => self.half_write(&change, rng),
            }
        }
        self.current = self.durable.clone();
        self.lost_writes = false;
        self.reserved = 0;
        self.handles = 0;
    }

    /// The new length may survive without the bytes it was for.
    fn maybe_extend(&mut self, end: u64, rng: &SeededRng) {
        if end > self.durable.len() && chance(rng, 1, 4) {
            self.durable.set_len(end);
        }
    }
}

fn apply(content: &mut Content, change: &Change) {
    match change {
        Change::Write { data, offset, astray: true, .. } => {
            content.set_len(content.len().max(*offset + data.len() as u64));
        }
        Change::Write { data, offset, .. } => content.write(data, *offset),
        Change::SetLen(len) => content.set_len(*len),
    }
}

/// Writes some sectors of `data`: a run from the start, a run up to the end, or any.
fn tear(content: &mut Content, data: &[u8], offset: u64, rng: &SeededRng) {
    let lead = offset as usize % SECTOR;
    let mut sectors = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let end = ((lead + at) / SECTOR + 1) * SECTOR - lead;
        sectors.push(at..end.min(data.len()));
        at = end;
    }
    let way = rng.below(3);
    let border = rng.below(sectors.len() as u64 + 1) as usize;
    for (i, range) in sectors.into_iter().enumerate() {
        let kept = match way {
            0 => i < border,
            1 => i >= border,
            _ => chance(rng, 1, 2),
        };
        if kept {
            content.write(&data[range.clone()], offset + range.start as u64);
        }
    }
}

//! One file between the page cache and the platter.
//!
//! A sector on the platter is always one that the page cache held at some moment; which moment is
//! for the caller to draw. What is not written back before the power goes is lost.

use std::collections::BTreeMap;

/// What a drive writes at once or not at all.
pub const SECTOR: usize = 512;

#[derive(Clone, Debug)]
struct Cached {
    bytes: [u8; SECTOR],
    /// False after a failed sync: shown to readers, and never written back unless written anew.
    dirty: bool,
}

/// A file.
#[derive(Clone, Debug, Default)]
pub struct PagedFile {
    /// Bytes on the platter; those beyond `platter_len` are there and not shown.
    platter: Vec<u8>,
    platter_len: usize,
    /// The length that processes see.
    len: usize,
    /// Shortest length since the platter's was last written: beyond it old bytes are void.
    cut_to: Option<usize>,
    cached: BTreeMap<usize, Cached>,
}

impl PagedFile {
    /// A write into the page cache.
    pub fn write(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            let mut bytes = self.seen(sector);
            let start = sector * SECTOR;
            let (from, to) = (offset.max(start), end.min(start + SECTOR));
            bytes[from - start..to - start].copy_from_slice(&data[from - offset..to - offset]);
            self.cached.insert(sector, Cached { bytes, dirty: true });
        }
        self.len = self.len.max(end);
    }

    /// A write that is on the platter at once, with the length and all of its sectors.
    pub fn write_durably(&mut self, offset: usize, data: &[u8]) {
        if self.cached.is_empty() && self.cut_to.is_none() {
            self.place(offset, data);
            self.len = self.len.max(offset + data.len());
            self.platter_len = self.len;
            return;
        }
        self.write(offset, data);
        self.write_back_len();
        for sector in offset / SECTOR..(offset + data.len()).div_ceil(SECTOR) {
            self.write_back(sector);
        }
    }

    /// A change of the length in the page cache.
    pub fn set_len(&mut self, len: usize) {
        if len < self.len {
            self.cached.retain(|sector, _| sector * SECTOR < len);
            if let Some(last) = self.cached.get_mut(&(len / SECTOR)) {
                last.bytes[len % SECTOR..].fill(0);
            }
            self.cut_to = Some(self.cut_to.map_or(len, |before| before.min(len)));
        }
        self.len = len;
    }

    /// Sectors that wait to be written back.
    pub fn dirty(&self) -> Vec<usize> {
        self.cached.iter().filter(|(_, c)| c.dirty).map(|(sector, _)| *sector).collect()
    }

    /// Whether the length on the platter is another than the one seen.
    pub fn len_is_dirty(&self) -> bool {
        self.cut_to.is_some() || self.platter_len != self.len
    }

    /// Writes one sector back, if it waits for that. A file system frees the blocks of a cut before
    /// it uses new ones: behind a cut, the length goes first.
    pub fn write_back(&mut self, sector: usize) {
        if !self.cached.get(&sector).is_some_and(|cached| cached.dirty) {
            return;
        }
        if self.cut_to.is_some_and(|cut| (sector + 1) * SECTOR > cut) {
            self.write_back_len();
        }
        if let Some(cached) = self.cached.remove(&sector) {
            self.place(sector * SECTOR, &cached.bytes);
        }
    }

    /// Writes the length back.
    pub fn write_back_len(&mut self) {
        if let Some(cut) = self.cut_to.take() {
            self.platter.truncate(cut);
        }
        self.platter_len = self.len;
    }

    /// A sync that went well.
    pub fn sync(&mut self) {
        self.write_back_len();
        for sector in self.dirty() {
            self.write_back(sector);
        }
    }

    /// A sync that failed: nothing that waited will be written any more.
    pub fn fail_sync(&mut self) {
        for cached in self.cached.values_mut() {
            cached.dirty = false;
        }
    }

    /// What is found after the power was cut.
    pub fn after_cut(&self) -> Vec<u8> {
        let mut bytes = self.platter.clone();
        bytes.resize(self.platter_len, 0);
        bytes
    }

    /// A sector as processes see it.
    fn seen(&self, sector: usize) -> [u8; SECTOR] {
        if let Some(cached) = self.cached.get(&sector) {
            return cached.bytes;
        }
        let mut bytes = [0; SECTOR];
        let start = sector * SECTOR;
        let shown = self.platter.len().min(self.cut_to.unwrap_or(usize::MAX));
        if start < shown {
            let n = SECTOR.min(shown - start);
            bytes[..n].copy_from_slice(&self.platter[start..start + n]);
        }
        bytes
    }

    fn place(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        if self.platter.len() < end {
            self.platter.resize(end, 0);
        }
        self.platter[offset..end].copy_from_slice(data);
    }
}

#[cfg(test)]
mod tests;

//! Reading the body of a commit segment, whatever its layout: payloads by address, and groups in
//! order. Nothing is returned that was not verified; what is missing or wrong in one place is
//! taken from another copy, or rebuilt from other cells.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use coffer_base::checksum::{checksum, place_seed};
use coffer_base::drive::queue::{Patience, Work, is_slow};
use coffer_base::drive::{Access, Drive, DriveFile, DriveQueue, read_exact_at};
use coffer_base::{AlignedBuf, DriveId, Position, SegmentId, StoreId};

use crate::erasure::Coder;
use crate::error::Error;
use crate::extent::Extent;
use crate::geometry::Geometry;
use crate::group::{GROUP_HEADER_BYTES, GroupHeader, verify_item};
use crate::health::Suspect;
use crate::inner::Inner;
use crate::mark::Chain;
use crate::segment::{BLOCK_BYTES, FileKind, HEADER_BYTES, Header, Layout, Sealed, Segment};

/// The checksum of block `block` of cell `cell` of a sealed segment.
pub(crate) fn block_checksum(
    store: StoreId,
    segment: SegmentId,
    cell: usize,
    block: usize,
    data: &[u8],
) -> u64 {
    let seed = place_seed(store, segment, 0x200 + cell as u32, (block * BLOCK_BYTES) as u64);
    checksum(seed, data)
}

/// Reads the header of a file of a segment.
pub(crate) fn read_header(file: &dyn DriveFile) -> io::Result<Option<Header>> {
    read_header_with(file, Patience::Full)
}

fn read_header_with(file: &dyn DriveFile, patience: Patience) -> io::Result<Option<Header>> {
    let mut start = vec![0u8; HEADER_BYTES as usize];
    let n = read_at(file, &mut start, 0, patience)?;
    let Some(total) = Header::total_bytes(&start[..n]) else { return Ok(None) };
    if total > HEADER_BYTES {
        start.resize(total as usize, 0);
        let n = read_at(file, &mut start, 0, patience)?;
        start.truncate(n);
    }
    Ok(Header::decode(&start))
}

fn read_at(
    file: &dyn DriveFile,
    buf: &mut [u8],
    offset: u64,
    patience: Patience,
) -> io::Result<usize> {
    match patience {
        Patience::Full => file.read_at(buf, offset),
        Patience::Hedged => file.read_at_soon(buf, offset),
    }
}

/// Fills `buf`; `false` when the drive is slow and `patience` does not wait for that.
fn fill(file: &dyn DriveFile, buf: &mut [u8], offset: u64, patience: Patience) -> io::Result<bool> {
    match read_at(file, buf, offset, patience) {
        Ok(n) if n == buf.len() => Ok(true),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(e) if is_slow(&e) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Reads the payload at `extent` and verifies it.
pub(crate) fn read_payload(
    inner: &Inner,
    segment: &Segment,
    extent: &Extent,
) -> Result<Bytes, Error> {
    let len = usize::try_from(extent.len).ok().filter(|len| *len <= u32::MAX as usize);
    let len = len.ok_or_else(|| Error::Corrupt(format!("a payload of {} bytes", extent.len)))?;
    let mut buf = vec![0u8; len];
    let verified = |buf: &[u8]| verify_item(inner.set.store, extent, buf);
    let mut failures = Vec::new();
    // Whether all that is there was read: then waiting for what is not helps nobody.
    let mut all_wrong = true;
    match &segment.layout {
        Layout::Copies(copies) => {
            // Slow drives are waited for only when no other has it.
            let at = HEADER_BYTES + extent.offset;
            let mut left: Vec<_> = copies.iter().collect();
            for patience in [Patience::Hedged, Patience::Full] {
                for copy in std::mem::take(&mut left) {
                    let (drive, file) = copy;
                    if !inner.set.is_live(*drive) {
                        failures.push(format!("{} is out", inner.set.label(*drive)));
                        all_wrong = false;
                        continue;
                    }
                    match fill(file.as_ref(), &mut buf, at, patience) {
                        Ok(true) if verified(&buf) => return Ok(buf.into()),
                        Ok(true) => failures.push(format!("{} is wrong", inner.set.label(*drive))),
                        Ok(false) => {
                            left.push(copy);
                            continue;
                        }
                        Err(e) => {
                            failures.push(format!("{}: {e}", inner.set.label(*drive)));
                            all_wrong = false;
                        }
                    }
                    inner.health.suspect(Suspect::Files { segment: segment.id });
                }
            }
        }
        Layout::Cells { body_bytes, .. } => {
            if extent.offset + extent.len > *body_bytes {
                return Err(Error::Corrupt(format!("{extent:?} lies beyond its segment")));
            }
            let cells = Cells::new(inner, segment);
            match cells.read_plain_with(extent.offset, &mut buf, cells.first_patience()) {
                Ok(true) if verified(&buf) => return Ok(buf.into()),
                Ok(true) => failures.push("a cell is wrong".to_owned()),
                // Said once for the drive.
                Ok(false) => {}
                Err(e) => failures.push(e.to_string()),
            }
            if let Err(e) = cells.read_verified(extent.offset, &mut buf) {
                // Memory may be wrong and the drives right.
                if !matches!(e, Error::Corrupt(_)) {
                    return Err(e);
                }
                cells.forget_cached();
                cells.read_verified(extent.offset, &mut buf)?;
            }
            if verified(&buf) {
                if !failures.is_empty() {
                    tracing::warn!(segment = %segment.id, offset = extent.offset, why = %failures.join("; "), "payload rebuilt");
                }
                return Ok(buf.into());
            }
        }
        Layout::Bulk { .. } => {
            return Err(Error::Corrupt(format!("{extent:?} points into a bulk segment")));
        }
    }
    let what =
        format!("payload at {} of segment {}: {}", extent.offset, segment.id, failures.join("; "));
    Err(if all_wrong { Error::Corrupt(what) } else { Error::Unavailable(what) })
}

/// Longer payloads take too long to verify for who must not block.
const NOW_BYTES_MAX: u64 = 64 << 10;

/// As [`read_payload`], but only what is in memory and right: never waits for a drive.
pub(crate) fn read_payload_now(inner: &Inner, segment: &Segment, extent: &Extent) -> Option<Bytes> {
    if extent.len > NOW_BYTES_MAX {
        return None;
    }
    let mut buf = vec![0u8; extent.len as usize];
    match &segment.layout {
        Layout::Copies(copies) => {
            let mut live = copies.iter().filter(|(drive, _)| inner.set.is_live(*drive));
            live.find(|(_, file)| {
                file.read_at_now(&mut buf, HEADER_BYTES + extent.offset) == Some(buf.len())
            })?;
        }
        Layout::Cells { body_bytes, .. } if extent.offset + extent.len <= *body_bytes => {
            Cells::new(inner, segment).read_plain_now(extent.offset, &mut buf)?;
        }
        Layout::Cells { .. } | Layout::Bulk { .. } => return None,
    }
    verify_item(inner.set.store, extent, &buf).then(|| buf.into())
}

/// The cells of a sealed segment, as files of drives.
pub(crate) struct Cells<'a> {
    inner: &'a Inner,
    id: SegmentId,
    geometry: Geometry,
    members: &'a [DriveId],
    header_bytes: u64,
    cell_bytes: u64,
    /// Body bytes, last position and chain: an older attempt to seal had others.
    end: (u64, Position, Chain),
    name: String,
}

impl<'a> Cells<'a> {
    /// `segment` must be sealed.
    pub fn new(inner: &'a Inner, segment: &'a Segment) -> Self {
        Self::under(inner, segment, "")
    }

    /// As [`Cells::new`], of files whose names end in `suffix`.
    fn under(inner: &'a Inner, segment: &'a Segment, suffix: &str) -> Self {
        let Layout::Cells {
            geometry,
            members,
            header_bytes,
            cell_bytes,
            body_bytes,
            last,
            chain_after,
        } = &segment.layout
        else {
            panic!("segment {} is not sealed", segment.id);
        };
        Self {
            inner,
            id: segment.id,
            geometry: *geometry,
            members,
            header_bytes: *header_bytes,
            cell_bytes: *cell_bytes,
            end: (*body_bytes, *last, *chain_after),
            name: FileKind::Cell.file_name(segment.id) + suffix,
        }
    }

    /// The file of a cell; `None` when its drive is slow and `patience` does not wait for that.
    fn file(&self, cell: usize, patience: Patience) -> Result<Option<Arc<dyn DriveFile>>, Error> {
        self.inner.set.file_with(self.members[cell], &self.name, Access::Buffered, patience)
    }

    /// How long to wait for a cell as long as there is another way.
    fn first_patience(&self) -> Patience {
        if self.geometry.m > 0 { Patience::Hedged } else { Patience::Full }
    }

    /// Fills `buf` from the data cells, unverified. Slow drives are not waited for: an error.
    pub fn read_plain(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        match self.read_plain_with(offset, buf, self.first_patience())? {
            true => Ok(()),
            false => Err(Error::Unavailable(format!("a drive of segment {} is slow", self.id))),
        }
    }

    /// Fills `buf` from the data cells, unverified; `false` when a drive is slow and `patience` does
    /// not wait for that.
    fn read_plain_with(
        &self,
        offset: u64,
        buf: &mut [u8],
        patience: Patience,
    ) -> Result<bool, Error> {
        let mut is_whole = true;
        self.each_piece(offset, buf, |cell, within, piece| {
            if !is_whole {
                return Ok(());
            }
            let label = || self.inner.set.label(self.members[cell]);
            let at = self.header_bytes + within;
            is_whole = match self.file(cell, patience)? {
                Some(file) => {
                    fill(file.as_ref(), piece, at, patience).map_err(|e| Error::io(&label(), &e))?
                }
                None => false,
            };
            Ok(())
        })?;
        Ok(is_whole)
    }

    /// As [`Cells::read_plain`], but only what is in memory, of files that are open.
    fn read_plain_now(&self, offset: u64, buf: &mut [u8]) -> Option<()> {
        let mut is_whole = true;
        let read = self.each_piece(offset, buf, |cell, within, piece| {
            let member = self.members[cell];
            let file = self.inner.set.opened_file(member, &self.name, Access::Buffered);
            let len = piece.len();
            let n = file.and_then(|file| file.read_at_now(piece, self.header_bytes + within));
            is_whole &= n == Some(len);
            Ok(())
        });
        (read.is_ok() && is_whole).then_some(())
    }

    /// Fills `buf`, every block verified and rebuilt where that fails.
    pub fn read_verified(&self, offset: u64, buf: &mut [u8]) -> Result<(), Error> {
        let sealed = self.inner.sealed.get(self.id, self.members, || self.sealed_header())?;
        self.each_piece(offset, buf, |cell, within, piece| {
            let mut at = 0;
            while at < piece.len() {
                let position = within + at as u64;
                let block = (position / BLOCK_BYTES as u64) as usize;
                let start = (position % BLOCK_BYTES as u64) as usize;
                let n = (BLOCK_BYTES - start).min(piece.len() - at);
                let data = self.block(&sealed, cell, block)?;
                piece[at..at + n].copy_from_slice(&data[start..start + n]);
                at += n;
            }
            Ok(())
        })
    }

    /// Lets go of what memory has of the cells.
    fn forget_cached(&self) {
        for cell in 0..self.members.len() {
            if let Ok(Some(file)) = self.file(cell, Patience::Hedged) {
                file.forget_cached(0..self.header_bytes + self.cell_bytes);
            }
        }
    }

    fn each_piece(
        &self,
        offset: u64,
        buf: &mut [u8],
        mut read: impl FnMut(usize, u64, &mut [u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut at = 0usize;
        while at < buf.len() {
            let position = offset + at as u64;
            let cell = (position / self.cell_bytes) as usize;
            if cell >= usize::from(self.geometry.k) {
                return Err(Error::Corrupt(format!("offset {position} is beyond {}", self.id)));
            }
            let within = position % self.cell_bytes;
            let n = ((self.cell_bytes - within) as usize).min(buf.len() - at);
            read(cell, within, &mut buf[at..at + n])?;
            at += n;
        }
        Ok(())
    }

    /// The part of the header that only cells have, from any member: all hold the same.
    pub fn sealed_header(&self) -> Result<Sealed, Error> {
        let mut failures = Vec::new();
        let (mut found, any_wrong) = self.any_header(&mut failures);
        if found.is_none() && any_wrong {
            // Memory may be wrong and the drives right.
            self.forget_cached();
            failures.clear();
            (found, _) = self.any_header(&mut failures);
        }
        let none = || Error::Unavailable(format!("segment {}: {}", self.id, failures.join("; ")));
        found.ok_or_else(none)
    }

    /// The first header that is right, and whether any was read that is not.
    fn any_header(&self, failures: &mut Vec<String>) -> (Option<Sealed>, bool) {
        let mut any_wrong = false;
        let mut left: Vec<usize> = (0..self.members.len()).collect();
        for patience in [self.first_patience(), Patience::Full] {
            for cell in std::mem::take(&mut left) {
                let file = match self.file(cell, patience) {
                    Ok(Some(file)) => file,
                    Ok(None) => {
                        left.push(cell);
                        continue;
                    }
                    Err(e) => {
                        failures.push(e.to_string());
                        self.suspect(cell, Suspect::Files { segment: self.id });
                        continue;
                    }
                };
                match read_header_with(file.as_ref(), patience) {
                    Ok(Some(Header {
                        segment, geometry, members, sealed: Some(sealed), ..
                    })) if segment == self.id
                        && geometry == self.geometry
                        && members == self.members
                        && sealed.cell_bytes == self.cell_bytes
                        && (sealed.body_bytes, sealed.last, sealed.chain_after) == self.end =>
                    {
                        return (Some(sealed), any_wrong);
                    }
                    Ok(_) => {
                        any_wrong = true;
                        failures.push(format!("cell {cell} has no valid header"));
                    }
                    Err(e) if is_slow(&e) => {
                        left.push(cell);
                        continue;
                    }
                    Err(e) => failures.push(format!("cell {cell}: {e}")),
                }
                self.suspect(cell, Suspect::Files { segment: self.id });
            }
        }
        (None, any_wrong)
    }

    /// Has something healed that the drive of `cell` does not have right, unless the drive is out.
    fn suspect(&self, cell: usize, suspect: Suspect) {
        if self.inner.set.is_live(self.members[cell]) {
            self.inner.health.suspect(suspect);
        }
    }

    /// Bytes of block `block` in a cell: shorter only at the cell's end.
    fn block_bytes(&self, block: usize) -> usize {
        (self.cell_bytes as usize - block * BLOCK_BYTES).min(BLOCK_BYTES)
    }

    /// One block of one cell as its drive has it, verified.
    pub fn stored_block(
        &self,
        sealed: &Sealed,
        cell: usize,
        block: usize,
    ) -> Result<Vec<u8>, Error> {
        let label = || self.inner.set.label(self.members[cell]);
        let data = self.stored_block_with(sealed, cell, block, Patience::Full)?;
        data.ok_or_else(|| Error::Unavailable(format!("{} is slow", label())))
    }

    /// As [`Cells::stored_block`]; `None` when the drive is slow and `patience` does not wait.
    fn stored_block_with(
        &self,
        sealed: &Sealed,
        cell: usize,
        block: usize,
        patience: Patience,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(file) = self.file(cell, patience)? else { return Ok(None) };
        let mut data = vec![0u8; self.block_bytes(block)];
        let at = self.header_bytes + (block * BLOCK_BYTES) as u64;
        let label = || self.inner.set.label(self.members[cell]);
        if !fill(file.as_ref(), &mut data, at, patience).map_err(|e| Error::io(&label(), &e))? {
            return Ok(None);
        }
        self.check_block(sealed, cell, block, &data)?;
        Ok(Some(data))
    }

    /// A block of each of `cells`, as [`Cells::stored_block_with`], all at once.
    fn stored_blocks(
        &self,
        sealed: &Sealed,
        cells: &[usize],
        block: usize,
    ) -> Vec<Result<Option<Vec<u8>>, Error>> {
        let len = self.block_bytes(block);
        let at = self.header_bytes + (block * BLOCK_BYTES) as u64;
        let opened: Vec<_> = cells.iter().map(|c| self.file(*c, Patience::Hedged)).collect();
        let jobs = cells.iter().zip(&opened).filter_map(|(cell, file)| {
            let file = file.as_ref().ok()?.clone()?;
            Some((self.inner.set.queue(self.members[*cell]), file))
        });
        let read = move |file: Arc<dyn DriveFile>| {
            let mut data = vec![0u8; len];
            read_exact_at(file.as_ref(), &mut data, at).map(|()| data)
        };
        let read = DriveQueue::each(jobs.collect(), Work::Read, Patience::Hedged, read);
        let mut read = read.into_iter();
        let mut blocks = Vec::with_capacity(cells.len());
        for (cell, file) in cells.iter().zip(opened) {
            blocks.push(match file.map(|file| file.and_then(|_| read.next())) {
                Ok(Some(Ok(data))) => {
                    self.check_block(sealed, *cell, block, &data).map(|()| Some(data))
                }
                Ok(Some(Err(e))) if is_slow(&e) => Ok(None),
                Ok(Some(Err(e))) => Err(Error::io(&self.inner.set.label(self.members[*cell]), &e)),
                Ok(None) => Ok(None),
                Err(e) => Err(e),
            });
        }
        blocks
    }

    /// A block of each of `cells`, however long their drives take; `take` gets each as it comes,
    /// until it has enough.
    fn wait_for_blocks(
        &self,
        sealed: &Sealed,
        cells: Vec<usize>,
        block: usize,
        mut take: impl FnMut(usize, Result<Vec<u8>, Error>) -> bool,
    ) {
        let (len, name) = (self.block_bytes(block), self.name.clone());
        let at = self.header_bytes + (block * BLOCK_BYTES) as u64;
        let here = |cell: &usize| {
            let drive = self.inner.set.drive(self.members[*cell]).ok()?;
            Some((*cell, (drive.queue().clone(), drive)))
        };
        let (cells, drives): (Vec<usize>, Vec<_>) = cells.iter().filter_map(here).unzip();
        let read = move |drive: Arc<dyn Drive>| {
            let mut data = vec![0u8; len];
            let file = drive.open(&name, Access::Buffered)?;
            read_exact_at(file.as_ref(), &mut data, at).map(|()| data)
        };
        DriveQueue::first(drives, Work::Read, read, |i, read| {
            let cell = cells[i];
            let read = read.map_err(|e| Error::io(&self.inner.set.label(self.members[cell]), &e));
            let verify =
                |data: Vec<u8>| self.check_block(sealed, cell, block, &data).map(|()| data);
            take(cell, read.and_then(verify))
        });
    }

    fn check_block(
        &self,
        sealed: &Sealed,
        cell: usize,
        block: usize,
        data: &[u8],
    ) -> Result<(), Error> {
        let expected = sealed.blocks[cell * sealed.blocks_per_cell() + block];
        if block_checksum(self.inner.set.store, self.id, cell, block, data) == expected {
            return Ok(());
        }
        Err(Error::Corrupt(format!(
            "block {block} of cell {cell} of segment {} on {}",
            self.id,
            self.inner.set.label(self.members[cell])
        )))
    }

    /// One block of one cell, rebuilt from others when its drive does not have it right.
    fn block(&self, sealed: &Sealed, cell: usize, block: usize) -> Result<Vec<u8>, Error> {
        let mut slow = Vec::new();
        let mut first = match self.stored_block_with(sealed, cell, block, self.first_patience()) {
            Ok(Some(data)) => return Ok(data),
            Ok(None) => {
                slow.push(cell);
                Error::Unavailable(format!("{} is slow", self.inner.set.label(self.members[cell])))
            }
            Err(e) => {
                let suspect = match &e {
                    Error::Unavailable(_) => Suspect::Files { segment: self.id },
                    _ => Suspect::Block { segment: self.id, block },
                };
                self.suspect(cell, suspect);
                e
            }
        };
        let k = usize::from(self.geometry.k);
        let mut cells: Vec<Option<Vec<u8>>> = vec![None; self.members.len()];
        let mut have = 0;
        let mut others: Vec<usize> = (0..self.members.len()).filter(|i| *i != cell).collect();
        others.sort_by_key(|i| !self.inner.set.is_at_hand(self.members[*i]));
        while have < k && !others.is_empty() {
            let rest = others.split_off(others.len().min(k - have));
            let wave = std::mem::replace(&mut others, rest);
            for (other, read) in wave.iter().zip(self.stored_blocks(sealed, &wave, block)) {
                match read {
                    Ok(Some(data)) => {
                        cells[*other] = Some(data);
                        have += 1;
                    }
                    Ok(None) => slow.push(*other),
                    Err(_) => {}
                }
            }
        }
        // Waited for only now that there is no other way, and only until there is enough.
        if have < k {
            let mut own = None;
            self.wait_for_blocks(sealed, slow, block, |late, read| {
                match read {
                    Ok(data) if late == cell => own = Some(data),
                    Ok(data) => {
                        cells[late] = Some(data);
                        have += 1;
                    }
                    Err(e) if late == cell => first = e,
                    Err(_) => {}
                }
                own.is_some() || have == k
            });
            if let Some(own) = own {
                return Ok(own);
            }
        }
        if have < k {
            let what = format!("{first}; {have} other cells are readable and {k} are needed");
            return Err(match first {
                Error::Corrupt(_) => Error::Corrupt(what),
                _ => Error::Unavailable(what),
            });
        }
        let cells: Vec<Option<&[u8]>> = cells.iter().map(|c| c.as_deref()).collect();
        let rebuilt = Coder::new(self.geometry)
            .reconstruct(&cells, cell)
            .ok_or_else(|| Error::Corrupt(format!("segment {} can't be decoded", self.id)))?;
        let expected = sealed.blocks[cell * sealed.blocks_per_cell() + block];
        if block_checksum(self.inner.set.store, self.id, cell, block, &rebuilt) != expected {
            return Err(Error::Corrupt(format!(
                "rebuilt block {block} of cell {cell} of segment {} is wrong",
                self.id
            )));
        }
        Ok(rebuilt)
    }
}

/// A group that was read and verified (its place in the chain is the caller's to check).
pub(crate) struct StoredGroup {
    pub header: GroupHeader,
    /// Header and body.
    pub bytes: Vec<u8>,
}

/// Reads the groups of one commit segment, from any of its sources.
pub(crate) struct BodyReader<'a> {
    inner: &'a Inner,
    id: SegmentId,
    /// Groups at or beyond this offset do not count.
    end: u64,
    sources: Vec<Source<'a>>,
    /// The source that was right last time.
    preferred: usize,
}

enum Source<'a> {
    File { window: Window, file: Arc<dyn DriveFile>, aligned: bool },
    Plain { cells: Cells<'a>, ahead: Ahead },
    Verified { cells: Cells<'a> },
}

/// Bytes read ahead from the cells of a sealed segment.
#[derive(Default)]
struct Ahead {
    start: u64,
    bytes: Vec<u8>,
}

/// Bytes read ahead from a file, aligned for direct I/O.
struct Window {
    start: u64,
    valid: usize,
    buf: AlignedBuf,
    /// The first error of the file. No bytes there is one thing, not knowing is another.
    failed: Option<io::Error>,
}

const WINDOW_BYTES: usize = 1 << 20;

/// No group is longer.
const GROUP_BYTES_LIMIT: u64 = (GROUP_HEADER_BYTES + crate::lane::Lane::GROUP_BYTES_MAX) as u64;

impl<'a> BodyReader<'a> {
    /// Reads a segment as the table has it.
    pub fn new(inner: &'a Inner, segment: &'a Segment) -> Self {
        Self::under(inner, segment, "")
    }

    /// As [`BodyReader::new`]; the names of a sealed segment's files end in `suffix`.
    pub fn under(inner: &'a Inner, segment: &'a Segment, suffix: &str) -> Self {
        let (sources, end) = match &segment.layout {
            Layout::Copies(copies) => {
                let files = copies.iter().map(|(_, file)| Source::file(file.clone(), false));
                (files.collect(), u64::MAX)
            }
            Layout::Cells { body_bytes, .. } => {
                let cells = || Cells::under(inner, segment, suffix);
                let plain = Source::Plain { cells: cells(), ahead: Ahead::default() };
                let verified = Source::Verified { cells: cells() };
                (vec![plain, verified], *body_bytes)
            }
            Layout::Bulk { .. } => (Vec::new(), 0),
        };
        Self { inner, id: segment.id, end, sources, preferred: 0 }
    }

    /// Reads copies from their files; `direct` when they were opened for direct I/O.
    pub fn of_files(
        inner: &'a Inner,
        id: SegmentId,
        files: Vec<Arc<dyn DriveFile>>,
        direct: bool,
        end: u64,
    ) -> Self {
        let sources = files.into_iter().map(|file| Source::file(file, direct)).collect();
        Self { inner, id, end, sources, preferred: 0 }
    }

    /// The group that stands at `offset`, if a source has a whole one there that continues
    /// (`position`, `chain`).
    pub fn group(&mut self, offset: u64, position: Position, chain: Chain) -> Option<StoredGroup> {
        if offset >= self.end {
            return None;
        }
        for i in 0..self.sources.len() {
            let source = (self.preferred + i) % self.sources.len();
            let group = self.group_from(source, offset);
            if let Some(group) = group
                && group.header.position.0 == position.0 + 1
                && group.header.chain_before == chain
            {
                self.preferred = source;
                return Some(group);
            }
        }
        None
    }

    /// Any whole group at `offset`, wherever in history it belongs.
    pub fn any_group(&mut self, offset: u64) -> Option<StoredGroup> {
        (0..self.sources.len()).find_map(|source| self.group_from(source, offset))
    }

    /// Says so if a newer program wrote the group at `offset`.
    pub fn newer_group(&mut self, offset: u64) -> Option<String> {
        let mut head = [0u8; GROUP_HEADER_BYTES];
        let version = (0..self.sources.len()).find_map(|source| {
            self.sources[source].read(offset, &mut head)?;
            GroupHeader::newer_version(&head, self.id, offset)
        })?;
        Some(format!(
            "the group at {offset} of segment {} has version {version}: a newer Coffer wrote it",
            self.id
        ))
    }

    fn group_from(&mut self, source: usize, offset: u64) -> Option<StoredGroup> {
        let mut head = [0u8; GROUP_HEADER_BYTES];
        self.sources[source].read(offset, &mut head)?;
        let header = GroupHeader::decode(&head, self.id, offset)?;
        if header.group_bytes() > GROUP_BYTES_LIMIT || offset + header.group_bytes() > self.end {
            return None;
        }
        let mut bytes = vec![0u8; header.group_bytes() as usize];
        self.sources[source].read(offset, &mut bytes)?;
        header
            .verify(self.inner.set.store, self.id, offset, &bytes)
            .then_some(StoredGroup { header, bytes })
    }

    /// The length of the longest source, in body bytes.
    pub fn longest(&mut self) -> u64 {
        let end = self.end;
        let length = |source: &mut Source<'_>| match source {
            Source::File { window, file, .. } => match file.len() {
                Ok(len) => len.saturating_sub(HEADER_BYTES),
                Err(e) => {
                    window.failed.get_or_insert(e);
                    0
                }
            },
            Source::Plain { .. } | Source::Verified { .. } => end,
        };
        self.sources.iter_mut().map(length).max().unwrap_or(0)
    }

    /// The files, by their place in what [`BodyReader::of_files`] was given, that could not be read
    /// somewhere: what is missing from them may be there.
    pub fn failures(&mut self) -> Vec<(usize, io::Error)> {
        let failed = |(i, source): (usize, &mut Source<'_>)| match source {
            Source::File { window, .. } => window.failed.take().map(|e| (i, e)),
            Source::Plain { .. } | Source::Verified { .. } => None,
        };
        self.sources.iter_mut().enumerate().filter_map(failed).collect()
    }
}

impl Source<'_> {
    fn file(file: Arc<dyn DriveFile>, aligned: bool) -> Self {
        let window = Window { start: 0, valid: 0, buf: AlignedBuf::zeroed(0), failed: None };
        Source::File { window, file, aligned }
    }

    /// Fills `buf`; `None` when that is not possible from this source.
    fn read(&mut self, offset: u64, buf: &mut [u8]) -> Option<()> {
        match self {
            Source::File { window, file, aligned } => {
                let at = HEADER_BYTES + offset;
                if !*aligned && buf.len() > WINDOW_BYTES {
                    let n = window.note(file.read_at(buf, at))?;
                    return (n == buf.len()).then_some(());
                }
                window.read(file.as_ref(), at, buf)
            }
            Source::Plain { cells, ahead } => {
                let has = offset >= ahead.start
                    && offset + buf.len() as u64 <= ahead.start + ahead.bytes.len() as u64;
                if !has {
                    let room = cells.cell_bytes * u64::from(cells.geometry.k)
                        - offset.min(cells.cell_bytes * u64::from(cells.geometry.k));
                    let n = (WINDOW_BYTES as u64).max(buf.len() as u64).min(room) as usize;
                    if n < buf.len() {
                        return None;
                    }
                    ahead.bytes.resize(n, 0);
                    ahead.start = offset;
                    if cells.read_plain(offset, &mut ahead.bytes).is_err() {
                        ahead.bytes.clear();
                        return None;
                    }
                }
                let from = (offset - ahead.start) as usize;
                buf.copy_from_slice(&ahead.bytes[from..from + buf.len()]);
                Some(())
            }
            Source::Verified { cells } => cells.read_verified(offset, buf).ok(),
        }
    }
}

impl Window {
    fn note(&mut self, read: io::Result<usize>) -> Option<usize> {
        read.map_err(|e| self.failed.get_or_insert(e)).ok()
    }

    fn read(&mut self, file: &dyn DriveFile, at: u64, buf: &mut [u8]) -> Option<()> {
        let has = at >= self.start && at + buf.len() as u64 <= self.start + self.valid as u64;
        if !has {
            let start = at - at % HEADER_BYTES;
            let need = coffer_base::buffer::align_up(at - start + buf.len() as u64) as usize;
            if self.buf.len() < need.max(WINDOW_BYTES) {
                self.buf = AlignedBuf::zeroed(need.max(WINDOW_BYTES));
            }
            self.start = start;
            self.valid = 0;
            let read = file.read_at(&mut self.buf, start);
            self.valid = self.note(read)?;
            if at + buf.len() as u64 > self.start + self.valid as u64 {
                return None;
            }
        }
        let from = (at - self.start) as usize;
        buf.copy_from_slice(&self.buf[from..from + buf.len()]);
        Some(())
    }
}

/// Walks the groups of a segment from (`position`, `chain`), as far as they are whole, continue
/// each other and lie within `range` of the body; calls `visit` with each. Returns the offset,
/// position and chain after the last.
pub(crate) fn walk<E>(
    reader: &mut BodyReader<'_>,
    range: Range<u64>,
    mut position: Position,
    mut chain: Chain,
    mut visit: impl FnMut(&StoredGroup, u64, Chain) -> Result<bool, E>,
) -> Result<(u64, Position, Chain), E> {
    let mut offset = range.start;
    while offset < range.end {
        let Some(group) = reader.group(offset, position, chain) else { break };
        let after = group.header.chain_after(&group.bytes);
        if !visit(&group, offset, after)? {
            break;
        }
        offset += group.header.padded_bytes();
        position = group.header.position;
        chain = after;
    }
    Ok((offset, position, chain))
}

#[cfg(test)]
mod tests;

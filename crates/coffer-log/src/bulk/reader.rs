//! Reading bulk rows: just the blocks that are needed, verified, rebuilt where they are missing
//! or wrong.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use coffer_base::drive::queue::{Patience, Work, is_slow};
use coffer_base::drive::{Access, Drive, DriveFile, DriveQueue};
use coffer_base::{DriveId, SegmentId};

use super::lent::Lent;
use super::row::{ROW_HEADER_BYTES, RowHeader, RowPlace, rows_of};
use crate::erasure::Coder;
use crate::error::Error;
use crate::extent::Extent;
use crate::geometry::Geometry;
use crate::health::Suspect;
use crate::inner::Inner;
use crate::segment::{BLOCK_BYTES, FileKind, Layout, Segment};

/// Longer reads than this go past the page cache, and to several drives at once. What a client is
/// sent at once is not longer.
const LARGE_BYTES: u64 = 1 << 20;

/// Reads `range` of `extent`, which lies in the bulk segment `segment`. Every block is verified;
/// what is missing or wrong is rebuilt from any `k` other cells and verified as well. In pieces: one a
/// cell.
/// `Unavailable` when too few of them can be read now, `Corrupt` when too many are wrong.
pub(crate) fn read_bulk(
    inner: &Inner,
    segment: &Segment,
    extent: &Extent,
    range: Range<u64>,
) -> Result<Vec<Bytes>, Error> {
    let mut cells = RowCells::new(inner, segment, range.end.saturating_sub(range.start))?;
    let mut read = Vec::new();
    for (place, part) in rows_of(extent, cells.geometry.k, range.clone())? {
        let before = read.len();
        match Row::new(&cells, place).read(part.clone(), &mut read) {
            // Memory may be wrong and the drives right.
            Err(Error::Corrupt(_)) if cells.access == Access::Buffered => {
                read.truncate(before);
                cells.access = Access::Direct;
                Row::new(&cells, place).read(part, &mut read)?;
            }
            other => other?,
        }
    }
    Ok(read)
}

/// Access to the cells of the rows of one segment.
pub(super) struct RowCells<'a> {
    pub inner: &'a Inner,
    pub segment: SegmentId,
    pub geometry: Geometry,
    pub members: &'a [DriveId],
    name: String,
    access: Access,
    parallel: bool,
}

/// A window of a cell as it was read, not verified yet.
pub(super) struct Fetched {
    /// The member's header, if it is one that belongs there.
    pub header: Option<RowHeader>,
    /// `None` when the file ends before the window does.
    pub bytes: Option<Bytes>,
}

impl<'a> RowCells<'a> {
    /// For reading `len` bytes.
    pub fn new(inner: &'a Inner, segment: &'a Segment, len: u64) -> Result<RowCells<'a>, Error> {
        let Layout::Bulk { geometry, members } = &segment.layout else {
            return Err(Error::Corrupt(format!("segment {} has no bulk rows", segment.id)));
        };
        let parallel = len > LARGE_BYTES;
        Ok(RowCells {
            inner,
            segment: segment.id,
            geometry: *geometry,
            members,
            name: FileKind::Bulk.file_name(segment.id),
            access: if parallel { Access::Direct } else { Access::Buffered },
            parallel,
        })
    }

    /// Reads the header and a window of each of `wanted`; an error when the member can't be read.
    pub fn fetch(
        &self,
        place: RowPlace,
        wanted: Vec<(usize, Range<usize>)>,
    ) -> Vec<(usize, Range<usize>, Result<Fetched, Error>)> {
        let fetched = self.fetch_with(place, wanted, Patience::Full).into_iter();
        let waited = |cell, fetched: MaybeFetched| {
            fetched?.ok_or_else(|| Error::Unavailable(self.describe(cell, place) + " is slow"))
        };
        fetched.map(|(cell, window, read)| (cell, window, waited(cell, read))).collect()
    }

    /// As [`RowCells::fetch`]; `None` for members whose drives are slow, if `patience` does not
    /// wait for these.
    fn fetch_with(
        &self,
        place: RowPlace,
        wanted: Vec<(usize, Range<usize>)>,
        patience: Patience,
    ) -> Vec<(usize, Range<usize>, MaybeFetched)> {
        let decode = self.decoder(place);
        let buffers = self.inner.read_buffers.clone();
        let read = move |(cell, window, file): (usize, Range<usize>, Arc<dyn DriveFile>)| {
            let buffer = buffers.take(ROW_HEADER_BYTES + window.len());
            let read = match patience {
                Patience::Full => DriveFile::read_at,
                Patience::Hedged => DriveFile::read_at_soon,
            };
            let read = |buf: &mut [u8], offset: u64| read(&*file, buf, offset);
            read_window(read, place, &window, buffer, |bytes| decode(cell, bytes))
        };
        // More than two cells are read of a short range only to rebuild it.
        let in_parallel = wanted.len() > if self.parallel { 1 } else { 2 };
        let mut fetched = Vec::with_capacity(wanted.len());
        let mut jobs = Vec::with_capacity(wanted.len());
        for (cell, window) in wanted {
            let member = self.members[cell];
            let file = self.inner.set.file_with(member, &self.name, self.access, patience);
            let opened = match file {
                Ok(Some(file)) => {
                    let queue = match in_parallel {
                        true => self.inner.set.queue(member),
                        false => DriveQueue::inline(),
                    };
                    jobs.push((queue, (cell, window.clone(), file)));
                    Ok(None)
                }
                Ok(None) => Ok(None),
                Err(e) => Err(e),
            };
            fetched.push((cell, window, opened));
        }
        let cells: Vec<usize> = jobs.iter().map(|(_, (cell, ..))| *cell).collect();
        let results = DriveQueue::each(jobs, Work::Read, patience, read);
        for (cell, result) in cells.into_iter().zip(results) {
            let (.., slot) =
                fetched.iter_mut().find(|(c, ..)| *c == cell).expect("each job is of a cell");
            *slot = match result {
                Ok(read) => Ok(Some(read)),
                Err(e) if is_slow(&e) => Ok(None),
                Err(e) => Err(Error::io(&self.inner.set.label(self.members[cell]), &e)),
            };
        }
        fetched
    }

    /// Reads the header of a cell: `None` when it is not one that belongs there.
    fn decoder(
        &self,
        place: RowPlace,
    ) -> impl Fn(usize, &[u8]) -> std::io::Result<Option<RowHeader>> + Copy + Send + use<> {
        let (store, segment, geometry) = (self.inner.set.store, self.segment, self.geometry);
        move |cell: usize, bytes: &[u8]| {
            let here = |h: &RowHeader| h.is_at(store, segment, geometry, cell, place.offset);
            if let Some(header) = RowHeader::decode(bytes) {
                return Ok(Some(header).filter(here));
            }
            match RowHeader::newer_version(bytes) {
                None => Ok(None),
                Some(version) => {
                    let what = format!("a row of version {version}, which a newer Coffer wrote");
                    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, what))
                }
            }
        }
    }

    /// What [`RowCells::patient_read`] is given for a window of a cell; `None` when its drive is
    /// not here any more.
    fn job(&self, cell: usize, window: &Range<usize>) -> Option<(DriveQueue, Job)> {
        let drive = self.inner.set.drive(self.members[cell]).ok()?;
        Some((drive.queue().clone(), (drive, cell, window.clone())))
    }

    /// Opens and reads, on the threads of the drive.
    fn patient_read(
        &self,
        place: RowPlace,
    ) -> impl Fn(Job) -> std::io::Result<Fetched> + Clone + Send + use<> {
        let decode = self.decoder(place);
        let (buffers, name) = (self.inner.read_buffers.clone(), self.name.clone());
        let access = self.access;
        move |(drive, cell, window)| {
            let file = drive.open(&name, access)?;
            let buffer = buffers.take(ROW_HEADER_BYTES + window.len());
            let read = |buf: &mut [u8], offset: u64| file.read_at(buf, offset);
            read_window(read, place, &window, buffer, |bytes| decode(cell, bytes))
        }
    }

    /// Names a cell in messages.
    pub fn describe(&self, cell: usize, place: RowPlace) -> String {
        let drive = self.inner.set.label(self.members[cell]);
        format!("cell {cell} of the row at {} of segment {} on {drive}", place.offset, self.segment)
    }
}

/// A window of a cell, to be read from a drive.
type Job = (Arc<dyn Drive>, usize, Range<usize>);

/// `None`: the drive is slow, and was not waited for.
type MaybeFetched = Result<Option<Fetched>, Error>;

fn read_window(
    read_at: impl Fn(&mut [u8], u64) -> std::io::Result<usize>,
    place: RowPlace,
    window: &Range<usize>,
    mut buffer: Lent,
    decode: impl Fn(&[u8]) -> std::io::Result<Option<RowHeader>>,
) -> std::io::Result<Fetched> {
    let bytes = buffer.bytes_mut();
    let (n, whole) = if window.start == 0 {
        let n = read_at(bytes, place.offset)?;
        (n, n == bytes.len())
    } else {
        let (header, body) = bytes.split_at_mut(ROW_HEADER_BYTES);
        let n = read_at(header, place.offset)?;
        let at = place.cells_at() + window.start as u64;
        (n, read_at(body, at)? == body.len())
    };
    let header = if n >= ROW_HEADER_BYTES { decode(bytes)? } else { None };
    let bytes = whole.then(|| buffer.into_bytes().slice(ROW_HEADER_BYTES..));
    Ok(Fetched { header, bytes })
}

/// What was read of a cell.
struct Piece {
    cell: usize,
    window: Range<usize>,
    /// `None` when the file ends too early.
    bytes: Option<Bytes>,
    /// Which of its blocks are right; empty while there is no header to tell by.
    good: Vec<bool>,
}

impl Piece {
    /// The bytes of `window`, if it is within and right.
    fn right(&self, window: &Range<usize>) -> Option<Bytes> {
        let blocks = window.start / BLOCK_BYTES..window.end.div_ceil(BLOCK_BYTES);
        let first = self.window.start / BLOCK_BYTES;
        let is_right = blocks.start >= first
            && window.end <= self.window.end
            && self.good.get(blocks.start - first..blocks.end - first)?.iter().all(|good| *good);
        let bytes = self.bytes.as_ref().filter(|_| is_right)?;
        Some(bytes.slice(window.start - self.window.start..window.end - self.window.start))
    }

    fn covers(&self, window: &Range<usize>) -> bool {
        self.window.start <= window.start && window.end <= self.window.end
    }
}

/// One row being read.
struct Row<'a> {
    cells: &'a RowCells<'a>,
    place: RowPlace,
    header: Option<RowHeader>,
    pieces: Vec<Piece>,
    /// Cells that can't be read now, and why.
    missing: Vec<(usize, String)>,
    /// Cells of slow drives, which are waited for only when there is no other way.
    slow: Vec<usize>,
}

impl<'a> Row<'a> {
    fn new(cells: &'a RowCells<'a>, place: RowPlace) -> Row<'a> {
        Row {
            cells,
            place,
            header: None,
            pieces: Vec::new(),
            missing: Vec::new(),
            slow: Vec::new(),
        }
    }

    /// Appends `part` of the row's payload to `out`, in pieces.
    fn read(mut self, part: Range<usize>, out: &mut Vec<Bytes>) -> Result<(), Error> {
        let parts: Vec<(usize, Range<usize>)> = self.place.cells_of(part).collect();
        let place = self.place;
        let wanted = parts.iter().map(|(cell, part)| (*cell, place.window(part))).collect();
        if self.cells.geometry.m > 0 {
            let wanted = self.around_absent(wanted);
            self.fetch(wanted, Patience::Hedged)?;
        } else {
            self.fetch(wanted, Patience::Full)?;
        }
        for (cell, part) in parts {
            let window = place.window(&part);
            let bytes = match self.right(cell, &window) {
                Some(bytes) => bytes,
                None => self.rebuild(cell, &window)?,
            };
            out.push(bytes.slice(part.start - window.start..part.end - window.start));
        }
        Ok(())
    }

    /// What to read for `wanted`: when some of it is known not to come in time, also what it is
    /// rebuilt from, so that this takes one wave, too.
    fn around_absent(&self, wanted: Vec<(usize, Range<usize>)>) -> Vec<(usize, Range<usize>)> {
        let (set, members) = (&self.cells.inner.set, self.cells.members);
        let is_good = |cell: usize| set.is_at_hand(members[cell]);
        let hull = |a: &Range<usize>, b: &Range<usize>| a.start.min(b.start)..a.end.max(b.end);
        let absent = wanted.iter().filter(|(cell, _)| !is_good(*cell)).map(|(_, window)| window);
        let Some(lacking) = absent.cloned().reduce(|a, b| hull(&a, &b)) else { return wanted };
        let good = wanted.iter().filter(|(cell, _)| is_good(*cell));
        let mut around: Vec<_> = good.map(|(cell, w)| (*cell, hull(w, &lacking))).collect();
        let others = (0..members.len()).filter(|i| wanted.iter().all(|(cell, _)| cell != i));
        let k = usize::from(self.cells.geometry.k);
        let missing = k.saturating_sub(around.len());
        around.extend(others.filter(|i| is_good(*i)).take(missing).map(|i| (i, lacking.clone())));
        if around.len() < k { wanted } else { around }
    }

    /// Reads windows of cells, and verifies all that was read so far as soon as there is a header.
    /// `Corrupt` when the header is of another row than expected.
    fn fetch(
        &mut self,
        wanted: Vec<(usize, Range<usize>)>,
        patience: Patience,
    ) -> Result<(), Error> {
        let fetched = self.cells.fetch_with(self.place, wanted, patience);
        self.take_in(fetched)
    }

    /// Waits for slow drives until `block` of `cell` can be told, or none is left.
    fn wait_for_slow(
        &mut self,
        cell: usize,
        block: &Range<usize>,
        window: &Range<usize>,
    ) -> Result<(), Error> {
        let cells = self.cells;
        let slow = std::mem::take(&mut self.slow);
        let (slow, jobs): (Vec<usize>, Vec<_>) =
            slow.into_iter().filter_map(|i| Some((i, cells.job(i, window)?))).unzip();
        let k = usize::from(cells.geometry.k);
        let mut wrong = None;
        DriveQueue::first(jobs, Work::Read, cells.patient_read(self.place), |i, read| {
            let label = || cells.inner.set.label(cells.members[slow[i]]);
            let read = read.map(Some).map_err(|e| Error::io(&label(), &e));
            wrong = self.take_in(vec![(slow[i], window.clone(), read)]).err();
            let have = (0..cells.members.len()).filter(|i| self.right(*i, block).is_some());
            wrong.is_some() || self.right(cell, block).is_some() || have.count() >= k
        });
        wrong.map_or(Ok(()), Err)
    }

    fn take_in(&mut self, fetched: Vec<(usize, Range<usize>, MaybeFetched)>) -> Result<(), Error> {
        for (cell, window, fetched) in fetched {
            match fetched {
                Ok(None) => self.slow.push(cell),
                Err(e) => {
                    if self.cells.inner.set.is_live(self.cells.members[cell]) {
                        tracing::warn!("{}: {e}", self.cells.describe(cell, self.place));
                        self.suspect(matches!(e, Error::Unavailable(_)));
                    }
                    self.missing.push((cell, e.to_string()));
                }
                Ok(Some(Fetched { header, bytes })) => {
                    if header.is_none() {
                        let what = self.cells.describe(cell, self.place);
                        tracing::warn!("no valid header before {what}");
                        self.suspect(false);
                    }
                    self.header = self.header.take().or(header);
                    self.pieces.push(Piece { cell, window, bytes, good: Vec::new() });
                }
            }
        }
        let Some(header) = &self.header else {
            return Ok(());
        };
        if header.place != self.place {
            return Err(Error::Corrupt(format!(
                "the row at {} of segment {} holds {} bytes, not {}",
                self.place.offset, self.cells.segment, header.place.data_len, self.place.data_len
            )));
        }
        let mut any_wrong = false;
        for piece in self.pieces.iter_mut().filter(|piece| piece.good.is_empty()) {
            piece.good = match &piece.bytes {
                Some(bytes) => header.right_blocks(piece.cell, &piece.window, bytes).collect(),
                None => vec![false; piece.window.len().div_ceil(BLOCK_BYTES)],
            };
            if let Some(wrong) = piece.good.iter().position(|good| !good) {
                let block = piece.window.start / BLOCK_BYTES + wrong;
                let what = self.cells.describe(piece.cell, self.place);
                tracing::warn!("block {block} of {what} is wrong");
                any_wrong = true;
            }
        }
        if any_wrong {
            self.suspect(false);
        }
        Ok(())
    }

    /// Has the row healed, or with `file` all of the segment, since a member has no file.
    fn suspect(&self, file: bool) {
        let (segment, offset) = (self.cells.segment, self.place.offset);
        self.cells.inner.health.suspect(match file {
            true => Suspect::Files { segment },
            false => Suspect::Row { segment, offset },
        });
    }

    fn right(&self, cell: usize, window: &Range<usize>) -> Option<Bytes> {
        self.pieces.iter().filter(|piece| piece.cell == cell).find_map(|piece| piece.right(window))
    }

    /// `window` of `cell` in one go, if that is possible: from `k` other cells of which all of it
    /// is here and right.
    fn rebuild_whole(&self, cell: usize, window: &Range<usize>) -> Option<Bytes> {
        let header = self.header.as_ref()?;
        let geometry = self.cells.geometry;
        let others = (0..geometry.cells()).map(|i| (i != cell).then(|| self.right(i, window)));
        let sources: Vec<Option<Bytes>> = others.map(Option::flatten).collect();
        let sources: Vec<Option<&[u8]>> = sources.iter().map(|s| s.as_deref()).collect();
        let mut buffer = self.cells.inner.read_buffers.take(window.len());
        let coder = Coder::new(geometry);
        let rebuilt = coder.reconstruct_into(&sources, &[cell], &mut [buffer.bytes_mut()])
            && header.right_blocks(cell, window, buffer.as_ref()).all(|right| right);
        rebuilt.then(|| buffer.into_bytes())
    }

    /// `window` of `cell`, block by block as it was read or from any `k` other cells.
    fn rebuild(&mut self, cell: usize, window: &Range<usize>) -> Result<Bytes, Error> {
        if let Some(bytes) = self.rebuild_whole(cell, window) {
            return Ok(bytes);
        }
        let mut out = Vec::with_capacity(window.len());
        for start in window.clone().step_by(BLOCK_BYTES) {
            let block = start..window.end.min(start + BLOCK_BYTES);
            out.extend_from_slice(&self.block(cell, block, window)?);
        }
        Ok(Bytes::from(out))
    }

    /// One block of `cell`. Others are read for all of `window`, whose next blocks will be wanted
    /// too.
    fn block(
        &mut self,
        cell: usize,
        block: Range<usize>,
        window: &Range<usize>,
    ) -> Result<Bytes, Error> {
        let geometry = self.cells.geometry;
        let k = usize::from(geometry.k);
        let sources = loop {
            // It may only have waited for a header.
            if let Some(bytes) = self.right(cell, &block) {
                return Ok(bytes);
            }
            let others = (0..geometry.cells()).map(|i| (i != cell).then(|| self.right(i, &block)));
            let sources: Vec<Option<Bytes>> = others.map(Option::flatten).collect();
            let have = sources.iter().flatten().count();
            if have >= k {
                break sources;
            }
            let tried = |i: usize| {
                self.missing.iter().any(|(missing, _)| *missing == i)
                    || self.slow.contains(&i)
                    || self.pieces.iter().any(|p| p.cell == i && p.covers(&block))
            };
            let untried = (0..geometry.cells()).filter(|i| !tried(*i)).take(k - have);
            let untried: Vec<_> = untried.map(|i| (i, window.clone())).collect();
            if !untried.is_empty() {
                self.fetch(untried, Patience::Hedged)?;
            } else if !self.slow.is_empty() {
                // There is no other way than to wait, until there is enough.
                self.wait_for_slow(cell, &block, window)?;
            } else {
                return Err(self.too_few(cell, &block, have));
            }
        };
        let cells: Vec<Option<&[u8]>> = sources.iter().map(|s| s.as_deref()).collect();
        let rebuilt = Coder::new(geometry).reconstruct(&cells, cell).expect("k cells are there");
        let header = self.header.as_ref().expect("the sources were verified with it");
        if !header.right_blocks(cell, &block, &rebuilt).all(|good| good) {
            let what = self.cells.describe(cell, self.place);
            return Err(Error::Corrupt(format!("{what} does not fit the others")));
        }
        Ok(Bytes::from(rebuilt))
    }

    fn too_few(&self, cell: usize, block: &Range<usize>, have: usize) -> Error {
        let k = usize::from(self.cells.geometry.k);
        let mut why: Vec<String> = self.missing.iter().map(|(_, why)| why.clone()).collect();
        for piece in self.pieces.iter().filter(|p| p.covers(block) && p.right(block).is_none()) {
            why.push(format!("{} is wrong", self.cells.describe(piece.cell, self.place)));
        }
        let text = format!(
            "{} is bad, and {have} of the {k} cells to rebuild it from are good: {}",
            self.cells.describe(cell, self.place),
            why.join("; ")
        );
        // What is not here now may be good when it is back.
        let itself = self.missing.iter().any(|(missing, _)| *missing == cell);
        if itself || have + self.missing.len() >= k {
            Error::Unavailable(text)
        } else {
            Error::Corrupt(text)
        }
    }
}

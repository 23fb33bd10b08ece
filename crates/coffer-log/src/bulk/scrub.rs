//! Scrubbing a bulk segment: its headers, and each row that any header tells of, whether a commit
//! names it or not.
//!
//! Rows follow one another, but one that was torn by a power cut may have no header anywhere, so
//! where none is valid the next is looked for at every 4 KiB. What lies between is nobody's: rows
//! that were never named, since those that are were durable on every member first.

use std::collections::BTreeSet;
use std::ops::Range;

use coffer_base::buffer::ALIGN;
use coffer_base::drive::{Access, DriveFile};
use coffer_base::{AlignedBuf, DriveId};

use super::row::{ROW_HEADER_BYTES, RowHeader, rows_of};
use crate::error::Error;
use crate::extent::Extent;
use crate::geometry::Geometry;
use crate::inner::Inner;
use crate::scrub::{Block, Blocks, Outcome, Scrubber, Targets, read_one};
use crate::segment::{BLOCK_BYTES, FileKind, HEADER_BYTES, Header, Layout, Segment};

/// Bytes of each file that are read at first: the last row's length, within these.
const READ_BYTES: Range<usize> = 64 << 10..4 << 20;

/// Verifies all rows of `segment`, or the one at `only`, and heals what is wrong. With `make`,
/// files that are missing are made anew.
pub(crate) fn scrub_rows(
    scrubber: &mut Scrubber<'_>,
    segment: &Segment,
    only: Option<u64>,
    make: bool,
) {
    let Layout::Bulk { geometry, members } = &segment.layout else { return };
    let inner = scrubber.inner;
    // Before the files are looked at: where rows are being written is left alone, and so are
    // files that are missing as long as their lane may write to them without a name.
    let mut filling = inner.bulk.filling(segment.id);
    let mut targets = scrubber.open(segment.id, FileKind::Bulk, members, make && filling.is_none());
    if make && filling.is_some() {
        let missing = |i: &usize| !targets.has(*i) && scrubber.takes_writes(members[*i]);
        let missing: Vec<usize> = (0..members.len()).filter(missing).collect();
        if !missing.is_empty() {
            inner.bulk.retire(inner, segment.id);
            filling = inner.bulk.filling(segment.id);
        }
        if !missing.is_empty() && filling.is_none() {
            targets = scrubber.open(segment.id, FileKind::Bulk, members, true);
        } else {
            for index in missing {
                let label = inner.set.label(members[index]);
                let what = format!("the file of segment {} on {label} is missing", segment.id);
                let why = "rows are being written to the segment".to_owned();
                scrubber.found(members[index], what, Outcome::Later(why));
            }
        }
    }
    let settled = filling.unwrap_or(u64::MAX);
    let end = settled.min(targets.longest());
    let mut rows = Rows { segment, geometry: *geometry, members, rows_end: 0 };
    rows.scrub_headers(scrubber, &mut targets);
    let mut doubts = Doubts::default();
    let range = match only {
        Some(offset) => offset..(offset + 1).min(end),
        None => HEADER_BYTES..end,
    };
    rows.scrub_from(scrubber, &mut targets, range, Some(&mut doubts));
    rows.settle(scrubber, &mut targets, doubts);
    // After all that was healed: a page that was written may have made one file longer than any
    // was, and where a row ends in zeros the power may have cut it short on all members.
    let len = match only {
        Some(_) => rows.rows_end,
        None => targets.longest().max(rows.rows_end),
    };
    let len = len.min(settled);
    if !scrubber.stopped && !scrubber.gaps_only {
        scrubber.check_len(&mut targets, len);
    }
    if targets.any_fresh() {
        // What could be rebuilt was verified when it was; the same walk says what is there.
        let len = targets.longest().max(len);
        scrubber.finish_fresh(&mut targets, len, &mut |scrubber, cell, file, holes| {
            rows.reads_back(scrubber, cell, file, holes, end)
        });
    }
}

/// What may be a loss: whether anybody names it is asked when the segment was read, since it may
/// be named only after it was read.
#[derive(Default)]
struct Doubts {
    /// Rows with a header that can't be rebuilt.
    rows: Vec<u64>,
    /// Where no header is valid.
    headless: Vec<Range<u64>>,
}

/// The rows of one segment.
struct Rows<'a> {
    segment: &'a Segment,
    geometry: Geometry,
    members: &'a [DriveId],
    /// Where the last row ends that can be read or that is a loss, of those scrubbed so far.
    rows_end: u64,
}

impl Rows<'_> {
    fn header(&self, scrubber: &Scrubber<'_>, index: usize) -> Vec<u8> {
        let header = Header {
            kind: FileKind::Bulk,
            store: scrubber.inner.set.store,
            segment: self.segment.id,
            geometry: self.geometry,
            index: index as u8,
            members: self.members.to_vec(),
            sealed: None,
        };
        header.encode()
    }

    fn scrub_headers(&self, scrubber: &mut Scrubber<'_>, targets: &mut Targets) {
        let read = scrubber.read(targets, 0, HEADER_BYTES as usize);
        for (index, stored) in read.iter().enumerate() {
            let expected = self.header(scrubber, index);
            let what =
                |label: &str| format!("the header of segment {} on {label}", self.segment.id);
            if scrubber.compare(targets, index, 0, &expected, stored.as_deref(), &what) {
                scrubber.inner.health.set_gap(self.segment.id, self.members[index], false);
            }
        }
    }

    /// The headers at `offset` in `read`, one a member, that belong there.
    fn valid(
        &self,
        scrubber: &Scrubber<'_>,
        offset: u64,
        read: &[Option<AlignedBuf>],
        at: usize,
    ) -> Vec<Option<RowHeader>> {
        let (store, segment) = (scrubber.inner.set.store, self.segment.id);
        let valid = read.iter().enumerate().map(|(cell, bytes)| {
            let header = RowHeader::decode(bytes.as_ref()?.get(at..)?)?;
            header.is_at(store, segment, self.geometry, cell, offset).then_some(header)
        });
        valid.collect()
    }

    /// Scrubs the rows that begin in `range`. What may be a loss goes to `doubts`; without them it
    /// is judged at once.
    fn scrub_from(
        &mut self,
        scrubber: &mut Scrubber<'_>,
        targets: &mut Targets,
        range: Range<u64>,
        mut doubts: Option<&mut Doubts>,
    ) {
        let mut offset = range.start;
        let mut len = READ_BYTES.start;
        while offset < range.end && !scrubber.stopped && !scrubber.has_nothing_to_make(targets) {
            let mut read = scrubber.read_around(targets, offset, len);
            let headers = self.valid(scrubber, offset, &read, 0);
            let Some(header) = agreed(&headers) else {
                let told = headers.iter().flatten().count() > 1;
                if told {
                    self.tell_conflict(scrubber, offset, &headers);
                }
                let next = self.next_row(scrubber, offset, &read, len);
                match &mut doubts {
                    Some(doubts) if !told => doubts.headless.push(offset..offset + next as u64),
                    _ => {}
                }
                offset += next as u64;
                continue;
            };
            let stride = header.place.stride();
            if stride > len as u64 {
                len = stride as usize;
                read = scrubber.read_around(targets, offset, len);
            }
            self.scrub_row(scrubber, targets, &header, &read, doubts.as_deref_mut());
            if scrubber.of_suspect {
                targets.forget_cached(offset..offset + stride);
            }
            offset += stride;
            len = (stride as usize).clamp(READ_BYTES.start, READ_BYTES.end);
        }
    }

    /// How far behind `offset` the next valid header in `read` begins; all that was read when
    /// there is none.
    fn next_row(
        &self,
        scrubber: &Scrubber<'_>,
        offset: u64,
        read: &[Option<AlignedBuf>],
        len: usize,
    ) -> usize {
        let steps = (ALIGN..len).step_by(ALIGN);
        let has = |at: &usize| {
            let headers = self.valid(scrubber, offset + *at as u64, read, *at);
            headers.iter().any(Option::is_some)
        };
        steps.into_iter().find(has).unwrap_or(len)
    }

    /// Judges what may be a loss.
    fn settle(&mut self, scrubber: &mut Scrubber<'_>, targets: &mut Targets, doubts: Doubts) {
        if doubts.rows.is_empty() && doubts.headless.is_empty() {
            return;
        }
        scrubber.refresh_names(self.segment.id);
        for offset in doubts.rows {
            self.scrub_from(scrubber, targets, offset..offset + 1, None);
        }
        for range in doubts.headless {
            self.tell_headless(scrubber, range);
        }
    }

    /// Reports rows in `range` that somebody names and that no header tells of.
    fn tell_headless(&self, scrubber: &mut Scrubber<'_>, range: Range<u64>) {
        for at in range.step_by(ALIGN) {
            if !scrubber.is_known_loss(self.segment.id, at) {
                continue;
            }
            for member in self.members.iter().filter(|m| scrubber.inner.set.is_live(**m)) {
                let label = scrubber.inner.set.label(*member);
                let what = format!(
                    "the header of the row at {at} of segment {} on {label}",
                    self.segment.id
                );
                let why = "no member has a valid one".to_owned();
                scrubber.found(*member, what, Outcome::Lost(why));
            }
        }
    }

    fn tell_conflict(
        &self,
        scrubber: &mut Scrubber<'_>,
        offset: u64,
        headers: &[Option<RowHeader>],
    ) {
        let first = headers.iter().position(Option::is_some).unwrap_or(0);
        let what = format!("the row at {offset} of segment {}", self.segment.id);
        let why = "its valid headers contradict each other".to_owned();
        scrubber.found(self.members[first], what, Outcome::Lost(why));
    }

    fn scrub_row(
        &mut self,
        scrubber: &mut Scrubber<'_>,
        targets: &mut Targets,
        header: &RowHeader,
        read: &[Option<AlignedBuf>],
        doubts: Option<&mut Doubts>,
    ) {
        let place = header.place;
        let within = |number: usize| {
            let start = ROW_HEADER_BYTES + number * BLOCK_BYTES;
            start..place.stride().min((start + BLOCK_BYTES) as u64) as usize
        };
        let is_right = |block: Block, bytes: &[u8]| {
            let start = block.number * BLOCK_BYTES;
            header.right_blocks(block.cell, &(start..start + bytes.len()), bytes).all(|right| right)
        };
        let is_readable = |number: usize| {
            let right = read.iter().enumerate().filter(|(cell, bytes)| {
                let block = Block { cell: *cell, number };
                bytes.as_ref().is_some_and(|bytes| is_right(block, &bytes[within(number)]))
            });
            right.count() >= usize::from(self.geometry.k)
        };
        let readable = (0..place.blocks()).all(is_readable);
        if !readable {
            if let Some(doubts) = doubts {
                return doubts.rows.push(place.offset);
            }
            if !scrubber.is_loss(self.segment.id, place.offset) {
                return;
            }
        }
        self.rows_end = self.rows_end.max(place.offset + place.stride());
        let row = format!("the row at {} of segment {}", place.offset, self.segment.id);
        let mut expected = vec![0; ROW_HEADER_BYTES];
        for (index, stored) in read.iter().enumerate() {
            RowHeader { index: index as u8, ..header.clone() }.encode_into(&mut expected);
            let stored = stored.as_ref().map(|bytes| &bytes[..ROW_HEADER_BYTES]);
            let what = |label: &str| format!("the header before cell {index} of {row} on {label}");
            scrubber.compare(targets, index, place.offset, &expected, stored, &what);
        }
        let blocks = Blocks {
            geometry: self.geometry,
            at: place.cells_at(),
            len: place.cell_bytes,
            is_right: &is_right,
            place: &row,
        };
        for number in 0..place.blocks() {
            let stored: Vec<Option<&[u8]>> =
                read.iter().map(|r| r.as_ref().map(|bytes| &bytes[within(number)])).collect();
            scrubber.scrub_block(targets, &blocks, number, &stored);
        }
    }

    /// Whether a file that was made anew has the segment's header, and rows of which each block
    /// that was rebuilt is right.
    fn reads_back(
        &self,
        scrubber: &mut Scrubber<'_>,
        cell: usize,
        file: &dyn DriveFile,
        holes: &BTreeSet<u64>,
        end: u64,
    ) -> bool {
        let header = self.header(scrubber, cell);
        if read_one(file, 0, header.len()).as_deref() != Some(&header[..]) {
            return false;
        }
        let (store, segment) = (scrubber.inner.set.store, self.segment.id);
        let mut offset = HEADER_BYTES;
        while offset < end && !scrubber.stopped {
            let Some(bytes) = read_one(file, offset, ROW_HEADER_BYTES) else { return false };
            let header = RowHeader::decode(&bytes)
                .filter(|h| h.is_at(store, segment, self.geometry, cell, offset));
            let Some(header) = header else {
                offset += ALIGN as u64;
                continue;
            };
            let place = header.place;
            let Some(bytes) = read_one(file, place.cells_at(), place.cell_bytes) else {
                return false;
            };
            scrubber.has_read(place.stride());
            let whole = 0..place.cell_bytes;
            let right = header.right_blocks(cell, &whole, &bytes);
            // A block that could not be rebuilt was left out, and is told.
            let is_hole =
                |number: usize| holes.contains(&(place.cells_at() + (number * BLOCK_BYTES) as u64));
            if right.enumerate().any(|(number, right)| !right && !is_hole(number)) {
                return false;
            }
            offset += place.stride();
        }
        true
    }
}

/// What the headers of a row say, if any is valid and all that are say the same.
fn agreed(headers: &[Option<RowHeader>]) -> Option<RowHeader> {
    let first = headers.iter().flatten().next()?;
    let same = |other: &RowHeader| (other.place, &other.sums) == (first.place, &first.sums);
    headers.iter().flatten().all(same).then(|| first.clone())
}

/// The rows of which a header can be read, by `read` (cell, offset, length).
pub(crate) fn rows_present(
    inner: &Inner,
    segment: &Segment,
    read: &mut dyn FnMut(usize, u64, usize) -> Option<AlignedBuf>,
) -> Vec<Range<u64>> {
    let Layout::Bulk { geometry, members } = &segment.layout else { return Vec::new() };
    let end = inner.bulk.filling(segment.id).unwrap_or_else(|| {
        let name = FileKind::Bulk.file_name(segment.id);
        let len = |m: &DriveId| inner.set.file(*m, &name, Access::Direct).ok()?.len().ok();
        members.iter().filter_map(len).max().unwrap_or(0)
    });
    let store = inner.set.store;
    let mut rows = Vec::new();
    let mut offset = HEADER_BYTES;
    while offset < end {
        let header = (0..members.len()).find_map(|cell| {
            RowHeader::decode(&read(cell, offset, ROW_HEADER_BYTES)?)
                .filter(|h| h.is_at(store, segment.id, *geometry, cell, offset))
        });
        match header {
            None => offset += ALIGN as u64,
            Some(header) => {
                rows.push(offset..offset + header.place.stride());
                offset += header.place.stride();
            }
        }
    }
    rows
}

/// Where the rows of `extent` begin.
pub(crate) fn row_offsets(extent: &Extent, geometry: Geometry) -> Result<Vec<u64>, Error> {
    let rows = rows_of(extent, geometry.k, 0..extent.len)?;
    Ok(rows.map(|(place, _)| place.offset).collect())
}

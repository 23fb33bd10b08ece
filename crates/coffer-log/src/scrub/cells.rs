//! Scrubbing a sealed commit segment: the header and every block of every cell.

use coffer_base::drive::DriveFile;

use super::target::read_one;
use super::{Block, Blocks, Outcome, Scrubber, Targets};
use crate::body::block_checksum;
use crate::segment::{BLOCK_BYTES, FileKind, Header, Layout, Sealed, Segment};

/// Verifies all of `segment`, or the headers and block `only` of each cell, and heals what is
/// wrong. With `make`, files that are missing are made anew. Returns what is known of its
/// beginning, if anything is.
pub(super) fn scrub(
    scrubber: &mut Scrubber<'_>,
    segment: &Segment,
    only: Option<usize>,
    make: bool,
) -> Option<Sealed> {
    let Layout::Cells { geometry, members, header_bytes, cell_bytes, .. } = &segment.layout else {
        return None;
    };
    let (header_bytes, cell_bytes) = (*header_bytes, *cell_bytes);
    let mut targets = scrubber.open(segment.id, FileKind::Cell, members, make);
    let header = scrub_headers(scrubber, &mut targets, segment)?;
    let sealed = header.sealed.as_ref()?;
    let store = scrubber.inner.set.store;
    let is_right = |block: Block, bytes: &[u8]| {
        let expected = sealed.blocks[block.cell * sealed.blocks_per_cell() + block.number];
        block_checksum(store, segment.id, block.cell, block.number, bytes) == expected
    };
    let blocks = Blocks {
        geometry: *geometry,
        at: header_bytes,
        len: cell_bytes as usize,
        is_right: &is_right,
        place: &format!("segment {}", segment.id),
    };
    scrubber.scrub_blocks(&mut targets, &blocks, only);
    if only.is_none() && !scrubber.stopped {
        scrubber.check_len(&mut targets, header_bytes + cell_bytes);
    }
    scrubber.finish_fresh(&mut targets, header_bytes + cell_bytes, &mut |scrubber, cell, file| {
        reads_back(scrubber, file, &of_member(&header, cell), header_bytes, cell_bytes, &is_right)
    });
    header.sealed.clone()
}

/// Compares the headers with what they must be by those that are valid. `None` when none is.
fn scrub_headers(
    scrubber: &mut Scrubber<'_>,
    targets: &mut Targets,
    segment: &Segment,
) -> Option<Header> {
    let Layout::Cells { members, header_bytes, .. } = &segment.layout else { return None };
    let len = *header_bytes as usize;
    let read = scrubber.read(targets, 0, len);
    let fits = |bytes: &[u8]| Header::decode(bytes).filter(|header| is_of(header, segment));
    let valid = read.iter().flatten().find_map(|bytes| fits(bytes));
    let Some(valid) = valid else {
        for (index, member) in members.iter().enumerate() {
            if targets.has(index) {
                let label = scrubber.inner.set.label(*member);
                let what =
                    format!("the header of cell {index} of segment {} on {label}", segment.id);
                let why = "no member has a valid one".to_owned();
                scrubber.found(*member, what, Outcome::Lost(why));
                scrubber.inner.health.set_gap(segment.id, *member, true);
            }
        }
        return None;
    };
    for (index, member) in members.iter().enumerate() {
        let expected = of_member(&valid, index).encode();
        let what = |label: &str| format!("the header of segment {} on {label}", segment.id);
        let stored = read[index].as_deref();
        scrubber.compare(targets, index, 0, &expected, stored, &what);
        if targets.has(index) && !targets.is_fresh(index) && stored == Some(&expected[..]) {
            scrubber.inner.health.set_gap(segment.id, *member, false);
        }
    }
    Some(valid)
}

fn is_of(header: &Header, segment: &Segment) -> bool {
    let Layout::Cells { geometry, members, cell_bytes, body_bytes, last, chain_after, .. } =
        &segment.layout
    else {
        return false;
    };
    let Some(sealed) = &header.sealed else { return false };
    header.kind == FileKind::Cell
        && header.segment == segment.id
        && header.geometry == *geometry
        && header.members == *members
        && (sealed.cell_bytes, sealed.body_bytes) == (*cell_bytes, *body_bytes)
        && (sealed.last, sealed.chain_after) == (*last, *chain_after)
}

fn of_member(header: &Header, index: usize) -> Header {
    Header { index: index as u8, ..header.clone() }
}

/// Whether a file that was made anew has everything, past the page cache.
fn reads_back(
    scrubber: &mut Scrubber<'_>,
    file: &dyn DriveFile,
    header: &Header,
    header_bytes: u64,
    cell_bytes: u64,
    is_right: &dyn Fn(Block, &[u8]) -> bool,
) -> bool {
    let cell = usize::from(header.index);
    let stored = read_one(file, 0, header_bytes as usize);
    if stored.as_deref() != Some(&header.encode()[..]) {
        return false;
    }
    let blocks = header.sealed.as_ref().map_or(0, Sealed::blocks_per_cell);
    for number in 0..blocks {
        let start = (number * BLOCK_BYTES) as u64;
        let len = (cell_bytes - start).min(BLOCK_BYTES as u64) as usize;
        let right = read_one(file, header_bytes + start, len)
            .is_some_and(|bytes| is_right(Block { cell, number }, &bytes));
        scrubber.has_read(len as u64);
        if !right {
            return false;
        }
    }
    true
}

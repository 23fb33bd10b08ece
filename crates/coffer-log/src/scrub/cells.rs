//! Scrubbing a sealed commit segment: the header and every block of every cell.

use std::collections::BTreeSet;

use coffer_base::StoreId;
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
    if let Some(block) = only.filter(|_| scrubber.of_suspect) {
        let start = header_bytes + (block * BLOCK_BYTES) as u64;
        targets.forget_cached(0..header_bytes);
        targets.forget_cached(start..start + BLOCK_BYTES as u64);
    }
    if only.is_none() && !scrubber.gaps_only && !scrubber.stopped {
        scrubber.check_len(&mut targets, header_bytes + cell_bytes);
    }
    scrubber.finish_fresh(
        &mut targets,
        header_bytes + cell_bytes,
        &mut |scrubber, cell, file, holes| {
            reads_back(scrubber, file, &of_member(&header, cell), holes, header_bytes, &is_right)
        },
    );
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
    let store = scrubber.inner.set.store;
    let fits = |bytes: &[u8]| Header::decode(bytes).filter(|h| is_of(h, segment, store));
    let mut versions: Vec<Header> = Vec::new();
    for header in read.iter().flatten().filter_map(|bytes| fits(bytes)) {
        if versions.iter().all(|version| version.sealed != header.sealed) {
            versions.push(header);
        }
    }
    if versions.len() > 1 {
        let Some(right) = by_cells(scrubber, targets, segment, &versions) else {
            let what = format!("the headers of segment {} contradict each other", segment.id);
            let why = "the cells of none of them are there".to_owned();
            scrubber.found(members[usize::from(versions[0].index)], what, Outcome::Lost(why));
            return None;
        };
        versions = vec![right];
    }
    let Some(valid) = versions.pop() else {
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
        if scrubber.compare(targets, index, 0, &expected, stored, &what) {
            scrubber.inner.health.set_gap(segment.id, *member, false);
        }
    }
    Some(valid)
}

/// Of headers that say different things, the one whose cells are there: in each block in which they
/// differ, `k` of them. Two codewords have fewer than `k` cells in common, so one at most has.
fn by_cells(
    scrubber: &mut Scrubber<'_>,
    targets: &Targets,
    segment: &Segment,
    versions: &[Header],
) -> Option<Header> {
    let Layout::Cells { geometry, members, header_bytes, cell_bytes, .. } = &segment.layout else {
        return None;
    };
    let store = scrubber.inner.set.store;
    let sealed: Vec<&Sealed> =
        versions.iter().filter_map(|header| header.sealed.as_ref()).collect();
    let per_cell = sealed.first()?.blocks_per_cell();
    let mut fits: Vec<bool> = sealed.iter().map(|s| s.blocks_per_cell() == per_cell).collect();
    let mut differ = 0;
    for number in 0..per_cell {
        let sums = |s: &Sealed| -> Vec<_> {
            (0..members.len()).map(|cell| s.blocks.get(cell * per_cell + number).copied()).collect()
        };
        let sums: Vec<_> = sealed.iter().map(|s| sums(s)).collect();
        if sums.iter().all(|of| *of == sums[0]) {
            continue;
        }
        differ += 1;
        let start = (number * BLOCK_BYTES) as u64;
        let len = (cell_bytes - start).min(BLOCK_BYTES as u64) as usize;
        let read = scrubber.read(targets, header_bytes + start, len);
        for (of, fits) in sums.iter().zip(&mut fits) {
            let is_right = |cell: &usize| {
                let bytes = read[*cell].as_deref();
                bytes.is_some_and(|bytes| {
                    of[*cell] == Some(block_checksum(store, segment.id, *cell, number, bytes))
                })
            };
            let right = (0..members.len()).filter(is_right).count();
            *fits &= right >= usize::from(geometry.k);
        }
    }
    let mut fitting = versions.iter().zip(&fits).filter(|(_, fits)| **fits && differ > 0);
    let (right, _) = fitting.next()?;
    fitting.next().is_none().then(|| right.clone())
}

fn is_of(header: &Header, segment: &Segment, store: StoreId) -> bool {
    let Layout::Cells { geometry, members, cell_bytes, body_bytes, last, chain_after, .. } =
        &segment.layout
    else {
        return false;
    };
    let Some(sealed) = &header.sealed else { return false };
    header.kind == FileKind::Cell
        && header.store == store
        && header.segment == segment.id
        && header.geometry == *geometry
        && header.members == *members
        && (sealed.cell_bytes, sealed.body_bytes) == (*cell_bytes, *body_bytes)
        && (sealed.last, sealed.chain_after) == (*last, *chain_after)
}

fn of_member(header: &Header, index: usize) -> Header {
    Header { index: index as u8, ..header.clone() }
}

/// Whether a file that was made anew has everything but `holes`, past the page cache.
fn reads_back(
    scrubber: &mut Scrubber<'_>,
    file: &dyn DriveFile,
    header: &Header,
    holes: &BTreeSet<u64>,
    header_bytes: u64,
    is_right: &dyn Fn(Block, &[u8]) -> bool,
) -> bool {
    let cell = usize::from(header.index);
    let stored = read_one(file, 0, header_bytes as usize);
    if stored.as_deref() != Some(&header.encode()[..]) {
        return false;
    }
    let Some(sealed) = &header.sealed else { return false };
    for number in 0..sealed.blocks_per_cell() {
        if holes.contains(&(header_bytes + (number * BLOCK_BYTES) as u64)) {
            continue;
        }
        let start = (number * BLOCK_BYTES) as u64;
        let len = (sealed.cell_bytes - start).min(BLOCK_BYTES as u64) as usize;
        let right = read_one(file, header_bytes + start, len)
            .is_some_and(|bytes| is_right(Block { cell, number }, &bytes));
        scrubber.has_read(len as u64);
        if !right || scrubber.stopped {
            return false;
        }
    }
    true
}

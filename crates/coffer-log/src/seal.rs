//! Sealing: a commit segment that takes no more groups is re-encoded `k + m` as a unit, synced,
//! read back past the page cache, and only then do the cells get their names and the whole copies
//! go. Addresses stay.
//!
//! Crash points: before the renames, the copies are there and the temporary files are removed by
//! recovery; between the renames and the removal, both are there and recovery takes the cells if
//! they are as safe as the copies; after it, only the cells are. Cells of an earlier attempt are
//! never replaced by ones that were not read back: they may be what is left.

use std::sync::Arc;

use coffer_base::buffer::align_up;
use coffer_base::drive::queue::{Patience, Work};
use coffer_base::drive::{Access, Drive, DriveFile, DriveQueue};
use coffer_base::{AlignedBuf, DriveId};

use crate::body::{BodyReader, block_checksum, walk};
use crate::copies::{ClosedSegment, SYNC_BYTES, remove_copies};
use crate::erasure::Coder;
use crate::error::Error;
use crate::geometry::Geometry;
use crate::inner::Inner;
use crate::segment::{BLOCK_BYTES, FileKind, HEADER_BYTES, Header, Layout, Sealed, Segment};

/// The suffix of a cell file that is not whole yet.
pub(crate) const TEMPORARY: &str = ".new";

/// Seals `closed`, whose copies are in the table. Tries again over the rest when a drive fails.
pub(crate) fn seal(inner: &Inner, closed: &ClosedSegment) -> Result<(), Error> {
    assert!(closed.body_bytes > 0, "segment {} holds nothing", closed.id);
    let segment = inner
        .table
        .get(closed.id)
        .ok_or_else(|| Error::Corrupt(format!("segment {} is not in the table", closed.id)))?;
    let Layout::Copies(copies) = &segment.layout else { return Ok(()) };
    loop {
        let (geometry, members) = inner.members_for_sealing()?;
        match seal_over(inner, closed, copies, geometry, &members) {
            Ok(()) => {
                if !members.iter().all(|m| inner.set.is_live(*m)) {
                    // A drive went while we wrote: its cell does not count.
                    continue;
                }
                publish(inner, closed, geometry, &members, copies);
                coffer_base::failpoint::pass("seal.published");
                return Ok(());
            }
            Err(error) => {
                remove_temporaries(inner, closed, &members);
                if members.iter().all(|m| inner.set.is_live(*m)) {
                    return Err(error);
                }
            }
        }
    }
}

fn publish(
    inner: &Inner,
    closed: &ClosedSegment,
    geometry: Geometry,
    members: &[DriveId],
    copies: &[(DriveId, Arc<dyn DriveFile>)],
) {
    let cell_bytes = cell_bytes(closed.body_bytes, geometry);
    inner.table.insert(Segment {
        id: closed.id,
        layout: Layout::Cells {
            geometry,
            members: members.to_vec(),
            header_bytes: header_bytes(inner, closed, geometry, members),
            cell_bytes,
            body_bytes: closed.body_bytes,
            last: closed.last,
            chain_after: closed.chain_after,
        },
    });
    let holders: Vec<DriveId> = copies.iter().map(|(drive, _)| *drive).collect();
    remove_copies(inner, closed.id, &holders);
}

fn cell_bytes(body_bytes: u64, geometry: Geometry) -> u64 {
    align_up(body_bytes.div_ceil(u64::from(geometry.k)))
}

fn sealed_header(closed: &ClosedSegment, geometry: Geometry) -> Sealed {
    let mut sealed = Sealed {
        cell_bytes: cell_bytes(closed.body_bytes, geometry),
        body_bytes: closed.body_bytes,
        first: closed.first,
        last: closed.last,
        chain_before: closed.chain_before,
        chain_after: closed.chain_after,
        blocks: Vec::new(),
    };
    sealed.blocks = vec![0; sealed.blocks_per_cell() * geometry.cells()];
    sealed
}

fn header(
    inner: &Inner,
    closed: &ClosedSegment,
    geometry: Geometry,
    members: &[DriveId],
    index: usize,
    sealed: Sealed,
) -> Header {
    Header {
        kind: FileKind::Cell,
        store: inner.set.store,
        segment: closed.id,
        geometry,
        index: index as u8,
        members: members.to_vec(),
        sealed: Some(sealed),
    }
}

fn header_bytes(
    inner: &Inner,
    closed: &ClosedSegment,
    geometry: Geometry,
    members: &[DriveId],
) -> u64 {
    let sealed = sealed_header(closed, geometry);
    header(inner, closed, geometry, members, 0, sealed).encode().len() as u64
}

fn remove_temporaries(inner: &Inner, closed: &ClosedSegment, members: &[DriveId]) {
    let name = FileKind::Cell.file_name(closed.id);
    let temporary = format!("{name}{TEMPORARY}");
    for member in members {
        if let Ok(drive) = inner.set.drive(*member) {
            inner.set.forget_file(*member, &name);
            inner.set.forget_file(*member, &temporary);
            if let Err(e) = drive.remove(&temporary)
                && e.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(drive = %drive.label(), file = temporary, error = %e, "not removed");
            }
        }
    }
}

/// Encodes, syncs, reads back and renames. The first copy that gives a body which reads back
/// right is the source; if none does alone, the body is put together from all.
fn seal_over(
    inner: &Inner,
    closed: &ClosedSegment,
    copies: &[(DriveId, Arc<dyn DriveFile>)],
    geometry: Geometry,
    members: &[DriveId],
) -> Result<(), Error> {
    encode_right(inner, closed, copies, geometry, members)?;
    coffer_base::failpoint::pass("seal.read-back");
    name_cells(inner, closed, members)
}

/// Makes cells, under their temporary names, that read back right.
fn encode_right(
    inner: &Inner,
    closed: &ClosedSegment,
    copies: &[(DriveId, Arc<dyn DriveFile>)],
    geometry: Geometry,
    members: &[DriveId],
) -> Result<(), Error> {
    let mut error = None;
    for (drive, file) in copies.iter().filter(|(drive, _)| inner.set.is_live(*drive)) {
        let read = |offset: u64, buf: &mut [u8]| {
            coffer_base::drive::read_exact_at(file.as_ref(), buf, HEADER_BYTES + offset)
                .map_err(|e| Error::io(&inner.set.label(*drive), &e))
        };
        match encode_cells(inner, closed, geometry, members, &read)
            .and_then(|()| read_back(inner, closed, geometry, members, false))
        {
            Ok(()) => return Ok(()),
            Err(e) => {
                if !members.iter().all(|m| inner.set.is_live(*m)) {
                    return Err(e);
                }
                tracing::warn!(segment = %closed.id, drive = %inner.set.label(*drive), error = %e, "copy can't be sealed from");
                error = Some(e);
            }
        }
    }
    let files: Vec<_> = copies.iter().map(|(_, file)| file.clone()).collect();
    let mut body = vec![0u8; closed.body_bytes as usize];
    let mut reader = BodyReader::of_files(inner, closed.id, files, false, closed.body_bytes);
    let before = coffer_base::Position(closed.first.0 - 1);
    let range = 0..closed.body_bytes;
    let (end, ..) =
        walk(&mut reader, range, before, closed.chain_before, |group, offset, _chain| {
            let at = offset as usize;
            body[at..at + group.bytes.len()].copy_from_slice(&group.bytes);
            Ok::<bool, Error>(true)
        })?;
    if end != closed.body_bytes {
        return Err(error.unwrap_or_else(|| {
            Error::Unavailable(format!("no copy of segment {} is readable", closed.id))
        }));
    }
    let read = |offset: u64, buf: &mut [u8]| {
        buf.copy_from_slice(&body[offset as usize..offset as usize + buf.len()]);
        Ok(())
    };
    encode_cells(inner, closed, geometry, members, &read)?;
    read_back(inner, closed, geometry, members, true)
}

/// Fills the buffer with the body's bytes from an offset on.
type ReadBody<'a> = dyn Fn(u64, &mut [u8]) -> Result<(), Error> + 'a;

/// Bytes of each cell that are encoded at a time.
const STRIPE_BYTES: usize = 4 * BLOCK_BYTES;

fn encode_cells(
    inner: &Inner,
    closed: &ClosedSegment,
    geometry: Geometry,
    members: &[DriveId],
    read: &ReadBody<'_>,
) -> Result<(), Error> {
    let (k, n) = (usize::from(geometry.k), geometry.cells());
    let mut sealed = sealed_header(closed, geometry);
    let cell_bytes = sealed.cell_bytes;
    let blocks_per_cell = sealed.blocks_per_cell();
    let header_bytes = header_bytes(inner, closed, geometry, members);
    let temporary = FileKind::Cell.file_name(closed.id) + TEMPORARY;
    let failed = |member: DriveId, e: std::io::Error| failed(inner, member, e);

    inner.sealed.forget(closed.id);
    let mut files = Vec::new();
    for member in members {
        let drive = inner.set.drive(*member)?;
        // A cell of an earlier attempt stays until the new one takes its name: fewer copies than
        // at first may be left beside it.
        inner.set.forget_file(*member, &temporary);
        match drive.remove(&temporary) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed(*member, e)),
        }
        let file = drive.create(&temporary, Access::Buffered).map_err(|e| failed(*member, e))?;
        file.allocate(header_bytes + cell_bytes).map_err(|e| failed(*member, e))?;
        files.push(file);
    }

    coffer_base::failpoint::pass("seal.temporaries");
    let coder = Coder::new(geometry);
    let mut stripes: Vec<Vec<u8>> = vec![vec![0u8; STRIPE_BYTES]; n];
    let mut at = 0u64;
    while at < cell_bytes {
        let len = (cell_bytes - at).min(STRIPE_BYTES as u64) as usize;
        for (cell, stripe) in stripes[..k].iter_mut().enumerate() {
            let start = cell as u64 * cell_bytes + at;
            let have = closed.body_bytes.saturating_sub(start).min(len as u64) as usize;
            if have > 0 {
                read(start, &mut stripe[..have])?;
            }
            stripe[have..len].fill(0);
        }
        let (data, parity) = stripes.split_at_mut(k);
        let data: Vec<&[u8]> = data.iter().map(|s| &s[..len]).collect();
        let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(|s| &mut s[..len]).collect();
        coder.encode(&data, &mut parity);
        for (cell, stripe) in stripes.iter().enumerate() {
            for (i, data) in stripe[..len].chunks(BLOCK_BYTES).enumerate() {
                let block = at as usize / BLOCK_BYTES + i;
                sealed.blocks[cell * blocks_per_cell + block] =
                    block_checksum(inner.set.store, closed.id, cell, block, data);
            }
            files[cell]
                .write_at(&stripe[..len], header_bytes + at, false)
                .map_err(|e| failed(members[cell], e))?;
        }
        coffer_base::failpoint::pass("seal.stripe");
        at += len as u64;
        if at.is_multiple_of(SYNC_BYTES) {
            for (file, member) in files.iter().zip(members) {
                file.sync().map_err(|e| failed(*member, e))?;
            }
        }
    }

    let mut jobs = Vec::new();
    for (index, file) in files.into_iter().enumerate() {
        let bytes = header(inner, closed, geometry, members, index, sealed.clone()).encode();
        let drive = inner.set.drive(members[index])?;
        jobs.push((drive.queue().clone(), (file, bytes)));
    }
    let finish = move |(file, header): (Arc<dyn DriveFile>, Vec<u8>)| {
        coffer_base::failpoint::pass("seal.before-header");
        file.write_at(&header, 0, false)?;
        coffer_base::failpoint::pass("seal.header");
        file.sync()?;
        coffer_base::failpoint::pass("seal.synced");
        Ok(())
    };
    let results = DriveQueue::each(jobs, Work::Write, Patience::Full, finish);
    for (member, result) in members.iter().zip(results) {
        result.map_err(|e| failed(*member, e))?;
    }
    coffer_base::failpoint::pass("seal.encoded");
    Ok(())
}

/// Gives the cells, which read back right, their names.
fn name_cells(inner: &Inner, closed: &ClosedSegment, members: &[DriveId]) -> Result<(), Error> {
    let name = FileKind::Cell.file_name(closed.id);
    let temporary = format!("{name}{TEMPORARY}");
    let mut jobs = Vec::new();
    for member in members {
        inner.set.forget_file(*member, &name);
        inner.set.forget_file(*member, &temporary);
        let drive = inner.set.drive(*member)?;
        jobs.push((drive.queue().clone(), drive));
    }
    let rename = move |drive: Arc<dyn Drive>| {
        drive.rename(&temporary, &name)?;
        coffer_base::failpoint::pass("seal.renamed");
        drive.sync_dir()?;
        coffer_base::failpoint::pass("seal.named");
        Ok(())
    };
    let results = DriveQueue::each(jobs, Work::Write, Patience::Full, rename);
    for (member, result) in members.iter().zip(results) {
        result.map_err(|e| failed(inner, *member, e))?;
    }
    Ok(())
}

/// A drive that failed is taken out.
fn failed(inner: &Inner, member: DriveId, e: std::io::Error) -> Error {
    match inner.set.take_out_failed(member, &e, "sealing") {
        Err(error) => error,
        Ok(()) => Error::io(&inner.set.label(member), &e),
    }
}

/// Reads all cells past the page cache: every block as its checksum says, and the groups in them
/// an unbroken chain to the end. `last`: no other way to encode is left, and a drive that does not
/// give back what was written to it is taken out.
fn read_back(
    inner: &Inner,
    closed: &ClosedSegment,
    geometry: Geometry,
    members: &[DriveId],
    last: bool,
) -> Result<(), Error> {
    let name = FileKind::Cell.file_name(closed.id) + TEMPORARY;
    let header_bytes = header_bytes(inner, closed, geometry, members);
    let cell_bytes = cell_bytes(closed.body_bytes, geometry);
    let wrong = |member: DriveId, what: String| {
        let what = format!("segment {}: {what}", closed.id);
        let e = std::io::Error::other(what.clone());
        if last && let Err(error) = inner.set.take_out_failed(member, &e, "sealing") {
            tracing::warn!(segment = %closed.id, %error, "the drive can't be taken out");
        }
        Error::Corrupt(what)
    };
    let mut buf = AlignedBuf::zeroed(STRIPE_BYTES);
    for (cell, member) in members.iter().enumerate() {
        let file = inner.set.file(*member, &name, Access::Direct)?;
        let mut raw = AlignedBuf::zeroed(header_bytes as usize);
        let n = file.read_at(&mut raw, 0).map_err(|e| Error::io(&inner.set.label(*member), &e))?;
        let header = Header::decode(&raw[..n]);
        let Some(Header { sealed: Some(sealed), .. }) = header else {
            return Err(wrong(*member, format!("the header of cell {cell} does not read back")));
        };
        let mut at = 0u64;
        while at < cell_bytes {
            let len = (cell_bytes - at).min(STRIPE_BYTES as u64) as usize;
            let n = file
                .read_at(&mut buf[..len], header_bytes + at)
                .map_err(|e| Error::io(&inner.set.label(*member), &e))?;
            if n != len {
                return Err(wrong(*member, format!("cell {cell} is short")));
            }
            for (i, data) in buf[..len].chunks(BLOCK_BYTES).enumerate() {
                let block = at as usize / BLOCK_BYTES + i;
                let sum = block_checksum(inner.set.store, closed.id, cell, block, data);
                if sum != sealed.blocks[cell * sealed.blocks_per_cell() + block] {
                    let what = format!("block {block} of cell {cell} does not read back");
                    return Err(wrong(*member, what));
                }
            }
            at += len as u64;
        }
        inner.set.forget_file(*member, &name);
    }
    let segment = Segment {
        id: closed.id,
        layout: Layout::Cells {
            geometry,
            members: members.to_vec(),
            header_bytes,
            cell_bytes,
            body_bytes: closed.body_bytes,
            last: closed.last,
            chain_after: closed.chain_after,
        },
    };
    let mut reader = BodyReader::under(inner, &segment, TEMPORARY);
    let before = coffer_base::Position(closed.first.0 - 1);
    let range = 0..closed.body_bytes;
    let (end, position, chain) =
        walk(&mut reader, range, before, closed.chain_before, |_, _, _| Ok::<bool, Error>(true))?;
    if end != closed.body_bytes || position != closed.last || chain != closed.chain_after {
        return Err(Error::Corrupt(format!(
            "segment {}: the groups read back end at offset {end}, position {}, not {}, {}",
            closed.id, position.0, closed.body_bytes, closed.last.0
        )));
    }
    Ok(())
}

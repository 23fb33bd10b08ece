//! Reading bulk rows that are in the memory of the system, without waiting for a drive.

use std::ops::Range;

use bytes::Bytes;
use coffer_base::drive::{Access, DriveFile};

use super::row::{ROW_HEADER_BYTES, RowHeader, rows_of};
use crate::extent::Extent;
use crate::inner::Inner;
use crate::segment::{FileKind, Layout, Segment};

/// What is longer is not read here: the caller's thread has other things to do as well.
const NOW_BYTES_MAX: u64 = 1 << 20;

/// What [`super::read_bulk`] would give, if it lies in one row, is not long, needs no rebuilding,
/// and all of it is in memory, in files that are open. Verified as there. `None` tells nothing:
/// the read that waits finds out why, and says so.
pub(crate) fn read_bulk_now(
    inner: &Inner,
    segment: &Segment,
    extent: &Extent,
    range: Range<u64>,
) -> Option<Bytes> {
    let Layout::Bulk { geometry, members } = &segment.layout else { return None };
    if range.end - range.start > NOW_BYTES_MAX {
        return None;
    }
    let mut rows = rows_of(extent, geometry.k, range).ok()?;
    let (place, part) = rows.next()?;
    if rows.next().is_some() {
        return None;
    }
    // They follow each other, and so do their windows: only the first may begin before what is
    // wanted, and only the last end after it.
    let windows = place.cells_of(part.clone()).map(|(cell, part)| (cell, place.window(&part)));
    let windows: Vec<(usize, Range<usize>)> = windows.collect();
    let before = part.start - windows[0].0 * place.cell_bytes - windows[0].1.start;
    let mut buffer = inner.read_buffers.take(windows.iter().map(|(_, w)| w.len()).sum());
    let name = FileKind::Bulk.file_name(segment.id);
    let mut header = None;
    let mut rest = buffer.bytes_mut();
    for (cell, window) in windows {
        let file = inner.set.opened_file(members[cell], &name, Access::Buffered)?;
        let header = match &header {
            Some(header) => header,
            None => {
                let mut bytes = [0; ROW_HEADER_BYTES];
                fill_now(&*file, &mut bytes, place.offset)?;
                let read = RowHeader::decode(&bytes).filter(|read| {
                    read.is_at(inner.set.store, segment.id, *geometry, cell, place.offset)
                        && read.place == place
                })?;
                header.insert(read)
            }
        };
        let (bytes, others) = rest.split_at_mut(window.len());
        fill_now(&*file, bytes, place.cells_at() + window.start as u64)?;
        if !header.right_blocks(cell, &window, bytes).all(|right| right) {
            return None;
        }
        rest = others;
    }
    Some(buffer.into_bytes().slice(before..before + part.len()))
}

/// Fills `buf`, or gives up.
fn fill_now(file: &dyn DriveFile, buf: &mut [u8], offset: u64) -> Option<()> {
    (file.read_at_now(buf, offset)? == buf.len()).then_some(())
}

#[cfg(test)]
mod tests;

//! Checking bulk rows at rest.
//!
//! Whether a damaged row is a loss or the dead remains of an interrupted write, only the catalog
//! knows. So rows are checked by the extents that name them, and a segment by itself only for
//! what is durable before its first row.

use coffer_base::DriveId;
use coffer_base::drive::{Access, read_exact_at};

use super::reader::{Fetched, RowCells};
use super::row::{RowPlace, rows_of};
use crate::erasure::Coder;
use crate::error::Error;
use crate::extent::Extent;
use crate::inner::Inner;
use crate::segment::{FileKind, HEADER_BYTES, Header, Layout, Segment};

/// Reports each member's file of a bulk segment that is not there or has no valid header, unless
/// no row was ever written: then its creation may have been cut short.
pub(crate) fn verify_bulk_segment(
    inner: &Inner,
    segment: &Segment,
    report: &mut dyn FnMut(String),
) {
    let Layout::Bulk { geometry, members } = &segment.layout else {
        return report(format!("segment {} has no bulk rows", segment.id));
    };
    let name = FileKind::Bulk.file_name(segment.id);
    let holds_rows = |member: &DriveId| {
        let file = inner.set.file(*member, &name, Access::Buffered);
        file.is_ok_and(|file| file.len().is_ok_and(|len| len > HEADER_BYTES))
    };
    if !members.iter().any(holds_rows) {
        return;
    }
    for (index, member) in members.iter().enumerate() {
        let drive = inner.set.label(*member);
        let mut bytes = vec![0; HEADER_BYTES as usize];
        let read = inner.set.file(*member, &name, Access::Buffered).and_then(|file| {
            read_exact_at(&*file, &mut bytes, 0).map_err(|e| Error::io(&drive, &e))
        });
        if let Err(e) = read {
            report(format!("bulk segment {}: no file of cell {index}: {e}", segment.id));
            continue;
        }
        let expected = Header {
            kind: FileKind::Bulk,
            store: inner.set.store,
            segment: segment.id,
            geometry: *geometry,
            index: index as u8,
            members: members.clone(),
            sealed: None,
        };
        if Header::decode(&bytes) != Some(expected) {
            report(format!("{name} on {drive} has no valid header"));
        }
    }
}

/// Checks every cell of every row of a live extent, parity included: header and blocks against
/// their checksums, headers against each other, parity against data. A member that is not there
/// is one finding, whatever the number of rows.
pub(crate) fn verify_extent(
    inner: &Inner,
    segment: &Segment,
    extent: &Extent,
    report: &mut dyn FnMut(String),
) {
    let whole_rows = u64::MAX;
    let cells = match RowCells::new(inner, segment, whole_rows) {
        Ok(cells) => cells,
        Err(e) => return report(e.to_string()),
    };
    let rows = match rows_of(extent, cells.geometry.k, 0..extent.len) {
        Ok(rows) => rows,
        Err(e) => return report(e.to_string()),
    };
    let mut absent = vec![false; cells.members.len()];
    for (place, _) in rows {
        verify_row(&cells, place, &mut absent, report);
    }
}

fn verify_row(
    cells: &RowCells<'_>,
    place: RowPlace,
    absent: &mut [bool],
    report: &mut dyn FnMut(String),
) {
    let window = 0..place.cell_bytes;
    let wanted: Vec<_> =
        (0..absent.len()).filter(|i| !absent[*i]).map(|i| (i, window.clone())).collect();
    let mut headers = Vec::new();
    let mut stored = vec![None; absent.len()];
    for (cell, _, fetched) in cells.fetch(place, wanted) {
        let what = || cells.describe(cell, place);
        match fetched {
            Err(e @ Error::Unavailable(_)) => {
                absent[cell] = true;
                report(format!("{}, and the rows after it: {e}", what()));
            }
            Err(e) => report(format!("{}: {e}", what())),
            Ok(Fetched { header, bytes }) => {
                match header {
                    None => report(format!("{} has no valid header", what())),
                    Some(header) if header.place != place => report(format!(
                        "{} is of a row of {} bytes, not {}",
                        what(),
                        header.place.data_len,
                        place.data_len
                    )),
                    Some(header) => headers.push((cell, header)),
                }
                match bytes {
                    None => report(format!("{} ends early", what())),
                    Some(bytes) => stored[cell] = Some(bytes),
                }
            }
        }
    }
    let Some((_, header)) = headers.first() else {
        return;
    };
    for (cell, other) in &headers {
        if other.sums != header.sums {
            report(format!("{} has other checksums than its row", cells.describe(*cell, place)));
        }
    }
    let mut all_good = true;
    for (cell, bytes) in stored.iter().enumerate() {
        let Some(bytes) = bytes else {
            all_good = false;
            continue;
        };
        for (block, _) in
            header.right_blocks(cell, &window, bytes).enumerate().filter(|(_, right)| !right)
        {
            all_good = false;
            report(format!("block {block} of {} is wrong", cells.describe(cell, place)));
        }
    }
    if !all_good {
        return;
    }
    let good: Vec<&[u8]> = stored.iter().flatten().map(|bytes| &bytes[..]).collect();
    let (data, parity) = good.split_at(usize::from(cells.geometry.k));
    let mut expected: Vec<Vec<u8>> = parity.iter().map(|p| vec![0; p.len()]).collect();
    let mut slots: Vec<&mut [u8]> = expected.iter_mut().map(Vec::as_mut_slice).collect();
    Coder::new(cells.geometry).encode(data, &mut slots);
    for (i, (parity, expected)) in parity.iter().zip(&expected).enumerate() {
        if parity != expected {
            let what = cells.describe(data.len() + i, place);
            report(format!("{what} is not the parity of the row's data"));
        }
    }
}

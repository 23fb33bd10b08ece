//! What a start changes in files: copies made alike before the decision, and what is dead removed
//! after it.

use std::io;

use coffer_base::{DriveId, Position};

use super::history::History;
use super::scan::{FoundFiles, HeadlessBulk};
use crate::body::{BodyReader, walk};
use crate::copies::ClosedSegment;
use crate::error::OpenError;
use crate::inner::Inner;
use crate::segment::{FileKind, HEADER_BYTES, Layout};

/// Makes all copies of an unsealed segment alike: groups that only some hold are written to the
/// others, into space that was reserved for them.
pub(super) fn level_copies(inner: &Inner, closed: &ClosedSegment) -> Result<(), OpenError> {
    let segment = inner.table.get(closed.id).expect("an open segment is in the table");
    let Layout::Copies(copies) = &segment.layout else { return Ok(()) };
    let before = Position(closed.first.0 - 1);
    for (drive, file) in copies {
        let mut own =
            BodyReader::of_files(inner, closed.id, vec![file.clone()], false, closed.body_bytes);
        let mut all = BodyReader::new(inner, &segment);
        let range = 0..closed.body_bytes;
        walk(&mut all, range, before, closed.chain_before, |group, offset, _| {
            let position = Position(group.header.position.0 - 1);
            if own.group(offset, position, group.header.chain_before).is_none() {
                file.write_at(&group.bytes, HEADER_BYTES + offset, false)
                    .map_err(|e| OpenError::io(&inner.set.label(*drive), &e))?;
            }
            Ok::<bool, OpenError>(true)
        })?;
        file.sync().map_err(|e| OpenError::io(&inner.set.label(*drive), &e))?;
    }
    Ok(())
}

/// Removes what is not part of history: prepared segments, copies of sealed ones, temporary
/// files. The decision is durable by now.
pub(super) fn remove_dead(inner: &Inner, found: &FoundFiles, history: &History) {
    let mut names: Vec<(DriveId, String)> = found.rubbish.clone();
    for (id, files) in &found.commit {
        let sealed = history.segments.contains(id)
            && matches!(inner.table.get(*id).map(|s| s.layout.clone()), Some(Layout::Cells { .. }));
        if sealed || !history.segments.contains(id) {
            let name = FileKind::Copy.file_name(*id);
            names.extend(files.copies.iter().map(|drive| (*drive, name.clone())));
        }
        if !history.segments.contains(id) {
            // Sealed beyond a recorded end: dead for good.
            let name = FileKind::Cell.file_name(*id);
            names.extend(files.cells.iter().map(|(drive, _)| (*drive, name.clone())));
        }
    }
    names.extend(
        never_whole(found).map(|file| (file.drive, FileKind::Bulk.file_name(file.segment))),
    );
    for (id, name) in names {
        let Ok(drive) = inner.set.drive(id) else { continue };
        inner.set.forget_file(id, &name);
        if let Err(e) = drive.remove(&name)
            && e.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(drive = %drive.label(), file = name, error = %e, "not removed");
        }
        coffer_base::failpoint::pass("recovery.dead-removed");
    }
}

/// Bulk files whose making was cut short. No row is written before all members' headers are
/// durable, so a file that ends there without a valid one, of a segment of which no other drive
/// knows either, was never written to. Should a drive that is away have the segment, it lacks
/// nothing here that a scrub could not make anew.
fn never_whole(found: &FoundFiles) -> impl Iterator<Item = &HeadlessBulk> {
    found.headless.iter().filter(|file| {
        let has_rows = |f: &HeadlessBulk| f.segment == file.segment && !f.is_empty;
        !found.bulk.contains_key(&file.segment) && !found.headless.iter().any(has_rows)
    })
}

/// Tells of damaged headers of bulk files that are not just dead.
pub(super) fn tell_headless(inner: &Inner, found: &FoundFiles, notes: &mut Vec<String>) {
    for file in &found.headless {
        let (label, segment) = (inner.set.label(file.drive), file.segment);
        if found.bulk.contains_key(&segment) {
            tracing::warn!(drive = label, %segment, "a damaged header, which a scrub heals");
        } else if !file.is_empty {
            notes.push(format!(
                "bulk segment {segment} on {label} has a damaged header and no other drive has a \
                 valid one: its rows can't be read, and are kept"
            ));
        }
    }
}

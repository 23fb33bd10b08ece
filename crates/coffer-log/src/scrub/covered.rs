//! Which bytes a checksum covers. All others mean nothing:
//! - of a copy, what is behind the end of its groups: zeros, or a group that nobody was told of.
//!   A group is written over all of it, padding included.
//! - of a bulk file, what lies between rows that have a header: remains of rows that were being
//!   written when the power went. No commit names them.
//! - what a file has beyond its last cell or row, and files of no segment of history.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use coffer_base::DriveId;
use coffer_base::drive::{Access, DriveFile};

use super::target::read_one;
use crate::body::{BodyReader, walk};
use crate::bulk::rows_present;
use crate::inner::Inner;
use crate::lane::Shared;
use crate::mark::Chain;
use crate::segment::{FileKind, HEADER_BYTES, Layout, Segment};
use crate::superblock::NAMES;

/// A part of a file that means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The drive's label.
    pub drive: String,
    /// Name of the file.
    pub file: String,
    /// Bytes of it.
    pub range: Range<u64>,
}

pub(crate) fn covered(shared: &Arc<Shared>) -> Vec<Covered> {
    let inner = &shared.inner;
    let end = shared.end();
    let mut out = Vec::new();
    for member in inner.set.live() {
        for name in NAMES {
            push(inner, &mut out, member, name, 0..u64::MAX);
        }
    }
    let (mut position, mut chain) = (coffer_base::Position(0), Chain::default());
    for segment in inner.table.all() {
        let mut each = |members: &[DriveId], kind: FileKind, range: Range<u64>| {
            for member in members {
                push(inner, &mut out, *member, &kind.file_name(segment.id), range.clone());
            }
        };
        match &segment.layout {
            Layout::Cells { members, last, chain_after, .. } => {
                each(members, FileKind::Cell, 0..u64::MAX);
                (position, chain) = (*last, *chain_after);
            }
            Layout::Copies(copies) => {
                let mut reader = BodyReader::new(inner, &segment);
                let walked = walk(&mut reader, 0..u64::MAX, position, chain, |group, _, _| {
                    Ok::<bool, Infallible>(group.header.position <= end.position)
                });
                let Ok((body, last, after)) = walked;
                (position, chain) = (last, after);
                for (member, _) in copies {
                    let settled = inner.health.settled(segment.id, *member);
                    let end = (HEADER_BYTES + body).min(settled).max(HEADER_BYTES);
                    each(std::slice::from_ref(member), FileKind::Copy, 0..end);
                }
            }
            Layout::Bulk { members, .. } => {
                each(members, FileKind::Bulk, 0..HEADER_BYTES);
                for row in rows_of(inner, &segment) {
                    each(members, FileKind::Bulk, row);
                }
            }
        }
    }
    out
}

fn rows_of(inner: &Inner, segment: &Segment) -> Vec<Range<u64>> {
    let Layout::Bulk { members, .. } = &segment.layout else { return Vec::new() };
    let name = FileKind::Bulk.file_name(segment.id);
    let open = |member: &DriveId| inner.set.file(*member, &name, Access::Direct).ok();
    let files: Vec<Option<Arc<dyn DriveFile>>> = members.iter().map(open).collect();
    rows_present(inner, segment, &mut |cell, at, len| read_one(&**files[cell].as_ref()?, at, len))
}

fn push(inner: &Inner, out: &mut Vec<Covered>, member: DriveId, name: &str, range: Range<u64>) {
    let file = inner.set.drive(member).map(|drive| drive.open(name, Access::Direct));
    let Ok(Ok(file)) = file else { return };
    let end = file.len().map_or(0, |len| len.min(range.end));
    if range.start < end {
        let (drive, range) = (inner.set.label(member), range.start..end);
        out.push(Covered { drive, file: name.to_owned(), range });
    }
}

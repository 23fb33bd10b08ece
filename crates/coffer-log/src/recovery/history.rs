//! History as the files of the drives tell it: the longest unbroken chain of groups.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use coffer_base::drive::{Access, DriveFile};
use coffer_base::{DriveId, Position, SegmentId};

use super::scan::{CellHeader, CommitFiles, FoundFiles};
use crate::body::{BodyReader, walk};
use crate::copies::ClosedSegment;
use crate::error::OpenError;
use crate::inner::Inner;
use crate::mark::Chain;
use crate::segment::{FileKind, HEADER_BYTES, Layout, Segment};
use crate::superblock::Superblock;

/// History as the drives tell it.
pub(super) struct History {
    pub(super) position: Position,
    pub(super) chain: Chain,
    /// Unsealed segments that are part of it, to be sealed at these lengths.
    pub(super) open: Vec<ClosedSegment>,
    /// Commit segments that are part of it.
    pub(super) segments: HashSet<SegmentId>,
    /// Drives whose copy of an unsealed segment could not be read to its end: they may know more.
    pub(super) unread: Vec<(DriveId, io::Error)>,
}

pub(super) fn read_history(
    inner: &Inner,
    found: &FoundFiles,
    newest: &Superblock,
    weak: &[DriveId],
    notes: &mut Vec<String>,
) -> Result<History, OpenError> {
    // A drive that took part until the end has in its copies all that was acknowledged at `all` in
    // the last epoch. Of the m that may be harmed, those that are here may lie.
    let active = newest.members.iter().filter(|m| m.is_active());
    let gone = active.clone().filter(|m| !inner.set.is_live(m.id) || weak.contains(&m.id)).count();
    let harmed_most = newest.geometry.over(active.clone().count()).map_or(0, |g| usize::from(g.m));
    let knows_all = |ids: &[DriveId]| {
        let knows = |id: &DriveId| {
            inner.set.is_live(*id) && !weak.contains(id) && active.clone().any(|m| m.id == *id)
        };
        ids.iter().filter(|id| knows(id)).count() > harmed_most.saturating_sub(gone)
    };
    let mut history = History {
        position: Position(0),
        chain: Chain::default(),
        open: Vec::new(),
        segments: HashSet::new(),
        unread: Vec::new(),
    };
    for (id, files) in &found.commit {
        let bound = newest.bound_of(id.epoch());
        if files.is_dead(bound) && history.position >= bound.unwrap_or_default() {
            notes.push(format!("segment {id} lies beyond a recorded end of history"));
            continue;
        }
        if let Some(header) = complete_cells(inner, *id, files, bound)? {
            let sealed = &header.sealed;
            if sealed.chain_before == history.chain && sealed.first.0 == history.position.0 + 1 {
                history.position = sealed.last;
                history.chain = sealed.chain_after;
                history.segments.insert(*id);
                inner.table.insert(Segment { id: *id, layout: header.layout() });
                continue;
            }
            return Err(OpenError::Damaged(format!(
                "history breaks after position {}: segment {id} starts at {}",
                history.position.0, sealed.first.0
            )));
        }
        if files.copies.is_empty() {
            return Err(OpenError::Damaged(format!(
                "segment {id} has {} readable cells and needs more drives to be read",
                files.cells.len()
            )));
        }
        read_open(inner, *id, files, bound, &knows_all, &mut history, notes)?;
    }
    let (position, chain) = newest.decided;
    if history.position < position || (history.position == position && history.chain != chain) {
        if inner.options.force && history.position < position {
            notes.push(format!(
                "history ends at position {}, but reached {} when the store was last started: what \
                 lies between is given up, as --force says",
                history.position.0, position.0
            ));
            return Ok(history);
        }
        return Err(OpenError::Damaged(format!(
            "history ends at position {}, but reached {} when the store was last started",
            history.position.0, position.0
        )));
    }
    Ok(history)
}

/// The header of a sealed segment whose cells can be read. Beside copies that hold everything
/// the cells count only if every drive that is here has its own, and they may lose as many drives as
/// the copies: else sealing was cut short, and is done again. (A power cut may have undone the
/// removal of a copy, on a drive that lies: nothing may be sealed over whole cells from that.) Nor do
/// cells count that
/// go beyond the end that was decided for their epoch: they were sealed by a start that came to
/// nothing, on drives that were not here when the end was decided.
pub(super) fn complete_cells(
    inner: &Inner,
    id: SegmentId,
    files: &CommitFiles,
    bound: Option<Position>,
) -> Result<Option<CellHeader>, OpenError> {
    // An attempt that a lost drive cut short may have left cells of another shape.
    let alike = |header: &CellHeader| files.cells.iter().filter(|c| c.1.is_like(header)).count();
    let best = files
        .cells
        .iter()
        .map(|(_, header)| header)
        .filter(|header| bound.is_none_or(|bound| header.sealed.last <= bound))
        .filter(|header| alike(header) >= usize::from(header.geometry.k))
        .max_by_key(|header| {
            // A whole set of cells replaced what drives that were away then still hold.
            let alike = alike(header);
            (alike == header.members.len(), alike)
        });
    let Some(header) = best else { return Ok(None) };
    if files.copies.is_empty() {
        return Ok(Some(header.clone()));
    }
    let sealed = &header.sealed;
    let before = Position(sealed.first.0 - 1);
    let reads_whole = |reader: &mut BodyReader<'_>| {
        let walked = walk(reader, 0..sealed.body_bytes, before, sealed.chain_before, |_, _, _| {
            Ok::<bool, std::convert::Infallible>(true)
        });
        let Ok((end, _, chain)) = walked;
        end == sealed.body_bytes && chain == sealed.chain_after
    };
    let name = FileKind::Copy.file_name(id);
    let mut copies = Vec::new();
    for drive in &files.copies {
        copies.push(inner.set.file(*drive, &name, Access::Buffered)?);
    }
    let segment = Segment { id, layout: header.layout() };
    let mut copies = BodyReader::of_files(inner, id, copies, false, u64::MAX);
    if reads_whole(&mut copies) {
        let spare = alike(header) - usize::from(header.geometry.k);
        let goes_on = copies.group(sealed.body_bytes, sealed.last, sealed.chain_after).is_some();
        let cell_of = |id: &DriveId| files.cells.iter().any(|(d, c)| d == id && c.is_like(header));
        let all_here = inner.set.live().iter().all(cell_of);
        let as_safe = all_here && spare + 1 >= files.copies.len() && !goes_on;
        let cells_count = as_safe && reads_whole(&mut BodyReader::new(inner, &segment));
        return Ok(cells_count.then(|| header.clone()));
    }
    // Stale copies of a drive that was away.
    Ok(reads_whole(&mut BodyReader::new(inner, &segment)).then(|| header.clone()))
}

/// Reads an unsealed segment from its copies and, if it goes on where history stands, adds it.
pub(super) fn read_open(
    inner: &Inner,
    id: SegmentId,
    files: &CommitFiles,
    bound: Option<Position>,
    knows_all: &dyn Fn(&[DriveId]) -> bool,
    history: &mut History,
    notes: &mut Vec<String>,
) -> Result<(), OpenError> {
    let name = FileKind::Copy.file_name(id);
    let mut direct: Vec<Arc<dyn DriveFile>> = Vec::new();
    let mut copies = Vec::new();
    for drive in &files.copies {
        direct.push(inner.set.file(*drive, &name, Access::Direct)?);
        let here = inner.set.drive(*drive)?;
        let file =
            here.open(&name, Access::Buffered).map_err(|e| OpenError::io(&here.label(), &e))?;
        copies.push((*drive, file));
    }
    let mut reader = BodyReader::of_files(inner, id, direct, true, u64::MAX);
    let length = reader.longest();
    let (position, chain) = (history.position, history.chain);
    let (end, last, chain_after) = walk(&mut reader, 0..length, position, chain, |group, _, _| {
        let within = bound.is_none_or(|bound| group.header.position <= bound);
        Ok::<bool, OpenError>(within)
    })?;
    if let Some(newer) = reader.newer_group(end) {
        return Err(OpenError::NewerFormat(format!("{newer}; nothing was changed")));
    }
    let failures = reader.failures();
    let sealed_further = files.cells.iter().any(|(_, header)| {
        header.sealed.last > last && bound.is_none_or(|bound| header.sealed.last <= bound)
    });
    if sealed_further {
        let read = |i: usize| failures.iter().all(|(failed, _)| *failed != i);
        let copies = files.copies.iter().enumerate().filter(|(i, _)| read(*i));
        let witnesses: Vec<DriveId> = copies.map(|(_, drive)| *drive).collect();
        // An end that was decided for its epoch is known; what lies before it must be read.
        if bound.is_some() || !knows_all(&witnesses) {
            return Err(OpenError::Damaged(format!(
                "segment {id} was sealed beyond position {}, and its cells need more drives to be \
                 read",
                last.0
            )));
        }
        // By a start that was cut short, from a copy that is not here, which had a group that was
        // never acknowledged. Once sealing is done and copies go, all cells are there.
        notes.push(format!(
            "segment {id} was sealed by a start that came to nothing, beyond position {}: what came \
             after was not acknowledged on all drives",
            last.0
        ));
    }
    if let Some(lost) = later_group(&mut reader, end, length, last, bound) {
        return Err(OpenError::Damaged(format!(
            "segment {id} is damaged after position {}: position {} still stands behind it",
            last.0, lost.0
        )));
    }
    let failures = failures.into_iter().chain(reader.failures());
    history.unread.extend(failures.map(|(copy, e)| (files.copies[copy], e)));
    for drive in &files.copies {
        inner.set.forget_file(*drive, &name);
    }
    if end == 0 {
        // Prepared and never used, or of a history that was decided away.
        return Ok(());
    }
    notes.push(format!("segment {id} was open and is recovered to position {}", last.0));
    inner.table.insert(Segment { id, layout: Layout::Copies(copies) });
    history.open.push(ClosedSegment {
        id,
        body_bytes: end,
        first: Position(position.0 + 1),
        last,
        chain_before: chain,
        chain_after,
    });
    history.segments.insert(id);
    history.position = last;
    history.chain = chain_after;
    Ok(())
}

/// Looks behind the end of a segment's groups for one that can only have been written after the
/// group at the end was durable: then the end is damage, not a torn tail. One whole group may
/// stand there rightly: none of its predecessor's copies may have survived the power cut.
pub(super) fn later_group(
    reader: &mut BodyReader<'_>,
    end: u64,
    length: u64,
    last: Position,
    bound: Option<Position>,
) -> Option<Position> {
    let mut at = end;
    while at < length {
        if let Some(group) = reader.any_group(at) {
            let position = group.header.position;
            let dead = bound.is_some_and(|bound| position > bound);
            if position.0 > last.0 + 1 && !dead {
                return Some(position);
            }
        }
        at += HEADER_BYTES;
    }
    None
}

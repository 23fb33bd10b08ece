//! Scrubbing commit segments that are not sealed: each whole copy against the chain of groups.
//!
//! Where a copy may be written to by the lane is not looked at: a writer of the open segment says
//! how far it has synced, and what is before that is never written again by anybody else.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use coffer_base::buffer::ALIGN;
use coffer_base::drive::DriveFile;
use coffer_base::{AlignedBuf, DriveId, Position, SegmentId};

use super::failed::not_opened;
use super::target::read_one;
use super::{Access, Outcome, Scrubber};
use crate::body::{BodyReader, walk};
use crate::inner::Inner;
use crate::lane::Shared;
use crate::mark::{Chain, Mark};
use crate::segment::{FileKind, HEADER_BYTES, Header, Layout, Sealed, Segment};
use crate::set::DriveState;

/// How far history has been followed, to know which group a copy must go on with.
pub(super) struct History {
    /// What was acknowledged when the scrub began.
    end: Mark,
    position: Position,
    chain: Chain,
    /// The unsealed segment that lacks what does not follow, if anything more is to follow.
    unsealed: Option<Unsealed>,
}

/// A segment in which history was followed from copies.
struct Unsealed {
    segment: SegmentId,
    /// Who has copies.
    members: Vec<DriveId>,
    /// Something is where the next group would be.
    goes_on: bool,
}

impl History {
    pub fn new(end: Mark) -> History {
        History { end, position: Position(0), chain: Chain::default(), unsealed: None }
    }

    /// History before segment `id`.
    pub fn before(inner: &Inner, end: Mark, id: SegmentId) -> History {
        let mut history = History::new(end);
        for segment in inner.table.all().iter().filter(|segment| segment.id < id) {
            match &segment.layout {
                Layout::Bulk { .. } => {}
                Layout::Cells { last, chain_after, .. } => {
                    (history.position, history.chain) = (*last, *chain_after);
                }
                Layout::Copies(_) => {
                    let mut reader = BodyReader::new(inner, segment);
                    let Ok((_, position, chain)) = walk(
                        &mut reader,
                        0..u64::MAX,
                        history.position,
                        history.chain,
                        |g, _, _| Ok::<bool, Infallible>(g.header.position <= end.position),
                    );
                    (history.position, history.chain) = (position, chain);
                }
            }
        }
        history
    }

    /// A sealed segment was scrubbed; `sealed` is what its headers say, if one could be read.
    pub fn pass_sealed(
        &mut self,
        scrubber: &mut Scrubber<'_>,
        segment: &Segment,
        sealed: Option<&Sealed>,
    ) {
        let Layout::Cells { last, chain_after, .. } = &segment.layout else { return };
        if let Some(sealed) = sealed
            && (sealed.first.0 != self.position.0 + 1 || sealed.chain_before != self.chain)
        {
            self.tell_hole(scrubber);
        }
        (self.position, self.chain) = (*last, *chain_after);
        self.unsealed = None;
    }

    /// All segments were scrubbed.
    pub fn close(&mut self, scrubber: &mut Scrubber<'_>) {
        if self.position < self.end.position {
            self.tell_hole(scrubber);
        }
    }

    /// What follows in history is in no copy of the unsealed segment where it ended.
    fn tell_hole(&mut self, scrubber: &mut Scrubber<'_>) {
        let Some(Unsealed { segment, members, .. }) = self.unsealed.take() else { return };
        for member in members {
            let label = scrubber.inner.set.label(member);
            let what = format!(
                "the group after position {} in segment {segment} on {label}",
                self.position.0
            );
            scrubber.found(member, what, Outcome::Lost("no copy has it right".to_owned()));
        }
    }
}

/// One copy, past the page cache.
struct Copy {
    member: DriveId,
    label: String,
    file: Arc<dyn DriveFile>,
    /// Where in the file nobody writes any more.
    settled: u64,
}

pub(super) fn scrub(
    scrubber: &mut Scrubber<'_>,
    shared: &Arc<Shared>,
    segment: &Segment,
    history: &mut History,
) {
    let Layout::Copies(layout) = &segment.layout else { return };
    let inner = scrubber.inner;
    let name = FileKind::Copy.file_name(segment.id);
    let mut copies = Vec::new();
    let mut missing = Vec::new();
    for (member, _) in layout {
        // Before the file is looked at.
        let settled = inner.health.settled(segment.id, *member);
        let Ok(drive) = inner.set.drive(*member) else { continue };
        match drive.open(&name, Access::Direct) {
            Ok(file) => {
                copies.push(Copy { member: *member, label: drive.label(), file, settled });
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => match drive.probe() {
                Ok(()) => missing.push(*member),
                Err(e) => {
                    inner.set.take_out(*member, DriveState::Lost, &e.to_string());
                }
            },
            Err(e) => {
                let what = format!("{name} on {} can't be opened: {e}", drive.label());
                scrubber.found(*member, what, not_opened(&e));
            }
        }
    }
    // Sealing puts the cells into the table before it removes the copies.
    match inner.table.get(segment.id).as_deref() {
        None => return,
        Some(Segment { layout: Layout::Copies(_), .. }) => {}
        Some(sealed) => return history.pass_sealed(scrubber, sealed, None),
    }
    if scrubber.of_suspect {
        copies.iter().for_each(|copy| copy.file.forget_cached(0..i64::MAX as u64));
    }
    scrub_headers(scrubber, segment.id, &copies);
    scrub_groups(scrubber, segment.id, &copies, history);
    for member in missing {
        let what = format!("{name} on {} is missing", inner.set.label(member));
        // Its lane writes into a file without a name. Sealed, it is on all drives.
        let outcome = match shared.leave(segment.id) {
            Ok(()) => Outcome::Healed,
            Err(why) => Outcome::Refused(why),
        };
        scrubber.found(member, what, outcome);
    }
}

fn scrub_headers(scrubber: &mut Scrubber<'_>, segment: SegmentId, copies: &[Copy]) {
    let len = HEADER_BYTES as usize;
    let read: Vec<Option<AlignedBuf>> = copies.iter().map(|c| read_one(&*c.file, 0, len)).collect();
    let store = scrubber.inner.set.store;
    let valid = read.iter().flatten().find_map(|bytes| {
        Header::decode(bytes)
            .filter(|h| (h.kind, h.segment, h.store) == (FileKind::Copy, segment, store))
    });
    for (copy, stored) in copies.iter().zip(&read) {
        let what = || format!("the header of the copy of segment {segment} on {}", copy.label);
        let Some(valid) = &valid else {
            let why = "no copy has a valid one".to_owned();
            scrubber.found(copy.member, what(), Outcome::Lost(why));
            continue;
        };
        let Some(index) = valid.members.iter().position(|member| *member == copy.member) else {
            continue;
        };
        let expected = Header { index: index as u8, ..valid.clone() }.encode();
        if stored.as_deref() != Some(&expected[..]) {
            scrubber.heal(copy.member, &*copy.file, 0, &expected, what);
        }
    }
    scrubber.has_read((copies.len() * len) as u64);
}

fn scrub_groups(
    scrubber: &mut Scrubber<'_>,
    segment: SegmentId,
    copies: &[Copy],
    history: &mut History,
) {
    let inner = scrubber.inner;
    let end = history.end.position;
    let files = copies.iter().map(|copy| copy.file.clone()).collect();
    let mut reader = BodyReader::of_files(inner, segment, files, true, u64::MAX);
    let (from, chain) = (history.position, history.chain);
    let Ok((body, position, chain)) =
        walk(&mut reader, 0..u64::MAX, from, chain, |group, offset, _| {
            if group.header.position > end || scrubber.stopped {
                return Ok::<bool, Infallible>(false);
            }
            // The rest of the last page is zeros.
            let mut expected = AlignedBuf::zeroed(group.header.padded_bytes() as usize);
            expected[..group.bytes.len()].copy_from_slice(&group.bytes);
            let at = HEADER_BYTES + offset;
            let mut bytes = 0;
            for copy in copies.iter().filter(|c| c.settled >= at + expected.len() as u64) {
                let stored = read_one(&*copy.file, at, expected.len());
                bytes += expected.len() as u64;
                if stored.as_deref() != Some(&*expected) {
                    let position = group.header.position.0;
                    let label = &copy.label;
                    let what = || {
                        format!("the group at position {position} in segment {segment} on {label}")
                    };
                    scrubber.heal(copy.member, &*copy.file, at, &expected, what);
                }
            }
            scrubber.has_read(bytes);
            Ok(true)
        });
    if copies.is_empty() && position == from {
        return;
    }
    (history.position, history.chain) = (position, chain);
    let goes_on = copies.iter().any(|copy| has_bytes(copy, HEADER_BYTES + body));
    // Where history did not go on, it ended before, if anything tells so: this may be a segment
    // that nothing was written to yet.
    let ended_before = |before: &Unsealed| position == from && (before.goes_on || !goes_on);
    if history.unsealed.as_ref().is_some_and(ended_before) {
        return;
    }
    let members = copies.iter().map(|copy| copy.member).collect();
    history.unsealed = Some(Unsealed { segment, members, goes_on });
}

/// Whether the page at `at` is something else than zeros, or can't be read.
fn has_bytes(copy: &Copy, at: u64) -> bool {
    read_one(&*copy.file, at, ALIGN).is_none_or(|page| page.iter().any(|byte| *byte != 0))
}

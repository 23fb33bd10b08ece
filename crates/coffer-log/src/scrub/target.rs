//! The files of one segment as a scrub has them: reading them side by side past the page cache,
//! rebuilding a block of one from the others, putting it right.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use coffer_base::buffer::ALIGN;
use coffer_base::drive::queue::{Patience, Work};
use coffer_base::drive::{Drive, DriveFile, DriveQueue};
use coffer_base::{AlignedBuf, DriveId, SegmentId, failpoint};

use super::failed::{Failed, not_opened};
use super::{Outcome, Scrubber};
use crate::erasure::Coder;
use crate::geometry::Geometry;
use crate::seal::TEMPORARY;
use crate::segment::{BLOCK_BYTES, FileKind};
use crate::set::DriveState;

pub(crate) use coffer_base::drive::Access;

/// Bytes of each file that are read at a time.
pub(crate) const PIECE_BYTES: usize = 1 << 20;

/// One member's file.
struct Target {
    drive: Arc<dyn Drive>,
    file: Arc<dyn DriveFile>,
    /// It was missing and is made anew, under a temporary name.
    fresh: Option<Fresh>,
}

#[derive(Default)]
struct Fresh {
    /// Writing to it failed: what became of it.
    failed: Option<Outcome>,
    /// Blocks that could not be rebuilt, by where they begin in the file.
    holes: BTreeSet<u64>,
}

/// The files of a segment's members, those that can be opened.
pub(crate) struct Targets {
    name: String,
    segment: SegmentId,
    members: Vec<DriveId>,
    of: Vec<Option<Target>>,
}

/// What checks the blocks of a stripe: the same range in all members' files.
pub(crate) struct Blocks<'a> {
    pub geometry: Geometry,
    /// Where block 0 is in the files.
    pub at: u64,
    /// Bytes of all blocks in one file.
    pub len: usize,
    /// Whether these are the bytes of the block.
    pub is_right: &'a dyn Fn(Block, &[u8]) -> bool,
    /// Where the blocks are, for messages: "segment 1".
    pub place: &'a str,
}

/// Names a block within [`Blocks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub cell: usize,
    pub number: usize,
}

impl Blocks<'_> {
    /// The block's range, relative to block 0.
    fn range(&self, number: usize) -> Range<usize> {
        let start = number * BLOCK_BYTES;
        start..self.len.min(start + BLOCK_BYTES)
    }
}

impl Scrubber<'_> {
    /// Opens the files of a segment on live members. With `make`, those that are missing are made
    /// anew under a temporary name; else they are left out.
    pub fn open(
        &mut self,
        segment: SegmentId,
        kind: FileKind,
        members: &[DriveId],
        make: bool,
    ) -> Targets {
        let name = kind.file_name(segment);
        let mut of = Vec::with_capacity(members.len());
        for member in members {
            of.push(self.open_one(segment, &name, *member, make));
        }
        Targets { name, segment, members: members.to_vec(), of }
    }

    fn open_one(
        &mut self,
        segment: SegmentId,
        name: &str,
        member: DriveId,
        make: bool,
    ) -> Option<Target> {
        let drive = self.inner.set.drive(member).ok()?;
        let what = || format!("{name} on {}", drive.label());
        let error = match drive.open(name, Access::Direct) {
            Ok(file) => return Some(Target { drive, file, fresh: None }),
            Err(e) => e,
        };
        if error.kind() != io::ErrorKind::NotFound {
            let what = format!("{} can't be opened: {error}", what());
            self.found(member, what, not_opened(&error));
            return None;
        }
        if let Err(e) = drive.probe() {
            // The whole drive went: nothing to heal, but to leave.
            self.inner.set.take_out(member, DriveState::Lost, &e.to_string());
            return None;
        }
        self.inner.health.set_gap(segment, member, true);
        if !make || !self.takes_growth(member) {
            return None;
        }
        let temporary = format!("{name}{TEMPORARY}");
        let made = match drive.remove(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => drive.create(&temporary, Access::Direct),
        };
        match made {
            Ok(file) => {
                failpoint::pass("heal.file-created");
                Some(Target { drive, file, fresh: Some(Fresh::default()) })
            }
            Err(e) => {
                let what = format!("{} is missing", what());
                let outcome = self.failed(member, &e, Failed::Write);
                self.found(member, what, outcome);
                None
            }
        }
    }

    /// Reads `len` bytes at `at` of every file that is not made anew; `None` where there is none,
    /// or it can't be read. What lies beyond a file's end is zeros.
    pub fn read(&mut self, targets: &Targets, at: u64, len: usize) -> Vec<Option<AlignedBuf>> {
        let read = self.read_unpaced(targets, at, len);
        self.has_read(read.iter().flatten().count() as u64 * len as u64);
        read
    }

    /// As [`Scrubber::read`]. Where a file can't be read as a whole, it is read page by page, and
    /// pages that can't be read are [`UNREADABLE`]: one bad sector hides nothing else.
    pub fn read_around(
        &mut self,
        targets: &Targets,
        at: u64,
        len: usize,
    ) -> Vec<Option<AlignedBuf>> {
        let mut read = self.read(targets, at, len);
        for (index, bytes) in read.iter_mut().enumerate() {
            let Some(Target { file, fresh: None, .. }) = &targets.of[index] else { continue };
            let is_here = || self.inner.set.is_live(targets.members[index]);
            if bytes.is_none() && len > ALIGN && is_here() {
                *bytes = read_pages(&**file, at, len, &is_here);
                self.has_read(len as u64);
            }
        }
        read
    }

    fn read_unpaced(&self, targets: &Targets, at: u64, len: usize) -> Vec<Option<AlignedBuf>> {
        let old = targets.of.iter().enumerate().filter_map(|(i, target)| {
            let target = target.as_ref().filter(|target| target.fresh.is_none())?;
            Some((i, target.drive.queue().clone(), target.file.clone()))
        });
        let (indexes, asked): (Vec<usize>, Vec<_>) =
            old.map(|(i, queue, file)| (i, (queue, file))).unzip();
        let read = move |file: Arc<dyn DriveFile>| {
            let mut bytes = AlignedBuf::zeroed(len);
            file.read_at(&mut bytes, at)?;
            Ok(bytes)
        };
        let mut all: Vec<Option<AlignedBuf>> = targets.of.iter().map(|_| None).collect();
        let answers = DriveQueue::each(asked, Work::Look, Patience::Full, read);
        for (i, answer) in indexes.into_iter().zip(answers) {
            all[i] = answer.ok();
        }
        all
    }

    /// Makes files that end before `len` that long: a cut-off end of zeros is missed by no
    /// checksum, but by readers.
    pub fn check_len(&mut self, targets: &mut Targets, len: u64) {
        for index in 0..targets.of.len() {
            let Some(Target { drive, file, fresh: None }) = &targets.of[index] else { continue };
            let member = targets.members[index];
            let short = matches!(file.len(), Ok(have) if have < len);
            if !short || !self.takes_growth(member) {
                continue;
            }
            let what = format!("{} on {} ends early", targets.name, drive.label());
            let outcome = match file.set_len(len).map(|()| file.sync()) {
                Ok(Ok(())) => Outcome::Healed,
                Err(e) => self.failed(member, &e, Failed::Write),
                Ok(Err(e)) => self.failed(member, &e, Failed::Sync),
            };
            self.found(member, what, outcome);
        }
    }

    /// Makes `len` bytes at `at` of `target`'s file `expected`, if they are not. `what` names it.
    /// Bytes that could not be read are wrong. Returns whether an existing file has them now.
    pub fn compare(
        &mut self,
        targets: &mut Targets,
        index: usize,
        at: u64,
        expected: &[u8],
        stored: Option<&[u8]>,
        what: &dyn Fn(&str) -> String,
    ) -> bool {
        let Some(target) = &targets.of[index] else { return false };
        if !self.inner.set.is_live(targets.members[index]) {
            return false;
        }
        if target.fresh.is_some() {
            self.write_fresh(targets, index, at, expected);
            return false;
        }
        if stored == Some(expected) {
            return true;
        }
        let (file, label) = (target.file.clone(), target.drive.label());
        self.heal(targets.members[index], &*file, at, expected, || what(&label))
    }

    /// Makes what is at `at` of an existing file `expected`, if it is not. Returns whether it is.
    pub fn heal(
        &mut self,
        member: DriveId,
        file: &dyn DriveFile,
        at: u64,
        expected: &[u8],
        what: impl FnOnce() -> String,
    ) -> bool {
        let inner = self.inner;
        let _one = inner.health.lock_healing();
        // Somebody else may have healed it meanwhile.
        let stored = read_one(file, at, expected.len());
        if stored.as_deref() == Some(expected) {
            return true;
        }
        if !inner.set.is_live(member) {
            return false;
        }
        let outcome = self.put_right(member, file, at, expected, stored.as_deref());
        let is_healed = outcome == Outcome::Healed;
        self.found(member, what(), outcome);
        is_healed
    }

    /// Verifies all blocks of a stripe, and heals those that are wrong. `only`: just that block.
    pub fn scrub_blocks(
        &mut self,
        targets: &mut Targets,
        blocks: &Blocks<'_>,
        only: Option<usize>,
    ) {
        let piece = PIECE_BYTES / BLOCK_BYTES;
        let total = blocks.len.div_ceil(BLOCK_BYTES);
        let range = only.map_or(0..total, |block| block..total.min(block + 1));
        let mut first = range.start;
        while first < range.end && !self.stopped && !self.has_nothing_to_make(targets) {
            let end = range.end.min(first + piece);
            let (start, stop) = (blocks.range(first).start, blocks.range(end - 1).end);
            let read = self.read(targets, blocks.at + start as u64, stop - start);
            for number in first..end {
                let within = blocks.range(number);
                let within = within.start - start..within.end - start;
                let stored: Vec<Option<&[u8]>> =
                    read.iter().map(|r| r.as_ref().map(|bytes| &bytes[within.clone()])).collect();
                self.scrub_block(targets, blocks, number, &stored);
            }
            first = end;
        }
    }

    /// As [`Scrubber::scrub_blocks`], of blocks that were read already.
    pub fn scrub_block(
        &mut self,
        targets: &mut Targets,
        blocks: &Blocks<'_>,
        number: usize,
        stored: &[Option<&[u8]>],
    ) {
        let is_right = |cell: usize, bytes: &Option<&[u8]>| {
            bytes.is_some_and(|bytes| (blocks.is_right)(Block { cell, number }, bytes))
        };
        let right: Vec<bool> = stored.iter().enumerate().map(|(i, b)| is_right(i, b)).collect();
        let wrong = self.wrong(targets, &right);
        if wrong.is_empty() {
            return;
        }
        let is_fresh =
            |i: &usize| targets.of[*i].as_ref().is_some_and(|target| target.fresh.is_some());
        if wrong.iter().all(is_fresh) {
            return self.rebuild(targets, blocks, number, stored, &right, &wrong);
        }
        let inner = self.inner;
        let _one = inner.health.lock_healing();
        // As it is now that nobody else heals it.
        let range = blocks.range(number);
        let read = self.read_unpaced(targets, blocks.at + range.start as u64, range.len());
        let stored: Vec<Option<&[u8]>> = read.iter().map(Option::as_deref).collect();
        let right: Vec<bool> = stored.iter().enumerate().map(|(i, b)| is_right(i, b)).collect();
        let wrong = self.wrong(targets, &right);
        self.rebuild(targets, blocks, number, &stored, &right, &wrong);
    }

    /// The members whose block is not right, of drives that are still here.
    fn wrong(&self, targets: &Targets, right: &[bool]) -> Vec<usize> {
        let is_here =
            |i: &usize| targets.of[*i].is_some() && self.inner.set.is_live(targets.members[*i]);
        (0..right.len()).filter(|i| !right[*i]).filter(is_here).collect()
    }

    fn rebuild(
        &mut self,
        targets: &mut Targets,
        blocks: &Blocks<'_>,
        number: usize,
        stored: &[Option<&[u8]>],
        right: &[bool],
        wrong: &[usize],
    ) {
        let range = blocks.range(number);
        let at = blocks.at + range.start as u64;
        let sources: Vec<Option<&[u8]>> =
            stored.iter().zip(right).map(|(bytes, right)| bytes.filter(|_| *right)).collect();
        let mut rebuilt: Vec<Vec<u8>> = wrong.iter().map(|_| vec![0; range.len()]).collect();
        let mut out: Vec<&mut [u8]> = rebuilt.iter_mut().map(Vec::as_mut_slice).collect();
        let enough = Coder::new(blocks.geometry).reconstruct_into(&sources, wrong, &mut out);
        for (cell, bytes) in wrong.iter().zip(&rebuilt) {
            let Some(target) = &mut targets.of[*cell] else { continue };
            let verified = enough && (blocks.is_right)(Block { cell: *cell, number }, bytes);
            if let Some(fresh) = &mut target.fresh {
                match verified {
                    true => self.write_fresh(targets, *cell, at, bytes),
                    false => drop(fresh.holes.insert(at)),
                }
                continue;
            }
            let member = targets.members[*cell];
            let file = target.file.clone();
            let label = target.drive.label();
            let what = format!("block {number} of cell {cell} of {} on {label}", blocks.place);
            let outcome = if verified {
                self.put_right(member, &*file, at, bytes, stored[*cell])
            } else {
                let have = right.iter().filter(|right| **right).count();
                Outcome::Lost(match enough {
                    true => "what the others give does not have its checksum".to_owned(),
                    false => format!("{have} cells are right and {} needed", blocks.geometry.k),
                })
            };
            self.found(member, what, outcome);
        }
    }

    fn write_fresh(&mut self, targets: &mut Targets, index: usize, at: u64, bytes: &[u8]) {
        let member = targets.members[index];
        let Some(Target { file, fresh: Some(fresh), .. }) = &mut targets.of[index] else { return };
        if fresh.failed.is_some() {
            return;
        }
        let mut aligned = AlignedBuf::zeroed(bytes.len());
        aligned.copy_from_slice(bytes);
        if let Err(e) = file.write_at(&aligned, at, false) {
            fresh.failed = Some(self.failed(member, &e, Failed::Write));
        }
        failpoint::pass("heal.file-written");
    }

    /// Writes `expected` over the pages of `stored` that differ, durably, and reads them back.
    fn put_right(
        &mut self,
        member: DriveId,
        file: &dyn DriveFile,
        at: u64,
        expected: &[u8],
        stored: Option<&[u8]>,
    ) -> Outcome {
        if !self.takes_writes(member) {
            return Outcome::Refused("the drive takes no writes".to_owned());
        }
        // A drive may need more than one try to put a bad sector elsewhere.
        const TRIES: usize = 2;
        let mut read_back: Option<AlignedBuf> = None;
        for attempt in 0..TRIES {
            // Other pages may have gone wrong since.
            let stored = if attempt == 0 { stored } else { read_back.as_deref() };
            for run in differing_pages(expected, stored) {
                let mut bytes = AlignedBuf::zeroed(run.len());
                bytes.copy_from_slice(&expected[run.clone()]);
                failpoint::pass("heal.before-write");
                if let Err(e) = file.write_at(&bytes, at + run.start as u64, true) {
                    return self.failed(member, &e, Failed::Write);
                }
                failpoint::pass("heal.written");
            }
            read_back = read_one(file, at, expected.len());
            if read_back.as_deref() == Some(expected) {
                failpoint::pass("heal.read-back");
                return Outcome::Healed;
            }
        }
        if read_back.is_none() {
            // It may still have other things that can be read: not taken out for that.
            self.refusing.insert(member);
            return Outcome::Refused("what was written can't be read back".to_owned());
        }
        // It acknowledges what it does not keep.
        let e = io::Error::other("what was written reads back differently");
        self.failed(member, &e, Failed::Sync)
    }

    /// Ends the making of files that were missing: synced, verified by `verify`, which is given
    /// a file, its index and where its holes begin, and says whether it is right; and renamed.
    pub fn finish_fresh(&mut self, targets: &mut Targets, len: u64, verify: &mut Verify<'_, Self>) {
        for index in 0..targets.of.len() {
            let is_fresh = targets.of[index].as_ref().is_some_and(|t| t.fresh.is_some());
            if !is_fresh {
                continue;
            }
            let target = targets.of[index].take().expect("it was just there");
            let Target { drive, file, fresh: Some(fresh) } = target else { continue };
            let member = targets.members[index];
            let what = format!("{} on {} is missing", targets.name, drive.label());
            let temporary = format!("{}{TEMPORARY}", targets.name);
            let outcome = if self.stopped {
                None
            } else if let Some(outcome) = fresh.failed {
                Some(outcome)
            } else if !self.takes_growth(member) {
                Some(Outcome::Refused("the drive takes no writes".to_owned()))
            } else {
                let verify = |scrubber: &mut Self| verify(scrubber, index, &*file, &fresh.holes);
                self.name_fresh(targets, member, &*drive, &*file, len, verify)
            };
            match outcome {
                Some(Outcome::Healed) => {
                    if !fresh.holes.is_empty() {
                        let what =
                            format!("{what}; made anew without {} blocks", fresh.holes.len());
                        let why = "too many of the others are wrong".to_owned();
                        self.found(member, what, Outcome::Lost(why));
                    } else {
                        self.found(member, what, Outcome::Healed);
                    }
                }
                other => {
                    // A start removes it otherwise.
                    let _ = drive.remove(&temporary);
                    if let Some(outcome) = other {
                        self.found(member, what, outcome);
                    }
                }
            }
        }
    }

    /// `None` when it was told to stop before the file was verified.
    fn name_fresh(
        &mut self,
        targets: &Targets,
        member: DriveId,
        drive: &dyn Drive,
        file: &dyn DriveFile,
        len: u64,
        verify: impl FnOnce(&mut Self) -> bool,
    ) -> Option<Outcome> {
        let grown: io::Result<()> = match file.len() {
            Ok(have) if have >= len => Ok(()),
            Ok(_) => file.set_len(len),
            Err(e) => Err(e),
        };
        if let Err(e) = grown {
            return Some(self.failed(member, &e, Failed::Write));
        }
        if let Err(e) = file.sync() {
            return Some(self.failed(member, &e, Failed::Sync));
        }
        failpoint::pass("heal.file-synced");
        let is_right = verify(self);
        if self.stopped {
            return None;
        }
        if !is_right {
            // It may still have other things that can be read: not taken out for that.
            self.refusing.insert(member);
            let why = "a file that was made anew does not read back".to_owned();
            return Some(Outcome::Refused(why));
        }
        let temporary = format!("{}{TEMPORARY}", targets.name);
        let name = || {
            drive.rename(&temporary, &targets.name)?;
            failpoint::pass("heal.file-renamed");
            drive.sync_dir()
        };
        let named: io::Result<()> = name();
        if let Err(e) = named {
            return Some(self.failed(member, &e, Failed::Sync));
        }
        failpoint::pass("heal.file-named");
        self.inner.set.forget_file(member, &targets.name);
        self.inner.health.set_gap(targets.segment, member, false);
        Some(Outcome::Healed)
    }

    /// It looks only for what drives lack, and no file is being made: nothing of the rest of the
    /// segment is of use.
    pub fn has_nothing_to_make(&self, targets: &Targets) -> bool {
        let is_made = |t: &Target| t.fresh.as_ref().is_some_and(|fresh| fresh.failed.is_none());
        self.gaps_only && !targets.of.iter().flatten().any(is_made)
    }
}

/// Says whether a file that was made anew is right: its index, the file, where its holes begin.
pub(crate) type Verify<'a, S> =
    dyn FnMut(&mut S, usize, &dyn DriveFile, &BTreeSet<u64>) -> bool + 'a;

impl Targets {
    /// Whether the file of member `index` is here, made anew or not.
    pub fn has(&self, index: usize) -> bool {
        self.of[index].is_some()
    }

    /// Whether the file of member `index` is being made anew.
    pub fn is_fresh(&self, index: usize) -> bool {
        self.of[index].as_ref().is_some_and(|target| target.fresh.is_some())
    }

    /// The drives have it right now: what memory has of it may be what a read found wrong.
    pub fn forget_cached(&self, range: Range<u64>) {
        for target in self.of.iter().flatten() {
            target.file.forget_cached(range.clone());
        }
    }

    /// Whether any file is being made anew.
    pub fn any_fresh(&self) -> bool {
        (0..self.of.len()).any(|index| self.is_fresh(index))
    }

    /// The longest file that was there.
    pub fn longest(&self) -> u64 {
        let old = self.of.iter().flatten().filter(|target| target.fresh.is_none());
        old.filter_map(|target| target.file.len().ok()).max().unwrap_or(0)
    }
}

/// Reads one range; what lies beyond the end is zeros. `None` when it can't be read.
pub(crate) fn read_one(file: &dyn DriveFile, at: u64, len: usize) -> Option<AlignedBuf> {
    let mut bytes = AlignedBuf::zeroed(len);
    file.read_at(&mut bytes, at).ok()?;
    Some(bytes)
}

/// What stands for a page that can't be read: no checksum is right for it.
const UNREADABLE: [u8; 16] = *b"can't be read\x00\xff\xa5";

/// Reads in pieces of a block, and those that fail page by page. `None` when no page can be read,
/// or the drive is not here any more.
fn read_pages(
    file: &dyn DriveFile,
    at: u64,
    len: usize,
    is_here: &dyn Fn() -> bool,
) -> Option<AlignedBuf> {
    let mut bytes = AlignedBuf::zeroed(len);
    let mut any = false;
    for start in (0..len).step_by(BLOCK_BYTES) {
        let piece = start..len.min(start + BLOCK_BYTES);
        if file.read_at(&mut bytes[piece.clone()], at + start as u64).is_ok() {
            any = true;
            continue;
        }
        for start in piece.clone().step_by(ALIGN) {
            let page = start..piece.end.min(start + ALIGN);
            if !is_here() {
                return None;
            }
            match file.read_at(&mut bytes[page.clone()], at + start as u64) {
                Ok(n) => {
                    any = true;
                    bytes[start + n..page.end].fill(0);
                }
                Err(_) => {
                    let page = &mut bytes[page];
                    page.chunks_mut(16).for_each(|c| c.copy_from_slice(&UNREADABLE[..c.len()]));
                }
            }
        }
    }
    any.then_some(bytes)
}

/// The runs of 4 KiB pages in which `stored` differs from `expected`; all when there is none.
fn differing_pages(expected: &[u8], stored: Option<&[u8]>) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let Some(stored) = stored else {
        runs.push(0..expected.len());
        return runs;
    };
    for (page, (want, have)) in expected.chunks(ALIGN).zip(stored.chunks(ALIGN)).enumerate() {
        if want == have {
            continue;
        }
        let start = page * ALIGN;
        match runs.last_mut() {
            Some(last) if last.end == start => last.end += want.len(),
            _ => runs.push(start..start + want.len()),
        }
    }
    runs
}

//! The files of one segment as a scrub has them: reading them side by side past the page cache,
//! rebuilding a block of one from the others, putting it right.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use coffer_base::buffer::ALIGN;
use coffer_base::drive::queue::{Patience, Work};
use coffer_base::drive::{Drive, DriveFile, DriveQueue};
use coffer_base::{AlignedBuf, DriveId, SegmentId, failpoint};

use super::{Outcome, Scrubber};
use crate::erasure::Coder;
use crate::error::Error;
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
    /// Writing to it failed.
    failed: Option<String>,
    /// Some of it could not be rebuilt.
    holes: u64,
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
            self.found(member, what, Outcome::Refused("the drive refuses the file".into()));
            return None;
        }
        if let Err(e) = drive.probe() {
            // The whole drive went: nothing to heal, but to leave.
            self.inner.set.take_out(member, DriveState::Lost, &e.to_string());
            return None;
        }
        self.inner.health.set_gap(segment, member, true);
        if !make || !self.takes_writes(member) {
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
                let why = self.failed(member, &e);
                self.found(member, what, Outcome::Refused(why));
                None
            }
        }
    }

    /// A write to `member` failed: what follows for the drive, and why the healing ended.
    pub(super) fn failed(&mut self, member: DriveId, e: &io::Error) -> String {
        self.refusing.insert(member);
        match self.inner.set.take_out_failed(member, e, "healing") {
            Ok(()) => format!("the drive is out: {e}"),
            Err(Error::Full) => "the drive is full".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// Reads `len` bytes at `at` of every file that is not made anew; `None` where there is none,
    /// or it can't be read. What lies beyond a file's end is zeros.
    pub fn read(&mut self, targets: &Targets, at: u64, len: usize) -> Vec<Option<AlignedBuf>> {
        let read = self.read_unpaced(targets, at, len);
        self.has_read(read.iter().flatten().count() as u64 * len as u64);
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
            if !short || !self.takes_writes(member) {
                continue;
            }
            let what = format!("{} on {} ends early", targets.name, drive.label());
            let outcome = match file.set_len(len).and_then(|()| file.sync()) {
                Ok(()) => Outcome::Healed,
                Err(e) => Outcome::Refused(self.failed(member, &e)),
            };
            self.found(member, what, outcome);
        }
    }

    /// Makes `len` bytes at `at` of `target`'s file `expected`, if they are not. `what` names it.
    /// Bytes that could not be read are wrong.
    pub fn compare(
        &mut self,
        targets: &mut Targets,
        index: usize,
        at: u64,
        expected: &[u8],
        stored: Option<&[u8]>,
        what: &dyn Fn(&str) -> String,
    ) {
        let Some(target) = &targets.of[index] else { return };
        if !self.inner.set.is_live(targets.members[index]) {
            return;
        }
        if target.fresh.is_some() {
            return self.write_fresh(targets, index, at, expected);
        }
        if stored == Some(expected) {
            return;
        }
        let (file, label) = (target.file.clone(), target.drive.label());
        self.heal(targets.members[index], &*file, at, expected, || what(&label));
    }

    /// Makes what is at `at` of an existing file `expected`, if it is not.
    pub fn heal(
        &mut self,
        member: DriveId,
        file: &dyn DriveFile,
        at: u64,
        expected: &[u8],
        what: impl FnOnce() -> String,
    ) {
        let inner = self.inner;
        let _one = inner.health.lock_healing();
        // Somebody else may have healed it meanwhile.
        let stored = read_one(file, at, expected.len());
        if stored.as_deref() == Some(expected) || !inner.set.is_live(member) {
            return;
        }
        let outcome = self.put_right(member, file, at, expected, stored.as_deref());
        self.found(member, what(), outcome);
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
        while first < range.end && !self.stopped {
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
                    false => fresh.holes += 1,
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
            fresh.failed = Some(self.failed(member, &e));
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
        let mut read_back = None;
        for _ in 0..TRIES {
            for run in differing_pages(expected, stored) {
                let mut bytes = AlignedBuf::zeroed(run.len());
                bytes.copy_from_slice(&expected[run.clone()]);
                failpoint::pass("heal.before-write");
                if let Err(e) = file.write_at(&bytes, at + run.start as u64, true) {
                    return Outcome::Refused(self.failed(member, &e));
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
        Outcome::Refused(self.failed(member, &e))
    }

    /// Ends the making of files that were missing: synced, verified by `verify`, which is given
    /// a file and its index and says whether it is right, and renamed.
    pub fn finish_fresh(
        &mut self,
        targets: &mut Targets,
        len: u64,
        verify: &mut dyn FnMut(&mut Self, usize, &dyn DriveFile) -> bool,
    ) {
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
            } else if let Some(why) = fresh.failed {
                Some(Outcome::Refused(why))
            } else if !self.takes_writes(member) {
                Some(Outcome::Refused("the drive takes no writes".to_owned()))
            } else {
                Some(self.name_fresh(targets, member, index, &*drive, &*file, len, verify))
            };
            match outcome {
                Some(Outcome::Healed) => {
                    if fresh.holes > 0 {
                        let what = format!("{what}; made anew without {} blocks", fresh.holes);
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

    #[expect(clippy::too_many_arguments, reason = "one file and where it belongs")]
    fn name_fresh(
        &mut self,
        targets: &Targets,
        member: DriveId,
        index: usize,
        drive: &dyn Drive,
        file: &dyn DriveFile,
        len: u64,
        verify: &mut dyn FnMut(&mut Self, usize, &dyn DriveFile) -> bool,
    ) -> Outcome {
        let synced = || {
            if file.len()? < len {
                file.set_len(len)?;
            }
            file.sync()
        };
        let result: io::Result<()> = synced();
        if let Err(e) = result {
            return Outcome::Refused(self.failed(member, &e));
        }
        failpoint::pass("heal.file-synced");
        if !verify(self, index, file) {
            let e = io::Error::other("a file that was made anew does not read back");
            return Outcome::Refused(self.failed(member, &e));
        }
        let temporary = format!("{}{TEMPORARY}", targets.name);
        let name = || {
            drive.rename(&temporary, &targets.name)?;
            failpoint::pass("heal.file-renamed");
            drive.sync_dir()
        };
        let named: io::Result<()> = name();
        if let Err(e) = named {
            return Outcome::Refused(self.failed(member, &e));
        }
        failpoint::pass("heal.file-named");
        self.inner.set.forget_file(member, &targets.name);
        self.inner.health.set_gap(targets.segment, member, false);
        Outcome::Healed
    }
}

impl Targets {
    /// Whether the file of member `index` is here, made anew or not.
    pub fn has(&self, index: usize) -> bool {
        self.of[index].is_some()
    }

    /// Whether the file of member `index` is being made anew.
    pub fn is_fresh(&self, index: usize) -> bool {
        self.of[index].as_ref().is_some_and(|target| target.fresh.is_some())
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

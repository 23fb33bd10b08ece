//! The files of segments on all drives, known by their names and headers.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use coffer_base::checksum::checksum;
use coffer_base::drive::queue::{Patience, Work};
use coffer_base::drive::{Access, Drive, DriveFile, DriveQueue};
use coffer_base::wire::Put;
use coffer_base::{DriveId, Position, SegmentId, StoreId};

use crate::body::{BodyReader, read_header};
use crate::error::OpenError;
use crate::geometry::Geometry;
use crate::inner::Inner;
use crate::seal::TEMPORARY;
use crate::segment::{FileKind, HEADER_BYTES, Header, Layout, Sealed};

/// The files of segments that the drives hold.
pub(super) struct FoundFiles {
    /// Copies and cells of commit segments, by id.
    pub(super) commit: BTreeMap<SegmentId, CommitFiles>,
    pub(super) bulk: BTreeMap<SegmentId, Header>,
    /// Bulk files without a valid header.
    pub(super) headless: Vec<HeadlessBulk>,
    /// Names that no segment needs.
    pub(super) rubbish: Vec<(DriveId, String)>,
    /// The newest epoch that a segment is of.
    pub(super) epoch_max: u32,
}

/// A bulk file without a valid header: damaged, or cut short while it was made.
pub(super) struct HeadlessBulk {
    pub(super) drive: DriveId,
    pub(super) segment: SegmentId,
    /// It ends before there could be a row.
    pub(super) is_empty: bool,
}

#[derive(Default)]
pub(super) struct CommitFiles {
    /// Drives with a copy.
    pub(super) copies: Vec<DriveId>,
    pub(super) cells: Vec<(DriveId, CellHeader)>,
}

impl CommitFiles {
    /// Whether there are only cells, all of which go beyond `bound`.
    pub(super) fn is_dead(&self, bound: Option<Position>) -> bool {
        let dead = |cell: &CellHeader| bound.is_some_and(|bound| cell.sealed.last > bound);
        let mut cells = self.cells.iter().map(|(_, header)| header);
        self.copies.is_empty() && !self.cells.is_empty() && cells.all(dead)
    }
}

/// The header of a cell, without the checksums of all blocks.
#[derive(Clone)]
pub(super) struct CellHeader {
    pub(super) geometry: Geometry,
    pub(super) members: Vec<DriveId>,
    pub(super) header_bytes: u64,
    /// Its `blocks` are replaced by one checksum of them.
    pub(super) sealed: Sealed,
}

impl CellHeader {
    pub(super) fn new(mut header: Header) -> Option<Self> {
        let header_bytes = header.encode().len() as u64;
        let mut sealed = header.sealed.take()?;
        let mut blocks = Vec::with_capacity(sealed.blocks.len() * 8);
        sealed.blocks.iter().for_each(|block| blocks.put_u64(*block));
        sealed.blocks = vec![checksum(0, &blocks)];
        Some(Self { geometry: header.geometry, members: header.members, header_bytes, sealed })
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.sealed == other.sealed && self.members == other.members
    }

    pub(super) fn layout(&self) -> Layout {
        Layout::Cells {
            geometry: self.geometry,
            members: self.members.clone(),
            header_bytes: self.header_bytes,
            cell_bytes: self.sealed.cell_bytes,
            body_bytes: self.sealed.body_bytes,
            last: self.sealed.last,
            chain_after: self.sealed.chain_after,
        }
    }
}

/// Looks at all files of all live drives, at the same time. A drive that can't be read is taken
/// out: the caller decides whether the others are enough.
pub(super) fn scan(inner: &Inner) -> Result<FoundFiles, OpenError> {
    let mut found = FoundFiles {
        commit: BTreeMap::new(),
        bulk: BTreeMap::new(),
        headless: Vec::new(),
        rubbish: Vec::new(),
        epoch_max: 0,
    };
    let mut drives = Vec::new();
    for id in inner.set.live() {
        drives.push((id, inner.set.drive(id)?));
    }
    let items = drives.iter().map(|(id, drive)| (drive.queue().clone(), (*id, drive.clone())));
    let (store, read_only) = (inner.set.store, inner.options.read_only);
    let scan = move |(id, drive): (DriveId, Arc<dyn Drive>)| {
        scan_drive(store, read_only, id, drive.as_ref())
    };
    let scanned = DriveQueue::each(items.collect(), Work::Read, Patience::Full, scan);
    for ((id, drive), files) in drives.into_iter().zip(scanned) {
        match files {
            Ok(files) => {
                for (segment, file) in files {
                    let file = match file {
                        FoundFile::HeadlessCopy(name, file) => {
                            headless_copy(inner, segment, name, file)
                        }
                        FoundFile::Newer(name, version) => {
                            return Err(OpenError::NewerFormat(format!(
                                "{}: {name} has version {version}: a newer Coffer wrote it; nothing \
                                 was changed",
                                drive.label()
                            )));
                        }
                        other => other,
                    };
                    found.add(id, segment, file);
                }
                coffer_base::failpoint::pass("recovery.drive-scanned");
            }
            Err(e) => {
                inner
                    .set
                    .take_out_failed(id, &e, "looking at its files")
                    .map_err(|_| OpenError::io(&drive.label(), &e))?;
            }
        }
    }
    Ok(found)
}

/// The groups of a copy do not need the header. Without any in its whole length, it was never used;
/// the first may be damaged, and what can't be read may be one.
fn headless_copy(
    inner: &Inner,
    segment: SegmentId,
    name: String,
    file: Arc<dyn DriveFile>,
) -> FoundFile {
    let mut reader = BodyReader::of_files(inner, segment, vec![file], false, u64::MAX);
    let length = reader.longest();
    let mut offsets = (0..length).step_by(HEADER_BYTES as usize);
    let is_used =
        offsets.any(|at| reader.any_group(at).is_some() || reader.newer_group(at).is_some());
    if is_used || !reader.failures().is_empty() {
        FoundFile::Copy
    } else {
        FoundFile::Rubbish(name)
    }
}

/// What one file turned out to be.
pub(super) enum FoundFile {
    Copy,
    Cell(Box<CellHeader>),
    /// A cell whose header is damaged: it was whole once, since only whole ones get the name.
    DamagedCell,
    Bulk(Box<Header>),
    /// Without a valid header; whether it ends before there could be a row.
    HeadlessBulk(bool),
    /// A copy without a valid header, to be looked into.
    HeadlessCopy(String, Arc<dyn DriveFile>),
    /// Its header has a version that this program does not know.
    Newer(String, u16),
    /// Not whole, or never used.
    Rubbish(String),
}

impl FoundFiles {
    pub(super) fn add(&mut self, drive: DriveId, segment: SegmentId, file: FoundFile) {
        self.epoch_max = self.epoch_max.max(segment.epoch());
        match file {
            FoundFile::Copy => self.commit.entry(segment).or_default().copies.push(drive),
            FoundFile::Cell(header) => {
                self.commit.entry(segment).or_default().cells.push((drive, *header));
            }
            FoundFile::DamagedCell => {
                // Named, so that history notices when no other member has the segment.
                self.commit.entry(segment).or_default();
            }
            FoundFile::Bulk(header) => {
                self.bulk.entry(segment).or_insert(*header);
            }
            FoundFile::HeadlessBulk(is_empty) => {
                self.headless.push(HeadlessBulk { drive, segment, is_empty });
            }
            FoundFile::HeadlessCopy(..) | FoundFile::Newer(..) => {
                unreachable!("taken care of before")
            }
            FoundFile::Rubbish(name) => self.rubbish.push((drive, name)),
        }
    }
}

fn scan_drive(
    store: StoreId,
    read_only: bool,
    id: DriveId,
    drive: &dyn Drive,
) -> io::Result<Vec<(SegmentId, FoundFile)>> {
    if !read_only {
        // Names that only memory holds must not be believed and then lost.
        drive.sync_dir()?;
    }
    let mut files = Vec::new();
    for name in drive.list()? {
        if name.ends_with(TEMPORARY) {
            files.push((SegmentId(0), FoundFile::Rubbish(name)));
            continue;
        }
        let Some((kind, segment)) = FileKind::parse_name(&name) else { continue };
        let file = drive.open(&name, Access::Buffered)?;
        if kind == FileKind::Copy && !read_only {
            // Nor bytes.
            file.sync()?;
        }
        let header = read_header(file.as_ref())?.filter(|h| {
            h.kind == kind
                && h.segment == segment
                && h.store == store
                && h.members[usize::from(h.index)] == id
        });
        let found = match (kind, header) {
            (FileKind::Copy, Some(_)) => FoundFile::Copy,
            (_, None) if let Some(version) = newer_version(file.as_ref())? => {
                FoundFile::Newer(name, version)
            }
            (FileKind::Copy, None) => FoundFile::HeadlessCopy(name, file),
            (FileKind::Cell, header) => match header.and_then(CellHeader::new) {
                Some(header) => FoundFile::Cell(Box::new(header)),
                None => {
                    tracing::warn!(drive = %drive.label(), file = name, "damaged header");
                    FoundFile::DamagedCell
                }
            },
            (FileKind::Bulk, Some(header)) => FoundFile::Bulk(Box::new(header)),
            (FileKind::Bulk, None) => FoundFile::HeadlessBulk(file.len()? <= HEADER_BYTES),
        };
        files.push((segment, found));
    }
    Ok(files)
}

/// The version of a file's header, if it is a newer one.
fn newer_version(file: &dyn DriveFile) -> io::Result<Option<u16>> {
    let mut header = vec![0; HEADER_BYTES as usize];
    let n = file.read_at(&mut header, 0)?;
    let Some(total) = Header::total_bytes(&header[..n]) else { return Ok(None) };
    header.resize(total as usize, 0);
    let n = file.read_at(&mut header, 0)?;
    Ok(Header::newer_version(&header[..n]))
}

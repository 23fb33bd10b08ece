//! Opening a set of drives: formatting empty ones, or deciding where history ended.
//!
//! Recovery is a durable decision. In order: read all superblocks and refuse what does not belong
//! together; sync every copy of an unsealed segment and read it past the page cache; take the
//! longest unbroken chain of groups; seal what was open; record a new epoch with that end on all
//! drives; only then remove what lies beyond, and serve. A crash anywhere in between is recovered
//! by the same steps: sealing changes no history, and once the epoch is recorded its end bounds
//! what earlier epochs can add.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Arc;

use coffer_base::checksum::checksum;
use coffer_base::drive::{Access, Drive, DriveFile};
use coffer_base::wire::Put;
use coffer_base::{DriveId, EpochId, Position, SegmentId, StoreId};

use crate::body::{BodyReader, read_header, walk};
use crate::bulk;
use crate::copies::ClosedSegment;
use crate::error::{Error, OpenError};
use crate::geometry::{DRIVES_MAX, Geometry};
use crate::inner::Inner;
use crate::lane::{Lane, Shared};
use crate::mark::{Chain, Mark};
use crate::options::{LogOptions, Seams};
use crate::seal::{TEMPORARY, seal};
use crate::segment::{FileKind, HEADER_BYTES, Header, Layout, Sealed, Segment, SegmentTable};
use crate::set::{DriveState, Set, Slot};
use crate::superblock::{Epoch, Found, NAMES, Superblock};
use crate::supers::Supers;

/// What opening did.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The store.
    pub store: StoreId,
    /// The drives were empty and are a new store now.
    pub created: bool,
    /// Where history ends.
    pub end: Mark,
    /// What an operator should know.
    pub notes: Vec<String>,
}

/// Names that an empty drive may hold: other programs put them there, or Coffer itself before it
/// formats.
fn is_ignorable(name: &str) -> bool {
    matches!(name, "lost+found" | "lock" | "credentials.toml" | "admin.sock" | "index")
        || name.starts_with("credentials.toml.")
}

pub(crate) fn open(
    drives: Vec<Arc<dyn Drive>>,
    options: LogOptions,
    seams: Seams,
) -> Result<(Arc<Shared>, Lane, Recovery), OpenError> {
    let geometry = Geometry { k: options.k, m: options.m };
    let mut superblocks: Vec<Option<Superblock>> = Vec::new();
    for drive in &drives {
        superblocks.push(read_superblock(drive.as_ref())?);
    }
    coffer_base::failpoint::pass("recovery.superblocks");
    let unformatted = superblocks.iter().flatten().all(|s| !s.formatted);
    if unformatted {
        check_scheme(geometry, drives.len()).map_err(|e| {
            // The power went while the set was made: with all its drives it can be made again.
            // Perhaps before any superblock was whole: then nobody knows the scheme.
            if superblocks.iter().any(Option::is_some) || geometry == (Geometry { k: 0, m: 0 }) {
                return OpenError::Unfinished(format!("these drives were never made a set: {e}"));
            }
            e
        })?;
        if options.read_only {
            return Err(OpenError::Missing("there is no store in these directories yet".into()));
        }
        let newest = format(&drives, &superblocks, geometry, &seams)?;
        coffer_base::failpoint::pass("format.done");
        let plan = Plan { drives, newest, created: true, readmitted: Vec::new() };
        return recover(plan, options, seams);
    }
    let plan = plan(drives, superblocks, &options)?;
    recover(plan, options, seams)
}

fn check_scheme(geometry: Geometry, drives: usize) -> Result<(), OpenError> {
    if geometry.k == 0 || geometry.cells() > DRIVES_MAX {
        return Err(OpenError::Scheme(format!("{geometry} is not a scheme")));
    }
    if geometry.cells() != drives {
        return Err(OpenError::Scheme(format!(
            "the scheme {geometry} needs {} drives, {drives} were given",
            geometry.cells()
        )));
    }
    Ok(())
}

fn read_superblock(drive: &dyn Drive) -> Result<Option<Superblock>, OpenError> {
    // Names that a killed process left in memory only must not be believed and then lost.
    drive.sync_dir().map_err(|e| OpenError::io(&drive.label(), &e))?;
    let found = Superblock::read(drive).map_err(|e| OpenError::io(&drive.label(), &e))?;
    match found {
        Found::Valid(superblock) => Ok(Some(*superblock)),
        Found::Newer(version) => Err(OpenError::NewerFormat(format!(
            "{} has format version {version}, this program knows up to {}",
            drive.label(),
            crate::superblock::VERSION
        ))),
        Found::None | Found::Damaged => {
            let names = drive.list().map_err(|e| OpenError::io(&drive.label(), &e))?;
            let foreign = names.iter().find(|n| !is_ignorable(n) && !NAMES.contains(&n.as_str()));
            match foreign {
                // A crash while formatting leaves at most torn superblocks.
                None => Ok(None),
                Some(name) if matches!(found, Found::None) => {
                    Err(OpenError::NotCoffer { drive: drive.label(), found: name.clone() })
                }
                Some(_) => Err(OpenError::Damaged(format!(
                    "{}: both superblocks are damaged",
                    drive.label()
                ))),
            }
        }
    }
}

/// Makes a new store: first a superblock that says "not formatted yet" on every drive, then the
/// real one. Nothing is stored before every drive has the latter.
fn format(
    drives: &[Arc<dyn Drive>],
    unfinished: &[Option<Superblock>],
    geometry: Geometry,
    seams: &Seams,
) -> Result<Superblock, OpenError> {
    let rng = seams.rng.as_ref();
    let members: Vec<DriveId> = drives.iter().map(|_| DriveId::random(rng)).collect();
    let mut superblock = Superblock {
        store: StoreId::random(rng),
        drive: DriveId::default(),
        // Above those of an attempt that was cut short.
        generation: unfinished.iter().flatten().map(|s| s.generation).max().unwrap_or(0),
        formatted: false,
        geometry,
        created: seams.clock.now(),
        epoch: Epoch { number: 0, id: EpochId::random(rng) },
        decided: (Position(0), Chain::default()),
        forced: false,
        ancestry: Vec::new(),
        members: members.iter().map(|id| (*id, DriveState::Active)).collect(),
        checkpoint: None,
    };
    for formatted in [false, true] {
        superblock.formatted = formatted;
        superblock.generation += 1;
        for (drive, id) in drives.iter().zip(&members) {
            let of_drive = Superblock { drive: *id, ..superblock.clone() };
            of_drive.write(drive.as_ref()).map_err(|e| OpenError::io(&drive.label(), &e))?;
            coffer_base::failpoint::pass("format.drive");
        }
    }
    Ok(superblock)
}

/// Which drives take part, and what the newest superblock says.
struct Plan {
    drives: Vec<Arc<dyn Drive>>,
    newest: Superblock,
    created: bool,
    /// Ids in the order of `drives`; empty when freshly formatted (then slot order).
    readmitted: Vec<Option<DriveId>>,
}

fn plan(
    drives: Vec<Arc<dyn Drive>>,
    superblocks: Vec<Option<Superblock>>,
    options: &LogOptions,
) -> Result<Plan, OpenError> {
    // When no epoch was recorded to the end, none served, and any of them will do.
    let mut newest = superblocks
        .iter()
        .flatten()
        .max_by_key(|s| (s.formatted, !is_void(s, &superblocks), s.epoch.number, s.generation))
        .expect("a formatted drive is here")
        .clone();
    // A void superblock may have a higher one, and the next has to be above it.
    let generations = superblocks.iter().flatten().map(|s| s.generation);
    newest.generation = generations.max().expect("a formatted drive is here");
    let named = drives.len().max(options.drives_named);
    if named > newest.members.len() {
        let outside = drives.iter().zip(&superblocks).find(|(_, s)| s.is_none());
        return Err(OpenError::Foreign(format!(
            "{named} drives were given and store {} has {}{}",
            newest.store,
            newest.members.len(),
            outside.map_or(String::new(), |(d, _)| format!(": {} is none of them", d.label())),
        )));
    }
    for (drive, superblock) in drives.iter().zip(&superblocks) {
        let Some(superblock) = superblock else { continue };
        if superblock.store != newest.store {
            return Err(OpenError::Foreign(format!(
                "{} belongs to store {}, another drive to store {}",
                drive.label(),
                superblock.store,
                newest.store
            )));
        }
        if !newest.members.iter().any(|(id, _)| *id == superblock.drive) {
            return Err(OpenError::Foreign(format!(
                "{} (drive {}) is not a member of store {}",
                drive.label(),
                superblock.drive,
                newest.store
            )));
        }
        let known = |epoch: &Epoch| {
            *epoch == newest.epoch || newest.ancestry.iter().any(|(known, _)| known == epoch)
        };
        let void = is_void(superblock, &superblocks)
            && superblock.ancestry.first().is_some_and(|(parent, _)| known(parent));
        if !void {
            check_ancestry(drive.as_ref(), superblock, &newest)?;
        }
    }
    let mut seen = HashSet::new();
    for (drive, superblock) in drives.iter().zip(&superblocks) {
        if let Some(superblock) = superblock
            && !seen.insert(superblock.drive)
        {
            return Err(OpenError::Foreign(format!(
                "{} is a second copy of drive {}",
                drive.label(),
                superblock.drive
            )));
        }
    }
    let asked = Geometry { k: options.k, m: options.m };
    let as_made = asked == Geometry { k: 0, m: 0 };
    if !as_made && asked != newest.geometry {
        return Err(OpenError::Scheme(format!(
            "the store was made {} and can't become {}+{}",
            newest.geometry, options.k, options.m
        )));
    }

    let here = |id: &DriveId| superblocks.iter().flatten().any(|s| s.drive == *id);
    let active: Vec<DriveId> = newest
        .members
        .iter()
        .filter(|(_, state)| *state == DriveState::Active)
        .map(|(id, _)| *id)
        .collect();
    let missing: Vec<DriveId> = active.iter().filter(|id| !here(id)).copied().collect();
    if !missing.is_empty() {
        let unformatted: Vec<String> = drives
            .iter()
            .zip(&superblocks)
            .filter(|(_, s)| s.is_none())
            .map(|(d, _)| d.label())
            .collect();
        let mut what = format!(
            "{} of {} drives of store {} are missing (drive {})",
            missing.len(),
            newest.members.len(),
            newest.store,
            missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", drive ")
        );
        if !unformatted.is_empty() {
            what += &format!("; empty: {}", unformatted.join(", "));
        }
        if !is_enough(&newest, active.len(), missing.len()) && !options.force {
            return Err(OpenError::NoMajority(format!(
                "{what}: too many, history that only they know could be lost"
            )));
        }
        if !options.degraded && !options.force {
            return Err(OpenError::Missing(what));
        }
    }
    let readmitted = superblocks.iter().map(|s| s.as_ref().map(|s| s.drive)).collect();
    Ok(Plan { drives, newest, created: false, readmitted })
}

/// Whether history is safe with the drives that are here: a majority of the active ones, and not
/// more missing than the copies of the newest groups may lose.
fn is_enough(newest: &Superblock, active: usize, missing: usize) -> bool {
    let parity = newest.geometry.over(active).map_or(0, |g| usize::from(g.m));
    missing <= parity && (active - missing) * 2 > active
}

/// How far the history of `newest` must go if an index is at `mark`.
fn known_to_reach(newest: &Superblock, mark: Mark) -> Option<Position> {
    if mark.epoch == newest.epoch.id {
        return Some(mark.position);
    }
    let (epoch, _) = newest.ancestry.iter().find(|(epoch, _)| epoch.id == mark.epoch)?;
    Some(newest.bound_of(epoch.number).map_or(mark.position, |bound| mark.position.min(bound)))
}

/// Whether the recording of a superblock's epoch was cut short: then nothing was served in it.
/// An epoch is served only once all drives that its last superblock calls active have it.
fn is_void(superblock: &Superblock, all: &[Option<Superblock>]) -> bool {
    let epoch = superblock.epoch;
    let of_epoch = all.iter().flatten().filter(|s| s.epoch == epoch);
    let last = of_epoch.max_by_key(|s| s.generation).unwrap_or(superblock);
    all.iter().flatten().any(|other| {
        last.members.contains(&(other.drive, DriveState::Active))
            && other.epoch != epoch
            && !other.ancestry.iter().any(|(known, _)| *known == epoch)
    })
}

/// The epoch of a drive must be the newest one or an ancestor of it.
fn check_ancestry(
    drive: &dyn Drive,
    superblock: &Superblock,
    newest: &Superblock,
) -> Result<(), OpenError> {
    let epoch = superblock.epoch;
    if epoch == newest.epoch || newest.ancestry.iter().any(|(known, _)| *known == epoch) {
        return Ok(());
    }
    if newest.ancestry.last().is_some_and(|(oldest, _)| epoch.number < oldest.number) {
        return Err(OpenError::Foreign(format!(
            "{} was last used at epoch {}, too long ago to prove that it belongs to the history at \
             epoch {}",
            drive.label(),
            epoch.number,
            newest.epoch.number
        )));
    }
    Err(OpenError::Diverged(format!(
        "two histories: {} is at epoch {} ({}), another drive at epoch {} ({}); neither is chosen",
        drive.label(),
        epoch.number,
        epoch.id,
        newest.epoch.number,
        newest.epoch.id
    )))
}

fn recover(
    plan: Plan,
    options: LogOptions,
    seams: Seams,
) -> Result<(Arc<Shared>, Lane, Recovery), OpenError> {
    let Plan { drives, newest, created, readmitted } = plan;
    let mut notes = Vec::new();
    let place = |id: DriveId, slot: usize| -> Option<Arc<dyn Drive>> {
        if readmitted.is_empty() {
            return drives.get(slot).cloned();
        }
        let at = readmitted.iter().position(|here| *here == Some(id))?;
        Some(drives[at].clone())
    };
    let mut slots = Vec::new();
    for (slot, (id, recorded)) in newest.members.iter().enumerate() {
        let drive = place(*id, slot);
        let label = drive.as_ref().map_or_else(|| format!("drive {id}"), |d| d.label());
        let (state, why) = match (&drive, recorded) {
            (Some(_), DriveState::Fenced) => {
                (DriveState::Fenced, "a write or sync on it had failed".to_owned())
            }
            (Some(_), _) => (DriveState::Active, String::new()),
            (None, DriveState::Fenced) => (DriveState::Fenced, "not here".to_owned()),
            (None, _) => (DriveState::Lost, "not here at the start".to_owned()),
        };
        if state != DriveState::Active {
            notes.push(format!("{label} is {}: {why}", state.name()));
        } else if *recorded == DriveState::Lost {
            notes.push(format!("{label} is back"));
        }
        let drive = drive.filter(|_| state == DriveState::Active);
        slots.push(Slot { id: *id, drive, label, state, why });
    }
    let set = Set::new(newest.store, newest.geometry, slots);
    let epoch = Epoch { number: newest.epoch.number + 1, id: EpochId::random(seams.rng.as_ref()) };
    let supers = Supers::new(newest.clone());
    let mut inner = Inner::new(options, seams, set, SegmentTable::default(), supers, epoch);

    let found = scan(&inner)?;
    if found.epoch_max > newest.epoch.number {
        // A damaged superblock hid an epoch. Its number must not be used again, since segment ids
        // are made of it.
        notes.push(format!(
            "segments of epoch {} are here, and no valid superblock of it",
            found.epoch_max
        ));
        inner.epoch.number = found.epoch_max + 1;
    }
    let inner = inner;
    let epoch = inner.epoch;
    let active = newest.members.iter().filter(|(_, s)| *s == DriveState::Active).count();
    let gone = newest
        .members
        .iter()
        .filter(|(id, s)| *s == DriveState::Active && !inner.set.is_live(*id))
        .count();
    if gone > 0 && !is_enough(&newest, active, gone) && !inner.options.force {
        return Err(OpenError::NoMajority(format!(
            "{gone} of {active} active drives are missing or failed at the start: {}",
            inner.set.with(|slots| {
                let out = slots.iter().filter(|s| s.state != DriveState::Active);
                out.map(|s| format!("{} ({})", s.label, s.why)).collect::<Vec<_>>().join(", ")
            })
        )));
    }
    let history = read_history(&inner, &found, &newest, &mut notes)?;
    coffer_base::failpoint::pass("recovery.history");
    if let Some(reached) = inner.options.reached.and_then(|mark| known_to_reach(&newest, mark))
        && history.position < reached
        && !inner.options.force
        && !created
    {
        return Err(OpenError::Damaged(format!(
            "history ends at position {} and the index has seen position {}: acknowledged writes \
             would be lost; `force` accepts that",
            history.position.0, reached.0
        )));
    }
    for (id, header) in &found.bulk {
        bulk::recover_bulk(&inner, *id, header)?;
        coffer_base::failpoint::pass("recovery.bulk");
    }
    let end = Mark { epoch: epoch.id, position: history.position, chain: history.chain };
    let store = newest.store;
    if inner.options.read_only {
        let broken = Some("it was opened for looking only".to_owned());
        let shared = Arc::new(Shared::new(inner, history.position, history.chain, broken));
        let recovery = Recovery { store, created, end, notes };
        return Ok((shared.clone(), Lane::new(shared), recovery));
    }

    // Sealed before the end is recorded: what the tail's last holder alone knows is on all drives
    // by then, so a recorded end can always be reached again.
    let mut unsealed = Vec::new();
    for closed in &history.open {
        match seal(&inner, closed) {
            Ok(()) => coffer_base::failpoint::pass("recovery.sealed"),
            // Reading and deleting must go on; the watcher tries again. The copies take the place
            // of the cells until then.
            Err(Error::Full) => {
                level_copies(&inner, closed)?;
                unsealed.push(closed.clone());
            }
            Err(error) => return Err(error.into()),
        }
    }
    let forced = inner.options.force;
    inner.supers.record(&inner.set, forced, |superblock| {
        let parent = superblock.epoch;
        superblock.ancestry.insert(0, (parent, superblock.decided.0));
        superblock.epoch = epoch;
        superblock.decided = (history.position, history.chain);
        superblock.forced = forced;
    })?;
    coffer_base::failpoint::pass("recovery.recorded");
    remove_dead(&inner, &found, &history);
    coffer_base::failpoint::pass("recovery.done");
    let shared = Arc::new(Shared::new(inner, history.position, history.chain, None));
    shared.add_unsealed(unsealed);
    shared.prepare();
    let recovery = Recovery { store, created, end, notes };
    Ok((shared.clone(), Lane::new(shared), recovery))
}

/// Makes all copies of an unsealed segment alike: groups that only some hold are written to the
/// others, into space that was reserved for them.
fn level_copies(inner: &Inner, closed: &ClosedSegment) -> Result<(), OpenError> {
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

/// The files of segments that the drives hold.
struct FoundFiles {
    /// Copies and cells of commit segments, by id.
    commit: BTreeMap<SegmentId, CommitFiles>,
    bulk: BTreeMap<SegmentId, Header>,
    /// Names that no segment needs.
    rubbish: Vec<(DriveId, String)>,
    /// The newest epoch that a segment is of.
    epoch_max: u32,
}

#[derive(Default)]
struct CommitFiles {
    /// Drives with a copy.
    copies: Vec<DriveId>,
    cells: Vec<(DriveId, CellHeader)>,
}

/// The header of a cell, without the checksums of all blocks.
#[derive(Clone)]
struct CellHeader {
    geometry: Geometry,
    members: Vec<DriveId>,
    header_bytes: u64,
    /// Its `blocks` are replaced by one checksum of them.
    sealed: Sealed,
}

impl CellHeader {
    fn new(mut header: Header) -> Option<Self> {
        let header_bytes = header.encode().len() as u64;
        let mut sealed = header.sealed.take()?;
        let mut blocks = Vec::with_capacity(sealed.blocks.len() * 8);
        sealed.blocks.iter().for_each(|block| blocks.put_u64(*block));
        sealed.blocks = vec![checksum(0, &blocks)];
        Some(Self { geometry: header.geometry, members: header.members, header_bytes, sealed })
    }

    fn is_like(&self, other: &Self) -> bool {
        self.sealed == other.sealed && self.members == other.members
    }

    fn layout(&self) -> Layout {
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

/// Looks at all files of all live drives. A drive that can't be read is taken out: the caller
/// decides whether the others are enough.
fn scan(inner: &Inner) -> Result<FoundFiles, OpenError> {
    let mut found = FoundFiles {
        commit: BTreeMap::new(),
        bulk: BTreeMap::new(),
        rubbish: Vec::new(),
        epoch_max: 0,
    };
    for id in inner.set.live() {
        let drive = inner.set.drive(id)?;
        match scan_drive(inner, id, drive.as_ref()) {
            Ok(files) => {
                for (segment, file) in files {
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

/// What one file turned out to be.
enum FoundFile {
    Copy,
    Cell(Box<CellHeader>),
    /// A cell whose header is damaged: it was whole once, since only whole ones get the name.
    DamagedCell,
    Bulk(Box<Header>),
    DamagedBulk,
    /// Not whole, or never used.
    Rubbish(String),
}

impl FoundFiles {
    fn add(&mut self, drive: DriveId, segment: SegmentId, file: FoundFile) {
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
            FoundFile::DamagedBulk => {}
            FoundFile::Rubbish(name) => self.rubbish.push((drive, name)),
        }
    }
}

fn scan_drive(
    inner: &Inner,
    id: DriveId,
    drive: &dyn Drive,
) -> io::Result<Vec<(SegmentId, FoundFile)>> {
    if !inner.options.read_only {
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
        if kind == FileKind::Copy && !inner.options.read_only {
            // Nor bytes.
            file.sync()?;
        }
        let header = read_header(file.as_ref())?.filter(|h| {
            h.kind == kind
                && h.segment == segment
                && h.store == inner.set.store
                && h.members[usize::from(h.index)] == id
        });
        let found = match (kind, header) {
            (FileKind::Copy, Some(_)) => FoundFile::Copy,
            (FileKind::Copy, None) => {
                // Its groups do not need the header. Without any, it was never used.
                let mut reader = BodyReader::of_files(inner, segment, vec![file], false, u64::MAX);
                if reader.any_group(0).is_none() {
                    FoundFile::Rubbish(name)
                } else {
                    FoundFile::Copy
                }
            }
            (FileKind::Cell, header) => match header.and_then(CellHeader::new) {
                Some(header) => FoundFile::Cell(Box::new(header)),
                None => {
                    tracing::warn!(drive = %drive.label(), file = name, "damaged header");
                    FoundFile::DamagedCell
                }
            },
            (FileKind::Bulk, Some(header)) => FoundFile::Bulk(Box::new(header)),
            (FileKind::Bulk, None) => {
                // Cut short while it was made, or damaged: other members serve.
                tracing::warn!(drive = %drive.label(), file = name, "no valid segment header");
                FoundFile::DamagedBulk
            }
        };
        files.push((segment, found));
    }
    Ok(files)
}

/// History as the drives tell it.
struct History {
    position: Position,
    chain: Chain,
    /// Unsealed segments that are part of it, to be sealed at these lengths.
    open: Vec<ClosedSegment>,
    /// Commit segments that are part of it.
    segments: HashSet<SegmentId>,
}

fn read_history(
    inner: &Inner,
    found: &FoundFiles,
    newest: &Superblock,
    notes: &mut Vec<String>,
) -> Result<History, OpenError> {
    let mut history = History {
        position: Position(0),
        chain: Chain::default(),
        open: Vec::new(),
        segments: HashSet::new(),
    };
    for (id, files) in &found.commit {
        let bound = newest.bound_of(id.epoch());
        if let Some(header) = complete_cells(inner, *id, files)? {
            let sealed = &header.sealed;
            if sealed.chain_before == history.chain && sealed.first.0 == history.position.0 + 1 {
                history.position = sealed.last;
                history.chain = sealed.chain_after;
                history.segments.insert(*id);
                inner.table.insert(Segment { id: *id, layout: header.layout() });
                continue;
            }
            if bound.is_some_and(|bound| sealed.last > bound && history.position >= bound) {
                notes.push(format!("segment {id} lies beyond a recorded end of history"));
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
        read_open(inner, *id, files, bound, &mut history, notes)?;
    }
    let (position, chain) = newest.decided;
    if history.position < position || (history.position == position && history.chain != chain) {
        return Err(OpenError::Damaged(format!(
            "history ends at position {}, but reached {} when the store was last started",
            history.position.0, position.0
        )));
    }
    Ok(history)
}

/// The header of a sealed segment whose cells can be read. Beside copies that hold everything
/// the cells do not count: sealing may have been cut short, so it is done again.
fn complete_cells(
    inner: &Inner,
    id: SegmentId,
    files: &CommitFiles,
) -> Result<Option<CellHeader>, OpenError> {
    // An attempt that a lost drive cut short may have left cells of another shape.
    let alike = |header: &CellHeader| files.cells.iter().filter(|c| c.1.is_like(header)).count();
    let best = files
        .cells
        .iter()
        .map(|(_, header)| header)
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
    if reads_whole(&mut BodyReader::of_files(inner, id, copies, false, u64::MAX)) {
        return Ok(None);
    }
    // Stale copies of a drive that was away.
    let segment = Segment { id, layout: header.layout() };
    Ok(reads_whole(&mut BodyReader::new(inner, &segment)).then(|| header.clone()))
}

/// Reads an unsealed segment from its copies and, if it goes on where history stands, adds it.
fn read_open(
    inner: &Inner,
    id: SegmentId,
    files: &CommitFiles,
    bound: Option<Position>,
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
    let sealed_further = files.cells.iter().any(|(_, header)| {
        header.sealed.last > last && bound.is_none_or(|bound| header.sealed.last <= bound)
    });
    if sealed_further {
        return Err(OpenError::Damaged(format!(
            "segment {id} was sealed beyond position {}, and its cells need more drives to be read",
            last.0
        )));
    }
    if let Some(lost) = later_group(&mut reader, end, length, last, bound) {
        return Err(OpenError::Damaged(format!(
            "segment {id} is damaged after position {}: position {} still stands behind it",
            last.0, lost.0
        )));
    }
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
fn later_group(
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

/// Removes what is not part of history: prepared segments, copies of sealed ones, temporary
/// files. The decision is durable by now.
fn remove_dead(inner: &Inner, found: &FoundFiles, history: &History) {
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

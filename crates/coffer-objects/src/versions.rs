//! The versions of a key: finding one, and within a commit keeping what is replaced, deleting one,
//! and making the next the current object.
//!
//! Only the row of a version moves, between `O` and `V`. Its cold headers and its owner row stay:
//! their keys name the version.

use std::ops::Bound;

use bytes::Bytes;
use coffer_base::{ObjectId, Timestamp};
use coffer_catalog::keys::prefix_bounds;
use coffer_catalog::{Snapshot, Txn};

use crate::error::{Error, Result};
use crate::manifest::KnownManifests;
use crate::objects::{Refusal, Rows};
use crate::replace::{self, Change, Kept, Place};
use crate::rows::head::{HeadRow, VersionTag};
use crate::rows::version::{MarkerRow, NullRow, VersionRow};
use crate::rows::{self, Row, keys};
use crate::types::{Deleted, VersionId, Versioning, WriteCondition};

/// Bytes that keeping the row of a version takes in a commit, without the key in it and without
/// headers.
const VERSION_BYTES: usize = 512;

/// Bytes that a commit about `key` takes more where versions are kept.
pub(crate) fn commit_bytes(versioning: Versioning, key: &str) -> usize {
    match versioning {
        Versioning::Never => 0,
        Versioning::Enabled | Versioning::Suspended => VERSION_BYTES + 4 * key.len(),
    }
}

// ---- finding ----

/// A version, and where its row is.
pub(crate) enum Located {
    /// The current object.
    Head(HeadRow),
    /// Another one, or a delete marker.
    Other(VersionTag, VersionRow),
}

/// The version `id` at `place`.
pub(crate) fn locate(rows: &impl Rows, place: Place<'_>, id: VersionId) -> Result<Option<Located>> {
    let Place { bucket, key } = place;
    let head: Option<HeadRow> = rows.row(&keys::head(bucket, key))?;
    if let Some(head) = head
        && head.version.id(head.object_id) == id
    {
        return Ok(Some(Located::Head(head)));
    }
    let sequence = match id {
        VersionId::Given { sequence, .. } => sequence,
        VersionId::Null => match rows.row::<NullRow>(&keys::null(bucket, key))? {
            Some(row) => row.sequence,
            None => return Ok(None),
        },
    };
    let row_key = keys::version(bucket, key, sequence);
    let Some(row) = rows.row::<VersionRow>(&row_key)? else {
        return Ok(None);
    };
    let tag = tag_of(&row, sequence, &row_key)?;
    Ok((tag.id(row.object_id()) == id).then_some(Located::Other(tag, row)))
}

/// The tag of the row at `sequence`.
pub(crate) fn tag_of(row: &VersionRow, sequence: u64, row_key: &[u8]) -> Result<VersionTag> {
    row.tag(sequence).ok_or_else(|| {
        Error::Corrupt(format!("the version row {} is of another version", keys::show(row_key)))
    })
}

/// What a reader gets: the version `id`, or without one the current object.
pub(crate) fn readable(
    snapshot: &Snapshot,
    place: Place<'_>,
    versioning: Versioning,
    id: Option<VersionId>,
) -> Result<HeadRow> {
    let Some(id) = id else {
        let head: Option<HeadRow> = snapshot.row(&keys::head(place.bucket, place.key))?;
        return match head {
            Some(head) => Ok(head),
            None if versioning == Versioning::Never => Err(Error::NoSuchKey),
            None => Err(why_absent(snapshot, place)?),
        };
    };
    match locate(snapshot, place, id)? {
        Some(Located::Head(head) | Located::Other(_, VersionRow::Object(head))) => Ok(head),
        Some(Located::Other(_, VersionRow::Marker(marker))) => {
            let modified = marker.modified;
            Err(Error::DeleteMarker { version_id: id, modified, named: true })
        }
        None => Err(Error::NoSuchVersion),
    }
}

/// Why a key has no head.
fn why_absent(snapshot: &Snapshot, place: Place<'_>) -> Result<Error> {
    let newest = snapshot.prefix(&keys::versions_of_key(place.bucket, place.key)).next();
    let Some((row_key, value)) = newest.transpose()? else {
        return Ok(Error::NoSuchKey);
    };
    match read(&row_key, &value)? {
        (tag, VersionRow::Marker(marker)) => Ok(Error::DeleteMarker {
            version_id: tag.id(marker.object_id),
            modified: marker.modified,
            named: false,
        }),
        (_, VersionRow::Object(_)) => {
            Err(Error::Corrupt(format!("{} is newest and not the head", keys::show(&row_key))))
        }
    }
}

/// Decodes the row of a version.
pub(crate) fn read(row_key: &[u8], value: &[u8]) -> Result<(VersionTag, VersionRow)> {
    let row: VersionRow = rows::read(row_key, value)?;
    let sequence = keys::version_sequence(row_key).ok_or_else(|| {
        Error::Corrupt(format!("a row has the malformed key {}", keys::show(row_key)))
    })?;
    Ok((tag_of(&row, sequence, row_key)?, row))
}

// ---- within a commit ----

/// The tag of what is written now.
pub(crate) fn next(txn: &Txn<'_>, versioning: Versioning) -> VersionTag {
    let is_null = match versioning {
        Versioning::Never => return VersionTag::FIRST,
        Versioning::Enabled => false,
        Versioning::Suspended => true,
    };
    let sequence = txn.sequence();
    assert_ne!(sequence, 0, "a bucket has drawn a number before");
    VersionTag { sequence, is_null }
}

/// Whether `old`, the current object, is replaced rather than kept by what is written now.
pub(crate) fn is_given_up(versioning: Versioning, old: &HeadRow) -> bool {
    match versioning {
        Versioning::Never => true,
        Versioning::Enabled => false,
        Versioning::Suspended => old.version.is_null,
    }
}

/// Makes way for a new version: keeps `old` as one that is not current, unless it is given up, and
/// removes the null version if it is another one and the new one will be it.
pub(crate) fn make_way(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    place: Place<'_>,
    versioning: Versioning,
    old: Option<&HeadRow>,
    kept: Option<Kept>,
) -> Result<Change, Refusal> {
    let mut change = Change::default();
    if versioning == Versioning::Suspended
        && let Some(Located::Other(tag, row)) = locate_other_null(txn, place)?
    {
        remove_other(txn, known, place, tag, &row, kept, &mut change)?;
    }
    if let Some(old) = old.filter(|old| !is_given_up(versioning, old)) {
        keep(txn, place, old.version, &VersionRow::Object(old.clone()));
        change.versions += 1;
    }
    Ok(change)
}

fn locate_other_null(txn: &Txn<'_>, place: Place<'_>) -> Result<Option<Located>> {
    let row: Option<NullRow> = txn.row(&keys::null(place.bucket, place.key))?;
    let Some(NullRow { sequence }) = row else {
        return Ok(None);
    };
    let row_key = keys::version(place.bucket, place.key, sequence);
    let row: Option<VersionRow> = txn.row(&row_key)?;
    let row = row.ok_or_else(|| {
        Error::Corrupt(format!("the null version {} is not there", keys::show(&row_key)))
    })?;
    Ok(Some(Located::Other(tag_of(&row, sequence, &row_key)?, row)))
}

/// Writes the row of a version that is not the current object.
fn keep(txn: &mut Txn<'_>, place: Place<'_>, tag: VersionTag, row: &VersionRow) {
    let VersionTag { sequence, is_null } = tag;
    txn.put(&keys::version(place.bucket, place.key, sequence), &row.encode());
    if is_null {
        txn.put(&keys::null(place.bucket, place.key), &NullRow { sequence }.encode());
    }
}

/// Removes the row of a version that is not the current object.
fn remove_row(txn: &mut Txn<'_>, place: Place<'_>, tag: VersionTag) {
    txn.delete(&keys::version(place.bucket, place.key, tag.sequence));
    if tag.is_null {
        txn.delete(&keys::null(place.bucket, place.key));
    }
}

/// Removes a version that is not the current object, with all that belongs to it.
fn remove_other(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    place: Place<'_>,
    tag: VersionTag,
    row: &VersionRow,
    kept: Option<Kept>,
    change: &mut Change,
) -> Result<(), Refusal> {
    if let VersionRow::Object(head) = row {
        replace::release(txn, known, place, head, kept)?;
        change.bytes -= head.size as i64;
    }
    remove_row(txn, place, tag);
    change.versions -= 1;
    Ok(())
}

/// A delete marker about to be added, if the bucket keeps versions.
#[derive(Clone, Copy)]
pub(crate) struct NewMarker {
    pub object_id: ObjectId,
    pub modified: Timestamp,
}

/// Deletes the object at `place`, of which `old` is the head: for good, or by a marker.
pub(crate) fn delete_current(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    place: Place<'_>,
    versioning: Versioning,
    old: Option<&HeadRow>,
    markers: &dyn Fn() -> NewMarker,
) -> Result<Deleted, Refusal> {
    let mut change = make_way(txn, known, place, versioning, old, None)?;
    if let Some(old) = old {
        if is_given_up(versioning, old) {
            replace::release(txn, known, place, old, None)?;
            change.bytes -= old.size as i64;
        }
        txn.delete(&keys::head(place.bucket, place.key));
        change.objects -= 1;
    }
    let mut deleted = Deleted::default();
    if versioning != Versioning::Never {
        let tag = next(txn, versioning);
        let NewMarker { object_id, modified } = markers();
        let row = MarkerRow { is_null: tag.is_null, object_id, modified };
        keep(txn, place, tag, &VersionRow::Marker(row));
        change.versions += 1;
        deleted = Deleted { version_id: Some(tag.id(object_id)), delete_marker: true };
    }
    change.count(txn, place.bucket);
    Ok(deleted)
}

/// Deletes the version `id` at `place` for good, if it is there and `condition` holds for it. If it
/// was the newest, the next one takes its place.
pub(crate) fn delete_version(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    place: Place<'_>,
    id: VersionId,
    condition: &WriteCondition,
) -> Result<Deleted, Refusal> {
    let located = locate(&*txn, place, id)?;
    if condition.is_some() {
        let head = match &located {
            Some(Located::Head(head) | Located::Other(_, VersionRow::Object(head))) => Some(head),
            Some(Located::Other(_, VersionRow::Marker(_))) | None => None,
        };
        condition.evaluate(head.map(|head| head.etag.to_string()).as_deref())?;
    }
    let mut change = Change::default();
    let mut delete_marker = false;
    match located {
        None => return Ok(Deleted { version_id: Some(id), delete_marker }),
        Some(Located::Head(head)) => {
            replace::release(txn, known, place, &head, None)?;
            txn.delete(&keys::head(place.bucket, place.key));
            change.objects -= 1;
            change.bytes -= head.size as i64;
            // All that are left are older.
            let older = keys::version(place.bucket, place.key, head.version.sequence);
            promote(txn, place, Bound::Excluded(older.as_slice()), &mut change)?;
        }
        Some(Located::Other(tag, row)) => {
            delete_marker = matches!(row, VersionRow::Marker(_));
            remove_other(txn, known, place, tag, &row, None, &mut change)?;
            if txn.value(&keys::head(place.bucket, place.key))?.is_none() {
                let within = keys::versions_of_key(place.bucket, place.key);
                promote(txn, place, Bound::Included(within.as_slice()), &mut change)?;
            }
        }
    }
    change.count(txn, place.bucket);
    Ok(Deleted { version_id: Some(id), delete_marker })
}

/// Makes the newest version the current object, if it is one. There is no head, and no row before
/// `from`: what lies there were many deleted ones, which a search would step over one by one.
fn promote(
    txn: &mut Txn<'_>,
    place: Place<'_>,
    from: Bound<&[u8]>,
    change: &mut Change,
) -> Result<(), Refusal> {
    let within = keys::versions_of_key(place.bucket, place.key);
    let (_, to): (Bound<Vec<u8>>, Bound<Vec<u8>>) = prefix_bounds(&within);
    let Some((row_key, value)) = txn.range(from, to.as_ref().map(Vec::as_slice), 1)?.pop() else {
        return Ok(());
    };
    if let (tag, VersionRow::Object(head)) = read(&row_key, &value)? {
        remove_row(txn, place, tag);
        txn.put(&keys::head(place.bucket, place.key), &head.encode());
        change.versions -= 1;
        change.objects += 1;
    }
    Ok(())
}

/// The first row whose key begins with `within`.
pub(crate) fn first(txn: &Txn<'_>, within: &[u8]) -> Result<Option<(Bytes, Bytes)>> {
    let (lo, hi): (Bound<Vec<u8>>, Bound<Vec<u8>>) = prefix_bounds(within);
    let lo = lo.as_ref().map(Vec::as_slice);
    let hi = hi.as_ref().map(Vec::as_slice);
    Ok(txn.range(lo, hi, 1)?.pop())
}

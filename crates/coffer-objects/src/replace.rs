//! Putting a head in the place of another, or of none, within a commit: the one place where
//! heads, cold headers, owners, manifests and counters change together.

use std::collections::BTreeMap;

use coffer_base::{BucketId, ObjectId, SegmentId};
use coffer_catalog::Txn;
use coffer_log::Extent;

use crate::error::Error;
use crate::manifest::{self, KnownManifests, NewManifest};
use crate::objects::{Refusal, Rows};
use crate::rows::blob::{OwnerRow, bytes_by_segment};
use crate::rows::head::{Body, HeadHeaders, HeadRow, VersionTag};
use crate::rows::headers::{ColdRow, HEAD_HEADERS_BYTES_MAX};
use crate::rows::{Row, keys};
use crate::types::{Versioning, WriteCondition};
use crate::versions;

/// The place of an object.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub bucket: BucketId,
    pub key: &'a str,
}

/// The body of a head about to be placed.
pub(crate) enum NewBody<'a> {
    Empty,
    /// Appended to the commit lane now.
    Inline(&'a [u8]),
    /// A new blob, named by the head's object id. The segments' counters already count the bytes
    /// of parts, and not those of a plain PUT.
    Blob {
        manifest: &'a NewManifest,
        uncounted: &'a [Extent],
    },
    /// One more owner for a blob that is there.
    Shared(ObjectId),
}

/// A head about to be placed.
pub(crate) struct NewHead<'a> {
    /// `version`, `headers` and `body` of this do not count.
    pub row: &'a HeadRow,
    /// The headers, as [`headers::encode`] gives them.
    pub header_block: &'a [u8],
    pub body: NewBody<'a>,
}

/// The head at `place`, about to be replaced on `condition`.
pub(crate) fn current_if(
    rows: &impl Rows,
    place: Place<'_>,
    condition: &WriteCondition,
) -> Result<Option<HeadRow>, Error> {
    let current: Option<HeadRow> = rows.row(&keys::head(place.bucket, place.key))?;
    if condition.is_some() {
        let etag = current.as_ref().map(|head| head.etag.to_string());
        condition.evaluate(etag.as_deref())?;
    }
    Ok(current)
}

/// The blob that the version about to be placed owns.
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    blob: ObjectId,
    sequence: u64,
}

/// Puts `new` where `old` is the current one: in its place, or before it where versions are kept.
/// Gives the version that `new` became.
pub(crate) fn place(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    place: Place<'_>,
    versioning: Versioning,
    old: Option<&HeadRow>,
    new: NewHead<'_>,
) -> Result<VersionTag, Refusal> {
    let NewHead { row, header_block, body } = new;
    let version = versions::next(txn, versioning);
    let kept = match body {
        NewBody::Shared(blob) => Some(Kept { blob, sequence: version.sequence }),
        _ => None,
    };
    let mut change = versions::make_way(txn, known, place, versioning, old, kept)?;
    let given_up = old.filter(|old| versions::is_given_up(versioning, old));
    if let Some(old) = given_up {
        release_body(txn, known, place, old, kept)?;
        change.bytes -= old.size as i64;
    }
    let body = match body {
        NewBody::Empty => Body::Empty,
        NewBody::Inline(bytes) => {
            let extent = txn.append(bytes);
            count_extents(txn, &[extent], 1);
            Body::Inline(extent)
        }
        NewBody::Blob { manifest, uncounted } => {
            count_extents(txn, uncounted, 1);
            manifest.put(txn, row.object_id);
            Body::Blob(row.object_id)
        }
        NewBody::Shared(blob) => Body::Blob(blob),
    };
    if let Body::Blob(blob) = body {
        let owner = OwnerRow { object_id: row.object_id };
        let key = keys::owner(blob, place.bucket, place.key, version.sequence);
        txn.put(&key, &owner.encode());
    }
    let is_cold = header_block.len() > HEAD_HEADERS_BYTES_MAX;
    if let Some(old) = given_up.filter(|old| old.headers == HeadHeaders::Cold)
        && !(is_cold && old.version.sequence == version.sequence)
    {
        txn.delete(&keys::cold(place.bucket, place.key, old.version.sequence));
    }
    if is_cold {
        let cold = ColdRow::encode_block(header_block);
        txn.put(&keys::cold(place.bucket, place.key, version.sequence), &cold);
    }
    let block = (!is_cold).then_some(header_block);
    let head = if row.version == version {
        row.encode_with(block, body)
    } else {
        HeadRow { version, ..row.clone() }.encode_with(block, body)
    };
    txn.put(&keys::head(place.bucket, place.key), &head);
    change.objects += if old.is_some() { 0 } else { 1 };
    change.bytes += row.size as i64;
    change.count(txn, place.bucket);
    Ok(version)
}

/// Removes all that belongs to the version `old`, but not its row and not from the counters of
/// objects.
pub(crate) fn release(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    place: Place<'_>,
    old: &HeadRow,
    kept: Option<Kept>,
) -> Result<(), Refusal> {
    release_body(txn, known, place, old, kept)?;
    if old.headers == HeadHeaders::Cold {
        txn.delete(&keys::cold(place.bucket, place.key, old.version.sequence));
    }
    Ok(())
}

/// Gives up the bytes of `old`; what is kept stays, and gets its owner from this place.
fn release_body(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    place: Place<'_>,
    old: &HeadRow,
    kept: Option<Kept>,
) -> Result<(), Refusal> {
    match old.body {
        Body::Empty => Ok(()),
        Body::Inline(extent) => {
            count_extents(txn, &[extent], -1);
            Ok(())
        }
        Body::Blob(blob) => {
            let sequence = old.version.sequence;
            let kept = kept.filter(|kept| kept.blob == blob);
            if kept.is_some_and(|kept| kept.sequence == sequence) {
                return Ok(());
            }
            txn.delete(&keys::owner(blob, place.bucket, place.key, sequence));
            if kept.is_some() { Ok(()) } else { release_blob(txn, known, blob) }
        }
    }
}

/// Removes the blob, if nothing owns it any more.
fn release_blob(txn: &mut Txn<'_>, known: &KnownManifests, blob: ObjectId) -> Result<(), Refusal> {
    let (lo, hi) = coffer_catalog::keys::prefix_bounds(&keys::owners(blob));
    let lo = lo.as_ref().map(Vec::as_slice);
    let hi = hi.as_ref().map(Vec::as_slice);
    if !txn.range(lo, hi, 1)?.is_empty() {
        return Ok(());
    }
    let bytes = manifest::remove(txn, known, blob)?;
    count_bytes(txn, &bytes, -1);
    Ok(())
}

/// Adds the bytes of `extents`, times `sign`, to the live bytes of their segments.
pub(crate) fn count_extents<'a>(
    txn: &mut Txn<'_>,
    extents: impl IntoIterator<Item = &'a Extent>,
    sign: i64,
) {
    count_bytes(txn, &bytes_by_segment(extents), sign);
}

fn count_bytes(txn: &mut Txn<'_>, bytes: &BTreeMap<SegmentId, i64>, sign: i64) {
    for (segment, bytes) in bytes {
        txn.add(&keys::segment_counter(*segment), &[sign * bytes]);
    }
}

/// What a commit adds to the counters of a bucket and of the store.
#[derive(Clone, Copy, Default)]
pub(crate) struct Change {
    pub objects: i64,
    pub bytes: i64,
    pub versions: i64,
}

impl Change {
    /// Adds it. Rows of buckets that never had versioning do not get as far as the versions.
    pub(crate) fn count(self, txn: &mut Txn<'_>, bucket: BucketId) {
        let Change { objects, bytes, versions } = self;
        if versions != 0 {
            txn.add(&keys::bucket_counters(bucket), &[objects, bytes, 0, versions]);
            txn.add(&keys::totals(), &[0, objects, bytes, 0, versions]);
        } else if objects != 0 || bytes != 0 {
            txn.add(&keys::bucket_counters(bucket), &[objects, bytes]);
            txn.add(&keys::totals(), &[0, objects, bytes]);
        }
    }
}

/// Adds to the number of uploads of a bucket and of the store.
pub(crate) fn count_uploads(txn: &mut Txn<'_>, bucket: BucketId, uploads: i64) {
    txn.add(&keys::bucket_counters(bucket), &[0, 0, uploads]);
    txn.add(&keys::totals(), &[0, 0, 0, uploads]);
}

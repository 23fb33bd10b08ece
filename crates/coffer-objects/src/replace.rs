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
use crate::rows::head::{Body, HeadHeaders, HeadRow};
use crate::rows::headers::{ColdRow, HEAD_HEADERS_BYTES_MAX};
use crate::rows::{Row, keys};
use crate::types::WriteCondition;

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
    /// `headers` and `body` of this do not count.
    pub row: &'a HeadRow,
    /// The headers, as [`headers::encode`] gives them.
    pub header_block: &'a [u8],
    pub body: NewBody<'a>,
}

/// The head at `place`.
pub(crate) fn current(txn: &Txn<'_>, place: Place<'_>) -> Result<Option<HeadRow>, Error> {
    txn.row(&keys::head(place.bucket, place.key))
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

/// Puts `new` where `old` was.
pub(crate) fn place(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    place: Place<'_>,
    old: Option<&HeadRow>,
    new: NewHead<'_>,
) -> Result<(), Refusal> {
    let NewHead { row, header_block, body } = new;
    let kept_blob = match body {
        NewBody::Shared(blob) => Some(blob),
        _ => None,
    };
    if let Some(old) = old {
        release_body(txn, known, place, old, kept_blob)?;
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
        txn.put(&keys::owner(blob, place.bucket, place.key), &owner.encode());
    }
    let had_cold = old.is_some_and(|old| old.headers == HeadHeaders::Cold);
    let is_cold = header_block.len() > HEAD_HEADERS_BYTES_MAX;
    if is_cold {
        let cold = ColdRow::encode_block(header_block);
        txn.put(&keys::cold(place.bucket, place.key), &cold);
    } else if had_cold {
        txn.delete(&keys::cold(place.bucket, place.key));
    }
    let head = row.encode_with((!is_cold).then_some(header_block), body);
    txn.put(&keys::head(place.bucket, place.key), &head);
    let objects = if old.is_some() { 0 } else { 1 };
    let bytes = row.size as i64 - old.map_or(0, |old| old.size as i64);
    count_objects(txn, place.bucket, objects, bytes);
    Ok(())
}

/// Removes `old` from its place.
pub(crate) fn remove(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    place: Place<'_>,
    old: &HeadRow,
) -> Result<(), Refusal> {
    release_body(txn, known, place, old, None)?;
    if old.headers == HeadHeaders::Cold {
        txn.delete(&keys::cold(place.bucket, place.key));
    }
    txn.delete(&keys::head(place.bucket, place.key));
    count_objects(txn, place.bucket, -1, -(old.size as i64));
    Ok(())
}

/// Gives up the bytes of `old`; the blob `kept` stays owned from this place.
fn release_body(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    place: Place<'_>,
    old: &HeadRow,
    kept: Option<ObjectId>,
) -> Result<(), Refusal> {
    match old.body {
        Body::Empty => Ok(()),
        Body::Inline(extent) => {
            count_extents(txn, &[extent], -1);
            Ok(())
        }
        Body::Blob(blob) if Some(blob) == kept => Ok(()),
        Body::Blob(blob) => release_blob(txn, known, place, blob),
    }
}

/// Removes the owner row of `place`, and with the last owner the blob.
fn release_blob(
    txn: &mut Txn<'_>,
    known: &KnownManifests,
    place: Place<'_>,
    blob: ObjectId,
) -> Result<(), Refusal> {
    txn.delete(&keys::owner(blob, place.bucket, place.key));
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

/// Adds to the counters of a bucket and of the store.
fn count_objects(txn: &mut Txn<'_>, bucket: BucketId, objects: i64, bytes: i64) {
    if objects != 0 || bytes != 0 {
        txn.add(&keys::bucket_counters(bucket), &[objects, bytes]);
        txn.add(&keys::totals(), &[0, objects, bytes]);
    }
}

/// Adds to the number of uploads of a bucket and of the store.
pub(crate) fn count_uploads(txn: &mut Txn<'_>, bucket: BucketId, uploads: i64) {
    txn.add(&keys::bucket_counters(bucket), &[0, 0, uploads]);
    txn.add(&keys::totals(), &[0, 0, 0, uploads]);
}

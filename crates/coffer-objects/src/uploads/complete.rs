//! Completing an upload: one manifest, one head, one commit.

use std::sync::Arc;

use bytes::Bytes;
use coffer_base::ObjectId;
use coffer_catalog::{Snapshot, Txn};
use coffer_iam::{Action, Grant};
use coffer_log::{Extent, Log};

use super::abort::end_upload;
use super::{UploadId, check_part_number, decode_parts, part_entries};
use crate::digest;
use crate::error::{DigestKind, Error, Result};
use crate::etag::Etag;
use crate::manifest::{KnownManifests, NewManifest};
use crate::objects::{Objects, Refusal, Rows, commit_bytes, object_key, same_bucket};
use crate::replace::{self, NewBody, NewHead, Place, count_extents};
use crate::rows::blob::{BlobPart, Manifest};
use crate::rows::head::{Body, HeadHeaders, HeadRow, VersionTag};
use crate::rows::upload::{PartRow, UploadRow};
use crate::rows::{headers, keys};
use crate::types::{
    Bucket, Checksum, ChecksumType, Complete, CompletePart, Headers, OBJECT_BYTES_MAX, ObjectInfo,
    PART_BYTES_MIN,
};
use crate::versions;

/// Bytes that removing a part takes in a commit, or reducing a segment's counter.
const PIECE_BYTES_HINT: usize = 64;

/// How often the parts are looked at again when they change meanwhile.
const ATTEMPTS_MAX: usize = 16;

impl Objects {
    /// Completes an upload (`CompleteMultipartUpload`). Done once, it may be asked again with the
    /// same parts, as long as the object is the one it made.
    pub async fn complete_upload(
        &self,
        grant: &Grant,
        upload_id: &str,
        request: Complete,
    ) -> Result<ObjectInfo> {
        let key = object_key(grant, Action::PutObject)?;
        check_parts(&request.parts)?;
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        let id = UploadId::parse(upload_id)?;
        let request = Arc::new(request);
        for _ in 0..ATTEMPTS_MAX {
            let snapshot = self.catalog().snapshot();
            let upload: Option<UploadRow> = snapshot.row(&keys::upload(bucket.id, &key, id))?;
            let Some(upload) = upload else {
                drop(snapshot);
                let found =
                    self.find(grant, key, None, false).await.map_err(|error| match error {
                        Error::NoSuchKey | Error::DeleteMarker { .. } => Error::NoSuchUpload,
                        other => other,
                    })?;
                return completed_before(&found.head, found.info(), id, &request.parts);
            };
            let place = Place { bucket: bucket.id, key: &key };
            replace::current_if(&snapshot, place, &request.condition)?;
            let (log, asked) = (self.catalog().log().clone(), request.clone());
            let joining = self.call(move || Joined::new(&log, &snapshot, id, upload, &asked));
            let joined = joining.await??;
            coffer_base::failpoint::pass("complete.joined");
            if let Some(info) = self.commit_joined(&bucket, &key, id, &request, joined).await? {
                return Ok(info);
            }
        }
        Err(Error::Unavailable("the parts change all the time".to_owned()))
    }

    /// The commit of parts that were joined; `None` if they changed since.
    async fn commit_joined(
        &self,
        bucket: &Bucket,
        key: &str,
        id: UploadId,
        request: &Arc<Complete>,
        joined: Joined,
    ) -> Result<Option<ObjectInfo>> {
        let Joined { stored, unwanted, whole, manifest, headers } = joined;
        let row = HeadRow {
            version: VersionTag::FIRST,
            object_id: ObjectId::random(self.rng()),
            size: whole.size,
            etag: whole.etag,
            modified: self.now(),
            checksum: Some(whole.checksum),
            upload: Some(id),
            headers: HeadHeaders::Cold,
            body: Body::Empty,
        };
        let header_block = headers::encode(&headers);
        let mut info = row.info(key.to_owned(), headers);
        let pieces = stored.len() + unwanted.len();
        let hint = commit_bytes(key, header_block.len())
            + pieces * PIECE_BYTES_HINT
            + manifest.len()
            + versions::commit_bytes(bucket.versioning, key);
        let ack = Objects::ack(request.ack, bucket.ack);
        let (bucket, key, request) = (bucket.clone(), key.to_owned(), request.clone());
        let plan = move |txn: &mut Txn<'_>, known: &KnownManifests| {
            let versioning = same_bucket(txn, &bucket)?.versioning;
            let is_there = txn.value(&keys::upload(bucket.id, &key, id))?.is_some();
            if !is_there || part_entries(txn, id)? != stored {
                return Err(Refusal::Stale);
            }
            let place = Place { bucket: bucket.id, key: &key };
            let old = replace::current_if(&*txn, place, &request.condition)?;
            stored.iter().for_each(|(part_key, _)| txn.delete(part_key));
            count_extents(txn, &unwanted, -1);
            end_upload(txn, bucket.id, &key, id);
            // The parts' bytes are counted already.
            let body = NewBody::Blob { manifest: &manifest, uncounted: &[] };
            let new = NewHead { row: &row, header_block: &header_block, body };
            replace::place(txn, known, place, versioning, old.as_ref(), new)
        };
        let done = self.try_commit(ack, hint, plan).await?;
        coffer_base::failpoint::pass("complete.committed");
        Ok(done.map(|version| {
            info.version_id = version.shown(info.object_id);
            info
        }))
    }
}

/// The parts of an upload made into one, from a state of the catalog. The plan only has to see
/// that its part rows are still the same.
struct Joined {
    /// All part rows, also those that are not wanted.
    stored: Vec<(Bytes, Bytes)>,
    /// Extents of the parts that are not wanted.
    unwanted: Vec<Extent>,
    whole: Whole,
    manifest: NewManifest,
    headers: Headers,
}

impl Joined {
    /// Reads the parts, checks them against what is asked for and stores the manifest. Blocks.
    fn new(
        log: &Log,
        snapshot: &Snapshot,
        id: UploadId,
        upload: UploadRow,
        request: &Complete,
    ) -> Result<Joined> {
        let entries = snapshot.prefix(&keys::parts(id));
        let stored: Vec<(Bytes, Bytes)> = entries.collect::<Result<_, _>>()?;
        let (wanted, unwanted) = choose(decode_parts(&stored)?, &request.parts)?;
        let whole = Whole::of(&upload, &wanted)?;
        whole.check(request)?;
        let parts = wanted.into_iter().map(|(_, part)| blob_part(part)).collect();
        let unwanted = unwanted.into_iter().flat_map(|(_, part)| part.extents).collect();
        let manifest = NewManifest::store(log, Manifest { parts })?;
        Ok(Joined { stored, unwanted, whole, manifest, headers: upload.headers })
    }
}

fn blob_part(part: PartRow) -> BlobPart {
    BlobPart { size: part.size, checksum: Some(part.checksum), extents: part.extents }
}

/// What the request alone can get wrong.
fn check_parts(parts: &[CompletePart]) -> Result<()> {
    if parts.is_empty() {
        return Err(Error::InvalidRequest("You must specify at least one part".to_owned()));
    }
    parts.iter().try_for_each(|part| check_part_number(part.number))?;
    if !parts.is_sorted_by(|a, b| a.number < b.number) {
        return Err(Error::InvalidPartOrder);
    }
    Ok(())
}

/// The answer to completing once more.
fn completed_before(
    head: &HeadRow,
    info: ObjectInfo,
    id: UploadId,
    parts: &[CompletePart],
) -> Result<ObjectInfo> {
    let md5s: Option<Vec<[u8; 16]>> = parts.iter().map(|part| parse_etag(&part.etag)).collect();
    match md5s {
        Some(md5s) if head.upload == Some(id) && Etag::of_parts(md5s.iter()) == head.etag => {
            Ok(info)
        }
        _ => Err(Error::NoSuchUpload),
    }
}

/// The MD5 in the ETag of a part.
fn parse_etag(etag: &str) -> Option<[u8; 16]> {
    let etag = etag.trim();
    let etag = etag.strip_prefix('"').and_then(|e| e.strip_suffix('"')).unwrap_or(etag);
    if etag.len() != 32 || !etag.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(etag, 16).ok().map(u128::to_be_bytes)
}

type Numbered = Vec<(u32, PartRow)>;

/// Splits the stored parts into those that are asked for, in order, and the rest.
fn choose(stored: Numbered, asked: &[CompletePart]) -> Result<(Numbered, Numbered)> {
    let (mut wanted, mut unwanted) = (Vec::with_capacity(asked.len()), Vec::new());
    let mut asked = asked.iter().peekable();
    for (number, part) in stored {
        match asked.peek() {
            Some(next) if next.number < number => break,
            Some(next) if next.number == number => {
                let same_checksum = next.checksum.as_ref().is_none_or(|given| {
                    [Some(&part.checksum), part.asked_checksum.as_ref()]
                        .into_iter()
                        .flatten()
                        .any(|kept| kept.algorithm == given.algorithm && kept.value == given.value)
                });
                if parse_etag(&next.etag) != Some(part.md5) || !same_checksum {
                    return Err(Error::InvalidPart { number });
                }
                asked.next();
                wanted.push((number, part));
            }
            _ => unwanted.push((number, part)),
        }
    }
    match asked.next() {
        Some(missing) => Err(Error::InvalidPart { number: missing.number }),
        None => Ok((wanted, unwanted)),
    }
}

/// What the object will be.
struct Whole {
    size: u64,
    etag: Etag,
    checksum: Checksum,
}

impl Whole {
    fn of(upload: &UploadRow, parts: &Numbered) -> Result<Whole> {
        let (_, all_but_last) = parts.split_last().expect("there is a part at least");
        for (number, part) in all_but_last {
            if part.size < PART_BYTES_MIN {
                return Err(Error::EntityTooSmall {
                    number: *number,
                    size: part.size,
                    min: PART_BYTES_MIN,
                });
            }
        }
        let size = parts.iter().map(|(_, part)| part.size).sum();
        if size > OBJECT_BYTES_MAX {
            return Err(Error::EntityTooLarge { size, max: OBJECT_BYTES_MAX });
        }
        let algorithm = upload.checksum_algorithm;
        let checksum = match upload.checksum_type {
            ChecksumType::Composite => {
                digest::composite(algorithm, parts.iter().map(|(_, part)| &part.checksum))
            }
            ChecksumType::FullObject => {
                let sums: Vec<_> =
                    parts.iter().map(|(_, part)| (&part.checksum, part.size)).collect();
                digest::combine(algorithm, &sums)
            }
        };
        let etag = Etag::of_parts(parts.iter().map(|(_, part)| &part.md5));
        Ok(Whole { size, etag, checksum })
    }

    /// Against what the request says it must be.
    fn check(&self, request: &Complete) -> Result<()> {
        if let Some(given) = &request.checksum {
            let algorithm = given.algorithm;
            if algorithm != self.checksum.algorithm {
                return Err(Error::InvalidRequest(format!(
                    "the upload's checksum is {}, not {algorithm}",
                    self.checksum.algorithm
                )));
            }
            if given.value != self.checksum.value {
                return Err(Error::BadDigest(DigestKind::Checksum(algorithm)));
            }
        }
        match request.object_size {
            Some(size) if size != self.size => Err(Error::InvalidRequest(format!(
                "The provided 'x-amz-mp-object-size' header value {size} does not match what \
                 was computed: {}",
                self.size
            ))),
            _ => Ok(()),
        }
    }
}

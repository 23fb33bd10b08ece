//! Copying an object: small payloads are written again, blobs get one more owner.
//!
//! The copy's ETag is the MD5 of its bytes, as on S3. When that is not known (the source was
//! uploaded by multipart), or the checksum wanted is another, the bytes are read and digested,
//! and still not written.

use bytes::{Bytes, BytesMut};
use coffer_base::ObjectId;
use coffer_catalog::Txn;
use coffer_iam::{Action, Grant};

use crate::blocking;
use crate::digest::{Digester, Digests};
use crate::error::{Error, Result};
use crate::etag::Etag;
use crate::get::Found;
use crate::manifest::KnownManifests;
use crate::objects::{
    Objects, Refusal, Rows, check_headers, commit_bytes, object_key, same_bucket, version_key,
};
use crate::put::DEFAULT_CHECKSUM;
use crate::replace::{self, NewBody, NewHead, Place};
use crate::rows::head::{Body, HeadHeaders, HeadRow, VersionTag};
use crate::rows::{headers, keys};
use crate::types::{
    BODY_BYTES_MAX, Bucket, Checksum, ChecksumAlgorithm, ChecksumKind, Copied, Copy, ObjectInfo,
    VersionId, Versioning,
};
use crate::versions;

/// How often the source is looked up again when it is overwritten during the copy.
const ATTEMPTS_MAX: usize = 16;

/// The body of a copy.
#[derive(Clone)]
enum Source {
    Bytes(Bytes),
    Blob(ObjectId),
}

impl Objects {
    /// Copies an object (`CopyObject`).
    pub async fn copy(&self, read: &Grant, write: &Grant, request: Copy) -> Result<Copied> {
        let version = request.version;
        let from_key = version_key(read, version, Action::GetObject, Action::GetObjectVersion)?;
        let to_key = object_key(write, Action::PutObject)?;
        if let Some(headers) = &request.headers {
            check_headers(headers)?;
        }
        let bucket = self.bucket_row(write)?.bucket(write.bucket().to_owned());
        for _ in 0..ATTEMPTS_MAX {
            let found = self.find_source(read, from_key.clone(), version).await?;
            let copied = self.copy_found(&found, bucket.clone(), to_key.clone(), &request);
            if let Some(info) = copied.await? {
                let source_version_id = found.info().version_id;
                return Ok(Copied { info, source_version_id });
            }
        }
        Err(Error::Unavailable("the source is overwritten all the time".to_owned()))
    }

    /// What is to be copied. A delete marker can't be, whether it is named or found.
    pub(crate) async fn find_source(
        &self,
        read: &Grant,
        key: String,
        version: Option<VersionId>,
    ) -> Result<Found> {
        self.find(read, key, version, true).await.map_err(|error| match error {
            Error::DeleteMarker { named: true, .. } => Error::InvalidRequest(
                "The source of a copy request may not specifically refer to a delete marker by \
                 version id."
                    .to_owned(),
            ),
            other => other,
        })
    }

    /// Copies what was found; `None` if its blob went before the commit.
    async fn copy_found(
        &self,
        found: &Found,
        bucket: Bucket,
        key: String,
        request: &Copy,
    ) -> Result<Option<ObjectInfo>> {
        let info = found.info();
        request.conditions.evaluate_source(&info.etag, info.modified)?;
        // A version may be made the current object again.
        let same_place = found.bucket.id == bucket.id && found.key == key;
        let same = request.version.is_none() || bucket.versioning == Versioning::Never;
        if request.headers.is_none() && same_place && same {
            return Err(Error::InvalidRequest(
                "This copy request is illegal because it is trying to copy an object to itself \
                 without changing the object's metadata, storage class, website redirect \
                 location or encryption attributes."
                    .to_owned(),
            ));
        }
        if info.size > BODY_BYTES_MAX {
            return Err(Error::InvalidRequest(format!(
                "The specified copy source is larger than the maximum allowable size for a copy \
                 source: {BODY_BYTES_MAX}"
            )));
        }
        let source = match found.head.body {
            Body::Empty => Source::Bytes(Bytes::new()),
            Body::Inline(_) => Source::Bytes(self.read_whole(found).await?),
            Body::Blob(blob) => Source::Blob(blob),
        };
        let (md5, checksum) = self.copy_digests(found, &source, request.checksum_algorithm).await?;
        let row = HeadRow {
            version: VersionTag::FIRST,
            object_id: ObjectId::random(self.rng()),
            size: info.size,
            etag: Etag::Single(md5),
            modified: self.now(),
            checksum: Some(checksum),
            upload: None,
            headers: HeadHeaders::Cold,
            body: Body::Empty,
        };
        let headers = request.headers.clone().unwrap_or(info.headers);
        let ack = Objects::ack(request.ack, bucket.ack);
        let payload_bytes = match &source {
            Source::Bytes(bytes) => bytes.len(),
            Source::Blob(_) => 0,
        };
        let header_block = headers::encode(&headers);
        let hint = commit_bytes(&key, header_block.len())
            + payload_bytes
            + versions::commit_bytes(bucket.versioning, &key);
        let condition = request.condition.clone();
        let mut info = row.info(key.clone(), headers);
        let plan = move |txn: &mut Txn<'_>, known: &KnownManifests| {
            let versioning = same_bucket(txn, &bucket)?.versioning;
            let place = Place { bucket: bucket.id, key: &key };
            let old = replace::current_if(&*txn, place, &condition)?;
            let body = match &source {
                Source::Bytes(bytes) if bytes.is_empty() => NewBody::Empty,
                Source::Bytes(bytes) => NewBody::Inline(bytes),
                Source::Blob(blob) => {
                    if txn.value(&keys::manifest(*blob))?.is_none() {
                        return Err(Refusal::Stale);
                    }
                    NewBody::Shared(*blob)
                }
            };
            let new = NewHead { row: &row, header_block: &header_block, body };
            replace::place(txn, known, place, versioning, old.as_ref(), new)
        };
        Ok(self.try_commit(ack, hint, plan).await?.map(|version| {
            info.version_id = version.shown(info.object_id);
            info
        }))
    }

    /// MD5 and checksum of the copy: those of the source where they fit, else computed.
    async fn copy_digests(
        &self,
        found: &Found,
        source: &Source,
        wanted: Option<ChecksumAlgorithm>,
    ) -> Result<([u8; 16], Checksum)> {
        let kept = found.head.checksum.as_ref();
        let algorithm = wanted.or(kept.map(|sum| sum.algorithm)).unwrap_or(DEFAULT_CHECKSUM);
        let fits =
            |sum: &&Checksum| sum.algorithm == algorithm && sum.kind == ChecksumKind::FullObject;
        if let (Etag::Single(md5), Some(sum)) = (found.head.etag, kept.filter(fits)) {
            return Ok((md5, sum.clone()));
        }
        let digests = match source {
            Source::Bytes(bytes) => {
                let mut digester = Digester::new(&[algorithm]);
                digester.update(bytes);
                digester.finish()
            }
            Source::Blob(_) => self.digest_whole(found, algorithm).await?,
        };
        let sum = digests.of(algorithm).expect("it was asked for").clone();
        Ok((digests.md5, sum))
    }

    /// All bytes of an object that is known to be small.
    async fn read_whole(&self, found: &Found) -> Result<Bytes> {
        let mut reader = self.read_bytes(found.pin(), 0..found.head.size);
        let mut whole = BytesMut::with_capacity(found.head.size as usize);
        while let Some(bytes) = reader.next().await {
            whole.extend_from_slice(&bytes?);
        }
        Ok(whole.freeze())
    }

    /// Reads an object to digest it.
    async fn digest_whole(&self, found: &Found, algorithm: ChecksumAlgorithm) -> Result<Digests> {
        let mut reader = self.read_bytes(found.pin(), 0..found.head.size);
        let mut digester = Digester::new(&[algorithm]);
        while let Some(bytes) = reader.next().await {
            let bytes = bytes?;
            let digesting = blocking::call(&**self.blocking(), move || {
                digester.update(&bytes);
                digester
            });
            digester = digesting.await?;
        }
        Ok(digester.finish())
    }
}

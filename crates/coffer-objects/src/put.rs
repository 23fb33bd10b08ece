//! PUT: a body, then one commit. Of an object here; parts share the writer (`uploads/part.rs`).

use bytes::Bytes;
use coffer_base::{Ack, ObjectId};
use coffer_catalog::Txn;
use coffer_iam::{Action, Grant};
use coffer_log::Extent;

use crate::DigestKind;
use crate::digest::Digests;
use crate::error::{Error, Result};
use crate::etag::Etag;
use crate::manifest::{KnownManifests, NewManifest};
use crate::objects::{Objects, check_headers, commit_bytes, object_key, same_bucket};
use crate::payload::{Intake, IntakeSeams, Payload};
use crate::replace::{self, NewBody, NewHead, Place};
use crate::rows::blob::{BlobPart, Manifest};
use crate::rows::head::{Body, HeadHeaders, HeadRow, VersionTag};
use crate::rows::headers;
use crate::types::{
    Bucket, Checksum, ChecksumAlgorithm, ChecksumRequest, Headers, ObjectInfo, PartInfo, Put,
    WriteCondition,
};
use crate::uploads::PartTarget;
use crate::versions;

/// The checksum of a body for which none was asked, as on S3.
pub(crate) const DEFAULT_CHECKSUM: ChecksumAlgorithm = ChecksumAlgorithm::Crc64Nvme;

/// A body on its way in. Dropping it leaves nothing visible; what it wrote stays as dead space.
pub struct PutWriter {
    objects: Objects,
    intake: Intake,
    demands: Demands,
    ack: Ack,
    bucket: Bucket,
    key: String,
    target: Target,
}

/// What the body becomes.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each body, and it lives in a future"
)]
pub(crate) enum Target {
    Object { headers: Headers, condition: WriteCondition },
    Part(PartTarget),
}

/// What a body must fulfil.
pub(crate) struct Demands {
    /// The checksum to keep.
    pub algorithm: ChecksumAlgorithm,
    expected: Option<Checksum>,
    trailer: bool,
    expect_md5: Option<[u8; 16]>,
}

impl Demands {
    /// Reads a request; `default` is the algorithm where it names none.
    pub(crate) fn new(
        request: ChecksumRequest,
        expect_md5: Option<[u8; 16]>,
        default: ChecksumAlgorithm,
    ) -> Result<Demands> {
        let ChecksumRequest { algorithm, expected, trailer } = request;
        if let Some(expected) = &expected {
            check_digest(expected)?;
            if algorithm.is_some_and(|algorithm| algorithm != expected.algorithm) {
                return Err(Error::InvalidRequest(
                    "the checksum is of another algorithm than the one named".to_owned(),
                ));
            }
        }
        if trailer && algorithm.is_none() {
            return Err(Error::InvalidRequest("the trailer names no algorithm".to_owned()));
        }
        let named = algorithm.or(expected.as_ref().map(|expected| expected.algorithm));
        Ok(Demands { algorithm: named.unwrap_or(default), expected, trailer, expect_md5 })
    }

    /// Refuses a body that does not fulfil them.
    pub(crate) fn verify(&self, digests: &Digests, trailer: Option<&Checksum>) -> Result<()> {
        if self.expect_md5.is_some_and(|md5| md5 != digests.md5) {
            return Err(Error::BadDigest(DigestKind::Md5));
        }
        if let Some(expected) = &self.expected {
            digests.verify(expected)?;
        }
        match trailer {
            None if self.trailer => Err(Error::InvalidRequest(
                "the body ended without the announced trailer".to_owned(),
            )),
            None => Ok(()),
            Some(sum) if sum.algorithm != self.algorithm => Err(Error::InvalidRequest(
                "the trailer is of another algorithm than the one announced".to_owned(),
            )),
            Some(sum) => {
                check_digest(sum)?;
                digests.verify(sum)
            }
        }
    }
}

fn check_digest(sum: &Checksum) -> Result<()> {
    if sum.value.len() == sum.algorithm.digest_bytes() {
        return Ok(());
    }
    Err(Error::InvalidRequest(format!(
        "Value for x-amz-checksum-{} header is invalid.",
        sum.algorithm.name().to_ascii_lowercase()
    )))
}

impl Objects {
    /// Begins to put an object (`PutObject`). What can be refused now is refused now; the rest,
    /// and the condition for good, at [`PutWriter::finish`].
    pub async fn put(&self, grant: &Grant, request: Put) -> Result<PutWriter> {
        let key = object_key(grant, Action::PutObject)?;
        let Put { content_length, headers, ack, condition, checksum, expect_md5 } = request;
        check_headers(&headers)?;
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        if condition.is_some() {
            let place = Place { bucket: bucket.id, key: &key };
            replace::current_if(self.catalog(), place, &condition)?;
        }
        let demands = Demands::new(checksum, expect_md5, DEFAULT_CHECKSUM)?;
        let algorithms = [demands.algorithm];
        let target = Target::Object { headers, condition };
        self.writer(bucket, key, content_length, ack, demands, &algorithms, target)
    }

    /// A writer whose body is digested by `algorithms`.
    #[expect(clippy::too_many_arguments, reason = "the fields of one struct, from two callers")]
    pub(crate) fn writer(
        &self,
        bucket: Bucket,
        key: String,
        content_length: Option<u64>,
        ack: Option<Ack>,
        demands: Demands,
        algorithms: &[ChecksumAlgorithm],
        target: Target,
    ) -> Result<PutWriter> {
        let log = self.catalog().log();
        let seams = IntakeSeams {
            blocking: self.blocking().clone(),
            hashing: self.hashing().clone(),
            crowd: self.crowd(),
        };
        let intake = Intake::new(log, seams, content_length, algorithms)?;
        let ack = Objects::ack(ack, bucket.ack);
        let objects = self.clone();
        Ok(PutWriter { objects, intake, demands, ack, bucket, key, target })
    }
}

impl PutWriter {
    /// Takes the next bytes of the body. After an error only dropping is left.
    pub async fn write(&mut self, data: Bytes) -> Result<()> {
        self.intake.write(data).await
    }

    /// How much of the body has been taken, in bytes.
    pub fn received_bytes(&self) -> u64 {
        self.intake.received_bytes()
    }

    /// Ends an object's body and commits it. On return it is visible, and durable at its
    /// acknowledgement level.
    pub async fn finish(self, trailer: Option<Checksum>) -> Result<ObjectInfo> {
        let PutWriter { objects, intake, demands, ack, bucket, key, target } = self;
        let Target::Object { headers, condition } = target else {
            panic!("a part ends with finish_part");
        };
        let size = intake.received_bytes();
        let accept = |digests: &Digests| demands.verify(digests, trailer.as_ref());
        let (payload, digests) = intake.finish(accept).await?;
        let object = NewObject {
            size,
            etag: Etag::Single(digests.md5),
            checksum: digests.of(demands.algorithm).cloned(),
            headers,
            payload: objects.stored_payload(size, payload).await?,
        };
        objects.commit_object(ack, bucket, key, condition, object).await
    }

    /// Ends a part's body and commits it.
    pub async fn finish_part(self, trailer: Option<Checksum>) -> Result<PartInfo> {
        let PutWriter { objects, intake, demands, ack, bucket, key, target } = self;
        let Target::Part(target) = target else {
            panic!("an object ends with finish");
        };
        let size = intake.received_bytes();
        let accept = |digests: &Digests| demands.verify(digests, trailer.as_ref());
        let (payload, digests) = intake.finish(accept).await?;
        objects.commit_part(ack, bucket, key, target, size, payload, digests).await
    }
}

/// An object whose body has been taken in.
pub(crate) struct NewObject {
    pub size: u64,
    pub etag: Etag,
    pub checksum: Option<Checksum>,
    pub headers: Headers,
    pub payload: StoredPayload,
}

/// A payload, and for bulk the manifest that will name it.
pub(crate) enum StoredPayload {
    Inline(Bytes),
    Bulk { manifest: NewManifest, extents: Vec<Extent> },
}

impl StoredPayload {
    fn body(&self) -> NewBody<'_> {
        match self {
            StoredPayload::Inline(bytes) if bytes.is_empty() => NewBody::Empty,
            StoredPayload::Inline(bytes) => NewBody::Inline(bytes),
            StoredPayload::Bulk { manifest, extents } => {
                NewBody::Blob { manifest, uncounted: extents }
            }
        }
    }

    /// Bytes it adds to the commit.
    fn commit_bytes(&self) -> usize {
        match self {
            StoredPayload::Inline(bytes) => bytes.len(),
            StoredPayload::Bulk { manifest, .. } => manifest.len(),
        }
    }
}

impl Objects {
    /// A payload of `size` bytes, ready to be committed.
    pub(crate) async fn stored_payload(
        &self,
        size: u64,
        payload: Payload,
    ) -> Result<StoredPayload> {
        match payload {
            Payload::Inline(bytes) => Ok(StoredPayload::Inline(bytes)),
            Payload::Bulk(extents) => {
                let part = BlobPart { size, checksum: None, extents: extents.clone() };
                let manifest = self.store_manifest(Manifest { parts: vec![part] }).await?;
                Ok(StoredPayload::Bulk { manifest, extents })
            }
        }
    }

    /// The commit of a new object.
    pub(crate) async fn commit_object(
        &self,
        ack: Ack,
        bucket: Bucket,
        key: String,
        condition: WriteCondition,
        object: NewObject,
    ) -> Result<ObjectInfo> {
        let NewObject { size, etag, checksum, headers, payload } = object;
        let row = HeadRow {
            version: VersionTag::FIRST,
            object_id: ObjectId::random(self.rng()),
            size,
            etag,
            modified: self.now(),
            checksum,
            upload: None,
            headers: HeadHeaders::Cold,
            body: Body::Empty,
        };
        let header_block = headers::encode(&headers);
        let hint = commit_bytes(&key, header_block.len())
            + payload.commit_bytes()
            + versions::commit_bytes(bucket.versioning, &key);
        let mut info = row.info(key.clone(), headers);
        let plan = move |txn: &mut Txn<'_>, known: &KnownManifests| {
            let versioning = same_bucket(txn, &bucket)?.versioning;
            let place = Place { bucket: bucket.id, key: &key };
            let old = replace::current_if(&*txn, place, &condition)?;
            let new = NewHead { row: &row, header_block: &header_block, body: payload.body() };
            replace::place(txn, known, place, versioning, old.as_ref(), new)
        };
        let version = self.commit(ack, hint, plan).await?;
        info.version_id = version.shown(info.object_id);
        Ok(info)
    }
}

//! Uploading a part.

use bytes::Bytes;
use coffer_base::Ack;
use coffer_catalog::Txn;
use coffer_iam::{Action, Grant};
use coffer_log::Extent;

use super::{UploadId, check_part_number, upload_row};
use crate::digest::Digests;
use crate::error::{Error, Result};
use crate::manifest::KnownManifests;
use crate::objects::{Objects, Refusal, Rows, commit_bytes, object_key, same_bucket};
use crate::payload::Payload;
use crate::put::{Demands, PutWriter, Target};
use crate::replace::count_extents;
use crate::rows::upload::{PartRow, UploadRow};
use crate::rows::{Row, keys};
use crate::types::{Bucket, ChecksumAlgorithm, PartInfo, Put};

/// Where a part goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartTarget {
    pub upload: UploadId,
    pub number: u32,
    /// The upload's algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// The one asked for with the part.
    pub asked: ChecksumAlgorithm,
}

impl Objects {
    /// Begins to upload a part (`UploadPart`). Ends with [`PutWriter::finish_part`]; uploading a
    /// part again replaces it.
    pub async fn upload_part(
        &self,
        grant: &Grant,
        upload_id: &str,
        part_number: u32,
        request: Put,
    ) -> Result<PutWriter> {
        let key = object_key(grant, Action::PutObject)?;
        check_part_number(part_number)?;
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        let id = UploadId::parse(upload_id)?;
        let upload = upload_row(self.catalog(), bucket.id, &key, id)?;
        self.part_writer(bucket, key, id, &upload, part_number, request)
    }

    /// A writer for a part of an upload that was looked up.
    pub(super) fn part_writer(
        &self,
        bucket: Bucket,
        key: String,
        id: UploadId,
        upload: &UploadRow,
        number: u32,
        request: Put,
    ) -> Result<PutWriter> {
        let algorithm = upload.checksum_algorithm;
        let Put { content_length, ack, checksum, expect_md5, .. } = request;
        let demands = Demands::new(checksum, expect_md5, algorithm)?;
        let asked = demands.algorithm;
        if upload.checksum_named && asked != algorithm {
            return Err(Error::InvalidRequest(format!(
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum \
                 Type: {}",
                algorithm.name().to_ascii_lowercase(),
                asked.name().to_ascii_lowercase()
            )));
        }
        let target = Target::Part(PartTarget { upload: id, number, algorithm, asked });
        let algorithms = [algorithm, asked];
        self.writer(bucket, key, content_length, ack, demands, &algorithms, target)
    }

    /// The commit of a part.
    #[expect(clippy::too_many_arguments, reason = "the pieces of one writer that was taken apart")]
    pub(crate) async fn commit_part(
        &self,
        ack: Ack,
        bucket: Bucket,
        key: String,
        target: PartTarget,
        size: u64,
        payload: Payload,
        digests: Digests,
    ) -> Result<PartInfo> {
        let PartTarget { upload, number, algorithm, asked } = target;
        let of = |algorithm| digests.of(algorithm).expect("it was asked for").clone();
        let (inline, extents) = match payload {
            Payload::Inline(bytes) => (bytes, Vec::new()),
            Payload::Bulk(extents) => (Bytes::new(), extents),
        };
        let row = PartRow {
            size,
            md5: digests.md5,
            modified: self.now(),
            checksum: of(algorithm),
            asked_checksum: (asked != algorithm).then(|| of(asked)),
            extents,
        };
        let info = row.info(number);
        let hint = commit_bytes(&key, 0) + inline.len() + row.extents.len() * 64;
        let plan = move |txn: &mut Txn<'_>, _: &KnownManifests| -> Result<(), Refusal> {
            same_bucket(txn, &bucket)?;
            upload_row(&*txn, bucket.id, &key, upload)?;
            let part_key = keys::part(upload, number);
            if let Some(old) = txn.row::<PartRow>(&part_key)? {
                count_extents(txn, &old.extents, -1);
            }
            if inline.is_empty() {
                count_extents(txn, &row.extents, 1);
                txn.put(&part_key, &row.encode());
            } else {
                let extents: Vec<Extent> = vec![txn.append(&inline)];
                count_extents(txn, &extents, 1);
                txn.put(&part_key, &PartRow { extents, ..row.clone() }.encode());
            }
            Ok(())
        };
        self.commit(ack, hint, plan).await?;
        Ok(info)
    }
}

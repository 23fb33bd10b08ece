//! Aborting uploads.

use coffer_base::{Ack, BucketId};
use coffer_catalog::Txn;
use coffer_catalog::keys::prefix_bounds;
use coffer_iam::{Action, Grant};

use super::{UploadId, drop_part, part_rows, upload_row};
use crate::error::{Error, Result};
use crate::manifest::KnownManifests;
use crate::objects::{Objects, Refusal, object_key, same_bucket};
use crate::replace::count_uploads;
use crate::rows::keys;
use crate::types::PART_NUMBER_MAX;

/// Bytes that removing a part takes in a commit.
const DROP_BYTES: usize = 64;

impl Objects {
    /// Aborts an upload and frees its parts (`AbortMultipartUpload`). A part that is being
    /// uploaded meanwhile is refused when it ends.
    pub async fn abort_upload(&self, grant: &Grant, upload_id: &str) -> Result<()> {
        let key = object_key(grant, Action::AbortMultipartUpload)?;
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        let id = UploadId::parse(upload_id)?;
        upload_row(self.catalog(), bucket.id, &key, id)?;
        let ack = bucket.ack.unwrap_or(Ack::All);
        let parts = self.catalog().snapshot().prefix(&keys::parts(id)).count();
        let hint = 4096 + key.len() + parts * DROP_BYTES;
        let plan = move |txn: &mut Txn<'_>, _: &KnownManifests| -> Result<(), Refusal> {
            same_bucket(txn, &bucket)?;
            upload_row(&*txn, bucket.id, &key, id)?;
            for (number, part) in part_rows(txn, id, PART_NUMBER_MAX as usize)? {
                drop_part(txn, id, number, &part);
            }
            end_upload(txn, bucket.id, &key, id);
            Ok(())
        };
        self.commit(ack, hint, plan).await
    }
}

/// Removes the row of an upload whose parts are gone.
pub(super) fn end_upload(txn: &mut Txn<'_>, bucket: BucketId, key: &str, id: UploadId) {
    txn.delete(&keys::upload(bucket, key, id));
    count_uploads(txn, bucket, -1);
}

/// Aborts the uploads of a bucket, until about `parts_max` parts or uploads have been removed;
/// whether none are left.
pub(crate) fn abort_all(
    txn: &mut Txn<'_>,
    bucket: BucketId,
    parts_max: usize,
) -> Result<bool, Refusal> {
    let (lo, hi) = prefix_bounds(&keys::uploads(bucket, ""));
    let lo = lo.as_ref().map(Vec::as_slice);
    let hi = hi.as_ref().map(Vec::as_slice);
    let mut left = parts_max;
    for (row_key, _) in txn.range(lo, hi, parts_max)? {
        let Some(keys::Parsed::Upload(_, key, id)) = keys::parse(&row_key) else {
            let what = format!("an upload row has the key {}", keys::show(&row_key));
            return Err(Error::Corrupt(what).into());
        };
        let parts = part_rows(txn, id, left)?;
        let removed = parts.len();
        parts.iter().for_each(|(number, part)| drop_part(txn, id, *number, part));
        if removed >= left {
            return Ok(false);
        }
        end_upload(txn, bucket, &key, id);
        left = left.saturating_sub(removed + 1);
        if left == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

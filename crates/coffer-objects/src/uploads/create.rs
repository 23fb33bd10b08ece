//! Beginning an upload.

use coffer_base::Ack;
use coffer_catalog::Txn;
use coffer_iam::{Action, Grant};

use super::UploadId;
use crate::error::{Error, Result};
use crate::manifest::KnownManifests;
use crate::objects::{Objects, Refusal, check_headers, commit_bytes, object_key, same_bucket};
use crate::put::DEFAULT_CHECKSUM;
use crate::replace::count_uploads;
use crate::rows::upload::UploadRow;
use crate::rows::{Row, keys};
use crate::types::{ChecksumAlgorithm, ChecksumType, CreateUpload, Upload};

impl Objects {
    /// Begins an upload (`CreateMultipartUpload`).
    pub async fn create_upload(&self, grant: &Grant, request: CreateUpload) -> Result<Upload> {
        let key = object_key(grant, Action::PutObject)?;
        let CreateUpload { headers, checksum_algorithm, checksum_type, initiator } = request;
        check_headers(&headers)?;
        let (algorithm, checksum_type) = choose(checksum_algorithm, checksum_type)?;
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        let row = UploadRow {
            initiated: self.now(),
            initiator: initiator.unwrap_or_else(|| grant.principal().to_owned()),
            checksum_algorithm: algorithm,
            checksum_type,
            checksum_named: checksum_algorithm.is_some(),
            headers,
        };
        let random = UploadId::random_bytes(self.rng());
        let ack = bucket.ack.unwrap_or(Ack::All);
        let (value, name) = (row.encode(), key.clone());
        let hint = commit_bytes(&key, value.len());
        let plan = move |txn: &mut Txn<'_>, _: &KnownManifests| -> Result<UploadId, Refusal> {
            same_bucket(txn, &bucket)?;
            let id = UploadId::new(txn.sequence(), random);
            txn.put(&keys::upload(bucket.id, &key, id), &value);
            count_uploads(txn, bucket.id, 1);
            Ok(id)
        };
        let id = self.commit(ack, hint, plan).await?;
        Ok(row.upload(name, id))
    }
}

/// The combinations S3 has: the SHAs are composite only, CRC64NVME is of the whole only, the
/// other CRCs are either, composite unless asked otherwise.
fn choose(
    algorithm: Option<ChecksumAlgorithm>,
    checksum_type: Option<ChecksumType>,
) -> Result<(ChecksumAlgorithm, ChecksumType)> {
    use ChecksumAlgorithm::{Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
    use ChecksumType::{Composite, FullObject};
    let Some(algorithm) = algorithm else {
        return match checksum_type {
            None | Some(FullObject) => Ok((DEFAULT_CHECKSUM, FullObject)),
            Some(Composite) => Err(Error::InvalidRequest(
                "The COMPOSITE checksum type needs a checksum algorithm.".to_owned(),
            )),
        };
    };
    match (algorithm, checksum_type) {
        (Crc64Nvme, None | Some(FullObject)) => Ok((algorithm, FullObject)),
        (Sha1 | Sha256, None | Some(Composite)) => Ok((algorithm, Composite)),
        (Crc32 | Crc32c, chosen) => Ok((algorithm, chosen.unwrap_or(Composite))),
        (_, Some(refused)) => Err(Error::InvalidRequest(format!(
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            refused.name(),
            algorithm.name().to_ascii_lowercase()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_combinations_are_those_of_s3() {
        use ChecksumType::{Composite, FullObject};
        let chosen = |name: &str, checksum_type| {
            choose(ChecksumAlgorithm::parse(name), checksum_type).ok().map(|(_, t)| t)
        };
        for (name, default, composite, full) in [
            ("CRC32", Composite, true, true),
            ("CRC32C", Composite, true, true),
            ("CRC64NVME", FullObject, false, true),
            ("SHA1", Composite, true, false),
            ("SHA256", Composite, true, false),
        ] {
            assert_eq!(chosen(name, None), Some(default), "{name}");
            assert_eq!(chosen(name, Some(Composite)).is_some(), composite, "{name}");
            assert_eq!(chosen(name, Some(FullObject)).is_some(), full, "{name}");
        }
        assert_eq!(choose(None, None), Ok((ChecksumAlgorithm::Crc64Nvme, FullObject)));
    }
}

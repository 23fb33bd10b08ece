//! Uploads under way, and their parts.

use coffer_base::Timestamp;
use coffer_base::wire::{Put, Reader};
use coffer_log::Extent;

use super::blob::{decode_extents, encode_extents};
use super::{Row, boolean, checksum, headers};
use crate::digest::hex;
use crate::types::{Checksum, ChecksumAlgorithm, ChecksumType, Headers, PartInfo, Upload};
use crate::uploads::UploadId;

/// `U` bucket key upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadRow {
    pub initiated: Timestamp,
    pub initiator: String,
    pub checksum_algorithm: ChecksumAlgorithm,
    pub checksum_type: ChecksumType,
    /// Whether the algorithm was named by the caller.
    pub checksum_named: bool,
    pub headers: Headers,
}

impl UploadRow {
    /// What callers see.
    pub(crate) fn upload(self, key: String, id: UploadId) -> Upload {
        Upload {
            key,
            upload_id: id.to_string(),
            initiated: self.initiated,
            initiator: self.initiator,
            headers: self.headers,
            checksum_algorithm: self.checksum_algorithm,
            checksum_type: self.checksum_type,
            checksum_named: self.checksum_named,
        }
    }
}

impl Row for UploadRow {
    const NAME: &'static str = "upload";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_varint(self.initiated.0);
        out.put_bytes(self.initiator.as_bytes());
        out.put_u8(checksum::algorithm_code(self.checksum_algorithm));
        out.put_u8(checksum::type_code(self.checksum_type));
        out.put_u8(u8::from(self.checksum_named));
        out.put_bytes(&headers::encode(&self.headers));
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        Some(UploadRow {
            initiated: Timestamp(r.varint()?),
            initiator: r.str()?.to_owned(),
            checksum_algorithm: checksum::algorithm(r.u8()?)?,
            checksum_type: checksum::checksum_type(r.u8()?)?,
            checksum_named: boolean(r)?,
            headers: headers::decode(r.bytes()?)?,
        })
    }
}

/// `P` upload number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartRow {
    pub size: u64,
    pub md5: [u8; 16],
    pub modified: Timestamp,
    /// In the upload's algorithm.
    pub checksum: Checksum,
    /// In the algorithm that came with the part, if it is another.
    pub asked_checksum: Option<Checksum>,
    pub extents: Vec<Extent>,
}

impl PartRow {
    /// What callers see.
    pub(crate) fn info(&self, number: u32) -> PartInfo {
        PartInfo {
            number,
            size: self.size,
            etag: hex(&self.md5),
            modified: self.modified,
            checksum: Some(self.asked_checksum.as_ref().unwrap_or(&self.checksum).clone()),
        }
    }
}

impl Row for PartRow {
    const NAME: &'static str = "part";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_varint(self.size);
        out.extend_from_slice(&self.md5);
        out.put_varint(self.modified.0);
        checksum::encode(&self.checksum, out);
        checksum::encode_optional(self.asked_checksum.as_ref(), out);
        encode_extents(&self.extents, out);
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        let row = PartRow {
            size: r.varint()?,
            md5: r.take(16)?.try_into().ok()?,
            modified: Timestamp(r.varint()?),
            checksum: checksum::decode(r)?,
            asked_checksum: checksum::decode_optional(r)?,
            extents: decode_extents(r)?,
        };
        let held = row.extents.iter().try_fold(0u64, |sum, e| sum.checked_add(e.len))?;
        (held == row.size).then_some(row)
    }
}

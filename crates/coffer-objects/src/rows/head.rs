//! The head: what GET, HEAD and LIST need of an object's current version.

use coffer_base::wire::{Put, Reader};
use coffer_base::{ObjectId, Timestamp};
use coffer_log::Extent;

use super::{Row, checksum, headers};
use crate::etag::Etag;
use crate::types::{Checksum, Headers, ObjectInfo, VersionId};
use crate::uploads::UploadId;

/// Where an object's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// There are none.
    Empty,
    /// One payload in the commit lane, which belongs to this head alone.
    Inline(Extent),
    /// A blob, which may have several owners.
    Blob(ObjectId),
}

/// The headers, or where they are.
#[expect(clippy::large_enum_variant, reason = "most heads have their headers here")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeadHeaders {
    Here(Headers),
    /// In the row `C`.
    Cold,
}

/// Which version of its key something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VersionTag {
    /// Orders the versions of a key.
    pub sequence: u64,
    pub is_null: bool,
}

impl VersionTag {
    /// Of what is written to a bucket that never had versioning.
    pub(crate) const FIRST: VersionTag = VersionTag { sequence: 0, is_null: true };

    /// The version id of the object or delete marker with this tag and object id.
    pub(crate) fn id(self, object_id: ObjectId) -> VersionId {
        if self.is_null {
            return VersionId::Null;
        }
        self.place(object_id)
    }

    /// The version id of what was written, if its bucket ever had versioning.
    pub(crate) fn shown(self, object_id: ObjectId) -> Option<VersionId> {
        (self != VersionTag::FIRST).then(|| self.id(object_id))
    }

    /// An id that tells the place of the version among others, also of the null one.
    pub(crate) fn place(self, object_id: ObjectId) -> VersionId {
        VersionId::Given { sequence: self.sequence, check: object_id.0 as u64 }
    }

    /// The flags and the sequence, of all but the first.
    fn encode(self, out: &mut Vec<u8>) {
        out.put_u8(self.flags());
        out.put_u64(self.sequence);
    }

    pub(super) fn flags(self) -> u8 {
        if self.is_null { NULL_VERSION } else { 0 }
    }

    fn decode(r: &mut Reader<'_>) -> Option<Self> {
        let is_null = VersionTag::is_null(r.u8()?)?;
        let sequence = r.u64()?;
        (sequence != 0).then_some(VersionTag { sequence, is_null })
    }

    /// What the flags of a version say.
    pub(super) fn is_null(flags: u8) -> Option<bool> {
        match flags {
            0 => Some(false),
            NULL_VERSION => Some(true),
            _ => None,
        }
    }
}

/// `O` bucket key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeadRow {
    pub version: VersionTag,
    pub object_id: ObjectId,
    pub size: u64,
    pub etag: Etag,
    pub modified: Timestamp,
    pub checksum: Option<Checksum>,
    /// The upload that made it, so that completing it once more can be answered.
    pub upload: Option<UploadId>,
    pub headers: HeadHeaders,
    pub body: Body,
}

const BODY_INLINE: u8 = 1;
const BODY_BLOB: u8 = 2;
const BODY_BITS: u8 = 3;
const COLD_HEADERS: u8 = 1 << 2;
const SOME_HEADERS: u8 = 1 << 3;
const MULTIPART: u8 = 1 << 4;
const CHECKSUM: u8 = 1 << 5;
const UPLOAD: u8 = 1 << 6;
/// The blob was made by another object (this one is a copy), so its id stands here.
const FOREIGN_BLOB: u8 = 1 << 7;

/// Among the flags of the version, of which the others have no meaning yet.
const NULL_VERSION: u8 = 1;
/// The version of rows that have those flags and a sequence.
const WITH_VERSION: u8 = 2;

impl HeadRow {
    /// What callers see; headers as given.
    pub(crate) fn info(&self, key: String, headers: Headers) -> ObjectInfo {
        ObjectInfo {
            key,
            version_id: None,
            object_id: self.object_id,
            size: self.size,
            etag: self.etag.to_string(),
            modified: self.modified,
            headers,
            checksum: self.checksum.clone(),
            parts: self.etag.parts(),
        }
    }

    /// The blob, if the body is one.
    pub(crate) fn blob(&self) -> Option<ObjectId> {
        match self.body {
            Body::Blob(blob) => Some(blob),
            Body::Empty | Body::Inline(_) => None,
        }
    }
}

impl HeadRow {
    /// The value with other headers, encoded already (`None`: they are in the row `C`), and another
    /// body.
    pub(crate) fn encode_with(&self, header_block: Option<&[u8]>, body: Body) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + header_block.map_or(0, <[u8]>::len));
        out.put_u8(self.row_version());
        self.put_with(header_block, body, &mut out);
        out
    }

    fn row_version(&self) -> u8 {
        if self.version == VersionTag::FIRST { Self::VERSION } else { WITH_VERSION }
    }

    fn put_with(&self, header_block: Option<&[u8]>, body: Body, out: &mut Vec<u8>) {
        let mut flags = match body {
            Body::Empty => 0,
            Body::Inline(_) => BODY_INLINE,
            Body::Blob(blob) if blob == self.object_id => BODY_BLOB,
            Body::Blob(_) => BODY_BLOB | FOREIGN_BLOB,
        };
        let some_headers = header_block.filter(|block| !block.is_empty());
        for (bit, is_set) in [
            (COLD_HEADERS, header_block.is_none()),
            (SOME_HEADERS, some_headers.is_some()),
            (MULTIPART, self.etag.parts().is_some()),
            (CHECKSUM, self.checksum.is_some()),
            (UPLOAD, self.upload.is_some()),
        ] {
            flags |= if is_set { bit } else { 0 };
        }
        out.put_u8(flags);
        if self.version != VersionTag::FIRST {
            self.version.encode(out);
        }
        out.put_u128(self.object_id.0);
        out.put_varint(self.size);
        self.etag.encode(out);
        out.put_varint(self.modified.0);
        if let Some(sum) = &self.checksum {
            checksum::encode(sum, out);
        }
        if let Some(upload) = &self.upload {
            out.extend_from_slice(&upload.0);
        }
        if let Some(block) = some_headers {
            out.put_bytes(block);
        }
        match body {
            Body::Inline(extent) => extent.encode(out),
            Body::Blob(blob) if blob != self.object_id => out.put_u128(blob.0),
            Body::Empty | Body::Blob(_) => {}
        }
    }
}

impl Row for HeadRow {
    const NAME: &'static str = "head";
    const NEWEST: u8 = WITH_VERSION;

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.row_version()];
        self.encode_fields(&mut out);
        out
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let mut r = Reader::new(value);
        let row = match r.u8()? {
            Self::VERSION => Self::decode_fields(&mut r)?,
            WITH_VERSION => HeadRow::decode_either(&mut r, true)?,
            _ => return None,
        };
        r.is_empty().then_some(row)
    }

    fn encode_fields(&self, out: &mut Vec<u8>) {
        match &self.headers {
            HeadHeaders::Here(here) => self.put_with(Some(&headers::encode(here)), self.body, out),
            HeadHeaders::Cold => self.put_with(None, self.body, out),
        }
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        HeadRow::decode_either(r, false)
    }
}

impl HeadRow {
    fn decode_either(r: &mut Reader<'_>, with_version: bool) -> Option<Self> {
        let flags = r.u8()?;
        let has = |bit: u8| flags & bit != 0;
        let version = if with_version { VersionTag::decode(r)? } else { VersionTag::FIRST };
        let object_id = ObjectId(r.u128()?);
        let size = r.varint()?;
        let etag = Etag::decode(r, has(MULTIPART))?;
        let modified = Timestamp(r.varint()?);
        let checksum = if has(CHECKSUM) { Some(checksum::decode(r)?) } else { None };
        let upload = if has(UPLOAD) { Some(UploadId(r.take(16)?.try_into().ok()?)) } else { None };
        let headers = match (has(COLD_HEADERS), has(SOME_HEADERS)) {
            (true, true) => return None,
            (true, false) => HeadHeaders::Cold,
            (false, true) => HeadHeaders::Here(headers::decode(r.bytes()?)?),
            (false, false) => HeadHeaders::Here(Headers::default()),
        };
        let body = match (flags & BODY_BITS, has(FOREIGN_BLOB)) {
            (0, false) => Body::Empty,
            (BODY_INLINE, false) => Body::Inline(Extent::decode(r)?),
            (BODY_BLOB, false) => Body::Blob(object_id),
            (BODY_BLOB, true) => Body::Blob(ObjectId(r.u128()?)),
            _ => return None,
        };
        Some(HeadRow { version, object_id, size, etag, modified, checksum, upload, headers, body })
    }
}

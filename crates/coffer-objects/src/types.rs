//! What callers hand in and get back.

use std::fmt;

use coffer_base::{Ack, BucketId, ObjectId, Timestamp};

use crate::rows::head::HeadRow;

pub use crate::conditions::{EtagList, ReadConditions, WriteCondition};
pub use crate::range::ByteRange;
pub use crate::version::{Deleted, VersionId, Versioning};

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// Least size of a part that is not the last, in bytes.
pub const PART_BYTES_MIN: u64 = 5 << 20;
/// Largest body of one request (an object by PUT, or a part), in bytes.
pub const BODY_BYTES_MAX: u64 = 5 << 30;
/// Largest object, in bytes.
pub const OBJECT_BYTES_MAX: u64 = 5 << 40;
/// Highest part number.
pub const PART_NUMBER_MAX: u32 = 10_000;
/// Most entries of one page of a listing.
pub const PAGE_MAX: usize = 1000;
/// Most bytes of a user's metadata, names and values.
pub const USER_METADATA_BYTES_MAX: usize = 2048;

// ---- buckets ----

/// How a bucket is created.
#[derive(Clone, Debug, Default)]
pub struct CreateBucket {
    /// Kept and reported, nothing more.
    pub region: String,
    /// Acknowledgement level of its writes; `None`: the store's default, [`Ack::All`].
    pub ack: Option<Ack>,
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Its id, never reused.
    pub id: BucketId,
    /// The canonical id of the account that owns it.
    pub owner: String,
    /// The number of that account; empty for one of the account that the store had from its
    /// beginning, made before there were others.
    pub account: String,
    /// As given at creation.
    pub region: String,
    /// When it was created.
    pub created: Timestamp,
    /// Acknowledgement level of its writes, if it has one of its own.
    pub ack: Option<Ack>,
    /// Whether what is overwritten or deleted is kept.
    pub versioning: Versioning,
}

/// What a bucket lets no policy and no ACL give to the public.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublicAccessBlock {
    /// Requests that set a public ACL are refused.
    pub block_public_acls: bool,
    /// Public ACLs count for nothing.
    pub ignore_public_acls: bool,
    /// A policy that lets in the public is refused.
    pub block_public_policy: bool,
    /// While the policy lets in the public, only the owner's account may use the bucket.
    pub restrict_public_buckets: bool,
}

/// Which buckets to list.
#[derive(Clone, Debug, Default)]
pub struct ListBuckets {
    /// Only names that begin so.
    pub prefix: String,
    /// Only names greater than this.
    pub after: Option<String>,
    /// At most so many.
    pub max: usize,
}

/// A page of buckets in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct BucketPage {
    /// The buckets.
    pub buckets: Vec<Bucket>,
    /// If there are more: the last name of this page, to be handed back as `after`.
    pub next: Option<String>,
}

// ---- objects ----

/// Headers kept with an object, byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding` (without `aws-chunked`).
    pub content_encoding: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Expires`, as it was written.
    pub expires: Option<String>,
    /// `x-amz-website-redirect-location`.
    pub website_redirect: Option<String>,
    /// `x-amz-storage-class`, if given; it changes nothing here.
    pub storage_class: Option<String>,
    /// `x-amz-meta-*`: the name without that prefix in lower case, and the value.
    pub user: Vec<(String, Vec<u8>)>,
}

/// The checksum algorithms of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO-HDLC), 4 bytes big-endian.
    Crc32,
    /// CRC-32C (Castagnoli), 4 bytes big-endian.
    Crc32c,
    /// CRC-64/NVME, 8 bytes big-endian.
    Crc64Nvme,
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
}

impl ChecksumAlgorithm {
    /// All of them.
    pub const ALL: [ChecksumAlgorithm; 5] = [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32c,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ];

    /// As S3 names it: `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1`, `SHA256`.
    pub fn name(self) -> &'static str {
        match self {
            ChecksumAlgorithm::Crc32 => "CRC32",
            ChecksumAlgorithm::Crc32c => "CRC32C",
            ChecksumAlgorithm::Crc64Nvme => "CRC64NVME",
            ChecksumAlgorithm::Sha1 => "SHA1",
            ChecksumAlgorithm::Sha256 => "SHA256",
        }
    }

    /// Reads a name as [`ChecksumAlgorithm::name`] prints it, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name().eq_ignore_ascii_case(name))
    }

    /// Length of its digest in bytes.
    pub fn digest_bytes(self) -> usize {
        match self {
            ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c => 4,
            ChecksumAlgorithm::Crc64Nvme => 8,
            ChecksumAlgorithm::Sha1 => 20,
            ChecksumAlgorithm::Sha256 => 32,
        }
    }

    /// Whether the checksum of a whole can be computed from those of its parts.
    pub fn combines(self) -> bool {
        !matches!(self, ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256)
    }
}

/// How the checksum of a multipart object is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumType {
    /// Of the bytes of the whole object.
    FullObject,
    /// Of the checksums of the parts, one after the other.
    Composite,
}

impl ChecksumType {
    /// As S3 names it: `FULL_OBJECT`, `COMPOSITE`.
    pub fn name(self) -> &'static str {
        match self {
            ChecksumType::FullObject => "FULL_OBJECT",
            ChecksumType::Composite => "COMPOSITE",
        }
    }

    /// Reads a name as [`ChecksumType::name`] prints it.
    pub fn parse(name: &str) -> Option<Self> {
        [ChecksumType::FullObject, ChecksumType::Composite].into_iter().find(|t| t.name() == name)
    }
}

/// What a checksum value covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumKind {
    /// The bytes of the whole.
    FullObject,
    /// The checksums of the parts; shown as `value-parts`.
    Composite {
        /// How many parts.
        parts: u32,
    },
}

impl ChecksumKind {
    /// Its type, as S3 reports it.
    pub fn checksum_type(self) -> ChecksumType {
        match self {
            ChecksumKind::FullObject => ChecksumType::FullObject,
            ChecksumKind::Composite { .. } => ChecksumType::Composite,
        }
    }
}

/// A checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// How it is computed.
    pub algorithm: ChecksumAlgorithm,
    /// The raw digest, [`ChecksumAlgorithm::digest_bytes`] long.
    pub value: Vec<u8>,
    /// What it covers.
    pub kind: ChecksumKind,
}

impl Checksum {
    /// A checksum over the whole bytes.
    pub fn full(algorithm: ChecksumAlgorithm, value: Vec<u8>) -> Self {
        Self { algorithm, value, kind: ChecksumKind::FullObject }
    }
}

/// What checksum to compute for a body, and what it must be.
#[derive(Clone, Debug, Default)]
pub struct ChecksumRequest {
    /// Compute and keep this one. `None`: that of `expected`, of the upload, or CRC64NVME, as S3
    /// does.
    pub algorithm: Option<ChecksumAlgorithm>,
    /// The body must have this one.
    pub expected: Option<Checksum>,
    /// The expected value comes after the body, with [`crate::PutWriter::finish`], in `algorithm`.
    pub trailer: bool,
}

/// A body about to come: an object's or a part's.
#[derive(Clone, Debug, Default)]
pub struct Put {
    /// Length of the body in bytes, if it is known.
    pub content_length: Option<u64>,
    /// Kept with the object; ignored for parts.
    pub headers: Headers,
    /// Acknowledgement level, before the bucket's.
    pub ack: Option<Ack>,
    /// Must hold when it is committed; ignored for parts.
    pub condition: WriteCondition,
    /// Its checksum.
    pub checksum: ChecksumRequest,
    /// The body must have this MD5.
    pub expect_md5: Option<[u8; 16]>,
}

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct Get {
    /// Only this version; the grant must be for versions then. `None`: the current object.
    pub version: Option<VersionId>,
    /// Only this part, counting from 1. Not together with `range`.
    pub part_number: Option<u32>,
    /// Only this range.
    pub range: Option<ByteRange>,
    /// Must hold.
    pub conditions: ReadConditions,
}

/// An object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectInfo {
    /// Its key.
    pub key: String,
    /// Its version id; `None` in listings of objects, and in a bucket that never had versioning.
    pub version_id: Option<VersionId>,
    /// The id of this version.
    pub object_id: ObjectId,
    /// Size in bytes.
    pub size: u64,
    /// Its ETag, without quotes.
    pub etag: String,
    /// When it was committed.
    pub modified: Timestamp,
    /// What it was stored with; empty in listings.
    pub headers: Headers,
    /// Its checksum.
    pub checksum: Option<Checksum>,
    /// How many parts it was uploaded in, if by multipart.
    pub parts: Option<u32>,
}

/// An object and the range a read resolved to.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectHead {
    /// The object.
    pub info: ObjectInfo,
    /// The bytes asked for.
    pub range: std::ops::Range<u64>,
    /// Whether a range or a part was asked for (206).
    pub partial: bool,
    /// With a part number, of an object uploaded by multipart: how many parts it has.
    pub parts_count: Option<u32>,
}

/// How to copy.
#[derive(Clone, Debug, Default)]
pub struct Copy {
    /// Copy this version; the grant must be for versions then. `None`: the current object.
    pub version: Option<VersionId>,
    /// Must hold for the source; what would be "not modified" is a failed precondition here.
    pub conditions: ReadConditions,
    /// The copy's headers; `None`: those of the source.
    pub headers: Option<Headers>,
    /// Acknowledgement level, before the bucket's.
    pub ack: Option<Ack>,
    /// Must hold for the destination.
    pub condition: WriteCondition,
    /// Checksum of the copy; `None`: the algorithm of the source.
    pub checksum_algorithm: Option<ChecksumAlgorithm>,
}

/// What a copy became.
#[derive(Clone, Debug, PartialEq)]
pub struct Copied {
    /// The copy.
    pub info: ObjectInfo,
    /// Which version was copied; `None` from a bucket that never had versioning.
    pub source_version_id: Option<VersionId>,
}

/// How to copy a part.
#[derive(Clone, Debug, Default)]
pub struct CopyPart {
    /// Copy this version; the grant must be for versions then. `None`: the current object.
    pub version: Option<VersionId>,
    /// Only this range, which must lie wholly inside and have both ends.
    pub range: Option<ByteRange>,
    /// As in [`Copy::conditions`].
    pub conditions: ReadConditions,
}

/// What a part that was copied became.
#[derive(Clone, Debug, PartialEq)]
pub struct PartCopied {
    /// The part.
    pub info: PartInfo,
    /// Which version was copied; `None` from a bucket that never had versioning.
    pub source_version_id: Option<VersionId>,
}

/// One of many to be deleted.
#[derive(Clone, Debug)]
pub struct Delete {
    /// For the object, or with `version` for versions of it.
    pub grant: coffer_iam::Grant,
    /// This version for good; `None`: the object, as its bucket's versioning has it.
    pub version: Option<VersionId>,
}

impl From<coffer_iam::Grant> for Delete {
    fn from(grant: coffer_iam::Grant) -> Self {
        Delete { grant, version: None }
    }
}

// ---- listings ----

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListAfter {
    /// After this key.
    Key(String),
    /// After everything that begins so.
    Prefix(String),
}

/// Which objects to list.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Only keys that begin so.
    pub prefix: String,
    /// Keys with this after the prefix are rolled up to one entry that ends with it. An empty one
    /// counts as none.
    pub delimiter: Option<String>,
    /// Only what comes after.
    pub after: Option<ListAfter>,
    /// At most so many entries, and at most [`PAGE_MAX`].
    pub max: usize,
}

/// A line of a listing.
#[expect(clippy::large_enum_variant, reason = "most entries are objects")]
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// An object.
    Object(ObjectInfo),
    /// A common prefix.
    Prefix(String),
}

impl Entry {
    /// What it is ordered by.
    pub fn name(&self) -> &str {
        match self {
            Entry::Object(info) => &info.key,
            Entry::Prefix(prefix) => prefix,
        }
    }
}

/// Takes the entries of a page in byte order of their names.
pub trait ListSink: Send + 'static {
    /// An object.
    fn object(&mut self, object: &ListedObject<'_>);
    /// A common prefix.
    fn prefix(&mut self, prefix: &str);
}

/// An object of a listing.
#[derive(Clone, Copy, Debug)]
pub struct ListedObject<'a> {
    /// Its key.
    pub key: &'a str,
    pub(crate) row: &'a HeadRow,
}

impl ListedObject<'_> {
    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.row.size
    }

    /// Its ETag, without quotes.
    pub fn etag(&self) -> impl fmt::Display {
        self.row.etag
    }

    /// When it was committed.
    pub fn modified(&self) -> Timestamp {
        self.row.modified
    }

    /// Its checksum.
    pub fn checksum(&self) -> Option<&Checksum> {
        self.row.checksum.as_ref()
    }
}

/// Where a page of a listing ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageEnd {
    /// How many entries it has.
    pub entries: usize,
    /// Where to go on, if there are more.
    pub next: Option<ListAfter>,
}

/// A page of a listing.
#[derive(Clone, Debug, Default)]
pub struct ListPage {
    /// In byte order of their names.
    pub entries: Vec<Entry>,
    /// Whether there are more.
    pub truncated: bool,
    /// If there are more: where they begin.
    pub next: Option<ListAfter>,
}

/// Which versions to list.
#[derive(Clone, Debug, Default)]
pub struct ListVersions {
    /// Only keys that begin so.
    pub prefix: String,
    /// As in [`List::delimiter`].
    pub delimiter: Option<String>,
    /// Only keys after this one (`key-marker`). If it is a common prefix, all below it is skipped.
    pub key_after: Option<String>,
    /// With `key_after`: also versions of that very key after this one (`version-id-marker`).
    pub version_after: Option<VersionId>,
    /// At most so many entries, and at most [`PAGE_MAX`].
    pub max: usize,
}

/// A line of a listing of versions.
#[expect(clippy::large_enum_variant, reason = "most entries are objects")]
#[derive(Clone, Debug, PartialEq)]
pub enum VersionEntry {
    /// An object.
    Object {
        /// It, without its headers.
        info: ObjectInfo,
        /// Whether it is the newest version of its key.
        is_latest: bool,
    },
    /// A delete marker.
    Marker {
        /// Its key.
        key: String,
        /// Its version id.
        version_id: VersionId,
        /// When it was committed.
        modified: Timestamp,
        /// Whether it is the newest version of its key.
        is_latest: bool,
    },
    /// A common prefix.
    Prefix(String),
}

/// A page of versions.
#[derive(Clone, Debug, Default)]
pub struct VersionPage {
    /// By key in byte order, those of one key the newest first.
    pub entries: Vec<VersionEntry>,
    /// Whether there are more.
    pub truncated: bool,
    /// If there are more: the `key_after` of the next page.
    pub next_key: Option<String>,
    /// If there are more: its `version_after` (`None` after a common prefix). It tells a place, also
    /// where the version was the null one.
    pub next_version: Option<VersionId>,
}

// ---- multipart uploads ----

/// How an upload begins.
#[derive(Clone, Debug, Default)]
pub struct CreateUpload {
    /// Kept with the object.
    pub headers: Headers,
    /// Checksum of the parts and the object; `None`: CRC64NVME over the whole object.
    pub checksum_algorithm: Option<ChecksumAlgorithm>,
    /// `None`: composite if an algorithm other than CRC64NVME is named.
    pub checksum_type: Option<ChecksumType>,
    /// How listings tell who began it; `None`: by the name that the grant has.
    pub initiator: Option<String>,
}

/// An upload under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Key of the object to be.
    pub key: String,
    /// Its id; ids of one store sort by the time they were given out.
    pub upload_id: String,
    /// When it began.
    pub initiated: Timestamp,
    /// Who began it: as its beginning said, else the principal's name.
    pub initiator: String,
    /// Kept with the object; empty in listings.
    pub headers: Headers,
    /// Checksum of the parts and the object.
    pub checksum_algorithm: ChecksumAlgorithm,
    /// How the object's checksum is formed.
    pub checksum_type: ChecksumType,
    /// Whether the algorithm was named at its beginning (else it is the default).
    pub checksum_named: bool,
}

/// A part of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartInfo {
    /// Its number, 1 to [`PART_NUMBER_MAX`].
    pub number: u32,
    /// Size in bytes.
    pub size: u64,
    /// Its ETag, without quotes.
    pub etag: String,
    /// When it was committed.
    pub modified: Timestamp,
    /// Its checksum: the one asked for with the part, else the upload's.
    pub checksum: Option<Checksum>,
}

/// A part as a completing request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletePart {
    /// Its number.
    pub number: u32,
    /// Its ETag, with or without quotes.
    pub etag: String,
    /// Its checksum, if given: must be the one stored.
    pub checksum: Option<Checksum>,
}

/// How an upload is completed.
#[derive(Clone, Debug, Default)]
pub struct Complete {
    /// The parts in ascending order.
    pub parts: Vec<CompletePart>,
    /// Must hold when it is committed.
    pub condition: WriteCondition,
    /// The object must have this checksum.
    pub checksum: Option<Checksum>,
    /// The object must have this size in bytes.
    pub object_size: Option<u64>,
    /// Acknowledgement level, before the bucket's.
    pub ack: Option<Ack>,
}

/// A page of parts in order.
#[derive(Clone, Debug)]
pub struct PartPage {
    /// The upload they belong to.
    pub upload: Upload,
    /// The parts.
    pub parts: Vec<PartInfo>,
    /// Whether there are more.
    pub truncated: bool,
    /// If there are more: the last number of this page, to be handed back as `after`.
    pub next: Option<u32>,
}

/// Which uploads to list.
#[derive(Clone, Debug, Default)]
pub struct ListUploads {
    /// Only keys that begin so.
    pub prefix: String,
    /// As in [`List::delimiter`].
    pub delimiter: Option<String>,
    /// Only keys after this one (`key-marker`). If it is a common prefix, all below it is skipped.
    pub key_after: Option<String>,
    /// With `key_after`: also uploads of that very key whose id is greater (`upload-id-marker`).
    pub upload_after: Option<String>,
    /// At most so many entries, and at most [`PAGE_MAX`].
    pub max: usize,
}

/// A page of uploads.
#[derive(Clone, Debug, Default)]
pub struct UploadPage {
    /// Uploads by key, those of one key by initiation.
    pub uploads: Vec<Upload>,
    /// Common prefixes in order.
    pub prefixes: Vec<String>,
    /// Whether there are more.
    pub truncated: bool,
    /// If there are more: the `key_after` of the next page.
    pub next_key: Option<String>,
    /// If there are more: its `upload_after` (`None` after a common prefix).
    pub next_upload: Option<String>,
}

// ---- the whole ----

/// What the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Buckets.
    pub buckets: u64,
    /// Objects.
    pub objects: u64,
    /// Sum of the sizes in bytes of objects and of versions that were objects.
    pub bytes: u64,
    /// Uploads under way.
    pub uploads: u64,
    /// Versions that are not the current object of their key, and delete markers.
    pub versions: u64,
}

impl fmt::Display for ChecksumAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! The errors of the domain: each variant is something the caller answers differently.

use std::fmt;

use coffer_base::Timestamp;

use crate::types::{ChecksumAlgorithm, ObjectInfo, VersionId};

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which of the digests that came with a body did not fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestKind {
    /// `Content-MD5`.
    Md5,
    /// An `x-amz-checksum-*` value, from a header, a trailer or a completing request.
    Checksum(ChecksumAlgorithm),
}

impl DigestKind {
    /// As S3 names it in messages.
    pub fn name(self) -> &'static str {
        match self {
            DigestKind::Md5 => "Content-MD5",
            DigestKind::Checksum(algorithm) => algorithm.name(),
        }
    }
}

/// What can go wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The bucket does not exist.
    NoSuchBucket,
    /// A bucket of this name exists.
    BucketExists {
        /// Whether the caller owns it.
        owned_by_caller: bool,
    },
    /// The bucket still holds objects.
    BucketNotEmpty,
    /// The bucket has no policy.
    NoSuchBucketPolicy,
    /// The bucket has no public access block.
    NoSuchPublicAccessBlock,
    /// The policy is none that a bucket can have; the text says why.
    MalformedPolicy(String),
    /// The policy lets in the public, and the bucket blocks that.
    PublicPolicyBlocked,
    /// Not a name a bucket can have.
    InvalidBucketName,
    /// The object does not exist.
    NoSuchKey,
    /// The object has no such version.
    NoSuchVersion,
    /// There is a delete marker: the object does not exist, or it is the version asked for.
    DeleteMarker {
        /// The marker's version id.
        version_id: VersionId,
        /// When it was committed.
        modified: Timestamp,
        /// Whether that version was asked for.
        named: bool,
    },
    /// The upload does not exist: never begun, completed or aborted.
    NoSuchUpload,
    /// A part named in a completing request was not uploaded, or its ETag or checksum differs.
    InvalidPart {
        /// Its number.
        number: u32,
    },
    /// The parts of a completing request do not ascend.
    InvalidPartOrder,
    /// The object has no part of the number asked for.
    InvalidPartNumber {
        /// How many parts it has.
        parts: u32,
    },
    /// A part other than the last is smaller than [`crate::PART_BYTES_MIN`].
    EntityTooSmall {
        /// Its number.
        number: u32,
        /// Its size in bytes.
        size: u64,
        /// The least size in bytes.
        min: u64,
    },
    /// More than one request may carry, or one object may hold.
    EntityTooLarge {
        /// The size in bytes.
        size: u64,
        /// The largest allowed size in bytes.
        max: u64,
    },
    /// The user's metadata exceeds [`crate::USER_METADATA_BYTES_MAX`].
    MetadataTooLarge {
        /// Its size in bytes: names and values.
        size: usize,
    },
    /// A condition of the request does not hold.
    PreconditionFailed {
        /// The header that failed, as S3 names it (`If-Match`, `If-None-Match`, …).
        condition: &'static str,
    },
    /// The caller's copy is current; what it holds.
    NotModified(Box<ObjectInfo>),
    /// The range lies outside the object.
    InvalidRange {
        /// The object's size in bytes.
        size: u64,
    },
    /// The body does not have the digest that came with it.
    BadDigest(DigestKind),
    /// The request as a whole makes no sense here; the text says why.
    InvalidRequest(String),
    /// One value in the request is not acceptable; the text says which and why.
    InvalidArgument(String),
    /// The key is longer than [`crate::KEY_BYTES_MAX`].
    KeyTooLong {
        /// Its length in bytes.
        size: usize,
    },
    /// The body ended before, or went past, its announced length.
    IncompleteBody,
    /// The store takes no writes now; the text says why.
    ReadOnly(String),
    /// The drives are full.
    Full,
    /// Too few drives, or the store is stopping; trying again later can help.
    Unavailable(String),
    /// Stored bytes are damaged beyond what the drives can reconstruct.
    Corrupt(String),
    /// Whether the write happened is not known.
    Unknown(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoSuchBucket => f.write_str("the bucket does not exist"),
            Error::BucketExists { owned_by_caller: true } => {
                f.write_str("the bucket exists and is yours")
            }
            Error::BucketExists { owned_by_caller: false } => {
                f.write_str("the bucket exists and is somebody else's")
            }
            Error::NoSuchBucketPolicy => f.write_str("the bucket has no policy"),
            Error::NoSuchPublicAccessBlock => f.write_str("the bucket has no public access block"),
            Error::MalformedPolicy(why) => f.write_str(why),
            Error::PublicPolicyBlocked => {
                f.write_str("the policy is public and the bucket blocks public policies")
            }
            Error::BucketNotEmpty => f.write_str("the bucket is not empty"),
            Error::InvalidBucketName => f.write_str("the bucket name is not valid"),
            Error::NoSuchKey => f.write_str("the object does not exist"),
            Error::NoSuchVersion => f.write_str("the object has no such version"),
            Error::DeleteMarker { named: false, .. } => f.write_str("the object was deleted"),
            Error::DeleteMarker { named: true, .. } => {
                f.write_str("the version is a delete marker")
            }
            Error::NoSuchUpload => f.write_str("the upload does not exist"),
            Error::InvalidPart { number } => {
                write!(f, "part {number} was not uploaded, or differs from what was uploaded")
            }
            Error::InvalidPartOrder => f.write_str("the parts are not in ascending order"),
            Error::InvalidPartNumber { parts } => {
                write!(f, "the object has {parts} parts, not the one asked for")
            }
            Error::EntityTooSmall { number, size, min } => {
                write!(f, "part {number} has {size} bytes, less than the minimum of {min}")
            }
            Error::EntityTooLarge { size, max } => {
                write!(f, "{size} bytes exceed the maximum of {max}")
            }
            Error::MetadataTooLarge { size } => write!(f, "{size} bytes of metadata are too many"),
            Error::PreconditionFailed { condition } => write!(f, "{condition} does not hold"),
            Error::NotModified(_) => f.write_str("not modified"),
            Error::InvalidRange { size } => {
                write!(f, "the range lies outside the object of {size} bytes")
            }
            Error::BadDigest(kind) => write!(f, "the {} does not fit the body", kind.name()),
            Error::InvalidRequest(why) | Error::InvalidArgument(why) => f.write_str(why),
            Error::KeyTooLong { size } => write!(f, "a key of {size} bytes is too long"),
            Error::IncompleteBody => f.write_str("the body does not have the announced length"),
            Error::ReadOnly(why) => write!(f, "the store is read-only: {why}"),
            Error::Full => f.write_str("the drives are full"),
            Error::Unavailable(why) => write!(f, "unavailable: {why}"),
            Error::Corrupt(what) => write!(f, "corrupt: {what}"),
            Error::Unknown(what) => write!(f, "the outcome of the write is unknown: {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<coffer_log::Error> for Error {
    fn from(error: coffer_log::Error) -> Self {
        match error {
            coffer_log::Error::Io { .. } => Error::Unavailable(error.to_string()),
            coffer_log::Error::Corrupt(what) => Error::Corrupt(what),
            coffer_log::Error::Unavailable(why) => Error::Unavailable(why),
            coffer_log::Error::Full => Error::Full,
            coffer_log::Error::ReadOnly(why) => Error::ReadOnly(why),
            coffer_log::Error::Unknown(why) => Error::Unknown(why),
        }
    }
}

impl From<coffer_catalog::EngineError> for Error {
    fn from(error: coffer_catalog::EngineError) -> Self {
        match error {
            coffer_catalog::EngineError::Io(_) => Error::Unavailable(error.to_string()),
            // It is made anew from the log.
            coffer_catalog::EngineError::Damaged(_) => Error::Unavailable(error.to_string()),
        }
    }
}

impl From<coffer_catalog::TxnError> for Error {
    fn from(error: coffer_catalog::TxnError) -> Self {
        error.0.into()
    }
}

impl From<coffer_catalog::Error> for Error {
    fn from(error: coffer_catalog::Error) -> Self {
        match error {
            coffer_catalog::Error::Log(error) => error.into(),
            coffer_catalog::Error::Index(error) => error.into(),
            coffer_catalog::Error::Record(error) => Error::Corrupt(error.to_string()),
            coffer_catalog::Error::Thread(what) => Error::Unavailable(what),
        }
    }
}

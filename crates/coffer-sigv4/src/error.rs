//! What can be wrong with a signed request.

use std::fmt;

use coffer_base::Timestamp;

/// Where a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the `Authorization` header.
    Header,
    /// In the query: a presigned URL.
    Query,
}

/// Why a request is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The query string has a malformed escape, or is not UTF-8.
    BadQuery,
    /// A header was given twice.
    Repeated(String),
    /// A header has characters that are not ASCII.
    NotText(String),
    /// More than one way to sign is used.
    SeveralMechanisms,
    /// Neither SigV4 nor anything else that is known by name.
    Unsupported,
    /// Signature version 4A.
    AsymmetricUnsupported,
    /// The claim can't be read.
    Malformed {
        /// Where it stands.
        place: Place,
        /// What people read.
        message: String,
    },
    /// The scope is that of another day, region or service.
    WrongScope {
        /// Where it stands.
        place: Place,
        /// What people read.
        message: String,
        /// The region to sign for, if it was that.
        region: Option<String>,
    },
    /// Neither `x-amz-date` nor `Date` has a date.
    MissingDate,
    /// S3 needs `x-amz-content-sha256`.
    MissingPayloadHash,
    /// A presigned URL and the header name different hashes of the payload.
    PayloadHashesDiffer,
    /// The hash that was sent is not the payload's.
    PayloadMismatch,
    /// The query and the header carry different security tokens.
    TokensDiffer,
    /// Headers that change a request's meaning and are not signed.
    HeadersNotSigned(Vec<String>),
    /// The request's clock is too far from ours.
    TooSkewed {
        /// When it says it was signed.
        at: Timestamp,
        /// Our time.
        now: Timestamp,
    },
    /// A presigned URL of the future.
    NotYetValid,
    /// A presigned URL whose time is over.
    Expired {
        /// How long it lived.
        expires_seconds: u64,
        /// When it ended.
        expires: Timestamp,
        /// Our time.
        now: Timestamp,
    },
    /// The signature is not that of the request.
    DoesNotMatch(Box<Mismatch>),
    /// The signature of a chunk, or of the trailers, is wrong.
    ChunkDoesNotMatch,
}

/// What was computed for a request whose signature is wrong, for its sender to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Whose key was used.
    pub access_key: String,
    /// What was signed here.
    pub string_to_sign: String,
    /// The signature that came.
    pub signature: String,
    /// The canonical request.
    pub canonical: Vec<u8>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::BadQuery => f.write_str("the query string can't be decoded"),
            Error::Repeated(name) => write!(f, "the header {name} must be given once"),
            Error::NotText(name) => {
                write!(f, "the header {name} has characters that are not ASCII")
            }
            Error::SeveralMechanisms => f.write_str("only one way to sign is allowed"),
            Error::Unsupported => write!(f, "only {} is supported", crate::ALGORITHM),
            Error::AsymmetricUnsupported => f.write_str("signature version 4A is not supported"),
            Error::Malformed { message, .. } | Error::WrongScope { message, .. } => {
                f.write_str(message)
            }
            Error::MissingDate => f.write_str("neither x-amz-date nor Date has a date"),
            Error::MissingPayloadHash => f.write_str("x-amz-content-sha256 is missing"),
            Error::PayloadHashesDiffer => {
                f.write_str("query and header name different hashes of the payload")
            }
            Error::PayloadMismatch => f.write_str("x-amz-content-sha256 is not the payload's"),
            Error::TokensDiffer => f.write_str("query and header carry different tokens"),
            Error::HeadersNotSigned(names) => write!(f, "not signed: {}", names.join(", ")),
            Error::TooSkewed { .. } => f.write_str("the clocks are too far apart"),
            Error::NotYetValid => f.write_str("the request is not yet valid"),
            Error::Expired { .. } => f.write_str("the request has expired"),
            Error::DoesNotMatch(_) => f.write_str("the signature does not match"),
            Error::ChunkDoesNotMatch => f.write_str("a chunk's signature does not match"),
        }
    }
}

impl std::error::Error for Error {}

//! What `x-amz-content-sha256` says about a body.

use coffer_objects::ChecksumAlgorithm;
use http::HeaderMap;

use crate::error::S3Error;
use crate::request::single;

/// How a payload travels and what vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// As it is, with nothing to check it against.
    Unsigned,
    /// As it is, with its SHA-256.
    Digest([u8; 32]),
    /// In chunks, each with a signature; then perhaps signed trailers.
    SignedChunks {
        /// Whether trailers follow.
        trailer: bool,
    },
    /// In chunks without signatures; then trailers.
    UnsignedChunks,
}

impl Payload {
    /// Reads the header of a request. Without one it is what the signature says (`signed`, the
    /// hash that a presigned URL covers), and else an unsigned payload.
    pub fn of(headers: &HeaderMap, signed: Option<&str>) -> Result<Payload, S3Error> {
        match single(headers, "x-amz-content-sha256")?.or(signed) {
            None => Ok(Payload::Unsigned),
            Some(text) => Payload::parse(text),
        }
    }

    /// Reads a value of the header.
    pub fn parse(text: &str) -> Result<Payload, S3Error> {
        match text {
            "UNSIGNED-PAYLOAD" => Ok(Payload::Unsigned),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Payload::SignedChunks { trailer: false }),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
                Ok(Payload::SignedChunks { trailer: true })
            }
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Payload::UnsignedChunks),
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
            | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => {
                Err(S3Error::not_implemented("Signature version 4A (AWS4-ECDSA-P256-SHA256)"))
            }
            digest => {
                let mut bytes = [0; 32];
                match hex::decode_to_slice(digest, &mut bytes) {
                    Ok(()) => Ok(Payload::Digest(bytes)),
                    Err(_) => Err(S3Error::invalid_argument(
                        "x-amz-content-sha256",
                        text,
                        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, \
                         STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, \
                         STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
                    )),
                }
            }
        }
    }
}

/// The header (or trailer) that carries a checksum of `algorithm`.
pub fn checksum_header(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "x-amz-checksum-crc32",
        ChecksumAlgorithm::Crc32c => "x-amz-checksum-crc32c",
        ChecksumAlgorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
        ChecksumAlgorithm::Sha1 => "x-amz-checksum-sha1",
        ChecksumAlgorithm::Sha256 => "x-amz-checksum-sha256",
    }
}

/// The algorithm whose checksum the header (or trailer) `name`, in lower case, carries.
pub fn checksum_of_header(name: &str) -> Option<ChecksumAlgorithm> {
    ChecksumAlgorithm::ALL.into_iter().find(|algorithm| checksum_header(*algorithm) == name)
}

//! XML documents in the bodies of requests.

use coffer_objects::{Checksum, DigestKind, Error as ObjectsError, digest};

use super::checksums;
use crate::error::{Code, S3Error};
use crate::request::Call;
use crate::xml::{self, Element};

/// Whether a document must come with a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    /// Verified when it is there.
    Optional,
    /// Missing is an error.
    Required,
}

/// Reads the body, at most `bytes_max` of it, verifies its digests, and parses it. `None` when it
/// is empty.
pub(super) async fn read(
    call: &mut Call,
    bytes_max: usize,
    required: Digest,
) -> Result<Option<Element>, S3Error> {
    let requested = checksums::requested(&call.head, &call.body)?;
    let summed = requested.expected.is_some() || requested.trailer;
    if required == Digest::Required && !summed && !call.headers.contains_key("content-md5") {
        return Err(S3Error::with_message(
            Code::InvalidRequest,
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
        ));
    }
    read_with(call, bytes_max, requested.expected).await
}

/// The same where a checksum among the headers is not that of the body.
pub(super) async fn read_unsummed(
    call: &mut Call,
    bytes_max: usize,
) -> Result<Option<Element>, S3Error> {
    read_with(call, bytes_max, None).await
}

async fn read_with(
    call: &mut Call,
    bytes_max: usize,
    expected: Option<Checksum>,
) -> Result<Option<Element>, S3Error> {
    let md5 = checksums::content_md5(&call.head.headers)?;
    let bytes = call.body.read_to_end(bytes_max).await?;
    if md5.is_some_and(|md5| digest::md5(&bytes) != md5) {
        return Err(ObjectsError::BadDigest(DigestKind::Md5).into());
    }
    let trailer = call.body.trailer_checksum();
    let trailer = trailer.map(|(algorithm, value)| Checksum::full(algorithm, value));
    for expected in [expected, trailer].into_iter().flatten() {
        if digest::checksum(expected.algorithm, &bytes).value != expected.value {
            return Err(ObjectsError::BadDigest(DigestKind::Checksum(expected.algorithm)).into());
        }
    }
    if bytes.is_empty() {
        Ok(None)
    } else {
        xml::parse(&bytes, bytes_max).map(Some)
    }
}

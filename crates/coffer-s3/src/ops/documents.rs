//! XML documents in the bodies of requests.

use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;
use coffer_objects::{Checksum, DigestKind, Error as ObjectsError, digest};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::checksums;
use crate::error::{Code, S3Error};
use crate::request::Call;
use crate::service::Service;
use crate::xml::{self, Element};

/// Longest document that is read without a permit, in bytes.
pub(super) const SMALL_BYTES_MAX: usize = 64 << 10;

/// How long a client has to send a longer one, since others wait for its permit.
const LARGE_TIME_MAX: Duration = Duration::from_secs(60);

/// A document's root. A large one holds its permit, so that few of them are in memory at once:
/// drop it before anything is waited for.
pub(super) struct Document {
    root: Element,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Deref for Document {
    type Target = Element;
    fn deref(&self) -> &Element {
        &self.root
    }
}

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
    service: &Service,
    call: &mut Call,
    bytes_max: usize,
    required: Digest,
) -> Result<Option<Document>, S3Error> {
    let requested = checksums::requested(&call.head, &call.body)?;
    let summed = requested.expected.is_some() || requested.trailer;
    if required == Digest::Required && !summed && !call.headers.contains_key("content-md5") {
        return Err(S3Error::with_message(
            Code::InvalidRequest,
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
        ));
    }
    read_with(service, call, bytes_max, requested.expected).await
}

/// The same where a checksum among the headers is not that of the body.
pub(super) async fn read_unsummed(
    service: &Service,
    call: &mut Call,
    bytes_max: usize,
) -> Result<Option<Document>, S3Error> {
    read_with(service, call, bytes_max, None).await
}

/// Reads a body that is no XML, at most `bytes_max` of it, and verifies its digests.
pub(super) async fn read_raw(
    service: &Service,
    call: &mut Call,
    bytes_max: usize,
) -> Result<Bytes, S3Error> {
    let requested = checksums::requested(&call.head, &call.body)?;
    Ok(read_bytes(service, call, bytes_max, requested.expected).await?.0)
}

async fn read_with(
    service: &Service,
    call: &mut Call,
    bytes_max: usize,
    expected: Option<Checksum>,
) -> Result<Option<Document>, S3Error> {
    let (bytes, permit) = read_bytes(service, call, bytes_max, expected).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let root = xml::parse(&bytes, bytes_max)?;
    Ok(Some(Document { root, _permit: permit }))
}

async fn read_bytes(
    service: &Service,
    call: &mut Call,
    bytes_max: usize,
    expected: Option<Checksum>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), S3Error> {
    let md5 = checksums::content_md5(&call.head.headers)?;
    let length = call.body.decoded_length().unwrap_or(u64::MAX);
    let (bytes, permit) = if length.min(bytes_max as u64) <= SMALL_BYTES_MAX as u64 {
        (call.body.read_to_end(bytes_max).await?, None)
    } else {
        let permit = service.documents.clone().acquire_owned().await;
        let permit = permit.map_err(|e| S3Error::new(Code::InternalError).caused_by(e))?;
        let reading = timeout(LARGE_TIME_MAX, call.body.read_to_end(bytes_max));
        let read = reading.await;
        let bytes = read.map_err(|_| S3Error::new(Code::RequestTimeout))??;
        (bytes, Some(permit))
    };
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
    Ok((bytes, permit))
}

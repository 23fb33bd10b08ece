//! The payload of a request: what the client meant to store, without the framing it came in,
//! verified before its end is reported.

mod chunked;
mod payload;
mod supply;

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use coffer_objects::ChecksumAlgorithm;
use coffer_sigv4::ChunkSigner;
use coffer_sigv4::header::values;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::combinators::BoxBody;
use sha2::{Digest as _, Sha256};

use crate::error::{Code, S3Error};
use crate::metrics::Counters;
use crate::request::single;

pub use chunked::{CHUNK_BYTES_MAX, ChunkDecoder};
pub use payload::{Payload, checksum_header, checksum_of_header};
pub(crate) use supply::{Supply, Unread};

/// The error of whatever the bytes come from.
pub type SourceError = coffer_http::BodyError;

/// Where raw bytes come from: a connection, or a test.
pub type Source = BoxBody<Bytes, SourceError>;

/// The payload, pulled piece by piece.
pub struct Body {
    supply: Supply,
    framing: Framing,
    /// What the client said the payload's length is.
    length: Option<u64>,
    released: u64,
    ready: VecDeque<Bytes>,
    announced: Option<ChecksumAlgorithm>,
    trailer: Option<(ChecksumAlgorithm, Vec<u8>)>,
    ended: bool,
    counters: Option<Arc<Counters>>,
}

enum Framing {
    /// The payload is the body; its digest may be known.
    Plain { digest: Option<(Box<Sha256>, [u8; 32])> },
    /// The payload comes in aws-chunked pieces.
    Chunked(Box<ChunkDecoder>),
}

impl Body {
    /// The body that the headers describe. `signer` continues the signature of the head, for
    /// payloads whose chunks are signed.
    pub fn new(
        source: Source,
        headers: &HeaderMap,
        signer: Option<ChunkSigner>,
    ) -> Result<Body, S3Error> {
        let payload = Payload::of(headers, None)?;
        Body::over(Supply::new(source), headers, payload, signer)
    }

    /// The same for a payload whose kind is known.
    pub(crate) fn over(
        supply: Supply,
        headers: &HeaderMap,
        payload: Payload,
        signer: Option<ChunkSigner>,
    ) -> Result<Body, S3Error> {
        let number = |name: &'static str| match single(headers, name)? {
            None => Ok(None),
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse::<u64>().map(Some).map_err(|_| {
                    S3Error::with_message(Code::InvalidArgument, format!("{name} is too large."))
                })
            }
            Some(text) => Err(S3Error::invalid_argument(
                name,
                text,
                format!("{name} must be a whole number."),
            )),
        };
        let content_length = number(CONTENT_LENGTH.as_str())?;
        let decoded_length = number("x-amz-decoded-content-length")?;
        let names = announced_trailers(headers)?;
        let announced = names.iter().find_map(|name| checksum_of_header(name));
        let chunked = |signer, trailers| {
            Framing::Chunked(Box::new(ChunkDecoder::new(signer, trailers, names)))
        };
        let (framing, length) = match payload {
            Payload::Unsigned => (Framing::Plain { digest: None }, content_length),
            Payload::Digest(expected) => {
                let digest = Some((Box::default(), expected));
                (Framing::Plain { digest }, content_length)
            }
            Payload::SignedChunks { trailer } => {
                let signer = signer.ok_or_else(|| {
                    S3Error::with_message(
                        Code::InvalidRequest,
                        "A payload in signed chunks needs a signature in the Authorization header.",
                    )
                })?;
                (chunked(Some(signer), trailer), decoded_length)
            }
            Payload::UnsignedChunks => (chunked(None, true), decoded_length),
        };
        Ok(Body {
            supply,
            framing,
            length,
            released: 0,
            ready: VecDeque::new(),
            announced,
            trailer: None,
            ended: false,
            counters: None,
        })
    }

    /// Counts the payload's bytes as they are released.
    pub(crate) fn count_into(&mut self, counters: Arc<Counters>) {
        self.counters = Some(counters);
    }

    /// The next piece: never empty. `None` is the end, and says that everything promised about
    /// the payload (length, digest, signatures) was found true. After an error comes `None`,
    /// which then says nothing.
    pub async fn next(&mut self) -> Option<Result<Bytes, S3Error>> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return Some(self.release(data));
            }
            if self.ended {
                return None;
            }
            let taken = match self.supply.next().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.take(data),
                    // Trailers of HTTP itself say nothing that S3 knows.
                    Err(_) => Ok(()),
                },
                Some(Err(error)) => Err(source_failed(error)),
                None => {
                    self.ended = true;
                    self.finish()
                }
            };
            if let Err(error) = taken {
                self.ended = true;
                self.ready.clear();
                return Some(Err(error));
            }
        }
    }

    /// Decodes what the source gave.
    fn take(&mut self, data: Bytes) -> Result<(), S3Error> {
        match &mut self.framing {
            Framing::Plain { digest } => {
                if let Some((digest, _)) = digest {
                    digest.update(&data);
                }
                if !data.is_empty() {
                    self.ready.push_back(data);
                }
                Ok(())
            }
            Framing::Chunked(decoder) => decoder.feed(data, &mut self.ready),
        }
    }

    fn release(&mut self, data: Bytes) -> Result<Bytes, S3Error> {
        self.released += data.len() as u64;
        if self.length.is_some_and(|length| self.released > length) {
            self.ended = true;
            self.ready.clear();
            return Err(S3Error::with_message(
                Code::IncompleteBody,
                "The request body has more bytes than its headers say.",
            ));
        }
        if let Some(counters) = &self.counters {
            counters.received(data.len() as u64);
        }
        Ok(data)
    }

    /// The source has ended: everything promised must be there. Nothing is ready any more.
    fn finish(&mut self) -> Result<(), S3Error> {
        match &mut self.framing {
            Framing::Plain { digest } => {
                if self.length.is_some_and(|length| self.released != length) {
                    return Err(S3Error::new(Code::IncompleteBody));
                }
                if let Some((digest, expected)) = digest.take() {
                    let computed: [u8; 32] = digest.finalize().into();
                    if computed != expected {
                        return Err(S3Error::new(Code::XAmzContentSHA256Mismatch)
                            .extra("ClientComputedContentSHA256", hex::encode(expected))
                            .extra("S3ComputedContentSHA256", hex::encode(computed)));
                    }
                }
            }
            Framing::Chunked(decoder) => {
                let trailers = decoder.finish()?;
                if self.length.is_some_and(|length| self.released != length) {
                    return Err(S3Error::new(Code::IncompleteBody));
                }
                self.trailer = checksum_trailer(trailers)?;
            }
        }
        Ok(())
    }

    /// How many bytes [`Body::next`] will give in all, when the client said so.
    pub fn decoded_length(&self) -> Option<u64> {
        self.length
    }

    /// The same, for uploads, which must say so: `MissingContentLength` when they did not.
    pub fn require_length(&self) -> Result<u64, S3Error> {
        self.length.ok_or_else(|| S3Error::new(Code::MissingContentLength))
    }

    /// The checksum that came after the payload; known after the end.
    pub fn trailer_checksum(&self) -> Option<(ChecksumAlgorithm, Vec<u8>)> {
        self.trailer.clone()
    }

    /// Which checksum the client announced (`x-amz-trailer`) to send after the payload.
    pub fn announced_checksum(&self) -> Option<ChecksumAlgorithm> {
        self.announced
    }

    /// All of it, when it is at most `bytes_max` long; else `MaxMessageLengthExceeded`.
    pub async fn read_to_end(&mut self, bytes_max: usize) -> Result<Bytes, S3Error> {
        let too_long = || S3Error::new(Code::MaxMessageLengthExceeded);
        if self.length.is_some_and(|length| length > bytes_max as u64) {
            return Err(too_long());
        }
        let Some(first) = self.next().await.transpose()? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await.transpose()? else {
            return if first.len() > bytes_max { Err(too_long()) } else { Ok(first) };
        };
        let mut all = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(data) = next {
            if all.len() + data.len() > bytes_max {
                return Err(too_long());
            }
            all.extend_from_slice(&data);
            next = self.next().await.transpose()?;
        }
        Ok(all.freeze())
    }
}

/// The connection gave up before the body's end, or kept still for too long.
fn source_failed(error: SourceError) -> S3Error {
    match error.downcast_ref::<std::io::Error>() {
        Some(io) if io.kind() == std::io::ErrorKind::TimedOut => S3Error::new(Code::RequestTimeout),
        _ => S3Error::new(Code::IncompleteBody),
    }
}

/// How the names of headers and trailers that carry checksums begin.
const CHECKSUM_FAMILY: &str = "x-amz-checksum-";

/// The names in `x-amz-trailer`, in lower case.
fn announced_trailers(headers: &HeaderMap) -> Result<Vec<String>, S3Error> {
    let mut names = Vec::new();
    for value in values(headers, "x-amz-trailer") {
        let value = value.to_str().map_err(|_| {
            S3Error::with_message(Code::InvalidRequest, "The value of x-amz-trailer is invalid.")
        })?;
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            names.push(name.to_ascii_lowercase());
        }
    }
    let mut checksums = names.iter().filter(|name| name.starts_with(CHECKSUM_FAMILY));
    if let Some(unknown) = checksums.clone().find(|name| checksum_of_header(name).is_none()) {
        return Err(S3Error::not_implemented(&format!("The trailer {unknown}")));
    }
    if checksums.nth(1).is_some() {
        return Err(S3Error::with_message(
            Code::InvalidRequest,
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ));
    }
    Ok(names)
}

/// The checksum among the trailers.
fn checksum_trailer(
    trailers: Vec<(String, String)>,
) -> Result<Option<(ChecksumAlgorithm, Vec<u8>)>, S3Error> {
    let mut found = None;
    for (name, value) in trailers {
        let Some(algorithm) = checksum_of_header(&name) else {
            continue;
        };
        let value = BASE64_STANDARD.decode(&value).map_err(|_| {
            S3Error::with_message(
                Code::InvalidRequest,
                format!("Value for {name} trailing header is invalid."),
            )
        })?;
        found = Some((algorithm, value));
    }
    Ok(found)
}

/// The `Content-Encoding` to store: `aws-chunked` is of the transfer and not of the object.
/// `None` when nothing else is left.
pub fn stored_content_encoding(header: &str) -> Option<String> {
    let is_chunked = |coding: &str| coding.trim().eq_ignore_ascii_case("aws-chunked");
    if !header.split(',').any(is_chunked) {
        return Some(header.to_owned());
    }
    let kept: Vec<&str> = header.split(',').filter(|c| !is_chunked(c)).map(str::trim).collect();
    let kept = kept.join(",");
    if kept.is_empty() { None } else { Some(kept) }
}

#[cfg(test)]
mod tests;

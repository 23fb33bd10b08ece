//! Checksums in headers and documents, both ways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use coffer_objects::{Checksum, ChecksumAlgorithm, ChecksumKind, ChecksumRequest, ChecksumType};
use http::HeaderMap;

use super::refuse::unbuilt;
use crate::body::Body;
use crate::error::{Code, S3Error};
use crate::request::{CallHead, single};
use crate::respond::{Reply, set_header};
use crate::xml::{Element, Writer};

const FAMILY: &str = "x-amz-checksum-";

/// Members of the family that are no checksum values.
pub(super) const NO_VALUES: &[&str] = &["x-amz-checksum-algorithm", "x-amz-checksum-mode", TYPE];

const TYPE: &str = "x-amz-checksum-type";

/// The header that carries a value of `algorithm`.
pub(super) fn header_name(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "x-amz-checksum-crc32",
        ChecksumAlgorithm::Crc32c => "x-amz-checksum-crc32c",
        ChecksumAlgorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
        ChecksumAlgorithm::Sha1 => "x-amz-checksum-sha1",
        ChecksumAlgorithm::Sha256 => "x-amz-checksum-sha256",
    }
}

/// The element that carries a value of `algorithm`.
fn tag(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 => "ChecksumCRC32",
        ChecksumAlgorithm::Crc32c => "ChecksumCRC32C",
        ChecksumAlgorithm::Crc64Nvme => "ChecksumCRC64NVME",
        ChecksumAlgorithm::Sha1 => "ChecksumSHA1",
        ChecksumAlgorithm::Sha256 => "ChecksumSHA256",
    }
}

/// A checksum as S3 writes it: base64, and after a composite one the number of parts.
pub(super) fn show(checksum: &Checksum) -> String {
    let value = BASE64.encode(&checksum.value);
    match checksum.kind {
        ChecksumKind::FullObject => value,
        ChecksumKind::Composite { parts } => format!("{value}-{parts}"),
    }
}

/// Reads what [`show`] writes. `None`: not base64, or not as long as the algorithm's digest.
fn read(algorithm: ChecksumAlgorithm, text: &str) -> Option<Checksum> {
    let (value, kind) = match text.split_once('-') {
        None => (text, ChecksumKind::FullObject),
        Some((value, parts)) => {
            let digits = !parts.is_empty() && parts.bytes().all(|b| b.is_ascii_digit());
            let parts = parts.parse().ok().filter(|_| digits)?;
            (value, ChecksumKind::Composite { parts })
        }
    };
    let value = BASE64.decode(value).ok()?;
    (value.len() == algorithm.digest_bytes()).then_some(Checksum { algorithm, value, kind })
}

/// The one checksum value among the headers, if there is one.
pub(super) fn value_in(headers: &HeaderMap) -> Result<Option<Checksum>, S3Error> {
    let mut found = None;
    for name in headers.keys().map(|name| name.as_str()) {
        let Some(suffix) = name.strip_prefix(FAMILY) else {
            continue;
        };
        if NO_VALUES.contains(&name) {
            continue;
        }
        let algorithm = ChecksumAlgorithm::parse(suffix).ok_or_else(|| unbuilt(name))?;
        if found.is_some() {
            return Err(S3Error::with_message(
                Code::InvalidRequest,
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not \
                 allowed.",
            ));
        }
        let invalid = || {
            S3Error::with_message(
                Code::InvalidRequest,
                format!("Value for {name} header is invalid."),
            )
        };
        let text = single(headers, header_name(algorithm))?.ok_or_else(invalid)?;
        found = Some(read(algorithm, text).ok_or_else(invalid)?);
    }
    Ok(found)
}

/// The algorithm that header `name` asks for.
pub(super) fn algorithm_in(
    head: &CallHead,
    name: &'static str,
) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    let Some(text) = head.header(name)? else {
        return Ok(None);
    };
    ChecksumAlgorithm::parse(text).map(Some).ok_or_else(|| {
        S3Error::with_message(
            Code::InvalidRequest,
            "Checksum algorithm provided is unsupported. Please try again with any of the valid \
             types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        )
    })
}

/// The type that `x-amz-checksum-type` names.
pub(super) fn type_in(head: &CallHead) -> Result<Option<ChecksumType>, S3Error> {
    let Some(text) = head.header(TYPE)? else {
        return Ok(None);
    };
    ChecksumType::parse(text).map(Some).ok_or_else(|| {
        S3Error::with_message(Code::InvalidRequest, format!("Value for {TYPE} header is invalid."))
    })
}

/// Refuses a checksum of another type than the one named beside it.
pub(super) fn check_type(
    named: Option<ChecksumType>,
    checksum: Option<&Checksum>,
) -> Result<(), S3Error> {
    match (named, checksum) {
        (Some(named), Some(checksum)) if checksum.kind.checksum_type() != named => {
            Err(S3Error::with_message(
                Code::InvalidRequest,
                format!("Value for {TYPE} header is invalid."),
            ))
        }
        _ => Ok(()),
    }
}

/// What the request says of its body's checksum: before it, after it, or not at all.
pub(super) fn requested(head: &CallHead, body: &Body) -> Result<ChecksumRequest, S3Error> {
    let expected = value_in(&head.headers)?;
    let named = algorithm_in(head, "x-amz-sdk-checksum-algorithm")?;
    let trailer = body.announced_checksum();
    combine(expected, named, trailer)
}

fn combine(
    expected: Option<Checksum>,
    named: Option<ChecksumAlgorithm>,
    trailer: Option<ChecksumAlgorithm>,
) -> Result<ChecksumRequest, S3Error> {
    if expected.is_some() && trailer.is_some() {
        return Err(S3Error::with_message(
            Code::InvalidRequest,
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ));
    }
    if let Some(Checksum { kind: ChecksumKind::Composite { .. }, algorithm, .. }) = &expected {
        return Err(S3Error::with_message(
            Code::InvalidRequest,
            format!("Value for {} header is invalid.", header_name(*algorithm)),
        ));
    }
    let carried = expected.as_ref().map(|c| c.algorithm).or(trailer);
    if let (Some(named), Some(carried)) = (named, carried)
        && named != carried
    {
        return Err(S3Error::with_message(
            Code::InvalidRequest,
            "Value for x-amz-sdk-checksum-algorithm header is invalid.",
        ));
    }
    Ok(ChecksumRequest { algorithm: carried.or(named), expected, trailer: trailer.is_some() })
}

/// The `Content-MD5` of the request.
pub(super) fn content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, S3Error> {
    let Some(text) = single(headers, "content-md5")? else {
        return Ok(None);
    };
    let invalid = || S3Error::new(Code::InvalidDigest);
    let digest = BASE64.decode(text).map_err(|_| invalid())?;
    digest.try_into().map(Some).map_err(|_| invalid())
}

/// Puts a checksum and its type into the reply's headers.
pub(super) fn add_headers(reply: &mut Reply, checksum: Option<&Checksum>) -> Result<(), S3Error> {
    add_value(reply, checksum)?;
    match checksum {
        Some(checksum) => set_header(reply, TYPE, checksum.kind.checksum_type().name()),
        None => Ok(()),
    }
}

/// Puts a checksum alone into the reply's headers.
pub(super) fn add_value(reply: &mut Reply, checksum: Option<&Checksum>) -> Result<(), S3Error> {
    match checksum {
        Some(checksum) => set_header(reply, header_name(checksum.algorithm), show(checksum)),
        None => Ok(()),
    }
}

/// Puts a checksum and its type into a document.
pub(super) fn write_elements(xml: &mut Writer, checksum: Option<&Checksum>) {
    write_value(xml, checksum);
    if let Some(checksum) = checksum {
        xml.text("ChecksumType", checksum.kind.checksum_type().name());
    }
}

/// Puts a checksum alone into a document.
pub(super) fn write_value(xml: &mut Writer, checksum: Option<&Checksum>) {
    if let Some(checksum) = checksum {
        xml.text(tag(checksum.algorithm), &show(checksum));
    }
}

/// Reads the checksum among the children of an element.
pub(super) fn read_element(element: &Element) -> Result<Option<Checksum>, S3Error> {
    let mut found = None;
    for algorithm in ChecksumAlgorithm::ALL {
        let Some(text) = element.child_text(tag(algorithm)) else {
            continue;
        };
        if found.is_some() {
            return Err(S3Error::new(Code::MalformedXML));
        }
        found = Some(read(algorithm, text.trim()).ok_or_else(|| {
            S3Error::with_message(
                Code::InvalidRequest,
                format!("Value for {} is invalid.", tag(algorithm)),
            )
        })?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;

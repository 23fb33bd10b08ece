//! Checksums inside of rows.

use coffer_base::wire::{Put, Reader};

use crate::types::{Checksum, ChecksumAlgorithm, ChecksumKind, ChecksumType};

const COMPOSITE: u8 = 0x80;

pub(crate) fn algorithm_code(algorithm: ChecksumAlgorithm) -> u8 {
    match algorithm {
        ChecksumAlgorithm::Crc32 => 1,
        ChecksumAlgorithm::Crc32c => 2,
        ChecksumAlgorithm::Crc64Nvme => 3,
        ChecksumAlgorithm::Sha1 => 4,
        ChecksumAlgorithm::Sha256 => 5,
    }
}

pub(crate) fn algorithm(code: u8) -> Option<ChecksumAlgorithm> {
    ChecksumAlgorithm::ALL.into_iter().find(|algorithm| algorithm_code(*algorithm) == code)
}

pub(crate) fn type_code(checksum_type: ChecksumType) -> u8 {
    match checksum_type {
        ChecksumType::FullObject => 0,
        ChecksumType::Composite => COMPOSITE,
    }
}

pub(crate) fn checksum_type(code: u8) -> Option<ChecksumType> {
    [ChecksumType::FullObject, ChecksumType::Composite]
        .into_iter()
        .find(|checksum_type| type_code(*checksum_type) == code)
}

/// A byte of algorithm and type, the digest, and for a composite the number of parts.
pub(crate) fn encode(sum: &Checksum, out: &mut Vec<u8>) {
    assert_eq!(sum.value.len(), sum.algorithm.digest_bytes(), "a digest has its length");
    out.put_u8(algorithm_code(sum.algorithm) | type_code(sum.kind.checksum_type()));
    out.extend_from_slice(&sum.value);
    if let ChecksumKind::Composite { parts } = sum.kind {
        out.put_varint(u64::from(parts));
    }
}

pub(crate) fn decode(r: &mut Reader<'_>) -> Option<Checksum> {
    let code = r.u8()?;
    decode_after(code, r)
}

fn decode_after(code: u8, r: &mut Reader<'_>) -> Option<Checksum> {
    let algorithm = algorithm(code & !COMPOSITE)?;
    let value = r.take(algorithm.digest_bytes())?.to_vec();
    let kind = if code & COMPOSITE == 0 {
        ChecksumKind::FullObject
    } else {
        ChecksumKind::Composite { parts: u32::try_from(r.varint()?).ok()? }
    };
    Some(Checksum { algorithm, value, kind })
}

/// The same with a zero byte for none.
pub(crate) fn encode_optional(sum: Option<&Checksum>, out: &mut Vec<u8>) {
    match sum {
        None => out.put_u8(0),
        Some(sum) => encode(sum, out),
    }
}

pub(crate) fn decode_optional(r: &mut Reader<'_>) -> Option<Option<Checksum>> {
    match r.u8()? {
        0 => Some(None),
        code => Some(Some(decode_after(code, r)?)),
    }
}

//! MD5 and checksums of a body in one pass over it.

use coffer_md5::Md5;
use crc_fast::CrcAlgorithm;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::types::{Checksum, ChecksumAlgorithm, ChecksumKind};

mod shift;
#[cfg(test)]
mod tests;

/// Data is fed to all digests in pieces of this size, so that it is still in the cache for the
/// second.
const PIECE_BYTES: usize = 16 << 10;

/// MD5 of `data`.
pub fn md5(data: &[u8]) -> [u8; 16] {
    let mut md5 = Md5::default();
    md5.update(data);
    md5.finish()
}

/// `bytes` in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
    out
}

/// As [`hex`], into `out`, which has twice the length.
pub(crate) fn hex_into<'a>(bytes: &[u8], out: &'a mut [u8]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, digits) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        digits[0] = DIGITS[usize::from(byte >> 4)];
        digits[1] = DIGITS[usize::from(byte & 15)];
    }
    std::str::from_utf8(out).expect("digits are ASCII")
}

/// A checksum being computed.
#[derive(Clone)]
pub struct Summer {
    algorithm: ChecksumAlgorithm,
    state: State,
}

#[derive(Clone)]
enum State {
    Crc(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Summer {
    /// Starts with no bytes.
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        let state = match algorithm {
            ChecksumAlgorithm::Sha1 => State::Sha1(Sha1::new()),
            ChecksumAlgorithm::Sha256 => State::Sha256(Sha256::new()),
            crc => State::Crc(crc_fast::Digest::new(crc_algorithm(crc))),
        };
        Self { algorithm, state }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.state {
            State::Crc(crc) => crc.update(data),
            State::Sha1(sha) => sha.update(data),
            State::Sha256(sha) => sha.update(data),
        }
    }

    /// The checksum of all bytes taken.
    pub fn finish(self) -> Checksum {
        let value = match self.state {
            State::Crc(crc) => crc_bytes(self.algorithm, crc.finalize()),
            State::Sha1(sha) => sha.finalize().to_vec(),
            State::Sha256(sha) => sha.finalize().to_vec(),
        };
        Checksum::full(self.algorithm, value)
    }
}

fn crc_algorithm(algorithm: ChecksumAlgorithm) -> CrcAlgorithm {
    match algorithm {
        ChecksumAlgorithm::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
        ChecksumAlgorithm::Crc32c => CrcAlgorithm::Crc32Iscsi,
        ChecksumAlgorithm::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256 => {
            panic!("{algorithm} is not a CRC")
        }
    }
}

/// Big-endian, as S3 writes CRCs.
fn crc_bytes(algorithm: ChecksumAlgorithm, crc: u64) -> Vec<u8> {
    crc.to_be_bytes()[8 - algorithm.digest_bytes()..].to_vec()
}

/// Computes the checksum of `data`.
pub fn checksum(algorithm: ChecksumAlgorithm, data: &[u8]) -> Checksum {
    let mut summer = Summer::new(algorithm);
    summer.update(data);
    summer.finish()
}

/// The checksum of a whole from those of its parts and their sizes, in order. Only for
/// algorithms that [combine](ChecksumAlgorithm::combines).
pub fn combine(algorithm: ChecksumAlgorithm, parts: &[(&Checksum, u64)]) -> Checksum {
    assert!(algorithm.combines(), "{algorithm} of a whole does not follow from its parts");
    let shifts = shift::Shifts::of(algorithm);
    let mut whole = crc_fast::Digest::new(crc_algorithm(algorithm)).finalize();
    for (part, size) in parts {
        assert_eq!(part.algorithm, algorithm, "parts of one object have one algorithm");
        if *size > 0 {
            let crc = part.value.iter().fold(0, |crc, byte| crc << 8 | u64::from(*byte));
            whole = shifts.combine(whole, crc, *size);
        }
    }
    Checksum::full(algorithm, crc_bytes(algorithm, whole))
}

/// The composite checksum: of the raw checksums of the parts, one after the other.
pub fn composite<'a>(
    algorithm: ChecksumAlgorithm,
    parts: impl Iterator<Item = &'a Checksum>,
) -> Checksum {
    let mut summer = Summer::new(algorithm);
    let mut count = 0;
    for part in parts {
        assert_eq!(part.algorithm, algorithm, "parts of one object have one algorithm");
        summer.update(&part.value);
        count += 1;
    }
    let mut whole = summer.finish();
    whole.kind = ChecksumKind::Composite { parts: count };
    whole
}

/// MD5 and any number of checksums, being computed over one body.
#[derive(Clone)]
pub struct Digester {
    md5: Md5,
    summers: Vec<Summer>,
}

impl Digester {
    /// MD5 and these, each once.
    pub fn new(algorithms: &[ChecksumAlgorithm]) -> Self {
        let mut algorithms = algorithms.to_vec();
        algorithms.sort_unstable();
        algorithms.dedup();
        Self { md5: Md5::default(), summers: algorithms.into_iter().map(Summer::new).collect() }
    }

    /// Whether it costs less beside others: MD5 does, in the lanes of a processor that has some, and
    /// so do CRCs, which cost next to nothing. SHA sums of many bodies would take turns on one core.
    pub(crate) fn gains_from_company(&self) -> bool {
        let takes_turns = |summer: &Summer| !matches!(summer.state, State::Crc(_));
        coffer_md5::has_lanes() && !self.summers.iter().any(takes_turns)
    }

    /// Takes the next bytes of the body.
    pub fn update(&mut self, data: &[u8]) {
        for piece in data.chunks(PIECE_BYTES) {
            self.summers.iter_mut().for_each(|summer| summer.update(piece));
            self.md5.update(piece);
        }
    }

    /// The digests of all bytes taken.
    pub fn finish(self) -> Digests {
        Digests {
            md5: self.md5.finish(),
            checksums: self.summers.into_iter().map(Summer::finish).collect(),
        }
    }
}

/// Gives each digester the next bytes of its body, the MD5s in lock step. The bytes should be few
/// enough to be still in the cache for the second digest.
pub(crate) fn update_together(bodies: &mut [(&mut Digester, &[u8])]) {
    let mut streams = Vec::with_capacity(bodies.len());
    for (digester, data) in bodies {
        let Digester { md5, summers } = &mut **digester;
        summers.iter_mut().for_each(|summer| summer.update(data));
        streams.push((md5, *data));
    }
    coffer_md5::update_together(&mut streams);
}

/// The digests of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Its MD5.
    pub md5: [u8; 16],
    /// Its checksums.
    pub checksums: Vec<Checksum>,
}

impl Digests {
    /// The one of this algorithm, if it was computed.
    pub fn of(&self, algorithm: ChecksumAlgorithm) -> Option<&Checksum> {
        self.checksums.iter().find(|sum| sum.algorithm == algorithm)
    }

    /// Refuses unless `expected` is what was computed.
    pub(crate) fn verify(&self, expected: &Checksum) -> Result<()> {
        match self.of(expected.algorithm) {
            Some(computed) if computed.value == expected.value => Ok(()),
            _ => Err(Error::BadDigest(crate::DigestKind::Checksum(expected.algorithm))),
        }
    }
}

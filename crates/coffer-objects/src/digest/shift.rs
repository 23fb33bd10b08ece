//! What a CRC becomes when so many bytes follow it, without reading them.
//!
//! A CRC is linear: that of a whole is the first part's, moved on by the length of the second, xor
//! the second's (for CRCs that begin with what they end with, as all of S3's do). Moving on is a
//! matrix over bits. `crc_fast` squares its way to that matrix for each pair; here the squares are
//! kept, and a part costs a product for each bit that is set in its length.

use std::sync::OnceLock;

use crc_fast::CrcAlgorithm;

use super::crc_algorithm;
use crate::types::ChecksumAlgorithm;

/// Lengths are below two to this power: objects have at most 5 TiB.
const LENGTH_BITS: usize = 43;

/// Columns: what becomes of each bit.
type Matrix = [u64; 64];

/// The matrices for one byte, two, four, and so on.
pub(super) struct Shifts(Vec<Matrix>);

impl Shifts {
    /// Those of `algorithm`, made once.
    pub(super) fn of(algorithm: ChecksumAlgorithm) -> &'static Shifts {
        static CRC32: OnceLock<Shifts> = OnceLock::new();
        static CRC32C: OnceLock<Shifts> = OnceLock::new();
        static CRC64: OnceLock<Shifts> = OnceLock::new();
        let (made, bits) = match algorithm {
            ChecksumAlgorithm::Crc32 => (&CRC32, 32),
            ChecksumAlgorithm::Crc32c => (&CRC32C, 32),
            ChecksumAlgorithm::Crc64Nvme => (&CRC64, 64),
            other => panic!("{other} is no CRC"),
        };
        made.get_or_init(|| Shifts::new(crc_algorithm(algorithm), bits))
    }

    fn new(algorithm: CrcAlgorithm, bits: usize) -> Self {
        let mut power: Matrix = [0; 64];
        for (bit, column) in power.iter_mut().enumerate().take(bits) {
            *column = crc_fast::checksum_combine(algorithm, 1 << bit, 0, 1);
        }
        let mut powers = vec![power];
        while powers.len() < LENGTH_BITS {
            power = power.map(|column| product(&power, column));
            powers.push(power);
        }
        Shifts(powers)
    }

    /// The CRC of what has `first` and then `bytes` bytes that have `second`.
    pub(super) fn combine(&self, first: u64, second: u64, bytes: u64) -> u64 {
        assert!(bytes >> LENGTH_BITS == 0, "{bytes} bytes are more than an object has");
        let mut moved = first;
        for (bit, power) in self.0.iter().enumerate() {
            if bytes >> bit & 1 == 1 {
                moved = product(power, moved);
            }
        }
        moved ^ second
    }
}

fn product(matrix: &Matrix, vector: u64) -> u64 {
    let columns = matrix.iter().enumerate();
    columns.fold(0, |sum, (bit, column)| sum ^ column & 0u64.wrapping_sub(vector >> bit & 1))
}

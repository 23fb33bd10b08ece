//! The coder against a second implementation written here (log tables, Lagrange's formula) and a
//! third one (reed-solomon-erasure), and every loss it must survive.

use coffer_base::Rng;
use coffer_base::rng::SeededRng;

use super::Coder;
use crate::geometry::Geometry;

const SCHEMES: [(u8, u8); 9] =
    [(1, 1), (2, 1), (2, 2), (3, 2), (4, 2), (4, 3), (5, 3), (6, 3), (8, 4)];
/// Around the widths of the vector kernels.
const LENGTHS: [usize; 8] = [1, 15, 31, 64, 333, 1024, 4096, 4113];

/// Arithmetic in GF(2^8) by logarithms to the base 2.
struct Field {
    exp: [u8; 255],
    log: [usize; 256],
}

impl Field {
    fn new() -> Field {
        let mut field = Field { exp: [0; 255], log: [0; 256] };
        let mut x = 1u16;
        for i in 0..255 {
            field.exp[i] = x as u8;
            field.log[x as usize] = i;
            x <<= 1;
            if x & 0x100 != 0 {
                x ^= 0x11d;
            }
        }
        field
    }

    fn mul(&self, a: u8, b: u8) -> u8 {
        if a == 0 || b == 0 {
            return 0;
        }
        self.exp[(self.log[a as usize] + self.log[b as usize]) % 255]
    }

    fn div(&self, a: u8, b: u8) -> u8 {
        assert_ne!(b, 0);
        if a == 0 {
            return 0;
        }
        self.exp[(self.log[a as usize] + 255 - self.log[b as usize]) % 255]
    }

    /// The value at point `x` of the polynomial through `(point, byte)` of `known`.
    fn interpolate(&self, known: &[(u8, u8)], x: u8) -> u8 {
        let mut value = 0;
        for (at, byte) in known {
            let mut term = *byte;
            for (other, _) in known {
                if other != at {
                    term = self.div(self.mul(term, x ^ other), at ^ other);
                }
            }
            value ^= term;
        }
        value
    }
}

fn random_cells(rng: &SeededRng, k: u8, len: usize) -> Vec<Vec<u8>> {
    (0..k)
        .map(|_| {
            let mut cell = vec![0; len];
            rng.fill(&mut cell);
            cell
        })
        .collect()
}

fn encode(k: u8, m: u8, data: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut parity = vec![vec![0xee; data[0].len()]; usize::from(m)];
    let data: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
    let mut out: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
    Coder::new(Geometry { k, m }).encode(&data, &mut out);
    parity
}

#[test]
fn parity_is_the_value_of_the_polynomial_at_its_point() {
    let field = Field::new();
    let rng = SeededRng::new(1);
    for (k, m) in SCHEMES.into_iter().chain([(1, 3), (20, 4), (12, 12)]) {
        for len in LENGTHS {
            let data = random_cells(&rng, k, len);
            for (i, cell) in encode(k, m, &data).iter().enumerate() {
                for (at, byte) in cell.iter().enumerate() {
                    // The formula costs k^2 a byte: a sample of the long cells will do.
                    if at > 70 && at + 70 < len && at % 13 > 0 {
                        continue;
                    }
                    let known: Vec<(u8, u8)> =
                        data.iter().enumerate().map(|(c, d)| (c as u8, d[at])).collect();
                    let expected = field.interpolate(&known, k + i as u8);
                    assert_eq!(*byte, expected, "{k}+{m}, parity {i}, byte {at} of {len}");
                }
            }
        }
    }
}

#[test]
fn another_crate_gives_the_same_parity() {
    let rng = SeededRng::new(2);
    for (k, m) in SCHEMES.into_iter().chain([(1, 3), (20, 4)]) {
        for len in LENGTHS {
            let data = random_cells(&rng, k, len);
            let mut all = data.clone();
            all.resize(usize::from(k + m), vec![0; len]);
            reed_solomon_erasure::galois_8::ReedSolomon::new(k.into(), m.into())
                .unwrap()
                .encode(&mut all)
                .unwrap();
            assert_eq!(encode(k, m, &data), all[usize::from(k)..], "{k}+{m}, {len} bytes");
        }
    }
}

#[test]
fn every_loss_of_up_to_m_cells_is_made_good_and_no_greater_one() {
    let rng = SeededRng::new(3);
    for (k, m) in SCHEMES.into_iter().chain([(1, 0), (3, 0)]) {
        let coder = Coder::new(Geometry { k, m });
        let n = usize::from(k + m);
        let len = 1 + rng.below(200) as usize;
        let mut all = random_cells(&rng, k, len);
        all.extend(encode(k, m, &all));
        for lost in 0u32..1 << n {
            let missing: Vec<usize> = (0..n).filter(|i| lost >> i & 1 == 1).collect();
            let cells: Vec<Option<&[u8]>> =
                (0..n).map(|i| (lost >> i & 1 == 0).then_some(all[i].as_slice())).collect();
            let mut out = vec![vec![0xee; len]; missing.len()];
            let mut slots: Vec<&mut [u8]> = out.iter_mut().map(Vec::as_mut_slice).collect();
            let enough = missing.len() <= usize::from(m);
            assert_eq!(coder.reconstruct_into(&cells, &missing, &mut slots), enough);
            for (i, cell) in all.iter().enumerate() {
                let expected = (enough || cells[i].is_some()).then_some(cell);
                assert_eq!(coder.reconstruct(&cells, i).as_ref(), expected, "{k}+{m} {lost:b}");
            }
            for (cell, wanted) in out.iter().zip(&missing) {
                assert!(!enough || *cell == all[*wanted], "{k}+{m} {lost:b}");
            }
        }
    }
}

#[test]
fn the_matrix_of_4_2_on_drives_never_changes() {
    // Unit vectors give the coefficients of parity 0 and 1, one data cell each.
    let coefficients: Vec<[u8; 2]> = (0..4)
        .map(|c| {
            let data: Vec<Vec<u8>> = (0..4).map(|i| vec![u8::from(i == c)]).collect();
            let parity = encode(4, 2, &data);
            [parity[0][0], parity[1][0]]
        })
        .collect();
    assert_eq!(coefficients, [[0x1b, 0x1c], [0x1c, 0x1b], [0x12, 0x14], [0x14, 0x12]]);
    let data: Vec<Vec<u8>> =
        (0..4).map(|c| (0..8).map(|i| (c * 61 + i * 37 + 5) as u8).collect()).collect();
    let parity = encode(4, 2, &data);
    assert_eq!(parity[0], [0x84, 0xdb, 0xda, 0x69, 0x30, 0x3f, 0x46, 0xcf]);
    assert_eq!(parity[1], [0xfc, 0xa6, 0x31, 0xac, 0x57, 0x4a, 0x9d, 0xbf]);
}

#[test]
fn one_data_cell_is_mirrored() {
    let data = vec![vec![7, 8, 9]];
    assert_eq!(encode(1, 2, &data), [[7, 8, 9], [7, 8, 9]]);
    assert!(encode(1, 0, &data).is_empty());
}

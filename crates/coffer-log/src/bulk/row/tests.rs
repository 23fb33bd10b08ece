//! Headers as hostile bytes, and the arithmetic of places.

use coffer_base::{SegmentId, StoreId};

use super::*;

fn header() -> RowHeader {
    let geometry = Geometry { k: 4, m: 2 };
    let place = RowPlace::new(4096, 300_000, 4);
    let sums = (0..6 * place.blocks() as u64).map(|i| i * 7).collect();
    let segment = SegmentId::new(3, 4);
    RowHeader { store: StoreId(9), segment, geometry, index: 5, place, sums }
}

fn encoded(header: &RowHeader) -> Vec<u8> {
    let mut bytes = vec![0xee; ROW_HEADER_BYTES];
    header.encode_into(&mut bytes);
    bytes
}

#[test]
fn a_header_is_read_back_and_no_damage_passes() {
    let header = header();
    let bytes = encoded(&header);
    assert_eq!(RowHeader::decode(&bytes), Some(header));
    for cut in 0..bytes.len() {
        assert_eq!(RowHeader::decode(&bytes[..cut]), None, "cut at {cut}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(RowHeader::decode(&bytes), None, "bit {bit}");
    }
    assert_eq!(RowHeader::decode(&[0; ROW_HEADER_BYTES]), None);
    assert_eq!(RowHeader::decode(&[0xff; ROW_HEADER_BYTES]), None);
}

#[test]
fn a_well_signed_header_of_impossible_numbers_is_refused() {
    // Fields are patched and the checksum made good again, as a wrong writer would.
    for (at, value) in [(10, 0), (10, 255), (11, 255), (12, 6), (48, 0), (50, 255), (54, 255)] {
        let mut bytes = encoded(&header());
        bytes[at] = value;
        if at == 48 {
            bytes[48..52].fill(0);
        }
        let index = u32::from(bytes[12]);
        let seed = place_seed(StoreId(9), SegmentId::new(3, 4), LANE_HEADER + index, 4096);
        let sum = checksum(seed, &bytes[..ROW_HEADER_BYTES - 8]);
        bytes[ROW_HEADER_BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(RowHeader::decode(&bytes), None, "byte {at} = {value}");
    }
}

#[test]
fn the_bytes_of_a_header_never_change() {
    let bytes = encoded(&header());
    assert_eq!(&bytes[..12], b"COFFERRW\x01\0\x04\x02");
    assert_eq!(bytes[12..16], [5, 0, 0, 0]);
    assert_eq!(bytes[16..32], StoreId(9).0.to_le_bytes());
    assert_eq!(bytes[32..40], SegmentId::new(3, 4).0.to_le_bytes());
    assert_eq!(bytes[40..48], 4096u64.to_le_bytes());
    assert_eq!(bytes[48..52], 300_000u32.to_le_bytes());
    assert_eq!(bytes[52..56], 77_824u32.to_le_bytes());
    assert_eq!(bytes[64..72], 7u64.to_le_bytes());
    let sum = u64::from_le_bytes(bytes[4088..].try_into().unwrap());
    assert_eq!(sum, 3_290_149_178_473_228_214, "the seed or the checksum changed");
}

#[test]
fn the_largest_cells_of_every_scheme_fit_the_header() {
    for cells in 1..=24u8 {
        let geometry = Geometry { k: cells, m: 0 };
        let cell_bytes = cell_bytes_limit(geometry);
        assert!(cell_bytes >= 1 << 20, "{cells} cells of {cell_bytes}");
        let place = RowPlace::new(4096, cell_bytes * usize::from(cells), cells);
        assert_eq!(place.cell_bytes, cell_bytes);
        assert!(place.blocks() * usize::from(cells) <= SUMS_MAX);
    }
}

#[test]
fn ranges_fall_into_rows_cells_and_windows() {
    let extent = Extent {
        segment: SegmentId(1),
        offset: 8192,
        len: 1_000_000,
        row_bytes: 4 * 65_536,
        checksum: 0,
    };
    let rows: Vec<_> = rows_of(&extent, 4, 262_143..786_433).unwrap().collect();
    let stride = 4096 + 65_536;
    assert_eq!(
        rows,
        [
            (RowPlace { offset: 8192, data_len: 262_144, cell_bytes: 65_536 }, 262_143..262_144),
            (RowPlace { offset: 8192 + stride, data_len: 262_144, cell_bytes: 65_536 }, 0..262_144),
            (
                RowPlace { offset: 8192 + 2 * stride, data_len: 262_144, cell_bytes: 65_536 },
                0..262_144
            ),
            (
                RowPlace {
                    offset: 8192 + 3 * stride,
                    data_len: 213_568,
                    cell_bytes: 53_248 + 4096
                },
                0..1
            ),
        ]
    );
    assert_eq!(rows_of(&extent, 4, 5..5).unwrap().count(), 0);
    let cells: Vec<_> = rows[1].0.cells_of(65_530..131_080).collect();
    assert_eq!(cells, [(0, 65_530..65_536), (1, 0..65_536), (2, 0..8)]);
    let place = RowPlace::new(4096, 4 * 200_000, 4);
    assert_eq!(place.window(&(65_537..65_538)), 65_536..131_072);
    assert_eq!(place.window(&(199_999..200_000)), 196_608..200_704);
}

#[test]
fn an_extent_that_no_writer_made_is_corrupt() {
    let good =
        Extent { segment: SegmentId(1), offset: 4096, len: 10, row_bytes: 16_384, checksum: 0 };
    let is_corrupt = |extent| matches!(rows_of(&extent, 4, 0..0).err(), Some(Error::Corrupt(_)));
    assert!(!is_corrupt(good));
    assert!(is_corrupt(Extent { row_bytes: 0, ..good }));
    assert!(is_corrupt(Extent { row_bytes: 16_385, ..good }));
    assert!(is_corrupt(Extent { row_bytes: 4096, ..good }));
    assert!(is_corrupt(Extent { offset: 0, ..good }));
    assert!(is_corrupt(Extent { offset: 4097, ..good }));
    assert!(is_corrupt(Extent { offset: u64::MAX - 4095, ..good }));
    assert!(is_corrupt(Extent { len: u64::MAX, ..good }));
}

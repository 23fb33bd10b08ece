//! Filling, cutting short rows anew, choosing lengths.

use coffer_base::Rng;
use coffer_base::rng::SeededRng;

use super::super::memory::RowMemory;
use super::*;

#[test]
fn a_sealed_row_holds_the_payload_at_its_places_and_zeros_after_it() {
    let rng = SeededRng::new(1);
    for round in 0..200 {
        let k = 1 + rng.below(8) as u8;
        let geometry = Geometry { k, m: rng.below(3) as u8 };
        let cell_bytes = 4096 * (1 + rng.below(40) as usize);
        let mut row = RowBuffer::hollow(geometry, cell_bytes);
        let space = RowMemory::default().take(0, row.memory_bytes()).unwrap();
        row.settle_in(space);
        // A row before this one leaves its bytes behind.
        row.fill(&vec![0xee; row.capacity()]);
        row.seal(StoreId(1), SegmentId(1), 4096);
        row.clear();
        let mut data = vec![0; 1 + rng.below(row.capacity() as u64) as usize];
        rng.fill(&mut data);
        for piece in data.chunks(1 + rng.below(50_000) as usize) {
            assert_eq!(row.fill(piece), piece.len());
        }
        let places = [(1, 8192), (2, 4096)].map(|(segment, offset)| {
            let place = row.seal(StoreId(1), SegmentId(segment), offset);
            let end = ROW_HEADER_BYTES + place.cell_bytes;
            let cells = &row.cells[..usize::from(k)];
            let mut held: Vec<u8> =
                cells.iter().flat_map(|c| c[ROW_HEADER_BYTES..end].to_vec()).collect();
            assert!(held.split_off(data.len()).iter().all(|b| *b == 0), "round {round}");
            assert_eq!(held, data, "round {round}");
            for (i, cell) in row.cells.iter().enumerate() {
                let header = RowHeader::decode(&cell[..end]).unwrap();
                assert!(header.is_at(StoreId(1), SegmentId(segment), geometry, i, offset));
                let window = 0..place.cell_bytes;
                let bytes = &cell[ROW_HEADER_BYTES..end];
                assert!(header.right_blocks(i, &window, bytes).all(|right| right));
                let other = (i + 1) % geometry.cells();
                let same = row.cells[other][ROW_HEADER_BYTES..end] == *bytes;
                let passes = header.right_blocks(other, &window, bytes).all(|right| right);
                assert_eq!(passes, same, "a cell passes for another");
            }
            place
        });
        assert_eq!(places[0].data_len, data.len());
        assert_eq!(row.drain(), data, "round {round}");
        assert!(row.is_empty());
    }
}

#[test]
fn cells_are_as_long_as_the_payload_needs_and_the_memory_allows() {
    let choose = |len, memory| choose_cell_bytes(Geometry { k: 4, m: 2 }, len, 1 << 20, memory);
    let plenty = 1 << 30;
    assert_eq!(choose(Some(256 << 10), plenty), 64 << 10);
    assert_eq!(choose(Some(0), plenty), 4096);
    assert_eq!(choose(Some(1), plenty), 4096);
    assert_eq!(choose(Some(300_000), plenty), 77_824);
    assert_eq!(choose(Some(4 << 20), plenty), 1 << 20);
    assert_eq!(choose(Some(u64::MAX), plenty), 1 << 20);
    assert_eq!(choose(None, plenty), 1 << 20);
    assert_eq!(choose(None, 0), 64 << 10);
    assert_eq!(choose(None, 6 * (4096 + 200_000)), 3 * (64 << 10));
    assert_eq!(choose(Some(256 << 10), 0), 64 << 10);
    assert_eq!(choose(Some(40_000), 0), 12_288);
    let over_24 = choose_cell_bytes(Geometry { k: 20, m: 4 }, None, 64 << 20, plenty);
    assert_eq!(over_24, 21 * (64 << 10));
}

#[test]
fn rows_are_limited_to_whole_blocks_or_to_less_than_one() {
    let limit = |cell, row| limit_cell_bytes(Geometry { k: 4, m: 2 }, cell, row);
    assert_eq!(limit(1 << 20, 1 << 20), 256 << 10);
    assert_eq!(limit(1 << 20, 900 << 10), 192 << 10);
    assert_eq!(limit(1 << 20, 8 << 20), 1 << 20);
    assert_eq!(limit(77_824, 400_000), 77_824);
    assert_eq!(limit(77_824, 300_000), 64 << 10);
    assert_eq!(limit(1 << 20, 64 << 10), 16 << 10);
    assert_eq!(limit(1 << 20, 70_000), 16 << 10);
    assert_eq!(limit(1 << 20, 0), 4096);
}

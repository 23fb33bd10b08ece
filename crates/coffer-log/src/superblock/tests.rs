use super::*;

fn sample() -> Superblock {
    Superblock {
        store: StoreId(1),
        drive: DriveId(2),
        generation: 3,
        formatted: true,
        geometry: Geometry { k: 4, m: 2 },
        created: Timestamp(4),
        epoch: Epoch { number: 5, id: EpochId(6) },
        decided: (Position(7), Chain([8; 16])),
        forced: false,
        ancestry: (0..300)
            .map(|n| (Epoch { number: 300 - n, id: EpochId(u128::from(n)) }, Position(n.into())))
            .collect(),
        members: (0..6).map(|n| (DriveId(n), DriveState::Active)).collect(),
        checkpoint: Some(Checkpoint {
            mark: Mark { epoch: EpochId(11), position: Position(9), chain: Chain([10; 16]) },
            extents: vec![Extent {
                segment: coffer_base::SegmentId(12),
                offset: 13,
                len: 14,
                row_bytes: 15,
                checksum: 0,
            }],
        }),
    }
}

#[test]
fn it_reads_back_with_the_newest_ancestry() {
    let superblock = sample();
    let read = Superblock::decode(&superblock.encode()).unwrap();
    assert_eq!(read.ancestry, superblock.ancestry[..100]);
    assert_eq!(Superblock { ancestry: superblock.ancestry.clone(), ..read }, superblock);
}

#[test]
fn any_flipped_bit_and_any_cut_is_refused() {
    let bytes = sample().encode();
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        assert_eq!(Superblock::decode(&bad), None, "flip in byte {at}");
    }
    for cut in [0, 1, 100, 4095] {
        assert_eq!(Superblock::decode(&bytes[..cut]), None);
    }
}

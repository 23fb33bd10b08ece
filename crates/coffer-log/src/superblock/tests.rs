use super::*;

fn member(n: u128) -> Member {
    let active = Member { replaced: n as u32, ..Member::active(DriveId(n)) };
    match n {
        1 => Member {
            state: DriveState::Fenced,
            since: Timestamp(1_795_515_000_000),
            why: "commit lane: Input/output error".into(),
            ..active
        },
        2 => Member { state: DriveState::Lost, why: "it went".into(), unsettled: true, ..active },
        _ => active,
    }
}

fn sample() -> Superblock {
    Superblock {
        store: StoreId(1),
        drive: DriveId(2),
        generation: 3,
        formatted: true,
        joining: false,
        complete: true,
        recorded: Timestamp(1_795_515_123_000),
        geometry: Geometry { k: 4, m: 2 },
        created: Timestamp(4),
        epoch: Epoch { number: 5, id: EpochId(6) },
        decided: (Position(7), Chain([8; 16])),
        forced: false,
        ancestry: (0..300)
            .map(|n| (Epoch { number: 300 - n, id: EpochId(u128::from(n)) }, Position(n.into())))
            .collect(),
        members: (0..6).map(member).collect(),
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

/// Made by the program of commit 84f7c9b: the newest superblock of the third drive of the store
/// in `tests/e2e/old_stores/version-1.tar.xz`. Not to be edited.
const VERSION_1: &[u8; BYTES] = include_bytes!("version-1.bin");

#[test]
fn version_1_is_read_and_written_on_as_the_newest() {
    let read = Superblock::decode(VERSION_1).unwrap();
    assert_eq!(read.geometry, Geometry { k: 2, m: 1 });
    assert!(read.formatted && !read.joining);
    assert_eq!((read.epoch.number, read.generation), (3, 12));
    assert_eq!(read.ancestry.iter().map(|(e, _)| e.number).collect::<Vec<_>>(), [2, 1, 0]);
    assert_eq!(read.members.len(), 3);
    assert!(read.members.iter().all(|m| m.is_active() && m.replaced == 0 && m.since.0 == 0));
    assert_eq!((read.recorded, read.complete), (Timestamp(0), false));
    assert!(read.checkpoint.is_some());
    let written = read.encode();
    assert_eq!(version_of(&written), Some(VERSION));
    assert_eq!(Superblock::decode(&written), Some(read));
}

#[test]
fn a_drive_that_is_to_join_is_told_apart() {
    let joining = Superblock { joining: true, ..sample() };
    assert_eq!(
        Superblock::decode(&joining.encode()).map(|s| (s.formatted, s.joining)),
        Some((true, true))
    );
    let unformatted = Superblock { formatted: false, ..sample() };
    assert_eq!(
        Superblock::decode(&unformatted.encode()).map(|s| (s.formatted, s.joining)),
        Some((false, false))
    );
}

#[test]
fn the_largest_set_in_the_worst_state_fits() {
    let extent = Extent {
        segment: coffer_base::SegmentId(u64::MAX),
        offset: 1 << 48,
        len: 1 << 48,
        row_bytes: 16 << 20,
        checksum: 0,
    };
    let why = "ä".repeat(500);
    let mark = Mark { epoch: EpochId(11), position: Position(9), chain: Chain([10; 16]) };
    let large = Superblock {
        geometry: Geometry { k: 12, m: 12 },
        members: (0..24)
            .map(|n| Member {
                state: DriveState::Fenced,
                since: Timestamp(n as u64 + 1),
                why: why.clone(),
                ..Member::active(DriveId(n))
            })
            .collect(),
        checkpoint: Some(Checkpoint { mark, extents: vec![extent; Checkpoint::EXTENTS_MAX] }),
        ..sample()
    };
    let read = Superblock::decode(&large.encode()).unwrap();
    assert!(read.ancestry.len() >= 50, "{} epochs are kept", read.ancestry.len());
    assert!(read.members.iter().all(|m| m.why == "ä".repeat(20)), "{:?}", read.members[0]);
    assert_eq!(read.checkpoint, large.checkpoint);
}

#[test]
fn whatever_bytes_have_the_right_checksum_nothing_panics() {
    use coffer_base::rng::{Rng, SeededRng};
    let rng = SeededRng::new(1);
    for _ in 0..5000 {
        let mut bytes = sample().encode();
        for _ in 0..=rng.below(8) {
            // Mostly in the fields that say how long something is.
            let at = rng.below(if rng.below(2) == 0 { 600 } else { 4088 }) as usize;
            bytes[at] = rng.below(256) as u8;
        }
        let sum = checksum(SEED, &bytes[..BYTES - 8]);
        bytes[BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
        if let Some(read) = Superblock::decode(&bytes) {
            assert!(read.members.len() <= DRIVES_MAX);
        }
    }
}

/// As the first version was written.
pub(crate) fn encode_version_1(superblock: &Superblock) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.put_u16(1);
    out.put_u128(superblock.store.0);
    out.put_u128(superblock.drive.0);
    out.put_u64(superblock.generation);
    out.put_u8(u8::from(superblock.formatted));
    out.put_u8(superblock.geometry.k);
    out.put_u8(superblock.geometry.m);
    out.put_u64(superblock.created.0);
    put_epoch(&mut out, superblock.epoch);
    out.put_u64(superblock.decided.0.0);
    out.extend_from_slice(&superblock.decided.1.0);
    out.put_u8(u8::from(superblock.forced));
    out.put_u8(superblock.members.len() as u8);
    for member in &superblock.members {
        out.put_u128(member.id.0);
        out.put_u8(member.state as u8);
    }
    match &superblock.checkpoint {
        None => out.put_u8(0),
        Some(root) => {
            out.put_u8(1);
            root.mark.encode(&mut out);
            out.put_u8(root.extents.len() as u8);
            root.extents.iter().for_each(|extent| extent.encode(&mut out));
        }
    }
    out.put_u8(superblock.ancestry.len() as u8);
    for (epoch, decided) in &superblock.ancestry {
        put_epoch(&mut out, *epoch);
        out.put_u64(decided.0);
    }
    out.resize(BYTES - 8, 0);
    let sum = checksum(SEED, &out);
    out.put_u64(sum);
    out
}

#[test]
fn what_this_test_writes_as_version_1_is_version_1() {
    assert_eq!(encode_version_1(&Superblock::decode(VERSION_1).unwrap()), VERSION_1);
}

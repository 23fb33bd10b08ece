use coffer_base::Rng;
use coffer_base::rng::SeededRng;

use super::*;

fn read(record: &[u8]) -> Result<Vec<Mutation<'_>>, RecordError> {
    mutations(record).collect()
}

fn golden() -> RecordBuilder {
    let mut record = RecordBuilder::default();
    record.put(b"\x02key", b"value");
    record.delete(b"\x02gone");
    record.add(b"\x09n", &[1, -1, 300, i64::MIN]);
    record
}

/// These bytes are on people's drives: never edit them, only add newer versions.
const GOLDEN_V1: &[u8] = &[
    1, // version
    1, 4, 2, b'k', b'e', b'y', 5, b'v', b'a', b'l', b'u', b'e', // put
    2, 5, 2, b'g', b'o', b'n', b'e', // delete
    3, 2, 9, b'n', 4, 2, 1, 0xd8, 0x04, // add: 1, -1, 300,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, // i64::MIN
];

#[test]
fn the_bytes_are_the_documented_ones() {
    assert_eq!(golden().bytes(), GOLDEN_V1);
    assert_eq!(
        read(GOLDEN_V1),
        Ok(vec![
            Mutation::Put { key: b"\x02key", value: b"value" },
            Mutation::Delete { key: b"\x02gone" },
            Mutation::Add { key: b"\x09n", deltas: vec![1, -1, 300, i64::MIN] },
        ])
    );
}

#[test]
fn cuts_and_garbage_are_refused_without_a_panic() {
    let whole = read(GOLDEN_V1).unwrap();
    for cut in 0..GOLDEN_V1.len() {
        if let Ok(part) = read(&GOLDEN_V1[..cut]) {
            assert_eq!(part, whole[..part.len()], "cut at {cut}");
            assert!(part.len() < whole.len());
        }
    }
    let rng = SeededRng::new(1);
    for _ in 0..20_000 {
        let mut record = GOLDEN_V1.to_vec();
        for _ in 0..=rng.below(3) {
            let at = rng.below(record.len() as u64) as usize;
            record[at] = rng.next_u64() as u8;
        }
        assert!(mutations(&record).count() <= record.len());
    }
}

#[test]
fn a_newer_version_is_named() {
    assert_eq!(read(&[2, 1, 0, 0]), Err(RecordError::NewerVersion(2)));
    assert_eq!(read(&[0]), Err(RecordError::Malformed));
    assert_eq!(read(&[]), Err(RecordError::Malformed));
    assert_eq!(read(&[1]), Ok(vec![]));
    assert_eq!(read(&[1, 3, 0, 0xff, 0xff, 0xff, 0x7f]), Err(RecordError::Malformed));
}

#[test]
fn counters_add_up() {
    let one = add_counters(None, &[1, 2]);
    let two = add_counters(Some(&one), &[-5]);
    let three = add_counters(Some(&two), &[0, 0, i64::MAX]);
    assert_eq!(decode_counters(&three), [-4, 2, i64::MAX]);
    assert_eq!(decode_counters(&add_counters(Some(&three), &[0, 0, 1]))[2], i64::MIN);
    assert_eq!(decode_counters(&[]), [0i64; 0]);
    for v in [0, 1, -1, i64::MAX, i64::MIN] {
        assert_eq!(unzigzag(zigzag(v)), v);
    }
}

use coffer_base::Rng;
use coffer_base::rng::SeededRng;

use super::*;

/// Short strings over few letters, so that prefixes and zeros are common.
fn string(rng: &SeededRng) -> Vec<u8> {
    const LETTERS: [u8; 6] = [0x00, 0x01, 0x02, b'a', 0xfe, 0xff];
    (0..rng.below(6)).map(|_| LETTERS[rng.below(6) as usize]).collect()
}

#[test]
fn keys_sort_as_their_tuples() {
    let rng = SeededRng::new(1);
    let mut tuples: Vec<(u64, Vec<u8>, Vec<u8>, u32)> = (0..3000)
        .map(|_| (rng.below(3), string(&rng), string(&rng), rng.below(3) as u32))
        .collect();
    tuples.sort();
    tuples.dedup();
    let keys: Vec<_> = tuples
        .iter()
        .map(|(a, b, c, d)| Key::new(1).u64(*a).bytes(b).bytes(c).u32(*d).finish())
        .collect();
    for (pair, tuple) in keys.windows(2).zip(tuples.windows(2)) {
        assert!(pair[0] < pair[1], "{tuple:?}");
    }
    for (key, (a, b, c, d)) in keys.iter().zip(&tuples) {
        let mut r = KeyReader::new(key);
        assert_eq!(r.subspace(), Some(1));
        assert_eq!(r.u64(), Some(*a));
        assert_eq!(r.bytes().as_ref(), Some(b));
        assert_eq!(r.bytes().as_ref(), Some(c));
        assert_eq!(r.u32(), Some(*d));
        assert!(r.is_empty());
    }
}

#[test]
fn descending_numbers_sort_the_largest_first() {
    let key = |v| Key::new(1).u64_descending(v).finish();
    assert!(key(u64::MAX) < key(5) && key(5) < key(4) && key(4) < key(0));
    let newest = key(5);
    let mut r = KeyReader::new(&newest);
    r.subspace();
    assert_eq!(r.u64_descending(), Some(5));
}

#[test]
fn a_prefix_covers_exactly_the_strings_that_begin_with_it() {
    let rng = SeededRng::new(2);
    for _ in 0..3000 {
        let (prefix, s) = (string(&rng), string(&rng));
        let key = Key::new(3).u64(9).bytes(&s).finish();
        let (lo, hi) = prefix_bounds(&Key::new(3).u64(9).bytes_prefix(&prefix).finish());
        let (Bound::Included(lo), Bound::Excluded(hi)) = (lo, hi) else { panic!("has an end") };
        assert_eq!(lo <= key && key < hi, s.starts_with(&prefix), "{prefix:?} {s:?}");
    }
}

#[test]
fn prefix_end_skips_trailing_ff_bytes() {
    assert_eq!(prefix_end(b""), None);
    assert_eq!(prefix_end(&[0xff, 0xff]), None);
    assert_eq!(prefix_end(b"a"), Some(b"b".to_vec()));
    assert_eq!(prefix_end(&[1, 0xff]), Some(vec![2]));
}

#[test]
fn damaged_keys_are_refused_without_a_panic() {
    let key = Key::new(1).u64(2).bytes(b"x\0y").u128(3).finish();
    let read = |key: &[u8]| {
        let mut r = KeyReader::new(key);
        let fields = (r.subspace()?, r.u64()?, r.bytes()?, r.u128()?);
        r.is_empty().then_some(fields)
    };
    assert_eq!(read(&key), Some((1, 2, b"x\0y".to_vec(), 3)));
    for cut in 0..key.len() {
        assert_eq!(read(&key[..cut]), None, "cut at {cut}");
    }
    let rng = SeededRng::new(3);
    for _ in 0..2000 {
        let mut garbage = vec![0u8; rng.below(40) as usize];
        rng.fill(&mut garbage);
        read(&garbage);
    }
    assert_eq!(KeyReader::new(&[0, 7, 1]).bytes(), None, "0x00 0x07 is no escape");
}

#[test]
fn the_encoding_is_the_documented_one() {
    let key = Key::new(0x10).u64(0x0102).bytes(b"a\0b").u8(9).finish();
    assert_eq!(
        key,
        [0x10, 0, 0, 0, 0, 0, 0, 1, 2, b'a', 0, 0xff, b'b', 0, 1, 9],
        "see docs/formats/catalog-records.md"
    );
    assert_eq!(escape(b"a\0b"), [b'a', 0, 0xff, b'b', 0, 1]);
}

#[test]
fn empty_ranges_are_recognised() {
    use Bound::{Excluded, Included, Unbounded};
    type Case = (Bound<&'static [u8]>, Bound<&'static [u8]>, bool);
    let cases: [Case; 7] = [
        (Unbounded, Unbounded, false),
        (Included(b"a"), Unbounded, false),
        (Included(b"a"), Included(b"a"), false),
        (Included(b"a"), Excluded(b"a"), true),
        (Excluded(b"a"), Included(b"a"), true),
        (Excluded(b"a"), Excluded(b"b"), false),
        (Included(b"b"), Included(b"a"), true),
    ];
    for (lo, hi, empty) in cases {
        assert_eq!(is_empty_range(lo, hi), empty, "{lo:?} {hi:?}");
    }
}

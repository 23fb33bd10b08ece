use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::*;

fn value(n: u64) -> Bytes {
    Bytes::copy_from_slice(&n.to_le_bytes())
}

fn number(found: Option<Bytes>) -> u64 {
    u64::from_le_bytes(found.unwrap()[..].try_into().unwrap())
}

fn get(rows: &HotRows, key: &[u8], found: Option<Bytes>) -> Option<Bytes> {
    rows.get(key, || Ok::<_, ()>(found)).unwrap()
}

#[test]
fn a_kept_row_is_answered_until_it_changes() {
    let rows = HotRows::new(1 << 20);
    assert_eq!(get(&rows, b"k", Some(value(1))), Some(value(1)));
    assert_eq!(get(&rows, b"k", Some(value(99))), Some(value(1)));
    assert_eq!(rows.hits_and_misses(), (1, 1));
    rows.change(&[Bytes::from_static(b"k")], || {
        // While it changes nothing is answered from here, and nothing is kept.
        assert_eq!(get(&rows, b"k", Some(value(1))), Some(value(1)));
        assert_eq!(get(&rows, b"k", Some(value(2))), Some(value(2)));
    });
    assert_eq!(get(&rows, b"k", Some(value(3))), Some(value(3)));
    assert_eq!(get(&rows, b"k", None), Some(value(3)));
    rows.change_all(|| ());
    assert_eq!(get(&rows, b"k", None), None);
}

#[test]
fn what_was_read_before_a_change_is_not_kept_after_it() {
    let rows = HotRows::new(1 << 20);
    let key = [Bytes::from_static(b"k")];
    let read_late = rows.get(b"k", || {
        rows.change(&key, || ());
        Ok::<_, ()>(Some(value(1)))
    });
    assert_eq!(read_late, Ok(Some(value(1))));
    assert_eq!(get(&rows, b"k", Some(value(2))), Some(value(2)));
}

#[test]
fn absent_and_large_rows_are_not_kept_and_the_rest_is_bounded() {
    let rows = HotRows::new(64 << 10);
    assert_eq!(get(&rows, b"absent", None), None);
    assert_eq!(get(&rows, b"absent", Some(value(1))), Some(value(1)));
    let large = Bytes::from(vec![7; ROW_BYTES_MAX]);
    assert_eq!(get(&rows, b"large", Some(large.clone())), Some(large));
    assert_eq!(get(&rows, b"large", None), None);
    for n in 0..10_000u64 {
        get(&rows, &n.to_le_bytes(), Some(value(n)));
    }
    assert!(rows.rows.weight() <= 64 << 10, "{}", rows.rows.weight());
    assert!(rows.rows.len() > 100, "{}", rows.rows.len());
}

/// Readers beside a writer never see a value older than one that was there when they began, nor
/// one older than any reader has seen before.
#[test]
fn nobody_sees_an_older_value_after_a_newer_one() {
    const KEYS: usize = 4;
    let rows = HotRows::new(1 << 20);
    let keys: Vec<Bytes> = (0..KEYS).map(|n| Bytes::from(format!("key {n}"))).collect();
    let now: Mutex<u64> = Mutex::new(0);
    let answered = AtomicU64::new(0);
    let seen: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let (rows, keys, now, answered, seen, stop) =
                (&rows, &keys, &now, &answered, &seen, &stop);
            scope.spawn(move || {
                let mut at = reader;
                while !stop.load(Ordering::Relaxed) {
                    at = (at + 1) % KEYS;
                    let least = answered.load(Ordering::SeqCst);
                    let least = least.max(seen[at].load(Ordering::SeqCst));
                    let read = || Ok::<_, ()>(Some(value(*now.lock().unwrap())));
                    let found = number(rows.get(&keys[at], read).unwrap());
                    assert!(found >= least, "{found} after {least}");
                    seen[at].fetch_max(found, Ordering::SeqCst);
                }
            });
        }
        for n in 1..=20_000 {
            rows.change(&keys, || *now.lock().unwrap() = n);
            answered.store(n, Ordering::SeqCst);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(rows.hits_and_misses().0 > 0);
}

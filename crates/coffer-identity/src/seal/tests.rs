use coffer_base::rng::SeededRng;

use super::*;

fn seals(byte: u8) -> Seals {
    Seals::new(&SecretKey::new([byte; SECRET_KEY_BYTES]))
}

#[test]
fn what_is_sealed_opens_with_the_same_key_for_the_same_thing_only() {
    let rng = SeededRng::new(1);
    let seals_1 = seals(1);
    let sealed = seals_1.secrets().seal(&rng, "AKIA1", b"the secret");
    assert_eq!(seals_1.secrets().open("AKIA1", &sealed).as_deref(), Some(&b"the secret"[..]));
    assert_eq!(seals_1.secrets().open("AKIA2", &sealed), None, "another access key");
    assert_eq!(seals_1.tokens().open("AKIA1", &sealed), None, "another purpose");
    assert_eq!(seals(2).secrets().open("AKIA1", &sealed), None, "another store");
    assert!(!sealed.windows(6).any(|w| w == b"secret"));
    let again = seals_1.secrets().seal(&rng, "AKIA1", b"the secret");
    assert_ne!(sealed, again, "a nonce is used once");
}

#[test]
fn a_changed_bit_or_length_does_not_open() {
    let (rng, seals) = (SeededRng::new(1), seals(1));
    let sealed = seals.tokens().seal(&rng, "k", b"some text");
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(seals.tokens().open("k", &changed), None, "bit {bit}");
    }
    for len in 0..sealed.len() {
        assert_eq!(seals.tokens().open("k", &sealed[..len]), None, "{len} bytes");
    }
    let longer = [&sealed[..], &[0]].concat();
    assert_eq!(seals.tokens().open("k", &longer), None);
}

#[test]
fn a_key_reads_back_and_never_shows() {
    let key = SecretKey::random(&SeededRng::new(9));
    assert_eq!(SecretKey::parse(&format!(" {}\n", key.to_hex())), Some(key.clone()));
    assert_eq!(format!("{key:?}"), "SecretKey");
    for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32), &"0".repeat(66)] {
        assert_eq!(SecretKey::parse(bad), None, "{bad}");
    }
}

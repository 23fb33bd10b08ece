use coffer_base::rng::SeededRng;

use super::*;
use crate::seal::{SECRET_KEY_BYTES, Seals, SecretKey};

fn session() -> Session {
    Session {
        secret: "the secret of it".to_owned(),
        issued: Timestamp(1000),
        expires: Timestamp(2000),
        account: AccountId(123_456_789_012),
        subject: Subject::Role { id: "AROAX".to_owned(), session: "me".to_owned() },
        policies: Some((Some("{}".to_owned()), vec!["arn".to_owned()])),
        tags: vec![("a".to_owned(), "b".to_owned())],
        context: vec![("aws:k".to_owned(), "v".to_owned())],
    }
}

fn seals(byte: u8) -> Seals {
    Seals::new(&SecretKey::new([byte; SECRET_KEY_BYTES]))
}

#[test]
fn a_token_says_what_was_put_into_it_to_its_own_store_only() {
    let (rng, ours) = (SeededRng::new(1), seals(1));
    let variants = [
        session(),
        Session { policies: None, ..session() },
        Session {
            subject: Subject::User { id: "AIDA".to_owned(), access_key: "K".to_owned() },
            ..session()
        },
        Session { subject: Subject::Root { access_key: "K".to_owned() }, ..session() },
        Session {
            subject: Subject::Operator { access_key: "K".to_owned(), secret_mac: [7; 32] },
            ..session()
        },
    ];
    for session in variants {
        let token = session.seal(ours.tokens(), &rng, "ASIA1").unwrap();
        assert!(Session::open(ours.tokens(), "ASIA1", &token).unwrap() == session);
        let refused = |sealer: &Sealer, key: &str| Session::open(sealer, key, &token).err();
        assert_eq!(refused(ours.tokens(), "ASIA2"), Some(Error::InvalidToken));
        assert_eq!(refused(seals(2).tokens(), "ASIA1"), Some(Error::InvalidToken));
        assert_eq!(refused(ours.secrets(), "ASIA1"), Some(Error::InvalidToken));
    }
}

#[test]
fn no_changed_bit_and_no_cut_is_accepted() {
    let (rng, seals) = (SeededRng::new(1), seals(1));
    let token = session().seal(seals.tokens(), &rng, "ASIA1").unwrap();
    let bytes = BASE64_STANDARD.decode(&token).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let changed = BASE64_STANDARD.encode(changed);
        let opened = Session::open(seals.tokens(), "ASIA1", &changed);
        assert_eq!(opened.err(), Some(Error::InvalidToken), "bit {bit}");
    }
    for len in 0..bytes.len() {
        let cut = BASE64_STANDARD.encode(&bytes[..len]);
        assert_eq!(Session::open(seals.tokens(), "ASIA1", &cut).err(), Some(Error::InvalidToken));
    }
    for len in 0..token.len() {
        let opened = Session::open(seals.tokens(), "ASIA1", &token[..len]);
        assert_eq!(opened.err(), Some(Error::InvalidToken), "{len} characters");
    }
    for garbage in ["", "é", "====", "AQ==", &"A".repeat(TOKEN_CHARS_MAX + 4)] {
        assert!(Session::open(seals.tokens(), "ASIA1", garbage).is_err(), "{garbage:.20}");
    }
}

#[test]
fn what_is_inside_is_read_whole_or_not_at_all() {
    let (rng, seals) = (SeededRng::new(1), seals(1));
    let token = session().seal(seals.tokens(), &rng, "K").unwrap();
    let sealed = BASE64_STANDARD.decode(&token).unwrap();
    let text = seals.tokens().open(&bound_to("K"), &sealed[1..]).unwrap();
    assert!(Session::decode(&text).is_some());
    for len in 0..text.len() {
        assert!(Session::decode(&text[..len]).is_none(), "{len} bytes");
    }
    assert!(Session::decode(&[&text[..], &[0]].concat()).is_none());
}

#[test]
fn too_much_in_it_is_refused_when_it_is_made() {
    let (rng, seals) = (SeededRng::new(1), seals(1));
    let large = Session { tags: vec![("a".to_owned(), "x".repeat(10_000))], ..session() };
    let refused = large.seal(seals.tokens(), &rng, "K");
    assert!(matches!(refused, Err(Error::PackedPolicyTooLarge(_))));
}

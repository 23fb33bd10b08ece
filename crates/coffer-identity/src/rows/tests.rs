//! Golden bytes: what is on the drives of people. A change of any of these is a change of the
//! format, and needs a new version and the page `docs/formats/identity-records.md`.

use std::fmt::Debug;

use coffer_base::Rng;
use coffer_base::rng::SeededRng;

use super::entity::{Detail, EntityRow, VersionRow};
use super::keys::{self, Parsed, Use};
use super::*;
use crate::carry::{self, OldAccessKey, OldKey, OldPolicy, OldUser};
use crate::ids::Kind;

/// The row has these bytes; they read back as the row; no cut of them is a row, nor are they
/// with a byte more, in another version, or as garbage; nothing panics.
fn golden<T: Row + PartialEq>(row: &T, expected: &str) {
    let encoded = row.encode();
    assert_eq!(hex::encode(&encoded), expected.replace([' ', '\n'], ""), "{}", T::NAME);
    assert!(T::decode(&encoded).as_ref() == Some(row));
    for cut in 0..encoded.len() {
        assert!(T::decode(&encoded[..cut]).is_none(), "{} cut at {cut}", T::NAME);
    }
    let longer = [&encoded[..], &[0]].concat();
    assert!(T::decode(&longer).is_none(), "{} with a byte more", T::NAME);
    let newer = [&[T::VERSION + 1], &encoded[1..]].concat();
    assert!(T::decode(&newer).is_none(), "{} of another version", T::NAME);
    let rng = SeededRng::new(encoded.len() as u64);
    for _ in 0..2000 {
        let mut garbled = encoded.clone();
        for _ in 0..=rng.below(3) {
            let at = rng.below(garbled.len() as u64) as usize;
            garbled[at] = rng.next_u64() as u8;
        }
        // It may be a row, as any flipped digit of a date is; then it encodes to itself.
        if let Some(other) = T::decode(&garbled) {
            assert!(T::decode(&other.encode()) == Some(other));
        }
    }
}

fn entity(detail: Detail) -> EntityRow {
    EntityRow {
        account: AccountId(258),
        id: "ID".to_owned(),
        name: "me".to_owned(),
        path: "/".to_owned(),
        created: Timestamp(1),
        tags: vec![("k".to_owned(), "v".to_owned())],
        inline: vec![("p".to_owned(), "{}".to_owned())],
        attached: vec!["arn".to_owned()],
        boundary: Some("b".to_owned()),
        detail,
    }
}

#[test]
fn rows_of_now() {
    golden(&SealingRow { check: vec![1, 2] }, "01 020102");
    golden(
        &AccountRow {
            name: "t".to_owned(),
            owner_id: "id".to_owned(),
            created: Timestamp(1),
            access_keys: vec!["AK".to_owned()],
            counts: [1, 2, 3, 4, 300],
        },
        "01 0174 026964 01 01 02414b 01 02 03 04 ac02",
    );
    golden(&PointerRow("ID".to_owned()), "01 024944");
    golden(
        &AccessKeyRow {
            account: AccountId(258),
            user: Some("ID".to_owned()),
            secret: vec![9, 8],
            created: Timestamp(1),
            active: true,
        },
        "01 0201000000000000 01 024944 020908 01 01",
    );
    golden(
        &AccessKeyRow {
            account: AccountId(258),
            user: None,
            secret: vec![9],
            created: Timestamp(1),
            active: false,
        },
        "01 0201000000000000 00 0109 01 00",
    );
    golden(
        &LastUseRow { at: Timestamp(1), service: "s3".to_owned(), region: "r".to_owned() },
        "01 01 027333 0172",
    );
    assert_eq!(HERE, [1]);
}

#[test]
fn entities_of_each_kind() {
    let common = "0201000000000000 024944 026d65 012f 01 01 016b 0176 01 0170 027b7d 01 0361726e \
                  01 0162";
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let user = Detail::User { enabled: true, groups: texts(&["G"]), access_keys: texts(&["AK"]) };
    golden(&entity(user), &format!("01 75 {common} 01 01 0147 01 02414b"));
    golden(&entity(Detail::Group), &format!("01 67 {common}"));
    let role = Detail::Role {
        description: "d".to_owned(),
        trust: "{}".to_owned(),
        session_secs_max: 3600,
    };
    golden(&entity(role), &format!("01 72 {common} 0164 027b7d 901c"));
    let versions = vec![VersionRow { number: 2, document: "{}".to_owned(), created: Timestamp(1) }];
    let policy = Detail::Policy {
        description: "d".to_owned(),
        versions: versions.clone(),
        default: 2,
        next: 3,
        updated: Timestamp(1),
    };
    golden(&entity(policy), &format!("01 70 {common} 0164 01 02 027b7d 01 02 03 01"));
    let provider = Detail::Provider { client_ids: texts(&["c"]), thumbprints: texts(&["t"]) };
    golden(&entity(provider), &format!("01 6f {common} 01 0163 01 0174"));
    let without_default = Detail::Policy {
        description: String::new(),
        versions,
        default: 1,
        next: 3,
        updated: Timestamp(1),
    };
    assert!(EntityRow::decode(&entity(without_default).encode()).is_none());
}

#[test]
fn rows_of_older_stores() {
    golden(
        &OldUser {
            created: Timestamp(1),
            enabled: true,
            owner_id: "id".to_owned(),
            access_keys: vec!["AK".to_owned()],
            policies: vec![
                OldPolicy::Canned("readonly".to_owned()),
                OldPolicy::Json("{}".to_owned()),
            ],
        },
        "01 01 01 026964 01 02414b 02 0008726561646f6e6c79 01027b7d",
    );
    golden(
        &OldAccessKey { user: "me".to_owned(), secret: "s3cret".to_owned(), created: Timestamp(1) },
        "01 026d65 06733363726574 01",
    );
}

/// The key has these bytes, and is taken apart again; no cut of it is a key.
fn golden_key<T: PartialEq + Debug>(
    key: &[u8],
    expected: &str,
    parsed: &T,
    parse: impl Fn(&[u8]) -> Option<T>,
) {
    assert_eq!(hex::encode(key), expected.replace(' ', ""), "{parsed:?}");
    assert_eq!(parse(key).as_ref(), Some(parsed));
    for cut in 0..key.len() {
        assert_eq!(parse(&key[..cut]), None, "a key cut at {cut}");
    }
    assert_eq!(parse(&[key, &[0]].concat()), None);
}

#[test]
fn keys_of_rows() {
    let account = AccountId(258);
    let text = str::to_owned;
    for (key, expected, parsed) in [
        (keys::sealing(), "41 73", Parsed::Sealing),
        (keys::account(account), "41 61 0000000000000102", Parsed::Account(account)),
        (keys::owner("id"), "41 6f 6964 0001", Parsed::Owner(text("id"))),
        (
            keys::name(account, Kind::User, "Me"),
            "41 6e 0000000000000102 75 6d65 0001",
            Parsed::Name(account, Kind::User, text("me")),
        ),
        (keys::entity("ID"), "41 65 4944 0001", Parsed::Entity(text("ID"))),
        (keys::access_key("AK"), "41 6b 414b 0001", Parsed::AccessKey(text("AK"))),
        (keys::last_use("AK"), "41 6c 414b 0001", Parsed::LastUse(text("AK"))),
        (
            keys::member("G", "U"),
            "41 6d 47 0001 55 0001",
            Parsed::Member { group: text("G"), user: text("U") },
        ),
        (
            keys::used_by(account, "arn", Use::Boundary, "U"),
            "41 74 0000000000000102 61726e 0001 62 55 0001",
            Parsed::UsedBy { account, policy: text("arn"), how: Use::Boundary, entity: text("U") },
        ),
    ] {
        golden_key(&key, expected, &parsed, keys::parse);
    }
    let (me, key) = (OldKey::User(text("me")), OldKey::AccessKey(text("AK")));
    golden_key(&carry::user_key("me"), "49 6d65 0001", &me, carry::parse);
    golden_key(&carry::access_key_key("AK"), "4b 414b 0001", &key, carry::parse);
    assert_eq!(keys::parse(b"A"), None);
    assert_eq!(keys::parse(b"Zebra"), None);
}

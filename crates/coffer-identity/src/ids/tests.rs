use coffer_base::rng::SeededRng;

use super::*;

#[test]
fn account_numbers_have_twelve_digits_and_read_back() {
    let rng = SeededRng::new(3);
    for _ in 0..200 {
        let account = AccountId::random(&rng);
        let text = account.to_string();
        assert_eq!((text.len(), AccountId::parse(&text)), (12, Some(account)));
        assert!(!text.starts_with('0'), "{text}");
    }
    assert_eq!(AccountId::derived("a"), AccountId::derived("a"));
    assert_ne!(AccountId::derived("a"), AccountId::derived("b"));
    for bad in ["", "12345678901", "1234567890123", "12345678901x", "+12345678901"] {
        assert_eq!(AccountId::parse(bad), None, "{bad}");
    }
    assert_eq!(AccountId::parse("000000000001").unwrap().to_string(), "000000000001");
}

#[test]
fn arns_are_taken_apart_as_they_were_made() {
    let account = AccountId::parse("123456789012").unwrap();
    for kind in [Kind::User, Kind::Group, Kind::Role, Kind::Policy] {
        for path in ["/", "/a/", "/a/b/"] {
            let arn = arn(account, kind, path, "n-1");
            assert_eq!(parse_arn(&arn), Some((Some(account), kind, path, "n-1")), "{arn}");
        }
    }
    let provider = "arn:aws:iam::123456789012:oidc-provider/host/realms/x";
    let expected = (Some(account), Kind::Provider, "/", "host/realms/x");
    assert_eq!(parse_arn(provider), Some(expected));
    let aws = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    assert_eq!(parse_arn(aws), Some((None, Kind::Policy, "/", "ReadOnlyAccess")));
    for bad in [
        "",
        "arn",
        "arn:aws:iam::1:user/a",
        "arn:aws:iam::123456789012:root",
        "arn:aws:iam::123456789012:user/",
        "arn:aws:iam::123456789012:horse/a",
        "arn:aws:s3:::bucket/key",
        "arn:aws:iam::123456789012",
        "arn:aws:iam::é:user/é",
    ] {
        assert_eq!(parse_arn(bad), None, "{bad}");
    }
}

#[test]
fn random_names_have_their_shape_and_differ() {
    let rng = SeededRng::new(5);
    let id = random_id(&rng, Kind::Role);
    assert!(id.starts_with("AROA") && id.len() == 21, "{id}");
    assert_ne!(random_id(&rng, Kind::Role), id);
    let key = random_access_key(&rng);
    assert!(key.starts_with("AKIA") && key.len() == 20, "{key}");
    assert_eq!(random_session_key(&rng).len(), 20);
    assert_eq!(random_secret(&rng).len(), 40);
    assert_eq!(fixed_id(Kind::Policy, "x"), fixed_id(Kind::Policy, "x"));
}

use coffer_base::rng::SeededRng;

use super::*;

#[test]
fn drawn_keys_are_acceptable_and_differ() {
    let rng = SeededRng::new(7);
    let (a, b) = (random_access_key(&rng), random_access_key(&rng));
    assert_ne!(a, b);
    assert_eq!(a.len(), 20);
    check_access_key(&a).unwrap();
    let secret = random_secret(&rng);
    assert_eq!(secret.len(), 40);
    check_secret(&secret).unwrap();
}

#[test]
fn odd_names_keys_and_secrets_are_refused() {
    for name in ["", "root", "a b", "ä", "a/b", &"a".repeat(65)] {
        assert!(check_name(name).is_err(), "{name:?}");
    }
    for name in ["a", "a.b@c", "x_+=,-"] {
        check_name(name).unwrap();
    }
    for key in ["", "ab", "a b c", "a/b", &"A".repeat(129)] {
        assert!(check_access_key(key).is_err(), "{key:?}");
    }
    for secret in ["", "short", "with space", "tab\tinside", &"s".repeat(129)] {
        assert!(check_secret(secret).is_err(), "{secret:?}");
    }
}

#[test]
fn what_was_looked_up_before_a_change_is_not_kept_after_it() {
    let cache = PrincipalCache::default();
    let credential = |secret: &str| Credential {
        secret: secret.to_owned(),
        principal: Arc::new(Principal::root("111122223333", "owner")),
        enabled: true,
    };
    let Err(before) = cache.get("key") else { panic!("it is empty") };
    cache.forget_all();
    cache.keep("key", credential("old"), before);
    let Err(now) = cache.get("key") else { panic!("a stale credential was kept") };
    cache.keep("key", credential("new"), now);
    assert_eq!(cache.get("key").unwrap().secret, "new");
    cache.forget_all();
    assert!(cache.get("key").is_err());
}

use coffer_base::Timestamp;

use super::*;

fn facts(name: &str, restrict_public_buckets: bool, policy: &str) -> Arc<BucketFacts> {
    let bucket = Bucket {
        versioning: Default::default(),
        name: name.to_owned(),
        id: BucketId(1),
        owner: "owner".to_owned(),
        account: "111122223333".to_owned(),
        region: String::new(),
        created: Timestamp(0),
        ack: None,
    };
    let block = PublicAccessBlock { restrict_public_buckets, ..PublicAccessBlock::default() };
    let policy = Policy::parse(policy, Kind::Resource).unwrap();
    Arc::new(BucketFacts::new(bucket, Some(policy.into()), Some(block)))
}

const PUBLIC: &str = r#"{"Statement": {"Effect": "Allow", "Principal": "*",
    "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}}"#;

#[test]
fn what_was_looked_up_before_a_change_is_not_kept_after_it() {
    let cache = FactsCache::default();
    let Err(before) = cache.get("b") else { panic!("it is empty") };
    cache.forget("b");
    cache.keep("b", facts("b", false, PUBLIC), PUBLIC.len(), before);
    let Err(now) = cache.get("b") else { panic!("stale facts were kept") };
    cache.keep("b", facts("b", true, PUBLIC), PUBLIC.len(), now);
    assert!(cache.get("b").unwrap().is_restricted());
    cache.forget("b");
    assert!(cache.get("b").is_err());
}

#[test]
fn a_change_of_one_bucket_leaves_the_others() {
    let cache = FactsCache::default();
    let keep = |name: &str| {
        let Err(now) = cache.get(name) else { panic!("{name} is kept already") };
        cache.keep(name, facts(name, false, PUBLIC), PUBLIC.len(), now);
    };
    keep("a");
    keep("b");
    cache.forget("b");
    assert!(cache.get("a").is_ok() && cache.get("b").is_err());
    // Also one that was asked for when the other changed is looked up anew.
    let Err(before) = cache.get("b") else { panic!("b was forgotten") };
    cache.forget("a");
    cache.keep("b", facts("b", false, PUBLIC), PUBLIC.len(), before);
    assert!(cache.get("a").is_err() && cache.get("b").is_err());
    assert_eq!(cache.0.read().unwrap().policy_bytes, 0);
}

#[test]
fn the_cache_has_a_bound_in_bytes_and_in_entries() {
    let cache = FactsCache::default();
    let kept = facts("b", false, PUBLIC);
    let third = CACHED_POLICY_BYTES_MAX / 3;
    for name in ["a", "b", "c"] {
        cache.keep(name, kept.clone(), third, 0);
        cache.keep(name, kept.clone(), third, 0);
    }
    assert!(["a", "b", "c"].iter().all(|name| cache.get(name).is_ok()), "each counts once");
    cache.keep("d", kept.clone(), third, 0);
    assert!(cache.get("a").is_err() && cache.get("d").is_ok());
    assert_eq!(cache.0.read().unwrap().policy_bytes, third);
    for i in 0..2 * CACHED_MAX {
        cache.keep(&i.to_string(), kept.clone(), 0, 0);
        assert!(cache.0.read().unwrap().by_name.len() <= CACHED_MAX);
    }
}

#[test]
fn only_a_public_policy_is_restricted() {
    let private = PUBLIC.replace("\"*\"", r#"{"AWS": "111122223333"}"#);
    assert!(facts("b", true, PUBLIC).is_restricted());
    assert!(!facts("b", false, PUBLIC).is_restricted());
    assert!(!facts("b", true, &private).is_restricted());
}

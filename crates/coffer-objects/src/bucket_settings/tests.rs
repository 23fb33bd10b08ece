use coffer_base::Timestamp;

use super::*;

fn facts(name: &str, restrict_public_buckets: bool, policy: &str) -> Arc<BucketFacts> {
    let bucket = Bucket {
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
    Arc::new(BucketFacts { bucket, policy: Some(policy.into()), access_block: Some(block) })
}

const PUBLIC: &str = r#"{"Statement": {"Effect": "Allow", "Principal": "*",
    "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}}"#;

#[test]
fn what_was_looked_up_before_a_change_is_not_kept_after_it() {
    let cache = FactsCache::default();
    let Err(before) = cache.get("b") else { panic!("it is empty") };
    cache.forget_all();
    cache.keep("b", facts("b", false, PUBLIC), before);
    let Err(now) = cache.get("b") else { panic!("stale facts were kept") };
    cache.keep("b", facts("b", true, PUBLIC), now);
    assert!(cache.get("b").unwrap().is_restricted());
    cache.forget_all();
    assert!(cache.get("b").is_err());
}

#[test]
fn only_a_public_policy_is_restricted() {
    let private = PUBLIC.replace("\"*\"", r#"{"AWS": "111122223333"}"#);
    assert!(facts("b", true, PUBLIC).is_restricted());
    assert!(!facts("b", false, PUBLIC).is_restricted());
    assert!(!facts("b", true, &private).is_restricted());
}

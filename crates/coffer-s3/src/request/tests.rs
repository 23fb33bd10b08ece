use coffer_base::BucketId;
use coffer_iam::Kind;
use coffer_objects::Bucket;

use super::*;
use crate::ops::tests::with;

/// Facts of a bucket of another account, whose policy lets in everyone.
fn facts() -> BucketFacts {
    let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*",
        "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"}]}"#;
    let bucket = Bucket {
        versioning: Default::default(),
        name: "bucket".to_owned(),
        id: BucketId(7),
        owner: "its-owner".to_owned(),
        account: "444455556666".to_owned(),
        region: "here".to_owned(),
        created: Timestamp(0),
        ack: None,
    };
    let policy = Policy::parse(policy, Kind::Resource).unwrap();
    BucketFacts::new(bucket, Some(Arc::new(policy)), None)
}

/// Nothing was checked before: a bucket that was replaced since by another account's is refused.
#[test]
fn the_expected_owner_is_that_of_the_bucket_that_the_grant_is_for() {
    let facts = facts();
    let resource = Resource::addressed(Some("bucket"), Some("key"));
    for name in [BUCKET_OWNER, SOURCE_OWNER] {
        let grant = |said: &str| {
            let head = with(&[(name, said)]);
            let ask = Ask::new(Action::PutObject, &resource);
            head.grant_in(Some((&facts, "444455556666")), &ask, Some(name))
        };
        for said in ["444455556666", "its-owner"] {
            assert_eq!(grant(said).unwrap().bucket_id(), Some(7), "{said}");
        }
        for said in ["111122223333", "0123abcd", "", "somebody"] {
            assert_eq!(grant(said).unwrap_err().code, Code::AccessDenied, "{said}");
        }
    }
}

//! Policies and public access blocks of buckets, and accounts of their own buckets, through the
//! store.

use coffer_base::Ack;
use coffer_iam::{Action, Ask, Grant, Principal, Resource, authorize};
use coffer_objects::{CreateBucket, Error, ListBuckets, PublicAccessBlock, Put};

use crate::store::{Store, on_bucket, refused, run};

const PRIVATE: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow",
    "Principal": {"AWS": "111122223333"}, "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::bkt/*"}}"#;
const PUBLIC: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow",
    "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bkt/*"}}"#;

#[test]
fn policies_come_and_go_and_the_block_holds_public_ones_back() {
    let mut store = Store::new();
    let (put, get) = (Action::PutBucketPolicy, Action::GetBucketPolicy);
    let status = Action::GetBucketPolicyStatus;
    run(async {
        let objects = &store.objects;
        assert!(objects.bucket_facts("none").unwrap().is_none());
        let facts = objects.bucket_facts("bkt").unwrap().unwrap();
        assert_eq!(facts.bucket.account, "111122223333");
        assert!(facts.policy.is_none() && facts.access_block.is_none());
        let none = Error::NoSuchBucketPolicy;
        assert_eq!(refused(objects.bucket_policy(&on_bucket(get, "bkt")).await), none);
        assert_eq!(refused(objects.bucket_policy_is_public(&on_bucket(status, "bkt")).await), none);

        objects.put_bucket_policy(&on_bucket(put, "bkt"), PUBLIC).await.unwrap();
        assert!(objects.bucket_facts("bkt").unwrap().unwrap().is_public(), "it shows at once");
        assert_eq!(objects.bucket_policy(&on_bucket(get, "bkt")).await.unwrap(), PUBLIC);
        assert!(objects.bucket_policy_is_public(&on_bucket(status, "bkt")).await.unwrap());

        let block = PublicAccessBlock {
            block_public_policy: true,
            restrict_public_buckets: true,
            ..PublicAccessBlock::default()
        };
        let set = on_bucket(Action::PutBucketPublicAccessBlock, "bkt");
        let read = on_bucket(Action::GetBucketPublicAccessBlock, "bkt");
        assert_eq!(
            refused(objects.public_access_block(&read).await),
            Error::NoSuchPublicAccessBlock
        );
        objects.set_public_access_block(&set, Some(block)).await.unwrap();
        assert_eq!(objects.public_access_block(&read).await.unwrap(), block);
        assert!(objects.bucket_facts("bkt").unwrap().unwrap().is_restricted());
        let blocked = objects.put_bucket_policy(&on_bucket(put, "bkt"), PUBLIC).await;
        assert_eq!(refused(blocked), Error::PublicPolicyBlocked);
        objects.put_bucket_policy(&on_bucket(put, "bkt"), PRIVATE).await.unwrap();
        assert!(!objects.bucket_facts("bkt").unwrap().unwrap().is_restricted());

        for wrong in ["", "{", "{}", &PRIVATE.replace("bkt", "other"), &"x".repeat(30_000)] {
            let error = refused(objects.put_bucket_policy(&on_bucket(put, "bkt"), wrong).await);
            assert!(matches!(error, Error::MalformedPolicy(_)), "{wrong:.40}: {error:?}");
        }
    });
    store.check();
    store.reopen(true);
    run(async {
        let objects = &store.objects;
        let facts = objects.bucket_facts("bkt").unwrap().unwrap();
        assert_eq!(facts.policy.as_ref().unwrap().to_json(), PRIVATE);
        assert!(facts.access_block.unwrap().block_public_policy);
        objects.delete_bucket_policy(&on_bucket(Action::DeleteBucketPolicy, "bkt")).await.unwrap();
        let set = on_bucket(Action::PutBucketPublicAccessBlock, "bkt");
        objects.set_public_access_block(&set, None).await.unwrap();
        let facts = objects.bucket_facts("bkt").unwrap().unwrap();
        assert!(facts.policy.is_none() && facts.access_block.is_none());

        // What is set on a bucket goes with it.
        objects.put_bucket_policy(&on_bucket(put, "bkt"), PUBLIC).await.unwrap();
        objects.delete_bucket(&on_bucket(Action::DeleteBucket, "bkt")).await.unwrap();
        assert!(objects.bucket_facts("bkt").unwrap().is_none());
    });
    store.check();
}

#[test]
fn a_change_whose_caller_went_away_counts_too() {
    let store = Store::new();
    let objects = &store.objects;
    let facts = || objects.bucket_facts("bkt").unwrap();
    // Asks for the change, goes away before it is made, and looks once more before that.
    let abandon = |change: std::pin::Pin<Box<dyn Future<Output = ()> + '_>>| {
        let (mut change, before) = (change, facts());
        objects.catalog().gather();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(change.as_mut().poll(&mut context).is_pending());
        drop(change);
        assert_eq!(facts().is_some(), before.is_some(), "it is kept again");
        assert_eq!(objects.catalog().run_gathered(), 1);
    };
    let change = |action: Action| on_bucket(action, "bkt");
    let put = change(Action::PutBucketPolicy);
    abandon(Box::pin(async { objects.put_bucket_policy(&put, PUBLIC).await.unwrap() }));
    assert!(facts().unwrap().is_public());
    let restricted =
        PublicAccessBlock { restrict_public_buckets: true, ..PublicAccessBlock::default() };
    let set = change(Action::PutBucketPublicAccessBlock);
    abandon(Box::pin(async {
        objects.set_public_access_block(&set, Some(restricted)).await.unwrap();
    }));
    assert!(facts().unwrap().is_restricted());
    let delete = change(Action::DeleteBucketPolicy);
    abandon(Box::pin(async { objects.delete_bucket_policy(&delete).await.unwrap() }));
    assert!(facts().unwrap().policy.is_none());
    let set = change(Action::PutBucketAck);
    abandon(Box::pin(async { objects.set_bucket_ack(&set, Ack::Primary).await.unwrap() }));
    assert_eq!(facts().unwrap().bucket.ack, Some(Ack::Primary));
    let delete = change(Action::DeleteBucket);
    abandon(Box::pin(async { objects.delete_bucket(&delete).await.unwrap() }));
    assert!(facts().is_none());
    store.check();
}

#[test]
fn a_grant_is_for_the_very_bucket_that_was_looked_at() {
    let store = Store::new();
    run(async {
        let objects = &store.objects;
        let create = on_bucket(Action::CreateBucket, "bkt");
        let first = objects.bucket_facts("bkt").unwrap().unwrap().bucket.id;
        let root = Principal::root("111122223333", "root-id");
        let bound = |action: Action, resource: &Resource| -> Grant {
            let ask = Ask { bucket_id: Some(first.0), ..Ask::new(action, resource) };
            authorize(&root, &ask).unwrap()
        };
        let key = Resource::object("bkt", "k");
        let bucket = Resource::bucket("bkt");
        let write = bound(Action::PutObject, &key);
        objects.put(&write, Put::default()).await.unwrap().finish(None).await.unwrap();
        objects.delete(&bound(Action::DeleteObject, &key)).await.unwrap();

        objects.delete_bucket(&bound(Action::DeleteBucket, &bucket)).await.unwrap();
        objects.create_bucket(&create, CreateBucket::default()).await.unwrap();
        let gone = Error::NoSuchBucket;
        assert_eq!(refused(objects.put(&write, Put::default()).await.map(|_| ())), gone);
        assert_eq!(
            refused(objects.delete_bucket(&bound(Action::DeleteBucket, &bucket)).await),
            gone
        );
        let set = bound(Action::PutBucketPolicy, &bucket);
        assert_eq!(refused(objects.put_bucket_policy(&set, PUBLIC).await), gone);
        let listed = objects.bucket(&bound(Action::ListBucket, &bucket)).await;
        assert_eq!(refused(listed), gone);
        for result in objects.delete_many(vec![bound(Action::DeleteObject, &key)]).await {
            assert_eq!(refused(result), gone);
        }
    });
}

#[test]
fn an_account_lists_its_own_buckets() {
    let store = Store::new();
    run(async {
        let objects = &store.objects;
        let grant = |account: &str, action: Action, resource: &Resource| {
            let root = Principal::root(account, format!("owner-{account}"));
            authorize(&root, &Ask::new(action, resource)).unwrap()
        };
        let accounts = ["111122223333", "444455556666"];
        for (i, name) in ["aaa", "bbb", "ccc", "ddd", "eee"].into_iter().enumerate() {
            let create = grant(accounts[i % 2], Action::CreateBucket, &Resource::bucket(name));
            objects.create_bucket(&create, CreateBucket::default()).await.unwrap();
        }
        for (account, expected) in
            [(accounts[0], vec!["aaa", "ccc", "eee"]), (accounts[1], vec!["bbb", "ddd"])]
        {
            let list = grant(account, Action::ListAllMyBuckets, &Resource::store());
            let (mut names, mut after) = (Vec::new(), None);
            loop {
                let query = ListBuckets { after, max: 1, ..ListBuckets::default() };
                let page = objects.list_buckets(&list, query).await.unwrap();
                names.extend(page.buckets.into_iter().map(|bucket| bucket.name));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(names, expected);
        }
        let other = grant(accounts[1], Action::CreateBucket, &Resource::bucket("aaa"));
        let taken = objects.create_bucket(&other, CreateBucket::default()).await;
        assert_eq!(refused(taken), Error::BucketExists { owned_by_caller: false });
    });
}

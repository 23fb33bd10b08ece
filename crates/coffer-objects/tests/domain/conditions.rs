//! Conditions, as requests carry them.

use coffer_base::Timestamp;
use coffer_iam::Action;
use coffer_objects::{Error, EtagList, Get, Put, ReadConditions, WriteCondition};

use crate::store::{Store, on, refused, run};

fn only_if_absent() -> Put {
    let condition = WriteCondition { if_none_match_any: true, if_match: None };
    Put { condition, ..Put::default() }
}

fn only_if(etag: &str) -> Put {
    let condition = WriteCondition { if_none_match_any: false, if_match: Some(etag.to_owned()) };
    Put { condition, ..Put::default() }
}

#[test]
fn writes_happen_only_on_their_condition() {
    let store = Store::new();
    run(async {
        assert_eq!(refused(store.put_with("k", b"1", only_if("x"), None).await), Error::NoSuchKey);
        let first = store.put_with("k", b"1", only_if_absent(), None).await.unwrap();
        let error = refused(store.put_with("k", b"2", only_if_absent(), None).await);
        assert_eq!(error, Error::PreconditionFailed { condition: "If-None-Match" });
        let second = store.put_with("k", b"2", only_if(&first.etag), None).await.unwrap();
        let error = refused(store.put_with("k", b"3", only_if(&first.etag), None).await);
        assert_eq!(error, Error::PreconditionFailed { condition: "If-Match" });
        assert_eq!(store.get("k").await.unwrap(), b"2");
        store.put_with("k", b"3", only_if(&format!("\"{}\"", second.etag)), None).await.unwrap();
    });
    store.check();
}

#[test]
fn deletes_happen_only_on_their_condition() {
    let store = Store::new();
    let delete_if = |etag: &str| {
        let grant = on(Action::DeleteObject, "k");
        let condition = only_if(etag).condition;
        let objects = store.objects.clone();
        async move { objects.delete_if(&grant, condition).await }
    };
    run(async {
        for size in [0usize, 10, 40 << 10] {
            for etag in ["x", "*"] {
                assert_eq!(refused(delete_if(etag).await), Error::NoSuchKey);
            }
            let first = store.put("k", &vec![1; size]).await.unwrap();
            let error = refused(delete_if("x").await);
            assert_eq!(error, Error::PreconditionFailed { condition: "If-Match" });
            assert_eq!(store.get("k").await.unwrap(), vec![1; size]);
            delete_if(&first.etag).await.unwrap();
            assert_eq!(refused(store.get("k").await), Error::NoSuchKey);
            // What has been replaced since is not deleted.
            store.put("k", &vec![1; size]).await.unwrap();
            store.put("k", b"another").await.unwrap();
            refused(delete_if(&first.etag).await);
            delete_if("*").await.unwrap();
            assert_eq!(store.live_bytes(), 0);
        }
    });
    store.check();
}

/// Both writers looked when there was no object; the commit decides, and one of them wins.
#[test]
fn of_two_writers_that_may_only_create_one_wins() {
    let store = Store::new();
    run(async {
        for size in [1usize, 20 << 10] {
            let key = format!("k{size}");
            let grant = on(Action::PutObject, &key);
            let mut a = store.objects.put(&grant, only_if_absent()).await.unwrap();
            let mut b = store.objects.put(&grant, only_if_absent()).await.unwrap();
            a.write(vec![b'a'; size].into()).await.unwrap();
            b.write(vec![b'b'; size].into()).await.unwrap();
            b.finish(None).await.unwrap();
            let error = refused(a.finish(None).await);
            assert_eq!(error, Error::PreconditionFailed { condition: "If-None-Match" });
            assert_eq!(store.get(&key).await.unwrap(), vec![b'b'; size]);
        }
    });
    store.check();
}

#[test]
fn reads_happen_only_on_their_condition() {
    let store = Store::new();
    run(async {
        let info = store.put("k", b"body").await.unwrap();
        let get = |conditions| Get { conditions, ..Get::default() };
        let current = Some(EtagList::Tags(vec![info.etag.clone()]));
        let not_modified =
            get(ReadConditions { if_none_match: current.clone(), ..ReadConditions::default() });
        match refused(store.get_with("k", not_modified.clone()).await) {
            Error::NotModified(held) => assert_eq!(*held, info),
            other => panic!("{other:?}"),
        }
        let head = store.objects.head(&on(Action::GetObject, "k"), not_modified).await;
        assert!(matches!(head, Err(Error::NotModified(_))));
        let modified = get(ReadConditions { if_match: current, ..ReadConditions::default() });
        store.get_with("k", modified).await.unwrap();
        let stale = get(ReadConditions {
            if_unmodified_since: Some(Timestamp(info.modified.0 - 1000)),
            ..ReadConditions::default()
        });
        let error = refused(store.get_with("k", stale).await);
        assert_eq!(error, Error::PreconditionFailed { condition: "If-Unmodified-Since" });
    });
}

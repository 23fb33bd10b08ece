//! Copying: what is shared, what is not, and when the shared goes.

use coffer_iam::{Action, Resource};
use coffer_objects::digest::{checksum, hex, md5};
use coffer_objects::{
    ChecksumAlgorithm, Copy, Error, EtagList, Get, ObjectInfo, Put, ReadConditions, Result,
    WriteCondition,
};

use crate::store::{Store, bytes, content_type, grant, on, refused, run};

async fn copy(store: &Store, from: &str, to: &str, request: Copy) -> Result<ObjectInfo> {
    let (read, write) = (on(Action::GetObject, from), on(Action::PutObject, to));
    store.objects.copy(&read, &write, request).await.map(|copied| copied.info)
}

#[test]
fn a_copy_has_the_bytes_and_headers_and_an_id_of_its_own() {
    let store = Store::new();
    run(async {
        for size in [0usize, 100, 40 << 10] {
            let body = bytes(1, size);
            let put = Put { headers: content_type("a/b"), ..Put::default() };
            let source = store.put_with("from", &body, put, None).await.unwrap();
            let copied = copy(&store, "from", "to", Copy::default()).await.unwrap();
            assert_ne!(copied.object_id, source.object_id);
            assert_eq!(copied.headers, content_type("a/b"));
            assert_eq!(
                (copied.etag.as_str(), &copied.checksum),
                (source.etag.as_str(), &source.checksum)
            );
            let (got, info) = store.get_with("to", Get::default()).await.unwrap();
            assert!(got == body);
            assert_eq!(info, copied);
            // Other headers, and another checksum, which has to be computed.
            let request = Copy {
                headers: Some(content_type("c/d")),
                checksum_algorithm: Some(ChecksumAlgorithm::Sha1),
                ..Copy::default()
            };
            let copied = copy(&store, "from", "to", request).await.unwrap();
            assert_eq!(copied.headers, content_type("c/d"));
            assert_eq!(copied.checksum, Some(checksum(ChecksumAlgorithm::Sha1, &body)));
            assert_eq!(copied.etag, hex(&md5(&body)));
            store.check();
        }
    });
}

#[test]
fn a_blob_lives_until_its_last_owner_goes() {
    let store = Store::new();
    let body = bytes(2, 50 << 10);
    run(async {
        store.put("a", &body).await.unwrap();
        copy(&store, "a", "b", Copy::default()).await.unwrap();
        copy(&store, "b", "c", Copy::default()).await.unwrap();
        assert_eq!((store.rows(b'M'), store.rows(b'R')), (1, 3));
        assert_eq!(store.live_bytes(), 50 << 10, "the bytes are shared");
        // The one that brought it goes first, by an overwrite; then one by a delete.
        store.put("a", b"x").await.unwrap();
        store.check();
        store.delete("b").await.unwrap();
        assert!(store.get("c").await.unwrap() == body);
        assert_eq!((store.rows(b'M'), store.rows(b'R')), (1, 1));
        store.check();
        store.delete("c").await.unwrap();
        assert_eq!((store.rows(b'M'), store.rows(b'R')), (0, 0));
        assert_eq!(store.live_bytes(), 1);
    });
    store.check();
}

#[test]
fn copying_onto_itself_needs_new_headers() {
    let store = Store::new();
    run(async {
        for size in [10usize, 40 << 10] {
            let body = bytes(3, size);
            store.put("k", &body).await.unwrap();
            let error = refused(copy(&store, "k", "k", Copy::default()).await);
            assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
            for _ in 0..2 {
                let request = Copy { headers: Some(content_type("x/y")), ..Copy::default() };
                copy(&store, "k", "k", request).await.unwrap();
                let (got, info) = store.get_with("k", Get::default()).await.unwrap();
                assert!(got == body);
                assert_eq!(info.headers, content_type("x/y"));
                assert_eq!(store.live_bytes(), size as i64);
                store.check();
            }
        }
        // Over another copy of the same blob.
        copy(&store, "k", "l", Copy::default()).await.unwrap();
        copy(&store, "k", "l", Copy::default()).await.unwrap();
        copy(&store, "l", "k", Copy::default()).await.unwrap();
        assert_eq!((store.rows(b'M'), store.rows(b'R')), (1, 2));
    });
    store.check();
}

#[test]
fn copies_between_buckets_and_on_conditions() {
    let store = Store::new();
    run(async {
        store.create_bucket("other").await;
        let info = store.put("k", &bytes(4, 40 << 10)).await.unwrap();
        let read = on(Action::GetObject, "k");
        let write = grant(Action::PutObject, Resource::object("other", "k"));
        let absent = WriteCondition { if_none_match_any: true, if_match: None };
        let request = Copy { condition: absent, ..Copy::default() };
        store.objects.copy(&read, &write, request.clone()).await.unwrap();
        let error = refused(store.objects.copy(&read, &write, request).await);
        assert_eq!(error, Error::PreconditionFailed { condition: "If-None-Match" });
        let same = Some(EtagList::Tags(vec![info.etag]));
        let conditions = ReadConditions { if_none_match: same, ..ReadConditions::default() };
        let error = refused(
            store.objects.copy(&read, &write, Copy { conditions, ..Copy::default() }).await,
        );
        assert_eq!(error, Error::PreconditionFailed { condition: "If-None-Match" });
        let error = refused(copy(&store, "absent", "x", Copy::default()).await);
        assert_eq!(error, Error::NoSuchKey);
        let nowhere = grant(Action::PutObject, Resource::object("nowhere", "k"));
        let error = refused(store.objects.copy(&read, &nowhere, Copy::default()).await);
        assert_eq!(error, Error::NoSuchBucket);
        store.delete("k").await.unwrap();
    });
    store.check();
}

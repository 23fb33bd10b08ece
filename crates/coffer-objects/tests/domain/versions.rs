//! Versions: what is kept, what is given up, and what is found.

use coffer_iam::{Action, Grant};
use coffer_objects::{
    Copy, CopyPart, CreateUpload, Deleted, Error, Get, Headers, ListVersions, Put, Result,
    VersionEntry, VersionId, Versioning, WriteCondition,
};

use crate::store::{Store, bytes, on, on_bucket, refused, run};

/// The bytes of a version.
async fn get(store: &Store, key: &str, version: VersionId) -> Result<Vec<u8>> {
    let get = Get { version: Some(version), ..Get::default() };
    Ok(store.get_with(key, get).await?.0)
}

async fn put(store: &Store, key: &str, body: &[u8]) -> VersionId {
    store.put(key, body).await.unwrap().version_id.expect("the bucket has versioning")
}

async fn delete(store: &Store, key: &str) -> Deleted {
    store.objects.delete(&on(Action::DeleteObject, key)).await.unwrap()
}

async fn delete_version(store: &Store, key: &str, version: VersionId) -> Deleted {
    let grant = on(Action::DeleteObjectVersion, key);
    let any = WriteCondition::default();
    store.objects.delete_version(&grant, version, any).await.unwrap()
}

async fn list(store: &Store) -> Vec<VersionEntry> {
    let grant = on_bucket(Action::ListBucketVersions, "bkt");
    let all = ListVersions { max: 1000, ..ListVersions::default() };
    store.objects.list_versions(&grant, all).await.unwrap().entries
}

/// `(key, id, is marker, is latest)` of each.
async fn lines(store: &Store) -> Vec<(String, VersionId, bool, bool)> {
    let line = |entry| match entry {
        VersionEntry::Object { info, is_latest } => {
            (info.key, info.version_id.unwrap(), false, is_latest)
        }
        VersionEntry::Marker { key, version_id, is_latest, .. } => {
            (key, version_id, true, is_latest)
        }
        VersionEntry::Prefix(prefix) => panic!("{prefix} without a delimiter"),
    };
    list(store).await.into_iter().map(line).collect()
}

fn is_unnamed_marker(error: &Error) -> bool {
    matches!(error, Error::DeleteMarker { named: false, .. })
}

#[test]
fn what_is_overwritten_or_deleted_is_kept() {
    let store = Store::new();
    run(async {
        let before = store.put("k", b"before").await.unwrap();
        assert_eq!(before.version_id, None);
        store.set_versioning(Versioning::Enabled).await;
        let (_, shown) = store.get_with("k", Get::default()).await.unwrap();
        assert_eq!(shown.version_id, Some(VersionId::Null));

        let first = put(&store, "k", b"first").await;
        let second = put(&store, "k", &bytes(1, 40_000)).await;
        assert!(first < second);
        assert_eq!(get(&store, "k", VersionId::Null).await.unwrap(), b"before");
        assert_eq!(get(&store, "k", first).await.unwrap(), b"first");
        assert_eq!(get(&store, "k", second).await.unwrap(), bytes(1, 40_000));
        assert_eq!(store.get("k").await.unwrap(), bytes(1, 40_000));

        let Deleted { version_id: Some(marker), delete_marker: true } = delete(&store, "k").await
        else {
            panic!("no marker");
        };
        assert!(is_unnamed_marker(&refused(store.get("k").await)));
        let named = refused(get(&store, "k", marker).await);
        assert!(matches!(named, Error::DeleteMarker { named: true, version_id, .. }
            if version_id == marker));
        assert_eq!(refused(store.get("never").await), Error::NoSuchKey);
        assert_eq!(get(&store, "k", second).await.unwrap(), bytes(1, 40_000));
        let key = || "k".to_owned();
        assert_eq!(
            lines(&store).await,
            [
                (key(), marker, true, true),
                (key(), second, false, false),
                (key(), first, false, false),
                (key(), VersionId::Null, false, false),
            ]
        );
        store.check();

        // Without the marker it is there again; without the newest the one before.
        let gone = delete_version(&store, "k", marker).await;
        assert_eq!(gone, Deleted { version_id: Some(marker), delete_marker: true });
        assert_eq!(store.get("k").await.unwrap(), bytes(1, 40_000));
        assert_eq!(store.live_bytes(), 40_000 + 5 + 6);
        let gone = delete_version(&store, "k", second).await;
        assert_eq!(gone, Deleted { version_id: Some(second), delete_marker: false });
        assert_eq!(store.get("k").await.unwrap(), b"first");
        assert_eq!(store.live_bytes(), 5 + 6);
        delete_version(&store, "k", VersionId::Null).await;
        delete_version(&store, "k", VersionId::Null).await;
        assert_eq!(refused(get(&store, "k", VersionId::Null).await), Error::NoSuchVersion);
        assert_eq!(refused(get(&store, "k", second).await), Error::NoSuchVersion);
        delete_version(&store, "k", first).await;
        assert_eq!(refused(store.get("k").await), Error::NoSuchKey);
    });
    assert_eq!(store.live_bytes(), 0);
    for subspace in *b"OVNMRC" {
        assert_eq!(store.rows(subspace), 0);
    }
    store.check();
}

#[test]
fn while_suspended_the_null_version_is_replaced_wherever_it_is() {
    let store = Store::new();
    run(async {
        store.put("k", b"before").await.unwrap();
        store.set_versioning(Versioning::Enabled).await;
        let kept = put(&store, "k", b"kept").await;
        store.set_versioning(Versioning::Suspended).await;
        // The null version is not the current one, and is given up all the same.
        assert_eq!(put(&store, "k", &bytes(2, 30_000)).await, VersionId::Null);
        assert_eq!(store.live_bytes(), 30_000 + 4);
        assert_eq!(get(&store, "k", VersionId::Null).await.unwrap(), bytes(2, 30_000));
        assert_eq!(put(&store, "k", b"again").await, VersionId::Null);
        assert_eq!(store.live_bytes(), 5 + 4);
        assert_eq!(lines(&store).await.len(), 2);
        store.check();

        for _ in 0..2 {
            let done = delete(&store, "k").await;
            let marker = Deleted { version_id: Some(VersionId::Null), delete_marker: true };
            assert_eq!(done, marker);
            assert_eq!(store.live_bytes(), 4);
            assert_eq!(
                lines(&store).await,
                [
                    ("k".to_owned(), VersionId::Null, true, true),
                    ("k".to_owned(), kept, false, false),
                ]
            );
        }
        assert!(is_unnamed_marker(&refused(store.get("k").await)));
        let named = refused(get(&store, "k", VersionId::Null).await);
        assert!(matches!(named, Error::DeleteMarker { named: true, .. }));
        // A null marker counts as no object, and is replaced as the null version is.
        let absent = WriteCondition { if_none_match_any: true, ..WriteCondition::default() };
        let put_new = Put { condition: absent, ..Put::default() };
        store.put_with("k", b"new", put_new, None).await.unwrap();
        assert_eq!(lines(&store).await.len(), 2);

        store.set_versioning(Versioning::Enabled).await;
        let newest = put(&store, "k", b"newest").await;
        assert_eq!(get(&store, "k", VersionId::Null).await.unwrap(), b"new");
        delete_version(&store, "k", newest).await;
        assert_eq!(store.get("k").await.unwrap(), b"new");
        store.check();
    });
}

#[test]
fn a_delete_of_nothing_leaves_a_marker_where_versions_are_kept() {
    let store = Store::new();
    run(async {
        assert_eq!(delete(&store, "k").await, Deleted::default());
        let gone = delete_version(&store, "k", VersionId::Null).await;
        assert_eq!(gone, Deleted { version_id: Some(VersionId::Null), delete_marker: false });
        store.set_versioning(Versioning::Enabled).await;
        let (one, two) = (delete(&store, "k").await, delete(&store, "k").await);
        assert!(one.delete_marker && two.delete_marker && one.version_id < two.version_id);
        assert_eq!(store.objects.usage().unwrap().versions, 2);
        delete_version(&store, "k", one.version_id.unwrap()).await;
        assert!(is_unnamed_marker(&refused(store.get("k").await)));
        // A bucket with nothing but a marker is not empty.
        let grant = on_bucket(Action::DeleteBucket, "bkt");
        assert_eq!(refused(store.objects.delete_bucket(&grant).await), Error::BucketNotEmpty);
        delete_version(&store, "k", two.version_id.unwrap()).await;
        store.objects.delete_bucket(&grant).await.unwrap();
    });
    store.check();
}

#[test]
fn a_bucket_that_never_had_versioning_has_no_row_of_versions() {
    let store = Store::new();
    run(async {
        for size in [10, 30_000, 0] {
            store.put("k", &bytes(1, size)).await.unwrap();
        }
        store.delete("k").await.unwrap();
        store.put("k", b"x").await.unwrap();
        assert_eq!(lines(&store).await, [("k".to_owned(), VersionId::Null, false, true)]);
    });
    assert_eq!(store.rows(b'V') + store.rows(b'N'), 0);
    let snapshot = store.objects.catalog().snapshot();
    let (_, head) = snapshot.prefix(b"O").next().unwrap().unwrap();
    let (_, bucket) = snapshot.prefix(b"B").next().unwrap().unwrap();
    assert_eq!((head[0], bucket[0]), (1, 2), "as before there were versions");
}

#[test]
fn a_version_is_copied_also_onto_its_own_key() {
    let store = Store::new();
    run(async {
        store.set_versioning(Versioning::Enabled).await;
        let headers =
            Headers { user: vec![("n".to_owned(), vec![b'x'; 500])], ..Default::default() };
        let put_cold = Put { headers: headers.clone(), ..Put::default() };
        let old = store.put_with("k", &bytes(1, 50_000), put_cold, None).await.unwrap();
        let old = old.version_id.unwrap();
        put(&store, "k", b"new").await;
        let (read, write) = (on(Action::GetObjectVersion, "k"), on(Action::PutObject, "k"));
        let request = Copy { version: Some(old), ..Copy::default() };
        let copied = store.objects.copy(&read, &write, request).await.unwrap();
        assert_eq!(copied.source_version_id, Some(old));
        let restored = copied.info.version_id.unwrap();
        assert!(restored > old);
        // Both share the bytes, and have the long headers each for itself.
        assert_eq!(store.live_bytes(), 50_003);
        store.check();
        delete_version(&store, "k", old).await;
        assert_eq!(store.live_bytes(), 50_003);
        let (body, info) = store.get_with("k", Get::default()).await.unwrap();
        assert_eq!((body, info.headers), (bytes(1, 50_000), headers));
        store.check();

        // While suspended the null version is copied onto itself: its blob has to stay.
        store.set_versioning(Versioning::Suspended).await;
        let null = on(Action::GetObject, "k");
        let request = Copy { headers: Some(Headers::default()), ..Copy::default() };
        for _ in 0..2 {
            store.objects.copy(&null, &write, request.clone()).await.unwrap();
            assert_eq!(store.get("k").await.unwrap(), bytes(1, 50_000));
            assert_eq!(store.live_bytes(), 50_003);
            store.check();
        }
        delete_version(&store, "k", restored).await;
        assert_eq!(store.get("k").await.unwrap(), bytes(1, 50_000));
        store.check();

        // A marker is nothing to copy.
        let marker = delete(&store, "k").await.version_id;
        let request = Copy { version: marker, ..Copy::default() };
        let named = refused(store.objects.copy(&read, &write, request).await);
        assert!(matches!(named, Error::InvalidRequest(_)), "{named}");
        let unnamed = store.objects.copy(&null, &on(Action::PutObject, "l"), Copy::default()).await;
        assert!(is_unnamed_marker(&refused(unnamed)));
        let upload = store
            .objects
            .create_upload(&on(Action::PutObject, "l"), CreateUpload::default())
            .await
            .unwrap();
        let part = store
            .objects
            .upload_part_copy(
                &read,
                &on(Action::PutObject, "l"),
                &upload.upload_id,
                1,
                CopyPart { version: marker, ..CopyPart::default() },
            )
            .await;
        assert!(matches!(refused(part), Error::InvalidRequest(_)));
    });
    store.check();
}

#[test]
fn conditions_relate_to_the_current_object_or_to_the_version_named() {
    let store = Store::new();
    run(async {
        store.set_versioning(Versioning::Enabled).await;
        let first = store.put("k", b"first").await.unwrap();
        let second = store.put("k", b"second").await.unwrap();
        let only_if = |etag: &str| WriteCondition {
            if_match: Some(etag.to_owned()),
            ..WriteCondition::default()
        };
        let put_if = |etag: &str| Put { condition: only_if(etag), ..Put::default() };
        let error = refused(store.put_with("k", b"x", put_if(&first.etag), None).await);
        assert!(matches!(error, Error::PreconditionFailed { .. }));
        let named = on(Action::DeleteObjectVersion, "k");
        let id = first.version_id.unwrap();
        let error = refused(store.objects.delete_version(&named, id, only_if(&second.etag)).await);
        assert!(matches!(error, Error::PreconditionFailed { .. }));
        store.objects.delete_version(&named, id, only_if(&first.etag)).await.unwrap();
        let error = refused(store.objects.delete_version(&named, id, only_if("*")).await);
        assert_eq!(error, Error::NoSuchKey);
        let plain = on(Action::DeleteObject, "k");
        let deleted = store.objects.delete_if(&plain, only_if(&second.etag)).await.unwrap();
        assert!(deleted.delete_marker);
        // A marker is no object.
        let error = refused(store.objects.delete_if(&plain, only_if("*")).await);
        assert_eq!(error, Error::NoSuchKey);
        let error = refused(store.put_with("k", b"x", put_if("*"), None).await);
        assert_eq!(error, Error::NoSuchKey);
        assert_eq!(lines(&store).await.len(), 2);
    });
    store.check();
}

#[test]
fn an_id_of_another_version_finds_nothing() {
    let store = Store::new();
    run(async {
        store.set_versioning(Versioning::Enabled).await;
        let id = put(&store, "k", b"k").await;
        let VersionId::Given { sequence, check } = id else { panic!("{id}") };
        put(&store, "other", b"o").await;
        for guess in [
            VersionId::Given { sequence, check: check ^ 1 },
            VersionId::Given { sequence: sequence + 1, check },
            VersionId::Given { sequence: 0, check },
            VersionId::Given { sequence: u64::MAX, check: u64::MAX },
            VersionId::Null,
        ] {
            assert_eq!(refused(get(&store, "k", guess).await), Error::NoSuchVersion);
            delete_version(&store, "k", guess).await;
        }
        assert_eq!(refused(get(&store, "other", id).await), Error::NoSuchVersion);
        put(&store, "k", b"new").await;
        let guess = VersionId::Given { sequence, check: check ^ 1 };
        assert_eq!(refused(get(&store, "k", guess).await), Error::NoSuchVersion);
        assert_eq!(get(&store, "k", id).await.unwrap(), b"k");
    });
    store.check();
}

#[test]
fn whoever_deletes_what_a_page_lists_meets_everything() {
    let store = Store::new();
    run(async {
        store.set_versioning(Versioning::Enabled).await;
        for i in 0..4 {
            put(&store, "a", &bytes(i, 10)).await;
        }
        store.set_versioning(Versioning::Suspended).await;
        put(&store, "a", b"null").await;
        store.set_versioning(Versioning::Enabled).await;
        for i in 0..4 {
            put(&store, "a", &bytes(i, 10)).await;
            delete(&store, "b").await;
        }
        let grant = on_bucket(Action::ListBucketVersions, "bkt");
        let mut query = ListVersions { max: 5, ..ListVersions::default() };
        let mut deleted = 0;
        loop {
            let page = store.objects.list_versions(&grant, query.clone()).await.unwrap();
            for entry in &page.entries {
                let (key, id) = match entry {
                    VersionEntry::Object { info, .. } => (&info.key, info.version_id.unwrap()),
                    VersionEntry::Marker { key, version_id, .. } => (key, *version_id),
                    VersionEntry::Prefix(prefix) => panic!("{prefix}"),
                };
                delete_version(&store, key, id).await;
                deleted += 1;
            }
            if !page.truncated {
                break;
            }
            query.key_after = page.next_key;
            query.version_after = page.next_version;
        }
        assert_eq!((deleted, list(&store).await.len()), (13, 0));
    });
    store.check();
}

#[test]
fn the_state_can_not_be_as_if_it_never_was() {
    let store = Store::new();
    run(async {
        let grant = on_bucket(Action::PutBucketVersioning, "bkt");
        let never = store.objects.set_bucket_versioning(&grant, Versioning::Never).await;
        assert!(matches!(refused(never), Error::InvalidArgument(_)));
        for versioning in [Versioning::Suspended, Versioning::Enabled, Versioning::Suspended] {
            store.set_versioning(versioning).await;
            let bucket = store.objects.bucket(&grant).await.unwrap();
            assert_eq!(bucket.versioning, versioning);
            let facts = store.objects.bucket_facts("bkt").unwrap().unwrap();
            assert_eq!(facts.bucket.versioning, versioning);
        }
    });
}

/// A thousand of the longest keys are more than a group of commits holds.
#[test]
fn a_thousand_of_the_longest_keys_are_deleted_at_once() {
    let store = Store::new();
    run(async {
        store.set_versioning(Versioning::Enabled).await;
        let key = |n: usize| format!("{n:04}{}", "k".repeat(1_020));
        let all =
            || -> Vec<Grant> { (0..1_000).map(|n| on(Action::DeleteObject, &key(n))).collect() };
        for (n, result) in store.objects.delete_many(all()).await.into_iter().enumerate() {
            let deleted = result.unwrap_or_else(|error| panic!("key {n}: {error}"));
            assert!(deleted.delete_marker, "key {n}");
        }
        assert_eq!(list(&store).await.len(), 1_000);
        store.check();
    });
}

/// The newest first, as who empties a bucket by its listing does; objects and markers.
#[test]
fn the_versions_of_a_key_are_deleted_in_the_order_of_their_listing() {
    let store = Store::new();
    run(async {
        store.put("k", b"null").await.unwrap();
        store.set_versioning(Versioning::Enabled).await;
        for n in 0..40u8 {
            put(&store, "k", &[n]).await;
            if n % 7 == 0 {
                delete(&store, "k").await;
            }
        }
        let mut left = lines(&store).await;
        while !left.is_empty() {
            let (_, id, is_marker, is_latest) = left.remove(0);
            assert!(is_latest);
            let deleted = delete_version(&store, "k", id).await;
            assert_eq!(deleted, Deleted { version_id: Some(id), delete_marker: is_marker });
            if let Some(next) = left.first_mut() {
                next.3 = true;
                assert_eq!(store.get("k").await.is_ok(), !next.2);
            }
            assert_eq!(lines(&store).await, left);
        }
        assert_eq!(store.live_bytes(), 0);
        store.check();
    });
}

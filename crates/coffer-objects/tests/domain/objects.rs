//! Putting, getting and deleting single objects.

use bytes::Bytes;
use coffer_base::Ack;
use coffer_iam::Action;
use coffer_objects::digest::{checksum, hex, md5};
use coffer_objects::{
    ByteRange, Checksum, ChecksumAlgorithm, ChecksumKind, ChecksumRequest, CreateBucket, Deleted,
    DigestKind, Error, Get, Headers, ListBuckets, Put, Usage,
};

use crate::store::{BULK_THRESHOLD_BYTES, Store, bytes, on, on_bucket, on_store, refused, run};

/// Sizes around every boundary.
const SIZES: [usize; 8] = [
    0,
    1,
    5000,
    BULK_THRESHOLD_BYTES - 1,
    BULK_THRESHOLD_BYTES,
    BULK_THRESHOLD_BYTES + 1,
    600 << 10,
    (1 << 20) + 17,
];

#[test]
fn what_is_put_is_got_whatever_its_size_and_whether_it_is_announced() {
    for drives in [1, 3] {
        let mut store = Store::empty(drives, 1 << 20);
        run(async {
            store.create_bucket("bkt").await;
            for (i, size) in SIZES.into_iter().enumerate() {
                let body = bytes(i as u64, size);
                for announced in [None, Some(size as u64)] {
                    let key = format!("{size} {announced:?}");
                    let put = Put { content_length: announced, ..Put::default() };
                    let info = store.put_with(&key, &body, put, None).await.unwrap();
                    assert_eq!(info.size, size as u64);
                    assert_eq!(info.etag, hex(&md5(&body)));
                    assert_eq!(info.checksum, Some(checksum(ChecksumAlgorithm::Crc64Nvme, &body)));
                    let (got, got_info) = store.get_with(&key, Get::default()).await.unwrap();
                    assert_eq!(got_info, info);
                    assert!(got == body, "{key}");
                }
            }
        });
        store.check();
        store.reopen(true);
        store.check();
        run(async {
            for (i, size) in SIZES.into_iter().enumerate() {
                let body = bytes(i as u64, size);
                assert!(store.get(&format!("{size} None")).await.unwrap() == body);
            }
        });
    }
}

#[test]
fn ranges_of_small_and_large_objects() {
    let store = Store::new();
    run(async {
        for size in [10usize, 700 << 10] {
            let body = bytes(3, size);
            store.put("k", &body).await.unwrap();
            let n = size as u64;
            for (range, expected) in [
                (ByteRange::FromTo(0, 0), 0..1),
                (ByteRange::FromTo(3, 7), 3..8),
                (ByteRange::From(n - 1), n - 1..n),
                (ByteRange::Suffix(4), n - 4..n),
                (ByteRange::FromTo(n / 3, n * 2), n / 3..n),
                (ByteRange::FromTo(n / 3, n / 2 + 1), n / 3..n / 2 + 2),
            ] {
                let get = Get { range: Some(range), ..Get::default() };
                let reader = store.objects.get(&on(Action::GetObject, "k"), get.clone()).await;
                let reader = reader.unwrap();
                assert!(reader.partial);
                assert_eq!(reader.range, expected, "{range:?} of {size}");
                let (got, _) = store.get_with("k", get.clone()).await.unwrap();
                assert!(got == body[expected.start as usize..expected.end as usize]);
                let head = store.objects.head(&on(Action::GetObject, "k"), get).await.unwrap();
                assert_eq!(head.range, expected);
            }
            let get = Get { range: Some(ByteRange::From(n)), ..Get::default() };
            assert_eq!(refused(store.get_with("k", get).await), Error::InvalidRange { size: n });
            // The part number of an object that was put whole.
            let get = Get { part_number: Some(1), ..Get::default() };
            let head = store.objects.head(&on(Action::GetObject, "k"), get.clone()).await.unwrap();
            assert_eq!((head.range, head.partial, head.parts_count), (0..n, true, None));
            let both = Get { range: Some(ByteRange::From(0)), ..get };
            assert!(matches!(refused(store.get_with("k", both).await), Error::InvalidRequest(_)));
            let get = Get { part_number: Some(2), ..Get::default() };
            let error = refused(store.get_with("k", get).await);
            assert_eq!(error, Error::InvalidPartNumber { parts: 1 });
        }
    });
}

#[test]
fn headers_are_kept_byte_for_byte_hot_or_cold() {
    let store = Store::new();
    let small = Headers {
        content_type: Some("text/x".to_owned()),
        content_encoding: Some("gzip".to_owned()),
        expires: Some("whenever".to_owned()),
        user: vec![("a".to_owned(), vec![0xe9, b' ', b'x']), ("b".to_owned(), Vec::new())],
        ..Headers::default()
    };
    let large = Headers {
        user: (0..20).map(|i| (format!("name-{i}"), bytes(i, 60))).collect(),
        content_disposition: Some("attachment".to_owned()),
        ..Headers::default()
    };
    run(async {
        for headers in [&small, &large, &small, &large] {
            let put = Put { headers: headers.clone(), ..Put::default() };
            store.put_with("k", b"body", put, None).await.unwrap();
            let (_, info) = store.get_with("k", Get::default()).await.unwrap();
            assert_eq!(info.headers, *headers);
            assert_eq!(store.rows(b'C'), usize::from(headers == &large));
            store.check();
        }
        let put = Put {
            headers: Headers {
                user: vec![("n".to_owned(), vec![b'x'; 2048])],
                ..Headers::default()
            },
            ..Put::default()
        };
        let error = refused(store.put_with("k", b"", put, None).await);
        assert_eq!(error, Error::MetadataTooLarge { size: 2049 });
        store.delete("k").await.unwrap();
    });
    assert_eq!(store.rows(b'C') + store.rows(b'O'), 0);
    store.check();
}

#[test]
fn overwriting_and_deleting_give_up_every_byte() {
    let store = Store::new();
    run(async {
        for size in [100, 40 << 10, 0, 50 << 10, 7] {
            store.put("k", &bytes(1, size)).await.unwrap();
            assert_eq!(store.live_bytes(), size as i64);
            let usage = Usage { buckets: 1, objects: 1, bytes: size as u64, ..Usage::default() };
            assert_eq!(store.objects.usage().unwrap(), usage);
            store.check();
        }
        store.put("l", &bytes(2, 30 << 10)).await.unwrap();
        let many = ["k", "absent", "l", "k"].map(|key| on(Action::DeleteObject, key));
        let results = store.objects.delete_many(many.to_vec()).await;
        assert_eq!(results, vec![Ok(Deleted::default()); 4]);
        store.delete("k").await.unwrap();
        assert_eq!(refused(store.get("k").await), Error::NoSuchKey);
    });
    assert_eq!(store.live_bytes(), 0);
    for subspace in [b'O', b'M', b'R', b'C'] {
        assert_eq!(store.rows(subspace), 0);
    }
    store.check();
}

#[test]
fn a_body_with_the_wrong_length_or_digest_leaves_nothing() {
    let store = Store::new();
    run(async {
        for size in [10usize, 40 << 10] {
            let body = bytes(9, size);
            let sum = checksum(ChecksumAlgorithm::Sha256, &body);
            let wrong = Checksum { value: vec![7; 32], ..sum.clone() };
            let named = |algorithm, expected, trailer| Put {
                checksum: ChecksumRequest { algorithm, expected, trailer },
                ..Put::default()
            };
            let sha = Some(ChecksumAlgorithm::Sha256);
            let bad_digest = Error::BadDigest(DigestKind::Checksum(ChecksumAlgorithm::Sha256));
            let refusals = [
                (Put { content_length: Some(size as u64 + 1), ..Put::default() }, None),
                (Put { content_length: Some(size as u64 - 1), ..Put::default() }, None),
                (Put { expect_md5: Some([0; 16]), ..Put::default() }, None),
                (named(None, Some(wrong.clone()), false), None),
                (named(sha, None, true), Some(wrong.clone())),
                (named(sha, None, true), None),
            ];
            let expected = [
                Some(Error::IncompleteBody),
                Some(Error::IncompleteBody),
                Some(Error::BadDigest(DigestKind::Md5)),
                Some(bad_digest.clone()),
                Some(bad_digest),
                None,
            ];
            for ((put, trailer), expected) in refusals.into_iter().zip(expected) {
                let error = refused(store.put_with("k", &body, put, trailer).await);
                match expected {
                    Some(expected) => assert_eq!(error, expected),
                    None => assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}"),
                }
            }
            let short = Checksum { value: vec![1], ..sum.clone() };
            let error =
                refused(store.put_with("k", &body, named(sha, Some(short), false), None).await);
            assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
            // Dropped half way.
            let grant = on(Action::PutObject, "k");
            let mut writer = store.objects.put(&grant, Put::default()).await.unwrap();
            writer.write(Bytes::from(body.clone())).await.unwrap();
            drop(writer);
            assert_eq!(refused(store.get("k").await), Error::NoSuchKey);
            assert_eq!(store.live_bytes(), 0);
            // And the right ones are taken.
            for (put, trailer) in [
                (Put { expect_md5: Some(md5(&body)), ..Put::default() }, None),
                (named(None, Some(sum.clone()), false), None),
                (named(sha, None, true), Some(sum.clone())),
            ] {
                let info = store.put_with("k", &body, put, trailer).await.unwrap();
                assert_eq!(info.checksum.unwrap().kind, ChecksumKind::FullObject);
                store.delete("k").await.unwrap();
            }
        }
    });
    store.check();
}

#[test]
fn a_get_goes_on_after_an_overwrite_and_a_delete() {
    let store = Store::new();
    run(async {
        let body = bytes(5, 3 << 20);
        store.put("k", &body).await.unwrap();
        let grant = on(Action::GetObject, "k");
        let mut reader = store.objects.get(&grant, Get::default()).await.unwrap();
        let mut got = reader.next().await.unwrap().unwrap().to_vec();
        store.put("k", b"other").await.unwrap();
        store.delete("k").await.unwrap();
        while let Some(more) = reader.next().await {
            got.extend_from_slice(&more.unwrap());
        }
        assert!(got == body);
        assert!(reader.next().await.is_none());
    });
}

#[test]
fn keys_have_1_to_1024_bytes() {
    let store = Store::new();
    run(async {
        let longest = "k".repeat(1024);
        store.put(&longest, b"x").await.unwrap();
        assert_eq!(store.get(&longest).await.unwrap(), b"x");
        let error = refused(store.put(&"k".repeat(1025), b"x").await);
        assert_eq!(error, Error::KeyTooLong { size: 1025 });
        assert!(matches!(refused(store.put("", b"x").await), Error::InvalidArgument(_)));
    });
    store.check();
}

#[test]
fn buckets_are_made_listed_set_and_deleted() {
    let store = Store::empty(1, 1 << 20);
    run(async {
        let make = |name: &str| {
            let grant = on_bucket(Action::CreateBucket, name);
            let objects = store.objects.clone();
            async move {
                let options = CreateBucket { region: "r".to_owned(), ack: Some(Ack::Primary) };
                objects.create_bucket(&grant, options).await
            }
        };
        for name in ["bb", "BBB", "b_b"] {
            assert_eq!(make(name).await, Err(Error::InvalidBucketName), "{name}");
        }
        let first = make("bbb").await.unwrap();
        assert_eq!(first.ack, Some(Ack::Primary));
        assert_eq!(make("bbb").await, Err(Error::BucketExists { owned_by_caller: true }));
        for name in ["bbc", "bba", "ccc"] {
            make(name).await.unwrap();
        }
        let list = |prefix: &str, after: Option<&str>, max| {
            let query =
                ListBuckets { prefix: prefix.to_owned(), after: after.map(str::to_owned), max };
            let objects = store.objects.clone();
            async move {
                let grant = on_store(Action::ListAllMyBuckets);
                let page = objects.list_buckets(&grant, query).await.unwrap();
                let names: Vec<String> = page.buckets.into_iter().map(|b| b.name).collect();
                (names.join(" "), page.next)
            }
        };
        assert_eq!(list("", None, 9).await, ("bba bbb bbc ccc".to_owned(), None));
        assert_eq!(list("bb", Some("bba"), 1).await, ("bbb".to_owned(), Some("bbb".to_owned())));
        assert_eq!(list("bb", Some("bbb"), 1).await, ("bbc".to_owned(), None));
        assert_eq!(list("bb", Some("a"), 9).await, ("bba bbb bbc".to_owned(), None));
        assert_eq!(list("", None, 0).await, (String::new(), None));

        let grant = on_bucket(Action::PutBucketAck, "bbb");
        store.objects.set_bucket_ack(&grant, Ack::Quorum).await.unwrap();
        let grant = on_bucket(Action::ListBucket, "bbb");
        assert_eq!(store.objects.bucket(&grant).await.unwrap().ack, Some(Ack::Quorum));

        let delete = on_bucket(Action::DeleteBucket, "bbb");
        store.objects.delete_bucket(&delete).await.unwrap();
        assert_eq!(refused(store.objects.delete_bucket(&delete).await), Error::NoSuchBucket);
        assert_eq!(refused(store.objects.bucket(&grant).await), Error::NoSuchBucket);
        let again = make("bbb").await.unwrap();
        assert!(again.id > first.id, "ids are not used again");
        assert_eq!(store.objects.usage().unwrap().buckets, 4);
    });
    store.check();
}

#[test]
fn a_bucket_with_objects_stays_and_a_writer_notices_that_its_bucket_went() {
    let store = Store::new();
    run(async {
        let delete = on_bucket(Action::DeleteBucket, "bkt");
        store.put("k", b"x").await.unwrap();
        assert_eq!(refused(store.objects.delete_bucket(&delete).await), Error::BucketNotEmpty);
        store.delete("k").await.unwrap();
        let put = on(Action::PutObject, "k");
        let mut writer = store.objects.put(&put, Put::default()).await.unwrap();
        writer.write(Bytes::from_static(b"x")).await.unwrap();
        store.objects.delete_bucket(&delete).await.unwrap();
        store.create_bucket("bkt").await;
        assert_eq!(refused(writer.finish(None).await), Error::NoSuchBucket);
    });
    store.check();
}

#[test]
#[should_panic(expected = "the grant is for another action")]
fn a_grant_for_something_else_is_a_defect() {
    let store = Store::new();
    drop(run(store.objects.delete(&on(Action::GetObject, "k"))));
}

/// Faces run these on threads: the futures must be able to move.
#[test]
fn futures_can_move_between_threads() {
    fn moves<T: Send>(value: T) {
        drop(value);
    }
    let store = Store::new();
    let objects = store.objects.clone();
    let put = on(Action::PutObject, "k");
    moves(objects.put(&put, Put::default()));
    moves(objects.get(&on(Action::GetObject, "k"), Get::default()));
    moves(async {
        let mut writer = objects.put(&put, Put::default()).await?;
        writer.write(Bytes::new()).await?;
        writer.finish(None).await
    });
    moves(objects.copy(&on(Action::GetObject, "k"), &put, coffer_objects::Copy::default()));
    moves(objects.delete(&on(Action::DeleteObject, "k")));
    moves(objects.complete_upload(&put, "", coffer_objects::Complete::default()));
    moves(objects.list(&on_bucket(Action::ListBucket, "bkt"), coffer_objects::List::default()));
}

//! Multipart uploads.

use bytes::Bytes;
use coffer_iam::{Action, Resource};
use coffer_objects::digest::{checksum, composite, hex, md5};
use coffer_objects::{
    ByteRange, Checksum, ChecksumAlgorithm, ChecksumRequest, ChecksumType, Complete, CompletePart,
    Copy, CopyPart, CreateUpload, DigestKind, Error, Get, ListUploads, ObjectInfo, PART_BYTES_MIN,
    PartInfo, Put, Result, UploadPage, WriteCondition,
};

use crate::store::{Store, bytes, content_type, grant, on, on_bucket, refused, run};

const MIN: usize = PART_BYTES_MIN as usize;

async fn create(store: &Store, key: &str) -> String {
    let request = CreateUpload { headers: content_type("m/p"), ..CreateUpload::default() };
    store.objects.create_upload(&on(Action::PutObject, key), request).await.unwrap().upload_id
}

async fn part(store: &Store, key: &str, id: &str, number: u32, body: &[u8]) -> Result<PartInfo> {
    part_with(store, key, id, number, body, Put::default()).await
}

async fn part_with(
    store: &Store,
    key: &str,
    id: &str,
    number: u32,
    body: &[u8],
    put: Put,
) -> Result<PartInfo> {
    let grant = on(Action::PutObject, key);
    let mut writer = store.objects.upload_part(&grant, id, number, put).await?;
    writer.write(Bytes::copy_from_slice(body)).await?;
    writer.finish_part(None).await
}

fn listed(parts: &[PartInfo]) -> Complete {
    let parts = parts.iter().map(|part| CompletePart {
        number: part.number,
        etag: format!("\"{}\"", part.etag),
        checksum: part.checksum.clone(),
    });
    Complete { parts: parts.collect(), ..Complete::default() }
}

async fn complete(store: &Store, key: &str, id: &str, request: Complete) -> Result<ObjectInfo> {
    store.objects.complete_upload(&on(Action::PutObject, key), id, request).await
}

fn multipart_etag(bodies: &[&[u8]]) -> String {
    let md5s: Vec<u8> = bodies.iter().flat_map(|body| md5(body)).collect();
    format!("{}-{}", hex(&md5(&md5s)), bodies.len())
}

#[test]
fn an_upload_of_parts_becomes_one_object() {
    let mut store = Store::new();
    let (one, two, three) = (bytes(1, MIN), bytes(2, MIN + 999), bytes(3, 100));
    run(async {
        store.put("k", &bytes(9, 20 << 10)).await.unwrap();
        let id = create(&store, "k").await;
        // Out of order, not contiguous, one replaced, one left out.
        let last = part(&store, "k", &id, 10_000, &three).await.unwrap();
        part(&store, "k", &id, 7, b"replaced").await.unwrap();
        let second = part(&store, "k", &id, 7, &two).await.unwrap();
        let first = part(&store, "k", &id, 2, &one).await.unwrap();
        part(&store, "k", &id, 5, &bytes(8, 50_000)).await.unwrap();
        store.check();
        assert_eq!(store.get("k").await.unwrap().len(), 20 << 10, "not visible before");

        let request = listed(&[first.clone(), second.clone(), last.clone()]);
        let info = complete(&store, "k", &id, request.clone()).await.unwrap();
        let whole = [&one[..], &two, &three].concat();
        assert_eq!(info.etag, multipart_etag(&[&one, &two, &three]));
        assert_eq!((info.size, info.parts), (whole.len() as u64, Some(3)));
        assert_eq!(info.headers, content_type("m/p"));
        assert_eq!(info.checksum, Some(checksum(ChecksumAlgorithm::Crc64Nvme, &whole)));
        assert!(store.get("k").await.unwrap() == whole);
        assert_eq!(store.live_bytes(), whole.len() as i64);
        assert_eq!(store.rows(b'P') + store.rows(b'U'), 0);
        store.check();

        // Asked again, with the same parts and with others.
        assert_eq!(complete(&store, "k", &id, request.clone()).await.unwrap(), info);
        let fewer = listed(std::slice::from_ref(&first));
        assert_eq!(refused(complete(&store, "k", &id, fewer).await), Error::NoSuchUpload);

        // Part by part.
        let start = one.len() as u64;
        for (number, range) in [
            (1, 0..start),
            (2, start..start + two.len() as u64),
            (3, whole.len() as u64 - 100..whole.len() as u64),
        ] {
            let get = Get { part_number: Some(number), ..Get::default() };
            let head = store.objects.head(&on(Action::GetObject, "k"), get.clone()).await.unwrap();
            assert_eq!((head.range, head.parts_count), (range.clone(), Some(3)));
            let (got, info) = store.get_with("k", get).await.unwrap();
            assert!(got == whole[range.start as usize..range.end as usize]);
            assert_eq!(info.checksum, Some(checksum(ChecksumAlgorithm::Crc64Nvme, &got)));
        }
        let get = Get { part_number: Some(4), ..Get::default() };
        let error = refused(store.get_with("k", get).await);
        assert_eq!(error, Error::InvalidPartNumber { parts: 3 });
        let across = ByteRange::FromTo(start - 5, start + 5);
        let (got, _) =
            store.get_with("k", Get { range: Some(across), ..Get::default() }).await.unwrap();
        assert!(got == whole[start as usize - 5..start as usize + 6]);

        // A copy shares the bytes, and has the MD5 of the whole for an ETag.
        let (read, write) = (on(Action::GetObject, "k"), on(Action::PutObject, "copy"));
        let copied = store.objects.copy(&read, &write, Copy::default()).await.unwrap().info;
        assert_eq!(copied.etag, hex(&md5(&whole)));
        assert_eq!((copied.parts, &copied.checksum), (None, &info.checksum));
        assert_eq!(store.live_bytes(), whole.len() as i64);
        store.put("k", b"gone").await.unwrap();
        assert_eq!(refused(complete(&store, "k", &id, request).await), Error::NoSuchUpload);
        assert!(store.get("copy").await.unwrap() == whole);
    });
    store.check();
    store.reopen(true);
    store.check();
}

#[test]
fn completing_refuses_what_does_not_fit() {
    let store = Store::new();
    run(async {
        let id = create(&store, "k").await;
        let small = part(&store, "k", &id, 1, &bytes(1, 20_000)).await.unwrap();
        let last = part(&store, "k", &id, 2, b"last").await.unwrap();
        let both = listed(&[small.clone(), last.clone()]);
        let one = listed(std::slice::from_ref(&last));
        let case = |change: fn(&mut Complete)| {
            let mut request = one.clone();
            change(&mut request);
            request
        };
        let wrong_sum = Checksum::full(ChecksumAlgorithm::Crc64Nvme, vec![0; 8]);
        let absent = WriteCondition { if_none_match_any: true, if_match: None };
        for (request, expected) in [
            (both, Error::EntityTooSmall { number: 1, size: 20_000, min: PART_BYTES_MIN }),
            (listed(&[last.clone(), small.clone()]), Error::InvalidPartOrder),
            (listed(&[last.clone(), last.clone()]), Error::InvalidPartOrder),
            (case(|r| r.parts[0].number = 3), Error::InvalidPart { number: 3 }),
            (case(|r| r.parts[0].etag = "0".repeat(32)), Error::InvalidPart { number: 2 }),
            (case(|r| r.parts[0].etag = "x".to_owned()), Error::InvalidPart { number: 2 }),
            (
                case(|r| r.parts[0].checksum.as_mut().unwrap().value[0] ^= 1),
                Error::InvalidPart { number: 2 },
            ),
            (
                Complete { checksum: Some(wrong_sum), ..one.clone() },
                Error::BadDigest(DigestKind::Checksum(ChecksumAlgorithm::Crc64Nvme)),
            ),
        ] {
            assert_eq!(refused(complete(&store, "k", &id, request).await), expected);
        }
        for request in [Complete::default(), Complete { object_size: Some(5), ..one.clone() }] {
            let error = refused(complete(&store, "k", &id, request).await);
            assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
        }
        store.put("k", b"there").await.unwrap();
        let request = Complete { condition: absent, ..one.clone() };
        assert_eq!(
            refused(complete(&store, "k", &id, request).await),
            Error::PreconditionFailed { condition: "If-None-Match" }
        );
        for (key, id) in [("other", id.as_str()), ("k", "nonsense"), ("k", &"0".repeat(32))] {
            let error = refused(part(&store, key, id, 1, b"x").await);
            assert_eq!(error, Error::NoSuchUpload);
        }
        for number in [0, 10_001, u32::MAX] {
            let error = refused(part(&store, "k", &id, number, b"x").await);
            assert!(matches!(error, Error::InvalidArgument(_)), "{error:?}");
        }
        let sum = checksum(ChecksumAlgorithm::Crc64Nvme, b"last");
        let right = Complete { object_size: Some(4), checksum: Some(sum), ..one };
        complete(&store, "k", &id, right).await.unwrap();
        assert_eq!(store.get("k").await.unwrap(), b"last");
    });
    store.check();
}

#[test]
fn checksums_of_uploads_are_composite_or_of_the_whole() {
    let store = Store::new();
    run(async {
        for (algorithm, kind) in [
            (ChecksumAlgorithm::Sha256, ChecksumType::Composite),
            (ChecksumAlgorithm::Crc32, ChecksumType::Composite),
            (ChecksumAlgorithm::Crc32c, ChecksumType::FullObject),
        ] {
            let (one, two) = (bytes(1, MIN), bytes(2, 77));
            let request = CreateUpload {
                checksum_algorithm: Some(algorithm),
                checksum_type: Some(kind),
                ..CreateUpload::default()
            };
            let grant = on(Action::PutObject, "k");
            let id = store.objects.create_upload(&grant, request).await.unwrap().upload_id;
            let first = part(&store, "k", &id, 1, &one).await.unwrap();
            let second = part(&store, "k", &id, 2, &two).await.unwrap();
            assert_eq!(second.checksum, Some(checksum(algorithm, &two)));
            let other = Put {
                checksum: ChecksumRequest {
                    algorithm: Some(ChecksumAlgorithm::Sha1),
                    ..ChecksumRequest::default()
                },
                ..Put::default()
            };
            let error = refused(part_with(&store, "k", &id, 3, b"x", other).await);
            assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
            let info = complete(&store, "k", &id, listed(&[first, second])).await.unwrap();
            let sums = [checksum(algorithm, &one), checksum(algorithm, &two)];
            let expected = match kind {
                ChecksumType::Composite => composite(algorithm, sums.iter()),
                ChecksumType::FullObject => checksum(algorithm, &[one, two].concat()),
            };
            assert_eq!(info.checksum, Some(expected));
        }
        // An upload that names no algorithm takes parts of any.
        let id = create(&store, "k").await;
        let put = Put {
            checksum: ChecksumRequest {
                expected: Some(checksum(ChecksumAlgorithm::Crc32, b"part")),
                ..ChecksumRequest::default()
            },
            ..Put::default()
        };
        let only = part_with(&store, "k", &id, 1, b"part", put).await.unwrap();
        assert_eq!(only.checksum, Some(checksum(ChecksumAlgorithm::Crc32, b"part")));
        let info = complete(&store, "k", &id, listed(&[only])).await.unwrap();
        assert_eq!(info.checksum, Some(checksum(ChecksumAlgorithm::Crc64Nvme, b"part")));
    });
    store.check();
}

#[test]
fn aborting_frees_the_parts_and_so_does_deleting_the_bucket() {
    let store = Store::new();
    run(async {
        let id = create(&store, "k").await;
        part(&store, "k", &id, 1, &bytes(1, 40_000)).await.unwrap();
        let grant = on(Action::PutObject, "k");
        let mut late = store.objects.upload_part(&grant, &id, 2, Put::default()).await.unwrap();
        late.write(Bytes::from(bytes(2, 30_000))).await.unwrap();
        let abort = on(Action::AbortMultipartUpload, "k");
        store.objects.abort_upload(&abort, &id).await.unwrap();
        assert_eq!(refused(late.finish_part(None).await), Error::NoSuchUpload);
        assert_eq!(refused(store.objects.abort_upload(&abort, &id).await), Error::NoSuchUpload);
        assert_eq!(store.live_bytes(), 0);
        store.check();
        for i in 0..30 {
            let id = create(&store, &format!("key {i}")).await;
            for number in 1..=(i % 4) {
                part(&store, &format!("key {i}"), &id, number, &bytes(2, 100)).await.unwrap();
            }
        }
        assert_eq!(store.objects.usage().unwrap().uploads, 30);
        store.objects.delete_bucket(&on_bucket(Action::DeleteBucket, "bkt")).await.unwrap();
        assert_eq!(store.objects.usage().unwrap(), coffer_objects::Usage::default());
        assert_eq!(store.rows(b'P') + store.rows(b'U'), 0);
    });
    store.check();
}

#[test]
fn parts_are_copied_from_ranges_of_objects() {
    let store = Store::new();
    let source = bytes(4, MIN + 5000);
    run(async {
        store.put("source", &source).await.unwrap();
        let id = create(&store, "k").await;
        let read = on(Action::GetObject, "source");
        let write = on(Action::PutObject, "k");
        let copy = |number, range| {
            let request = CopyPart { range, ..CopyPart::default() };
            store.objects.upload_part_copy(&read, &write, &id, number, request)
        };
        let first = copy(1, None).await.unwrap();
        assert_eq!(first.info.etag, hex(&md5(&source)));
        let second = copy(2, Some(ByteRange::FromTo(10, 19))).await.unwrap();
        assert_eq!(second.info.etag, hex(&md5(&source[10..20])));
        for bad in
            [ByteRange::FromTo(0, source.len() as u64), ByteRange::From(0), ByteRange::Suffix(5)]
        {
            let error = refused(copy(3, Some(bad)).await);
            assert!(matches!(error, Error::InvalidArgument(_)), "{error:?}");
        }
        complete(&store, "k", &id, listed(&[first.info, second.info])).await.unwrap();
        let whole = [&source[..], &source[10..20]].concat();
        assert!(store.get("k").await.unwrap() == whole);
    });
    store.check();
}

#[test]
fn uploads_and_parts_are_listed_page_by_page() {
    let store = Store::new();
    run(async {
        let mut expected = Vec::new();
        for key in ["a/1", "a/2", "b", "b", "b", "c/1", "c/2", "d\0", "é"] {
            expected.push((key.to_owned(), create(&store, key).await));
        }
        let ids: Vec<_> = expected.iter().map(|(_, id)| id.clone()).collect();
        assert!(ids.is_sorted(), "ids sort by initiation");
        let list = |query: ListUploads| {
            let grant = on_bucket(Action::ListBucketMultipartUploads, "bkt");
            let objects = store.objects.clone();
            async move { objects.list_uploads(&grant, query).await.unwrap() }
        };
        for max in [1, 2, 3, 1000] {
            for (delimiter, names) in
                [(None, "a/1 a/2 b b b c/1 c/2 d\0 é"), (Some("/"), "a/ b b b c/ d\0 é")]
            {
                let mut seen = Vec::new();
                let mut query = ListUploads {
                    delimiter: delimiter.map(str::to_owned),
                    max,
                    ..ListUploads::default()
                };
                loop {
                    let page: UploadPage = list(query.clone()).await;
                    let mut names: Vec<_> =
                        page.uploads.iter().map(|u| (u.key.clone(), u.upload_id.clone())).collect();
                    names.extend(page.prefixes.iter().map(|p| (p.clone(), String::new())));
                    names.sort();
                    assert!(names.len() <= max);
                    seen.extend(names);
                    if !page.truncated {
                        break;
                    }
                    (query.key_after, query.upload_after) = (page.next_key, page.next_upload);
                }
                let keys: Vec<_> = seen.iter().map(|(key, _)| key.as_str()).collect();
                assert_eq!(keys, names.split(' ').collect::<Vec<_>>(), "{max} {delimiter:?}");
            }
        }
        let page = list(ListUploads {
            key_after: Some("b".to_owned()),
            max: 1000,
            ..ListUploads::default()
        })
        .await;
        assert_eq!(page.uploads[0].key, "c/1", "without an upload marker the key is done");
        let page = list(ListUploads { prefix: "c".to_owned(), max: 9, ..ListUploads::default() });
        assert_eq!(page.await.uploads.len(), 2);

        let id = &ids[2];
        for number in [1, 2, 5, 9999] {
            part(&store, "b", id, number, b"x").await.unwrap();
        }
        let list = |after, max| {
            let grant = grant(Action::ListMultipartUploadParts, Resource::object("bkt", "b"));
            let (objects, id) = (store.objects.clone(), id.clone());
            async move { objects.list_parts(&grant, &id, after, max).await }
        };
        let page = list(0, 3).await.unwrap();
        let numbers: Vec<_> = page.parts.iter().map(|part| part.number).collect();
        assert_eq!((numbers, page.truncated, page.next), (vec![1, 2, 5], true, Some(5)));
        let page = list(5, 3).await.unwrap();
        let numbers: Vec<_> = page.parts.iter().map(|part| part.number).collect();
        assert_eq!((numbers, page.truncated, page.next), (vec![9999], false, None));
        assert!(!list(0, 0).await.unwrap().truncated);
    });
    store.check();
}

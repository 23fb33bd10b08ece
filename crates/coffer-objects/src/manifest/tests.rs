//! Manifests too large for their row. Their extents are made up, as making real ones takes
//! gigabytes; nothing here reads them.

use std::sync::Arc;

use coffer_base::drive::{Drive, SimWorld};
use coffer_base::rng::SeededRng;
use coffer_base::{Ack, SegmentId, StillClock, Timestamp};
use coffer_catalog::{Catalog, MemEngine, Sequencing, decode_counters};
use coffer_iam::{Action, Ask, Grant, Principal, Resource, authorize};
use coffer_log::{Lane, LogOptions, Seams};

use super::*;
use crate::blocking::InlineBlocking;
use crate::etag::Etag;
use crate::payload::Payload;
use crate::put::NewObject;
use crate::rows::blob::BlobPart;
use crate::rows::upload::PartRow;
use crate::types::{
    Checksum, ChecksumAlgorithm, Complete, CompletePart, CreateBucket, CreateUpload, Headers,
    WriteCondition,
};
use crate::{Copy, ObjectSeams};

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(crate) fn open() -> Objects {
    let world = SimWorld::new(1);
    let (clock, rng) = (Arc::new(StillClock), Arc::new(SeededRng::new(5)));
    let options = LogOptions { probe_interval: None, ..LogOptions::default() };
    let drives: Vec<Arc<dyn Drive>> = vec![world.drive("d")];
    let seams = Seams::inline(clock.clone(), rng.clone());
    let (log, lane, _) = Log::open(drives, options, seams).unwrap();
    let engine = Arc::new(MemEngine::new());
    let catalog = Catalog::open(log, lane, engine, Sequencing::Inline).unwrap();
    let seams = ObjectSeams { clock, rng, blocking: Arc::new(InlineBlocking) };
    Objects::open(catalog, seams).unwrap()
}

fn grant(action: Action, key: &str) -> Grant {
    let resource = match key {
        "" => Resource::bucket("bbb"),
        key => Resource::object("bbb", key),
    };
    let root = Principal::root("111122223333", "id");
    authorize(&root, &Ask::new(action, &resource)).unwrap()
}

/// So many that their counters do not fit the room of an ordinary commit.
const SEGMENTS: std::ops::Range<u64> = 0xab_0000..0xab_0000 + SEGMENTS_COUNT;
const SEGMENTS_COUNT: u64 = 2500;
const EXTENTS: u64 = 5000;

async fn put_scattered(objects: &Objects, key: &str) {
    let bucket = objects.bucket(&grant(Action::ListBucket, "")).await.unwrap();
    let extents = (0..EXTENTS).map(|i| Extent {
        segment: SegmentId(SEGMENTS.start + i % SEGMENTS_COUNT),
        offset: i << 20,
        len: 1000,
        row_bytes: 1000,
        checksum: 0,
    });
    let size = EXTENTS * 1000;
    let object = NewObject {
        size,
        etag: Etag::Single([0; 16]),
        checksum: None,
        headers: Headers::default(),
        payload: objects.stored_payload(size, Payload::Bulk(extents.collect())).await.unwrap(),
    };
    let condition = WriteCondition::default();
    objects.commit_object(Ack::All, bucket, key.to_owned(), condition, object).await.unwrap();
}

/// Live bytes of the made-up segments, and of all others.
fn live_bytes(objects: &Objects) -> (i64, i64) {
    let mut live = (0, 0);
    for entry in objects.catalog().snapshot().prefix(b"#G") {
        let (key, value) = entry.unwrap();
        let bytes = decode_counters(&value)[0];
        match keys::parse(&key) {
            Some(keys::Parsed::SegmentCounter(id)) if SEGMENTS.contains(&id.0) => live.0 += bytes,
            _ => live.1 += bytes,
        }
    }
    live
}

#[test]
fn a_large_manifest_is_kept_in_the_log_and_given_up_with_its_blob() {
    let objects = open();
    let size = EXTENTS as i64 * 1000;
    run(async {
        let options = CreateBucket::default();
        objects.create_bucket(&grant(Action::CreateBucket, ""), options).await.unwrap();
        put_scattered(&objects, "k").await;
        let found = objects.find(&grant(Action::GetObject, "k"), "k".to_owned(), None, true).await;
        let found = found.unwrap();
        let manifest = found.manifest.unwrap();
        assert_eq!(manifest.extents().count() as u64, EXTENTS);
        let own = manifest.encode_parts().len();
        assert!(own > MANIFEST_ROW_BYTES_MAX);
        assert_eq!(live_bytes(&objects), (size, own as i64));
        let at = keys::manifest(found.head.blob().unwrap());
        let row: Option<ManifestRow> = objects.catalog().row(&at).unwrap();
        assert!(matches!(row, Some(ManifestRow::InLog(_))));

        // Overwritten by another of its kind, shared, then deleted one by one.
        put_scattered(&objects, "k").await;
        assert_eq!(live_bytes(&objects), (size, own as i64));
        // The checksum of a copy would have to be read, so it must fail; nothing is left of it.
        let (read, write) = (grant(Action::GetObject, "k"), grant(Action::PutObject, "l"));
        assert!(objects.copy(&read, &write, Copy::default()).await.is_err());
        put_scattered(&objects, "l").await;
        for key in ["m", "n", "o"] {
            put_scattered(&objects, key).await;
        }
        // All their manifests are read at once: one run of the plan asks, one finds that it needs
        // more room for the counters, and one or two more until there is enough.
        let rejected = objects.catalog().status().unwrap().rejected;
        let keys = ["k", "l", "m", "n", "n", "o"].map(|key| grant(Action::DeleteObject, key));
        assert!(objects.delete_many(keys.to_vec()).await.iter().all(Result::is_ok));
        assert!(objects.catalog().status().unwrap().rejected - rejected <= 6);
        assert_eq!(live_bytes(&objects), (0, 0));
    });
}

#[test]
fn an_upload_of_ten_thousand_parts_is_completed() {
    complete_ten_thousand(2);
}

/// Each in 64 pieces: far more than a commit takes.
#[test]
fn an_upload_of_ten_thousand_scattered_parts_is_completed() {
    complete_ten_thousand(64);
}

fn complete_ten_thousand(pieces: u32) {
    const PARTS: u32 = 10_000;
    let objects = open();
    run(async {
        objects
            .create_bucket(&grant(Action::CreateBucket, ""), CreateBucket::default())
            .await
            .unwrap();
        let write = grant(Action::PutObject, "k");
        let upload = objects.create_upload(&write, CreateUpload::default()).await.unwrap();
        let id = crate::uploads::UploadId::parse(&upload.upload_id).unwrap();
        let part = move |number: u32| PartRow {
            size: 5 << 20,
            md5: [number as u8; 16],
            modified: Timestamp(1),
            checksum: Checksum::full(ChecksumAlgorithm::Crc64Nvme, vec![number as u8; 8]),
            asked_checksum: None,
            extents: (0..pieces)
                .map(|i| Extent {
                    segment: SegmentId(SEGMENTS.start + u64::from(number * pieces + i) % 50),
                    offset: u64::from(number) << 20,
                    len: (5 << 20) / u64::from(pieces),
                    row_bytes: 1 << 18,
                    checksum: 0,
                })
                .collect(),
        };
        for numbers in (1..=PARTS).collect::<Vec<_>>().chunks(1000) {
            let numbers = numbers.to_vec();
            let plan = move |txn: &mut Txn<'_>| -> Result<(), Refusal> {
                for number in &numbers {
                    let row = part(*number);
                    crate::replace::count_extents(txn, &row.extents, 1);
                    txn.put(&keys::part(id, *number), &row.encode());
                }
                Ok(())
            };
            objects.catalog().commit(Ack::All, 3 << 20, plan).await.unwrap();
        }
        let parts = (1..=PARTS).filter(|number| *number != 77).map(|number| CompletePart {
            number,
            etag: crate::digest::hex(&[number as u8; 16]),
            checksum: None,
        });
        let request = Complete { parts: parts.collect(), ..Complete::default() };
        let began = std::time::Instant::now();
        let info = objects.complete_upload(&write, &upload.upload_id, request.clone()).await;
        let info = info.unwrap();
        let took = began.elapsed();
        eprintln!("completing {PARTS} parts of {pieces} pieces each took {took:?}");
        assert_eq!(info.size, u64::from(PARTS - 1) * (5 << 20));
        let again = objects.complete_upload(&write, &upload.upload_id, request).await;
        assert_eq!(again, Ok(info.clone()));

        let found = objects.find(&grant(Action::GetObject, "k"), "k".to_owned(), None, true).await;
        let manifest = found.unwrap().manifest.unwrap();
        assert_eq!(manifest.size(), info.size);
        assert_eq!(manifest.parts[76], blob_part_of(part(78)));
        let own = manifest.encode_parts().len();
        assert_eq!(own > Lane::GROUP_BYTES_MAX, pieces == 64, "{own}");
        assert_eq!(live_bytes(&objects), (info.size as i64, own as i64));
        objects.delete(&grant(Action::DeleteObject, "k")).await.unwrap();
        assert_eq!(live_bytes(&objects), (0, 0));
    });
}

fn blob_part_of(part: PartRow) -> BlobPart {
    BlobPart { size: part.size, checksum: Some(part.checksum), extents: part.extents }
}

#[test]
fn manifests_are_kept_until_there_are_too_many() {
    let cache = ManifestCache::default();
    let manifest = Arc::new(Manifest::default());
    cache.insert(ObjectId(0), manifest.clone(), CACHED_BYTES_MAX + 1);
    assert!(cache.get(ObjectId(0)).is_none());
    for blob in 1..=4 {
        cache.insert(ObjectId(blob), manifest.clone(), CACHED_BYTES_MAX / 4);
        cache.insert(ObjectId(blob), manifest.clone(), CACHED_BYTES_MAX / 4);
    }
    assert!(cache.get(ObjectId(1)).is_some());
    cache.insert(ObjectId(5), manifest, 1);
    let kept = (1..=5).filter(|blob| cache.get(ObjectId(*blob)).is_some());
    assert_eq!(kept.collect::<Vec<_>>(), [1, 3, 4, 5]);
}

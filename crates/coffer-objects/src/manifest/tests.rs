//! Manifests too large for their row. Their extents are made up, as making real ones takes
//! gigabytes; nothing here reads them.

use std::sync::Arc;
use std::time::Duration;

use coffer_base::drive::{Drive, SimWorld};
use coffer_base::rng::SeededRng;
use coffer_base::{Ack, Clock, SegmentId, Timestamp};
use coffer_catalog::{Catalog, MemEngine, Sequencing, decode_counters};
use coffer_iam::{Action, Grant, Principal, Resource, authorize};
use coffer_log::{LogOptions, Seams};

use super::*;
use crate::blocking::InlineBlocking;
use crate::etag::Etag;
use crate::payload::Payload;
use crate::put::{NewObject, StoredPayload};
use crate::types::{CreateBucket, Headers, WriteCondition};
use crate::{Copy, ObjectSeams};

struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(1)
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn open() -> Objects {
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
    authorize(&Principal::root("id"), action, &resource).unwrap()
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
        payload: StoredPayload::new(size, Payload::Bulk(extents.collect())),
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
        let found = objects.find(&grant(Action::GetObject, "k"), "k".to_owned(), true).await;
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
        let both = ["k", "l"].map(|key| grant(Action::DeleteObject, key));
        assert_eq!(objects.delete_many(both.to_vec()).await, [Ok(()), Ok(())]);
        assert_eq!(live_bytes(&objects), (0, 0));
    });
}

//! A store in memory, and short words for what tests do with it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use coffer_base::drive::{Drive, SimWorld};
use coffer_base::rng::SeededRng;
use coffer_base::{Clock, Timestamp};
use coffer_catalog::{Catalog, Engine, MemEngine, Sequencing};
use coffer_iam::{Action, Ask, Grant, Principal, Resource, authorize};
use coffer_log::{Log, LogOptions, Seams};
use coffer_objects::fsck::{FsckOptions, fsck_with};
use coffer_objects::{
    Checksum, CreateBucket, Error, Get, Headers, InlineBlocking, ObjectInfo, ObjectSeams, Objects,
    Put, Result, Versioning,
};

/// Small, so that tests need few bytes to have bulk payloads.
pub const BULK_THRESHOLD_BYTES: usize = 16 << 10;

/// Counts a second at every look.
#[derive(Default)]
pub struct TickingClock(AtomicU64);

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + 1000 * self.0.fetch_add(1, Ordering::Relaxed))
    }
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

pub struct Store {
    pub world: SimWorld,
    pub objects: Objects,
    engine: Arc<dyn Engine>,
    rng: Arc<SeededRng>,
    clock: Arc<TickingClock>,
    drives: usize,
    commit_segment_bytes: u64,
}

/// Runs a future that never waits for anything but itself.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(future)
}

impl Store {
    /// An empty store on one drive, with the bucket `bkt`.
    pub fn new() -> Store {
        let store = Store::empty(1, 1 << 20);
        run(store.create_bucket("bkt"));
        store
    }

    pub fn empty(drives: usize, commit_segment_bytes: u64) -> Store {
        Store::with_engine(Arc::new(MemEngine::new()), drives, commit_segment_bytes)
    }

    pub fn with_engine(engine: Arc<dyn Engine>, drives: usize, commit_segment_bytes: u64) -> Store {
        let world = SimWorld::new(1);
        let rng = Arc::new(SeededRng::new(11));
        let clock = Arc::new(TickingClock::default());
        let objects = open(&world, &engine, &rng, &clock, drives, commit_segment_bytes);
        Store { world, objects, engine, rng, clock, drives, commit_segment_bytes }
    }

    /// Stops cleanly and starts again, with the index as it was or (`lost`) from the log alone.
    pub fn reopen(&mut self, lost: bool) {
        self.objects.catalog().close().unwrap();
        if lost {
            self.engine = Arc::new(MemEngine::new());
        }
        self.objects = open(
            &self.world,
            &self.engine,
            &self.rng,
            &self.clock,
            self.drives,
            self.commit_segment_bytes,
        );
    }

    pub async fn create_bucket(&self, bucket: &str) {
        let grant = on_bucket(Action::CreateBucket, bucket);
        let options = CreateBucket { region: "r".to_owned(), ack: None };
        self.objects.create_bucket(&grant, options).await.unwrap();
    }

    /// Of the bucket `bkt`.
    pub async fn set_versioning(&self, versioning: Versioning) {
        let grant = on_bucket(Action::PutBucketVersioning, "bkt");
        self.objects.set_bucket_versioning(&grant, versioning).await.unwrap();
    }

    pub async fn put(&self, key: &str, body: &[u8]) -> Result<ObjectInfo> {
        self.put_with(key, body, Put::default(), None).await
    }

    pub async fn put_with(
        &self,
        key: &str,
        body: &[u8],
        put: Put,
        trailer: Option<Checksum>,
    ) -> Result<ObjectInfo> {
        let mut writer = self.objects.put(&on(Action::PutObject, key), put).await?;
        for piece in body.chunks(5000) {
            writer.write(Bytes::copy_from_slice(piece)).await?;
        }
        writer.finish(trailer).await
    }

    pub async fn get(&self, key: &str) -> Result<Vec<u8>> {
        Ok(self.get_with(key, Get::default()).await?.0)
    }

    pub async fn get_with(&self, key: &str, get: Get) -> Result<(Vec<u8>, ObjectInfo)> {
        let action = match get.version {
            None => Action::GetObject,
            Some(_) => Action::GetObjectVersion,
        };
        let mut reader = self.objects.get(&on(action, key), get).await?;
        let mut body = Vec::new();
        while let Some(bytes) = reader.next().await {
            body.extend_from_slice(&bytes?);
        }
        assert_eq!(body.len() as u64, reader.range.end - reader.range.start);
        Ok((body, reader.info))
    }

    pub async fn delete(&self, key: &str) -> Result<()> {
        self.objects.delete(&on(Action::DeleteObject, key)).await.map(drop)
    }

    /// Everything agrees, also with the log replayed anew.
    pub fn check(&self) {
        let findings = self.findings();
        assert!(findings.is_empty(), "{findings:#?}");
    }

    pub fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        let fresh: Arc<dyn coffer_catalog::Engine> = Arc::new(MemEngine::new());
        let options = FsckOptions { fresh: Some(fresh), ..FsckOptions::default() };
        let report = fsck_with(self.objects.catalog(), options, &mut |finding| {
            findings.push(finding.to_string());
        })
        .unwrap();
        assert_eq!(report.findings as usize, findings.len());
        findings
    }

    /// Live bytes of all segments, by the counters.
    pub fn live_bytes(&self) -> i64 {
        let snapshot = self.objects.catalog().snapshot();
        let counters = snapshot.prefix(b"#G").map(|entry| entry.unwrap().1);
        counters.map(|value| coffer_catalog::decode_counters(&value)[0]).sum()
    }

    /// How many rows a subspace has.
    pub fn rows(&self, subspace: u8) -> usize {
        self.objects.catalog().snapshot().prefix(&[subspace]).count()
    }
}

fn open(
    world: &SimWorld,
    engine: &Arc<dyn Engine>,
    rng: &Arc<SeededRng>,
    clock: &Arc<TickingClock>,
    drives: usize,
    commit_segment_bytes: u64,
) -> Objects {
    let m = u8::from(drives > 1);
    let options = LogOptions {
        k: drives as u8 - m,
        m,
        commit_segment_bytes,
        bulk_file_bytes: 8 << 20,
        bulk_threshold_bytes: BULK_THRESHOLD_BYTES as u64,
        cell_bytes_max: 64 << 10,
        probe_interval: None,
        ..LogOptions::default()
    };
    let names = (0..drives).map(|i| format!("d{i}"));
    let drives = names.map(|name| world.drive(&name) as Arc<dyn Drive>).collect();
    let seams = Seams::inline(clock.clone(), rng.clone());
    let (log, lane, _) = Log::open(drives, options, seams).unwrap();
    let catalog = Catalog::open(log, lane, engine.clone(), Sequencing::Inline).unwrap();
    let blocking = Arc::new(InlineBlocking);
    let seams = ObjectSeams { clock: clock.clone(), rng: rng.clone(), blocking };
    Objects::open(catalog, seams).unwrap()
}

pub fn grant(action: Action, resource: Resource) -> Grant {
    let root = Principal::root("111122223333", "root-id");
    authorize(&root, &Ask::new(action, &resource)).unwrap()
}

/// On an object of the bucket `bkt`.
pub fn on(action: Action, key: &str) -> Grant {
    grant(action, Resource::object("bkt", key))
}

pub fn on_bucket(action: Action, bucket: &str) -> Grant {
    grant(action, Resource::bucket(bucket))
}

pub fn on_store(action: Action) -> Grant {
    grant(action, Resource::store())
}

/// Bytes that differ by seed.
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out
}

pub fn content_type(value: &str) -> Headers {
    Headers { content_type: Some(value.to_owned()), ..Headers::default() }
}

/// The refusal of something that must be refused.
pub fn refused<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error,
    }
}

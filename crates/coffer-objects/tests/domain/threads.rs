//! The same on threads: many callers at once, commits in groups.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use coffer_base::Drive;
use coffer_base::drive::SimWorld;
use coffer_base::rng::{Rng, SeededRng};
use coffer_catalog::{Catalog, MemEngine, Sequencing};
use coffer_iam::Action;
use coffer_log::{Log, LogOptions, Seams};
use coffer_objects::blocking::{Blocking, Job};
use coffer_objects::digest::{hex, md5};
use coffer_objects::fsck::fsck;
use coffer_objects::{
    Copy, CreateBucket, Error, Get, ObjectSeams, Objects, Put, Result, WriteCondition,
};

use crate::store::{BULK_THRESHOLD_BYTES, TickingClock, bytes, on, on_bucket};

struct Threads;

impl Blocking for Threads {
    fn run(&self, job: Job) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let running = tokio::task::spawn_blocking(job);
        Box::pin(async move { running.await.unwrap() })
    }
}

fn open() -> Objects {
    let world = SimWorld::new(1);
    let (clock, rng) = (Arc::new(TickingClock::default()), Arc::new(SeededRng::new(3)));
    let drives: Vec<Arc<dyn Drive>> =
        (0..3).map(|i| world.drive(&format!("d{i}")) as Arc<dyn Drive>).collect();
    let options = LogOptions {
        k: 2,
        m: 1,
        commit_segment_bytes: 1 << 20,
        bulk_threshold_bytes: BULK_THRESHOLD_BYTES as u64,
        row_memory_bytes: 1 << 20,
        probe_interval: None,
        ..LogOptions::default()
    };
    let (log, lane, _) =
        Log::open(drives, options, Seams::inline(clock.clone(), rng.clone())).unwrap();
    let engine = Arc::new(MemEngine::new());
    let catalog = Catalog::open(log, lane, engine, Sequencing::Thread).unwrap();
    Objects::open(catalog, ObjectSeams { clock, rng, blocking: Arc::new(Threads) }).unwrap()
}

async fn put(objects: &Objects, key: &str, body: Vec<u8>, put: Put) -> Result<String> {
    let mut writer = objects.put(&on(Action::PutObject, key), put).await?;
    writer.write(body.into()).await?;
    Ok(writer.finish(None).await?.etag)
}

/// Reads the whole object; its bytes must have its ETag, whoever overwrites it meanwhile.
async fn get(objects: &Objects, key: &str) -> Result<()> {
    let mut reader = objects.get(&on(Action::GetObject, key), Get::default()).await?;
    let mut body = Vec::new();
    while let Some(bytes) = reader.next().await {
        body.extend_from_slice(&bytes?);
    }
    assert_eq!(hex(&md5(&body)), reader.info.etag, "{key}");
    Ok(())
}

async fn worker(objects: Objects, seed: u64) {
    let rng = SeededRng::new(seed);
    for _ in 0..60 {
        let key = format!("k{}", rng.below(5));
        let near = BULK_THRESHOLD_BYTES as u64;
        let len = [100, near - 1, near, 200_000][rng.below(4) as usize] as usize;
        let done = match rng.below(6) {
            0..=1 => {
                put(&objects, &key, bytes(rng.next_u64(), len), Put::default()).await.map(drop)
            }
            2..=3 => get(&objects, &key).await,
            4 => {
                let (read, to) = (on(Action::GetObject, &key), format!("k{}", rng.below(5)));
                let write = on(Action::PutObject, &to);
                objects.copy(&read, &write, Copy::default()).await.map(drop)
            }
            _ => objects.delete(&on(Action::DeleteObject, &key)).await.map(drop),
        };
        match done {
            // A copy onto itself is an invalid request.
            Ok(()) | Err(Error::NoSuchKey | Error::InvalidRequest(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn many_at_once_leave_a_store_that_agrees() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let objects = open();
        let grant = on_bucket(Action::CreateBucket, "bkt");
        objects.create_bucket(&grant, CreateBucket::default()).await.unwrap();
        let workers: Vec<_> =
            (0..16).map(|seed| tokio::spawn(worker(objects.clone(), seed))).collect();
        for worker in workers {
            worker.await.unwrap();
        }
        // Of many that may only create, exactly one does.
        for size in [10, 30_000] {
            let key = format!("once {size}");
            let attempts: Vec<_> = (0..20)
                .map(|seed| {
                    let (objects, key) = (objects.clone(), key.clone());
                    let condition = WriteCondition { if_none_match_any: true, if_match: None };
                    let request = Put { condition, ..Put::default() };
                    tokio::spawn(async move {
                        put(&objects, &key, bytes(seed, size), request).await.is_ok()
                    })
                })
                .collect();
            let mut created = 0;
            for attempt in attempts {
                created += usize::from(attempt.await.unwrap());
            }
            assert_eq!(created, 1);
        }
        let mut findings = Vec::new();
        fsck(objects.catalog(), &mut |finding| findings.push(finding.to_string())).unwrap();
        assert!(findings.is_empty(), "{findings:#?}");
        objects.catalog().close().unwrap();
        let late = put(&objects, "late", vec![1], Put::default()).await;
        assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    });
}

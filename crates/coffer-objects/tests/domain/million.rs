//! How long a page of a listing takes over a million keys, with the real engine. A measurement:
//! `cargo test --release -p coffer-objects --test domain -- --ignored --nocapture million`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_catalog::{EngineOptions, LsmEngine};
use coffer_iam::Action;
use coffer_objects::{List, ListAfter};

use crate::store::{Store, on_bucket, run};

const KEYS: usize = 1_000_000;

#[test]
#[ignore = "takes minutes, and means something in release only"]
fn a_page_over_a_million_keys_takes_less_than_10_ms() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LsmEngine::open(&dir.path().join("index"), EngineOptions::default()).unwrap();
    let store = Store::with_engine(Arc::new(engine), 1, 64 << 20);
    run(async {
        store.create_bucket("bkt").await;
        let began = Instant::now();
        for i in 0..KEYS {
            // Ten directories of 100,000 keys, each of ten of 10,000, in no order.
            let i = (i * 7_919) % KEYS;
            let key = format!("dir-{}/sub-{}/object-{i:07}", i % 10, i / 10 % 10);
            store.put(&key, b"").await.unwrap();
        }
        println!("{KEYS} keys in {:?}", began.elapsed());
        for (name, prefix, delimiter) in [
            ("by prefix", "dir-3/", None),
            ("below few prefixes, with a delimiter", "", Some("/")),
            ("below a prefix, with a delimiter", "dir-3/", Some("/")),
            ("keys with a delimiter", "dir-3/sub-4/", Some("/")),
            ("each key a prefix", "dir-3/", Some("-")),
            ("each key a prefix of its own", "dir-3/sub-4/", Some("1")),
        ] {
            let mut times = Vec::new();
            let mut after: Option<ListAfter> = None;
            let mut entries = 0;
            for _ in 0..50 {
                let query = List {
                    prefix: prefix.to_owned(),
                    delimiter: delimiter.map(str::to_owned),
                    after: after.take(),
                    max: 1000,
                };
                let grant = on_bucket(Action::ListBucket, "bkt");
                let began = Instant::now();
                let page = store.objects.list(&grant, query).await.unwrap();
                times.push(began.elapsed());
                entries += page.entries.len();
                after = page.next;
            }
            times.sort();
            println!(
                "{name}: {entries} entries in 50 pages, median {:?}, slowest {:?}",
                times[25], times[49]
            );
            assert!(times[25] < Duration::from_millis(10), "{name}");
        }
    });
}

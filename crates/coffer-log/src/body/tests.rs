//! Reading what is in memory without waiting.

use std::sync::Arc;

use coffer_base::drive::{Drive, RealDrive};
use coffer_base::pool::ThreadPool;
use coffer_base::rng::SeededRng;
use coffer_base::{Ack, StillClock};

use crate::{Log, LogOptions, Seams};

#[test]
fn what_is_read_now_is_what_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let drives = (0..3).map(|i| {
            let drive = RealDrive::create(&dir.path().join(format!("d{i}"))).unwrap();
            Arc::new(drive) as Arc<dyn Drive>
        });
        let pool = |name| Arc::new(ThreadPool::new(name, 2).unwrap());
        let seams = Seams {
            clock: Arc::new(StillClock),
            rng: Arc::new(SeededRng::new(1)),
            drives: crate::DriveThreads::Own,
            background: pool("background"),
        };
        let options = LogOptions {
            k: 2,
            m: 1,
            commit_segment_bytes: 64 << 10,
            probe_interval: None,
            ..LogOptions::default()
        };
        Log::open(drives.collect(), options, seams).unwrap()
    };
    let (log, mut lane, _) = open();
    let body = |i: usize| vec![i as u8; 1 + i * 97 % 9000];
    let mut kept = Vec::new();
    for i in 0..100 {
        let mut group = lane.begin(10_000).unwrap();
        kept.push((group.payload(&body(i)), i));
        lane.commit(group, Ack::All).unwrap();
    }
    let check = |log: &Log| {
        let mut now = 0;
        for (extent, i) in &kept {
            let range = extent.len / 3..extent.len;
            let expected = &body(*i)[range.start as usize..];
            assert_eq!(log.read(extent, range.clone()).unwrap(), expected);
            if let Some(read) = log.read_now(extent, range) {
                assert_eq!(read, expected);
                now += 1;
            }
            // Right bytes that are not those that are looked for.
            let other = crate::Extent { checksum: extent.checksum ^ 1, ..*extent };
            assert_eq!(log.read_now(&other, 0..1), None);
        }
        now
    };
    // How many is the business of the file system, which may not know how at all.
    let open_ones = check(&log);
    log.close(lane).unwrap();
    let (log, lane, _) = open();
    let sealed_ones = check(&log);
    assert_eq!(open_ones > 0, sealed_ones > 0, "{open_ones} and {sealed_ones} of 100");
    log.close(lane).unwrap();
}

//! Memory of bodies on their way in.

use coffer_base::StillClock;
use coffer_base::drive::{Drive, SimWorld};
use coffer_base::rng::SeededRng;
use coffer_log::{Lane, LogOptions, Seams};

use super::*;
use crate::blocking::InlineBlocking;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

struct Store {
    log: Log,
    _lane: Lane,
    blocking: Arc<dyn Blocking>,
    hashing: Hashing,
    crowd: Crowd,
}

impl Store {
    fn new() -> Store {
        let world = SimWorld::new(1);
        let options = LogOptions { k: 4, m: 2, probe_interval: None, ..LogOptions::default() };
        let drives = (0..6).map(|i| world.drive(&format!("d{i}")) as Arc<dyn Drive>);
        let seams = Seams::inline(Arc::new(StillClock), Arc::new(SeededRng::new(1)));
        let (log, lane, _) = Log::open(drives.collect(), options, seams).unwrap();
        let blocking = Arc::new(InlineBlocking);
        let hashing = Hashing::new(blocking.clone());
        Store { log, _lane: lane, blocking, hashing, crowd: Crowd::default() }
    }

    fn intake(&self, announced: Option<u64>) -> Intake {
        let seams = IntakeSeams {
            blocking: self.blocking.clone(),
            hashing: self.hashing.clone(),
            crowd: &self.crowd,
        };
        Intake::new(&self.log, seams, announced, &[]).unwrap()
    }

    fn row_memory_bytes(&self) -> u64 {
        self.log.status().row_memory_bytes
    }

    fn read(&self, payload: Payload) -> Vec<u8> {
        match payload {
            Payload::Inline(bytes) => bytes.to_vec(),
            Payload::Bulk(extents) => {
                let read = extents.iter().map(|e| self.log.read(e, 0..e.len).unwrap());
                read.collect::<Vec<_>>().concat()
            }
        }
    }
}

fn body(seed: u8, len: usize) -> Bytes {
    (0..len).map(|i| (i * 7 + i / 251) as u8 ^ seed).collect()
}

#[test]
fn slow_bodies_hold_little_and_no_row() {
    let store = Store::new();
    run(async {
        let whole = body(1, 1 << 20);
        let mut slow: Vec<_> = (0..1000).map(|_| store.intake(Some(1 << 20))).collect();
        // Evenly slow: each holds a little.
        for (i, intake) in slow.iter_mut().enumerate() {
            for piece in 0..10 {
                intake.write(whole.slice(piece * 9000..(piece + 1) * 9000)).await.unwrap();
            }
            assert!(intake.batch.bytes <= 90_000);
            assert_eq!(store.row_memory_bytes(), 0, "upload {i}");
        }
        let held: usize = slow.iter().map(|intake| intake.batch.bytes).sum();
        assert!(held <= 64 << 20, "{held}");
        // A fast one finds room.
        let large = body(2, 5 << 20);
        let mut fast = store.intake(Some(large.len() as u64));
        for piece in large.chunks(100_000) {
            fast.write(Bytes::copy_from_slice(piece)).await.unwrap();
            assert!(fast.batch.bytes < 200_000);
        }
        let (payload, digests) = fast.finish(|_| Ok(())).await.unwrap();
        assert!(store.read(payload) == large);
        assert_eq!(digests.md5, crate::digest::md5(&large));
        // The slow ones end well, too.
        for mut intake in slow.drain(..8) {
            intake.write(whole.slice(90_000..)).await.unwrap();
            let (payload, digests) = intake.finish(|_| Ok(())).await.unwrap();
            assert!(store.read(payload) == whole);
            assert_eq!(digests.md5, crate::digest::md5(&whole));
        }
        assert_eq!(store.row_memory_bytes(), 0);
    });
}

#[test]
fn alone_a_body_of_one_row_is_gathered_and_many_tiny_pieces_are_joined() {
    let store = Store::new();
    run(async {
        for (len, announced) in [
            (0, true),
            (1, false),
            (255 << 10, true),
            (256 << 10, true),
            (256 << 10, false),
            (1 << 20, true),
            (3_000_001, true),
            (3_000_001, false),
        ] {
            let whole = body(3, len);
            let mut intake = store.intake(announced.then_some(len as u64));
            for piece in whole.chunks(1013) {
                intake.write(Bytes::copy_from_slice(piece)).await.unwrap();
                assert!(intake.batch.pieces.len() <= 17);
                assert_eq!(store.row_memory_bytes(), 0);
            }
            let (payload, digests) = intake.finish(|_| Ok(())).await.unwrap();
            let is_inline = matches!(payload, Payload::Inline(_));
            assert_eq!(is_inline, len < 256 << 10, "{len}");
            assert_eq!(digests.md5, crate::digest::md5(&whole));
            assert!(store.read(payload) == whole, "{len}");
        }
        // Refused, in both ways.
        for len in [100, 300 << 10] {
            let mut intake = store.intake(None);
            intake.write(body(4, len)).await.unwrap();
            let refused = intake.finish(|_| Err(Error::IncompleteBody)).await;
            assert!(matches!(refused, Err(Error::IncompleteBody)));
            let mut long = store.intake(Some(len as u64));
            assert_eq!(long.write(body(4, len + 1)).await, Err(Error::IncompleteBody));
            assert!(matches!(long.write(Bytes::new()).await, Err(Error::Unavailable(_))));
            let mut short = store.intake(Some(len as u64));
            short.write(body(4, len - 1)).await.unwrap();
            assert!(matches!(short.finish(|_| Ok(())).await, Err(Error::IncompleteBody)));
        }
    });
}

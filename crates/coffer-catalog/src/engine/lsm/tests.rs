use std::collections::BTreeMap;

use coffer_base::rng::SeededRng;
use coffer_base::{Position, Rng};
use coffer_log::Mark;

use super::*;
use crate::engine::MemEngine;

mod flips;

fn mark(position: u64) -> Mark {
    Mark { position: Position(position), ..Mark::default() }
}

fn small() -> EngineOptions {
    EngineOptions { cache_bytes: 1 << 20, write_buffer_bytes: 64 << 10, hot_bytes: 64 << 10 }
}

fn put(key: &str, value: &[u8]) -> Write {
    Write::Put { key: Bytes::from(key.to_owned()), value: Bytes::copy_from_slice(value) }
}

fn all(snapshot: &dyn EngineSnapshot) -> Vec<(Bytes, Bytes)> {
    snapshot.range(Bound::Unbounded, Bound::Unbounded).map(Result::unwrap).collect()
}

/// The state after batch `n` of a load that overwrites and deletes.
fn batch(rng: &SeededRng) -> Vec<Write> {
    let mut writes = BTreeMap::new();
    for _ in 0..rng.below(40) {
        let key = Bytes::from(format!("k{:05}", rng.below(3000)));
        let write = if rng.below(3) == 0 {
            Write::Delete { key: key.clone() }
        } else {
            let mut value = vec![0u8; rng.below(120) as usize];
            rng.fill(&mut value);
            Write::Put { key: key.clone(), value: value.into() }
        };
        writes.insert(key, write);
    }
    writes.into_values().collect()
}

#[test]
fn it_agrees_with_the_model_through_flushes_merges_and_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let model = MemEngine::new();
    let rng = SeededRng::new(3);
    let mut position = 0;
    for round in 0..6 {
        let engine = LsmEngine::open(dir.path(), small()).unwrap();
        assert_eq!(engine.mark().unwrap(), model.mark().unwrap(), "round {round}");
        assert!(all(&*engine.snapshot()) == all(&*model.snapshot()), "round {round}");
        let mut held = Vec::new();
        for n in 0..300 {
            position += 1;
            let writes = batch(&rng);
            engine.check().unwrap();
            engine.apply(writes.clone(), mark(position)).unwrap();
            model.apply(writes, mark(position)).unwrap();
            if n % 100 == 50 {
                held.push((engine.snapshot(), model.snapshot()));
            }
            let key = format!("k{:05}", rng.below(3000));
            assert_eq!(engine.get(key.as_bytes()).unwrap(), model.get(key.as_bytes()).unwrap());
        }
        for (engine, model) in held {
            let (engine, model) = (all(&*engine), all(&*model));
            assert!(engine == model, "a snapshot moved");
            assert!(engine.into_iter().rev().eq(model.into_iter().rev()));
        }
        let (lo, hi) = (Bound::Excluded(&b"k00500"[..]), Bound::Included(&b"k01500"[..]));
        let (ours, theirs) = (engine.snapshot(), model.snapshot());
        let backwards = |s: &dyn EngineSnapshot| -> Vec<_> {
            s.range(lo, hi).rev().take(100).map(Result::unwrap).collect()
        };
        assert_eq!(backwards(&*ours), backwards(&*theirs));
        engine.persist().unwrap();
    }
    assert!(LsmEngine::open(dir.path(), small()).unwrap().disk_bytes() > 0);
}

/// Dropping without persisting keeps what a kill keeps: the tables that were written.
#[test]
fn what_is_found_after_a_stop_is_the_state_at_its_mark() {
    let dir = tempfile::tempdir().unwrap();
    let rng = SeededRng::new(4);
    let mut batches = Vec::new();
    let mut older = 0;
    for _round in 0..10 {
        let engine = LsmEngine::open(dir.path(), small()).unwrap();
        let found = engine.mark().unwrap().map_or(0, |mark| mark.position.0);
        assert!(found >= older && found as usize <= batches.len());
        older = found;
        batches.truncate(found as usize);
        let model = MemEngine::new();
        for writes in &batches {
            let writes: &Vec<Write> = writes;
            model.apply(writes.clone(), mark(0)).unwrap();
        }
        assert!(all(&*engine.snapshot()) == all(&*model.snapshot()), "at {found}");
        for _ in 0..200 + rng.below(200) {
            batches.push(batch(&rng));
            let writes = batches.last().unwrap().clone();
            engine.apply(writes, mark(batches.len() as u64)).unwrap();
        }
    }
    assert!(older > 500, "tables were written on the way: {older}");
}

#[test]
fn a_snapshot_never_shows_half_a_batch() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LsmEngine::open(dir.path(), small()).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..3000u64 {
                let value = [&n.to_le_bytes()[..], &[7; 100]].concat();
                let writes = (0..10).map(|k| put(&format!("k{k}"), &value)).collect();
                engine.check().unwrap();
                engine.apply(writes, mark(n + 1)).unwrap();
            }
        });
        let mut seen = 0;
        while !writer.is_finished() {
            let values: Vec<_> = all(&*engine.snapshot()).into_iter().map(|(_, v)| v).collect();
            assert!(values.is_empty() || values.len() == 10);
            assert!(values.windows(2).all(|pair| pair[0] == pair[1]));
            if let Some(first) = values.first() {
                let n = u64::from_le_bytes(first[..8].try_into().unwrap());
                assert!(n >= seen, "time went back");
                seen = n;
            }
        }
        writer.join().unwrap();
    });
}

#[test]
fn wiping_makes_it_empty_and_usable_and_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LsmEngine::open(dir.path(), small()).unwrap();
    engine.apply(vec![put("a", b"1")], mark(1)).unwrap();
    engine.persist().unwrap();
    engine.wipe().unwrap();
    assert_eq!(engine.mark().unwrap(), None);
    assert!(all(&*engine.snapshot()).is_empty());
    engine.apply(vec![put("b", b"2")], mark(9)).unwrap();
    engine.persist().unwrap();
    drop(engine);
    let engine = LsmEngine::open(dir.path(), small()).unwrap();
    assert_eq!(engine.mark().unwrap(), Some(mark(9)));
    assert_eq!(all(&*engine.snapshot()), [("b".into(), "2".into())]);
}

#[test]
fn a_second_engine_on_the_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = LsmEngine::open(dir.path(), small()).unwrap();
    let second = LsmEngine::open(dir.path(), small()).err().unwrap();
    assert!(matches!(second, EngineError::Io(what) if what.contains("another process")));
}

/// Every file of a written index in turn: removed, cut, or with one bit turned. Opening or
/// reading notices, or all entries are right; and wiping always helps.
#[test]
fn damage_is_noticed_and_wiping_helps() {
    let rng = SeededRng::new(5);
    let write_index = |dir: &Path| {
        let engine = LsmEngine::open(dir, small()).unwrap();
        for n in 1..=200u64 {
            let writes = (0..10).map(|k| put(&format!("k{:04}", n * 10 + k), &[n as u8; 90]));
            engine.apply(writes.collect(), mark(n)).unwrap();
        }
        engine.persist().unwrap();
        all(&*engine.snapshot())
    };
    let mut noticed = 0;
    for case in 0..60 {
        let dir = tempfile::tempdir().unwrap();
        let entries = write_index(dir.path());
        let mut files: Vec<_> = ["tree", "tree/tables"]
            .iter()
            .flat_map(|sub| fs::read_dir(dir.path().join(sub)).unwrap())
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        let victim = &files[case % files.len()];
        let mut bytes = fs::read(victim).unwrap();
        match rng.below(3) {
            0 => fs::remove_file(victim).unwrap(),
            1 => fs::write(victim, &bytes[..bytes.len() / 2]).unwrap(),
            _ => {
                let at = rng.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << rng.below(8);
                fs::write(victim, bytes).unwrap();
            }
        }
        let read = || -> Result<Vec<_>, EngineError> {
            let engine = LsmEngine::open(dir.path(), small())?;
            let snapshot = engine.snapshot();
            snapshot.range(Bound::Unbounded, Bound::Unbounded).collect()
        };
        match read() {
            Ok(found) if found == entries => {}
            Ok(found) => panic!("{}: {} entries", victim.display(), found.len()),
            Err(EngineError::Damaged(_)) => noticed += 1,
            Err(other) => panic!("{}: {other}", victim.display()),
        }
        let (engine, _) = LsmEngine::open_or_wipe(dir.path(), small()).unwrap();
        engine.wipe().unwrap();
        engine.apply(vec![put("x", b"y")], mark(1)).unwrap();
        engine.persist().unwrap();
        assert_eq!(all(&*engine.snapshot()).len(), 1);
    }
    assert!(noticed > 20, "{noticed}");
}

#[test]
fn damage_met_while_running_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LsmEngine::open(dir.path(), small()).unwrap();
    engine.core.damage.remember("for the test");
    assert!(matches!(engine.check(), Err(EngineError::Damaged(_))));
    drop(engine);
    let error = LsmEngine::open(dir.path(), small()).err().unwrap();
    assert!(matches!(error, EngineError::Damaged(_)));
    let (engine, why) = LsmEngine::open_or_wipe(dir.path(), small()).unwrap();
    assert!(why.is_some());
    engine.check().unwrap();
    drop(engine);
    assert!(LsmEngine::open_or_wipe(dir.path(), small()).unwrap().1.is_none());
}

#[test]
fn many_deletions_are_merged_away() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LsmEngine::open(dir.path(), small()).unwrap();
    let key = |n: u64| Bytes::from(format!("k{n:08}"));
    let mut position = 0;
    let mut apply = |writes| {
        position += 1;
        engine.check().unwrap();
        engine.apply(writes, mark(position)).unwrap();
    };
    for n in (0..80_000).step_by(500) {
        let value = Bytes::from_static(&[1; 20]);
        apply((n..n + 500).map(|n| Write::Put { key: key(n), value: value.clone() }).collect());
    }
    for n in (0..70_000).step_by(500) {
        apply((n..n + 500).map(|n| Write::Delete { key: key(n) }).collect());
    }
    engine.persist().unwrap();
    let patience = std::time::Instant::now();
    while engine.core.view().tree().tombstone_count() > 4096 {
        assert!(patience.elapsed() < Duration::from_secs(60), "deletions stay");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(all(&*engine.snapshot()).len(), 10_000);
}

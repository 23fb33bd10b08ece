//! Flipped bits in every file of an index: answers are right, or there is an error; never wrong
//! bytes, and never "no such key".

use std::path::Path;

use super::*;

/// An index with several tables, merged and not, and what is in it.
fn sample(dir: &Path) -> MemEngine {
    let model = MemEngine::new();
    let rng = SeededRng::new(11);
    let engine = LsmEngine::open(dir, small()).unwrap();
    for position in 1..=400 {
        let writes = batch(&rng);
        engine.check().unwrap();
        engine.apply(writes.clone(), mark(position)).unwrap();
        model.apply(writes, mark(position)).unwrap();
        if position % 130 == 0 {
            engine.persist().unwrap();
        }
    }
    engine.persist().unwrap();
    model
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

/// Whether anything failed; what did not is right.
fn failed_or_right(engine: &LsmEngine, model: &MemEngine) -> bool {
    let mut failed = engine.mark().map(|found| assert_eq!(found, model.mark().unwrap())).is_err();
    for n in 0..3000 {
        let key = format!("k{n:05}");
        match engine.get(key.as_bytes()) {
            Ok(value) => assert_eq!(value, model.get(key.as_bytes()).unwrap(), "{key}"),
            Err(_) => failed = true,
        }
    }
    let (ours, theirs) = (engine.snapshot(), model.snapshot());
    let mut expected = theirs.range(Bound::Unbounded, Bound::Unbounded);
    let mut complete = true;
    for entry in ours.range(Bound::Unbounded, Bound::Unbounded) {
        match entry {
            Ok(entry) => assert_eq!(Some(Ok(entry)), expected.next()),
            Err(_) => {
                complete = false;
                break;
            }
        }
    }
    if complete {
        assert!(expected.next().is_none(), "a scan ends early and says nothing");
    }
    failed || !complete
}

#[test]
fn a_flip_anywhere_is_an_error_or_does_no_harm() {
    let kept = tempfile::tempdir().unwrap();
    let model = sample(&kept.path().join("index"));
    let rng = SeededRng::new(12);
    let mut places = 0;
    let (mut at_open, mut later, mut harmless, mut wrong) = (0, 0, 0, Vec::new());
    for file in files(&kept.path().join("index/tree")) {
        let name = file.strip_prefix(kept.path().join("index")).unwrap().to_owned();
        let len = fs::metadata(&file).unwrap().len();
        // All of the small ones; of tables, some everywhere and the whole end, where all that
        // is not a block is.
        let mut bytes: Vec<u64> = match len {
            0..=700 => (0..len).collect(),
            _ => (0..120).map(|_| rng.below(len)).collect(),
        };
        if len > 700 {
            bytes.extend((len.saturating_sub(600)..len).step_by(5));
        }
        // And whatever says what a block is.
        let data = fs::read(&file).unwrap();
        let headers = data.windows(4).enumerate().filter(|(_, w)| w.starts_with(b"LSM"));
        let headers: Vec<u64> = headers.map(|(at, _)| at as u64).collect();
        for at in headers.iter().step_by(headers.len().div_ceil(4).max(1)) {
            bytes.extend(*at..(at + 36).min(len));
        }
        for byte in bytes {
            places += 1;
            let work = tempfile::tempdir().unwrap();
            let dir = work.path().join("index");
            copy(&kept.path().join("index"), &dir);
            let path = dir.join(&name);
            let mut data = fs::read(&path).unwrap();
            data[byte as usize] ^= 1 << rng.below(8);
            fs::write(&path, data).unwrap();
            let outcome = catch_unwind(AssertUnwindSafe(|| match LsmEngine::open(&dir, small()) {
                Err(EngineError::Damaged(_)) => 0,
                Err(error) => panic!("{error}"),
                Ok(engine) if failed_or_right(&engine, &model) => 1,
                Ok(_) => 2,
            }));
            match outcome {
                Ok(0) => at_open += 1,
                Ok(1) => later += 1,
                Ok(_) => harmless += 1,
                Err(_) => wrong.push(format!("{} byte {byte} of {len}", name.display())),
            }
        }
    }
    println!("{places} places: {at_open} at the opening, {later} later, {harmless} harmless");
    assert!(wrong.is_empty(), "{} of {places} wrong: {wrong:#?}", wrong.len());
    assert!(places > 500, "{places} places");
}

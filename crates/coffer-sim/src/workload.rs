//! Random operations.

use bytes::Bytes;
use coffer_base::Ack;
use coffer_base::rng::{Rng, SeededRng};
use coffer_objects as o;

use crate::model::Model;
use crate::step::{Content, Place, Step, UploadPlace};
use crate::store::BULK_THRESHOLD_BYTES;

const BUCKETS: [&str; 3] = ["alpha", "beta", "gamma-3"];
const KEYS: [&str; 14] = [
    "a",
    "a/1",
    "a/2",
    "a/b/1",
    "a0",
    "b/1",
    "b/2",
    "c",
    "dir/",
    "dir/x",
    "z\u{e9}",
    "\u{1f980}",
    "~",
    "q?&=%2F",
];

pub(crate) fn chance(rng: &SeededRng, of: u64, outcomes: u64) -> bool {
    rng.below(outcomes) < of
}

pub(crate) fn pick<'a, T>(rng: &SeededRng, from: &'a [T]) -> &'a T {
    &from[rng.below(from.len() as u64) as usize]
}

fn random_bytes(rng: &SeededRng, len: u64) -> Bytes {
    let mut bytes = vec![0; len as usize];
    rng.fill(&mut bytes);
    bytes.into()
}

fn random_body(rng: &SeededRng) -> Bytes {
    let len = match rng.below(10) {
        0 => 0,
        1..=4 => rng.below(600),
        5 | 6 => rng.below(BULK_THRESHOLD_BYTES),
        7 => BULK_THRESHOLD_BYTES - 1 + rng.below(3),
        8 => BULK_THRESHOLD_BYTES + rng.below(60_000),
        _ => 60_000 + rng.below(240_000),
    };
    random_bytes(rng, len)
}

fn random_content(rng: &SeededRng) -> Content {
    let mut headers = o::Headers::default();
    if chance(rng, 1, 2) {
        headers.content_type = Some(format!("text/x-{}", rng.below(100)));
    }
    if chance(rng, 1, 3) {
        let len = rng.below(60);
        headers.user.push(("note".to_owned(), random_bytes(rng, len).to_vec()));
    }
    Content { body: random_body(rng), headers }
}

/// The next operation, drawn for a store that holds `model`. With `weak_acks` some writes ask for
/// less than all drives; with `big_parts` some uploads have a part of full size.
pub fn next_step(rng: &SeededRng, model: &Model, weak_acks: bool, big_parts: bool) -> Step {
    let names: Vec<String> = model.buckets.keys().cloned().collect();
    if names.is_empty() || (names.len() < BUCKETS.len() && chance(rng, 1, 12)) {
        let free: Vec<_> = BUCKETS.iter().filter(|b| !model.buckets.contains_key(**b)).collect();
        return Step::CreateBucket((**pick(rng, &free)).to_owned());
    }
    let bucket = pick(rng, &names).clone();
    let held = &model.buckets[&bucket];
    if held.is_empty() && names.len() > 1 && chance(rng, 1, 4) {
        return Step::DeleteBucket(bucket);
    }
    let key = (*pick(rng, &KEYS)).to_owned();
    let place = Place { bucket: bucket.clone(), key };
    let present: Vec<&String> = held.objects.keys().collect();
    let uploads: Vec<_> = held.uploads.iter().collect();
    match rng.below(28) {
        0..=6 => {}
        20 => return user_step(rng, model),
        21 | 22 => {
            if let Some(steps) = together(rng, model, weak_acks) {
                return Step::Together(steps);
            }
        }
        23 if !held.objects.contains_key(&place.key) => {
            return Step::PutIfAbsent(place, random_content(rng));
        }
        24 if !present.is_empty() => {
            let key = (*pick(rng, &present)).clone();
            if let Some(etag) = held.objects[&key].etag.clone() {
                return Step::PutIfMatch(Place { bucket, key }, random_content(rng), etag);
            }
        }
        26 if !present.is_empty() => {
            let key = (*pick(rng, &present)).clone();
            if let Some(etag) = held.objects[&key].etag.clone() {
                return Step::DeleteIfMatch(Place { bucket, key }, etag);
            }
        }
        27 => return Step::DeleteRefused(place, "0".repeat(32)),
        25 if !uploads.is_empty() && !present.is_empty() => {
            let ((key, id), _) = *pick(rng, &uploads);
            let place = Place { bucket: bucket.clone(), key: key.clone() };
            let upload = UploadPlace { place, id: id.clone() };
            let key = (*pick(rng, &present)).clone();
            let size = held.objects[&key].body.len() as u64;
            let range = (size > 0 && chance(rng, 1, 2)).then(|| {
                let first = rng.below(size);
                (first, first + rng.below(size - first))
            });
            return Step::UploadPartCopy(upload, 3, Place { bucket, key }, range);
        }
        7..=9 if !present.is_empty() => {
            return Step::Delete(Place { bucket, key: (*pick(rng, &present)).clone() });
        }
        10 if present.len() > 2 => {
            let from = rng.below(present.len() as u64 - 2) as usize;
            let keys = present[from..from + 3].iter().map(|key| (*key).clone()).collect();
            return Step::DeleteMany(bucket, keys);
        }
        11 | 12 if !present.is_empty() => {
            let source = Place { bucket, key: (*pick(rng, &present)).clone() };
            let to = Place { bucket: pick(rng, &names).clone(), key: place.key.clone() };
            if source != to {
                return Step::Copy(source, to);
            }
        }
        13 if uploads.len() < 3 => return Step::CreateUpload(place, random_content(rng)),
        14..=17 if !uploads.is_empty() => {
            let ((key, id), held) = *pick(rng, &uploads);
            let upload = UploadPlace { place: Place { bucket, key: key.clone() }, id: id.clone() };
            return match rng.below(6) {
                0 => Step::Abort(upload),
                1 | 2 if !held.parts.is_empty() => Step::Complete(upload),
                // Only the last part may be small.
                3 if big_parts => Step::UploadPart(upload, 1, random_bytes(rng, o::PART_BYTES_MIN)),
                _ => Step::UploadPart(upload, 3, random_body(rng)),
            };
        }
        18 => return Step::PutAbandoned(place, random_content(rng)),
        19 if !present.is_empty() => {
            let place = Place { bucket, key: (*pick(rng, &present)).clone() };
            let other = chance(rng, 1, 2).then(|| "0".repeat(32));
            return Step::PutRefused(place, random_content(rng), other);
        }
        _ => {}
    }
    Step::Put(place, random_content(rng), random_ack(rng, weak_acks))
}

/// As [`next_step`], for a store whose buckets may have versions.
pub fn next_versioned_step(
    rng: &SeededRng,
    model: &Model,
    weak_acks: bool,
    big_parts: bool,
) -> Step {
    let names: Vec<&String> = model.buckets.keys().collect();
    if !names.is_empty() && chance(rng, 2, 5) {
        let bucket = (*pick(rng, &names)).clone();
        if let Some(step) = version_step(rng, model, bucket) {
            return step;
        }
    }
    next_step(rng, model, weak_acks, big_parts)
}

fn version_step(rng: &SeededRng, model: &Model, bucket: String) -> Option<Step> {
    let held = &model.buckets[&bucket];
    if held.versioning == o::Versioning::Never || chance(rng, 1, 12) {
        let versioning = *pick(rng, &[o::Versioning::Enabled, o::Versioning::Suspended]);
        return Some(Step::SetVersioning(bucket, versioning));
    }
    // Few keys, so that they have many versions.
    let key = (*pick(rng, &KEYS[..4])).to_owned();
    let versions = held.versions(&key);
    let place = Place { bucket, key };
    match rng.below(8) {
        0..=2 if versions > 0 => {
            Some(Step::DeleteVersion(place, rng.below(versions as u64) as usize))
        }
        3 if versions > 0 => {
            let at = rng.below(versions as u64) as usize;
            held.version(&place.key, at)?;
            Some(Step::CopyVersion(place, at, (*pick(rng, &KEYS[..4])).to_owned()))
        }
        // Also what is not there: that adds a marker.
        4 => Some(Step::Delete(place)),
        _ => Some(Step::Put(place, random_content(rng), Ack::All)),
    }
}

fn random_ack(rng: &SeededRng, weak_acks: bool) -> Ack {
    if weak_acks { *pick(rng, &[Ack::All, Ack::Quorum, Ack::Primary]) } else { Ack::All }
}

fn user_step(rng: &SeededRng, model: &Model) -> Step {
    let name = (*pick(rng, &["ada", "ben"])).to_owned();
    match model.users.get(&name) {
        None => {
            let access_key = format!("KEY{:013}", rng.below(1 << 40));
            Step::AddUser(name, access_key, format!("secret-{:040}", rng.next_u64()))
        }
        Some(user) if chance(rng, 1, 2) => Step::EnableUser(name, !user.enabled),
        Some(_) => Step::RemoveUser(name),
    }
}

/// Two to four clients, each at a key of its own, and sometimes one whose condition depends on
/// what another has just done.
fn together(rng: &SeededRng, model: &Model, weak_acks: bool) -> Option<Vec<Step>> {
    let names: Vec<&String> = model.buckets.keys().collect();
    let mut keys = KEYS.to_vec();
    let mut steps = Vec::new();
    for _ in 0..2 + rng.below(3) {
        let bucket = (*pick(rng, &names)).clone();
        let key = keys.swap_remove(rng.below(keys.len() as u64) as usize).to_owned();
        let etag = model.buckets[&bucket].objects.get(&key).map(|object| object.etag.clone());
        let place = Place { bucket, key };
        match (rng.below(6), etag) {
            (0, Some(Some(etag))) if chance(rng, 1, 2) => {
                steps.push(Step::DeleteIfMatch(place, etag));
            }
            (0, Some(_)) => steps.push(Step::Delete(place)),
            // The second of two finds the first's object.
            (1 | 2, None) => {
                steps.push(Step::PutIfAbsent(place.clone(), random_content(rng)));
                steps.push(Step::PutRefused(place, random_content(rng), None));
            }
            // … or that it is not what it was.
            (1 | 2, Some(Some(etag))) => {
                let mut other = random_content(rng);
                other.body = random_bytes(rng, 20 + rng.below(2 * BULK_THRESHOLD_BYTES));
                steps.push(Step::PutIfMatch(place.clone(), other, etag.clone()));
                steps.push(Step::PutRefused(place, random_content(rng), Some(etag)));
            }
            _ => steps.push(Step::Put(place, random_content(rng), random_ack(rng, weak_acks))),
        }
    }
    (steps.len() > 1).then_some(steps)
}

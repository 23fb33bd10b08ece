//! The oracle: what a store holds, as plain maps.
//!
//! It does not know time, object ids, or where anything lies.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use coffer_objects::{Headers, Usage};

/// An object.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its bytes.
    pub body: Bytes,
    /// Its content type.
    pub content_type: Option<String>,
    /// Its user metadata.
    pub user: Vec<(String, Vec<u8>)>,
    /// Its ETag; `None`: not predicted (the copy of a multipart object).
    pub etag: Option<String>,
}

/// A part of an upload under way.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its bytes; empty where it was read from a listing.
    pub body: Bytes,
    /// Its size.
    pub size: u64,
    /// Its ETag.
    pub etag: String,
}

/// An upload under way.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    /// What the object will be stored with.
    pub headers: Headers,
    /// Its parts by number.
    pub parts: BTreeMap<u32, Part>,
}

/// A bucket.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    /// Objects by key.
    pub objects: BTreeMap<String, Arc<Stored>>,
    /// Uploads by key and id.
    pub uploads: BTreeMap<(String, String), Upload>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its access key.
    pub access_key: String,
    /// The secret of it.
    pub secret: String,
    /// Whether its key works.
    pub enabled: bool,
}

/// A whole store: its buckets and users by name.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The buckets.
    pub buckets: BTreeMap<String, Bucket>,
    /// The users.
    pub users: BTreeMap<String, User>,
}

/// The id that stands for an upload whose id was never told.
pub const UNKNOWN_ID: &str = "?";

impl Model {
    /// The bucket, which must exist.
    pub fn bucket(&mut self, name: &str) -> &mut Bucket {
        self.buckets.get_mut(name).expect("steps name buckets that exist")
    }

    /// Where `seen`, read from a store, differs from this model; `None` where nowhere.
    pub fn difference(&self, seen: &Model) -> Option<String> {
        if !self.buckets.keys().eq(seen.buckets.keys()) {
            let names = |m: &Model| m.buckets.keys().cloned().collect::<Vec<_>>();
            return Some(format!("buckets {:?}, expected {:?}", names(seen), names(self)));
        }
        if self.users != seen.users {
            return Some(format!("users {:?}, expected {:?}", seen.users, self.users));
        }
        let pairs = self.buckets.iter().zip(seen.buckets.values());
        pairs
            .map(|((name, expected), seen)| {
                let difference = objects_difference(expected, seen)
                    .or_else(|| uploads_difference(expected, seen))?;
                Some(format!("{name}: {difference}"))
            })
            .find_map(|difference| difference)
    }

    /// Gives the upload just begun its id.
    pub fn name_upload(&mut self, id: Option<String>) {
        let Some(id) = id else { return };
        for bucket in self.buckets.values_mut() {
            let unknown = bucket.uploads.keys().find(|(_, id)| id == UNKNOWN_ID).cloned();
            if let Some(place) = unknown {
                let upload = bucket.uploads.remove(&place).expect("it was listed");
                bucket.uploads.insert((place.0, id.clone()), upload);
            }
        }
    }

    /// Gives uploads of unknown id the ids that the store gave them.
    pub fn learn_ids(&mut self, seen: &Model) {
        for (name, bucket) in &mut self.buckets {
            let Some(seen) = seen.buckets.get(name) else {
                continue;
            };
            let unknown: Vec<_> =
                bucket.uploads.keys().filter(|(_, id)| id == UNKNOWN_ID).cloned().collect();
            for place in unknown {
                let fresh = seen
                    .uploads
                    .keys()
                    .find(|seen| seen.0 == place.0 && !bucket.uploads.contains_key(*seen));
                if let Some(fresh) = fresh {
                    let parts = bucket.uploads.remove(&place).expect("it was listed");
                    bucket.uploads.insert(fresh.clone(), parts);
                }
            }
        }
    }

    /// The sums that a store keeps.
    pub fn usage(&self) -> Usage {
        let buckets = self.buckets.values();
        let objects = buckets.clone().flat_map(|b| b.objects.values());
        Usage {
            buckets: self.buckets.len() as u64,
            objects: objects.clone().count() as u64,
            bytes: objects.map(|o| o.body.len() as u64).sum(),
            uploads: buckets.map(|b| b.uploads.len() as u64).sum(),
        }
    }
}

fn objects_difference(expected: &Bucket, seen: &Bucket) -> Option<String> {
    let lost = expected.objects.keys().find(|key| !seen.objects.contains_key(*key));
    if let Some(key) = lost {
        return Some(format!("{key:?} is gone"));
    }
    for (key, seen) in &seen.objects {
        let Some(expected) = expected.objects.get(key) else {
            return Some(format!("{key:?} should not be there"));
        };
        if let Some(what) = object_difference(expected, seen) {
            return Some(format!("{key:?} {what}"));
        }
    }
    None
}

fn object_difference(expected: &Stored, seen: &Stored) -> Option<String> {
    if expected.body != seen.body {
        let same = expected.body.iter().zip(&seen.body).take_while(|(a, b)| a == b).count();
        return Some(format!(
            "has {} bytes, expected {}; they differ from byte {same} on",
            seen.body.len(),
            expected.body.len()
        ));
    }
    if expected.content_type != seen.content_type || expected.user != seen.user {
        return Some("has other headers".to_owned());
    }
    if expected.etag.is_some() && expected.etag != seen.etag {
        return Some(format!("has ETag {:?}, expected {:?}", seen.etag, expected.etag));
    }
    None
}

fn uploads_difference(expected: &Bucket, seen: &Bucket) -> Option<String> {
    if !expected.uploads.keys().eq(seen.uploads.keys()) {
        let ids = |b: &Bucket| b.uploads.keys().cloned().collect::<Vec<_>>();
        return Some(format!("uploads {:?}, expected {:?}", ids(seen), ids(expected)));
    }
    for ((place, expected), seen) in expected.uploads.iter().zip(seen.uploads.values()) {
        let line = |u: &Upload| -> Vec<(u32, u64, String)> {
            u.parts.iter().map(|(number, p)| (*number, p.size, p.etag.clone())).collect()
        };
        if expected.headers != seen.headers {
            return Some(format!("upload {place:?} has other headers"));
        }
        if line(expected) != line(seen) {
            return Some(format!(
                "upload {place:?} has parts {:?}, expected {:?}",
                line(seen),
                line(expected)
            ));
        }
    }
    None
}

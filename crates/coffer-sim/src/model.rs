//! The oracle: what a store holds, as plain maps.
//!
//! It does not know time, object ids, or where anything lies.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use coffer_objects::{Headers, Usage, Versioning};

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
    /// Whether it is the null version of its key.
    pub is_null: bool,
}

/// A version that is not the current object of its key: an object, or a delete marker.
#[derive(Clone, Debug, PartialEq)]
pub struct Older {
    /// Whether it is the null version of its key.
    pub is_null: bool,
    /// The object; `None`: it is a delete marker.
    pub object: Option<Arc<Stored>>,
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
    /// Whether it keeps versions.
    pub versioning: Versioning,
    /// The other versions of keys, the newest first. No key has an empty list.
    pub older: BTreeMap<String, Vec<Older>>,
    /// Uploads by key and id.
    pub uploads: BTreeMap<(String, String), Upload>,
}

impl Bucket {
    /// Whether it may be deleted.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.older.is_empty()
    }

    /// An object is written.
    pub fn put(&mut self, key: &str, object: Stored) {
        self.make_way(key);
        let is_null = self.versioning != Versioning::Enabled;
        self.objects.insert(key.to_owned(), Arc::new(Stored { is_null, ..object }));
    }

    /// An object is deleted, whether it is there or not.
    pub fn delete(&mut self, key: &str) {
        self.make_way(key);
        if self.versioning != Versioning::Never {
            let is_null = self.versioning == Versioning::Suspended;
            let versions = self.older.entry(key.to_owned()).or_default();
            versions.insert(0, Older { is_null, object: None });
        }
    }

    /// The current object goes: it is kept, or the null version is given up.
    fn make_way(&mut self, key: &str) {
        let old = self.objects.remove(key);
        if self.versioning == Versioning::Suspended {
            self.keep_only(key, |version| !version.is_null);
        }
        let kept = match self.versioning {
            Versioning::Never => None,
            Versioning::Enabled => old,
            Versioning::Suspended => old.filter(|old| !old.is_null),
        };
        if let Some(old) = kept {
            let version = Older { is_null: old.is_null, object: Some(old) };
            self.older.entry(key.to_owned()).or_default().insert(0, version);
        }
    }

    fn keep_only(&mut self, key: &str, keep: impl FnMut(&Older) -> bool) {
        let Some(versions) = self.older.get_mut(key) else { return };
        versions.retain(keep);
        if versions.is_empty() {
            self.older.remove(key);
        }
    }

    /// How many versions a key has.
    pub fn versions(&self, key: &str) -> usize {
        let older = self.older.get(key).map_or(0, Vec::len);
        older + usize::from(self.objects.contains_key(key))
    }

    /// The version at a place, counted from the newest: an object, or `None`.
    pub fn version(&self, key: &str, at: usize) -> Option<Arc<Stored>> {
        match (self.objects.get(key), at) {
            (Some(current), 0) => Some(current.clone()),
            (current, at) => self.older[key][at - usize::from(current.is_some())].object.clone(),
        }
    }

    /// The version at a place is deleted for good; the next takes the place of the newest.
    pub fn delete_version(&mut self, key: &str, at: usize) {
        if at > 0 || !self.objects.contains_key(key) {
            let mut at = at - usize::from(self.objects.contains_key(key));
            self.keep_only(key, |_| {
                at = at.wrapping_sub(1);
                at != usize::MAX
            });
        } else {
            self.objects.remove(key);
        }
        let newest = self.older.get(key).and_then(|versions| versions[0].object.clone());
        if let Some(object) = newest
            && !self.objects.contains_key(key)
        {
            self.objects.insert(key.to_owned(), object);
            let mut is_first = true;
            self.keep_only(key, |_| !std::mem::take(&mut is_first));
        }
    }
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
                    .or_else(|| versions_difference(expected, seen))
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
        let older = buckets.clone().flat_map(|b| b.older.values().flatten());
        let kept = older.clone().filter_map(|version| version.object.as_ref());
        Usage {
            buckets: self.buckets.len() as u64,
            objects: objects.clone().count() as u64,
            bytes: objects.chain(kept).map(|o| o.body.len() as u64).sum(),
            versions: older.count() as u64,
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

fn versions_difference(expected: &Bucket, seen: &Bucket) -> Option<String> {
    if expected.versioning != seen.versioning {
        return Some(format!("{:?}, expected {:?}", seen.versioning, expected.versioning));
    }
    let line = |version: &Older| match version.object {
        Some(_) => (version.is_null, "object"),
        None => (version.is_null, "marker"),
    };
    let lines = |bucket: &Bucket| -> Vec<(String, Vec<(bool, &str)>)> {
        let of = |(key, versions): (&String, &Vec<Older>)| {
            (key.clone(), versions.iter().map(line).collect())
        };
        bucket.older.iter().map(of).collect()
    };
    if lines(expected) != lines(seen) {
        return Some(format!("older versions {:?}, expected {:?}", lines(seen), lines(expected)));
    }
    let pairs = expected.older.iter().zip(seen.older.values());
    pairs
        .flat_map(|((key, expected), seen)| {
            expected.iter().zip(seen).filter_map(move |(expected, seen)| {
                let what = object_difference(expected.object.as_ref()?, seen.object.as_ref()?)?;
                Some(format!("an older version of {key:?} {what}"))
            })
        })
        .next()
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
    if expected.is_null != seen.is_null {
        return Some(format!("is the null version: {}", seen.is_null));
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

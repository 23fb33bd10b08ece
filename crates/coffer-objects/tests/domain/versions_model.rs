//! Random operations on a bucket with versions and on plain lists of them, side by side.

use std::collections::BTreeMap;

use coffer_base::rng::{Rng, SeededRng};
use coffer_iam::{Action, Grant};
use coffer_objects::{
    Copy, Delete, Deleted, Error, Get, Headers, List, ListVersions, Put, Usage, VersionEntry,
    VersionId, Versioning,
};

use crate::store::{Store, bytes, on, on_bucket, run};

const KEYS: [&str; 6] = ["a", "a/b", "a/c", "b", "\0", "\u{e9}/x"];

#[derive(Clone, Debug, PartialEq)]
struct Object {
    body: Vec<u8>,
    headers: Headers,
}

/// An object, or `None`: a delete marker.
type Version = (VersionId, Option<Object>);

/// The versions of each key, the newest first.
#[derive(Clone, Default)]
struct Model {
    versioning: Versioning,
    keys: BTreeMap<String, Vec<Version>>,
}

impl Model {
    fn current(&self, key: &str) -> Option<&Object> {
        self.keys.get(key)?.first()?.1.as_ref()
    }

    fn version(&self, key: &str, id: VersionId) -> Option<&Version> {
        self.keys.get(key)?.iter().find(|(of, _)| *of == id)
    }

    /// What a write does that gets `id`.
    fn add(&mut self, key: &str, id: Option<VersionId>, object: Option<Object>) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        let id = match self.versioning {
            Versioning::Never => {
                assert_eq!(id, None);
                VersionId::Null
            }
            Versioning::Enabled => id.filter(|id| *id != VersionId::Null).unwrap(),
            Versioning::Suspended => id.filter(|id| *id == VersionId::Null).unwrap(),
        };
        assert!(id == VersionId::Null || versions.iter().all(|(of, _)| *of != id));
        versions.retain(|(of, _)| *of != id);
        if object.is_some() || self.versioning != Versioning::Never {
            versions.insert(0, (id, object));
        }
    }

    fn usage(&self) -> Usage {
        let all = self.keys.values().flatten();
        let objects = self.keys.keys().filter(|key| self.current(key).is_some()).count() as u64;
        let bytes = all.clone().filter_map(|(_, object)| object.as_ref());
        Usage {
            buckets: 1,
            objects,
            bytes: bytes.map(|object| object.body.len() as u64).sum(),
            uploads: 0,
            versions: all.count() as u64 - objects,
        }
    }

    /// What a listing of versions has: key, id, size of an object, whether it is the latest.
    fn lines(&self) -> Vec<Line> {
        let lines = self.keys.iter().flat_map(|(key, versions)| {
            versions.iter().enumerate().map(|(i, (id, object))| {
                let size = object.as_ref().map(|object| object.body.len() as u64);
                (key.clone(), Some(*id), size, i == 0)
            })
        });
        lines.collect()
    }

    /// The same with common prefixes, which have no id.
    fn rolled(&self, prefix: &str, delimiter: Option<&str>) -> Vec<Line> {
        let mut rolled: Vec<Line> = Vec::new();
        for line in self.lines().into_iter().filter(|line| line.0.starts_with(prefix)) {
            let at = delimiter.and_then(|d| line.0[prefix.len()..].find(d).map(|at| at + d.len()));
            match at {
                None => rolled.push(line),
                Some(at) => {
                    let common = (line.0[..prefix.len() + at].to_owned(), None, None, false);
                    if rolled.last() != Some(&common) {
                        rolled.push(common);
                    }
                }
            }
        }
        rolled
    }
}

type Line = (String, Option<VersionId>, Option<u64>, bool);

struct Run {
    store: Store,
    model: Model,
    rng: SeededRng,
}

impl Run {
    fn below(&self, bound: u64) -> u64 {
        self.rng.below(bound)
    }

    fn key(&self) -> &'static str {
        KEYS[self.below(KEYS.len() as u64) as usize]
    }

    /// One that is there, mostly.
    fn version_of(&self, key: &str) -> VersionId {
        let versions = self.model.keys.get(key).filter(|versions| !versions.is_empty());
        match versions {
            Some(versions) if self.below(8) > 0 => {
                versions[self.below(versions.len() as u64) as usize].0
            }
            _ if self.below(2) == 0 => VersionId::Null,
            _ => VersionId::Given { sequence: self.rng.next_u64(), check: self.rng.next_u64() },
        }
    }

    fn object(&self) -> Object {
        let len = [0, 7, 1000, 20_000, 60_000][self.below(5) as usize];
        let user = match self.below(3) {
            0 => vec![],
            1 => vec![("n".to_owned(), b"v".to_vec())],
            _ => vec![("long".to_owned(), bytes(self.rng.next_u64(), 400))],
        };
        let body = bytes(self.rng.next_u64(), len);
        Object { body, headers: Headers { user, ..Headers::default() } }
    }

    async fn step(&mut self) {
        match self.below(24) {
            0..=6 => self.put().await,
            7..=10 => self.delete().await,
            11..=14 => self.delete_version().await,
            15 => self.delete_many().await,
            16..=18 => self.copy().await,
            19..=20 => self.get().await,
            21..=22 => self.list().await,
            _ => self.set_versioning().await,
        }
    }

    async fn set_versioning(&mut self) {
        let versioning = [Versioning::Enabled, Versioning::Suspended][self.below(2) as usize];
        self.store.set_versioning(versioning).await;
        self.model.versioning = versioning;
    }

    async fn put(&mut self) {
        let (key, object) = (self.key(), self.object());
        let put = Put { headers: object.headers.clone(), ..Put::default() };
        let info = self.store.put_with(key, &object.body, put, None).await.unwrap();
        self.model.add(key, info.version_id, Some(object));
    }

    async fn delete(&mut self) {
        let key = self.key();
        let grant = on(Action::DeleteObject, key);
        let done = self.store.objects.delete(&grant).await.unwrap();
        self.deleted(key, None, done);
    }

    fn deleted(&mut self, key: &str, version: Option<VersionId>, done: Deleted) {
        let Some(id) = version else {
            assert_eq!(done.delete_marker, self.model.versioning != Versioning::Never);
            return self.model.add(key, done.version_id, None);
        };
        assert_eq!(done.version_id, Some(id));
        let was_marker = self.model.version(key, id).is_some_and(|(_, object)| object.is_none());
        assert_eq!(done.delete_marker, was_marker);
        if let Some(versions) = self.model.keys.get_mut(key) {
            versions.retain(|(of, _)| *of != id);
        }
    }

    async fn delete_version(&mut self) {
        let key = self.key();
        let id = self.version_of(key);
        let grant = on(Action::DeleteObjectVersion, key);
        let done = self.store.objects.delete_version(&grant, id, Default::default()).await;
        self.deleted(key, Some(id), done.unwrap());
    }

    async fn delete_many(&mut self) {
        let asked: Vec<(&str, Option<VersionId>)> = (0..1 + self.below(5))
            .map(|_| {
                let key = self.key();
                (key, (self.below(2) == 0).then(|| self.version_of(key)))
            })
            .collect();
        let grants = asked.iter().map(|(key, version)| {
            let action = match version {
                None => Action::DeleteObject,
                Some(_) => Action::DeleteObjectVersion,
            };
            Delete { grant: on(action, key), version: *version }
        });
        let done = self.store.objects.delete_many(grants.collect::<Vec<_>>()).await;
        for ((key, version), done) in asked.into_iter().zip(done) {
            self.deleted(key, version, done.unwrap());
        }
    }

    fn reading(&self, key: &str, version: Option<VersionId>) -> Grant {
        on(if version.is_some() { Action::GetObjectVersion } else { Action::GetObject }, key)
    }

    /// What reading `version` of `key` gives, or which error.
    fn expected(&self, key: &str, version: Option<VersionId>) -> Result<Object, Error> {
        let found = match version {
            None => self.model.keys.get(key).and_then(|versions| versions.first()),
            Some(id) => self.model.version(key, id),
        };
        match (found, version) {
            (Some((_, Some(object))), _) => Ok(object.clone()),
            (Some((id, None)), _) => Err(Error::DeleteMarker {
                version_id: *id,
                modified: coffer_base::Timestamp(0),
                named: version.is_some(),
            }),
            (None, None) => Err(Error::NoSuchKey),
            (None, Some(_)) => Err(Error::NoSuchVersion),
        }
    }

    async fn get(&self) {
        for key in KEYS {
            let version = (self.below(3) > 0).then(|| self.version_of(key));
            let got = self.store.get_with(key, Get { version, ..Get::default() }).await;
            match (got, self.expected(key, version)) {
                (Ok((body, info)), Ok(object)) => {
                    assert!(body == object.body, "{key:?} {version:?}");
                    assert_eq!(info.headers, object.headers);
                    if self.model.versioning != Versioning::Never {
                        let id = version.unwrap_or_else(|| self.model.keys[key][0].0);
                        assert_eq!(info.version_id, Some(id));
                    }
                }
                (Err(error), Err(expected)) => assert_eq!(timeless(error), expected, "{key:?}"),
                (got, expected) => panic!("{:?} {:?}", got.err(), expected.err()),
            }
        }
    }

    async fn copy(&mut self) {
        let (from, to) = (self.key(), self.key());
        let version = (self.below(2) == 0).then(|| self.version_of(from));
        let headers = (self.below(2) == 0).then(|| self.object().headers);
        let request = Copy { version, headers: headers.clone(), ..Copy::default() };
        let (read, write) = (self.reading(from, version), on(Action::PutObject, to));
        let done = self.store.objects.copy(&read, &write, request).await;
        match (done, self.expected(from, version)) {
            (Ok(copied), Ok(mut object)) => {
                let versioned = self.model.versioning != Versioning::Never;
                assert!(from != to || headers.is_some() || version.is_some() && versioned);
                object.headers = headers.unwrap_or(object.headers);
                self.model.add(to, copied.info.version_id, Some(object));
            }
            (Err(Error::InvalidRequest(_)), Err(Error::DeleteMarker { named: true, .. })) => {}
            (Err(Error::InvalidRequest(_)), Ok(_)) => assert!(from == to && headers.is_none()),
            (Err(error), Err(expected)) => assert_eq!(timeless(error), expected),
            (done, expected) => panic!("{:?} {:?}", done.err(), expected.err()),
        }
    }

    async fn list(&self) {
        let grant = on_bucket(Action::ListBucket, "bkt");
        let page = self.store.objects.list(&grant, List { max: 1000, ..List::default() });
        let listed = page.await.unwrap().entries.into_iter().map(|e| e.name().to_owned());
        let current = |key: &&String| self.model.current(key).is_some();
        let expected = self.model.keys.keys().filter(current).cloned();
        assert_eq!(listed.collect::<Vec<_>>(), expected.collect::<Vec<_>>());

        let prefix = ["", "", "a", "a/", "z"][self.below(5) as usize];
        let delimiter = [None, Some("/"), Some("a")][self.below(3) as usize];
        let expected = self.model.rolled(prefix, delimiter);
        // In pages of every size.
        let max = 1 + self.below(5) as usize;
        let mut query = ListVersions {
            prefix: prefix.to_owned(),
            delimiter: delimiter.map(str::to_owned),
            max,
            ..ListVersions::default()
        };
        let mut listed = Vec::new();
        loop {
            let page = self.list_page(&query).await;
            assert!(page.entries.len() == max || !page.truncated);
            let last = page.entries.last().map(line);
            listed.extend(page.entries.iter().map(line));
            if !page.truncated {
                break;
            }
            query.key_after = page.next_key;
            // The null version may be called by its name, too.
            let (_, id, ..) = last.unwrap();
            query.version_after = if self.below(2) == 0 { id } else { page.next_version };
        }
        assert_eq!(listed, expected, "{prefix:?} {delimiter:?}");
    }

    async fn list_page(&self, query: &ListVersions) -> coffer_objects::VersionPage {
        let grant = on_bucket(Action::ListBucketVersions, "bkt");
        self.store.objects.list_versions(&grant, query.clone()).await.unwrap()
    }
}

fn line(entry: &VersionEntry) -> Line {
    match entry {
        VersionEntry::Object { info, is_latest } => {
            (info.key.clone(), info.version_id, Some(info.size), *is_latest)
        }
        VersionEntry::Marker { key, version_id, is_latest, .. } => {
            (key.clone(), Some(*version_id), None, *is_latest)
        }
        VersionEntry::Prefix(prefix) => (prefix.clone(), None, None, false),
    }
}

/// The model does not know time.
fn timeless(error: Error) -> Error {
    match error {
        Error::DeleteMarker { version_id, named, .. } => {
            Error::DeleteMarker { version_id, modified: coffer_base::Timestamp(0), named }
        }
        other => other,
    }
}

#[test]
fn a_bucket_with_versions_does_what_lists_do() {
    for seed in 0..8 {
        let store = Store::empty([1, 3][seed as usize % 2], 1 << 20);
        let rng = SeededRng::new(seed);
        let mut run_ = Run { store, model: Model::default(), rng };
        run(run_.store.create_bucket("bkt"));
        for round in 0..5 {
            run(async {
                for _ in 0..80 {
                    run_.step().await;
                }
            });
            assert_eq!(run_.store.objects.usage().unwrap(), run_.model.usage());
            run_.store.check();
            run_.store.reopen(round % 2 == 1);
            assert_eq!(run_.store.objects.usage().unwrap(), run_.model.usage());
            run(async {
                run_.get().await;
                run_.list().await;
            });
        }
    }
}

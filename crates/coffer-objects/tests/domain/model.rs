//! Random operations on the domain and on a plain map, side by side.

use std::collections::BTreeMap;

use coffer_base::rng::{Rng, SeededRng};
use coffer_iam::{Action, Resource};
use coffer_objects::digest::{hex, md5};
use coffer_objects::{
    ByteRange, Complete, CompletePart, Copy, CreateUpload, Entry, Error, Get, Headers, List, Put,
    Usage, WriteCondition,
};

use crate::store::{BULK_THRESHOLD_BYTES, Store, bytes, grant, on_bucket, run};

#[derive(Clone, Debug, PartialEq)]
struct Object {
    body: Vec<u8>,
    headers: Headers,
    etag: String,
}

#[derive(Clone, Debug)]
struct Upload {
    bucket: &'static str,
    key: String,
    id: String,
    headers: Headers,
    parts: BTreeMap<u32, Vec<u8>>,
}

#[derive(Default)]
struct Model {
    objects: BTreeMap<(&'static str, String), Object>,
    uploads: Vec<Upload>,
}

impl Model {
    fn usage(&self) -> Usage {
        Usage {
            buckets: BUCKETS.len() as u64,
            objects: self.objects.len() as u64,
            bytes: self.objects.values().map(|object| object.body.len() as u64).sum(),
            uploads: self.uploads.len() as u64,
            versions: 0,
        }
    }
}

const BUCKETS: [&str; 2] = ["first", "second"];

struct Run {
    store: Store,
    model: Model,
    rng: SeededRng,
}

impl Run {
    fn below(&self, bound: u64) -> u64 {
        self.rng.below(bound)
    }

    fn bucket(&self) -> &'static str {
        BUCKETS[self.below(2) as usize]
    }

    fn key(&self) -> String {
        ["a", "a/b", "a/c", "b", "\0", "é/x"][self.below(6) as usize].to_owned()
    }

    fn body(&self) -> Vec<u8> {
        let near = BULK_THRESHOLD_BYTES as u64;
        let len = match self.below(6) {
            0 => 0,
            1..=3 => self.below(2000),
            4 => near - 2 + self.below(4),
            _ => near + self.below(200_000),
        };
        bytes(self.rng.next_u64(), len as usize)
    }

    fn headers(&self) -> Headers {
        match self.below(3) {
            0 => Headers::default(),
            1 => Headers { cache_control: Some("none".to_owned()), ..Headers::default() },
            _ => Headers {
                user: vec![("long".to_owned(), bytes(self.rng.next_u64(), 500))],
                ..Headers::default()
            },
        }
    }

    /// A condition that may or may not hold, and whether it does.
    fn condition(&self, current: Option<&Object>) -> (WriteCondition, bool) {
        match self.below(6) {
            0 => (WriteCondition { if_none_match_any: true, if_match: None }, current.is_none()),
            1 => {
                let etag = match current {
                    Some(object) if self.below(2) == 0 => object.etag.clone(),
                    _ => "0".repeat(32),
                };
                let holds = current.is_some_and(|object| object.etag == etag);
                (WriteCondition { if_none_match_any: false, if_match: Some(etag) }, holds)
            }
            _ => (WriteCondition::default(), true),
        }
    }

    async fn step(&mut self) {
        match self.below(20) {
            0..=5 => self.put().await,
            6..=8 => self.get().await,
            9..=10 => self.delete().await,
            11..=13 => self.copy().await,
            14 => self.list().await,
            15 => self.create_upload().await,
            16..=17 => self.upload_part().await,
            18 => self.complete().await,
            _ => self.abort().await,
        }
    }

    async fn put(&mut self) {
        let (bucket, key, body, headers) = (self.bucket(), self.key(), self.body(), self.headers());
        let place = (bucket, key.clone());
        let (condition, holds) = self.condition(self.model.objects.get(&place));
        let announced = (self.below(2) == 0).then_some(body.len() as u64);
        let put = Put {
            content_length: announced,
            headers: headers.clone(),
            condition,
            ..Put::default()
        };
        let grant = grant(Action::PutObject, Resource::object(bucket, key));
        let result = async {
            let mut writer = self.store.objects.put(&grant, put).await?;
            let half = body.len() / 2;
            writer.write(body[..half].to_vec().into()).await?;
            writer.write(body[half..].to_vec().into()).await?;
            writer.finish(None).await
        }
        .await;
        match result {
            Ok(info) => {
                assert!(holds, "{place:?} was written against its condition");
                let etag = hex(&md5(&body));
                assert_eq!((&info.etag, info.size), (&etag, body.len() as u64));
                self.model.objects.insert(place, Object { body, headers, etag });
            }
            Err(Error::PreconditionFailed { .. } | Error::NoSuchKey) => assert!(!holds),
            Err(error) => panic!("{error}"),
        }
    }

    async fn get(&self) {
        let (bucket, key) = (self.bucket(), self.key());
        let expected = self.model.objects.get(&(bucket, key.clone()));
        let range = match self.below(3) {
            0 => Some(ByteRange::FromTo(self.below(3000), 3000 + self.below(100_000))),
            1 => Some(ByteRange::Suffix(self.below(40_000))),
            _ => None,
        };
        let grant = grant(Action::GetObject, Resource::object(bucket, key));
        let get = Get { range, ..Get::default() };
        let mut reader = match (self.store.objects.get(&grant, get).await, expected) {
            (Ok(reader), Some(_)) => reader,
            (Err(Error::NoSuchKey), None) => return,
            (Err(Error::InvalidRange { size }), Some(object)) => {
                assert_eq!(size, object.body.len() as u64);
                assert!(range.unwrap().resolve(size).is_err());
                return;
            }
            (Ok(_), None) => panic!("an object that is not there"),
            (Err(error), _) => panic!("{error}"),
        };
        let object = expected.unwrap();
        let mut body = Vec::new();
        while let Some(bytes) = reader.next().await {
            body.extend_from_slice(&bytes.unwrap());
        }
        let (from, to) = (reader.range.start as usize, reader.range.end as usize);
        assert!(body == object.body[from..to]);
        assert_eq!((&reader.info.etag, &reader.info.headers), (&object.etag, &object.headers));
    }

    async fn delete(&mut self) {
        let bucket = self.bucket();
        let keys: Vec<String> = (0..1 + self.below(3)).map(|_| self.key()).collect();
        let grants = keys
            .iter()
            .map(|key| grant(Action::DeleteObject, Resource::object(bucket, key.clone())));
        for result in self.store.objects.delete_many(grants.collect()).await {
            result.unwrap();
        }
        for key in keys {
            self.model.objects.remove(&(bucket, key));
        }
    }

    async fn copy(&mut self) {
        let from = (self.bucket(), self.key());
        let to = (self.bucket(), self.key());
        let headers = (self.below(2) == 0).then(|| self.headers());
        let (condition, holds) = self.condition(self.model.objects.get(&to));
        let request = Copy { headers: headers.clone(), condition, ..Copy::default() };
        let read = grant(Action::GetObject, Resource::object(from.0, from.1.clone()));
        let write = grant(Action::PutObject, Resource::object(to.0, to.1.clone()));
        let source = self.model.objects.get(&from).cloned();
        match (self.store.objects.copy(&read, &write, request).await, source) {
            (Ok(copied), Some(source)) => {
                let info = copied.info;
                assert!(holds && (from != to || headers.is_some()));
                let etag = hex(&md5(&source.body));
                assert_eq!(info.etag, etag);
                let headers = headers.unwrap_or(source.headers);
                self.model.objects.insert(to, Object { body: source.body, headers, etag });
            }
            (Err(Error::NoSuchKey), source) => assert!(source.is_none() || !holds),
            (Err(Error::InvalidRequest(_)), _) => assert!(from == to && headers.is_none()),
            (Err(Error::PreconditionFailed { .. }), _) => assert!(!holds),
            (Ok(_), None) => panic!("a copy of nothing"),
            (Err(error), _) => panic!("{error}"),
        }
    }

    async fn list(&self) {
        let bucket = self.bucket();
        let grant = on_bucket(Action::ListBucket, bucket);
        let page = self.store.objects.list(&grant, List { max: 1000, ..List::default() });
        let listed = page.await.unwrap().entries.into_iter().map(|entry| match entry {
            Entry::Object(info) => (info.key, info.etag, info.size as usize),
            Entry::Prefix(prefix) => panic!("{prefix} without a delimiter"),
        });
        let listed: Vec<_> = listed.collect();
        let expected: Vec<_> = self
            .model
            .objects
            .iter()
            .filter(|((of, _), _)| *of == bucket)
            .map(|((_, key), object)| (key.clone(), object.etag.clone(), object.body.len()))
            .collect();
        assert_eq!(listed, expected);
    }

    async fn create_upload(&mut self) {
        let (bucket, key, headers) = (self.bucket(), self.key(), self.headers());
        let request = CreateUpload { headers: headers.clone(), ..CreateUpload::default() };
        let grant = grant(Action::PutObject, Resource::object(bucket, key.clone()));
        let upload = self.store.objects.create_upload(&grant, request).await.unwrap();
        let id = upload.upload_id;
        self.model.uploads.push(Upload { bucket, key, id, headers, parts: BTreeMap::new() });
    }

    async fn upload_part(&mut self) {
        if self.model.uploads.is_empty() {
            return;
        }
        let which = self.below(self.model.uploads.len() as u64) as usize;
        let number = 1 + self.below(4) as u32;
        // Mostly small: completing with those but the last is refused, which is checked too.
        let body = match self.below(8) {
            0 => bytes(self.rng.next_u64(), 5 << 20),
            _ => self.body(),
        };
        let upload = &mut self.model.uploads[which];
        let resource = Resource::object(upload.bucket, upload.key.clone());
        let grant = grant(Action::PutObject, resource);
        let objects = &self.store.objects;
        let put = Put::default();
        let mut writer = objects.upload_part(&grant, &upload.id, number, put).await.unwrap();
        writer.write(body.clone().into()).await.unwrap();
        let info = writer.finish_part(None).await.unwrap();
        assert_eq!(info.etag, hex(&md5(&body)));
        upload.parts.insert(number, body);
    }

    async fn complete(&mut self) {
        if self.model.uploads.is_empty() {
            return;
        }
        let which = self.below(self.model.uploads.len() as u64) as usize;
        let mut upload = self.model.uploads[which].clone();
        // Sometimes not all of them.
        if self.below(3) == 0 {
            let left_out = 1 + self.below(4) as u32;
            upload.parts.remove(&left_out);
        }
        let parts = upload.parts.iter().map(|(number, body)| CompletePart {
            number: *number,
            etag: hex(&md5(body)),
            checksum: None,
        });
        let request = Complete { parts: parts.collect(), ..Complete::default() };
        let place = (upload.bucket, upload.key.clone());
        let grant = grant(Action::PutObject, Resource::object(place.0, place.1.clone()));
        let sizes: Vec<usize> = upload.parts.values().map(Vec::len).collect();
        let too_small = sizes.iter().rev().skip(1).any(|size| *size < 5 << 20);
        match self.store.objects.complete_upload(&grant, &upload.id, request).await {
            Ok(info) => {
                assert!(!too_small && !sizes.is_empty());
                let md5s: Vec<u8> = upload.parts.values().flat_map(|body| md5(body)).collect();
                let etag = format!("{}-{}", hex(&md5(&md5s)), sizes.len());
                assert_eq!(info.etag, etag);
                let body = upload.parts.into_values().flatten().collect();
                let object = Object { body, headers: upload.headers, etag };
                self.model.objects.insert(place, object);
                self.model.uploads.remove(which);
            }
            Err(Error::EntityTooSmall { .. }) => assert!(too_small),
            Err(Error::InvalidRequest(_)) => assert!(sizes.is_empty()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn abort(&mut self) {
        if self.model.uploads.is_empty() {
            return;
        }
        let which = self.below(self.model.uploads.len() as u64) as usize;
        let upload = self.model.uploads.remove(which);
        let resource = Resource::object(upload.bucket, upload.key);
        let grant = grant(Action::AbortMultipartUpload, resource);
        self.store.objects.abort_upload(&grant, &upload.id).await.unwrap();
    }
}

#[test]
fn the_domain_does_what_a_map_does() {
    for seed in 0..6 {
        let store = Store::empty([1, 3][seed as usize % 2], 1 << 20);
        let rng = SeededRng::new(seed);
        let mut run_ = Run { store, model: Model::default(), rng };
        run(async {
            for bucket in BUCKETS {
                run_.store.create_bucket(bucket).await;
            }
        });
        for round in 0..5 {
            run(async {
                for _ in 0..60 {
                    run_.step().await;
                }
            });
            assert_eq!(run_.store.objects.usage().unwrap(), run_.model.usage());
            run_.store.check();
            let lost = round % 2 == 1;
            run_.store.reopen(lost);
            assert_eq!(run_.store.objects.usage().unwrap(), run_.model.usage());
        }
        run_.store.check();
    }
}

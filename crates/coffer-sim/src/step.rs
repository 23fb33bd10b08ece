//! One operation of a client: what it makes of the model, and doing it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use coffer_base::Ack;
use coffer_iam::Action;
use coffer_objects as o;
use md5::{Digest, Md5};

use crate::model::{Bucket, Model, Part, Stored, UNKNOWN_ID, Upload};
use crate::store::Store;

/// One operation of a client.
#[derive(Clone, Debug)]
pub enum Step {
    /// CreateBucket.
    CreateBucket(String),
    /// DeleteBucket, of an empty one.
    DeleteBucket(String),
    /// PutObject.
    Put(Place, Content, Ack),
    /// PutObject whose client goes away after some of the body.
    PutAbandoned(Place, Content),
    /// PutObject that must not replace anything, where there is something.
    PutRefused(Place, Content),
    /// DeleteObject; the object may be absent.
    Delete(Place),
    /// DeleteObjects, of one bucket.
    DeleteMany(String, Vec<String>),
    /// CopyObject.
    Copy(Place, Place),
    /// CreateMultipartUpload.
    CreateUpload(Place, Content),
    /// UploadPart.
    UploadPart(UploadPlace, u32, Bytes),
    /// CompleteMultipartUpload with all its parts.
    Complete(UploadPlace),
    /// AbortMultipartUpload.
    Abort(UploadPlace),
}

/// A bucket and a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
}

/// An upload under way.
#[derive(Clone, Debug)]
pub struct UploadPlace {
    /// Where it will be.
    pub place: Place,
    /// Its id.
    pub id: String,
}

/// What an object is stored with.
#[derive(Clone, Debug)]
pub struct Content {
    /// Its bytes.
    pub body: Bytes,
    /// Its headers.
    pub headers: o::Headers,
}

fn etag(body: &[u8]) -> String {
    hex::encode(Md5::digest(body))
}

fn stored(content: &Content) -> Arc<Stored> {
    Arc::new(Stored {
        etag: Some(etag(&content.body)),
        body: content.body.clone(),
        content_type: content.headers.content_type.clone(),
        user: content.headers.user.clone(),
    })
}

impl Step {
    /// What it makes of `model`, done whole. An upload begun gets the id [`UNKNOWN_ID`].
    pub fn apply(&self, model: &mut Model) {
        match self {
            Step::CreateBucket(name) => {
                model.buckets.insert(name.clone(), Bucket::default());
            }
            Step::DeleteBucket(name) => {
                model.buckets.remove(name);
            }
            Step::Put(place, content, _) => {
                model.bucket(&place.bucket).objects.insert(place.key.clone(), stored(content));
            }
            Step::PutAbandoned(..) | Step::PutRefused(..) => {}
            Step::Delete(place) => {
                model.bucket(&place.bucket).objects.remove(&place.key);
            }
            Step::DeleteMany(bucket, keys) => {
                for key in keys {
                    model.bucket(bucket).objects.remove(key);
                }
            }
            Step::Copy(from, to) => {
                let mut copy = (*model.bucket(&from.bucket).objects[&from.key]).clone();
                if copy.etag.as_ref().is_some_and(|etag| etag.contains('-')) {
                    copy.etag = None;
                }
                model.bucket(&to.bucket).objects.insert(to.key.clone(), Arc::new(copy));
            }
            Step::CreateUpload(place, content) => {
                let id = (place.key.clone(), UNKNOWN_ID.to_owned());
                let headers = content.headers.clone();
                let upload = Upload { headers, parts: BTreeMap::new() };
                model.bucket(&place.bucket).uploads.insert(id, upload);
            }
            Step::UploadPart(upload, number, body) => {
                let part = Part { body: body.clone(), size: body.len() as u64, etag: etag(body) };
                model.upload(upload).parts.insert(*number, part);
            }
            Step::Complete(upload) => {
                let Upload { headers, parts } = model.take_upload(upload);
                let mut whole = Vec::new();
                let mut digests = Md5::new();
                for part in parts.values() {
                    whole.extend_from_slice(&part.body);
                    digests.update(Md5::digest(&part.body));
                }
                let object = Stored {
                    body: whole.into(),
                    content_type: headers.content_type,
                    user: headers.user,
                    etag: Some(format!("{}-{}", hex::encode(digests.finalize()), parts.len())),
                };
                let bucket = model.bucket(&upload.place.bucket);
                bucket.objects.insert(upload.place.key.clone(), Arc::new(object));
            }
            Step::Abort(upload) => {
                model.take_upload(upload);
            }
        }
    }

    /// What a store may hold when the power goes while this is under way in one that held
    /// `model`: the state before, the state after, and where an operation isn't promised to be
    /// atomic over its keys, what lies between.
    pub fn alternatives(&self, model: &Model) -> Vec<Model> {
        let mut all = vec![model.clone()];
        if let Step::DeleteMany(bucket, keys) = self {
            for key in keys {
                let mut without = all.clone();
                for model in &mut without {
                    model.bucket(bucket).objects.remove(key);
                }
                all.extend(without);
            }
        } else {
            let mut after = model.clone();
            self.apply(&mut after);
            all.push(after);
        }
        all
    }

    /// Does it. Gives the id of an upload begun.
    pub async fn run(&self, store: &Store, model: &Model) -> Result<Option<String>, o::Error> {
        let objects = &store.objects;
        match self {
            Step::CreateBucket(name) => {
                let grant = store.on_bucket(Action::CreateBucket, name);
                objects.create_bucket(&grant, o::CreateBucket::default()).await?;
            }
            Step::DeleteBucket(name) => {
                objects.delete_bucket(&store.on_bucket(Action::DeleteBucket, name)).await?;
            }
            Step::Put(place, content, ack) => {
                let put = put_of(content, Some(*ack));
                let mut writer = objects.put(&place.may_put(store), put).await?;
                write_body(&mut writer, &content.body).await?;
                writer.finish(None).await?;
            }
            Step::PutAbandoned(place, content) => {
                let put = put_of(content, None);
                let mut writer = objects.put(&place.may_put(store), put).await?;
                write_body(&mut writer, &content.body.slice(..content.body.len() / 2)).await?;
                drop(writer);
            }
            Step::PutRefused(place, content) => {
                let mut put = put_of(content, None);
                put.condition.if_none_match_any = true;
                let refused = async {
                    let mut writer = objects.put(&place.may_put(store), put).await?;
                    write_body(&mut writer, &content.body).await?;
                    writer.finish(None).await
                };
                match refused.await {
                    Err(o::Error::PreconditionFailed { .. }) => {}
                    Err(other) => return Err(other),
                    Ok(_) => return Err(wrong("a put replaced what it must not replace")),
                }
            }
            Step::Delete(place) => {
                let grant = store.on_object(Action::DeleteObject, &place.bucket, &place.key);
                objects.delete(&grant).await?;
            }
            Step::DeleteMany(bucket, keys) => {
                let grants: Vec<_> = keys
                    .iter()
                    .map(|key| store.on_object(Action::DeleteObject, bucket, key))
                    .collect();
                for result in objects.delete_many(grants).await {
                    result?;
                }
            }
            Step::Copy(from, to) => {
                let read = store.on_object(Action::GetObject, &from.bucket, &from.key);
                objects.copy(&read, &to.may_put(store), o::Copy::default()).await?;
            }
            Step::CreateUpload(place, content) => {
                let create =
                    o::CreateUpload { headers: content.headers.clone(), ..Default::default() };
                let upload = objects.create_upload(&place.may_put(store), create).await?;
                return Ok(Some(upload.upload_id));
            }
            Step::UploadPart(upload, number, body) => {
                let grant = upload.place.may_put(store);
                let put = o::Put { content_length: Some(body.len() as u64), ..Default::default() };
                let mut writer = objects.upload_part(&grant, &upload.id, *number, put).await?;
                write_body(&mut writer, body).await?;
                writer.finish_part(None).await?;
            }
            Step::Complete(upload) => {
                let place = &upload.place;
                let held = &model.buckets[&place.bucket].uploads;
                let parts = held[&(place.key.clone(), upload.id.clone())]
                    .parts
                    .iter()
                    .map(|(number, part)| o::CompletePart {
                        number: *number,
                        etag: part.etag.clone(),
                        checksum: None,
                    })
                    .collect();
                let complete = o::Complete { parts, ..Default::default() };
                objects.complete_upload(&place.may_put(store), &upload.id, complete).await?;
            }
            Step::Abort(upload) => {
                let place = &upload.place;
                let grant =
                    store.on_object(Action::AbortMultipartUpload, &place.bucket, &place.key);
                objects.abort_upload(&grant, &upload.id).await?;
            }
        }
        Ok(None)
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        let at = |p: &Place| format!("{}/{}", p.bucket, p.key);
        match self {
            Step::CreateBucket(name) => format!("create bucket {name}"),
            Step::DeleteBucket(name) => format!("delete bucket {name}"),
            Step::Put(place, content, ack) => {
                format!("put {} ({} bytes, ack {})", at(place), content.body.len(), ack.name())
            }
            Step::PutAbandoned(place, content) => {
                format!("put {} (half of {} bytes)", at(place), content.body.len())
            }
            Step::PutRefused(place, content) => {
                format!("put {} if absent ({} bytes)", at(place), content.body.len())
            }
            Step::Delete(place) => format!("delete {}", at(place)),
            Step::DeleteMany(bucket, keys) => format!("delete {keys:?} of {bucket}"),
            Step::Copy(from, to) => format!("copy {} to {}", at(from), at(to)),
            Step::CreateUpload(place, _) => format!("create upload {}", at(place)),
            Step::UploadPart(upload, number, body) => {
                format!("part {number} of {} ({} bytes)", at(&upload.place), body.len())
            }
            Step::Complete(upload) => format!("complete {}", at(&upload.place)),
            Step::Abort(upload) => format!("abort {}", at(&upload.place)),
        }
    }
}

impl Model {
    fn upload(&mut self, upload: &UploadPlace) -> &mut Upload {
        let id = (upload.place.key.clone(), upload.id.clone());
        let uploads = &mut self.bucket(&upload.place.bucket).uploads;
        uploads.get_mut(&id).expect("steps name uploads that exist")
    }

    fn take_upload(&mut self, upload: &UploadPlace) -> Upload {
        let id = (upload.place.key.clone(), upload.id.clone());
        let uploads = &mut self.bucket(&upload.place.bucket).uploads;
        uploads.remove(&id).expect("steps name uploads that exist")
    }
}

impl Place {
    fn may_put(&self, store: &Store) -> coffer_iam::Grant {
        store.on_object(Action::PutObject, &self.bucket, &self.key)
    }
}

fn put_of(content: &Content, ack: Option<Ack>) -> o::Put {
    // Half of the clients do not say how much will come.
    let known = content.body.len().is_multiple_of(2);
    o::Put {
        content_length: known.then_some(content.body.len() as u64),
        headers: content.headers.clone(),
        ack,
        ..Default::default()
    }
}

async fn write_body(writer: &mut o::PutWriter, body: &Bytes) -> Result<(), o::Error> {
    let mut rest = body.clone();
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(50_000));
        writer.write(piece).await?;
    }
    Ok(())
}

fn wrong(what: &str) -> o::Error {
    o::Error::Corrupt(what.to_owned())
}

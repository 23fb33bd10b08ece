//! One operation of a client: what it makes of the model, and doing it.

use std::collections::BTreeMap;

use bytes::Bytes;
use coffer_base::Ack;
use coffer_objects as o;
use md5::{Digest, Md5};

use crate::model::{Bucket, Model, Part, Stored, UNKNOWN_ID, Upload, User};

mod run;

pub use run::Failed;

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
    /// PutObject that must not replace anything, where there is something; or only what has this
    /// ETag, where there is something else.
    PutRefused(Place, Content, Option<String>),
    /// PutObject that may only make a new object, where there is none.
    PutIfAbsent(Place, Content),
    /// PutObject that may only replace the object with this ETag, which is there.
    PutIfMatch(Place, Content, String),
    /// DeleteObject; the object may be absent.
    Delete(Place),
    /// DeleteObject of the object with this ETag, which is there.
    DeleteIfMatch(Place, String),
    /// DeleteObject of an object with this ETag, where there is another or none.
    DeleteRefused(Place, String),
    /// DeleteObjects, of one bucket.
    DeleteMany(String, Vec<String>),
    /// CopyObject.
    Copy(Place, Place),
    /// PutBucketVersioning.
    SetVersioning(String, o::Versioning),
    /// DeleteObject of the version at a place, counted from the newest.
    DeleteVersion(Place, usize),
    /// CopyObject of the version at a place, which is an object, to a key of the same bucket.
    CopyVersion(Place, usize, String),
    /// CreateMultipartUpload.
    CreateUpload(Place, Content),
    /// UploadPart.
    UploadPart(UploadPlace, u32, Bytes),
    /// UploadPartCopy of an object, or of a range in it (first and last byte).
    UploadPartCopy(UploadPlace, u32, Place, Option<(u64, u64)>),
    /// CompleteMultipartUpload with all its parts.
    Complete(UploadPlace),
    /// AbortMultipartUpload.
    Abort(UploadPlace),
    /// A user is added, with an access key and a secret.
    AddUser(String, String, String),
    /// A user's key is stopped, or works again.
    EnableUser(String, bool),
    /// A user is removed.
    RemoveUser(String),
    /// Several clients at once, whose commits come into one group in this order.
    Together(Vec<Step>),
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

fn stored(content: &Content) -> Stored {
    Stored {
        etag: Some(etag(&content.body)),
        body: content.body.clone(),
        content_type: content.headers.content_type.clone(),
        user: content.headers.user.clone(),
        is_null: true,
    }
}

/// What a copy of it is.
fn copied(source: &Stored) -> Stored {
    let mut copy = source.clone();
    if copy.etag.as_ref().is_some_and(|etag| etag.contains('-')) {
        copy.etag = None;
    }
    copy
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
            Step::Put(place, content, _)
            | Step::PutIfAbsent(place, content)
            | Step::PutIfMatch(place, content, _) => {
                model.bucket(&place.bucket).put(&place.key, stored(content));
            }
            Step::PutAbandoned(..) | Step::PutRefused(..) | Step::DeleteRefused(..) => {}
            Step::Delete(place) | Step::DeleteIfMatch(place, _) => {
                model.bucket(&place.bucket).delete(&place.key);
            }
            Step::DeleteMany(bucket, keys) => {
                for key in keys {
                    model.bucket(bucket).delete(key);
                }
            }
            Step::Copy(from, to) => {
                let copy = copied(&model.bucket(&from.bucket).objects[&from.key]);
                model.bucket(&to.bucket).put(&to.key, copy);
            }
            Step::SetVersioning(bucket, versioning) => {
                model.bucket(bucket).versioning = *versioning;
            }
            Step::DeleteVersion(place, at) => {
                model.bucket(&place.bucket).delete_version(&place.key, *at);
            }
            Step::CopyVersion(from, at, to) => {
                let bucket = model.bucket(&from.bucket);
                let source = bucket.version(&from.key, *at).expect("steps copy objects");
                bucket.put(to, copied(&source));
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
            Step::UploadPartCopy(upload, number, from, range) => {
                let source = model.bucket(&from.bucket).objects[&from.key].clone();
                let body = match range {
                    None => source.body.clone(),
                    Some((first, last)) => source.body.slice(*first as usize..=*last as usize),
                };
                Step::UploadPart(upload.clone(), *number, body).apply(model);
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
                    is_null: true,
                };
                let bucket = model.bucket(&upload.place.bucket);
                bucket.put(&upload.place.key, object);
            }
            Step::Abort(upload) => {
                model.take_upload(upload);
            }
            Step::AddUser(name, access_key, secret) => {
                let (access_key, secret) = (access_key.clone(), secret.clone());
                model.users.insert(name.clone(), User { access_key, secret, enabled: true });
            }
            Step::EnableUser(name, enabled) => {
                let user = model.users.get_mut(name).expect("steps name users that exist");
                user.enabled = *enabled;
            }
            Step::RemoveUser(name) => {
                model.users.remove(name);
            }
            Step::Together(steps) => steps.iter().for_each(|step| step.apply(model)),
        }
    }

    /// What a store may hold when the power goes while this is under way in one that held
    /// `model`: the state before, the state after, and where an operation isn't promised to be
    /// atomic over its keys, what lies between.
    /// `may_fail`: of several at once, any may fail because a drive does.
    pub fn alternatives(&self, model: &Model, may_fail: bool) -> Vec<Model> {
        let mut all = vec![model.clone()];
        match self {
            Step::DeleteMany(bucket, keys) => {
                for key in keys {
                    let mut without = all.clone();
                    for model in &mut without {
                        model.bucket(bucket).delete(key);
                    }
                    all.extend(without);
                }
            }
            Step::Together(steps) if may_fail => {
                // Each with whether the step before it was done.
                let mut all_with: Vec<(Model, bool)> = vec![(model.clone(), false)];
                for step in steps {
                    let mut next = Vec::new();
                    for (model, before) in all_with {
                        let mut with = model.clone();
                        match step {
                            // What would have refused it failed.
                            Step::PutRefused(place, content, _) if !before => {
                                Step::Put(place.clone(), content.clone(), Ack::All).apply(&mut with)
                            }
                            step => step.apply(&mut with),
                        }
                        next.extend([(model, false), (with, true)]);
                    }
                    all_with = next;
                }
                all.extend(all_with.into_iter().map(|(model, _)| model));
            }
            // Who gives up an object may have to read first where its bytes are: such a commit
            // comes by itself, after the group.
            Step::Together(steps) => {
                let (late, group): (Vec<&Step>, Vec<&Step>) =
                    steps.iter().partition(|step| step.gives_up(model));
                let mut after = vec![model.clone()];
                group.iter().for_each(|step| step.apply(&mut after[0]));
                for step in late {
                    let mut with = after.clone();
                    with.iter_mut().for_each(|model| step.apply(model));
                    after.extend(with);
                }
                all.extend(after);
            }
            alone => {
                let mut after = model.clone();
                alone.apply(&mut after);
                all.push(after);
            }
        }
        all
    }

    /// Whether it takes the place of an object in `model`, or deletes one.
    fn gives_up(&self, model: &Model) -> bool {
        match self {
            Step::Put(place, ..)
            | Step::PutIfMatch(place, ..)
            | Step::Delete(place)
            | Step::DeleteIfMatch(place, _) => {
                let bucket = model.buckets.get(&place.bucket);
                bucket.is_some_and(|bucket| bucket.versions(&place.key) > 0)
            }
            _ => false,
        }
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
            Step::PutRefused(place, content, etag) => {
                let condition = if etag.is_some() { "if unchanged" } else { "if absent" };
                format!("put {} {condition}, refused ({} bytes)", at(place), content.body.len())
            }
            Step::PutIfAbsent(place, content) => {
                format!("put new {} ({} bytes)", at(place), content.body.len())
            }
            Step::PutIfMatch(place, content, _) => {
                format!("put {} if unchanged ({} bytes)", at(place), content.body.len())
            }
            Step::Delete(place) => format!("delete {}", at(place)),
            Step::DeleteIfMatch(place, _) => format!("delete {} if unchanged", at(place)),
            Step::DeleteRefused(place, _) => {
                format!("delete {} if unchanged, refused", at(place))
            }
            Step::DeleteMany(bucket, keys) => format!("delete {keys:?} of {bucket}"),
            Step::Copy(from, to) => format!("copy {} to {}", at(from), at(to)),
            Step::SetVersioning(bucket, versioning) => {
                format!("versioning of {bucket}: {versioning:?}")
            }
            Step::DeleteVersion(place, number) => {
                format!("delete version {number} of {}", at(place))
            }
            Step::CopyVersion(from, number, to) => {
                format!("copy version {number} of {} to {to}", at(from))
            }
            Step::CreateUpload(place, _) => format!("create upload {}", at(place)),
            Step::UploadPart(upload, number, body) => {
                format!("part {number} of {} ({} bytes)", at(&upload.place), body.len())
            }
            Step::UploadPartCopy(upload, number, from, range) => {
                let of = at(&upload.place);
                format!("part {number} of {of} from {range:?} of {}", at(from))
            }
            Step::Complete(upload) => format!("complete {}", at(&upload.place)),
            Step::Abort(upload) => format!("abort {}", at(&upload.place)),
            Step::AddUser(name, ..) => format!("add user {name}"),
            Step::EnableUser(name, enabled) => format!("enable user {name}: {enabled}"),
            Step::RemoveUser(name) => format!("remove user {name}"),
            Step::Together(steps) => {
                let all: Vec<String> = steps.iter().map(Step::describe).collect();
                format!("together: {}", all.join(" & "))
            }
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

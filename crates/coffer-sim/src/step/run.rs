//! Doing a step on a store.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use coffer_base::Ack;
use coffer_iam::Action;
use coffer_identity as i;
use coffer_objects as o;

use super::{Content, Place, Step};
use crate::executor::{block_on, poll_once};
use crate::model::Model;
use crate::store::Store;

/// A step that did not go well.
#[derive(Debug)]
pub struct Failed {
    /// The first error.
    pub error: o::Error,
    /// Of several at once, those that went well.
    pub done: Vec<Step>,
}

impl Step {
    /// Does it. Gives the id of an upload begun.
    pub fn run(&self, store: &Store, model: &Model) -> Result<Option<String>, Failed> {
        match self {
            Step::Together(steps) => {
                let results = run_together(steps, store, model);
                let failed = results.iter().find_map(|result| result.as_ref().err().cloned());
                let Some(error) = failed else { return Ok(None) };
                let done = steps.iter().zip(&results).filter_map(|(step, result)| match result {
                    Ok(_) => Some(step.clone()),
                    Err(error) => unexpectedly_done(step, error),
                });
                Err(Failed { error, done: done.collect() })
            }
            alone => block_on(alone.run_alone(store, model))
                .map_err(|error| Failed { error, done: Vec::new() }),
        }
    }

    /// Does it alone. Gives the id of an upload begun.
    async fn run_alone(&self, store: &Store, model: &Model) -> Result<Option<String>, o::Error> {
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
            Step::PutIfAbsent(place, content) => {
                let mut put = put_of(content, None);
                put.condition.if_none_match_any = true;
                let mut writer = objects.put(&place.may_put(store), put).await?;
                write_body(&mut writer, &content.body).await?;
                writer.finish(None).await?;
            }
            Step::PutIfMatch(place, content, etag) => {
                let mut put = put_of(content, None);
                put.condition.if_match = Some(etag.clone());
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
            Step::PutRefused(place, content, etag) => {
                let mut put = put_of(content, None);
                put.condition.if_none_match_any = etag.is_none();
                put.condition.if_match = etag.clone();
                let refused = async {
                    let mut writer = objects.put(&place.may_put(store), put).await?;
                    write_body(&mut writer, &content.body).await?;
                    writer.finish(None).await
                };
                match refused.await {
                    Err(o::Error::PreconditionFailed { .. }) => {}
                    Err(other) => return Err(other),
                    Ok(_) => return Err(o::Error::Corrupt(REPLACED.to_owned())),
                }
            }
            Step::Delete(place) => {
                let grant = store.on_object(Action::DeleteObject, &place.bucket, &place.key);
                objects.delete(&grant).await?;
            }
            Step::DeleteIfMatch(place, etag) => {
                let grant = store.on_object(Action::DeleteObject, &place.bucket, &place.key);
                let condition =
                    o::WriteCondition { if_match: Some(etag.clone()), ..Default::default() };
                objects.delete_if(&grant, condition).await?;
            }
            Step::DeleteRefused(place, etag) => {
                let grant = store.on_object(Action::DeleteObject, &place.bucket, &place.key);
                let condition =
                    o::WriteCondition { if_match: Some(etag.clone()), ..Default::default() };
                let there = model.buckets[&place.bucket].objects.contains_key(&place.key);
                match (objects.delete_if(&grant, condition).await, there) {
                    (Err(o::Error::PreconditionFailed { .. }), true)
                    | (Err(o::Error::NoSuchKey), false) => {}
                    (Err(other), _) => return Err(other),
                    (Ok(_), _) => return Err(o::Error::Corrupt(DELETED.to_owned())),
                }
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
            Step::SetVersioning(bucket, versioning) => {
                let grant = store.on_bucket(Action::PutBucketVersioning, bucket);
                objects.set_bucket_versioning(&grant, *versioning).await?;
            }
            Step::DeleteVersion(place, at) => {
                let id = version_at(store, place, *at).await?;
                let action = Action::DeleteObjectVersion;
                let grant = store.on_object(action, &place.bucket, &place.key);
                objects.delete_version(&grant, id, o::WriteCondition::default()).await?;
            }
            Step::CopyVersion(from, at, to) => {
                let version = Some(version_at(store, from, *at).await?);
                let read = store.on_object(Action::GetObjectVersion, &from.bucket, &from.key);
                let write = store.on_object(Action::PutObject, &from.bucket, to);
                objects.copy(&read, &write, o::Copy { version, ..o::Copy::default() }).await?;
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
            Step::UploadPartCopy(upload, number, from, range) => {
                let read = store.on_object(Action::GetObject, &from.bucket, &from.key);
                let write = upload.place.may_put(store);
                let range = range.map(|(first, last)| o::ByteRange::FromTo(first, last));
                let request = o::CopyPart { range, ..Default::default() };
                objects.upload_part_copy(&read, &write, &upload.id, *number, request).await?;
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
            Step::AddUser(name, access_key, secret) => {
                let add = i::AddUser {
                    name: name.clone(),
                    access_key: Some(access_key.clone()),
                    secret: Some(secret.clone()),
                    policies: Vec::new(),
                };
                let grant = store.on_store(Action::AdminUsers);
                store.identity.add_user(&grant, add).await.map_err(of_identity)?;
            }
            Step::EnableUser(name, enabled) => {
                let grant = store.on_store(Action::AdminUsers);
                let set = store.identity.set_user_enabled(&grant, name, *enabled).await;
                set.map_err(of_identity)?;
            }
            Step::RemoveUser(name) => {
                let grant = store.on_store(Action::AdminUsers);
                store.identity.remove_user(&grant, name).await.map_err(of_identity)?;
            }
            Step::Together(_) => panic!("a group in a group"),
        }
        Ok(None)
    }
}

/// What a put says that should have been refused.
const REPLACED: &str = "a put replaced what it must not replace";

/// What a delete says that should have been refused.
const DELETED: &str = "a delete removed what it must not remove";

/// A put that would have been refused if the one before it had not failed.
fn unexpectedly_done(step: &Step, error: &o::Error) -> Option<Step> {
    match (step, error) {
        (Step::PutRefused(place, content, _), o::Error::Corrupt(what)) if what == REPLACED => {
            Some(Step::Put(place.clone(), content.clone(), Ack::All))
        }
        _ => None,
    }
}

/// Failures of drives are the same for both; anything else no step should meet.
fn of_identity(error: i::Error) -> o::Error {
    match error {
        i::Error::ReadOnly(why) => o::Error::ReadOnly(why),
        i::Error::Full => o::Error::Full,
        i::Error::Unavailable(why) => o::Error::Unavailable(why),
        i::Error::Corrupt(what) => o::Error::Corrupt(what),
        i::Error::Unknown(why) => o::Error::Unknown(why),
        other => o::Error::InvalidRequest(other.to_string()),
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Option<String>, o::Error>> + 'a>>;

/// Each goes on until its commit waits; those become one group. What needs another commit then
/// has it alone.
fn run_together(
    steps: &[Step],
    store: &Store,
    model: &Model,
) -> Vec<Result<Option<String>, o::Error>> {
    let catalog = store.objects.catalog();
    let mut running: Vec<Running<'_>> =
        steps.iter().map(|step| Box::pin(step.run_alone(store, model)) as Running<'_>).collect();
    catalog.gather();
    let mut results: Vec<_> = running.iter_mut().map(|step| poll_once(step.as_mut())).collect();
    catalog.run_gathered();
    let rest = running.into_iter().zip(&mut results);
    for (step, result) in rest.filter(|(_, result)| result.is_none()) {
        *result = Some(block_on(step));
    }
    results.into_iter().flatten().collect()
}

/// The id of the version at a place, counted from the newest.
async fn version_at(store: &Store, place: &Place, at: usize) -> Result<o::VersionId, o::Error> {
    let grant = store.on_bucket(Action::ListBucketVersions, &place.bucket);
    let query = o::ListVersions { prefix: place.key.clone(), max: 1000, ..Default::default() };
    let page = store.objects.list_versions(&grant, query).await?;
    let ids = page.entries.into_iter().filter_map(|entry| match entry {
        o::VersionEntry::Object { info, .. } if info.key == place.key => info.version_id,
        o::VersionEntry::Marker { key, version_id, .. } if key == place.key => Some(version_id),
        _ => None,
    });
    let id = ids.into_iter().nth(at);
    id.ok_or_else(|| o::Error::Corrupt(format!("{place:?} has no version {at}")))
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

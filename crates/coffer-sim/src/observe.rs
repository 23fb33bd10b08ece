//! Reads a whole store back, through every way there is to see it.
//!
//! What it checks itself: the pages of a listing fit together, a listing with a delimiter says
//! the same as one without, ranges are parts of the whole, the sums agree with what was found,
//! and fsck finds nothing. Whether it is what should be there is [`Model::difference`]'s matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use coffer_base::Timestamp;
use coffer_catalog::{MemEngine, Snapshot};
use coffer_iam::Action;
use coffer_objects as o;

use crate::model::{Bucket, Model, Older, Part, Stored, Upload, User};
use crate::store::Store;

/// Small, so that there are several pages.
const PAGE: usize = 5;

/// All that `store` holds; an error says what in it disagrees with itself.
pub async fn observe(store: &Store) -> Result<Model, String> {
    let mut model = Model::default();
    for name in bucket_names(store).await? {
        let bucket = observe_bucket(store, &name).await.map_err(|e| format!("{name}: {e}"))?;
        model.buckets.insert(name, bucket);
    }
    model.users = users(store).await?;
    let (kept, found) = (store.objects.usage().map_err(say)?, model.usage());
    if kept != found {
        return Err(format!("the store counts {kept:?} and holds {found:?}"));
    }
    Ok(model)
}

/// Whether everything agrees, byte for byte: every cell of the drives, every row, and the index
/// with the log.
pub fn fsck(store: &Store) -> Result<(), String> {
    let mut findings = Vec::new();
    let catalog = store.objects.catalog();
    let options = o::fsck::FsckOptions {
        fresh: Some(Arc::new(MemEngine::new())),
        identities: Some(Arc::new(|rows: &Snapshot, key: &[u8], value: &[u8]| {
            coffer_identity::check_row(rows, key, value).map_err(|e| e.to_string())
        })),
        ..Default::default()
    };
    o::fsck::fsck_with(catalog, options, &mut |finding| findings.push(finding.to_string()))
        .map_err(|e| format!("fsck stopped: {e}"))?;
    catalog.log().verify(&mut |finding| findings.push(finding));
    match findings.is_empty() {
        true => Ok(()),
        false => Err(format!("fsck: {}", findings.join("; "))),
    }
}

fn say(error: o::Error) -> String {
    error.to_string()
}

async fn bucket_names(store: &Store) -> Result<Vec<String>, String> {
    let grant = store.on_store(Action::ListAllMyBuckets);
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let query = o::ListBuckets { prefix: String::new(), after, max: 2 };
        let page = store.objects.list_buckets(&grant, query).await.map_err(say)?;
        names.extend(page.buckets.into_iter().map(|b| b.name));
        after = page.next;
        if after.is_none() {
            return Ok(names);
        }
    }
}

async fn users(store: &Store) -> Result<BTreeMap<String, User>, String> {
    let grant = store.on_store(Action::AdminUsers);
    let mut users = BTreeMap::new();
    let say = |error: coffer_identity::Error| error.to_string();
    for user in store.identity.all_users(&grant).await.map_err(say)? {
        let [access_key] = &user.access_keys[..] else {
            return Err(format!("user {} has keys {:?}", user.name, user.access_keys));
        };
        let found = store.identity.credential(access_key, None, Timestamp(0)).await;
        let found = found.map_err(say)?;
        let found = found.ok_or_else(|| format!("the key of user {} is nobody's", user.name))?;
        if found.principal.name() != user.name || found.enabled != user.enabled {
            return Err(format!("the key of user {} stands for {found:?}", user.name));
        }
        let user_found =
            User { access_key: access_key.clone(), secret: found.secret, enabled: user.enabled };
        users.insert(user.name, user_found);
    }
    Ok(users)
}

async fn observe_bucket(store: &Store, name: &str) -> Result<Bucket, String> {
    let mut bucket = Bucket::default();
    let mut names = Vec::new();
    for entry in list(store, name, None).await? {
        let o::Entry::Object(info) = entry else {
            return Err("a listing without delimiter has a common prefix".to_owned());
        };
        let object = read(store, name, &info).await.map_err(|e| format!("{:?}: {e}", info.key))?;
        names.push(info.key.clone());
        bucket.objects.insert(info.key, Arc::new(object));
    }
    if !names.is_sorted() || names.len() != bucket.objects.len() {
        return Err(format!("the listing is out of order or repeats: {names:?}"));
    }
    let rolled: Vec<String> =
        list(store, name, Some("/")).await?.iter().map(|e| e.name().to_owned()).collect();
    let expected = roll_up(bucket.objects.keys());
    if rolled != expected {
        return Err(format!("by delimiter it lists {rolled:?}, should list {expected:?}"));
    }
    let grant = store.on_bucket(Action::GetBucketVersioning, name);
    bucket.versioning = store.objects.bucket(&grant).await.map_err(say)?.versioning;
    observe_versions(store, name, &mut bucket).await?;
    bucket.uploads = uploads(store, name).await?;
    Ok(bucket)
}

/// Adds the versions that are not the current objects; those of `bucket` must be the latest ones.
async fn observe_versions(store: &Store, name: &str, bucket: &mut Bucket) -> Result<(), String> {
    let mut latest = Vec::new();
    for entry in versions(store, name).await? {
        let (key, is_latest, version) = match entry {
            o::VersionEntry::Object { info, is_latest } => {
                let object = match is_latest {
                    true => bucket.objects.get(&info.key).cloned(),
                    false => Some(Arc::new(read_version(store, name, &info).await?)),
                };
                let object = object.ok_or_else(|| format!("{:?} is not listed", info.key))?;
                let is_null = info.version_id == Some(o::VersionId::Null);
                (info.key, is_latest, Older { is_null, object: Some(object) })
            }
            o::VersionEntry::Marker { key, version_id, is_latest, .. } => {
                let is_null = version_id == o::VersionId::Null;
                (key, is_latest, Older { is_null, object: None })
            }
            o::VersionEntry::Prefix(prefix) => return Err(format!("{prefix:?} without delimiter")),
        };
        if is_latest {
            latest.push(key.clone());
        } else if latest.last() != Some(&key) {
            return Err(format!("the first listed version of {key:?} is not the latest"));
        }
        match (is_latest, version) {
            (true, Older { is_null, object: Some(object) }) => {
                bucket.objects.insert(key, Arc::new(Stored { is_null, ..(*object).clone() }));
            }
            (true, Older { object: None, .. }) if bucket.objects.contains_key(&key) => {
                return Err(format!("{key:?} is there and its latest version a delete marker"));
            }
            (_, version) => bucket.older.entry(key).or_default().push(version),
        }
    }
    match latest.is_sorted() && bucket.objects.keys().all(|key| latest.contains(key)) {
        true => Ok(()),
        false => Err(format!("versions are out of order or missing: latest of {latest:?}")),
    }
}

async fn versions(store: &Store, bucket: &str) -> Result<Vec<o::VersionEntry>, String> {
    let grant = store.on_bucket(Action::ListBucketVersions, bucket);
    let mut entries = Vec::new();
    let mut query = o::ListVersions { max: PAGE, ..Default::default() };
    loop {
        let page = store.objects.list_versions(&grant, query.clone()).await.map_err(say)?;
        if page.entries.len() > PAGE || page.truncated != page.next_key.is_some() {
            return Err("a page of a listing of versions is malformed".to_owned());
        }
        entries.extend(page.entries);
        query.key_after = page.next_key;
        query.version_after = page.next_version;
        if query.key_after.is_none() {
            return Ok(entries);
        }
    }
}

async fn read_version(
    store: &Store,
    bucket: &str,
    listed: &o::ObjectInfo,
) -> Result<Stored, String> {
    let grant = store.on_object(Action::GetObjectVersion, bucket, &listed.key);
    let get = o::Get { version: listed.version_id, ..Default::default() };
    let head = store.objects.head(&grant, get.clone()).await.map_err(say)?;
    let body = body(store, &grant, get).await?;
    if (listed.size, &listed.etag) != (body.len() as u64, &head.info.etag) {
        return Err(format!("a version of {:?} is listed as another", listed.key));
    }
    Ok(Stored {
        body,
        content_type: head.info.headers.content_type,
        user: head.info.headers.user,
        etag: Some(head.info.etag),
        is_null: listed.version_id == Some(o::VersionId::Null),
    })
}

fn roll_up<'a>(keys: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<String> = keys
        .map(|key| match key.find('/') {
            Some(at) => key[..=at].to_owned(),
            None => key.clone(),
        })
        .collect();
    names.dedup();
    names
}

async fn list(
    store: &Store,
    bucket: &str,
    delimiter: Option<&str>,
) -> Result<Vec<o::Entry>, String> {
    let grant = store.on_bucket(Action::ListBucket, bucket);
    let mut entries = Vec::new();
    let mut after = None;
    loop {
        let query = o::List {
            prefix: String::new(),
            delimiter: delimiter.map(str::to_owned),
            after,
            max: PAGE,
        };
        let page = store.objects.list(&grant, query).await.map_err(say)?;
        if page.entries.len() > PAGE || page.truncated != page.next.is_some() {
            return Err("a page of a listing is malformed".to_owned());
        }
        entries.extend(page.entries);
        after = page.next;
        if after.is_none() {
            return Ok(entries);
        }
    }
}

async fn body(store: &Store, grant: &coffer_iam::Grant, get: o::Get) -> Result<Bytes, String> {
    let mut reader = store.objects.get(grant, get).await.map_err(say)?;
    let mut body = Vec::new();
    while let Some(piece) = reader.next().await {
        body.extend_from_slice(&piece.map_err(say)?);
    }
    Ok(body.into())
}

async fn read(store: &Store, bucket: &str, listed: &o::ObjectInfo) -> Result<Stored, String> {
    let grant = store.on_object(Action::GetObject, bucket, &listed.key);
    let head = store.objects.head(&grant, o::Get::default()).await.map_err(say)?;
    let body_whole = body(store, &grant, o::Get::default()).await?;
    let size = body_whole.len() as u64;
    if (listed.size, &listed.etag) != (size, &head.info.etag) || head.info.size != size {
        return Err(format!(
            "listed with {} bytes and ETag {}, has {size} and {}",
            listed.size, listed.etag, head.info.etag
        ));
    }
    if size > 2 {
        let (from, to) = (size / 3, size / 3 * 2);
        let range = Some(o::ByteRange::FromTo(from, to));
        let part = body(store, &grant, o::Get { range, ..Default::default() }).await?;
        if part != body_whole.slice(from as usize..=to as usize) {
            return Err(format!("range {from}-{to} is not a part of the whole"));
        }
    }
    Ok(Stored {
        body: body_whole,
        content_type: head.info.headers.content_type,
        user: head.info.headers.user,
        etag: Some(head.info.etag),
        // The listing of versions says so.
        is_null: true,
    })
}

async fn uploads(
    store: &Store,
    bucket: &str,
) -> Result<BTreeMap<(String, String), Upload>, String> {
    let grant = store.on_bucket(Action::ListBucketMultipartUploads, bucket);
    let mut uploads = BTreeMap::new();
    let mut query = o::ListUploads { max: 2, ..Default::default() };
    loop {
        let page = store.objects.list_uploads(&grant, query.clone()).await.map_err(say)?;
        for upload in page.uploads {
            let found = parts(store, bucket, &upload).await?;
            uploads.insert((upload.key, upload.upload_id), found);
        }
        query.key_after = page.next_key;
        query.upload_after = page.next_upload;
        if query.key_after.is_none() {
            return Ok(uploads);
        }
    }
}

async fn parts(store: &Store, bucket: &str, upload: &o::Upload) -> Result<Upload, String> {
    let grant = store.on_object(Action::ListMultipartUploadParts, bucket, &upload.key);
    let page = store.objects.list_parts(&grant, &upload.upload_id, 0, 1000).await.map_err(say)?;
    let parts = page.parts.into_iter().map(|part| {
        let found = Part { body: Bytes::new(), size: part.size, etag: part.etag };
        (part.number, found)
    });
    Ok(Upload { parts: parts.collect(), headers: page.upload.headers })
}

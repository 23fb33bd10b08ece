//! DELETE, of one object and of many: for good, or where versions are kept by a delete marker; and
//! of versions, for good.

use coffer_base::{Ack, ObjectId};
use coffer_catalog::Txn;
use coffer_iam::{Action, Grant};

use crate::conditions::WriteCondition;
use crate::error::{Error, Result};
use crate::manifest::KnownManifests;
use crate::objects::{Objects, Refusal, Rows, commit_bytes, same_bucket, version_key};
use crate::replace::{self, Place};
use crate::rows::bucket::BucketRow;
use crate::rows::keys;
use crate::types::{Bucket, Delete, Deleted, VersionId, Versioning};
use crate::versions::{self, NewMarker};

/// Objects deleted in one commit.
const KEYS_PER_COMMIT_MAX: usize = 1000;
/// What their deletion takes in it, but for the last one, in bytes: others have room in the group
/// as well.
const BYTES_PER_COMMIT: usize = 2 << 20;

/// What is deleted within a bucket.
#[derive(Clone)]
struct Target {
    key: String,
    version: Option<VersionId>,
}

impl Objects {
    /// Deletes an object; it need not exist (`DeleteObject`).
    pub async fn delete(&self, grant: &Grant) -> Result<Deleted> {
        let target = Target { key: deletable_key(grant, None)?, version: None };
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        let mut deleted = self.delete_targets(bucket, vec![target]).await?;
        Ok(deleted.pop().expect("one for each"))
    }

    /// Deletes an object on a condition, decided in its commit (`DeleteObject` with `If-Match`).
    /// Where the condition wants an object and there is none, that is `NoSuchKey`.
    pub async fn delete_if(&self, grant: &Grant, condition: WriteCondition) -> Result<Deleted> {
        self.delete_one(grant, None, condition).await
    }

    /// Deletes a version for good; it need not exist (`DeleteObject` with `versionId`). A condition
    /// relates to that version.
    pub async fn delete_version(
        &self,
        grant: &Grant,
        version: VersionId,
        condition: WriteCondition,
    ) -> Result<Deleted> {
        self.delete_one(grant, Some(version), condition).await
    }

    async fn delete_one(
        &self,
        grant: &Grant,
        version: Option<VersionId>,
        condition: WriteCondition,
    ) -> Result<Deleted> {
        let key = deletable_key(grant, version)?;
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        let ack = bucket.ack.unwrap_or(Ack::All);
        let target = Target { key, version };
        let (hint, markers) = (target.commit_bytes(&bucket), self.markers());
        let plan = move |txn: &mut Txn<'_>, known: &KnownManifests| {
            let versioning = same_bucket(txn, &bucket)?.versioning;
            target.delete(txn, known, &bucket, versioning, &condition, &markers)
        };
        self.commit(ack, hint, plan).await
    }

    /// Deletes many objects and versions, those of one bucket in one commit for each thousand
    /// (`DeleteObjects`). The results are in the order asked.
    pub async fn delete_many(&self, asked: Vec<impl Into<Delete>>) -> Vec<Result<Deleted>> {
        let mut results: Vec<Result<Deleted>> = Vec::with_capacity(asked.len());
        // What waits for a commit: the bucket, and which of those asked for.
        let mut waiting: Vec<(Bucket, Vec<(usize, Target)>)> = Vec::new();
        for (i, delete) in asked.into_iter().enumerate() {
            let Delete { grant, version } = delete.into();
            let found = deletable_key(&grant, version)
                .and_then(|key| Ok((Target { key, version }, self.bucket_row(&grant)?)));
            let (target, row) = match found {
                Ok(found) => found,
                Err(error) => {
                    results.push(Err(error));
                    continue;
                }
            };
            results.push(Ok(Deleted::default()));
            match waiting.iter_mut().find(|(bucket, _)| bucket.id == row.id) {
                Some((_, targets)) => targets.push((i, target)),
                None => {
                    waiting.push((row.bucket(grant.bucket().to_owned()), vec![(i, target)]));
                }
            }
        }
        for (bucket, targets) in waiting {
            let mut targets = targets.as_slice();
            while !targets.is_empty() {
                let (chunk, rest) = targets.split_at(commit_len(&bucket, targets));
                targets = rest;
                let these = chunk.iter().map(|(_, target)| target.clone()).collect();
                match self.delete_targets(bucket.clone(), these).await {
                    Ok(deleted) => {
                        let deleted = chunk.iter().zip(deleted);
                        deleted.for_each(|((i, _), deleted)| results[*i] = Ok(deleted));
                    }
                    Err(error) => {
                        chunk.iter().for_each(|(i, _)| results[*i] = Err(error.clone()));
                    }
                }
            }
        }
        results
    }

    /// One result for each target, in their order.
    async fn delete_targets(&self, bucket: Bucket, targets: Vec<Target>) -> Result<Vec<Deleted>> {
        let count = targets.len();
        let (places, targets) = self.present(&bucket, targets)?;
        let mut results = vec![Deleted::default(); count];
        if targets.is_empty() {
            return Ok(results);
        }
        let ack = bucket.ack.unwrap_or(Ack::All);
        let hint = targets.iter().map(|target| target.commit_bytes(&bucket)).sum();
        let markers = self.markers();
        let plan = move |txn: &mut Txn<'_>, known: &KnownManifests| {
            let versioning = same_bucket(txn, &bucket)?.versioning;
            // All that are missing at once: this plan has no effect then, so it may go on.
            let mut missing = Vec::new();
            let mut deleted = Vec::with_capacity(targets.len());
            for target in &targets {
                let any = WriteCondition::default();
                match target.delete(txn, known, &bucket, versioning, &any, &markers) {
                    Ok(done) => deleted.push(done),
                    Err(Refusal::NeedManifests(blobs)) => missing.extend(blobs),
                    Err(other) => return Err(other),
                }
            }
            if missing.is_empty() { Ok(deleted) } else { Err(Refusal::NeedManifests(missing)) }
        };
        match self.commit(ack, hint, plan).await {
            Ok(deleted) => {
                places.into_iter().zip(deleted).for_each(|(place, done)| results[place] = done);
                Ok(results)
            }
            // The bucket went meanwhile, and all its objects before it.
            Err(Error::NoSuchBucket) => Ok(results),
            Err(other) => Err(other),
        }
    }

    /// What there is to do, with its place among what was asked. In a bucket that never had
    /// versioning an object that is not there is deleted already: this look at the durable state is
    /// the moment of it. Where versions are kept there is always a marker to add.
    fn present(&self, bucket: &Bucket, targets: Vec<Target>) -> Result<(Vec<usize>, Vec<Target>)> {
        let all = targets.into_iter().enumerate();
        if bucket.versioning != Versioning::Never {
            return Ok(all.unzip());
        }
        // One state: the bucket has no versions in the very one that lacks the objects.
        let snapshot = self.catalog().snapshot();
        let row: Option<BucketRow> = snapshot.row(&keys::bucket(&bucket.name))?;
        if row.is_none_or(|row| row.id != bucket.id || row.versioning != Versioning::Never) {
            return Ok(all.unzip());
        }
        let mut present = (Vec::new(), Vec::new());
        for (place, target) in all {
            let head = keys::head(bucket.id, &target.key);
            if target.version.is_some() || snapshot.value(&head)?.is_some() {
                present.0.push(place);
                present.1.push(target);
            }
        }
        Ok(present)
    }

    /// Makes delete markers within a plan, which alone knows whether there will be one.
    fn markers(&self) -> impl Fn() -> NewMarker + Send + Sync + 'static {
        let (clock, rng) = self.clock_and_rng();
        move || NewMarker { object_id: ObjectId::random(&*rng), modified: clock.now() }
    }
}

/// How many of `targets`, from the first on, are deleted in one commit.
fn commit_len(bucket: &Bucket, targets: &[(usize, Target)]) -> usize {
    let mut bytes = 0;
    let fits = |(_, target): &&(usize, Target)| {
        let goes_on = bytes < BYTES_PER_COMMIT;
        bytes += target.commit_bytes(bucket);
        goes_on
    };
    targets.iter().take(KEYS_PER_COMMIT_MAX).take_while(fits).count()
}

fn deletable_key(grant: &Grant, version: Option<VersionId>) -> Result<String> {
    version_key(grant, version, Action::DeleteObject, Action::DeleteObjectVersion)
}

impl Target {
    /// Bytes that its deletion takes in a commit.
    fn commit_bytes(&self, bucket: &Bucket) -> usize {
        commit_bytes(&self.key, 0) + versions::commit_bytes(bucket.versioning, &self.key)
    }

    fn delete(
        &self,
        txn: &mut Txn<'_>,
        known: &KnownManifests,
        bucket: &Bucket,
        versioning: Versioning,
        condition: &WriteCondition,
        markers: &dyn Fn() -> NewMarker,
    ) -> Result<Deleted, Refusal> {
        let place = Place { bucket: bucket.id, key: &self.key };
        if let Some(version) = self.version {
            return versions::delete_version(txn, known, place, version, condition);
        }
        let old = replace::current_if(&*txn, place, condition)?;
        versions::delete_current(txn, known, place, versioning, old.as_ref(), markers)
    }
}

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
use crate::rows::keys;
use crate::types::{Bucket, Delete, Deleted, VersionId, Versioning};
use crate::versions::{self, NewMarker};

/// Objects deleted in one commit.
const KEYS_PER_COMMIT_MAX: usize = 1000;

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
            for chunk in targets.chunks(KEYS_PER_COMMIT_MAX) {
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
        if self.has_none_of(&bucket, &targets)? {
            return Ok(vec![Deleted::default(); targets.len()]);
        }
        let ack = bucket.ack.unwrap_or(Ack::All);
        let hint = targets.iter().map(|target| target.commit_bytes(&bucket)).sum();
        let (count, markers) = (targets.len(), self.markers());
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
            // The bucket went meanwhile, and all its objects before it.
            Err(Error::NoSuchBucket) => Ok(vec![Deleted::default(); count]),
            other => other,
        }
    }

    /// Whether there is nothing to delete in the durable state. Then that is the moment of the
    /// deletion, and there is nothing to commit. Where versions are kept there always is: a marker.
    fn has_none_of(&self, bucket: &Bucket, targets: &[Target]) -> Result<bool> {
        if bucket.versioning != Versioning::Never || targets.iter().any(|t| t.version.is_some()) {
            return Ok(false);
        }
        let catalog = self.catalog();
        for target in targets {
            if catalog.value(&keys::head(bucket.id, &target.key))?.is_some() {
                return Ok(false);
            }
        }
        // After the look at the keys: they were not there in a bucket that had no versioning.
        let row: Option<crate::rows::bucket::BucketRow> =
            catalog.row(&keys::bucket(&bucket.name))?;
        Ok(row.is_none_or(|row| row.id != bucket.id || row.versioning == Versioning::Never))
    }

    /// Makes delete markers within a plan, which alone knows whether there will be one.
    fn markers(&self) -> impl Fn() -> NewMarker + Send + Sync + 'static {
        let (clock, rng) = self.clock_and_rng();
        move || NewMarker { object_id: ObjectId::random(&*rng), modified: clock.now() }
    }
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

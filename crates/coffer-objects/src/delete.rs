//! DELETE, of one object and of many.

use coffer_base::Ack;
use coffer_catalog::Txn;
use coffer_iam::{Action, Grant};

use crate::conditions::WriteCondition;
use crate::error::{Error, Result};
use crate::manifest::KnownManifests;
use crate::objects::{Objects, Refusal, Rows, commit_bytes, object_key, same_bucket};
use crate::replace::{self, Place};
use crate::rows::keys;
use crate::types::Bucket;

/// Objects deleted in one commit.
const KEYS_PER_COMMIT_MAX: usize = 1000;

impl Objects {
    /// Deletes an object; it need not exist (`DeleteObject`).
    pub async fn delete(&self, grant: &Grant) -> Result<()> {
        let key = object_key(grant, Action::DeleteObject)?;
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        self.delete_keys(bucket, vec![key]).await
    }

    /// Deletes an object on a condition, decided in its commit (`DeleteObject` with `If-Match`).
    /// Where the condition wants an object and there is none, that is `NoSuchKey`.
    pub async fn delete_if(&self, grant: &Grant, condition: WriteCondition) -> Result<()> {
        let key = object_key(grant, Action::DeleteObject)?;
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        let (ack, hint) = (bucket.ack.unwrap_or(Ack::All), commit_bytes(&key, 0));
        let plan = move |txn: &mut Txn<'_>, known: &KnownManifests| -> Result<(), Refusal> {
            same_bucket(txn, &bucket)?;
            let place = Place { bucket: bucket.id, key: &key };
            match replace::current_if(&*txn, place, &condition)? {
                Some(old) => replace::remove(txn, known, place, &old),
                None => Ok(()),
            }
        };
        self.commit(ack, hint, plan).await
    }

    /// Deletes many objects, those of one bucket in one commit for each thousand
    /// (`DeleteObjects`). The results are in the order of the grants.
    pub async fn delete_many(&self, grants: Vec<Grant>) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = Vec::with_capacity(grants.len());
        // What waits for a commit: the bucket, and which grant and key.
        let mut waiting: Vec<(Bucket, Vec<(usize, String)>)> = Vec::new();
        for (i, grant) in grants.iter().enumerate() {
            let found = object_key(grant, Action::DeleteObject)
                .and_then(|key| Ok((key, self.bucket_row(grant)?)));
            let (key, row) = match found {
                Ok(found) => found,
                Err(error) => {
                    results.push(Err(error));
                    continue;
                }
            };
            results.push(Ok(()));
            match waiting.iter_mut().find(|(bucket, _)| bucket.id == row.id) {
                Some((_, keys)) => keys.push((i, key)),
                None => {
                    waiting.push((row.bucket(grant.bucket().to_owned()), vec![(i, key)]));
                }
            }
        }
        for (bucket, keys) in waiting {
            for chunk in keys.chunks(KEYS_PER_COMMIT_MAX) {
                let names = chunk.iter().map(|(_, key)| key.clone()).collect();
                if let Err(error) = self.delete_keys(bucket.clone(), names).await {
                    chunk.iter().for_each(|(i, _)| results[*i] = Err(error.clone()));
                }
            }
        }
        results
    }

    async fn delete_keys(&self, bucket: Bucket, object_keys: Vec<String>) -> Result<()> {
        // Nothing there in the durable state: then that is the moment of the deletion, and
        // there is nothing to commit.
        let catalog = self.catalog();
        let mut present = Vec::new();
        for key in object_keys {
            if catalog.value(&keys::head(bucket.id, &key))?.is_some() {
                present.push(key);
            }
        }
        if present.is_empty() {
            return Ok(());
        }
        let ack = bucket.ack.unwrap_or(Ack::All);
        let hint = present.iter().map(|key| commit_bytes(key, 0)).sum();
        let plan = move |txn: &mut Txn<'_>, known: &KnownManifests| -> Result<(), Refusal> {
            same_bucket(txn, &bucket)?;
            // All that are missing at once: this plan has no effect then, so it may go on.
            let mut missing = Vec::new();
            for key in &present {
                let place = Place { bucket: bucket.id, key };
                let Some(old) = replace::current(txn, place)? else { continue };
                match replace::remove(txn, known, place, &old) {
                    Err(Refusal::NeedManifests(blobs)) => missing.extend(blobs),
                    other => other?,
                }
            }
            if missing.is_empty() { Ok(()) } else { Err(Refusal::NeedManifests(missing)) }
        };
        match self.commit(ack, hint, plan).await {
            // The bucket went meanwhile, and all its objects before it.
            Err(Error::NoSuchBucket) => Ok(()),
            other => other,
        }
    }
}

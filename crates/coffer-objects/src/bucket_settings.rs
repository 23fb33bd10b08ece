//! What is set on buckets: policies and public access blocks; and what a decision about a bucket is
//! made from.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use coffer_base::{Ack, BucketId};
use coffer_catalog::Txn;
use coffer_iam::{Action, Grant, Kind, Policy};

use crate::error::{Error, Result};
use crate::manifest::KnownManifests;
use crate::objects::{Objects, Refusal, Rows, expect, same_bucket};
use crate::rows::bucket::BucketRow;
use crate::rows::setting::{AccessBlockRow, PolicyRow};
use crate::rows::{Row, keys};
use crate::types::{Bucket, PublicAccessBlock};

#[cfg(test)]
mod tests;

/// The cache is emptied when it holds so many.
const CACHED_MAX: usize = 10_000;

/// What has to be known of a bucket before a request to it is decided.
#[derive(Clone, Debug)]
pub struct BucketFacts {
    /// The bucket: whose it is, and its id.
    pub bucket: Bucket,
    /// Its policy.
    pub policy: Option<Arc<Policy>>,
    /// Its public access block.
    pub access_block: Option<PublicAccessBlock>,
}

impl BucketFacts {
    /// Whether the policy lets in the public.
    pub fn is_public(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.is_public())
    }

    /// Whether the policy lets in the public, and is kept to the owner's account for that.
    pub fn is_restricted(&self) -> bool {
        self.access_block.is_some_and(|block| block.restrict_public_buckets) && self.is_public()
    }
}

/// Facts by the bucket's name. A change of any bucket empties it before the change is answered,
/// so that what was taken back does not work a moment longer.
#[derive(Default)]
pub(crate) struct FactsCache(RwLock<Cached>);

#[derive(Default)]
struct Cached {
    /// Counts the changes: what was looked up before one is not kept after it.
    generation: u64,
    by_name: HashMap<String, Arc<BucketFacts>>,
}

impl FactsCache {
    fn get(&self, name: &str) -> Result<Arc<BucketFacts>, u64> {
        let cached = self.0.read().expect("no holder panics");
        cached.by_name.get(name).cloned().ok_or(cached.generation)
    }

    fn keep(&self, name: &str, facts: Arc<BucketFacts>, generation: u64) {
        let mut cached = self.0.write().expect("no holder panics");
        if cached.generation != generation {
            return;
        }
        if cached.by_name.len() >= CACHED_MAX {
            cached.by_name.clear();
        }
        cached.by_name.insert(name.to_owned(), facts);
    }

    fn forget_all(&self) {
        let mut cached = self.0.write().expect("no holder panics");
        cached.generation += 1;
        cached.by_name.clear();
    }
}

impl Objects {
    /// What a decision about the bucket of this name is made from; `None` if there is none. It
    /// needs no grant, since no grant is made without it, and no caller is told of it.
    pub fn bucket_facts(&self, name: &str) -> Result<Option<Arc<BucketFacts>>> {
        let generation = match self.facts_cache().get(name) {
            Ok(facts) => return Ok(Some(facts)),
            Err(generation) => generation,
        };
        let snapshot = self.catalog().snapshot();
        let Some(row) = snapshot.row::<BucketRow>(&keys::bucket(name))? else {
            return Ok(None);
        };
        let id = row.id;
        let policy = match snapshot.row::<PolicyRow>(&keys::bucket_policy(id))? {
            // Without its policy nothing can be decided about the bucket: its denies are unknown.
            Some(row) => Some(Arc::new(Policy::parse(&row.json, Kind::Resource).map_err(|e| {
                Error::Corrupt(format!("the policy of bucket {name} can't be read: {e}"))
            })?)),
            None => None,
        };
        let block: Option<AccessBlockRow> = snapshot.row(&keys::access_block(id))?;
        let bucket = row.bucket(name.to_owned());
        let facts = BucketFacts { bucket, policy, access_block: block.map(|row| row.0) };
        let facts = Arc::new(facts);
        self.facts_cache().keep(name, facts.clone(), generation);
        Ok(Some(facts))
    }

    /// The policy of a bucket as it was given (`GetBucketPolicy`).
    pub async fn bucket_policy(&self, grant: &Grant) -> Result<String> {
        expect(grant, Action::GetBucketPolicy);
        let id = self.bucket_row(grant)?.id;
        let row: Option<PolicyRow> = self.catalog().row(&keys::bucket_policy(id))?;
        row.map(|row| row.json).ok_or(Error::NoSuchBucketPolicy)
    }

    /// Whether the policy of a bucket lets in the public (`GetBucketPolicyStatus`).
    pub async fn bucket_policy_is_public(&self, grant: &Grant) -> Result<bool> {
        expect(grant, Action::GetBucketPolicyStatus);
        let id = self.bucket_row(grant)?.id;
        let row: Option<PolicyRow> = self.catalog().row(&keys::bucket_policy(id))?;
        let row = row.ok_or(Error::NoSuchBucketPolicy)?;
        let policy = Policy::parse(&row.json, Kind::Resource);
        let policy = policy.map_err(|e| Error::Corrupt(format!("a policy can't be read: {e}")))?;
        Ok(policy.is_public())
    }

    /// Gives a bucket this policy (`PutBucketPolicy`).
    pub async fn put_bucket_policy(&self, grant: &Grant, json: &str) -> Result<()> {
        expect(grant, Action::PutBucketPolicy);
        let malformed = |error: coffer_iam::PolicyError| Error::MalformedPolicy(error.to_string());
        let policy = Policy::parse(json, Kind::Resource).map_err(malformed)?;
        policy.check_bucket(grant.bucket()).map_err(malformed)?;
        let is_public = policy.is_public();
        let value = PolicyRow { json: json.to_owned(), changed: self.now() }.encode();
        let hint = 1024 + value.len();
        self.change_settings(grant, hint, move |txn, id| {
            let block: Option<AccessBlockRow> = txn.row(&keys::access_block(id))?;
            if is_public && block.is_some_and(|row| row.0.block_public_policy) {
                return Err(Error::PublicPolicyBlocked.into());
            }
            txn.put(&keys::bucket_policy(id), &value);
            Ok(())
        })
        .await
    }

    /// Takes a bucket's policy away, if it has one (`DeleteBucketPolicy`).
    pub async fn delete_bucket_policy(&self, grant: &Grant) -> Result<()> {
        expect(grant, Action::DeleteBucketPolicy);
        self.change_settings(grant, 1024, |txn, id| {
            txn.delete(&keys::bucket_policy(id));
            Ok(())
        })
        .await
    }

    /// The public access block of a bucket (`GetPublicAccessBlock`).
    pub async fn public_access_block(&self, grant: &Grant) -> Result<PublicAccessBlock> {
        expect(grant, Action::GetBucketPublicAccessBlock);
        let id = self.bucket_row(grant)?.id;
        let row: Option<AccessBlockRow> = self.catalog().row(&keys::access_block(id))?;
        row.map(|row| row.0).ok_or(Error::NoSuchPublicAccessBlock)
    }

    /// Gives a bucket this public access block, or with `None` takes it away
    /// (`PutPublicAccessBlock`, `DeletePublicAccessBlock`).
    pub async fn set_public_access_block(
        &self,
        grant: &Grant,
        block: Option<PublicAccessBlock>,
    ) -> Result<()> {
        expect(grant, Action::PutBucketPublicAccessBlock);
        self.change_settings(grant, 1024, move |txn, id| {
            let key = keys::access_block(id);
            match block {
                Some(block) => txn.put(&key, &AccessBlockRow(block).encode()),
                None => txn.delete(&key),
            }
            Ok(())
        })
        .await
    }

    async fn change_settings(
        &self,
        grant: &Grant,
        hint: usize,
        change: impl Fn(&mut Txn<'_>, BucketId) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Result<()> {
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        let plan = move |txn: &mut Txn<'_>, _: &KnownManifests| -> Result<(), Refusal> {
            same_bucket(txn, &bucket)?;
            change(txn, bucket.id)
        };
        self.change_facts(hint, plan).await
    }

    /// Commits `plan`, which changes what is known of a bucket, and empties the cache before that
    /// is answered.
    ///
    /// A caller that goes away while the commit is under way does not come back, and the commit
    /// is made all the same. So what empties the cache goes with the plan's value: whoever has
    /// that at the end drops it, after the change is visible, has failed, or may have been made.
    pub(crate) async fn change_facts<T, P>(&self, hint: usize, plan: P) -> Result<T>
    where
        T: Send + 'static,
        P: Fn(&mut Txn<'_>, &KnownManifests) -> Result<T, Refusal> + Send + Sync + 'static,
    {
        let cache = self.facts_cache().clone();
        let plan = move |txn: &mut Txn<'_>, known: &KnownManifests| {
            plan(txn, known).map(|value| (value, Forget(cache.clone())))
        };
        self.commit(Ack::All, hint, plan).await.map(|(value, _forget)| value)
    }
}

/// Goes with the value of a change, and empties the cache when it goes.
struct Forget(Arc<FactsCache>);

impl Drop for Forget {
    fn drop(&mut self) {
        self.0.forget_all();
    }
}

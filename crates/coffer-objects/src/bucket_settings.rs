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

/// The cache is emptied when it would hold more.
const CACHED_MAX: usize = 10_000;
/// The cache is emptied when the policies that it holds are longer, as they are written.
const CACHED_POLICY_BYTES_MAX: usize = 64 << 20;

/// What has to be known of a bucket before a request to it is decided.
#[derive(Clone, Debug)]
pub struct BucketFacts {
    /// The bucket: whose it is, and its id.
    pub bucket: Bucket,
    /// Its policy.
    pub policy: Option<Arc<Policy>>,
    /// Its public access block.
    pub access_block: Option<PublicAccessBlock>,
    is_public: bool,
}

impl BucketFacts {
    /// The facts of a bucket.
    pub fn new(
        bucket: Bucket,
        policy: Option<Arc<Policy>>,
        access_block: Option<PublicAccessBlock>,
    ) -> BucketFacts {
        let is_public = policy.as_ref().is_some_and(|policy| policy.is_public());
        BucketFacts { bucket, policy, access_block, is_public }
    }

    /// Whether the policy lets in the public.
    pub fn is_public(&self) -> bool {
        self.is_public
    }

    /// Whether the policy lets in the public, and is kept to the owner's account for that.
    pub fn is_restricted(&self) -> bool {
        self.access_block.is_some_and(|block| block.restrict_public_buckets) && self.is_public()
    }
}

/// Facts by the bucket's name. A change of a bucket takes out what is known of it before the
/// change is answered, so that what was taken back does not work a moment longer.
#[derive(Default)]
pub(crate) struct FactsCache(RwLock<Cached>);

#[derive(Default)]
struct Cached {
    /// Counts the changes: what was looked up before one is not kept after it.
    generation: u64,
    by_name: HashMap<String, Kept>,
    /// The sum over all that is kept.
    policy_bytes: usize,
}

struct Kept {
    facts: Arc<BucketFacts>,
    policy_bytes: usize,
}

impl Cached {
    fn remove(&mut self, name: &str) {
        if let Some(kept) = self.by_name.remove(name) {
            self.policy_bytes -= kept.policy_bytes;
        }
    }
}

impl FactsCache {
    fn get(&self, name: &str) -> Result<Arc<BucketFacts>, u64> {
        let cached = self.0.read().expect("no holder panics");
        let kept = cached.by_name.get(name);
        kept.map(|kept| kept.facts.clone()).ok_or(cached.generation)
    }

    /// Keeps `facts`, whose policy has so many bytes.
    fn keep(&self, name: &str, facts: Arc<BucketFacts>, policy_bytes: usize, generation: u64) {
        let mut cached = self.0.write().expect("no holder panics");
        if cached.generation != generation {
            return;
        }
        cached.remove(name);
        if cached.by_name.len() >= CACHED_MAX
            || cached.policy_bytes + policy_bytes > CACHED_POLICY_BYTES_MAX
        {
            cached.by_name.clear();
            cached.policy_bytes = 0;
        }
        cached.policy_bytes += policy_bytes;
        cached.by_name.insert(name.to_owned(), Kept { facts, policy_bytes });
    }

    fn forget(&self, name: &str) {
        let mut cached = self.0.write().expect("no holder panics");
        cached.generation += 1;
        cached.remove(name);
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
        let mut policy_bytes = 0;
        let policy = match snapshot.row::<PolicyRow>(&keys::bucket_policy(id))? {
            // Without its policy nothing can be decided about the bucket: its denies are unknown.
            Some(row) => {
                policy_bytes = row.json.len();
                Some(Arc::new(Policy::parse(&row.json, Kind::Resource).map_err(|e| {
                    Error::Corrupt(format!("the policy of bucket {name} can't be read: {e}"))
                })?))
            }
            None => None,
        };
        let block: Option<AccessBlockRow> = snapshot.row(&keys::access_block(id))?;
        let bucket = row.bucket(name.to_owned());
        let facts = Arc::new(BucketFacts::new(bucket, policy, block.map(|row| row.0)));
        self.facts_cache().keep(name, facts.clone(), policy_bytes, generation);
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
        self.change_facts(grant.bucket(), hint, plan).await
    }

    /// Commits `plan`, which changes what is known of the bucket `name`, and takes that out of the
    /// cache before it is answered.
    ///
    /// A caller that goes away while the commit is under way does not come back, and the commit
    /// is made all the same. So what forgets goes with the plan's value: whoever has that at the
    /// end drops it, after the change is visible, has failed, or may have been made.
    pub(crate) async fn change_facts<T, P>(&self, name: &str, hint: usize, plan: P) -> Result<T>
    where
        T: Send + 'static,
        P: Fn(&mut Txn<'_>, &KnownManifests) -> Result<T, Refusal> + Send + Sync + 'static,
    {
        let (cache, name) = (self.facts_cache().clone(), name.to_owned());
        let plan = move |txn: &mut Txn<'_>, known: &KnownManifests| {
            plan(txn, known)
                .map(|value| (value, Forget { cache: cache.clone(), name: name.clone() }))
        };
        self.commit(Ack::All, hint, plan).await.map(|(value, _forget)| value)
    }
}

/// Goes with the value of a change of the bucket `name`, and forgets its facts when it goes.
struct Forget {
    cache: Arc<FactsCache>,
    name: String,
}

impl Drop for Forget {
    fn drop(&mut self) {
        self.cache.forget(&self.name);
    }
}

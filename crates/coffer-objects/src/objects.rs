//! The store as callers see it, and what its verbs share: reading rows, and the one commit.

use std::sync::Arc;

use bytes::Bytes;
use coffer_base::{Ack, Clock, ObjectId, Rng, Timestamp};
use coffer_catalog::{Catalog, CommitError, Snapshot, Txn, TxnError, decode_counters};
use coffer_iam::{Action, Grant};
use coffer_log::Lane;

use crate::blocking::{self, Blocking};
use crate::bucket_settings::FactsCache;
use crate::crowd::Crowd;
use crate::error::{Error, Result};
use crate::hashing::Hashing;
use crate::manifest::{KnownManifests, ManifestCache};
use crate::rows::bucket::BucketRow;
use crate::rows::{self, Row, keys};
use crate::types::{Bucket, Headers, KEY_BYTES_MAX, USER_METADATA_BYTES_MAX, Usage, VersionId};

#[cfg(test)]
mod tests;

/// The seams the domain stands on.
#[derive(Clone)]
pub struct ObjectSeams {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, fit for keys in a server.
    pub rng: Arc<dyn Rng>,
    /// Where blocking work runs.
    pub blocking: Arc<dyn Blocking>,
}

/// The store: every verb is a method. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    inner: Arc<Inner>,
}

struct Inner {
    catalog: Catalog,
    seams: ObjectSeams,
    manifests: ManifestCache,
    facts: Arc<FactsCache>,
    crowd: Crowd,
    hashing: Hashing,
}

/// Commits with a larger hint are not tried.
const COMMIT_BYTES_MAX: usize = Lane::GROUP_BYTES_MAX / 8 * 7;

/// Bytes that the rows of a commit about `key` take, without payloads, manifests and parts: some
/// of them repeat the key, one has `header_bytes` of headers.
pub(crate) fn commit_bytes(key: &str, header_bytes: usize) -> usize {
    512 + 5 * key.len() + header_bytes
}

/// Why a plan was refused.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// The answer.
    Answer(Error),
    /// The manifests of these blobs, which are kept in the log, have to be read first.
    NeedManifests(Vec<ObjectId>),
    /// What the plan was made from was replaced meanwhile: look again.
    Stale,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Answer(error)
    }
}

impl From<TxnError> for Refusal {
    fn from(error: TxnError) -> Self {
        Refusal::Answer(error.into())
    }
}

impl Objects {
    /// The domain over `catalog`.
    pub fn open(catalog: Catalog, seams: ObjectSeams) -> Result<Objects> {
        let (manifests, crowd) = (ManifestCache::default(), Crowd::default());
        let facts = Arc::new(FactsCache::default());
        let hashing = Hashing::new(seams.blocking.clone());
        let inner = Inner { catalog, seams, manifests, facts, crowd, hashing };
        let objects = Objects { inner: Arc::new(inner) };
        objects.usage()?;
        Ok(objects)
    }

    /// The catalog below.
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// What the store holds.
    pub fn usage(&self) -> Result<Usage> {
        let value = self.catalog().get(&keys::totals())?;
        let counters = value.map_or_else(Vec::new, |value| decode_counters(&value));
        let counter = |i: usize| counters.get(i).map_or(0, |n| u64::try_from(*n).unwrap_or(0));
        Ok(Usage {
            buckets: counter(0),
            objects: counter(1),
            bytes: counter(2),
            uploads: counter(3),
            versions: counter(4),
        })
    }

    pub(crate) fn manifests(&self) -> &ManifestCache {
        &self.inner.manifests
    }

    pub(crate) fn facts_cache(&self) -> &Arc<FactsCache> {
        &self.inner.facts
    }

    pub(crate) fn crowd(&self) -> &Crowd {
        &self.inner.crowd
    }

    pub(crate) fn hashing(&self) -> &Hashing {
        &self.inner.hashing
    }

    pub(crate) fn rng(&self) -> &dyn Rng {
        &*self.inner.seams.rng
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.seams.clock.now()
    }

    /// For plans, which must not hold the store itself.
    pub(crate) fn clock_and_rng(&self) -> (Arc<dyn Clock>, Arc<dyn Rng>) {
        (self.inner.seams.clock.clone(), self.inner.seams.rng.clone())
    }

    pub(crate) fn blocking(&self) -> &Arc<dyn Blocking> {
        &self.inner.seams.blocking
    }

    /// Runs `work` where it may block.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        blocking::call(&**self.blocking(), work)
    }

    /// The bucket of `grant`.
    ///
    /// A grant is for the very bucket whose owner and policy were looked at. One that took its
    /// name since then is another.
    pub(crate) fn bucket_row(&self, grant: &Grant) -> Result<BucketRow> {
        let key = keys::bucket(grant.bucket());
        let found: Option<BucketRow> = row(&key, self.catalog().get(&key))?;
        let meant = |row: &BucketRow| grant.bucket_id().is_none_or(|id| id == row.id.0);
        found.filter(meant).ok_or(Error::NoSuchBucket)
    }

    /// The acknowledgement level of a write: the request's, the bucket's, or the default.
    pub(crate) fn ack(request: Option<Ack>, bucket: Option<Ack>) -> Ack {
        request.or(bucket).unwrap_or(Ack::All)
    }

    /// Commits `plan`. It may be run several times, in vain all but the last: it may need manifests
    /// that can't be read from within the sequencer, or more room than `bytes_hint`.
    pub(crate) async fn commit<T, P>(&self, ack: Ack, bytes_hint: usize, plan: P) -> Result<T>
    where
        T: Send + 'static,
        P: Fn(&mut Txn<'_>, &KnownManifests) -> Result<T, Refusal> + Send + Sync + 'static,
    {
        match self.try_commit(ack, bytes_hint, plan).await? {
            Some(value) => Ok(value),
            None => panic!("this plan does not call anything stale"),
        }
    }

    /// As [`Objects::commit`]; `None` if the plan finds itself stale.
    pub(crate) async fn try_commit<T, P>(
        &self,
        ack: Ack,
        bytes_hint: usize,
        plan: P,
    ) -> Result<Option<T>>
    where
        T: Send + 'static,
        P: Fn(&mut Txn<'_>, &KnownManifests) -> Result<T, Refusal> + Send + Sync + 'static,
    {
        let plan = Arc::new(plan);
        let mut known = KnownManifests::default();
        let mut room = bytes_hint;
        loop {
            let (running, seen) = (plan.clone(), known.clone());
            let outcome = self.catalog().commit(ack, room, move |txn| running(txn, &seen)).await;
            let refusal = match outcome {
                Ok(value) => return Ok(Some(value)),
                Err(CommitError::Rejected(refusal)) => refusal,
                // What it gives up lies in many segments, each with a counter, or the plans before
                // it in the group took more than they said. With the most room it is as good as
                // alone in a group.
                Err(CommitError::TooLarge { bytes }) if room < COMMIT_BYTES_MAX => {
                    room = (room.max(bytes) * 2).min(COMMIT_BYTES_MAX);
                    continue;
                }
                Err(CommitError::TooLarge { bytes }) if bytes_hint <= COMMIT_BYTES_MAX => {
                    let what = format!("a commit found no room for its {bytes} bytes");
                    return Err(Error::Unavailable(what));
                }
                Err(other) => return Err(commit_error(other)),
            };
            match refusal {
                Refusal::Answer(error) => return Err(error),
                Refusal::Stale => return Ok(None),
                Refusal::NeedManifests(blobs) => self.know_manifests(&mut known, blobs).await?,
            }
        }
    }
}

fn commit_error(error: CommitError<Refusal>) -> Error {
    match error {
        CommitError::Rejected(_) => unreachable!("told apart before"),
        CommitError::Log(error) => error.into(),
        // The group may be in the log already.
        CommitError::Index(error) => Error::Unknown(error.to_string()),
        CommitError::TooLarge { bytes } => {
            Error::InvalidRequest(format!("the commit would take {bytes} bytes, too many"))
        }
        CommitError::Panicked(what) => panic!("the plan of a commit panicked: {what}"),
        CommitError::Closed => Error::Unavailable("the store is stopping".to_owned()),
    }
}

/// Where rows are read from: the catalog as it is, a snapshot, or a transaction.
pub(crate) trait Rows {
    fn value(&self, key: &[u8]) -> Result<Option<Bytes>>;

    /// The row of `key`.
    fn row<T: Row>(&self, key: &[u8]) -> Result<Option<T>> {
        row(key, self.value(key))
    }
}

impl Rows for Snapshot {
    fn value(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.get(key)?)
    }
}

impl Rows for Catalog {
    fn value(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.get(key)?)
    }
}

impl Rows for Txn<'_> {
    fn value(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.get(key)?)
    }
}

/// Decodes what was found under `key`.
pub(crate) fn row<T: Row, E: Into<Error>>(
    key: &[u8],
    found: Result<Option<Bytes>, E>,
) -> Result<Option<T>> {
    found.map_err(Into::into)?.map(|value| rows::read::<T>(key, &value)).transpose()
}

/// The bucket of this name, which must still be the one that was looked at before.
pub(crate) fn same_bucket(txn: &Txn<'_>, seen: &Bucket) -> Result<BucketRow> {
    let found: Option<BucketRow> = txn.row(&keys::bucket(&seen.name))?;
    found.filter(|row| row.id == seen.id).ok_or(Error::NoSuchBucket)
}

/// The object key of `grant`, which must be for `action`.
pub(crate) fn object_key(grant: &Grant, action: Action) -> Result<String> {
    expect(grant, action);
    let key = grant.key().expect("a grant of an object action names a key");
    if key.is_empty() {
        return Err(Error::InvalidArgument("a key has at least one byte".to_owned()));
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::KeyTooLong { size: key.len() });
    }
    Ok(key.to_owned())
}

/// The object key of `grant`, which must be for `action`, or where a version is named for `versioned`.
pub(crate) fn version_key(
    grant: &Grant,
    version: Option<VersionId>,
    action: Action,
    versioned: Action,
) -> Result<String> {
    object_key(grant, if version.is_some() { versioned } else { action })
}

/// A grant for another action than the one about to happen is a defect of the caller.
pub(crate) fn expect(grant: &Grant, action: Action) {
    assert_eq!(grant.action(), action, "the grant is for another action");
}

/// Refuses more user metadata than S3 takes.
pub(crate) fn check_headers(headers: &Headers) -> Result<()> {
    let size = headers.user.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > USER_METADATA_BYTES_MAX {
        return Err(Error::MetadataTooLarge { size });
    }
    Ok(())
}

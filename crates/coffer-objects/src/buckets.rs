//! Buckets: creating, finding, listing, deleting.

use std::ops::Bound;

use coffer_base::{Ack, BucketId};
use coffer_catalog::Txn;
use coffer_catalog::keys::prefix_bounds;
use coffer_iam::{Action, Grant};

use crate::error::{Error, Result};
use crate::manifest::KnownManifests;
use crate::objects::{Objects, Refusal, Rows, expect, same_bucket};
use crate::rows::bucket::BucketRow;
use crate::rows::{self, Row, keys};
use crate::types::{Bucket, BucketPage, CreateBucket, ListBuckets, PAGE_MAX, Versioning};
use crate::{uploads, versions};

#[cfg(test)]
mod tests;

/// Upload parts removed in one commit while a bucket is deleted.
const PARTS_PER_COMMIT_MAX: usize = 500;

/// Whether S3 takes this as the name of a new bucket (general purpose bucket naming rules).
pub fn is_valid_bucket_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let reserved_start = ["xn--", "sthree-", "amzn-s3-demo-"];
    let reserved_end = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|&b| alphanumeric(b) || b == b'.' || b == b'-')
        && bytes.first().copied().is_some_and(alphanumeric)
        && bytes.last().copied().is_some_and(alphanumeric)
        && !name.contains("..")
        && !looks_like_address(name)
        && !reserved_start.iter().any(|start| name.starts_with(start))
        && !reserved_end.iter().any(|end| name.ends_with(end))
}

/// Four numbers with dots between, also such as no address has.
fn looks_like_address(name: &str) -> bool {
    let is_number = |field: &str| !field.is_empty() && field.bytes().all(|b| b.is_ascii_digit());
    name.split('.').count() == 4 && name.split('.').all(is_number)
}

impl Objects {
    /// Creates a bucket (`CreateBucket`).
    pub async fn create_bucket(&self, grant: &Grant, options: CreateBucket) -> Result<Bucket> {
        expect(grant, Action::CreateBucket);
        let name = grant.bucket().to_owned();
        if !is_valid_bucket_name(&name) {
            return Err(Error::InvalidBucketName);
        }
        let CreateBucket { region, ack } = options;
        let (owner, account) = (grant.owner_id().to_owned(), grant.account().to_owned());
        let created = self.now();
        let hint = 1024 + region.len() + owner.len();
        let plan = move |txn: &mut Txn<'_>, _: &KnownManifests| -> Result<Bucket, Refusal> {
            let key = keys::bucket(&name);
            if let Some(existing) = txn.row::<BucketRow>(&key)? {
                let owned_by_caller = existing.owner == owner;
                return Err(Error::BucketExists { owned_by_caller }.into());
            }
            let id = BucketId(txn.sequence());
            let row = BucketRow {
                id,
                created,
                ack,
                owner: owner.clone(),
                account: account.clone(),
                region: region.clone(),
                versioning: Versioning::Never,
            };
            txn.put(&key, &row.encode());
            txn.add(&keys::totals(), &[1]);
            Ok(row.bucket(name.clone()))
        };
        self.change_facts(grant.bucket(), hint, plan).await
    }

    /// The bucket of any bucket's or object's grant (`HeadBucket`, `GetBucketLocation`, …).
    pub async fn bucket(&self, grant: &Grant) -> Result<Bucket> {
        Ok(self.bucket_row(grant)?.bucket(grant.bucket().to_owned()))
    }

    /// The buckets of the caller's account (`ListBuckets`).
    pub async fn list_buckets(&self, grant: &Grant, query: ListBuckets) -> Result<BucketPage> {
        expect(grant, Action::ListAllMyBuckets);
        let catalog = self.catalog().clone();
        let owner = grant.owner_id().to_owned();
        self.call(move || {
            let ListBuckets { prefix, after, max } = query;
            let snapshot = catalog.snapshot();
            let within = keys::buckets(&prefix);
            let (mut lo, hi) = prefix_bounds(&within);
            if let Some(after) = after {
                let after = keys::bucket(&after);
                if after >= within {
                    lo = Bound::Excluded(after);
                }
            }
            let mut page = BucketPage::default();
            let lo = lo.as_ref().map(Vec::as_slice);
            let hi = hi.as_ref().map(Vec::as_slice);
            for entry in snapshot.range(lo, hi) {
                let (key, value) = entry?;
                let row = rows::read::<BucketRow>(&key, &value)?;
                if row.owner != owner {
                    continue;
                }
                if page.buckets.len() == max {
                    page.next = page.buckets.last().map(|bucket: &Bucket| bucket.name.clone());
                    break;
                }
                page.buckets.push(row.bucket(bucket_name(&key)?));
            }
            Ok(page)
        })
        .await?
    }

    /// Deletes a bucket without objects and versions, and aborts its uploads (`DeleteBucket`).
    pub async fn delete_bucket(&self, grant: &Grant) -> Result<()> {
        expect(grant, Action::DeleteBucket);
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        let hint = PARTS_PER_COMMIT_MAX * 64;
        loop {
            let bucket = bucket.clone();
            let plan = move |txn: &mut Txn<'_>, _: &KnownManifests| -> Result<bool, Refusal> {
                same_bucket(txn, &bucket)?;
                for within in [keys::heads(bucket.id, ""), keys::versions(bucket.id, "")] {
                    if versions::first(txn, &within)?.is_some() {
                        return Err(Error::BucketNotEmpty.into());
                    }
                }
                if !uploads::abort_all(txn, bucket.id, PARTS_PER_COMMIT_MAX)? {
                    return Ok(false);
                }
                txn.delete(&keys::bucket(&bucket.name));
                txn.delete(&keys::bucket_counters(bucket.id));
                txn.delete(&keys::bucket_policy(bucket.id));
                txn.delete(&keys::access_block(bucket.id));
                txn.add(&keys::totals(), &[-1]);
                Ok(true)
            };
            if self.change_facts(grant.bucket(), hint, plan).await? {
                return Ok(());
            }
        }
    }

    /// Sets the acknowledgement level of a bucket's writes.
    pub async fn set_bucket_ack(&self, grant: &Grant, ack: Ack) -> Result<()> {
        expect(grant, Action::PutBucketAck);
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        let plan = move |txn: &mut Txn<'_>, _: &KnownManifests| -> Result<(), Refusal> {
            let mut row = same_bucket(txn, &bucket)?;
            row.ack = Some(ack);
            txn.put(&keys::bucket(&bucket.name), &row.encode());
            Ok(())
        };
        self.change_facts(grant.bucket(), 1024, plan).await
    }
}

impl Objects {
    /// Sets what a bucket's writes do with what they replace (`PutBucketVersioning`): kept from now
    /// on, or not any more. It can't be as if it never was.
    pub async fn set_bucket_versioning(&self, grant: &Grant, versioning: Versioning) -> Result<()> {
        expect(grant, Action::PutBucketVersioning);
        if versioning == Versioning::Never {
            let what = "a bucket that had versioning can only suspend it".to_owned();
            return Err(Error::InvalidArgument(what));
        }
        let bucket = self.bucket_row(grant)?.bucket(grant.bucket().to_owned());
        let plan = move |txn: &mut Txn<'_>, _: &KnownManifests| -> Result<(), Refusal> {
            let mut row = same_bucket(txn, &bucket)?;
            row.versioning = versioning;
            txn.put(&keys::bucket(&bucket.name), &row.encode());
            Ok(())
        };
        self.change_facts(grant.bucket(), 1024, plan).await
    }
}

/// The name in the key of a bucket row.
pub(crate) fn bucket_name(key: &[u8]) -> Result<String> {
    match keys::parse(key) {
        Some(keys::Parsed::Bucket(name)) => Ok(name),
        _ => Err(Error::Corrupt(format!("a bucket row has the key {}", keys::show(key)))),
    }
}

/// At most so many entries on a page.
pub(crate) fn page_size(max: usize) -> usize {
    max.min(PAGE_MAX)
}

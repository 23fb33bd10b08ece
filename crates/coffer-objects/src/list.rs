//! Listing objects: one page, in the byte order of keys.
//!
//! A page is handed out entry by entry where it is read, so that it can be written down there,
//! without a copy of each entry and beside the tasks that wait for connections.
//!
//! With a delimiter, keys that share a common prefix make one entry, and the listing seeks past
//! them instead of reading them: the cost of a page is bounded by its entries, not by the keys.

use std::ops::Bound;

use bytes::Bytes;
use coffer_base::BucketId;
use coffer_catalog::Snapshot;
use coffer_catalog::keys::prefix_end;
use coffer_iam::{Action, Grant};

use crate::buckets::page_size;
use crate::error::{Error, Result};
use crate::objects::{Objects, expect};
use crate::rows::head::HeadRow;
use crate::rows::{self, keys};
use crate::types::{Entry, Headers, List, ListAfter, ListPage, ListSink, ListedObject, PageEnd};

/// Below a common prefix, so many keys are stepped over before seeking: a seek costs more than
/// a few steps, and most prefixes in a tree of files hold few keys.
const STEPS_BEFORE_SEEK: usize = 8;

impl Objects {
    /// One page of a bucket's objects (`ListObjects`, `ListObjectsV2`).
    pub async fn list(&self, grant: &Grant, query: List) -> Result<ListPage> {
        let (entries, end) = self.list_into(grant, query, Vec::new()).await?;
        Ok(ListPage { entries, truncated: end.next.is_some(), next: end.next })
    }

    /// As [`Objects::list`], with the entries given to `sink`, which comes back.
    pub async fn list_into<S: ListSink>(
        &self,
        grant: &Grant,
        query: List,
        sink: S,
    ) -> Result<(S, PageEnd)> {
        expect(grant, Action::ListBucket);
        let bucket = self.bucket_row(grant)?.id;
        let catalog = self.catalog().clone();
        self.call(move || {
            let mut sink = sink;
            let end = list_page(&catalog.snapshot(), bucket, &query, &mut sink)?;
            Ok((sink, end))
        })
        .await?
    }
}

impl ListSink for Vec<Entry> {
    fn object(&mut self, object: &ListedObject<'_>) {
        let info = object.row.info(object.key.to_owned(), Headers::default());
        self.push(Entry::Object(info));
    }

    fn prefix(&mut self, prefix: &str) {
        self.push(Entry::Prefix(prefix.to_owned()));
    }
}

fn list_page(
    snapshot: &Snapshot,
    bucket: BucketId,
    query: &List,
    sink: &mut dyn ListSink,
) -> Result<PageEnd> {
    let rolled = Rolled::new(&query.prefix, query.delimiter.as_deref());
    let max = page_size(query.max);
    let mut page = PageEnd::default();
    if max == 0 {
        return Ok(page);
    }
    let start = match &query.after {
        None => Bound::Unbounded,
        Some(ListAfter::Key(key)) => Bound::Excluded(keys::head(bucket, key)),
        Some(ListAfter::Prefix(prefix)) => after_prefix(&keys::heads(bucket, prefix)),
    };
    let all = keys::heads(bucket, &query.prefix);
    let mut scan = Scan::new(snapshot, &all, start);
    let mut last = None;
    while let Some((row_key, value)) = scan.next()? {
        let key = key_of(&row_key)?;
        if page.entries == max {
            page.next = last;
            break;
        }
        page.entries += 1;
        match rolled.common_prefix(&key) {
            None => {
                let row = rows::read::<HeadRow>(&row_key, &value)?;
                sink.object(&ListedObject { key: &key, row: &row });
                last = Some(ListAfter::Key(key));
            }
            Some(prefix) => {
                scan.skip(&keys::heads(bucket, prefix))?;
                sink.prefix(prefix);
                last = Some(ListAfter::Prefix(prefix.to_owned()));
            }
        }
    }
    Ok(page)
}

fn key_of(row_key: &[u8]) -> Result<String> {
    keys::object_key(row_key).ok_or_else(|| {
        Error::Corrupt(format!("a row has the malformed key {}", keys::show(row_key)))
    })
}

/// The bound after everything that begins with `prefix`, which is never empty.
pub(crate) fn after_prefix(prefix: &[u8]) -> Bound<Vec<u8>> {
    Bound::Included(prefix_end(prefix).expect("a key begins with its subspace, which is not 0xff"))
}

/// How keys roll up to common prefixes.
pub(crate) struct Rolled<'a> {
    prefix_bytes: usize,
    delimiter: Option<&'a str>,
}

impl<'a> Rolled<'a> {
    /// By the first `delimiter` after `prefix`; an empty one counts as none.
    pub(crate) fn new(prefix: &str, delimiter: Option<&'a str>) -> Self {
        let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
        Self { prefix_bytes: prefix.len(), delimiter }
    }

    /// The common prefix that `key`, which begins with the prefix, rolls up to.
    pub(crate) fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter?;
        let at = key.get(self.prefix_bytes..)?.find(delimiter)?;
        Some(&key[..self.prefix_bytes + at + delimiter.len()])
    }
}

/// Entries of a subspace in order, that can jump forward.
pub(crate) struct Scan<'a> {
    snapshot: &'a Snapshot,
    hi: Bound<Vec<u8>>,
    entries: Box<dyn Iterator<Item = Result<(Bytes, Bytes)>> + Send + 'a>,
    /// Read while stepping, and not yet given out.
    peeked: Option<(Bytes, Bytes)>,
}

impl<'a> Scan<'a> {
    /// The entries whose keys begin with `within`, from `start` on.
    pub(crate) fn new(snapshot: &'a Snapshot, within: &[u8], start: Bound<Vec<u8>>) -> Self {
        let hi = match prefix_end(within) {
            Some(end) => Bound::Excluded(end),
            None => Bound::Unbounded,
        };
        let begin = Bound::Included(within.to_vec());
        let lo = match &start {
            Bound::Included(from) | Bound::Excluded(from) if from.as_slice() >= within => start,
            _ => begin,
        };
        let entries = range(snapshot, &lo, &hi);
        Scan { snapshot, hi, entries, peeked: None }
    }

    /// The next entry.
    pub(crate) fn next(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        match self.peeked.take() {
            Some(entry) => Ok(Some(entry)),
            None => self.entries.next().transpose(),
        }
    }

    /// Goes on after everything that begins with `prefix`.
    pub(crate) fn skip(&mut self, prefix: &[u8]) -> Result<()> {
        for _ in 0..STEPS_BEFORE_SEEK {
            match self.next()? {
                Some((key, _)) if key.starts_with(prefix) => {}
                other => {
                    self.peeked = other;
                    return Ok(());
                }
            }
        }
        self.entries = range(self.snapshot, &after_prefix(prefix), &self.hi);
        Ok(())
    }
}

fn range<'a>(
    snapshot: &'a Snapshot,
    lo: &Bound<Vec<u8>>,
    hi: &Bound<Vec<u8>>,
) -> Box<dyn Iterator<Item = Result<(Bytes, Bytes)>> + Send + 'a> {
    let lo = lo.as_ref().map(Vec::as_slice);
    let hi = hi.as_ref().map(Vec::as_slice);
    Box::new(snapshot.range(lo, hi).map(|entry| Ok(entry?)))
}

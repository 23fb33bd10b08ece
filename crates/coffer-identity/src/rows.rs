//! The rows of the catalog: their keys and their values, byte for byte.
//!
//! The bytes are a promise: `docs/formats/identity-records.md`. Every value begins with its
//! version, and a value that is not whole, or goes on after its end, is refused.

use bytes::Bytes;
use coffer_base::Timestamp;
use coffer_base::wire::{Put, Reader};
use coffer_catalog::{Catalog, Snapshot, Txn};

use crate::error::{Error, Result};
use crate::ids::AccountId;

pub(crate) mod entity;
pub(crate) mod keys;

#[cfg(test)]
mod tests;

pub(crate) use coffer_catalog::Row;

/// Reads the value found under `key`.
pub(crate) fn read<T: Row>(key: &[u8], value: &[u8]) -> Result<T> {
    T::decode(value).ok_or_else(|| {
        Error::Corrupt(format!("the {} row {} is malformed", T::NAME, keys::show(key)))
    })
}

/// Where rows are read from: the catalog as it is, a snapshot, or a transaction.
pub(crate) trait Rows {
    fn value(&self, key: &[u8]) -> Result<Option<Bytes>>;

    /// At most `limit` entries whose keys begin with `prefix` and come after `after`.
    fn entries(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>>;

    /// The row of `key`.
    fn row<T: Row>(&self, key: &[u8]) -> Result<Option<T>> {
        self.value(key)?.map(|value| read::<T>(key, &value)).transpose()
    }
}

fn bounds(
    prefix: &[u8],
    after: Option<&[u8]>,
) -> (std::ops::Bound<Vec<u8>>, std::ops::Bound<Vec<u8>>) {
    let (lo, hi) = coffer_catalog::keys::prefix_bounds(prefix);
    match after {
        Some(after) if after >= prefix => (std::ops::Bound::Excluded(after.to_vec()), hi),
        _ => (lo, hi),
    }
}

impl Rows for Snapshot {
    fn value(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.get(key)?)
    }

    fn entries(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>> {
        let (lo, hi) = bounds(prefix, after);
        let range = self.range(lo.as_ref().map(Vec::as_slice), hi.as_ref().map(Vec::as_slice));
        range.take(limit).map(|entry| entry.map_err(Error::from)).collect()
    }
}

impl Rows for Catalog {
    fn value(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.get(key).map_err(|error| Error::Unavailable(error.to_string()))
    }

    fn entries(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>> {
        self.snapshot().entries(prefix, after, limit)
    }
}

impl Rows for Txn<'_> {
    fn value(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.get(key)?)
    }

    fn entries(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>> {
        let (lo, hi) = bounds(prefix, after);
        let lo = lo.as_ref().map(Vec::as_slice);
        Ok(self.range(lo, hi.as_ref().map(Vec::as_slice), limit)?)
    }
}

/// The value of rows that say all with their key.
pub(crate) const HERE: &[u8] = &[1];

/// `A` `s`: a text that only the store's secret key opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealingRow {
    pub check: Vec<u8>,
}

impl Row for SealingRow {
    const NAME: &'static str = "sealing";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_bytes(&self.check);
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        Some(SealingRow { check: r.bytes()?.to_vec() })
    }
}

/// `A` `a` account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub name: String,
    pub owner_id: String,
    pub created: Timestamp,
    /// Access keys of its root.
    pub access_keys: Vec<String>,
    /// How many users, groups, roles, policies and providers it has, in that order.
    pub counts: [u64; 5],
}

impl Row for AccountRow {
    const NAME: &'static str = "account";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_bytes(self.name.as_bytes());
        out.put_bytes(self.owner_id.as_bytes());
        out.put_varint(self.created.0);
        put_texts(out, &self.access_keys);
        self.counts.iter().for_each(|count| out.put_varint(*count));
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        let name = r.str()?.to_owned();
        let owner_id = r.str()?.to_owned();
        let created = Timestamp(r.varint()?);
        let access_keys = texts(r)?;
        let mut counts = [0; 5];
        for count in &mut counts {
            *count = r.varint()?;
        }
        Some(AccountRow { name, owner_id, created, access_keys, counts })
    }
}

/// `A` `o` owner: the account. `A` `n` …: the unique id. One text, or one number as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PointerRow(pub String);

impl Row for PointerRow {
    const NAME: &'static str = "pointer";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_bytes(self.0.as_bytes());
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        Some(PointerRow(r.str()?.to_owned()))
    }
}

/// `A` `k` access key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AccessKeyRow {
    pub account: AccountId,
    /// The unique id of the user; `None`: the account's root.
    pub user: Option<String>,
    /// The sealed secret, bound to the access key.
    pub secret: Vec<u8>,
    pub created: Timestamp,
    pub active: bool,
}

impl Row for AccessKeyRow {
    const NAME: &'static str = "access key";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_u64(self.account.0);
        put_optional(out, self.user.as_deref());
        out.put_bytes(&self.secret);
        out.put_varint(self.created.0);
        out.put_u8(u8::from(self.active));
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        Some(AccessKeyRow {
            account: AccountId(r.u64()?),
            user: optional(r)?,
            secret: r.bytes()?.to_vec(),
            created: Timestamp(r.varint()?),
            active: boolean(r)?,
        })
    }
}

/// `A` `l` access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastUseRow {
    pub at: Timestamp,
    pub service: String,
    pub region: String,
}

impl Row for LastUseRow {
    const NAME: &'static str = "last use";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_varint(self.at.0);
        out.put_bytes(self.service.as_bytes());
        out.put_bytes(self.region.as_bytes());
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        Some(LastUseRow {
            at: Timestamp(r.varint()?),
            service: r.str()?.to_owned(),
            region: r.str()?.to_owned(),
        })
    }
}

pub(crate) fn boolean(r: &mut Reader<'_>) -> Option<bool> {
    match r.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

pub(crate) fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    out.put_u8(u8::from(text.is_some()));
    if let Some(text) = text {
        out.put_bytes(text.as_bytes());
    }
}

pub(crate) fn optional(r: &mut Reader<'_>) -> Option<Option<String>> {
    Some(if boolean(r)? { Some(r.str()?.to_owned()) } else { None })
}

pub(crate) fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    out.put_varint(texts.len() as u64);
    texts.iter().for_each(|text| out.put_bytes(text.as_bytes()));
}

pub(crate) fn texts(r: &mut Reader<'_>) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    for _ in 0..r.varint()? {
        texts.push(r.str()?.to_owned());
    }
    Some(texts)
}

pub(crate) fn put_pairs(out: &mut Vec<u8>, pairs: &[(String, String)]) {
    out.put_varint(pairs.len() as u64);
    for (key, value) in pairs {
        out.put_bytes(key.as_bytes());
        out.put_bytes(value.as_bytes());
    }
}

pub(crate) fn pairs(r: &mut Reader<'_>) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for _ in 0..r.varint()? {
        pairs.push((r.str()?.to_owned(), r.str()?.to_owned()));
    }
    Some(pairs)
}

//! Keys that sort as the tuples they stand for.
//!
//! A key is one subspace byte followed by fields. Fixed-width numbers are big-endian. A byte
//! string is escaped (`0x00` → `0x00 0xFF`) and ends with `0x00 0x01`, so that it sorts like the
//! string itself, also when it is a prefix of another, and whatever field follows. The exact
//! encoding is part of the on-drive format: `docs/formats/catalog-records.md`.

use std::ops::Bound;

#[cfg(test)]
mod tests;

/// The longest key a transaction takes, in bytes.
pub const KEY_BYTES_MAX: usize = 8 << 10;

/// The subspace that belongs to the engines themselves; no key of the catalog starts with it.
pub const SUBSPACE_RESERVED: u8 = 0;

const ESCAPE: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xff;
const END: u8 = 0x01;

/// Builds a key field by field.
///
/// ```
/// use coffer_catalog::keys::{Key, KeyReader};
/// let key = Key::new(2).u64(7).bytes(b"a/b").finish();
/// let mut fields = KeyReader::new(&key);
/// assert_eq!(fields.subspace(), Some(2));
/// assert_eq!(fields.u64(), Some(7));
/// assert_eq!(fields.bytes().as_deref(), Some(&b"a/b"[..]));
/// ```
#[derive(Clone, Debug)]
pub struct Key(Vec<u8>);

impl Key {
    /// Starts a key in `subspace`, which is not [`SUBSPACE_RESERVED`].
    pub fn new(subspace: u8) -> Self {
        assert_ne!(subspace, SUBSPACE_RESERVED, "subspace 0 belongs to the engines");
        Self(vec![subspace])
    }

    /// A number of one byte.
    pub fn u8(mut self, v: u8) -> Self {
        self.0.push(v);
        self
    }

    /// A number of four bytes.
    pub fn u32(mut self, v: u32) -> Self {
        self.0.extend_from_slice(&v.to_be_bytes());
        self
    }

    /// A number of eight bytes.
    pub fn u64(mut self, v: u64) -> Self {
        self.0.extend_from_slice(&v.to_be_bytes());
        self
    }

    /// A number of eight bytes that sorts the largest first.
    pub fn u64_descending(self, v: u64) -> Self {
        self.u64(!v)
    }

    /// A number of sixteen bytes.
    pub fn u128(mut self, v: u128) -> Self {
        self.0.extend_from_slice(&v.to_be_bytes());
        self
    }

    /// A byte string, escaped and terminated.
    pub fn bytes(mut self, v: &[u8]) -> Self {
        escape_into(&mut self.0, v);
        self.0.extend_from_slice(&[ESCAPE, END]);
        self
    }

    /// The beginning of a byte string, escaped and *not* terminated: the common prefix of the
    /// keys whose string begins with `v`. Only as the last field.
    pub fn bytes_prefix(mut self, v: &[u8]) -> Self {
        escape_into(&mut self.0, v);
        self
    }

    /// The encoded key.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a key field by field; `None` says that the key does not have that shape.
#[derive(Clone, Debug)]
pub struct KeyReader<'a>(&'a [u8]);

impl<'a> KeyReader<'a> {
    /// Starts at the subspace byte.
    pub fn new(key: &'a [u8]) -> Self {
        Self(key)
    }

    /// Whether every field has been read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// The subspace byte.
    pub fn subspace(&mut self) -> Option<u8> {
        self.u8()
    }

    /// What [`Key::u8`] wrote.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// What [`Key::u32`] wrote.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// What [`Key::u64`] wrote.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// What [`Key::u64_descending`] wrote.
    pub fn u64_descending(&mut self) -> Option<u64> {
        self.u64().map(|v| !v)
    }

    /// What [`Key::u128`] wrote.
    pub fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_be_bytes)
    }

    /// What [`Key::bytes`] wrote.
    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            let at = self.0.iter().position(|&b| b == ESCAPE)?;
            out.extend_from_slice(&self.0[..at]);
            let after = *self.0.get(at + 1)?;
            self.0 = &self.0[at + 2..];
            match after {
                ESCAPED_ZERO => out.push(0),
                END => return Some(out),
                _ => return None,
            }
        }
    }
}

/// `v` escaped and terminated, as one field of a key.
pub fn escape(v: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(v.len() + 2);
    escape_into(&mut out, v);
    out.extend_from_slice(&[ESCAPE, END]);
    out
}

fn escape_into(out: &mut Vec<u8>, v: &[u8]) {
    for piece in v.split_inclusive(|&b| b == ESCAPE) {
        out.extend_from_slice(piece);
        if piece.ends_with(&[ESCAPE]) {
            out.push(ESCAPED_ZERO);
        }
    }
}

/// The least key above all keys that start with `prefix`; `None` if there is none (the prefix is
/// empty or all `0xFF`).
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|&b| b != 0xff)?;
    let mut end = prefix[..=keep].to_vec();
    end[keep] += 1;
    Some(end)
}

/// The bounds of all keys that start with `prefix`.
pub fn prefix_bounds(prefix: &[u8]) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let end = prefix_end(prefix).map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(prefix.to_vec()), end)
}

/// Whether no key can lie between the bounds. Engines are never asked for such a range: ordered
/// maps panic on some of them.
pub(crate) fn is_empty_range(lo: Bound<&[u8]>, hi: Bound<&[u8]>) -> bool {
    match (lo, hi) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(lo), Bound::Included(hi)) => lo > hi,
        (Bound::Included(lo) | Bound::Excluded(lo), Bound::Included(hi) | Bound::Excluded(hi)) => {
            lo >= hi
        }
    }
}

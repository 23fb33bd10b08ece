//! The rows of the catalog: their keys and their values, byte for byte.
//!
//! The bytes are a promise: `docs/formats/object-records.md`. Every value begins with its
//! version, and a value that is not whole, or goes on after its end, is refused.

use coffer_base::wire::Reader;

use crate::error::{Error, Result};

pub(crate) mod blob;
pub(crate) mod bucket;
pub(crate) mod checksum;
pub(crate) mod head;
pub(crate) mod headers;
pub(crate) mod keys;
pub(crate) mod setting;
pub(crate) mod upload;

#[cfg(test)]
mod tests;

/// A row's value.
pub(crate) trait Row: Sized {
    /// For messages.
    const NAME: &'static str;
    /// The version that is written.
    const VERSION: u8 = 1;

    /// Appends the fields.
    fn encode_fields(&self, out: &mut Vec<u8>);
    /// Reads the fields.
    fn decode_fields(r: &mut Reader<'_>) -> Option<Self>;

    /// The value.
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![Self::VERSION];
        self.encode_fields(&mut out);
        out
    }

    /// Reads what [`Row::encode`] wrote.
    fn decode(value: &[u8]) -> Option<Self> {
        let mut r = Reader::new(value);
        if r.u8()? != Self::VERSION {
            return None;
        }
        let row = Self::decode_fields(&mut r)?;
        r.is_empty().then_some(row)
    }

    /// Reads the value found under `key`.
    fn read(key: &[u8], value: &[u8]) -> Result<Self> {
        Self::decode(value).ok_or_else(|| {
            Error::Corrupt(format!("the {} row {} is malformed", Self::NAME, keys::show(key)))
        })
    }
}

fn boolean(r: &mut Reader<'_>) -> Option<bool> {
    match r.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

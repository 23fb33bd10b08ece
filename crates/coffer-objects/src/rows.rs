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
pub(crate) mod version;

#[cfg(test)]
mod tests;

pub(crate) use coffer_catalog::Row;

/// Reads the value found under `key`.
pub(crate) fn read<T: Row>(key: &[u8], value: &[u8]) -> Result<T> {
    T::decode(value).ok_or_else(|| {
        Error::Corrupt(format!(
            "the {} row {} {}",
            T::NAME,
            keys::show(key),
            unreadable::<T>(value)
        ))
    })
}

/// Why a value can't be read.
pub(crate) fn unreadable<T: Row>(value: &[u8]) -> String {
    match value.first() {
        Some(version) if *version > T::NEWEST => {
            format!("has version {version}: was the store used by a newer program?")
        }
        _ => "is malformed".to_owned(),
    }
}

fn boolean(r: &mut Reader<'_>) -> Option<bool> {
    match r.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

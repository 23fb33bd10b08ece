//! Byte ranges; pure.

use std::ops::Range;

use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// One range of bytes, as a `Range` header asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=a-b`, both inclusive, a ≤ b.
    FromTo(u64, u64),
    /// `bytes=a-`.
    From(u64),
    /// `bytes=-n`: the last n.
    Suffix(u64),
}

impl ByteRange {
    /// Reads a header value. `None`: not one valid range of bytes, which S3 answers with the
    /// whole object (also several ranges, and a last byte before the first).
    pub fn parse(value: &str) -> Option<ByteRange> {
        let (unit, set) = value.trim().split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        let (first, last) = (first.trim(), last.trim());
        match (first.is_empty(), last.is_empty()) {
            (true, true) => None,
            (true, false) => Some(ByteRange::Suffix(digits(last)?)),
            (false, true) => Some(ByteRange::From(digits(first)?)),
            (false, false) => {
                let (first, last) = (digits(first)?, digits(last)?);
                (first <= last).then_some(ByteRange::FromTo(first, last))
            }
        }
    }

    /// The bytes it means in an object of `size` bytes.
    pub fn resolve(self, size: u64) -> Result<Range<u64>> {
        let range = match self {
            ByteRange::FromTo(first, last) => first..size.min(last.saturating_add(1)),
            ByteRange::From(first) => first..size,
            ByteRange::Suffix(n) => size.saturating_sub(n)..size,
        };
        if range.start < range.end { Ok(range) } else { Err(Error::InvalidRange { size }) }
    }
}

/// Digits only, saturating: a number past 2^64 lies past every object.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

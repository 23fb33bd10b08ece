//! Values of queries and headers that several verbs read.

use coffer_objects::PART_NUMBER_MAX;

use crate::error::S3Error;
use crate::request::CallHead;

/// A whole number in the query, from 0 to `i32::MAX`; `None` when absent or empty.
pub(super) fn count(head: &CallHead, name: &str) -> Result<Option<usize>, S3Error> {
    let Some(text) = head.query.get(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match digits(text).filter(|n| *n <= i32::MAX as u64) {
        Some(n) => Ok(Some(n as usize)),
        None => Err(S3Error::invalid_argument(
            name,
            text,
            format!("Provided {name} not an integer or within integer range"),
        )),
    }
}

/// How many entries a page may have: the parameter `name`, at most `max`, which is also the
/// default.
pub(super) fn page_max(head: &CallHead, name: &str, max: usize) -> Result<usize, S3Error> {
    Ok(count(head, name)?.unwrap_or(max).min(max))
}

/// The number of a part, when the query has one.
pub(super) fn part_number(head: &CallHead) -> Result<Option<u32>, S3Error> {
    let Some(text) = head.query.get("partNumber") else {
        return Ok(None);
    };
    match digits(text).filter(|n| (1..=u64::from(PART_NUMBER_MAX)).contains(n)) {
        Some(n) => Ok(Some(n as u32)),
        None => Err(S3Error::invalid_argument(
            "partNumber",
            text,
            format!("Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive"),
        )),
    }
}

/// A number in digits only.
pub(super) fn digits(text: &str) -> Option<u64> {
    let only_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| only_digits)
}

/// How the names in a listing are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As they are, escaped as XML needs it.
    Plain,
    /// Percent-encoded: what `encoding-type=url` asks for, and the only way for XML to carry some
    /// control characters.
    Url,
}

impl Encoding {
    /// What the query asks for.
    pub(super) fn of(head: &CallHead) -> Result<Encoding, S3Error> {
        match head.query.get("encoding-type") {
            None | Some("") => Ok(Encoding::Plain),
            Some("url") => Ok(Encoding::Url),
            Some(other) => Err(S3Error::invalid_argument(
                "encoding-type",
                other,
                "Invalid Encoding Method specified in Request",
            )),
        }
    }

    /// Writes a name. A space becomes `%20`, which every client decodes, also those that take `+`
    /// for a space.
    pub(super) fn write(self, name: &str) -> String {
        match self {
            Encoding::Plain => name.to_owned(),
            Encoding::Url => {
                let mut out = String::with_capacity(name.len());
                for byte in name.bytes() {
                    match byte {
                        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
                        b'-' | b'_' | b'.' | b'*' | b'/' => out.push(char::from(byte)),
                        _ => {
                            const HEX: &[u8; 16] = b"0123456789ABCDEF";
                            out.push('%');
                            out.push(char::from(HEX[usize::from(byte >> 4)]));
                            out.push(char::from(HEX[usize::from(byte & 15)]));
                        }
                    }
                }
                out
            }
        }
    }
}

#[cfg(test)]
mod tests;

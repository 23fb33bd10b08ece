//! Which bucket and key a request names: `/bucket/key` (path style) or
//! `bucket.base-domain/key` (virtual-host style).
//!
//! A key is percent-decoded exactly once and otherwise kept as it came: a `+` is a plus, `//`,
//! `.` and `..` are parts of the name.

use percent_encoding::percent_decode_str;

use crate::error::{Code, S3Error};

/// What a request names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The bucket.
    pub bucket: Option<String>,
    /// The key; only with a bucket, and never empty.
    pub key: Option<String>,
}

impl Address {
    /// Reads the address from the `Host` header (with or without a port) and the path as it came.
    /// A host below one of `base_domains` names the bucket; any other host, such as a base domain
    /// itself, leaves it to the path.
    pub fn read(host: &str, raw_path: &str, base_domains: &[String]) -> Result<Address, S3Error> {
        let path = raw_path.strip_prefix('/').ok_or_else(invalid_uri)?;
        let non_empty = |text: String| if text.is_empty() { None } else { Some(text) };
        if let Some(bucket) = bucket_of_host(host, base_domains) {
            return Ok(Address { bucket: Some(bucket), key: non_empty(decode_path(path)?) });
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        match non_empty(decode_path(bucket)?) {
            Some(bucket) => Ok(Address { bucket: Some(bucket), key: non_empty(decode_path(key)?) }),
            None if key.is_empty() => Ok(Address::default()),
            None => Err(S3Error::new(Code::InvalidBucketName)),
        }
    }
}

/// The bucket that `host` names below one of `base_domains`: the longest of those that fit, since
/// one may lie below another. A base domain itself names none. DNS has no case.
fn bucket_of_host(host: &str, base_domains: &[String]) -> Option<String> {
    let host = without_port(host).to_ascii_lowercase();
    if base_domains.iter().any(|d| d.eq_ignore_ascii_case(&host)) {
        return None;
    }
    let buckets = base_domains
        .iter()
        .filter_map(|domain| host.strip_suffix(&domain.to_ascii_lowercase())?.strip_suffix('.'));
    buckets.filter(|bucket| !bucket.is_empty()).min_by_key(|bucket| bucket.len()).map(str::to_owned)
}

/// The host without its port; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() => {
            let bare_ipv6 = name.contains(':') && !name.ends_with(']');
            if bare_ipv6 { host } else { name }
        }
        _ => host,
    }
}

/// Decodes percent-escapes of a path, once. A malformed escape, or bytes that aren't UTF-8, are
/// `InvalidURI`.
pub fn decode_path(raw: &str) -> Result<String, S3Error> {
    let bytes = raw.as_bytes();
    for (i, _) in raw.match_indices('%') {
        let escaped = bytes.get(i + 1..i + 3).is_some_and(|e| e.iter().all(u8::is_ascii_hexdigit));
        if !escaped {
            return Err(invalid_uri());
        }
    }
    let decoded = percent_decode_str(raw).decode_utf8().map_err(|_| invalid_uri())?;
    Ok(decoded.into_owned())
}

fn invalid_uri() -> S3Error {
    S3Error::new(Code::InvalidURI)
}

#[cfg(test)]
mod tests;

//! The headers that are kept with an object, in and out.

use coffer_objects::{Headers, ObjectInfo};
use coffer_sigv4::header::values;
use http::header::{ACCEPT_RANGES, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::version_id;
use crate::body::stored_content_encoding;
use crate::error::{Code, S3Error};
use crate::request::Query;
use crate::respond::{Reply, set_header, set_known};
use crate::time;

const USER: &str = "x-amz-meta-";

static OBJECT_ID: HeaderName = HeaderName::from_static("x-coffer-object-id");

/// What an object without a `Content-Type` has.
const CONTENT_TYPE_DEFAULT: &str = "binary/octet-stream";

/// The headers of a request that are to be kept, byte for byte.
pub(super) fn of_request(headers: &HeaderMap) -> Result<Headers, S3Error> {
    let mut user = Vec::new();
    for name in headers.keys() {
        let Some(own) = name.as_str().strip_prefix(USER) else {
            continue;
        };
        // RFC 9110, 5.3: several lines of one field are one list, joined by commas.
        let values: Vec<&[u8]> = headers.get_all(name).iter().map(|v| v.as_bytes()).collect();
        user.push((own.to_owned(), values.join(&b","[..])));
    }
    Ok(Headers {
        content_type: text(headers, "content-type")?.filter(|t| !t.is_empty()),
        content_encoding: text(headers, "content-encoding")?
            .and_then(|value| stored_content_encoding(&value)),
        content_disposition: text(headers, "content-disposition")?,
        content_language: text(headers, "content-language")?,
        cache_control: text(headers, "cache-control")?,
        expires: text(headers, "expires")?,
        website_redirect: None,
        storage_class: None,
        user,
    })
}

fn text(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, S3Error> {
    let values: Vec<&[u8]> = values(headers, name).map(|v| v.as_bytes()).collect();
    if values.is_empty() {
        return Ok(None);
    }
    String::from_utf8(values.join(&b", "[..])).map(Some).map_err(|_| {
        S3Error::with_message(
            Code::InvalidArgument,
            format!("The header {name} is not valid UTF-8."),
        )
    })
}

/// Headers of a reply that a query may set, and the parameter that does.
const OVERRIDES: [(&str, &str); 6] = [
    ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
    ("response-content-language", "content-language"),
    ("response-content-type", "content-type"),
    ("response-expires", "expires"),
];

/// Puts what was kept with an object, and what identifies it, into the reply's headers.
pub(super) fn add_headers(reply: &mut Reply, info: &ObjectInfo) -> Result<(), S3Error> {
    let kept = &info.headers;
    match &kept.content_type {
        Some(content_type) => set_known(reply, CONTENT_TYPE, content_type.clone())?,
        None => {
            let default = HeaderValue::from_static(CONTENT_TYPE_DEFAULT);
            reply.headers_mut().insert(CONTENT_TYPE, default);
        }
    }
    for (name, value) in [
        ("cache-control", &kept.cache_control),
        ("content-disposition", &kept.content_disposition),
        ("content-encoding", &kept.content_encoding),
        ("content-language", &kept.content_language),
        ("expires", &kept.expires),
    ] {
        if let Some(value) = value {
            set_header(reply, name, value)?;
        }
    }
    for (name, value) in &kept.user {
        set_header(reply, &format!("{USER}{name}"), value)?;
    }
    set_known(reply, LAST_MODIFIED, time::http_date(info.modified))?;
    reply.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    add_identity(reply, info)
}

/// Puts the ETag and the ids of an object into the reply's headers.
pub(super) fn add_identity(reply: &mut Reply, info: &ObjectInfo) -> Result<(), S3Error> {
    set_known(reply, ETAG, quoted(&info.etag))?;
    version_id::add(reply, info.version_id)?;
    set_known(reply, OBJECT_ID.clone(), info.object_id.to_string())
}

/// Sets the headers that the query's `response-*` parameters ask for.
pub(super) fn apply_overrides(reply: &mut Reply, query: &Query) -> Result<(), S3Error> {
    for (parameter, header) in OVERRIDES {
        if let Some(value) = query.get(parameter) {
            set_header(reply, header, value).map_err(|_| {
                S3Error::invalid_argument(parameter, value, "The value can't be sent as a header.")
            })?;
        }
    }
    Ok(())
}

/// An ETag as headers and documents carry it.
pub(super) fn quoted(etag: &str) -> String {
    ["\"", etag, "\""].concat()
}

#[cfg(test)]
mod tests;

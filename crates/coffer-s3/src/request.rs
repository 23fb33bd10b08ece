//! What a verb is given: the head of a request whose caller is known, and its body.

use std::ops::Deref;
use std::sync::Arc;

use coffer_base::Timestamp;
use coffer_iam::{Action, Ask, Grant, Principal, Resource};
use http::header::AsHeaderName;
use http::{HeaderMap, Method};

use crate::address;
use crate::body::Body;
use crate::error::{Code, S3Error};

/// Everything about a request but its body.
#[derive(Debug)]
pub struct CallHead {
    /// The HTTP method.
    pub method: Method,
    /// The bucket it names.
    pub bucket: Option<String>,
    /// The key it names, percent-decoded once; never empty.
    pub key: Option<String>,
    /// The query, decoded.
    pub query: Query,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// The path as it came, still encoded.
    pub raw_path: String,
    /// Who asks.
    pub principal: Arc<Principal>,
    /// What the reply's `x-amz-request-id` says.
    pub request_id: String,
    /// When the request was read.
    pub now: Timestamp,
}

impl CallHead {
    /// The bucket, for verbs that `route` chose because there is one.
    pub fn bucket(&self) -> Result<&str, S3Error> {
        self.bucket.as_deref().ok_or_else(|| S3Error::new(Code::InvalidBucketName))
    }

    /// The key, for verbs that `route` chose because there is one.
    pub fn key(&self) -> Result<&str, S3Error> {
        self.key.as_deref().ok_or_else(|| {
            S3Error::with_message(Code::InvalidRequest, "This operation needs an object key.")
        })
    }

    /// A header as text: `None` when absent, an error when it isn't visible ASCII or comes twice.
    pub fn header(&self, name: &str) -> Result<Option<&str>, S3Error> {
        single(&self.headers, name)
    }

    /// Asks iam whether the caller may do `action` to the bucket and key of this request.
    pub fn grant(&self, action: Action) -> Result<Grant, S3Error> {
        self.grant_on(action, self.bucket.as_deref().unwrap_or(""), self.key.as_deref())
    }

    /// Asks iam whether the caller may do `action` to the bucket itself, whatever the key.
    pub fn grant_bucket(&self, action: Action) -> Result<Grant, S3Error> {
        self.grant_on(action, self.bucket.as_deref().unwrap_or(""), None)
    }

    /// Asks iam whether the caller may do `action` to the bucket and key given.
    pub fn grant_on(
        &self,
        action: Action,
        bucket: &str,
        key: Option<&str>,
    ) -> Result<Grant, S3Error> {
        let resource = Resource::addressed(Some(bucket), key);
        coffer_iam::authorize(&self.principal, &Ask::new(action, &resource)).map_err(|denied| {
            tracing::debug!(
                request_id = self.request_id,
                principal = self.principal.name(),
                action = action.name(),
                bucket,
                key,
                "denied: {denied}"
            );
            S3Error::new(Code::AccessDenied)
        })
    }
}

/// The only value of header `name` as text; an error when there are several or it isn't ASCII.
pub(crate) fn single(
    headers: &HeaderMap,
    name: impl AsHeaderName + Copy + AsRef<str>,
) -> Result<Option<&str>, S3Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(S3Error::with_message(
            Code::InvalidRequest,
            format!("The header {} must be given once.", name.as_ref()),
        ));
    }
    value.to_str().map(Some).map_err(|_| {
        S3Error::with_message(
            Code::InvalidArgument,
            format!("The header {} has characters that are not ASCII.", name.as_ref()),
        )
    })
}

/// A request whose caller is known. Its head's fields are reached directly.
pub struct Call {
    /// Everything but the body.
    pub head: CallHead,
    /// The payload.
    pub body: Body,
}

impl Deref for Call {
    type Target = CallHead;
    fn deref(&self) -> &CallHead {
        &self.head
    }
}

/// The parameters of a query string, percent-decoded, in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a raw query string. `+` is a space here, as everywhere in a query.
    pub fn parse(raw: &str) -> Result<Query, S3Error> {
        let decode = |text: &str| address::decode_query(text);
        raw.split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(name)?, decode(value)?))
            })
            .collect::<Result<_, S3Error>>()
            .map(Query)
    }

    /// The first value of `name`; names are case-sensitive.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Whether `name` is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_in_order() {
        let query = Query::parse("a=1&b&&a=2&prefix=x+y%2Bz%2F&=v&c==").unwrap();
        let pairs: Vec<_> = query.iter().collect();
        let expected =
            [("a", "1"), ("b", ""), ("a", "2"), ("prefix", "x y+z/"), ("", "v"), ("c", "=")];
        assert_eq!(pairs, expected);
        assert_eq!(query.get("a"), Some("1"));
        assert!(query.has("b") && !query.has("B"));
        assert_eq!(Query::parse("").unwrap(), Query::default());
        for wrong in ["a=%", "%f=1", "a=%ff"] {
            assert_eq!(Query::parse(wrong).unwrap_err().code, Code::InvalidURI);
        }
    }

    #[test]
    fn a_header_is_given_once() {
        let mut headers = HeaderMap::new();
        headers.insert("one", "1".parse().unwrap());
        headers.append("two", "1".parse().unwrap());
        headers.append("two", "2".parse().unwrap());
        headers.insert("odd", http::HeaderValue::from_bytes(b"\xfc").unwrap());
        assert_eq!(single(&headers, "one").unwrap(), Some("1"));
        assert_eq!(single(&headers, "none").unwrap(), None);
        assert_eq!(single(&headers, "two").unwrap_err().code, Code::InvalidRequest);
        assert_eq!(single(&headers, "odd").unwrap_err().code, Code::InvalidArgument);
    }
}

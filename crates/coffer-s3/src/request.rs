//! What a verb is given: the head of a request whose caller is known, and its body.

use std::ops::Deref;
use std::sync::Arc;

use coffer_base::Timestamp;
use coffer_iam::{Action, Ask, Grant, Principal, Resource};
pub use coffer_sigv4::Query;
use http::header::AsHeaderName;
use http::{HeaderMap, Method};

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
    Ok(coffer_sigv4::header::single(headers, name)?)
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

//! What a request acts on.

use crate::action::Scope;

/// What every S3 ARN begins with.
pub const ARN_PREFIX: &str = "arn:aws:s3:::";

/// The store, a bucket or an object name, from the request's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// Empty for the store as a whole.
    pub bucket: String,
    /// The object's key, if the request names one.
    pub key: Option<String>,
}

impl Resource {
    /// The store as a whole.
    pub fn store() -> Self {
        Self { bucket: String::new(), key: None }
    }

    /// A bucket.
    pub fn bucket(bucket: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: None }
    }

    /// An object name.
    pub fn object(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: Some(key.into()) }
    }

    /// What kind of thing it is.
    pub fn scope(&self) -> Scope {
        match (&self.key, self.bucket.is_empty()) {
            (Some(_), _) => Scope::Object,
            (None, false) => Scope::Bucket,
            (None, true) => Scope::Store,
        }
    }

    /// `arn:aws:s3:::bucket/key`, `arn:aws:s3:::bucket`, or `arn:aws:s3:::` for the store, which
    /// therefore only `*` and `arn:aws:s3:::*` match.
    pub fn arn(&self) -> String {
        match &self.key {
            Some(key) => format!("{ARN_PREFIX}{}/{key}", self.bucket),
            None => format!("{ARN_PREFIX}{}", self.bucket),
        }
    }
}

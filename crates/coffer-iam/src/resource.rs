//! What a request acts on.

use std::borrow::Cow;

use crate::action::Scope;

/// What every S3 ARN begins with.
pub const ARN_PREFIX: &str = "arn:aws:s3:::";

/// The store, a bucket, an object name, or something of IAM.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The store as a whole.
    Store,
    /// A bucket.
    Bucket(String),
    /// An object name.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A user, a group, a role, a policy or a provider, or what IAM has for a whole account.
    Iam {
        /// Which of them.
        scope: Scope,
        /// Its ARN, or `*`.
        arn: String,
    },
}

impl Resource {
    /// The store as a whole.
    pub fn store() -> Self {
        Resource::Store
    }

    /// A bucket.
    pub fn bucket(bucket: impl Into<String>) -> Self {
        Resource::Bucket(bucket.into())
    }

    /// An object name.
    pub fn object(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Resource::Object { bucket: bucket.into(), key: key.into() }
    }

    /// The store, a bucket or an object name, as a request's address has them.
    pub fn addressed(bucket: Option<&str>, key: Option<&str>) -> Self {
        match (bucket, key) {
            (None | Some(""), None) => Resource::Store,
            (bucket, Some(key)) => Resource::object(bucket.unwrap_or(""), key),
            (Some(bucket), None) => Resource::bucket(bucket),
        }
    }

    /// Something of IAM by its ARN. For [`Scope::Account`] the ARN is what AWS shows and compares
    /// (`arn:aws:iam::ACCOUNT:user/` for ListUsers), or `*`.
    pub fn iam(scope: Scope, arn: impl Into<String>) -> Self {
        Resource::Iam { scope, arn: arn.into() }
    }

    /// What kind of thing it is.
    pub fn scope(&self) -> Scope {
        match self {
            Resource::Store => Scope::Store,
            Resource::Bucket(_) => Scope::Bucket,
            Resource::Object { .. } => Scope::Object,
            Resource::Iam { scope, .. } => *scope,
        }
    }

    /// The bucket; empty for what is none and in none.
    pub fn bucket_name(&self) -> &str {
        match self {
            Resource::Bucket(bucket) | Resource::Object { bucket, .. } => bucket,
            Resource::Store | Resource::Iam { .. } => "",
        }
    }

    /// The key of an object name.
    pub fn key(&self) -> Option<&str> {
        match self {
            Resource::Object { key, .. } => Some(key),
            _ => None,
        }
    }

    /// What policies compare: `arn:aws:s3:::bucket/key`, `arn:aws:s3:::bucket`, or
    /// `arn:aws:s3:::` for the store, which therefore only `*` and `arn:aws:s3:::*` match.
    pub fn arn(&self) -> Cow<'_, str> {
        match self {
            Resource::Store => Cow::Borrowed(ARN_PREFIX),
            Resource::Bucket(bucket) => Cow::Owned([ARN_PREFIX, bucket].concat()),
            Resource::Object { bucket, key } => Cow::Owned([ARN_PREFIX, bucket, "/", key].concat()),
            Resource::Iam { arn, .. } => Cow::Borrowed(arn),
        }
    }
}

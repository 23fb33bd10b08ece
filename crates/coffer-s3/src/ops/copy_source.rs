//! The header that names what is copied.

use coffer_iam::{Action, Grant};
use coffer_objects::VersionId;
use percent_encoding::percent_decode_str;

use super::{refuse, version_id};
use crate::error::{Code, S3Error};
use crate::request::CallHead;
use crate::service::Service;

/// A bucket and a key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CopySource {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The version.
    pub version: Option<VersionId>,
}

impl CopySource {
    /// What `x-amz-copy-source` names.
    pub(super) fn of(head: &CallHead) -> Result<CopySource, S3Error> {
        let text = head.header("x-amz-copy-source")?.unwrap_or("");
        CopySource::parse(text)
    }

    /// Asks iam whether the caller may read it. A policy is shown the version that is read.
    pub(super) fn grant(&self, service: &Service, call: &CallHead) -> Result<Grant, S3Error> {
        let (action, version) = match self.version {
            None => (Action::GetObject, None),
            Some(version) => (Action::GetObjectVersion, Some(version.to_string())),
        };
        let (bucket, key) = (&self.bucket, &self.key);
        call.grant_source(service, action, bucket, key, version.as_deref())
    }

    /// Reads `[/]bucket/key[?versionId=id]`, percent-encoded.
    pub(super) fn parse(text: &str) -> Result<CopySource, S3Error> {
        let invalid = || {
            S3Error::invalid_argument(
                "x-amz-copy-source",
                text,
                "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            )
        };
        let (path, version) = match text.split_once("?versionId=") {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        let version = version
            .map(|text| version_id::parse("x-amz-copy-source-version-id", text))
            .transpose()?;
        if path.starts_with("arn:") {
            return Err(refuse::unbuilt("x-amz-copy-source with an ARN"));
        }
        let path = percent_decode_str(path).decode_utf8().map_err(|_| {
            S3Error::with_message(Code::InvalidArgument, "Copy Source is not valid UTF-8.")
        })?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = path.split_once('/').ok_or_else(invalid)?;
        if bucket.is_empty() || key.is_empty() {
            return Err(invalid());
        }
        Ok(CopySource { bucket: bucket.to_owned(), key: key.to_owned(), version })
    }
}

#[cfg(test)]
mod tests;

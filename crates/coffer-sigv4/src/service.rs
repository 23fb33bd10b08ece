//! For whom a signature must be. The services differ in two rules.
//!
//! "Each path segment must be URI-encoded twice (except for Amazon S3 which only gets URI-encoded
//! once)." (AWS IAM User Guide, Create a signed API request.) And S3 takes the payload's hash from
//! `x-amz-content-sha256`, where it may also say how the payload is signed; everywhere else it is
//! the SHA-256 of the body that came.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::Query;

/// A service that requests are signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// `s3`.
    S3,
    /// `iam`.
    Iam,
    /// `sts`.
    Sts,
}

impl Service {
    /// As it stands in a scope.
    pub fn name(self) -> &'static str {
        match self {
            Service::S3 => "s3",
            Service::Iam => "iam",
            Service::Sts => "sts",
        }
    }

    /// The service of a scope's name.
    pub fn named(name: &str) -> Option<Service> {
        [Service::S3, Service::Iam, Service::Sts].into_iter().find(|s| s.name() == name)
    }

    /// Which service a request says it is signed for, before any of it is believed. `None`: it
    /// says nothing, or something else.
    pub fn claimed(headers: &HeaderMap, query: &Query) -> Option<Service> {
        Service::named(claimed_credential(headers, query)?.rsplit('/').nth(1)?)
    }
}

fn claimed_credential<'a>(headers: &'a HeaderMap, query: &'a Query) -> Option<&'a str> {
    let credential = match headers.get(AUTHORIZATION) {
        Some(value) => {
            let (_, fields) = value.to_str().ok()?.trim().split_once(' ')?;
            fields.split(',').find_map(|field| field.trim().strip_prefix("Credential="))?
        }
        None => query.get("X-Amz-Credential")?,
    };
    Some(credential.trim())
}

/// Whose key a request says it is signed with, and the token that comes with it, before any of it
/// is believed: for refusing what nobody can have signed before its body is read.
pub fn claimed_key<'a>(
    headers: &'a HeaderMap,
    query: &'a Query,
) -> Option<(&'a str, Option<&'a str>)> {
    let access_key = claimed_credential(headers, query)?.rsplitn(5, '/').nth(4)?;
    let in_header = headers.get("x-amz-security-token").and_then(|value| value.to_str().ok());
    Some((access_key, in_header.or_else(|| query.get("X-Amz-Security-Token"))))
}

/// What the scope of a signature must say, and what the payload's hash must be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The service that answers.
    pub service: Service,
    /// The regions that may be named; the first is told to who named another.
    pub regions: &'a [&'a str],
    /// The SHA-256 of the body in hex. S3 needs none: there the request says it, and the body is
    /// checked as it comes.
    pub body_sha256: Option<&'a str>,
}

impl<'a> Expected<'a> {
    /// S3 in one region.
    pub fn s3(regions: &'a [&'a str]) -> Expected<'a> {
        Expected { service: Service::S3, regions, body_sha256: None }
    }
}

//! Version ids in requests and replies.

use coffer_iam::{Action, Grant};
use coffer_objects::{Deleted, VersionId};

use super::table::Operation;
use crate::error::S3Error;
use crate::request::CallHead;
use crate::respond::{Reply, set_header};
use crate::service::Service;

/// The header of a reply that says which version it is about.
pub(super) const VERSION_ID: &str = "x-amz-version-id";

/// Operations that obey the query parameter `versionId`.
fn obeys(operation: Operation) -> bool {
    matches!(operation, Operation::GetObject | Operation::HeadObject | Operation::DeleteObject)
}

/// Refuses a version where it would be ignored: who names one must not believe that it counted.
pub(super) fn check(operation: Operation, head: &CallHead) -> Result<(), S3Error> {
    match head.query.get("versionId") {
        Some(id) if !obeys(operation) => Err(S3Error::invalid_argument(
            "versionId",
            id,
            "This operation does not accept a version-id.",
        )),
        _ => Ok(()),
    }
}

/// The version that the query names.
pub(super) fn of(head: &CallHead) -> Result<Option<VersionId>, S3Error> {
    head.query.get("versionId").map(|text| parse("versionId", text)).transpose()
}

/// Reads a version id from the parameter `name`.
pub(super) fn parse(name: &'static str, text: &str) -> Result<VersionId, S3Error> {
    VersionId::parse(text).ok_or_else(|| {
        let message = if text.is_empty() {
            "Version id cannot be the empty string"
        } else {
            "Invalid version id specified"
        };
        S3Error::invalid_argument(name, text, message)
    })
}

/// Asks iam for `action`, or where a version is named for `versioned`.
pub(super) fn grant(
    service: &Service,
    call: &CallHead,
    version: Option<VersionId>,
    action: Action,
    versioned: Action,
) -> Result<Grant, S3Error> {
    call.grant(service, if version.is_some() { versioned } else { action })
}

/// Says which version a reply is about, if its bucket ever had versioning.
pub(super) fn add(reply: &mut Reply, version: Option<VersionId>) -> Result<(), S3Error> {
    add_as(reply, VERSION_ID, version)
}

/// The same of the source of a copy.
pub(super) fn add_source(reply: &mut Reply, version: Option<VersionId>) -> Result<(), S3Error> {
    add_as(reply, "x-amz-copy-source-version-id", version)
}

fn add_as(
    reply: &mut Reply,
    name: &'static str,
    version: Option<VersionId>,
) -> Result<(), S3Error> {
    match version {
        Some(version) => set_header(reply, name, version.to_string()),
        None => Ok(()),
    }
}

/// Says what a delete did.
pub(super) fn add_deleted(reply: &mut Reply, deleted: &Deleted) -> Result<(), S3Error> {
    add(reply, deleted.version_id)?;
    if deleted.delete_marker {
        set_header(reply, "x-amz-delete-marker", "true")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

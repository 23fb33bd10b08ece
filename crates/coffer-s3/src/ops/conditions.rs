//! Conditions in headers.

use coffer_base::Timestamp;
use coffer_objects::{EtagList, ReadConditions, WriteCondition};

use super::refuse::unbuilt;
use crate::error::S3Error;
use crate::request::CallHead;
use crate::time;

/// The conditions of a read, or of the source of a copy.
pub(super) fn of_read(head: &CallHead) -> Result<ReadConditions, S3Error> {
    read_conditions(head, ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"])
}

/// The conditions of a copy on its source.
pub(super) fn of_copy_source(head: &CallHead) -> Result<ReadConditions, S3Error> {
    read_conditions(
        head,
        [
            "x-amz-copy-source-if-match",
            "x-amz-copy-source-if-none-match",
            "x-amz-copy-source-if-modified-since",
            "x-amz-copy-source-if-unmodified-since",
        ],
    )
}

fn read_conditions(head: &CallHead, names: [&'static str; 4]) -> Result<ReadConditions, S3Error> {
    let [matches, none_match, modified, unmodified] = names;
    Ok(ReadConditions {
        if_match: head.header(matches)?.map(EtagList::parse),
        if_none_match: head.header(none_match)?.map(EtagList::parse),
        if_modified_since: date(head, modified)?,
        if_unmodified_since: date(head, unmodified)?,
    })
}

/// RFC 9110, 13.1.3: "A recipient MUST ignore the If-Modified-Since header field if the received
/// field value is not a valid HTTP-date".
fn date(head: &CallHead, name: &'static str) -> Result<Option<Timestamp>, S3Error> {
    Ok(head.header(name)?.and_then(time::parse_http_date))
}

/// The condition of a write: `If-None-Match: *` or `If-Match: etag`; S3 has no others.
pub(super) fn of_write(head: &CallHead) -> Result<WriteCondition, S3Error> {
    let if_none_match_any = match head.header("if-none-match")? {
        None => false,
        Some("*") => true,
        Some(_) => return Err(unbuilt("If-None-Match with a value other than *")),
    };
    let if_match = match head.header("if-match")?.map(EtagList::parse) {
        None => None,
        Some(EtagList::Any) => Some("*".to_owned()),
        Some(EtagList::Tags(tags)) => match <[String; 1]>::try_from(tags) {
            Ok([tag]) => Some(tag),
            Err(_) => return Err(unbuilt("If-Match with other than one ETag")),
        },
    };
    Ok(WriteCondition { if_none_match_any, if_match })
}

#[cfg(test)]
mod tests;

//! From a request's head to the operation it asks for.

use http::Method;

use super::table::{Operation, Place};
use crate::error::{Code, S3Error};
use crate::request::{CallHead, Query};

const COPY_SOURCE: &str = "x-amz-copy-source";

/// The operation that `head` asks for, built or not.
///
/// A query parameter that S3 has no meaning for is ignored, as S3 does. One that selects a
/// sub-resource never is: where no operation has that method, place and sub-resource the request
/// is refused, so that `DELETE /bucket?location` does not delete the bucket.
pub(crate) fn route(head: &CallHead) -> Result<Operation, S3Error> {
    let place = match (&head.bucket, &head.key) {
        (None, _) => Place::Service,
        (Some(_), None) => Place::Bucket,
        (Some(_), Some(_)) => Place::Object,
    };
    if head.method == Method::OPTIONS {
        return Ok(Operation::OptionsObject);
    }
    if let Some(operation) = plain(head, place) {
        return Ok(operation);
    }
    let sub_resource = sub_resource(&head.query)?;
    let mut candidates = Operation::ALL.iter().copied().filter(|op| {
        op.place() == place
            && op.sub_resource() == sub_resource
            && op.method() == head.method.as_str()
            && fits(*op, head)
    });
    let Some(operation) = candidates.next() else {
        return Err(S3Error::new(Code::MethodNotAllowed));
    };
    check_parameters(operation, &head.query)?;
    Ok(operation)
}

/// The operation of a request for an object without a query: most requests are such, and going
/// through the table took as long as checking their signatures.
fn plain(head: &CallHead, place: Place) -> Option<Operation> {
    if place != Place::Object || head.query.iter().next().is_some() {
        return None;
    }
    match head.method {
        Method::GET => Some(Operation::GetObject),
        Method::HEAD => Some(Operation::HeadObject),
        Method::PUT if !head.headers.contains_key(COPY_SOURCE) => Some(Operation::PutObject),
        Method::DELETE => Some(Operation::DeleteObject),
        _ => None,
    }
}

/// The one sub-resource that the query names; empty when there is none.
fn sub_resource(query: &Query) -> Result<&'static str, S3Error> {
    let mut found = "";
    for (name, _) in query.iter() {
        let known = Operation::ALL.iter().map(|op| op.sub_resource()).find(|sub| *sub == name);
        match known {
            None | Some("") => {}
            Some(sub) if found.is_empty() || found == sub => found = sub,
            Some(sub) => {
                return Err(S3Error::with_message(
                    Code::InvalidArgument,
                    format!("Conflicting query string parameters: {found}, {sub}"),
                ));
            }
        }
    }
    Ok(found)
}

/// Tells apart operations that share method, place and sub-resource.
fn fits(operation: Operation, head: &CallHead) -> bool {
    use Operation::*;
    let has = |name| head.query.has(name);
    let copies = head.headers.contains_key(COPY_SOURCE)
        || head.query.iter().any(|(name, _)| name.eq_ignore_ascii_case(COPY_SOURCE));
    match operation {
        ListObjectsV2 => head.query.get("list-type") == Some("2"),
        ListObjects => head.query.get("list-type") != Some("2"),
        GetBucketAnalyticsConfiguration
        | GetBucketIntelligentTieringConfiguration
        | GetBucketInventoryConfiguration
        | GetBucketMetricsConfiguration => has("id"),
        ListBucketAnalyticsConfigurations
        | ListBucketIntelligentTieringConfigurations
        | ListBucketInventoryConfigurations
        | ListBucketMetricsConfigurations => !has("id"),
        GetObjectAnnotation => has("annotationName"),
        ListObjectAnnotations => !has("annotationName"),
        CopyObject | UploadPartCopy => copies,
        PutObject | UploadPart => !copies,
        WriteGetObjectResponse => head.bucket.as_deref() == Some("WriteGetObjectResponse"),
        PostObject => head.bucket.as_deref() != Some("WriteGetObjectResponse"),
        _ => true,
    }
}

/// Refuses parameters that select another operation than the one found, or are missing for it.
fn check_parameters(operation: Operation, query: &Query) -> Result<(), S3Error> {
    use Operation::*;
    let refuse = |message: &'static str| Err(S3Error::with_message(Code::InvalidArgument, message));
    match operation {
        UploadPart | UploadPartCopy if !query.has("partNumber") => {
            refuse("This operation requires the query parameter partNumber.")
        }
        PutObject | CopyObject if query.has("partNumber") => {
            refuse("This operation requires the query parameter uploadId.")
        }
        ListObjects if query.has("list-type") => {
            refuse("The list-type parameter must be 2 when it is given.")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

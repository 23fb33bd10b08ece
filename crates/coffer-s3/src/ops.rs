//! The verbs: which operation a request asks for, and one file for each family of them.
//!
//! Every verb does the same in the same order: what the request says is read and refused where it
//! makes no sense, iam is asked for a grant, the domain is called with it, and the reply is
//! written. A verb does not check a permission itself and does not touch what is stored.
//!
//! | module | concept |
//! |---|---|
//! | `table` | every operation of S3, built or not |
//! | `route` | from a request's head to its operation |
//! | `refuse` | headers that ask for what is not built |
//! | `buckets`, `put`, `get`, `delete`, `copy`, `list`, `uploads`, `parts` | the verbs |
//! | `policies` | policies of buckets and public access blocks |
//! | `versioning`, `versions` | whether a bucket keeps versions, and listing them |
//! | `context` | what policies may ask about a request |
//! | `stored` | headers kept with an object |
//! | `ack`, `checksums`, `conditions`, `copy_source`, `parameters`, `token`, `version_id` | values in requests |
//! | `documents` | XML in bodies |
//! | `caller` | owners |

mod ack;
mod buckets;
pub(crate) mod caller;
mod checksums;
mod conditions;
mod context;
mod copy;
mod copy_source;
mod delete;
mod documents;
mod get;
mod list;
mod parameters;
mod parts;
mod policies;
mod put;
mod refuse;
mod route;
mod stored;
mod table;
mod token;
mod uploads;
mod version_id;
mod versioning;
mod versions;

pub(crate) use route::route;
pub(crate) use table::Operation;

use crate::error::S3Error;
use crate::request::Call;
use crate::respond::Reply;
use crate::service::Service;

/// Does what the request asks for.
pub(crate) async fn dispatch(
    service: &Service,
    operation: Operation,
    mut call: Call,
) -> Result<Reply, S3Error> {
    if !operation.is_built() {
        return Err(refuse::unbuilt(operation.name()));
    }
    refuse::take_query_for_headers(&mut call.head)?;
    refuse::check(&call)?;
    version_id::check(operation, &call)?;
    caller::check_owner(service, &call)?;
    call.head.context = context::of(&service.settings.region, operation, &call.head);
    match operation {
        Operation::ListBuckets => buckets::list(service, call).await,
        Operation::CreateBucket => buckets::create(service, call).await,
        Operation::HeadBucket => buckets::head(service, call).await,
        Operation::DeleteBucket => buckets::delete(service, call).await,
        Operation::GetBucketLocation => buckets::location(service, call).await,
        Operation::GetBucketVersioning => versioning::get(service, call).await,
        Operation::PutBucketVersioning => versioning::put(service, call).await,
        Operation::ListObjectVersions => versions::list(service, call).await,
        Operation::GetBucketAck => buckets::get_ack(service, call).await,
        Operation::PutBucketAck => buckets::put_ack(service, call).await,
        Operation::GetBucketPolicy => policies::get(service, call).await,
        Operation::PutBucketPolicy => policies::put(service, call).await,
        Operation::DeleteBucketPolicy => policies::delete(service, call).await,
        Operation::GetBucketPolicyStatus => policies::status(service, call).await,
        Operation::GetPublicAccessBlock => policies::get_block(service, call).await,
        Operation::PutPublicAccessBlock => policies::put_block(service, call).await,
        Operation::DeletePublicAccessBlock => policies::delete_block(service, call).await,
        Operation::ListObjects => list::first(service, call).await,
        Operation::ListObjectsV2 => list::second(service, call).await,
        Operation::PutObject => put::put(service, call).await,
        Operation::GetObject => get::get(service, call).await,
        Operation::HeadObject => get::head(service, call).await,
        Operation::DeleteObject => delete::one(service, call).await,
        Operation::DeleteObjects => delete::many(service, call).await,
        Operation::CopyObject => copy::copy(service, call).await,
        Operation::CreateMultipartUpload => uploads::create(service, call).await,
        Operation::CompleteMultipartUpload => uploads::complete(service, call).await,
        Operation::AbortMultipartUpload => uploads::abort(service, call).await,
        Operation::ListMultipartUploads => uploads::list(service, call).await,
        Operation::UploadPart => parts::upload(service, call).await,
        Operation::UploadPartCopy => parts::copy(service, call).await,
        Operation::ListParts => parts::list(service, call).await,
        unbuilt => Err(refuse::unbuilt(unbuilt.name())),
    }
}

#[cfg(test)]
pub(crate) mod tests;

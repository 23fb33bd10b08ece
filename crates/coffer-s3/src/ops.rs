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

pub(crate) use context::of as context_of;
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
    call.head.asked.operation = Some(operation);
    // A future has room for the largest of what it may wait for, and is moved for each request: only
    // reading is in this one.
    match operation {
        Operation::ListBuckets => Box::pin(buckets::list(service, call)).await,
        Operation::CreateBucket => Box::pin(buckets::create(service, call)).await,
        Operation::HeadBucket => Box::pin(buckets::head(service, call)).await,
        Operation::DeleteBucket => Box::pin(buckets::delete(service, call)).await,
        Operation::GetBucketLocation => Box::pin(buckets::location(service, call)).await,
        Operation::GetBucketVersioning => Box::pin(versioning::get(service, call)).await,
        Operation::PutBucketVersioning => Box::pin(versioning::put(service, call)).await,
        Operation::ListObjectVersions => Box::pin(versions::list(service, call)).await,
        Operation::GetBucketAck => Box::pin(buckets::get_ack(service, call)).await,
        Operation::PutBucketAck => Box::pin(buckets::put_ack(service, call)).await,
        Operation::GetBucketPolicy => Box::pin(policies::get(service, call)).await,
        Operation::PutBucketPolicy => Box::pin(policies::put(service, call)).await,
        Operation::DeleteBucketPolicy => Box::pin(policies::delete(service, call)).await,
        Operation::GetBucketPolicyStatus => Box::pin(policies::status(service, call)).await,
        Operation::GetPublicAccessBlock => Box::pin(policies::get_block(service, call)).await,
        Operation::PutPublicAccessBlock => Box::pin(policies::put_block(service, call)).await,
        Operation::DeletePublicAccessBlock => Box::pin(policies::delete_block(service, call)).await,
        Operation::ListObjects => Box::pin(list::first(service, call)).await,
        Operation::ListObjectsV2 => Box::pin(list::second(service, call)).await,
        Operation::PutObject => Box::pin(put::put(service, call)).await,
        Operation::GetObject => get::get(service, call).await,
        Operation::HeadObject => get::head(service, call).await,
        Operation::DeleteObject => delete::one(service, call).await,
        Operation::DeleteObjects => Box::pin(delete::many(service, call)).await,
        Operation::CopyObject => Box::pin(copy::copy(service, call)).await,
        Operation::CreateMultipartUpload => Box::pin(uploads::create(service, call)).await,
        Operation::CompleteMultipartUpload => Box::pin(uploads::complete(service, call)).await,
        Operation::AbortMultipartUpload => Box::pin(uploads::abort(service, call)).await,
        Operation::ListMultipartUploads => Box::pin(uploads::list(service, call)).await,
        Operation::UploadPart => Box::pin(parts::upload(service, call)).await,
        Operation::UploadPartCopy => Box::pin(parts::copy(service, call)).await,
        Operation::ListParts => Box::pin(parts::list(service, call)).await,
        unbuilt => Err(refuse::unbuilt(unbuilt.name())),
    }
}

#[cfg(test)]
pub(crate) mod tests;

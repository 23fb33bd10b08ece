//! Policies of buckets, and public access blocks.

use coffer_iam::{Action, Kind, Policy};
use coffer_objects::PublicAccessBlock;
use http::StatusCode;

use super::documents::{self, Digest};
use crate::error::{Code, S3Error};
use crate::request::{Call, CallHead};
use crate::respond::{Reply, reply_empty, reply_json, reply_xml};
use crate::service::Service;
use crate::xml::{Element, Writer};

/// Longest policy, in bytes: as in S3, 20 KiB.
const POLICY_BYTES_MAX: usize = coffer_iam::policy::DOCUMENT_BYTES_MAX;

/// Longest PublicAccessBlockConfiguration, in bytes.
const BLOCK_BYTES_MAX: usize = 16 << 10;

/// S3: "If you have PutBucketPolicy permissions, but you're not using an identity that belongs to
/// the bucket owner's account, Amazon S3 returns a 405 Method Not Allowed error."
fn check_owned(service: &Service, call: &CallHead) -> Result<(), S3Error> {
    match service.objects.bucket_facts(call.bucket()?)? {
        Some(facts) if service.account_of(&facts.bucket) != call.principal.account => {
            Err(S3Error::new(Code::MethodNotAllowed))
        }
        _ => Ok(()),
    }
}

/// GetBucketPolicy: the document as it was given.
pub(super) async fn get(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::GetBucketPolicy)?;
    check_owned(service, &call)?;
    let policy = service.objects.bucket_policy(&grant).await?;
    Ok(reply_json(StatusCode::OK, policy))
}

/// PutBucketPolicy.
pub(super) async fn put(service: &Service, mut call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::PutBucketPolicy)?;
    check_owned(service, &call)?;
    let confirmed = match call.header("x-amz-confirm-remove-self-bucket-access")? {
        None => false,
        Some(text) if text.eq_ignore_ascii_case("false") => false,
        Some(text) if text.eq_ignore_ascii_case("true") => true,
        Some(other) => {
            return Err(S3Error::invalid_argument(
                "x-amz-confirm-remove-self-bucket-access",
                other,
                "The value must be true or false.",
            ));
        }
    };
    let bytes = documents::read_raw(service, &mut call, POLICY_BYTES_MAX).await?;
    if bytes.is_empty() {
        return Err(S3Error::new(Code::MissingRequestBody));
    }
    let json = std::str::from_utf8(&bytes).map_err(|_| {
        S3Error::with_message(Code::MalformedPolicy, "Policies must be valid UTF-8.")
    })?;
    if !confirmed && let Ok(policy) = Policy::parse(json, Kind::Resource) {
        call.would_keep(service, Action::PutBucketPolicy, &policy)?;
    }
    service.objects.put_bucket_policy(&grant, json).await?;
    Ok(reply_empty(StatusCode::NO_CONTENT))
}

/// DeleteBucketPolicy: also of a bucket that has none.
pub(super) async fn delete(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::DeleteBucketPolicy)?;
    check_owned(service, &call)?;
    service.objects.delete_bucket_policy(&grant).await?;
    Ok(reply_empty(StatusCode::NO_CONTENT))
}

/// GetBucketPolicyStatus.
pub(super) async fn status(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::GetBucketPolicyStatus)?;
    let is_public = service.objects.bucket_policy_is_public(&grant).await?;
    let mut xml = Writer::with_root("PolicyStatus");
    xml.plain("IsPublic", is_public);
    Ok(reply_xml(StatusCode::OK, xml.finish()))
}

/// GetPublicAccessBlock.
pub(super) async fn get_block(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::GetBucketPublicAccessBlock)?;
    let block = service.objects.public_access_block(&grant).await?;
    let mut xml = Writer::with_root("PublicAccessBlockConfiguration");
    xml.plain("BlockPublicAcls", block.block_public_acls)
        .plain("IgnorePublicAcls", block.ignore_public_acls)
        .plain("BlockPublicPolicy", block.block_public_policy)
        .plain("RestrictPublicBuckets", block.restrict_public_buckets);
    Ok(reply_xml(StatusCode::OK, xml.finish()))
}

/// PutPublicAccessBlock: what is not said is off.
pub(super) async fn put_block(service: &Service, mut call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::PutBucketPublicAccessBlock)?;
    let document = documents::read(service, &mut call, BLOCK_BYTES_MAX, Digest::Optional).await?;
    let document = document.ok_or_else(|| S3Error::new(Code::MissingRequestBody))?;
    let block = read_block(&document)?;
    drop(document);
    service.objects.set_public_access_block(&grant, Some(block)).await?;
    Ok(reply_empty(StatusCode::OK))
}

/// DeletePublicAccessBlock: also of a bucket that has none.
pub(super) async fn delete_block(service: &Service, call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::PutBucketPublicAccessBlock)?;
    service.objects.set_public_access_block(&grant, None).await?;
    Ok(reply_empty(StatusCode::NO_CONTENT))
}

fn read_block(document: &Element) -> Result<PublicAccessBlock, S3Error> {
    let malformed = || S3Error::new(Code::MalformedXML);
    if document.name != "PublicAccessBlockConfiguration" {
        return Err(malformed());
    }
    let mut block = PublicAccessBlock::default();
    for child in &document.children {
        let place = match child.name.as_str() {
            "BlockPublicAcls" => &mut block.block_public_acls,
            "IgnorePublicAcls" => &mut block.ignore_public_acls,
            "BlockPublicPolicy" => &mut block.block_public_policy,
            "RestrictPublicBuckets" => &mut block.restrict_public_buckets,
            _ => return Err(malformed()),
        };
        *place = match child.text.trim() {
            text if text.eq_ignore_ascii_case("true") => true,
            text if text.eq_ignore_ascii_case("false") => false,
            _ => return Err(malformed()),
        };
    }
    Ok(block)
}

#[cfg(test)]
mod tests;

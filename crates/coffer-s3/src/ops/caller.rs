//! Who owns things, and who the client believes does.

use crate::error::{Code, S3Error};
use crate::request::CallHead;
use crate::service::Service;
use crate::xml::Writer;

/// The header that says whose bucket a copy's source is expected to be in.
pub(super) const SOURCE_OWNER: &str = "x-amz-source-expected-bucket-owner";

/// Refuses a request whose header `name` expects another owner of `bucket` than it has: by the
/// number of an account, or by its canonical id. One of a bucket that is not there is refused for
/// that later.
pub(super) fn check_owner(
    service: &Service,
    head: &CallHead,
    name: &'static str,
    bucket: Option<&str>,
) -> Result<(), S3Error> {
    let Some(expected) = head.header(name)? else {
        return Ok(());
    };
    let facts = match bucket {
        Some(bucket) => service.objects.bucket_facts(bucket)?,
        None => None,
    };
    let (account, owner) = match &facts {
        Some(facts) => (service.account_of(&facts.bucket), &facts.bucket.owner),
        None => (head.principal.account.as_str().into(), &head.principal.owner_id),
    };
    if expected.is_empty() || (expected != account.as_ref() && expected != owner) {
        return Err(S3Error::new(Code::AccessDenied));
    }
    Ok(())
}

/// The canonical id of the account that owns the bucket of a request, and so what is in it.
pub(super) fn bucket_owner(service: &Service, head: &CallHead) -> Result<String, S3Error> {
    let facts = service.objects.bucket_facts(head.bucket()?)?;
    let facts = facts.ok_or_else(|| S3Error::new(Code::NoSuchBucket))?;
    Ok(facts.bucket.owner.clone())
}

/// Writes an owner by its canonical id.
pub(super) fn write_owner(xml: &mut Writer, tag: &'static str, id: &str) {
    xml.open(tag).text("ID", id).text("DisplayName", "coffer").close();
}

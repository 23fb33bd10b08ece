//! Who owns things, and who the client believes does.

use crate::error::{Code, S3Error};
use crate::request::CallHead;
use crate::service::Service;
use crate::xml::Writer;

/// The header that says whose the bucket of a request is expected to be.
pub(crate) const BUCKET_OWNER: &str = "x-amz-expected-bucket-owner";

/// The header that says whose bucket a copy's source is expected to be in.
pub(crate) const SOURCE_OWNER: &str = "x-amz-source-expected-bucket-owner";

/// Refuses a request whose header expects another owner of its bucket than it has: before its body
/// is read, and also where no grant is asked that would.
pub(super) fn check_owner(service: &Service, head: &CallHead) -> Result<(), S3Error> {
    if !head.headers.contains_key(BUCKET_OWNER) {
        return Ok(());
    }
    let facts = match &head.bucket {
        Some(bucket) => service.objects.bucket_facts(bucket)?,
        None => None,
    };
    let found = facts.as_ref().map(|f| (&f.bucket, service.account_of(&f.bucket)));
    check_expected(head, BUCKET_OWNER, found.as_ref().map(|(b, a)| (b.owner.as_str(), a.as_ref())))
}

/// Refuses a request whose header `name` expects another owner than `owner`, a canonical id and the
/// number of the account: it may say either. One of a bucket that is not there, and so without
/// an owner, is refused for that later.
pub(crate) fn check_expected(
    head: &CallHead,
    name: &'static str,
    owner: Option<(&str, &str)>,
) -> Result<(), S3Error> {
    let Some(expected) = head.header(name)? else {
        return Ok(());
    };
    let own = (head.principal.owner_id.as_str(), head.principal.account.as_str());
    let (id, account) = owner.unwrap_or(own);
    if expected.is_empty() || (expected != account && expected != id) {
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

//! The acknowledgement level that a request asks for with `x-coffer-ack`.

use coffer_base::Ack;
use coffer_iam::Grant;

use super::refuse::unbuilt;
use crate::error::S3Error;
use crate::request::CallHead;
use crate::service::Service;

const HEADER: &str = "x-coffer-ack";

/// The level that the request asks for.
pub(super) fn asked(head: &CallHead) -> Result<Option<Ack>, S3Error> {
    head.header(HEADER)?.map(parse).transpose()
}

/// Reads the name of a level.
pub(super) fn parse(text: &str) -> Result<Ack, S3Error> {
    Ack::parse(text).ok_or_else(|| {
        S3Error::invalid_argument(
            HEADER,
            text,
            "The acknowledgement level must be all, quorum or primary.",
        )
    })
}

/// For writes that are always acknowledged at their bucket's level: refuses a request that asks
/// for more. One that asks for less gets more, which breaks no promise.
pub(super) async fn check_bucket_suffices(
    service: &Service,
    head: &CallHead,
    grant: &Grant,
) -> Result<(), S3Error> {
    let Some(asked) = asked(head)? else {
        return Ok(());
    };
    let level = service.objects.bucket(grant).await?.ack.unwrap_or(Ack::All);
    if asked > level {
        return Err(unbuilt("x-coffer-ack above the bucket's level on this operation"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

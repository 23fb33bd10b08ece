//! PutObject, and taking in a body, which parts do too.

use coffer_iam::Action;
use coffer_objects::{Checksum, Put, PutWriter};
use http::StatusCode;

use super::{ack, checksums, conditions, stored};
use crate::body::Body;
use crate::error::S3Error;
use crate::request::{Call, CallHead};
use crate::respond::{Reply, reply_empty};
use crate::service::Service;

/// PutObject.
pub(super) async fn put(service: &Service, mut call: Call) -> Result<Reply, S3Error> {
    let grant = call.grant(service, Action::PutObject)?;
    let put = Put {
        headers: stored::of_request(&call.headers)?,
        condition: conditions::of_write(&call)?,
        ..announced(&call.head, &call.body)?
    };
    let mut writer = service.objects.put(&grant, put).await?;
    let trailer = take(&mut call.body, &mut writer).await?;
    let info = writer.finish(trailer).await?;
    let mut reply = reply_empty(StatusCode::OK);
    stored::add_identity(&mut reply, &info)?;
    checksums::add_headers(&mut reply, info.checksum.as_ref())?;
    Ok(reply)
}

/// What the head of a request says of the body to come, an object's or a part's.
pub(super) fn announced(head: &CallHead, body: &Body) -> Result<Put, S3Error> {
    Ok(Put {
        content_length: Some(body.require_length()?),
        ack: ack::asked(head)?,
        checksum: checksums::requested(head, body)?,
        expect_md5: checksums::content_md5(&head.headers)?,
        ..Put::default()
    })
}

/// Moves the body into `writer`, and gives the checksum that came after it.
pub(super) async fn take(
    body: &mut Body,
    writer: &mut PutWriter,
) -> Result<Option<Checksum>, S3Error> {
    while let Some(piece) = body.next().await {
        writer.write(piece?).await?;
    }
    Ok(body.trailer_checksum().map(|(algorithm, value)| Checksum::full(algorithm, value)))
}

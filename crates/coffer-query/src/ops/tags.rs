//! Tags of users, roles, policies and providers.

use coffer_iam::{Action, Grant};
use coffer_identity::Kind;

use super::{Done, name_of};
use crate::call::{Call, Extra, request_tags};
use crate::document::Document;
use crate::error::QueryError;

fn grant(call: &Call<'_>, action: Action, kind: Kind, keys: Extra) -> Result<Grant, QueryError> {
    let which = call.parameters.need(name_of(kind))?;
    match kind {
        Kind::Policy | Kind::Provider => call.grant_arn(action, which, keys),
        _ => call.grant_named_with(action, kind, which, keys),
    }
}

pub(super) async fn tag(call: &Call<'_>, kind: Kind, action: Action) -> Done {
    let which = call.parameters.need(name_of(kind))?;
    let tags = call.parameters.tags("Tags")?;
    let grant = grant(call, action, kind, request_tags(&tags))?;
    Ok(call.identity.tag(&grant, kind, which, tags).await?)
}

pub(super) async fn untag(call: &Call<'_>, kind: Kind, action: Action) -> Done {
    let which = call.parameters.need(name_of(kind))?;
    let tag_keys = call.parameters.list("TagKeys")?.unwrap_or_default();
    let keys = vec![("aws:TagKeys".to_owned(), tag_keys.clone())];
    let grant = grant(call, action, kind, keys)?;
    Ok(call.identity.untag(&grant, kind, which, tag_keys).await?)
}

pub(super) async fn list(call: &Call<'_>, kind: Kind, action: Action, xml: &mut Document) -> Done {
    let which = call.parameters.need(name_of(kind))?;
    let grant = grant(call, action, kind, Extra::new())?;
    let page = call.identity.list_tags(&grant, kind, which, &call.paging()?).await?;
    xml.tags(&page.items);
    xml.page_end(&page);
    Ok(())
}

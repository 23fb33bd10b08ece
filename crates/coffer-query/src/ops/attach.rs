//! Policies of users, groups and roles: inline ones, attached ones, boundaries.

use coffer_iam::Action;
use coffer_identity::Kind;

use super::{Done, name_of};
use crate::call::{Call, key};
use crate::document::Document;

pub(super) async fn put_inline(call: &Call<'_>, kind: Kind, action: Action) -> Done {
    let name = call.parameters.need(name_of(kind))?;
    let policy = call.parameters.need("PolicyName")?;
    let document = call.parameters.need("PolicyDocument")?.to_owned();
    let grant = call.grant_named(action, kind, name)?;
    Ok(call.identity.put_inline(&grant, kind, name, policy, document).await?)
}

pub(super) async fn get_inline(
    call: &Call<'_>,
    kind: Kind,
    action: Action,
    xml: &mut Document,
) -> Done {
    let name = call.parameters.need(name_of(kind))?;
    let policy = call.parameters.need("PolicyName")?;
    let grant = call.grant_named(action, kind, name)?;
    let document = call.identity.inline(&grant, kind, name, policy).await?;
    xml.text(name_of(kind), name).text("PolicyName", policy).policy("PolicyDocument", &document);
    Ok(())
}

pub(super) async fn delete_inline(call: &Call<'_>, kind: Kind, action: Action) -> Done {
    let name = call.parameters.need(name_of(kind))?;
    let policy = call.parameters.need("PolicyName")?;
    let grant = call.grant_named(action, kind, name)?;
    Ok(call.identity.delete_inline(&grant, kind, name, policy).await?)
}

pub(super) async fn list_inline(
    call: &Call<'_>,
    kind: Kind,
    action: Action,
    xml: &mut Document,
) -> Done {
    let name = call.parameters.need(name_of(kind))?;
    let grant = call.grant_named(action, kind, name)?;
    let page = call.identity.list_inline(&grant, kind, name, &call.paging()?).await?;
    xml.texts("PolicyNames", &page.items);
    xml.page_end(&page);
    Ok(())
}

pub(super) async fn attach(call: &Call<'_>, kind: Kind, action: Action) -> Done {
    let name = call.parameters.need(name_of(kind))?;
    let policy = call.parameters.need("PolicyArn")?;
    let keys = vec![key("iam:PolicyARN", policy)];
    let grant = call.grant_named_with(action, kind, name, keys)?;
    Ok(call.identity.attach_policy(&grant, kind, name, policy).await?)
}

pub(super) async fn detach(call: &Call<'_>, kind: Kind, action: Action) -> Done {
    let name = call.parameters.need(name_of(kind))?;
    let policy = call.parameters.need("PolicyArn")?;
    let keys = vec![key("iam:PolicyARN", policy)];
    let grant = call.grant_named_with(action, kind, name, keys)?;
    Ok(call.identity.detach_policy(&grant, kind, name, policy).await?)
}

pub(super) async fn list_attached(
    call: &Call<'_>,
    kind: Kind,
    action: Action,
    xml: &mut Document,
) -> Done {
    let name = call.parameters.need(name_of(kind))?;
    let grant = call.grant_named(action, kind, name)?;
    let (prefix, paging) = (call.path_prefix(), call.paging()?);
    let page = call.identity.list_attached(&grant, kind, name, prefix, &paging).await?;
    xml.attached("AttachedPolicies", &page.items);
    xml.page_end(&page);
    Ok(())
}

pub(super) async fn put_boundary(call: &Call<'_>, kind: Kind, action: Action) -> Done {
    let name = call.parameters.need(name_of(kind))?;
    let policy = call.parameters.need("PermissionsBoundary")?;
    let keys = vec![key("iam:PermissionsBoundary", policy)];
    let grant = call.grant_named_with(action, kind, name, keys)?;
    Ok(call.identity.put_boundary(&grant, kind, name, policy).await?)
}

pub(super) async fn delete_boundary(call: &Call<'_>, kind: Kind, action: Action) -> Done {
    let name = call.parameters.need(name_of(kind))?;
    let grant = call.grant_named(action, kind, name)?;
    Ok(call.identity.delete_boundary(&grant, kind, name).await?)
}

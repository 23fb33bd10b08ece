//! Roles.

use coffer_iam::Action;
use coffer_identity::{CreateRole, Kind, arn};

use super::{Done, maybe, owned, path};
use crate::call::{Call, Extra, key, request_tags};
use crate::document::Document;

/// AWS's bounds of how long sessions may last.
const SESSION_SECS: (u32, u32) = (3600, 43_200);

pub(super) async fn create(call: &Call<'_>, xml: &mut Document) -> Done {
    let name = call.parameters.need("RoleName")?.to_owned();
    let trust = call.parameters.need("AssumeRolePolicyDocument")?.to_owned();
    let (min, max) = SESSION_SECS;
    let session_secs_max = call.parameters.number("MaxSessionDuration", min, max)?;
    let tags = call.parameters.tags("Tags")?;
    let boundary = maybe(call, "PermissionsBoundary");
    let path = path(call).to_owned();
    let role_arn = arn(call.account()?, Kind::Role, &path, &name);
    let mut keys: Extra = request_tags(&tags);
    if let Some(boundary) = &boundary {
        keys.push(key("iam:PermissionsBoundary", boundary));
    }
    let grant = call.grant(Action::CreateRole, &role_arn, keys.clone())?;
    if !tags.is_empty() {
        call.grant(Action::TagRole, &role_arn, keys)?;
    }
    let description = owned(call, "Description");
    let request = CreateRole { name, path, trust, description, session_secs_max, tags, boundary };
    let role = call.identity.create_role(&grant, request).await?;
    xml.within("Role", |xml| xml.role(&role, true));
    Ok(())
}

pub(super) async fn get(call: &Call<'_>, xml: &mut Document) -> Done {
    let name = call.parameters.need("RoleName")?;
    let grant = call.grant_named(Action::GetRole, Kind::Role, name)?;
    let role = call.identity.role(&grant, name).await?;
    xml.within("Role", |xml| xml.role(&role, true));
    Ok(())
}

pub(super) async fn list(call: &Call<'_>, xml: &mut Document) -> Done {
    let grant = call.grant_list(Action::ListRoles, Kind::Role)?;
    let page = call.identity.list_roles(&grant, call.path_prefix(), &call.paging()?).await?;
    xml.members("Roles", &page.items, |xml, role| xml.role(role, false));
    xml.page_end(&page);
    Ok(())
}

pub(super) async fn update(call: &Call<'_>) -> Done {
    let name = call.parameters.need("RoleName")?;
    let (min, max) = SESSION_SECS;
    let session_secs_max = call.parameters.number("MaxSessionDuration", min, max)?;
    let grant = call.grant_named(Action::UpdateRole, Kind::Role, name)?;
    let description = maybe(call, "Description");
    call.identity.update_role(&grant, name, description, session_secs_max).await?;
    Ok(())
}

pub(super) async fn update_description(call: &Call<'_>, xml: &mut Document) -> Done {
    let name = call.parameters.need("RoleName")?;
    let description = owned(call, "Description");
    let grant = call.grant_named(Action::UpdateRoleDescription, Kind::Role, name)?;
    let role = call.identity.update_role(&grant, name, Some(description), None).await?;
    xml.within("Role", |xml| xml.role(&role, true));
    Ok(())
}

pub(super) async fn update_trust(call: &Call<'_>) -> Done {
    let name = call.parameters.need("RoleName")?;
    let document = call.parameters.need("PolicyDocument")?.to_owned();
    let grant = call.grant_named(Action::UpdateAssumeRolePolicy, Kind::Role, name)?;
    Ok(call.identity.update_trust(&grant, name, document).await?)
}

pub(super) async fn delete(call: &Call<'_>) -> Done {
    let name = call.parameters.need("RoleName")?;
    let grant = call.grant_named(Action::DeleteRole, Kind::Role, name)?;
    Ok(call.identity.delete_role(&grant, name).await?)
}

//! Groups and who is in them.

use coffer_iam::Action;
use coffer_identity::{Kind, arn};

use super::{Done, maybe, path};
use crate::call::{Call, Extra};
use crate::document::Document;

pub(super) async fn create(call: &Call<'_>, xml: &mut Document) -> Done {
    let name = call.parameters.need("GroupName")?;
    let group_arn = arn(call.account()?, Kind::Group, path(call), name);
    let grant = call.grant(Action::CreateGroup, &group_arn, Extra::new())?;
    let group = call.identity.create_group(&grant, name, path(call)).await?;
    xml.within("Group", |xml| xml.group(&group));
    Ok(())
}

pub(super) async fn get(call: &Call<'_>, xml: &mut Document) -> Done {
    let name = call.parameters.need("GroupName")?;
    let grant = call.grant_named(Action::GetGroup, Kind::Group, name)?;
    let (group, page) = call.identity.group(&grant, name, &call.paging()?).await?;
    xml.within("Group", |xml| xml.group(&group));
    xml.members("Users", &page.items, |xml, user| xml.user(user, false));
    xml.page_end(&page);
    Ok(())
}

pub(super) async fn list(call: &Call<'_>, xml: &mut Document) -> Done {
    let grant = call.grant_list(Action::ListGroups, Kind::Group)?;
    let page = call.identity.list_groups(&grant, call.path_prefix(), &call.paging()?).await?;
    xml.members("Groups", &page.items, |xml, group| xml.group(group));
    xml.page_end(&page);
    Ok(())
}

pub(super) async fn list_for_user(call: &Call<'_>, xml: &mut Document) -> Done {
    let name = call.parameters.need("UserName")?;
    let grant = call.grant_named(Action::ListGroupsForUser, Kind::User, name)?;
    let page = call.identity.groups_of_user(&grant, name, &call.paging()?).await?;
    xml.members("Groups", &page.items, |xml, group| xml.group(group));
    xml.page_end(&page);
    Ok(())
}

pub(super) async fn update(call: &Call<'_>) -> Done {
    let name = call.parameters.need("GroupName")?;
    let (new_name, new_path) = (maybe(call, "NewGroupName"), maybe(call, "NewPath"));
    let grant = call.grant_named(Action::UpdateGroup, Kind::Group, name)?;
    if new_name.is_some() || new_path.is_some() {
        // What it becomes must be within reach as well.
        let of_now = grant.resource().arn();
        let (_, _, old_path, old_name) =
            coffer_identity::parse_arn(&of_now).unwrap_or((None, Kind::Group, "/", name));
        let becomes = arn(
            call.account()?,
            Kind::Group,
            new_path.as_deref().unwrap_or(old_path),
            new_name.as_deref().unwrap_or(old_name),
        );
        call.grant(Action::UpdateGroup, &becomes, Extra::new())?;
    }
    call.identity.update_group(&grant, name, new_name, new_path).await?;
    Ok(())
}

pub(super) async fn delete(call: &Call<'_>) -> Done {
    let name = call.parameters.need("GroupName")?;
    let grant = call.grant_named(Action::DeleteGroup, Kind::Group, name)?;
    Ok(call.identity.delete_group(&grant, name).await?)
}

pub(super) async fn add_user(call: &Call<'_>) -> Done {
    let (group, user) = (call.parameters.need("GroupName")?, call.parameters.need("UserName")?);
    let grant = call.grant_named(Action::AddUserToGroup, Kind::Group, group)?;
    Ok(call.identity.add_user_to_group(&grant, group, user).await?)
}

pub(super) async fn remove_user(call: &Call<'_>) -> Done {
    let (group, user) = (call.parameters.need("GroupName")?, call.parameters.need("UserName")?);
    let grant = call.grant_named(Action::RemoveUserFromGroup, Kind::Group, group)?;
    Ok(call.identity.remove_user_from_group(&grant, group, user).await?)
}

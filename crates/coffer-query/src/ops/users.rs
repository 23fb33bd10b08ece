//! Users.

use coffer_iam::Action;
use coffer_identity::{CreateUser, Kind, arn};

use super::{Done, maybe, path};
use crate::call::{Call, Extra, key, request_tags};
use crate::document::Document;

pub(super) async fn create(call: &Call<'_>, xml: &mut Document) -> Done {
    let name = call.parameters.need("UserName")?.to_owned();
    let tags = call.parameters.tags("Tags")?;
    let boundary = maybe(call, "PermissionsBoundary");
    let path = path(call).to_owned();
    let user_arn = arn(call.account()?, Kind::User, &path, &name);
    let mut keys: Extra = request_tags(&tags);
    if let Some(boundary) = &boundary {
        keys.push(key("iam:PermissionsBoundary", boundary));
    }
    let grant = call.grant(Action::CreateUser, &user_arn, keys.clone())?;
    if !tags.is_empty() {
        call.grant(Action::TagUser, &user_arn, keys)?;
    }
    let request = CreateUser { name, path, tags, boundary };
    let user = call.identity.create_user(&grant, request).await?;
    xml.within("User", |xml| xml.user(&user, true));
    Ok(())
}

pub(super) async fn get(call: &Call<'_>, xml: &mut Document) -> Done {
    let meant = call.user_meant()?;
    let grant = call.grant_user_meant(Action::GetUser, meant.as_deref())?;
    match meant {
        Some(name) => {
            let user = call.identity.user(&grant, &name).await?;
            xml.within("User", |xml| xml.user(&user, true));
        }
        None => {
            let id = call.account()?;
            let account = call.identity.account_by_id(id)?;
            xml.within("User", |xml| {
                xml.text("Path", "/")
                    .text("UserId", &id.to_string())
                    .text("Arn", &format!("arn:aws:iam::{id}:root"));
                if let Some(account) = account {
                    xml.moment("CreateDate", account.created);
                }
            });
        }
    }
    Ok(())
}

pub(super) async fn list(call: &Call<'_>, xml: &mut Document) -> Done {
    let grant = call.grant_list(Action::ListUsers, Kind::User)?;
    let page = call.identity.list_users(&grant, call.path_prefix(), &call.paging()?).await?;
    xml.members("Users", &page.items, |xml, user| xml.user(user, false));
    xml.page_end(&page);
    Ok(())
}

pub(super) async fn update(call: &Call<'_>) -> Done {
    let name = call.parameters.need("UserName")?;
    let (new_name, new_path) = (maybe(call, "NewUserName"), maybe(call, "NewPath"));
    let grant = call.grant_named(Action::UpdateUser, Kind::User, name)?;
    if new_name.is_some() || new_path.is_some() {
        // What it becomes must be within reach as well.
        let of_now = grant.resource().arn();
        let (_, _, old_path, old_name) =
            coffer_identity::parse_arn(&of_now).unwrap_or((None, Kind::User, "/", name));
        let becomes = arn(
            call.account()?,
            Kind::User,
            new_path.as_deref().unwrap_or(old_path),
            new_name.as_deref().unwrap_or(old_name),
        );
        call.grant(Action::UpdateUser, &becomes, call.of_entity(&of_now)?)?;
    }
    call.identity.update_user(&grant, name, new_name, new_path).await?;
    Ok(())
}

pub(super) async fn delete(call: &Call<'_>) -> Done {
    let name = call.parameters.need("UserName")?;
    let grant = call.grant_named(Action::DeleteUser, Kind::User, name)?;
    Ok(call.identity.delete_user(&grant, name).await?)
}

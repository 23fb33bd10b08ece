//! Access keys.

use coffer_iam::Action;

use super::Done;
use crate::call::Call;
use crate::document::Document;
use crate::error::{Code, QueryError};
use crate::form::invalid;

/// What AWS shows where nothing is known.
const NOTHING: &str = "N/A";

fn status(active: bool) -> &'static str {
    if active { "Active" } else { "Inactive" }
}

pub(super) async fn create(call: &Call<'_>, xml: &mut Document) -> Done {
    let user = call.user_meant()?;
    let grant = call.grant_user_meant(Action::CreateAccessKey, user.as_deref())?;
    let made = call.identity.create_access_key(&grant, user.as_deref()).await?;
    xml.within("AccessKey", |xml| {
        xml.text("UserName", made.key.user.as_deref().unwrap_or("root"))
            .text("AccessKeyId", &made.key.access_key)
            .text("Status", status(made.key.active))
            .text("SecretAccessKey", &made.secret)
            .moment("CreateDate", made.key.created);
    });
    Ok(())
}

pub(super) async fn list(call: &Call<'_>, xml: &mut Document) -> Done {
    let user = call.user_meant()?;
    let grant = call.grant_user_meant(Action::ListAccessKeys, user.as_deref())?;
    let paging = call.paging()?;
    let page = call.identity.list_access_keys(&grant, user.as_deref(), &paging).await?;
    xml.members("AccessKeyMetadata", &page.items, |xml, key| {
        xml.optional("UserName", key.user.as_deref())
            .text("AccessKeyId", &key.access_key)
            .text("Status", status(key.active))
            .moment("CreateDate", key.created);
    });
    xml.page_end(&page);
    Ok(())
}

pub(super) async fn update(call: &Call<'_>) -> Done {
    let user = call.user_meant()?;
    let access_key = call.parameters.need("AccessKeyId")?;
    let active = match call.parameters.need("Status")? {
        "Active" => true,
        "Inactive" => false,
        _ => {
            let what = "Member must satisfy enum value set: [Active, Inactive]";
            return Err(invalid("Status", what));
        }
    };
    let grant = call.grant_user_meant(Action::UpdateAccessKey, user.as_deref())?;
    Ok(call.identity.update_access_key(&grant, user.as_deref(), access_key, active).await?)
}

pub(super) async fn delete(call: &Call<'_>) -> Done {
    let user = call.user_meant()?;
    let access_key = call.parameters.need("AccessKeyId")?;
    let grant = call.grant_user_meant(Action::DeleteAccessKey, user.as_deref())?;
    Ok(call.identity.delete_access_key(&grant, user.as_deref(), access_key).await?)
}

pub(super) async fn last_used(call: &Call<'_>, xml: &mut Document) -> Done {
    let access_key = call.parameters.need("AccessKeyId")?;
    let owner = call.identity.access_key_owner(access_key)?;
    let account = call.account()?;
    // Keys of other accounts are as if they were not there, and are no one's to ask about.
    let user = match owner.filter(|(owner, _)| *owner == account) {
        Some((_, user)) => user,
        None => {
            call.grant_account_key()?;
            return Err(QueryError::new(
                Code::NoSuchEntity,
                format!("The Access Key with id {access_key} cannot be found."),
            ));
        }
    };
    let name = user.map(|user| user.name);
    let grant = call.grant_user_meant(Action::GetAccessKeyLastUsed, name.as_deref())?;
    let (user, used) = call.identity.access_key_last_used(&grant, access_key).await?;
    xml.optional("UserName", user.as_deref());
    xml.within("AccessKeyLastUsed", |xml| match &used {
        Some(used) => {
            xml.moment("LastUsedDate", used.at)
                .text("ServiceName", &used.service)
                .text("Region", &used.region);
        }
        None => {
            xml.text("ServiceName", NOTHING).text("Region", NOTHING);
        }
    });
    Ok(())
}

impl Call<'_> {
    /// Asks for what is said about a key that is not there.
    fn grant_account_key(&self) -> Result<(), QueryError> {
        let all = format!("arn:aws:iam::{}:user/", self.account()?);
        self.grant(Action::GetAccessKeyLastUsed, &all, Vec::new()).map(drop)
    }
}

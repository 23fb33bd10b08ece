//! Managed policies and their versions.

use coffer_iam::Action;
use coffer_identity::{CreatePolicy, Kind, ListPolicies, PolicyScope, Use, arn};

use super::{Done, owned, path};
use crate::call::{Call, Extra, request_tags};
use crate::document::Document;
use crate::error::QueryError;
use crate::form::invalid;

pub(super) async fn create(call: &Call<'_>, xml: &mut Document) -> Done {
    let name = call.parameters.need("PolicyName")?.to_owned();
    let document = call.parameters.need("PolicyDocument")?.to_owned();
    let tags = call.parameters.tags("Tags")?;
    let path = path(call).to_owned();
    let policy_arn = arn(call.account()?, Kind::Policy, &path, &name);
    let grant = call.grant(Action::CreatePolicy, &policy_arn, request_tags(&tags))?;
    if !tags.is_empty() {
        call.grant(Action::TagPolicy, &policy_arn, request_tags(&tags))?;
    }
    let description = owned(call, "Description");
    let request = CreatePolicy { name, path, description, document, tags };
    let policy = call.identity.create_policy(&grant, request).await?;
    xml.within("Policy", |xml| xml.managed(&policy, true));
    Ok(())
}

pub(super) async fn get(call: &Call<'_>, xml: &mut Document) -> Done {
    let policy_arn = call.parameters.need("PolicyArn")?;
    let grant = call.grant_arn(Action::GetPolicy, policy_arn, Extra::new())?;
    let policy = call.identity.policy(&grant, policy_arn).await?;
    xml.within("Policy", |xml| xml.managed(&policy, true));
    Ok(())
}

pub(super) async fn list(call: &Call<'_>, xml: &mut Document) -> Done {
    let scope = match call.parameters.get("Scope") {
        None | Some("" | "All") => PolicyScope::All,
        Some("AWS") => PolicyScope::Aws,
        Some("Local") => PolicyScope::Local,
        Some(_) => {
            return Err(invalid("Scope", "Member must satisfy enum value set: [All, AWS, Local]"));
        }
    };
    let grant = call.grant_account(Action::ListPolicies)?;
    let request = ListPolicies {
        scope,
        only_used: call.parameters.flag("OnlyAttached")?.unwrap_or(false),
        used: used(call)?,
        path_prefix: call.path_prefix().to_owned(),
        paging: call.paging()?,
    };
    let page = call.identity.list_policies(&grant, &request).await?;
    xml.members("Policies", &page.items, |xml, policy| xml.managed(policy, false));
    xml.page_end(&page);
    Ok(())
}

fn used(call: &Call<'_>) -> Result<Option<Use>, QueryError> {
    match call.parameters.get("PolicyUsageFilter") {
        None | Some("") => Ok(None),
        Some("PermissionsPolicy") => Ok(Some(Use::Attached)),
        Some("PermissionsBoundary") => Ok(Some(Use::Boundary)),
        Some(_) => Err(invalid(
            "PolicyUsageFilter",
            "Member must satisfy enum value set: [PermissionsPolicy, PermissionsBoundary]",
        )),
    }
}

pub(super) async fn delete(call: &Call<'_>) -> Done {
    let policy_arn = call.parameters.need("PolicyArn")?;
    let grant = call.grant_arn(Action::DeletePolicy, policy_arn, Extra::new())?;
    Ok(call.identity.delete_policy(&grant, policy_arn).await?)
}

pub(super) async fn create_version(call: &Call<'_>, xml: &mut Document) -> Done {
    let policy_arn = call.parameters.need("PolicyArn")?;
    let document = call.parameters.need("PolicyDocument")?.to_owned();
    let as_default = call.parameters.flag("SetAsDefault")?.unwrap_or(false);
    let grant = call.grant_arn(Action::CreatePolicyVersion, policy_arn, Extra::new())?;
    let made =
        call.identity.create_policy_version(&grant, policy_arn, document, as_default).await?;
    xml.within("PolicyVersion", |xml| xml.version(&made, false));
    Ok(())
}

pub(super) async fn get_version(call: &Call<'_>, xml: &mut Document) -> Done {
    let policy_arn = call.parameters.need("PolicyArn")?;
    let version = call.parameters.need("VersionId")?;
    let grant = call.grant_arn(Action::GetPolicyVersion, policy_arn, Extra::new())?;
    let version = call.identity.policy_version(&grant, policy_arn, version).await?;
    xml.within("PolicyVersion", |xml| xml.version(&version, true));
    Ok(())
}

pub(super) async fn list_versions(call: &Call<'_>, xml: &mut Document) -> Done {
    let policy_arn = call.parameters.need("PolicyArn")?;
    let grant = call.grant_arn(Action::ListPolicyVersions, policy_arn, Extra::new())?;
    let page = call.identity.list_policy_versions(&grant, policy_arn, &call.paging()?).await?;
    xml.members("Versions", &page.items, |xml, version| xml.version(version, false));
    xml.page_end(&page);
    Ok(())
}

pub(super) async fn delete_version(call: &Call<'_>) -> Done {
    let policy_arn = call.parameters.need("PolicyArn")?;
    let version = call.parameters.need("VersionId")?;
    let grant = call.grant_arn(Action::DeletePolicyVersion, policy_arn, Extra::new())?;
    Ok(call.identity.delete_policy_version(&grant, policy_arn, version).await?)
}

pub(super) async fn set_default_version(call: &Call<'_>) -> Done {
    let policy_arn = call.parameters.need("PolicyArn")?;
    let version = call.parameters.need("VersionId")?;
    let grant = call.grant_arn(Action::SetDefaultPolicyVersion, policy_arn, Extra::new())?;
    Ok(call.identity.set_default_policy_version(&grant, policy_arn, version).await?)
}

pub(super) async fn list_entities(call: &Call<'_>, xml: &mut Document) -> Done {
    let policy_arn = call.parameters.need("PolicyArn")?;
    let kind = match call.parameters.get("EntityFilter") {
        None | Some("") => None,
        Some("User") => Some(Kind::User),
        Some("Group") => Some(Kind::Group),
        Some("Role") => Some(Kind::Role),
        Some("LocalManagedPolicy" | "AWSManagedPolicy") => Some(Kind::Policy),
        Some(_) => {
            let what = "Member must satisfy enum value set: \
                        [User, Role, Group, LocalManagedPolicy, AWSManagedPolicy]";
            return Err(invalid("EntityFilter", what));
        }
    };
    let used = used(call)?;
    let grant = call.grant_arn(Action::ListEntitiesForPolicy, policy_arn, Extra::new())?;
    let (prefix, paging) = (call.path_prefix(), call.paging()?);
    let identity = call.identity;
    let page =
        identity.entities_for_policy(&grant, policy_arn, kind, used, prefix, &paging).await?;
    for (kind, list, name, id) in [
        (Kind::Group, "PolicyGroups", "GroupName", "GroupId"),
        (Kind::User, "PolicyUsers", "UserName", "UserId"),
        (Kind::Role, "PolicyRoles", "RoleName", "RoleId"),
    ] {
        let found = page.items.iter().filter(|entity| entity.kind == kind);
        xml.members(list, found, |xml, entity| {
            xml.text(name, &entity.name).text(id, &entity.id);
        });
    }
    xml.page_end(&page);
    Ok(())
}

//! Every built operation: which function it is.
//!
//! An operation reads its parameters, asks for its grants, calls the store of identities, and
//! writes the content of its result.

mod access_keys;
mod account;
mod assume;
mod attach;
mod caller;
mod groups;
mod policies;
mod providers;
mod roles;
mod simulate;
mod tags;
mod users;
mod web_identity;

use coffer_iam::Action;
use coffer_identity::Kind;

use crate::call::Call;
use crate::document::Document;
use crate::error::QueryError;
use crate::table::Operation;

/// What an operation gives.
pub(crate) type Done = Result<(), QueryError>;

/// Runs a built operation; its result's content goes into `xml`.
pub(crate) async fn run(operation: Operation, call: &Call<'_>, xml: &mut Document) -> Done {
    use Operation as Op;
    let (user, group, role) = (Kind::User, Kind::Group, Kind::Role);
    let (policy, provider) = (Kind::Policy, Kind::Provider);
    match operation {
        Op::CreateUser => users::create(call, xml).await,
        Op::GetUser => users::get(call, xml).await,
        Op::ListUsers => users::list(call, xml).await,
        Op::UpdateUser => users::update(call).await,
        Op::DeleteUser => users::delete(call).await,
        Op::CreateGroup => groups::create(call, xml).await,
        Op::GetGroup => groups::get(call, xml).await,
        Op::ListGroups => groups::list(call, xml).await,
        Op::ListGroupsForUser => groups::list_for_user(call, xml).await,
        Op::UpdateGroup => groups::update(call).await,
        Op::DeleteGroup => groups::delete(call).await,
        Op::AddUserToGroup => groups::add_user(call).await,
        Op::RemoveUserFromGroup => groups::remove_user(call).await,
        Op::CreateRole => roles::create(call, xml).await,
        Op::GetRole => roles::get(call, xml).await,
        Op::ListRoles => roles::list(call, xml).await,
        Op::UpdateRole => roles::update(call).await,
        Op::UpdateRoleDescription => roles::update_description(call, xml).await,
        Op::UpdateAssumeRolePolicy => roles::update_trust(call).await,
        Op::DeleteRole => roles::delete(call).await,
        Op::CreateAccessKey => access_keys::create(call, xml).await,
        Op::ListAccessKeys => access_keys::list(call, xml).await,
        Op::UpdateAccessKey => access_keys::update(call).await,
        Op::DeleteAccessKey => access_keys::delete(call).await,
        Op::GetAccessKeyLastUsed => access_keys::last_used(call, xml).await,
        Op::CreatePolicy => policies::create(call, xml).await,
        Op::GetPolicy => policies::get(call, xml).await,
        Op::ListPolicies => policies::list(call, xml).await,
        Op::DeletePolicy => policies::delete(call).await,
        Op::CreatePolicyVersion => policies::create_version(call, xml).await,
        Op::GetPolicyVersion => policies::get_version(call, xml).await,
        Op::ListPolicyVersions => policies::list_versions(call, xml).await,
        Op::DeletePolicyVersion => policies::delete_version(call).await,
        Op::SetDefaultPolicyVersion => policies::set_default_version(call).await,
        Op::ListEntitiesForPolicy => policies::list_entities(call, xml).await,
        Op::PutUserPolicy => attach::put_inline(call, user, Action::PutUserPolicy).await,
        Op::PutGroupPolicy => attach::put_inline(call, group, Action::PutGroupPolicy).await,
        Op::PutRolePolicy => attach::put_inline(call, role, Action::PutRolePolicy).await,
        Op::GetUserPolicy => attach::get_inline(call, user, Action::GetUserPolicy, xml).await,
        Op::GetGroupPolicy => attach::get_inline(call, group, Action::GetGroupPolicy, xml).await,
        Op::GetRolePolicy => attach::get_inline(call, role, Action::GetRolePolicy, xml).await,
        Op::DeleteUserPolicy => attach::delete_inline(call, user, Action::DeleteUserPolicy).await,
        Op::DeleteGroupPolicy => {
            attach::delete_inline(call, group, Action::DeleteGroupPolicy).await
        }
        Op::DeleteRolePolicy => attach::delete_inline(call, role, Action::DeleteRolePolicy).await,
        Op::ListUserPolicies => {
            attach::list_inline(call, user, Action::ListUserPolicies, xml).await
        }
        Op::ListGroupPolicies => {
            attach::list_inline(call, group, Action::ListGroupPolicies, xml).await
        }
        Op::ListRolePolicies => {
            attach::list_inline(call, role, Action::ListRolePolicies, xml).await
        }
        Op::AttachUserPolicy => attach::attach(call, user, Action::AttachUserPolicy).await,
        Op::AttachGroupPolicy => attach::attach(call, group, Action::AttachGroupPolicy).await,
        Op::AttachRolePolicy => attach::attach(call, role, Action::AttachRolePolicy).await,
        Op::DetachUserPolicy => attach::detach(call, user, Action::DetachUserPolicy).await,
        Op::DetachGroupPolicy => attach::detach(call, group, Action::DetachGroupPolicy).await,
        Op::DetachRolePolicy => attach::detach(call, role, Action::DetachRolePolicy).await,
        Op::ListAttachedUserPolicies => {
            attach::list_attached(call, user, Action::ListAttachedUserPolicies, xml).await
        }
        Op::ListAttachedGroupPolicies => {
            attach::list_attached(call, group, Action::ListAttachedGroupPolicies, xml).await
        }
        Op::ListAttachedRolePolicies => {
            attach::list_attached(call, role, Action::ListAttachedRolePolicies, xml).await
        }
        Op::PutUserPermissionsBoundary => {
            attach::put_boundary(call, user, Action::PutUserPermissionsBoundary).await
        }
        Op::PutRolePermissionsBoundary => {
            attach::put_boundary(call, role, Action::PutRolePermissionsBoundary).await
        }
        Op::DeleteUserPermissionsBoundary => {
            attach::delete_boundary(call, user, Action::DeleteUserPermissionsBoundary).await
        }
        Op::DeleteRolePermissionsBoundary => {
            attach::delete_boundary(call, role, Action::DeleteRolePermissionsBoundary).await
        }
        Op::TagUser => tags::tag(call, user, Action::TagUser).await,
        Op::TagRole => tags::tag(call, role, Action::TagRole).await,
        Op::TagPolicy => tags::tag(call, policy, Action::TagPolicy).await,
        Op::TagOpenIDConnectProvider => {
            tags::tag(call, provider, Action::TagOpenIDConnectProvider).await
        }
        Op::UntagUser => tags::untag(call, user, Action::UntagUser).await,
        Op::UntagRole => tags::untag(call, role, Action::UntagRole).await,
        Op::UntagPolicy => tags::untag(call, policy, Action::UntagPolicy).await,
        Op::UntagOpenIDConnectProvider => {
            tags::untag(call, provider, Action::UntagOpenIDConnectProvider).await
        }
        Op::ListUserTags => tags::list(call, user, Action::ListUserTags, xml).await,
        Op::ListRoleTags => tags::list(call, role, Action::ListRoleTags, xml).await,
        Op::ListPolicyTags => tags::list(call, policy, Action::ListPolicyTags, xml).await,
        Op::ListOpenIDConnectProviderTags => {
            tags::list(call, provider, Action::ListOpenIDConnectProviderTags, xml).await
        }
        Op::CreateOpenIDConnectProvider => providers::create(call, xml).await,
        Op::GetOpenIDConnectProvider => providers::get(call, xml).await,
        Op::ListOpenIDConnectProviders => providers::list(call, xml).await,
        Op::DeleteOpenIDConnectProvider => providers::delete(call).await,
        Op::AddClientIDToOpenIDConnectProvider => providers::add_client_id(call).await,
        Op::RemoveClientIDFromOpenIDConnectProvider => providers::remove_client_id(call).await,
        Op::UpdateOpenIDConnectProviderThumbprint => providers::update_thumbprints(call).await,
        Op::GetAccountSummary => account::summary(call, xml).await,
        Op::GetAccountAuthorizationDetails => account::details(call, xml).await,
        Op::SimulateCustomPolicy => simulate::custom(call, xml).await,
        Op::SimulatePrincipalPolicy => simulate::principal(call, xml).await,
        Op::GetCallerIdentity => caller::identity(call, xml),
        Op::GetAccessKeyInfo => caller::access_key_info(call, xml),
        Op::GetSessionToken => assume::session_token(call, xml),
        Op::AssumeRole => assume::role(call, xml),
        Op::AssumeRoleWithWebIdentity => web_identity::assume(call, xml).await,
        absent => Err(QueryError::not_implemented(absent.name())),
    }
}

/// The parameter that names an entity of a kind.
fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "UserName",
        Kind::Group => "GroupName",
        Kind::Role => "RoleName",
        Kind::Policy => "PolicyArn",
        Kind::Provider => "OpenIDConnectProviderArn",
    }
}

/// A parameter as the store of identities takes it.
fn owned(call: &Call<'_>, name: &str) -> String {
    call.parameters.get(name).unwrap_or_default().to_owned()
}

/// The same of one that may be missing.
fn maybe(call: &Call<'_>, name: &str) -> Option<String> {
    call.parameters.get(name).map(str::to_owned)
}

/// The path of what is to be made.
fn path<'a>(call: &'a Call<'_>) -> &'a str {
    call.parameters.get("Path").filter(|path| !path.is_empty()).unwrap_or("/")
}

//! An account as a whole.

use coffer_iam::{Action, Grant, Scope};
use coffer_identity::{
    Group, Kind, ListPolicies, ManagedPolicy, Page, Paging, PolicyScope, Role, User,
};

use super::Done;
use crate::call::Call;
use crate::document::Document;
use crate::error::{Code, QueryError};
use crate::form::invalid;

pub(super) async fn summary(call: &Call<'_>, xml: &mut Document) -> Done {
    let grant = call.grant_account(Action::GetAccountSummary)?;
    let counts = call.identity.summary(&grant).await?;
    xml.within("SummaryMap", |xml| {
        for (name, count) in counts {
            xml.within("entry", |xml| {
                xml.text("key", name).plain("value", count);
            });
        }
    });
    Ok(())
}

/// What details are of, in the order they are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    User,
    Group,
    Role,
    Local,
    Aws,
}

const SECTIONS: [(Section, &str); 5] = [
    (Section::User, "User"),
    (Section::Group, "Group"),
    (Section::Role, "Role"),
    (Section::Local, "LocalManagedPolicy"),
    (Section::Aws, "AWSManagedPolicy"),
];

/// What was gathered so far.
#[derive(Default)]
struct Gathered {
    users: Document,
    groups: Document,
    roles: Document,
    policies: Document,
}

pub(super) async fn details(call: &Call<'_>, xml: &mut Document) -> Done {
    let wanted = wanted(call)?;
    let paging = call.paging()?;
    let (mut at, mut marker) = position(paging.marker.as_deref())?;
    call.grant_account(Action::GetAccountAuthorizationDetails)?;
    let mut left = paging.items_max;
    let mut gathered = Gathered::default();
    while at < SECTIONS.len() && left > 0 {
        let (section, _) = SECTIONS[at];
        let mut next = None;
        if wanted.contains(&section) {
            let page = Paging { marker: marker.take(), items_max: left };
            let (count, more) = gather(call, section, &page, &mut gathered).await?;
            left -= count.min(left);
            next = more;
        }
        match next {
            Some(next) => {
                marker = Some(next);
                break;
            }
            None => at += 1,
        }
    }
    let rest = SECTIONS[at.min(SECTIONS.len())..].iter();
    let has_more = rest.clone().any(|(section, _)| wanted.contains(section));
    xml.piece("UserDetailList", gathered.users)
        .piece("GroupDetailList", gathered.groups)
        .piece("RoleDetailList", gathered.roles)
        .piece("Policies", gathered.policies)
        .plain("IsTruncated", has_more);
    if has_more {
        xml.text("Marker", &format!("{at}.{}", marker.unwrap_or_default()));
    }
    Ok(())
}

fn wanted(call: &Call<'_>) -> Result<Vec<Section>, QueryError> {
    let Some(names) = call.parameters.list("Filter")?.filter(|names| !names.is_empty()) else {
        return Ok(SECTIONS.iter().map(|(section, _)| *section).collect());
    };
    let of_name = |name: String| {
        let found = SECTIONS.iter().find(|(_, known)| *known == name);
        found.map(|(section, _)| *section).ok_or_else(|| {
            let what = "Member must satisfy enum value set: \
                        [User, Role, Group, LocalManagedPolicy, AWSManagedPolicy]";
            invalid("Filter", what)
        })
    };
    names.into_iter().map(of_name).collect()
}

/// In which section a list goes on, and after what.
fn position(marker: Option<&str>) -> Result<(usize, Option<String>), QueryError> {
    let Some(marker) = marker else {
        return Ok((0, None));
    };
    let wrong = || QueryError::new(Code::ValidationError, "Invalid Marker.");
    let (section, inner) = marker.split_once('.').ok_or_else(wrong)?;
    let at = section.parse().ok().filter(|at| *at < SECTIONS.len()).ok_or_else(wrong)?;
    Ok((at, Some(inner.to_owned()).filter(|inner| !inner.is_empty())))
}

/// Adds a piece of a section; how many entries it had, and where it goes on.
async fn gather(
    call: &Call<'_>,
    section: Section,
    paging: &Paging,
    gathered: &mut Gathered,
) -> Result<(usize, Option<String>), QueryError> {
    let identity = call.identity;
    let list = |action| call.grant_part(action, Scope::Account, "*");
    match section {
        Section::User => {
            let page = identity.list_users(&list(Action::ListUsers)?, "/", paging).await?;
            for user in &page.items {
                user_details(call, user, &mut gathered.users).await?;
            }
            Ok((page.items.len(), page.next))
        }
        Section::Group => {
            let page = identity.list_groups(&list(Action::ListGroups)?, "/", paging).await?;
            for group in &page.items {
                group_details(call, group, &mut gathered.groups).await?;
            }
            Ok((page.items.len(), page.next))
        }
        Section::Role => {
            let page = identity.list_roles(&list(Action::ListRoles)?, "/", paging).await?;
            for role in &page.items {
                role_details(call, role, &mut gathered.roles).await?;
            }
            Ok((page.items.len(), page.next))
        }
        Section::Local | Section::Aws => {
            let scope = match section {
                Section::Local => PolicyScope::Local,
                _ => PolicyScope::Aws,
            };
            let request = ListPolicies {
                scope,
                path_prefix: "/".to_owned(),
                paging: paging.clone(),
                // AWS gives those of its own that are attached.
                only_used: section == Section::Aws,
                used: None,
            };
            let page: Page<ManagedPolicy> =
                identity.list_policies(&list(Action::ListPolicies)?, &request).await?;
            for policy in &page.items {
                policy_details(call, policy, &mut gathered.policies).await?;
            }
            Ok((page.items.len(), page.next))
        }
    }
}

/// What the policies of an entity are asked with.
struct Asked {
    kind: Kind,
    scope: Scope,
    list_inline: Action,
    inline: Action,
    list_attached: Action,
    list: &'static str,
}

const OF_USER: Asked = Asked {
    kind: Kind::User,
    scope: Scope::User,
    list_inline: Action::ListUserPolicies,
    inline: Action::GetUserPolicy,
    list_attached: Action::ListAttachedUserPolicies,
    list: "UserPolicyList",
};
const OF_GROUP: Asked = Asked {
    kind: Kind::Group,
    scope: Scope::Group,
    list_inline: Action::ListGroupPolicies,
    inline: Action::GetGroupPolicy,
    list_attached: Action::ListAttachedGroupPolicies,
    list: "GroupPolicyList",
};
const OF_ROLE: Asked = Asked {
    kind: Kind::Role,
    scope: Scope::Role,
    list_inline: Action::ListRolePolicies,
    inline: Action::GetRolePolicy,
    list_attached: Action::ListAttachedRolePolicies,
    list: "RolePolicyList",
};

/// The policies of an entity, inline and attached.
async fn policies_of(
    call: &Call<'_>,
    asked: &Asked,
    name: &str,
    arn: &str,
    xml: &mut Document,
) -> Done {
    let part = |action| -> Result<Grant, QueryError> { call.grant_part(action, asked.scope, arn) };
    let (identity, all) = (call.identity, Paging::most());
    let names =
        identity.list_inline(&part(asked.list_inline)?, asked.kind, name, &all).await?.items;
    xml.open(asked.list);
    for policy in names {
        let document = identity.inline(&part(asked.inline)?, asked.kind, name, &policy).await?;
        xml.within("member", |xml| {
            xml.text("PolicyName", &policy).policy("PolicyDocument", &document);
        });
    }
    xml.close();
    let grant = part(asked.list_attached)?;
    let attached = identity.list_attached(&grant, asked.kind, name, "/", &all).await?;
    xml.attached("AttachedManagedPolicies", &attached.items);
    Ok(())
}

async fn user_details(call: &Call<'_>, user: &User, xml: &mut Document) -> Done {
    xml.open("member");
    xml.user(user, true);
    policies_of(call, &OF_USER, &user.name, &user.arn, xml).await?;
    let grant = call.grant_part(Action::ListGroupsForUser, Scope::User, &user.arn)?;
    let groups = call.identity.groups_of_user(&grant, &user.name, &Paging::most()).await?;
    xml.texts("GroupList", groups.items.iter().map(|group| group.name.as_str()));
    xml.close();
    Ok(())
}

async fn group_details(call: &Call<'_>, group: &Group, xml: &mut Document) -> Done {
    xml.open("member");
    xml.group(group);
    policies_of(call, &OF_GROUP, &group.name, &group.arn, xml).await?;
    xml.close();
    Ok(())
}

async fn role_details(call: &Call<'_>, role: &Role, xml: &mut Document) -> Done {
    xml.open("member");
    xml.role(role, true);
    xml.texts("InstanceProfileList", std::iter::empty::<&str>());
    policies_of(call, &OF_ROLE, &role.name, &role.arn, xml).await?;
    xml.close();
    Ok(())
}

async fn policy_details(call: &Call<'_>, policy: &ManagedPolicy, xml: &mut Document) -> Done {
    xml.open("member");
    xml.managed(policy, false);
    let grant = call.grant_part(Action::ListPolicyVersions, Scope::Policy, &policy.arn)?;
    let versions = call.identity.list_policy_versions(&grant, &policy.arn, &Paging::most()).await?;
    xml.members("PolicyVersionList", &versions.items, |xml, version| xml.version(version, true));
    xml.close();
    Ok(())
}

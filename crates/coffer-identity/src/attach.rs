//! Inline policies, attached managed policies, and permissions boundaries of users, groups and
//! roles.

use coffer_catalog::Txn;
use coffer_iam::{Action, Grant};

use crate::builtin::Builtin;
use crate::documents;
use crate::entities::{find, not_an_arn, put, subject};
use crate::error::{Error, Result};
use crate::form::{ATTACHED_MAX, check_policy_name, document_chars, exceeded, inline_chars_max};
use crate::identity::Identity;
use crate::ids::{AccountId, Kind, parse_arn};
use crate::paging::{Page, Paging};
use crate::rows::entity::EntityRow;
use crate::rows::keys::{self, Use};
use crate::rows::{HERE, Rows};

/// A managed policy where it is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedPolicy {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
}

/// One of three actions, by the kind of the entity. Other kinds have no policies: asking for them
/// is a defect of the caller.
fn by_kind(kind: Kind, user: Action, group: Action, role: Action) -> Action {
    match kind {
        Kind::User => user,
        Kind::Group => group,
        Kind::Role => role,
        Kind::Policy | Kind::Provider => panic!("a {} has no policies", kind.in_arn()),
    }
}

/// The managed policy of this ARN, which the account may use.
fn usable(rows: &impl Rows, account: AccountId, arn: &str) -> Result<()> {
    if Builtin::by_arn(arn).is_some() {
        return Ok(());
    }
    let missing =
        || Error::NoSuchEntity(format!("Policy {arn} does not exist or is not attachable."));
    match parse_arn(arn).ok_or_else(|| not_an_arn(arn))? {
        (Some(found), Kind::Policy, _, name) if found == account => {
            let row = find(rows, account, Kind::Policy, name)?.ok_or_else(missing)?;
            if row.arn() == arn { Ok(()) } else { Err(missing()) }
        }
        _ => Err(missing()),
    }
}

/// Whether the policy may be a boundary in this account.
pub(crate) fn check_boundary(rows: &impl Rows, account: AccountId, arn: &str) -> Result<()> {
    usable(rows, account, arn)
}

/// Attaches a policy to an entity, in the entity alone and the row that says so.
pub(crate) fn attach(txn: &mut Txn<'_>, row: &mut EntityRow, arn: &str) -> Result<()> {
    usable(txn, row.account, arn)?;
    if row.attached.iter().any(|attached| attached == arn) {
        return Ok(());
    }
    if row.attached.len() >= ATTACHED_MAX {
        let quota = match row.kind() {
            Kind::User => "PoliciesPerUser",
            Kind::Group => "PoliciesPerGroup",
            _ => "PoliciesPerRole",
        };
        return Err(exceeded(quota, ATTACHED_MAX));
    }
    row.attached.push(arn.to_owned());
    txn.put(&keys::used_by(row.account, arn, Use::Attached, &row.id), HERE);
    Ok(())
}

fn no_such_inline(policy: &str, row: &EntityRow) -> Error {
    let kind = row.kind().in_arn();
    Error::NoSuchEntity(format!("The {kind} policy with name {policy} cannot be found."))
}

impl Identity {
    /// Puts an inline policy into a user, group or role, in the place of the one of that name.
    pub async fn put_inline(
        &self,
        grant: &Grant,
        kind: Kind,
        name: &str,
        policy: &str,
        document: String,
    ) -> Result<()> {
        let action =
            by_kind(kind, Action::PutUserPolicy, Action::PutGroupPolicy, Action::PutRolePolicy);
        let subject = subject(grant, action)?;
        check_policy_name(policy)?;
        documents::identity(&document)?;
        let (name, policy) = (name.to_owned(), policy.to_owned());
        self.change(subject.account, move |txn| {
            let mut row = subject.entity(txn, kind, &name)?;
            match row.inline.binary_search_by(|(known, _)| known.as_str().cmp(&policy)) {
                Ok(at) => row.inline[at].1.clone_from(&document),
                Err(at) => row.inline.insert(at, (policy.clone(), document.clone())),
            }
            let chars: usize = row.inline.iter().map(|(_, text)| document_chars(text)).sum();
            let max = inline_chars_max(kind);
            if chars > max {
                return Err(Error::LimitExceeded(format!(
                    "Maximum policy size of {max} bytes exceeded for {} {}",
                    kind.in_arn(),
                    row.name
                )));
            }
            put(txn, &row);
            Ok(())
        })
        .await
    }

    /// The document of an inline policy.
    pub async fn inline(
        &self,
        grant: &Grant,
        kind: Kind,
        name: &str,
        policy: &str,
    ) -> Result<String> {
        let action =
            by_kind(kind, Action::GetUserPolicy, Action::GetGroupPolicy, Action::GetRolePolicy);
        let row = subject(grant, action)?.entity(&self.snapshot(), kind, name)?;
        let found = row.inline.iter().find(|(known, _)| known == policy);
        found.map(|(_, document)| document.clone()).ok_or_else(|| no_such_inline(policy, &row))
    }

    /// Removes an inline policy.
    pub async fn delete_inline(
        &self,
        grant: &Grant,
        kind: Kind,
        name: &str,
        policy: &str,
    ) -> Result<()> {
        let action = by_kind(
            kind,
            Action::DeleteUserPolicy,
            Action::DeleteGroupPolicy,
            Action::DeleteRolePolicy,
        );
        let subject = subject(grant, action)?;
        let (name, policy) = (name.to_owned(), policy.to_owned());
        self.change(subject.account, move |txn| {
            let mut row = subject.entity(txn, kind, &name)?;
            let Some(at) = row.inline.iter().position(|(known, _)| *known == policy) else {
                return Err(no_such_inline(&policy, &row));
            };
            row.inline.remove(at);
            put(txn, &row);
            Ok(())
        })
        .await
    }

    /// The names of the inline policies, in their order.
    pub async fn list_inline(
        &self,
        grant: &Grant,
        kind: Kind,
        name: &str,
        paging: &Paging,
    ) -> Result<Page<String>> {
        let action = by_kind(
            kind,
            Action::ListUserPolicies,
            Action::ListGroupPolicies,
            Action::ListRolePolicies,
        );
        let row = subject(grant, action)?.entity(&self.snapshot(), kind, name)?;
        paging.piece(row.inline.into_iter().map(|(name, _)| name), Clone::clone)
    }

    /// Attaches a managed policy; one that is attached already stays so.
    pub async fn attach_policy(
        &self,
        grant: &Grant,
        kind: Kind,
        name: &str,
        policy_arn: &str,
    ) -> Result<()> {
        let action = by_kind(
            kind,
            Action::AttachUserPolicy,
            Action::AttachGroupPolicy,
            Action::AttachRolePolicy,
        );
        let subject = subject(grant, action)?;
        let (name, arn) = (name.to_owned(), policy_arn.to_owned());
        self.change(subject.account, move |txn| {
            let mut row = subject.entity(txn, kind, &name)?;
            attach(txn, &mut row, &arn)?;
            put(txn, &row);
            Ok(())
        })
        .await
    }

    /// Detaches a managed policy.
    pub async fn detach_policy(
        &self,
        grant: &Grant,
        kind: Kind,
        name: &str,
        policy_arn: &str,
    ) -> Result<()> {
        let action = by_kind(
            kind,
            Action::DetachUserPolicy,
            Action::DetachGroupPolicy,
            Action::DetachRolePolicy,
        );
        let subject = subject(grant, action)?;
        let (name, arn) = (name.to_owned(), policy_arn.to_owned());
        self.change(subject.account, move |txn| {
            let mut row = subject.entity(txn, kind, &name)?;
            let Some(at) = row.attached.iter().position(|attached| *attached == arn) else {
                return Err(Error::NoSuchEntity(format!("Policy {arn} was not found.")));
            };
            row.attached.remove(at);
            put(txn, &row);
            txn.delete(&keys::used_by(row.account, &arn, Use::Attached, &row.id));
            Ok(())
        })
        .await
    }

    /// The managed policies that are attached and whose path begins with `path_prefix`, in the
    /// order of their ARNs.
    pub async fn list_attached(
        &self,
        grant: &Grant,
        kind: Kind,
        name: &str,
        path_prefix: &str,
        paging: &Paging,
    ) -> Result<Page<AttachedPolicy>> {
        let action = by_kind(
            kind,
            Action::ListAttachedUserPolicies,
            Action::ListAttachedGroupPolicies,
            Action::ListAttachedRolePolicies,
        );
        let row = subject(grant, action)?.entity(&self.snapshot(), kind, name)?;
        let mut policies = Vec::new();
        for arn in row.attached {
            let Some((_, Kind::Policy, path, name)) = parse_arn(&arn) else {
                return Err(Error::Corrupt(format!("{arn} is attached to {name}")));
            };
            if path.starts_with(path_prefix) {
                policies.push(AttachedPolicy { name: name.to_owned(), arn });
            }
        }
        policies.sort_by(|a, b| a.arn.cmp(&b.arn));
        paging.piece(policies, |policy| policy.arn.clone())
    }

    /// Makes a managed policy the boundary of a user or role.
    pub async fn put_boundary(
        &self,
        grant: &Grant,
        kind: Kind,
        name: &str,
        policy_arn: &str,
    ) -> Result<()> {
        let action = boundary_action(
            kind,
            Action::PutUserPermissionsBoundary,
            Action::PutRolePermissionsBoundary,
        );
        self.set_boundary(grant, action, kind, name, Some(policy_arn.to_owned())).await
    }

    /// Takes the boundary of a user or role away.
    pub async fn delete_boundary(&self, grant: &Grant, kind: Kind, name: &str) -> Result<()> {
        let action = boundary_action(
            kind,
            Action::DeleteUserPermissionsBoundary,
            Action::DeleteRolePermissionsBoundary,
        );
        self.set_boundary(grant, action, kind, name, None).await
    }

    async fn set_boundary(
        &self,
        grant: &Grant,
        action: Action,
        kind: Kind,
        name: &str,
        boundary: Option<String>,
    ) -> Result<()> {
        let subject = subject(grant, action)?;
        let name = name.to_owned();
        self.change(subject.account, move |txn| {
            let mut row = subject.entity(txn, kind, &name)?;
            if let Some(before) = row.boundary.take() {
                txn.delete(&keys::used_by(row.account, &before, Use::Boundary, &row.id));
            } else if boundary.is_none() {
                let what = format!("{} {name} has no permissions boundary.", kind.in_arn());
                return Err(Error::NoSuchEntity(what));
            }
            if let Some(arn) = &boundary {
                check_boundary(txn, row.account, arn)?;
                txn.put(&keys::used_by(row.account, arn, Use::Boundary, &row.id), HERE);
            }
            row.boundary.clone_from(&boundary);
            put(txn, &row);
            Ok(())
        })
        .await
    }
}

fn boundary_action(kind: Kind, user: Action, role: Action) -> Action {
    match kind {
        Kind::User => user,
        Kind::Role => role,
        _ => panic!("a {} has no boundary", kind.in_arn()),
    }
}

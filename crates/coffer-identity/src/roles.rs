//! Roles, and who may take them on.

use std::sync::Arc;

use coffer_base::Timestamp;
use coffer_iam::{Action, Grant, Policy};

use crate::attach::check_boundary;
use crate::documents;
use crate::entities::{self, find, insert, put, remove, subject};
use crate::error::{Error, Result};
use crate::form::{check_description, check_name, check_session_secs_max, check_tags};
use crate::identity::Identity;
use crate::ids::{AccountId, Kind, arn, parse_arn, random_id};
use crate::paging::{Page, Paging};
use crate::rows::entity::{Detail, EntityRow};
use crate::users::{not_a, path_or_root};

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its account.
    pub account: AccountId,
    /// Its unique id: `AROA…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Its ARN.
    pub arn: String,
    /// When it was made.
    pub created: Timestamp,
    /// Who may take it on, as it was given.
    pub trust: String,
    /// What it is for.
    pub description: String,
    /// How long a session may last, in seconds.
    pub session_secs_max: u32,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// The ARN of its permissions boundary.
    pub boundary: Option<String>,
}

impl Role {
    pub(crate) fn of(row: &EntityRow) -> Result<Role> {
        let Detail::Role { description, trust, session_secs_max } = &row.detail else {
            return Err(not_a(row, Kind::Role));
        };
        Ok(Role {
            account: row.account,
            id: row.id.clone(),
            name: row.name.clone(),
            path: row.path.clone(),
            arn: row.arn(),
            created: row.created,
            trust: trust.clone(),
            description: description.clone(),
            session_secs_max: *session_secs_max,
            tags: row.tags.clone(),
            boundary: row.boundary.clone(),
        })
    }
}

/// A role to be made.
#[derive(Clone, Debug, Default)]
pub struct CreateRole {
    /// Its name.
    pub name: String,
    /// Its path; empty: `/`.
    pub path: String,
    /// Who may take it on.
    pub trust: String,
    /// What it is for.
    pub description: String,
    /// How long a session may last, in seconds; `None`: an hour.
    pub session_secs_max: Option<u32>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// The ARN of its permissions boundary.
    pub boundary: Option<String>,
}

/// How long sessions may last unless a role says otherwise.
const SESSION_SECS_MAX: u32 = 3600;

impl Identity {
    /// Makes a role.
    pub async fn create_role(&self, grant: &Grant, request: CreateRole) -> Result<Role> {
        let subject = subject(grant, Action::CreateRole)?;
        let CreateRole { name, path, trust, description, session_secs_max, tags, boundary } =
            request;
        check_name(Kind::Role, &name)?;
        check_tags(&tags)?;
        check_description(&description)?;
        documents::trust(&trust)?;
        let session_secs_max = session_secs_max.unwrap_or(SESSION_SECS_MAX);
        check_session_secs_max(session_secs_max)?;
        let path = path_or_root(&path)?.to_owned();
        subject.check(&arn(subject.account, Kind::Role, &path, &name))?;
        let row = EntityRow {
            account: subject.account,
            id: random_id(self.rng(), Kind::Role),
            name,
            path,
            created: self.now(),
            tags,
            inline: Vec::new(),
            attached: Vec::new(),
            boundary,
            detail: Detail::Role { description, trust, session_secs_max },
        };
        let role = Role::of(&row)?;
        self.change(subject.account, move |txn| {
            if let Some(boundary) = &row.boundary {
                check_boundary(txn, row.account, boundary)?;
            }
            insert(txn, &row)
        })
        .await?;
        Ok(role)
    }

    /// A role.
    pub async fn role(&self, grant: &Grant, name: &str) -> Result<Role> {
        let subject = subject(grant, Action::GetRole)?;
        Role::of(&subject.entity(&self.snapshot(), Kind::Role, name)?)
    }

    /// The roles whose path begins with `path_prefix`, in the order of their names.
    pub async fn list_roles(
        &self,
        grant: &Grant,
        path_prefix: &str,
        paging: &Paging,
    ) -> Result<Page<Role>> {
        let subject = subject(grant, Action::ListRoles)?;
        entities::list(&self.snapshot(), subject.account, Kind::Role, paging, |row| {
            row.path.starts_with(path_prefix).then(|| Role::of(row)).transpose()
        })
    }

    /// Changes what a role is for, or how long its sessions may last. By
    /// [`Action::UpdateRoleDescription`] the description alone.
    pub async fn update_role(
        &self,
        grant: &Grant,
        name: &str,
        new_description: Option<String>,
        new_session_secs_max: Option<u32>,
    ) -> Result<Role> {
        let only_description = grant.action() == Action::UpdateRoleDescription;
        assert!(!only_description || new_session_secs_max.is_none(), "the description alone");
        let action =
            if only_description { Action::UpdateRoleDescription } else { Action::UpdateRole };
        new_description.iter().try_for_each(|text| check_description(text))?;
        new_session_secs_max.iter().try_for_each(|secs| check_session_secs_max(*secs))?;
        self.change_role(grant, action, name, move |new, _, secs| {
            if let Some(description) = &new_description {
                new.clone_from(description);
            }
            *secs = new_session_secs_max.unwrap_or(*secs);
        })
        .await
    }

    /// Changes who may take a role on. Sessions that are under way go on.
    pub async fn update_trust(&self, grant: &Grant, name: &str, document: String) -> Result<()> {
        documents::trust(&document)?;
        self.change_role(grant, Action::UpdateAssumeRolePolicy, name, move |_, trust, _| {
            trust.clone_from(&document);
        })
        .await
        .map(drop)
    }

    async fn change_role(
        &self,
        grant: &Grant,
        action: Action,
        name: &str,
        change: impl Fn(&mut String, &mut String, &mut u32) + Send + Sync + 'static,
    ) -> Result<Role> {
        let subject = subject(grant, action)?;
        let name = name.to_owned();
        self.change(subject.account, move |txn| {
            let mut row = subject.entity(txn, Kind::Role, &name)?;
            let Detail::Role { description, trust, session_secs_max } = &mut row.detail else {
                return Err(not_a(&row, Kind::Role));
            };
            change(description, trust, session_secs_max);
            put(txn, &row);
            Role::of(&row)
        })
        .await
    }

    /// Removes a role without policies. Its sessions end at once.
    pub async fn delete_role(&self, grant: &Grant, name: &str) -> Result<()> {
        let subject = subject(grant, Action::DeleteRole)?;
        let name = name.to_owned();
        self.change(subject.account, move |txn| {
            let row = subject.entity(txn, Kind::Role, &name)?;
            if !row.attached.is_empty() {
                let what = "Cannot delete entity, must detach all policies first.";
                return Err(Error::DeleteConflict(what.to_owned()));
            }
            if !row.inline.is_empty() {
                let what = "Cannot delete entity, must delete policies first.";
                return Err(Error::DeleteConflict(what.to_owned()));
            }
            remove(txn, &row)
        })
        .await
    }

    /// The role of an ARN and its trust policy, for asking whether somebody may take it on.
    /// `None` if there is no such role.
    pub fn role_by_arn(&self, role_arn: &str) -> Result<Option<(Role, Arc<Policy>)>> {
        let Some((Some(account), Kind::Role, _, name)) = parse_arn(role_arn) else {
            return Ok(None);
        };
        let Some(row) = find(&self.snapshot(), account, Kind::Role, name)? else {
            return Ok(None);
        };
        if row.arn() != role_arn {
            return Ok(None);
        }
        let role = Role::of(&row)?;
        let trust = documents::trust(&role.trust)
            .map_err(|error| Error::Corrupt(format!("the trust policy of {role_arn}: {error}")))?;
        Ok(Some((role, trust)))
    }
}

//! Users.

use coffer_base::Timestamp;
use coffer_iam::{Action, Grant};

use crate::attach::check_boundary;
use crate::entities::{self, insert, remove, rename, subject};
use crate::error::{Error, Result};
use crate::form::{check_name, check_path, check_tags};
use crate::identity::Identity;
use crate::ids::{AccountId, Kind, arn, random_id};
use crate::paging::{Page, Paging};
use crate::rows::entity::{Detail, EntityRow};

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its account.
    pub account: AccountId,
    /// Its unique id: `AIDA…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Its ARN.
    pub arn: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// The ARN of its permissions boundary.
    pub boundary: Option<String>,
    /// Whether its keys work: Coffer's own switch, beside the state of each key.
    pub enabled: bool,
}

impl User {
    pub(crate) fn of(row: &EntityRow) -> User {
        User {
            account: row.account,
            id: row.id.clone(),
            name: row.name.clone(),
            path: row.path.clone(),
            arn: row.arn(),
            created: row.created,
            tags: row.tags.clone(),
            boundary: row.boundary.clone(),
            enabled: matches!(row.detail, Detail::User { enabled: true, .. }),
        }
    }
}

/// A user to be made.
#[derive(Clone, Debug, Default)]
pub struct CreateUser {
    /// Its name.
    pub name: String,
    /// Its path; empty: `/`.
    pub path: String,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// The ARN of its permissions boundary.
    pub boundary: Option<String>,
}

/// `/` for a path that was not given.
pub(crate) fn path_or_root(path: &str) -> Result<&str> {
    let path = if path.is_empty() { "/" } else { path };
    check_path(path)?;
    Ok(path)
}

impl Identity {
    /// Makes a user.
    pub async fn create_user(&self, grant: &Grant, request: CreateUser) -> Result<User> {
        let subject = subject(grant, Action::CreateUser)?;
        let CreateUser { name, path, tags, boundary } = request;
        check_name(Kind::User, &name)?;
        check_tags(&tags)?;
        let path = path_or_root(&path)?.to_owned();
        subject.check(&arn(subject.account, Kind::User, &path, &name))?;
        let row = EntityRow {
            account: subject.account,
            id: random_id(self.rng(), Kind::User),
            name,
            path,
            created: self.now(),
            tags,
            inline: Vec::new(),
            attached: Vec::new(),
            boundary,
            detail: Detail::User { enabled: true, groups: Vec::new(), access_keys: Vec::new() },
        };
        let user = User::of(&row);
        self.change(subject.account, move |txn| {
            if let Some(boundary) = &row.boundary {
                check_boundary(txn, row.account, boundary)?;
            }
            insert(txn, &row)
        })
        .await?;
        Ok(user)
    }

    /// A user.
    pub async fn user(&self, grant: &Grant, name: &str) -> Result<User> {
        let subject = subject(grant, Action::GetUser)?;
        Ok(User::of(&subject.entity(&self.snapshot(), Kind::User, name)?))
    }

    /// The users whose path begins with `path_prefix`, in the order of their names.
    pub async fn list_users(
        &self,
        grant: &Grant,
        path_prefix: &str,
        paging: &Paging,
    ) -> Result<Page<User>> {
        let subject = subject(grant, Action::ListUsers)?;
        entities::list(&self.snapshot(), subject.account, Kind::User, paging, |row| {
            Ok(row.path.starts_with(path_prefix).then(|| User::of(row)))
        })
    }

    /// Gives a user another name or path. All that refers to the user goes on to.
    pub async fn update_user(
        &self,
        grant: &Grant,
        name: &str,
        new_name: Option<String>,
        new_path: Option<String>,
    ) -> Result<User> {
        let subject = subject(grant, Action::UpdateUser)?;
        new_name.iter().try_for_each(|name| check_name(Kind::User, name))?;
        new_path.iter().try_for_each(|path| check_path(path))?;
        let name = name.to_owned();
        self.change(subject.account, move |txn| {
            let row = subject.entity(txn, Kind::User, &name)?;
            let row = rename(txn, row, new_name.as_deref(), new_path.as_deref())?;
            Ok(User::of(&row))
        })
        .await
    }

    /// Removes a user that has nothing left: no keys, policies, groups.
    pub async fn delete_user(&self, grant: &Grant, name: &str) -> Result<()> {
        let subject = subject(grant, Action::DeleteUser)?;
        let name = name.to_owned();
        self.change(subject.account, move |txn| {
            let row = subject.entity(txn, Kind::User, &name)?;
            let Detail::User { groups, access_keys, .. } = &row.detail else {
                return Err(not_a(&row, Kind::User));
            };
            let conflict = |what: &str| {
                Err(Error::DeleteConflict(format!("Cannot delete entity, must {what} first.")))
            };
            if !groups.is_empty() {
                return conflict("remove users from group");
            }
            if !access_keys.is_empty() {
                return conflict("delete access keys");
            }
            if !row.attached.is_empty() {
                return conflict("detach all policies");
            }
            if !row.inline.is_empty() {
                return conflict("delete policies");
            }
            remove(txn, &row)
        })
        .await
    }

    /// Whose access key it is: the account, and the user unless it is the account's root. For
    /// asking whether something may be done to it.
    pub fn access_key_owner(&self, access_key: &str) -> Result<Option<(AccountId, Option<User>)>> {
        use crate::rows::{AccessKeyRow, Rows as _, keys};
        if !crate::form::is_access_key(access_key) {
            return Ok(None);
        }
        let snapshot = self.snapshot();
        let Some(row) = snapshot.row::<AccessKeyRow>(&keys::access_key(access_key))? else {
            return Ok(None);
        };
        let user = row.user.map(|id| entities::by_id(&snapshot, &id)).transpose()?;
        Ok(Some((row.account, user.as_ref().map(User::of))))
    }
}

/// A row that another row takes for something else.
pub(crate) fn not_a(row: &EntityRow, kind: Kind) -> Error {
    Error::Corrupt(format!("{} is taken for a {}", row.arn(), kind.in_arn()))
}

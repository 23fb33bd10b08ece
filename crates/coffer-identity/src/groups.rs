//! Groups, and who is in them.

use coffer_base::Timestamp;
use coffer_iam::{Action, Grant};

use crate::entities::{self, by_id, has_entries, insert, need, remove, rename, subject};
use crate::error::{Error, Result};
use crate::form::{GROUPS_PER_USER_MAX, check_name, check_path, exceeded};
use crate::identity::Identity;
use crate::ids::{AccountId, Kind, arn, random_id};
use crate::paging::{Page, Paging};
use crate::rows::entity::{Detail, EntityRow};
use crate::rows::{HERE, Rows, keys};
use crate::users::{User, not_a, path_or_root};

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its account.
    pub account: AccountId,
    /// Its unique id: `AGPA…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Its ARN.
    pub arn: String,
    /// When it was made.
    pub created: Timestamp,
}

impl Group {
    pub(crate) fn of(row: &EntityRow) -> Group {
        Group {
            account: row.account,
            id: row.id.clone(),
            name: row.name.clone(),
            path: row.path.clone(),
            arn: row.arn(),
            created: row.created,
        }
    }
}

/// The groups of a user.
pub(crate) fn groups_of(row: &mut EntityRow) -> Result<&mut Vec<String>> {
    if let Detail::User { .. } = row.detail {
        let Detail::User { groups, .. } = &mut row.detail else { unreachable!("just seen") };
        return Ok(groups);
    }
    Err(not_a(row, Kind::User))
}

impl Identity {
    /// Makes a group. An empty path is `/`.
    pub async fn create_group(&self, grant: &Grant, name: &str, path: &str) -> Result<Group> {
        let subject = subject(grant, Action::CreateGroup)?;
        check_name(Kind::Group, name)?;
        let path = path_or_root(path)?.to_owned();
        subject.check(&arn(subject.account, Kind::Group, &path, name))?;
        let row = EntityRow {
            account: subject.account,
            id: random_id(self.rng(), Kind::Group),
            name: name.to_owned(),
            path,
            created: self.now(),
            tags: Vec::new(),
            inline: Vec::new(),
            attached: Vec::new(),
            boundary: None,
            detail: Detail::Group,
        };
        let group = Group::of(&row);
        self.change(subject.account, move |txn| insert(txn, &row)).await?;
        Ok(group)
    }

    /// A group and its users, in an order of their own.
    pub async fn group(
        &self,
        grant: &Grant,
        name: &str,
        paging: &Paging,
    ) -> Result<(Group, Page<User>)> {
        let subject = subject(grant, Action::GetGroup)?;
        let snapshot = self.snapshot();
        let row = subject.entity(&snapshot, Kind::Group, name)?;
        let mut users = Vec::new();
        for (key, _) in snapshot.entries(&keys::members(&row.id), None, usize::MAX)? {
            let Some(keys::Parsed::Member { user, .. }) = keys::parse(&key) else {
                return Err(Error::Corrupt(format!("a member has the key {}", keys::show(&key))));
            };
            users.push(user);
        }
        let page = paging.piece(users, Clone::clone)?;
        let users = page.items.iter().map(|id| Ok(User::of(&by_id(&snapshot, id)?)));
        let page = Page { items: users.collect::<Result<_>>()?, next: page.next };
        Ok((Group::of(&row), page))
    }

    /// The groups whose path begins with `path_prefix`, in the order of their names.
    pub async fn list_groups(
        &self,
        grant: &Grant,
        path_prefix: &str,
        paging: &Paging,
    ) -> Result<Page<Group>> {
        let subject = subject(grant, Action::ListGroups)?;
        entities::list(&self.snapshot(), subject.account, Kind::Group, paging, |row| {
            Ok(row.path.starts_with(path_prefix).then(|| Group::of(row)))
        })
    }

    /// Gives a group another name or path.
    pub async fn update_group(
        &self,
        grant: &Grant,
        name: &str,
        new_name: Option<String>,
        new_path: Option<String>,
    ) -> Result<Group> {
        let subject = subject(grant, Action::UpdateGroup)?;
        new_name.iter().try_for_each(|name| check_name(Kind::Group, name))?;
        new_path.iter().try_for_each(|path| check_path(path))?;
        let name = name.to_owned();
        self.change(subject.account, move |txn| {
            let row = subject.entity(txn, Kind::Group, &name)?;
            let row = rename(txn, row, new_name.as_deref(), new_path.as_deref())?;
            Ok(Group::of(&row))
        })
        .await
    }

    /// Removes a group without users and policies.
    pub async fn delete_group(&self, grant: &Grant, name: &str) -> Result<()> {
        let subject = subject(grant, Action::DeleteGroup)?;
        let name = name.to_owned();
        self.change(subject.account, move |txn| {
            let row = subject.entity(txn, Kind::Group, &name)?;
            let conflict = |what: &str| {
                Err(Error::DeleteConflict(format!("Cannot delete entity, must {what} first.")))
            };
            if has_entries(txn, &keys::members(&row.id))? {
                return conflict("remove users from group");
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

    /// Puts a user into a group; one that is in it already stays there.
    pub async fn add_user_to_group(&self, grant: &Grant, group: &str, user: &str) -> Result<()> {
        let subject = subject(grant, Action::AddUserToGroup)?;
        let (group, user) = (group.to_owned(), user.to_owned());
        self.change(subject.account, move |txn| {
            let group = subject.entity(txn, Kind::Group, &group)?;
            let mut user = need(txn, subject.account, Kind::User, &user)?;
            let groups = groups_of(&mut user)?;
            if groups.contains(&group.id) {
                return Ok(());
            }
            if groups.len() >= GROUPS_PER_USER_MAX {
                return Err(exceeded("GroupsPerUser", GROUPS_PER_USER_MAX));
            }
            groups.push(group.id.clone());
            entities::put(txn, &user);
            txn.put(&keys::member(&group.id, &user.id), HERE);
            Ok(())
        })
        .await
    }

    /// Takes a user out of a group.
    pub async fn remove_user_from_group(
        &self,
        grant: &Grant,
        group: &str,
        user: &str,
    ) -> Result<()> {
        let subject = subject(grant, Action::RemoveUserFromGroup)?;
        let (group, user_name) = (group.to_owned(), user.to_owned());
        self.change(subject.account, move |txn| {
            let group = subject.entity(txn, Kind::Group, &group)?;
            let mut user = need(txn, subject.account, Kind::User, &user_name)?;
            let groups = groups_of(&mut user)?;
            let Some(at) = groups.iter().position(|id| *id == group.id) else {
                let what = format!("User {user_name} is not in group {}.", group.name);
                return Err(Error::NoSuchEntity(what));
            };
            groups.remove(at);
            entities::put(txn, &user);
            txn.delete(&keys::member(&group.id, &user.id));
            Ok(())
        })
        .await
    }

    /// The groups that a user is in, in the order of their names.
    pub async fn groups_of_user(
        &self,
        grant: &Grant,
        user: &str,
        paging: &Paging,
    ) -> Result<Page<Group>> {
        let subject = subject(grant, Action::ListGroupsForUser)?;
        let snapshot = self.snapshot();
        let mut row = subject.entity(&snapshot, Kind::User, user)?;
        let mut groups: Vec<Group> = groups_of(&mut row)?
            .iter()
            .map(|id| Ok(Group::of(&by_id(&snapshot, id)?)))
            .collect::<Result<_>>()?;
        let folded = |group: &Group| group.name.to_ascii_lowercase();
        groups.sort_by_key(folded);
        paging.piece(groups, folded)
    }
}

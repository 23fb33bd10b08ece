//! Managed policies and their versions. Those that come with Coffer are read like the account's
//! own, and changed by nobody.

use coffer_base::Timestamp;
use coffer_iam::{Action, Grant};

use crate::builtin::{BUILTINS, Builtin};
use crate::documents;
use crate::entities::{self, by_id, count_entries, has_entries, insert, put, remove, subject};
use crate::error::{Error, Result};
use crate::form::{
    MANAGED_CHARS_MAX, VERSIONS_MAX, check_description, check_name, check_tags, document_chars,
};
use crate::identity::Identity;
use crate::ids::{AccountId, Kind, arn, random_id};
use crate::paging::{Page, Paging, marker};
use crate::rows::entity::{Detail, EntityRow, VersionRow};
use crate::rows::keys::Use;
use crate::rows::{Rows, keys};
use crate::users::{not_a, path_or_root};

/// A managed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedPolicy {
    /// Its account; `None`: it comes with Coffer.
    pub account: Option<AccountId>,
    /// Its unique id: `ANPA…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its path.
    pub path: String,
    /// Its ARN.
    pub arn: String,
    /// What it is for.
    pub description: String,
    /// The version that counts: `v1`.
    pub default_version: String,
    /// To how many of the account it is attached.
    pub attached: u64,
    /// Of how many of the account it is the boundary.
    pub boundary_of: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When its last version was made.
    pub updated: Timestamp,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// A version of a managed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    /// `v1`, `v2`, …
    pub id: String,
    /// What it says.
    pub document: String,
    /// Whether it is the one that counts.
    pub is_default: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// A managed policy to be made.
#[derive(Clone, Debug, Default)]
pub struct CreatePolicy {
    /// Its name.
    pub name: String,
    /// Its path; empty: `/`.
    pub path: String,
    /// What it is for.
    pub description: String,
    /// What it says.
    pub document: String,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// Whose policies are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyScope {
    /// All.
    #[default]
    All,
    /// Those that come with Coffer.
    Aws,
    /// The account's own.
    Local,
}

/// Which policies are listed.
#[derive(Clone, Debug, Default)]
pub struct ListPolicies {
    /// Whose.
    pub scope: PolicyScope,
    /// Only those that are attached or a boundary.
    pub only_used: bool,
    /// Only those used so.
    pub used: Option<Use>,
    /// How their paths begin.
    pub path_prefix: String,
    /// Which piece of them.
    pub paging: Paging,
}

/// Who uses a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyUser {
    /// What kind of entity.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its unique id.
    pub id: String,
}

fn built_in(builtin: &Builtin, rows: &impl Rows, account: AccountId) -> Result<ManagedPolicy> {
    let arn = builtin.arn();
    Ok(ManagedPolicy {
        account: None,
        id: builtin.id(),
        name: builtin.name.to_owned(),
        path: builtin.path.to_owned(),
        description: builtin.description.to_owned(),
        default_version: "v1".to_owned(),
        attached: count_entries(rows, &keys::uses(account, &arn, Use::Attached))?,
        boundary_of: count_entries(rows, &keys::uses(account, &arn, Use::Boundary))?,
        arn,
        created: Timestamp(0),
        updated: Timestamp(0),
        tags: Vec::new(),
    })
}

fn own(row: &EntityRow, rows: &impl Rows) -> Result<ManagedPolicy> {
    let Detail::Policy { description, default, updated, .. } = &row.detail else {
        return Err(not_a(row, Kind::Policy));
    };
    let arn = row.arn();
    Ok(ManagedPolicy {
        account: Some(row.account),
        id: row.id.clone(),
        name: row.name.clone(),
        path: row.path.clone(),
        description: description.clone(),
        default_version: format!("v{default}"),
        attached: count_entries(rows, &keys::uses(row.account, &arn, Use::Attached))?,
        boundary_of: count_entries(rows, &keys::uses(row.account, &arn, Use::Boundary))?,
        arn,
        created: row.created,
        updated: *updated,
        tags: row.tags.clone(),
    })
}

impl PolicyVersion {
    fn of(version: &VersionRow, default: u32) -> PolicyVersion {
        PolicyVersion {
            id: format!("v{}", version.number),
            document: version.document.clone(),
            is_default: version.number == default,
            created: version.created,
        }
    }

    fn of_builtin(builtin: &Builtin) -> PolicyVersion {
        PolicyVersion {
            id: "v1".to_owned(),
            document: builtin.document.to_owned(),
            is_default: true,
            created: Timestamp(0),
        }
    }
}

/// The document that counts.
pub(crate) fn default_document(row: &EntityRow) -> Result<&str> {
    let Detail::Policy { versions, default, .. } = &row.detail else {
        return Err(not_a(row, Kind::Policy));
    };
    let version = versions.iter().find(|version| version.number == *default);
    let lost = || Error::Corrupt(format!("{} has no version v{default}", row.arn()));
    version.map(|version| version.document.as_str()).ok_or_else(lost)
}

fn check_document(document: &str) -> Result<()> {
    documents::identity(document)?;
    if document_chars(document) > MANAGED_CHARS_MAX {
        return Err(crate::form::exceeded("PolicySize", MANAGED_CHARS_MAX));
    }
    Ok(())
}

fn version_number(id: &str) -> Result<u32> {
    let number = id.strip_prefix('v').and_then(|digits| digits.parse::<u32>().ok());
    number.filter(|number| format!("v{number}") == id).ok_or_else(|| {
        crate::form::invalid(
            "versionId",
            "Member must satisfy regular expression pattern: v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?",
        )
    })
}

fn no_such_version(arn: &str, id: &str) -> Error {
    Error::NoSuchEntity(format!("Policy {arn} version {id} does not exist or is not attachable."))
}

/// Refuses to change what comes with Coffer.
fn check_changeable(arn: &str) -> Result<()> {
    match Builtin::by_arn(arn) {
        Some(_) => Err(Error::UnmodifiableEntity(format!("Cannot update policy {arn}."))),
        None => Ok(()),
    }
}

impl Identity {
    /// Makes a managed policy.
    pub async fn create_policy(
        &self,
        grant: &Grant,
        request: CreatePolicy,
    ) -> Result<ManagedPolicy> {
        let subject = subject(grant, Action::CreatePolicy)?;
        let CreatePolicy { name, path, description, document, tags } = request;
        check_name(Kind::Policy, &name)?;
        check_tags(&tags)?;
        check_description(&description)?;
        check_document(&document)?;
        let path = path_or_root(&path)?.to_owned();
        subject.check(&arn(subject.account, Kind::Policy, &path, &name))?;
        let now = self.now();
        let row = EntityRow {
            account: subject.account,
            id: random_id(self.rng(), Kind::Policy),
            name,
            path,
            created: now,
            tags,
            inline: Vec::new(),
            attached: Vec::new(),
            boundary: None,
            detail: Detail::Policy {
                description,
                versions: vec![VersionRow { number: 1, document, created: now }],
                default: 1,
                next: 2,
                updated: now,
            },
        };
        self.change(subject.account, move |txn| {
            insert(txn, &row)?;
            own(&row, txn)
        })
        .await
    }

    /// A managed policy.
    pub async fn policy(&self, grant: &Grant, policy_arn: &str) -> Result<ManagedPolicy> {
        let subject = subject(grant, Action::GetPolicy)?;
        let snapshot = self.snapshot();
        if let Some(builtin) = Builtin::by_arn(policy_arn) {
            subject.check(policy_arn)?;
            return built_in(builtin, &snapshot, subject.account);
        }
        own(&subject.by_arn(&snapshot, Kind::Policy, policy_arn)?, &snapshot)
    }

    /// Managed policies: those that come with Coffer, then the account's own, each in the order of
    /// their names.
    pub async fn list_policies(
        &self,
        grant: &Grant,
        request: &ListPolicies,
    ) -> Result<Page<ManagedPolicy>> {
        let account = subject(grant, Action::ListPolicies)?.account;
        let ListPolicies { scope, only_used, used, path_prefix, paging } = request;
        let wanted = |policy: &ManagedPolicy| {
            let is_used = match used {
                None => policy.attached + policy.boundary_of > 0,
                Some(Use::Attached) => policy.attached > 0,
                Some(Use::Boundary) => policy.boundary_of > 0,
            };
            policy.path.starts_with(path_prefix) && (is_used || !only_used && used.is_none())
        };
        let snapshot = self.snapshot();
        // The marker's first letter says which of the two lists goes on.
        let after = paging.after()?;
        let (in_own, place) = match after.as_deref().map(|place| place.split_at_checked(1)) {
            None => (false, None),
            Some(Some(("a", place))) => (false, Some(marker(place))),
            Some(Some(("o", place))) => (true, Some(marker(place)).filter(|_| !place.is_empty())),
            Some(_) => return Err(Error::Validation("Invalid Marker.".to_owned())),
        };
        let items_max = paging.items_max;
        let of_list = |list: &str, next: Option<String>| -> Result<Option<String>> {
            let Some(next) = next else { return Ok(None) };
            let place = Paging { marker: Some(next), items_max }.after()?.unwrap_or_default();
            Ok(Some(marker(&format!("{list}{place}"))))
        };
        let mut items = Vec::new();
        if !in_own && *scope != PolicyScope::Local {
            let all: Vec<ManagedPolicy> = BUILTINS
                .iter()
                .map(|builtin| built_in(builtin, &snapshot, account))
                .collect::<Result<_>>()?;
            let here = Paging { marker: place.clone(), items_max };
            let all = all.into_iter().filter(wanted);
            let page = here.piece(all, |policy| policy.name.to_ascii_lowercase())?;
            items = page.items;
            if page.next.is_some() || *scope == PolicyScope::Aws {
                return Ok(Page { items, next: of_list("a", page.next)? });
            }
        }
        if *scope == PolicyScope::Aws {
            return Ok(Page { items, next: None });
        }
        let left = items_max - items.len();
        if left == 0 {
            return Ok(Page { items, next: Some(marker("o")) });
        }
        let here = Paging { marker: place.filter(|_| in_own), items_max: left };
        let page = entities::list(&snapshot, account, Kind::Policy, &here, |row| {
            let policy = own(row, &snapshot)?;
            Ok(wanted(&policy).then_some(policy))
        })?;
        items.extend(page.items);
        Ok(Page { items, next: of_list("o", page.next)? })
    }

    /// Removes a managed policy that nobody uses and that has one version.
    pub async fn delete_policy(&self, grant: &Grant, policy_arn: &str) -> Result<()> {
        let subject = subject(grant, Action::DeletePolicy)?;
        check_changeable(policy_arn)?;
        let arn = policy_arn.to_owned();
        self.change(subject.account, move |txn| {
            let row = subject.by_arn(txn, Kind::Policy, &arn)?;
            for how in [Use::Attached, Use::Boundary] {
                if has_entries(txn, &keys::uses(row.account, &arn, how))? {
                    return Err(Error::DeleteConflict(
                        "Cannot delete a policy attached to entities.".to_owned(),
                    ));
                }
            }
            if matches!(&row.detail, Detail::Policy { versions, .. } if versions.len() > 1) {
                return Err(Error::DeleteConflict(
                    "This policy has more than one version. Before you delete a policy, you must \
                     delete the policy's versions. The default version is deleted with the policy."
                        .to_owned(),
                ));
            }
            remove(txn, &row)
        })
        .await
    }

    /// Adds a version to a managed policy.
    pub async fn create_policy_version(
        &self,
        grant: &Grant,
        policy_arn: &str,
        document: String,
        set_as_default: bool,
    ) -> Result<PolicyVersion> {
        check_document(&document)?;
        let created = self.now();
        self.change_policy(grant, Action::CreatePolicyVersion, policy_arn, move |_, detail| {
            let Detail::Policy { versions, default, next, updated, .. } = detail else {
                return Ok(None);
            };
            if versions.len() >= VERSIONS_MAX {
                return Err(Error::LimitExceeded(format!(
                    "A managed policy can have up to {VERSIONS_MAX} versions. Before you create a \
                     new version, you must delete an existing version."
                )));
            }
            let version = VersionRow { number: *next, document: document.clone(), created };
            if set_as_default {
                *default = version.number;
            }
            (*next, *updated) = (*next + 1, created);
            let made = PolicyVersion::of(&version, *default);
            versions.push(version);
            Ok(Some(made))
        })
        .await
    }

    /// A version of a managed policy.
    pub async fn policy_version(
        &self,
        grant: &Grant,
        policy_arn: &str,
        version: &str,
    ) -> Result<PolicyVersion> {
        let versions = self.versions(grant, Action::GetPolicyVersion, policy_arn)?;
        version_number(version)?;
        let found = versions.into_iter().find(|found| found.id == version);
        found.ok_or_else(|| no_such_version(policy_arn, version))
    }

    /// The versions of a managed policy, the newest first.
    pub async fn list_policy_versions(
        &self,
        grant: &Grant,
        policy_arn: &str,
        paging: &Paging,
    ) -> Result<Page<PolicyVersion>> {
        let mut versions = self.versions(grant, Action::ListPolicyVersions, policy_arn)?;
        versions.reverse();
        let mut places = std::collections::HashMap::new();
        for (i, version) in versions.iter().enumerate() {
            places.insert(version.id.clone(), format!("{i}"));
        }
        paging.piece(versions, |version| places[&version.id].clone())
    }

    fn versions(
        &self,
        grant: &Grant,
        action: Action,
        policy_arn: &str,
    ) -> Result<Vec<PolicyVersion>> {
        let subject = subject(grant, action)?;
        if let Some(builtin) = Builtin::by_arn(policy_arn) {
            subject.check(policy_arn)?;
            return Ok(vec![PolicyVersion::of_builtin(builtin)]);
        }
        let row = subject.by_arn(&self.snapshot(), Kind::Policy, policy_arn)?;
        let Detail::Policy { versions, default, .. } = &row.detail else {
            return Err(not_a(&row, Kind::Policy));
        };
        Ok(versions.iter().map(|version| PolicyVersion::of(version, *default)).collect())
    }

    /// Removes a version that is not the default one.
    pub async fn delete_policy_version(
        &self,
        grant: &Grant,
        policy_arn: &str,
        version: &str,
    ) -> Result<()> {
        let number = version_number(version)?;
        self.change_policy(grant, Action::DeletePolicyVersion, policy_arn, move |arn, detail| {
            let Detail::Policy { versions, default, .. } = detail else { return Ok(None) };
            let at = versions.iter().position(|version| version.number == number);
            let at = at.ok_or_else(|| no_such_version(arn, &format!("v{number}")))?;
            if number == *default {
                return Err(Error::DeleteConflict(
                    "Cannot delete the default version of a policy.".to_owned(),
                ));
            }
            versions.remove(at);
            Ok(Some(()))
        })
        .await
    }

    /// Makes a version the one that counts.
    pub async fn set_default_policy_version(
        &self,
        grant: &Grant,
        policy_arn: &str,
        version: &str,
    ) -> Result<()> {
        let number = version_number(version)?;
        let action = Action::SetDefaultPolicyVersion;
        self.change_policy(grant, action, policy_arn, move |arn, detail| {
            let Detail::Policy { versions, default, .. } = detail else { return Ok(None) };
            if !versions.iter().any(|version| version.number == number) {
                return Err(no_such_version(arn, &format!("v{number}")));
            }
            *default = number;
            Ok(Some(()))
        })
        .await
    }

    /// Changes a policy of the account; `None` from `change`: it is not a policy.
    async fn change_policy<T: Send + 'static>(
        &self,
        grant: &Grant,
        action: Action,
        policy_arn: &str,
        change: impl Fn(&str, &mut Detail) -> Result<Option<T>> + Send + Sync + 'static,
    ) -> Result<T> {
        let subject = subject(grant, action)?;
        check_changeable(policy_arn)?;
        let arn = policy_arn.to_owned();
        self.change(subject.account, move |txn| {
            let mut row = subject.by_arn(txn, Kind::Policy, &arn)?;
            let done = change(&arn, &mut row.detail)?;
            let done = done.ok_or_else(|| not_a(&row, Kind::Policy))?;
            put(txn, &row);
            Ok(done)
        })
        .await
    }

    /// Who uses a managed policy, and how: in the order of the unique ids.
    pub async fn entities_for_policy(
        &self,
        grant: &Grant,
        policy_arn: &str,
        kind: Option<Kind>,
        used: Option<Use>,
        path_prefix: &str,
        paging: &Paging,
    ) -> Result<Page<PolicyUser>> {
        let subject = subject(grant, Action::ListEntitiesForPolicy)?;
        let snapshot = self.snapshot();
        match Builtin::by_arn(policy_arn) {
            Some(_) => subject.check(policy_arn)?,
            None => drop(subject.by_arn(&snapshot, Kind::Policy, policy_arn)?),
        }
        let mut users = Vec::new();
        for how in [Use::Attached, Use::Boundary] {
            if used.is_some_and(|wanted| wanted != how) {
                continue;
            }
            let prefix = keys::uses(subject.account, policy_arn, how);
            for (key, _) in snapshot.entries(&prefix, None, usize::MAX)? {
                let Some(keys::Parsed::UsedBy { entity, .. }) = keys::parse(&key) else {
                    let what = format!("a user of a policy has the key {}", keys::show(&key));
                    return Err(Error::Corrupt(what));
                };
                let row = by_id(&snapshot, &entity)?;
                let is_kind = kind.is_none_or(|kind| kind == row.kind());
                if is_kind && row.path.starts_with(path_prefix) {
                    users.push(PolicyUser { kind: row.kind(), name: row.name, id: row.id });
                }
            }
        }
        users.sort_by(|a, b| a.id.cmp(&b.id));
        users.dedup();
        paging.piece(users, |user| user.id.clone())
    }
}

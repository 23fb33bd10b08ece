//! Accounts: who owns buckets and has users. The store has one from its beginning; others are
//! tenants, each with a root of its own that is below the store's operator in nothing but that it
//! can't make accounts.

use coffer_base::Timestamp;
use coffer_iam::{Action, Grant};

use crate::access_keys::{insert_key, remove_key};
use crate::entities::{account, count, has_entries, subject};
use crate::error::{Error, Result};
use crate::form::{ACCESS_KEYS_PER_USER_MAX, ATTACHED_MAX, quota};
use crate::identity::Identity;
use crate::ids::{AccountId, Kind, random_access_key, random_secret};
use crate::rows::{self, AccessKeyRow, AccountRow, PointerRow, Row, Rows, keys};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// What its buckets show as their owner: 64 hexadecimal digits.
    pub owner_id: String,
    /// When it was made.
    pub created: Timestamp,
    /// How many users it has.
    pub users: u64,
}

/// An account that was just made, and the keys of its root. The secret is given out here and never
/// again.
#[derive(Clone)]
pub struct NewAccount {
    /// The account.
    pub account: Account,
    /// The access key of its root.
    pub access_key: String,
    /// Its secret.
    pub secret: String,
}

impl Account {
    fn of(id: AccountId, row: &AccountRow) -> Account {
        Account {
            id,
            name: row.name.clone(),
            owner_id: row.owner_id.clone(),
            created: row.created,
            users: count(row, Kind::User),
        }
    }
}

fn check_account_name(name: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::InvalidInput(
        "an account name has 1 to 64 letters, digits and characters of _+=,.@-".to_owned(),
    ))
}

/// All accounts in the order of their numbers.
fn all(rows: &impl Rows) -> Result<Vec<(AccountId, AccountRow)>> {
    let mut found = Vec::new();
    for (key, value) in rows.entries(&keys::accounts(), None, usize::MAX)? {
        let Some(keys::Parsed::Account(id)) = keys::parse(&key) else {
            return Err(Error::Corrupt(format!("an account has the key {}", keys::show(&key))));
        };
        found.push((id, rows::read::<AccountRow>(&key, &value)?));
    }
    Ok(found)
}

impl Identity {
    /// Makes an account with a key pair for its root. Only the store's operator may.
    pub async fn create_account(&self, grant: &Grant, name: &str) -> Result<NewAccount> {
        self.check_operator(grant)?;
        check_account_name(name)?;
        let id = AccountId::random(self.rng());
        let mut owner = [0; 32];
        self.rng().fill(&mut owner);
        let row = AccountRow {
            name: name.to_owned(),
            owner_id: hex::encode(owner),
            created: self.now(),
            access_keys: vec![random_access_key(self.rng())],
            counts: [0; 5],
        };
        let (access_key, secret) = (row.access_keys[0].clone(), random_secret(self.rng()));
        let key_row = AccessKeyRow {
            account: id,
            user: None,
            secret: self.seal_secret(&access_key, &secret),
            created: row.created,
            active: true,
        };
        let account = Account::of(id, &row);
        self.change(id, move |txn| {
            let known = all(txn)?;
            if known.iter().any(|(_, other)| other.name.eq_ignore_ascii_case(&row.name)) {
                let what = format!("Account with name {} already exists.", row.name);
                return Err(Error::EntityAlreadyExists(what));
            }
            if known.iter().any(|(other, _)| *other == id) {
                return Err(Error::Unavailable("the number was drawn twice".to_owned()));
            }
            insert_key(txn, &row.access_keys[0], &key_row)?;
            txn.put(&keys::account(id), &row.encode());
            txn.put(&keys::owner(&row.owner_id), &PointerRow(id.to_string()).encode());
            Ok(())
        })
        .await?;
        Ok(NewAccount { account, access_key, secret })
    }

    /// All accounts, in the order of their names.
    pub async fn list_accounts(&self, grant: &Grant) -> Result<Vec<Account>> {
        self.check_operator(grant)?;
        let rows = all(&self.snapshot())?;
        let mut accounts: Vec<Account> =
            rows.iter().map(|(id, row)| Account::of(*id, row)).collect();
        accounts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(accounts)
    }

    /// Removes an account that has nothing: no users, groups, roles, policies, providers. That it
    /// has no buckets is for the caller to see to.
    pub async fn remove_account(&self, grant: &Grant, id: AccountId) -> Result<()> {
        self.check_operator(grant)?;
        if id == self.default_account() {
            let what = "The account that the store began with can't be removed.";
            return Err(Error::UnmodifiableEntity(what.to_owned()));
        }
        self.change(id, move |txn| {
            let row = account(txn, id)?;
            if has_entries(txn, &keys::names_of_account(id))? {
                return Err(Error::DeleteConflict(
                    "Cannot delete the account, must delete its users, groups, roles, policies \
                     and providers first."
                        .to_owned(),
                ));
            }
            row.access_keys.iter().for_each(|access_key| remove_key(txn, access_key));
            txn.delete(&keys::owner(&row.owner_id));
            txn.delete(&keys::account(id));
            Ok(())
        })
        .await
    }

    /// Only the root of the account that the store began with looks after accounts.
    fn check_operator(&self, grant: &Grant) -> Result<()> {
        let subject = subject(grant, Action::AdminAccounts)?;
        if grant.is_root() && subject.account == self.default_account() {
            return Ok(());
        }
        Err(Error::InvalidInput("Only the store's operator looks after accounts.".to_owned()))
    }

    /// The account with this number; `None` if there is none.
    pub fn account_by_id(&self, id: AccountId) -> Result<Option<Account>> {
        let row: Option<AccountRow> = self.snapshot().row(&keys::account(id))?;
        Ok(row.map(|row| Account::of(id, &row)))
    }

    /// The number of the account that is shown as the owner `owner_id`; `None` if there is none.
    pub fn account_by_owner(&self, owner_id: &str) -> Result<Option<AccountId>> {
        if owner_id == self.default_owner_id() {
            return Ok(Some(self.default_account()));
        }
        if owner_id.len() > 128 {
            return Ok(None);
        }
        let row: Option<PointerRow> = self.catalog().row(&keys::owner(owner_id))?;
        let Some(PointerRow(text)) = row else { return Ok(None) };
        let id = AccountId::parse(&text);
        id.map(Some).ok_or_else(|| Error::Corrupt(format!("an owner is the account {text:?}")))
    }

    /// Counts and quotas of the caller's account, as GetAccountSummary names them.
    pub async fn summary(&self, grant: &Grant) -> Result<Vec<(&'static str, u64)>> {
        let id = subject(grant, Action::GetAccountSummary)?.account;
        let snapshot = self.snapshot();
        let row = account(&snapshot, id)?;
        let of = |kind| count(&row, kind);
        let mut in_use = 0;
        let mut versions_in_use = 0;
        let own = crate::paging::Paging::most();
        let mut paging = own.clone();
        loop {
            let page = crate::entities::list(&snapshot, id, Kind::Policy, &paging, |row| {
                let versions = match &row.detail {
                    crate::rows::entity::Detail::Policy { versions, .. } => versions.len(),
                    _ => 0,
                };
                let used = [keys::Use::Attached, keys::Use::Boundary].into_iter().try_fold(
                    false,
                    |used, how| -> Result<bool> {
                        Ok(used || has_entries(&snapshot, &keys::uses(id, &row.arn(), how))?)
                    },
                )?;
                Ok(Some((used, versions as u64)))
            })?;
            for (used, versions) in page.items {
                in_use += u64::from(used);
                versions_in_use += versions;
            }
            match page.next {
                Some(next) => paging.marker = Some(next),
                None => break,
            }
        }
        let root_keys = match id == self.default_account() {
            true => usize::from(self.operator().is_some()),
            false => row.access_keys.len(),
        };
        Ok(vec![
            ("Users", of(Kind::User)),
            ("UsersQuota", quota(Kind::User)),
            ("Groups", of(Kind::Group)),
            ("GroupsQuota", quota(Kind::Group)),
            ("Roles", of(Kind::Role)),
            ("RolesQuota", quota(Kind::Role)),
            ("Policies", of(Kind::Policy)),
            ("PoliciesQuota", quota(Kind::Policy)),
            ("PolicyVersionsInUse", versions_in_use),
            ("PolicyVersionsInUseQuota", 10_000),
            ("PoliciesInUse", in_use),
            ("Providers", of(Kind::Provider)),
            ("AccessKeysPerUserQuota", ACCESS_KEYS_PER_USER_MAX as u64),
            ("AccountAccessKeysPresent", u64::from(root_keys > 0)),
            ("AttachedPoliciesPerUserQuota", ATTACHED_MAX as u64),
            ("AttachedPoliciesPerGroupQuota", ATTACHED_MAX as u64),
            ("AttachedPoliciesPerRoleQuota", ATTACHED_MAX as u64),
            ("GroupsPerUserQuota", crate::form::GROUPS_PER_USER_MAX as u64),
            ("VersionsPerPolicyQuota", crate::form::VERSIONS_MAX as u64),
            ("PolicySizeQuota", crate::form::MANAGED_CHARS_MAX as u64),
            ("UserPolicySizeQuota", crate::form::inline_chars_max(Kind::User) as u64),
            ("GroupPolicySizeQuota", crate::form::inline_chars_max(Kind::Group) as u64),
            ("RolePolicySizeQuota", crate::form::inline_chars_max(Kind::Role) as u64),
            ("AssumeRolePolicySizeQuota", crate::form::TRUST_CHARS_MAX as u64),
            ("AccountMFAEnabled", 0),
            ("MFADevices", 0),
            ("MFADevicesInUse", 0),
            ("ServerCertificates", 0),
            ("ServerCertificatesQuota", 0),
            ("SigningCertificatesPerUserQuota", 0),
            ("GlobalEndpointTokenVersion", 1),
        ])
    }
}

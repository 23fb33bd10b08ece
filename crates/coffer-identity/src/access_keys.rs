//! Access keys of users and of the roots of accounts, and when they were last used.

use coffer_base::Timestamp;
use coffer_catalog::Txn;
use coffer_iam::{Action, Grant};

use crate::entities::{self, account, put, subject};
use crate::error::{Error, Result};
use crate::form::{ACCESS_KEYS_PER_USER_MAX, exceeded};
use crate::identity::Identity;
use crate::ids::{AccountId, Kind, SESSION_KEY_PREFIX, random_access_key, random_secret};
use crate::paging::{Page, Paging};
use crate::rows::entity::{Detail, EntityRow};
use crate::rows::{AccessKeyRow, AccountRow, LastUseRow, Row, Rows, keys};
use crate::users::not_a;

/// An access key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// It.
    pub access_key: String,
    /// The name of its user; `None`: the account's root.
    pub user: Option<String>,
    /// Whether it works.
    pub active: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// An access key that was just made. Its secret is given out here and never again.
#[derive(Clone)]
pub struct NewAccessKey {
    /// The key.
    pub key: AccessKey,
    /// Its secret.
    pub secret: String,
}

/// When and for what an access key was last used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastUse {
    /// When.
    pub at: Timestamp,
    /// The service that was asked: `s3`, `iam`, `sts`.
    pub service: String,
    /// The region that the request was signed for.
    pub region: String,
}

/// Who has access keys.
enum Holder {
    User(EntityRow),
    Root(AccountId, AccountRow),
}

impl Holder {
    /// The user of this name, or the root of the account, whichever the grant is for.
    fn find(
        identity: &Identity,
        subject: &entities::Subject,
        rows: &impl Rows,
        user: Option<&str>,
    ) -> Result<Holder> {
        match user {
            Some(name) => Ok(Holder::User(subject.entity(rows, Kind::User, name)?)),
            None => {
                let id = subject.account;
                subject.check(&format!("arn:aws:iam::{id}:root"))?;
                if id == identity.default_account() {
                    return Err(Error::InvalidInput(
                        "The keys of the store's operator are in its settings or in \
                         credentials.toml."
                            .to_owned(),
                    ));
                }
                Ok(Holder::Root(id, account(rows, id)?))
            }
        }
    }

    fn keys(&mut self) -> Result<&mut Vec<String>> {
        match self {
            Holder::Root(_, row) => Ok(&mut row.access_keys),
            Holder::User(row) => keys_of(row),
        }
    }

    fn user_id(&self) -> Option<&str> {
        match self {
            Holder::User(row) => Some(&row.id),
            Holder::Root(..) => None,
        }
    }

    fn name(&self) -> Option<String> {
        match self {
            Holder::User(row) => Some(row.name.clone()),
            Holder::Root(..) => None,
        }
    }

    fn account(&self) -> AccountId {
        match self {
            Holder::User(row) => row.account,
            Holder::Root(id, _) => *id,
        }
    }

    fn put(&self, txn: &mut Txn<'_>) {
        match self {
            Holder::User(row) => put(txn, row),
            Holder::Root(id, row) => txn.put(&keys::account(*id), &row.encode()),
        }
    }

    /// A key of it, which must be there.
    fn key(&mut self, rows: &impl Rows, access_key: &str) -> Result<AccessKeyRow> {
        if !self.keys()?.iter().any(|key| key == access_key) {
            return Err(no_such_key(access_key));
        }
        let row: Option<AccessKeyRow> = rows.row(&keys::access_key(access_key))?;
        row.ok_or_else(|| Error::Corrupt(format!("the access key {access_key} is not there")))
    }
}

/// The access keys of a user.
pub(crate) fn keys_of(row: &mut EntityRow) -> Result<&mut Vec<String>> {
    if matches!(row.detail, Detail::User { .. }) {
        let Detail::User { access_keys, .. } = &mut row.detail else { unreachable!("just seen") };
        return Ok(access_keys);
    }
    Err(not_a(row, Kind::User))
}

fn no_such_key(access_key: &str) -> Error {
    Error::NoSuchEntity(format!("The Access Key with id {access_key} cannot be found."))
}

/// Writes a new access key; nobody may have it.
pub(crate) fn insert_key(txn: &mut Txn<'_>, access_key: &str, row: &AccessKeyRow) -> Result<()> {
    let at = keys::access_key(access_key);
    if txn.value(&at)?.is_some() {
        let what = format!("The access key {access_key} already exists.");
        return Err(Error::EntityAlreadyExists(what));
    }
    txn.put(&at, &row.encode());
    Ok(())
}

/// Removes an access key and the date of its last use.
pub(crate) fn remove_key(txn: &mut Txn<'_>, access_key: &str) {
    txn.delete(&keys::access_key(access_key));
    txn.delete(&keys::last_use(access_key));
}

impl Identity {
    /// Makes an access key for a user, or for the account's root (`None`).
    pub async fn create_access_key(
        &self,
        grant: &Grant,
        user: Option<&str>,
    ) -> Result<NewAccessKey> {
        let subject = subject(grant, Action::CreateAccessKey)?;
        let access_key = random_access_key(self.rng());
        let secret = random_secret(self.rng());
        let sealed = self.seal_secret(&access_key, &secret);
        let (created, user) = (self.now(), user.map(str::to_owned));
        let this = self.clone();
        let key = self
            .change(subject.account, move |txn| {
                let mut holder = Holder::find(&this, &subject, txn, user.as_deref())?;
                if holder.keys()?.len() >= ACCESS_KEYS_PER_USER_MAX {
                    return Err(exceeded("AccessKeysPerUser", ACCESS_KEYS_PER_USER_MAX));
                }
                let row = AccessKeyRow {
                    account: holder.account(),
                    user: holder.user_id().map(str::to_owned),
                    secret: sealed.clone(),
                    created,
                    active: true,
                };
                insert_key(txn, &access_key, &row)?;
                holder.keys()?.push(access_key.clone());
                holder.put(txn);
                let user = holder.name();
                Ok(AccessKey { access_key: access_key.clone(), user, active: true, created })
            })
            .await?;
        Ok(NewAccessKey { key, secret })
    }

    /// The access keys of a user, or of the account's root (`None`).
    pub async fn list_access_keys(
        &self,
        grant: &Grant,
        user: Option<&str>,
        paging: &Paging,
    ) -> Result<Page<AccessKey>> {
        let subject = subject(grant, Action::ListAccessKeys)?;
        let snapshot = self.snapshot();
        let mut holder = Holder::find(self, &subject, &snapshot, user)?;
        let mut found = Vec::new();
        for access_key in holder.keys()?.clone() {
            let AccessKeyRow { active, created, .. } = holder.key(&snapshot, &access_key)?;
            found.push(AccessKey { access_key, user: holder.name(), active, created });
        }
        found.sort_by(|a, b| a.access_key.cmp(&b.access_key));
        paging.piece(found, |key| key.access_key.clone())
    }

    /// Lets an access key work, or stops it and the sessions that were made with it at once.
    pub async fn update_access_key(
        &self,
        grant: &Grant,
        user: Option<&str>,
        access_key: &str,
        active: bool,
    ) -> Result<()> {
        let subject = subject(grant, Action::UpdateAccessKey)?;
        let (user, access_key) = (user.map(str::to_owned), access_key.to_owned());
        let this = self.clone();
        self.change(subject.account, move |txn| {
            let mut holder = Holder::find(&this, &subject, txn, user.as_deref())?;
            let mut row = holder.key(txn, &access_key)?;
            row.active = active;
            txn.put(&keys::access_key(&access_key), &row.encode());
            Ok(())
        })
        .await
    }

    /// Removes an access key; it and the sessions that were made with it end at once.
    pub async fn delete_access_key(
        &self,
        grant: &Grant,
        user: Option<&str>,
        access_key: &str,
    ) -> Result<()> {
        let subject = subject(grant, Action::DeleteAccessKey)?;
        let (user, access_key) = (user.map(str::to_owned), access_key.to_owned());
        let (this, removed) = (self.clone(), access_key.clone());
        self.change(subject.account, move |txn| {
            let mut holder = Holder::find(&this, &subject, txn, user.as_deref())?;
            holder.key(txn, &access_key)?;
            holder.keys()?.retain(|key| *key != access_key);
            holder.put(txn);
            remove_key(txn, &access_key);
            Ok(())
        })
        .await?;
        // Only now: before, it may not have been the caller's.
        self.uses().remove(&removed);
        Ok(())
    }

    /// When an access key was last used, and the name of its user; `None`: not yet.
    pub async fn access_key_last_used(
        &self,
        grant: &Grant,
        access_key: &str,
    ) -> Result<(Option<String>, Option<LastUse>)> {
        let subject = subject(grant, Action::GetAccessKeyLastUsed)?;
        let owner = self.access_key_owner(access_key)?.ok_or_else(|| no_such_key(access_key))?;
        let (account, user) = owner;
        if account != subject.account {
            return Err(no_such_key(access_key));
        }
        let arn = user.as_ref().map(|user| user.arn.clone());
        subject.check(&arn.unwrap_or_else(|| format!("arn:aws:iam::{account}:root")))?;
        let known = self.uses().get(access_key).cloned();
        let row = match known {
            Some(row) => Some(row),
            None => self.snapshot().row::<LastUseRow>(&keys::last_use(access_key))?,
        };
        let last = row.map(|LastUseRow { at, service, region }| LastUse { at, service, region });
        Ok((user.map(|user| user.name), last))
    }

    /// Notes that a request with this key was authenticated. Kept in memory, and written by
    /// [`Identity::save_uses`].
    pub fn note_use(&self, access_key: &str, service: &str, region: &str, at: Timestamp) {
        // Sessions have no such date, and the operator's key is not the store's.
        if access_key.starts_with(SESSION_KEY_PREFIX)
            || self.operator().is_some_and(|root| root.access_key == access_key)
        {
            return;
        }
        let mut uses = self.uses();
        if let Some(row) = uses.get_mut(access_key) {
            row.at = at;
            if row.service != service || row.region != region {
                (row.service, row.region) = (service.to_owned(), region.to_owned());
            }
            return;
        }
        let row = LastUseRow { at, service: service.to_owned(), region: region.to_owned() };
        uses.insert(access_key.to_owned(), row);
    }

    /// Writes the dates of last use that are new, in one commit. For now and then, and for the
    /// end: what was noted after the last one is lost in a crash.
    pub async fn save_uses(&self) -> Result<usize> {
        let noted: Vec<(String, LastUseRow)> =
            self.uses().iter().map(|(key, row)| (key.clone(), row.clone())).collect();
        if noted.is_empty() {
            return Ok(0);
        }
        let mut saved = 0;
        for chunk in noted.chunks(500) {
            let some = chunk.to_vec();
            saved += self
                .write(move |txn| {
                    let mut written = 0;
                    for (access_key, row) in &some {
                        let at = keys::last_use(access_key);
                        // The key may be gone meanwhile; and nothing is written twice.
                        let is_there = txn.value(&keys::access_key(access_key))?.is_some();
                        if is_there && txn.row::<LastUseRow>(&at)?.as_ref() != Some(row) {
                            txn.put(&at, &row.encode());
                            written += 1;
                        }
                    }
                    Ok(written)
                })
                .await?;
            let mut uses = self.uses();
            for (access_key, row) in chunk {
                if uses.get(access_key) == Some(row) {
                    uses.remove(access_key);
                }
            }
        }
        Ok(saved)
    }

    pub(crate) fn seal_secret(&self, access_key: &str, secret: &str) -> Vec<u8> {
        self.seals().secrets().seal(self.rng(), access_key, secret.as_bytes())
    }

    pub(crate) fn open_secret(&self, access_key: &str, sealed: &[u8]) -> Result<String> {
        let opened = self.seals().secrets().open(access_key, sealed);
        opened
            .and_then(|text| String::from_utf8(text).ok())
            .ok_or_else(|| Error::Corrupt(format!("the secret of {access_key} does not open")))
    }
}

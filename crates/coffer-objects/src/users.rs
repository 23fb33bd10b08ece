//! Users: their names, access keys and policies, and the principal behind an access key.
//!
//! Secrets are kept as they are, because signatures are computed from them; encrypting them at
//! rest is later work. The store's files are readable by its owner alone.
//!
//! The store's root is not a user: it comes from the settings.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use coffer_base::{Ack, Rng, Timestamp};
use coffer_catalog::Txn;
use coffer_iam::{Action, Attached, Grant, Kind, Policy, Principal};

use crate::error::{Error, Result};
use crate::manifest::KnownManifests;
use crate::objects::{Objects, Refusal, Rows, expect};
use crate::rows::identity::{AccessKeyRow, IdentityRow, PolicyRef};
use crate::rows::{Row, keys};

#[cfg(test)]
mod tests;

/// Most policies of one user.
const POLICIES_MAX: usize = 10;
/// The cache of principals is emptied when it holds so many.
const CACHED_PRINCIPALS_MAX: usize = 10_000;

/// A policy as it is given and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyText {
    /// The name of one that comes with Coffer (`readwrite`, `readonly`).
    Canned(String),
    /// A document.
    Json(String),
}

impl PolicyText {
    /// The policy it means.
    pub fn policy(&self) -> Result<Policy> {
        match self {
            PolicyText::Canned(name) => Policy::canned(name)
                .ok_or_else(|| Error::InvalidArgument(format!("there is no policy {name:?}"))),
            PolicyText::Json(json) => Policy::parse(json, Kind::Identity)
                .map_err(|error| Error::InvalidArgument(error.to_string())),
        }
    }
}

impl From<PolicyRef> for PolicyText {
    fn from(policy: PolicyRef) -> Self {
        match policy {
            PolicyRef::Canned(name) => PolicyText::Canned(name),
            PolicyRef::Json(json) => PolicyText::Json(json),
        }
    }
}

impl From<PolicyText> for PolicyRef {
    fn from(policy: PolicyText) -> Self {
        match policy {
            PolicyText::Canned(name) => PolicyRef::Canned(name),
            PolicyText::Json(json) => PolicyRef::Json(json),
        }
    }
}

/// A user to be added.
#[derive(Clone, Default)]
pub struct AddUser {
    /// Its name.
    pub name: String,
    /// Its access key; `None`: a random one.
    pub access_key: Option<String>,
    /// Its secret; `None`: a random one.
    pub secret: Option<String>,
    /// What it may do.
    pub policies: Vec<PolicyText>,
}

/// A user that was just added. Its secret is given out here and never again.
#[derive(Clone)]
pub struct NewUser {
    /// The user.
    pub user: User,
    /// Its access key.
    pub access_key: String,
    /// Its secret.
    pub secret: String,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// What its buckets show as their owner: the account that all users of the store share.
    pub owner_id: String,
    /// Whether its keys work.
    pub enabled: bool,
    /// When it was added.
    pub created: Timestamp,
    /// Its access keys.
    pub access_keys: Vec<String>,
    /// What it may do.
    pub policies: Vec<PolicyText>,
}

impl User {
    fn new(name: String, row: IdentityRow) -> User {
        let IdentityRow { created, enabled, owner_id, access_keys, policies } = row;
        let policies = policies.into_iter().map(PolicyText::from).collect();
        User { name, owner_id, enabled, created, access_keys, policies }
    }
}

/// What an access key stands for.
#[derive(Clone)]
pub struct Credential {
    /// The secret that signatures are computed from.
    pub secret: String,
    /// The caller.
    pub principal: Arc<Principal>,
    /// Whether the user is enabled; else no request of it is served.
    pub enabled: bool,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("principal", &self.principal.name())
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// Credentials by access key. A change of users empties it before the change is answered, so a
/// revoked key stops at once.
#[derive(Default)]
pub(crate) struct PrincipalCache(RwLock<Cached>);

#[derive(Default)]
struct Cached {
    /// Counts the changes: what was looked up before one is not kept after it.
    generation: u64,
    by_access_key: HashMap<String, Credential>,
}

impl PrincipalCache {
    fn get(&self, access_key: &str) -> Result<Credential, u64> {
        let cached = self.0.read().expect("no holder panics");
        cached.by_access_key.get(access_key).cloned().ok_or(cached.generation)
    }

    fn keep(&self, access_key: &str, credential: Credential, generation: u64) {
        let mut cached = self.0.write().expect("no holder panics");
        if cached.generation != generation {
            return;
        }
        if cached.by_access_key.len() >= CACHED_PRINCIPALS_MAX {
            cached.by_access_key.clear();
        }
        cached.by_access_key.insert(access_key.to_owned(), credential);
    }

    fn forget_all(&self) {
        coffer_base::failpoint::pass("users.committed");
        let mut cached = self.0.write().expect("no holder panics");
        cached.generation += 1;
        cached.by_access_key.clear();
    }
}

impl Objects {
    /// Adds a user with one access key.
    pub async fn add_user(&self, grant: &Grant, request: AddUser) -> Result<NewUser> {
        expect(grant, Action::AdminUsers);
        let AddUser { name, access_key, secret, policies } = request;
        check_name(&name)?;
        check_policies(&policies)?;
        let access_key = access_key.unwrap_or_else(|| random_access_key(self.rng()));
        let secret = secret.unwrap_or_else(|| random_secret(self.rng()));
        check_access_key(&access_key)?;
        check_secret(&secret)?;
        let identity = IdentityRow {
            created: self.now(),
            enabled: true,
            // All users of a store are of one account: that of whoever adds them, which in the end
            // is root's.
            owner_id: grant.owner_id().to_owned(),
            access_keys: vec![access_key.clone()],
            policies: policies.into_iter().map(PolicyRef::from).collect(),
        };
        let key_row =
            AccessKeyRow { user: name.clone(), secret: secret.clone(), created: identity.created };
        let user = User::new(name.clone(), identity.clone());
        let (at_name, at_key) = (keys::identity(&name), keys::access_key(&access_key));
        let (identity, key_row) = (identity.encode(), key_row.encode());
        let hint = 1024 + identity.len() + key_row.len();
        self.commit(Ack::All, hint, move |txn: &mut Txn<'_>, _: &KnownManifests| {
            if txn.value(&at_name)?.is_some() || txn.value(&at_key)?.is_some() {
                return Err(Refusal::Answer(Error::UserExists));
            }
            txn.put(&at_name, &identity);
            txn.put(&at_key, &key_row);
            Ok(())
        })
        .await?;
        self.principals().forget_all();
        Ok(NewUser { user, access_key, secret })
    }

    /// All users in the order of their names.
    pub async fn list_users(&self, grant: &Grant) -> Result<Vec<User>> {
        expect(grant, Action::AdminUsers);
        let snapshot = self.catalog().snapshot();
        let mut users = Vec::new();
        for entry in snapshot.prefix(&[keys::IDENTITY]) {
            let (key, value) = entry?;
            let Some(keys::Parsed::Identity(name)) = keys::parse(&key) else {
                let what = format!("an identity row has the key {}", keys::show(&key));
                return Err(Error::Corrupt(what));
            };
            users.push(User::new(name, IdentityRow::read(&key, &value)?));
        }
        Ok(users)
    }

    /// Lets a user's keys work, or stops them at once.
    pub async fn set_user_enabled(&self, grant: &Grant, name: &str, enabled: bool) -> Result<()> {
        expect(grant, Action::AdminUsers);
        self.change_user(name, move |identity| identity.enabled = enabled).await
    }

    /// Replaces what a user may do.
    pub async fn set_user_policies(
        &self,
        grant: &Grant,
        name: &str,
        policies: Vec<PolicyText>,
    ) -> Result<()> {
        expect(grant, Action::AdminUsers);
        check_policies(&policies)?;
        let policies: Vec<PolicyRef> = policies.into_iter().map(PolicyRef::from).collect();
        self.change_user(name, move |identity| identity.policies.clone_from(&policies)).await
    }

    /// Removes a user and its access keys. Its buckets stay.
    pub async fn remove_user(&self, grant: &Grant, name: &str) -> Result<()> {
        expect(grant, Action::AdminUsers);
        let at_name = keys::identity(name);
        let plan = move |txn: &mut Txn<'_>, _: &KnownManifests| -> Result<(), Refusal> {
            let identity: IdentityRow = txn.row(&at_name)?.ok_or(Error::NoSuchUser)?;
            for access_key in &identity.access_keys {
                txn.delete(&keys::access_key(access_key));
            }
            txn.delete(&at_name);
            Ok(())
        };
        self.commit(Ack::All, 4096, plan).await?;
        self.principals().forget_all();
        Ok(())
    }

    async fn change_user(
        &self,
        name: &str,
        change: impl Fn(&mut IdentityRow) + Send + Sync + 'static,
    ) -> Result<()> {
        let at_name = keys::identity(name);
        let plan = move |txn: &mut Txn<'_>, _: &KnownManifests| -> Result<(), Refusal> {
            let mut identity: IdentityRow = txn.row(&at_name)?.ok_or(Error::NoSuchUser)?;
            change(&mut identity);
            txn.put(&at_name, &identity.encode());
            Ok(())
        };
        self.commit(Ack::All, 4096, plan).await?;
        self.principals().forget_all();
        Ok(())
    }

    /// What an access key stands for; `None` if no user has it.
    pub async fn principal_by_access_key(&self, access_key: &str) -> Result<Option<Credential>> {
        let generation = match self.principals().get(access_key) {
            Ok(credential) => return Ok(Some(credential)),
            Err(generation) => generation,
        };
        if check_access_key(access_key).is_err() {
            return Ok(None);
        }
        let snapshot = self.catalog().snapshot();
        let Some(key_row) = snapshot.row::<AccessKeyRow>(&keys::access_key(access_key))? else {
            return Ok(None);
        };
        let identity: IdentityRow = snapshot
            .row(&keys::identity(&key_row.user))?
            .ok_or_else(|| Error::Corrupt(format!("the access key {access_key} has no user")))?;
        let policies = identity
            .policies
            .into_iter()
            .map(|policy| {
                let name = match &policy {
                    PolicyRef::Canned(name) => name.clone(),
                    PolicyRef::Json(_) => "inline".to_owned(),
                };
                let policy = PolicyText::from(policy).policy()?;
                Ok(Attached::new(name, policy))
            })
            .collect::<Result<_>>()?;
        let account = account_of(&identity.owner_id);
        let id = key_row.user.clone();
        let principal =
            Principal { policies, ..Principal::user(account, identity.owner_id, key_row.user, id) };
        let credential = Credential {
            secret: key_row.secret,
            principal: Arc::new(principal),
            enabled: identity.enabled,
        };
        self.principals().keep(access_key, credential.clone(), generation);
        Ok(Some(credential))
    }
}

/// The 12 digits of the account whose canonical id is `owner_id`.
pub fn account_of(owner_id: &str) -> String {
    let start = owner_id.get(..15).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    format!("{:012}", start.unwrap_or(0) % 1_000_000_000_000)
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if name == "root" {
        return Err(Error::InvalidArgument("root is not an ordinary user".to_owned()));
    }
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::InvalidArgument(
        "a user name has 1 to 64 letters, digits and characters of _+=,.@-".to_owned(),
    ))
}

fn check_access_key(access_key: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if (3..=128).contains(&access_key.len()) && access_key.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::InvalidArgument("an access key has 3 to 128 letters, digits, _ and -".to_owned()))
}

fn check_secret(secret: &str) -> Result<()> {
    if (8..=128).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::InvalidArgument("a secret has 8 to 128 printable ASCII characters".to_owned()))
}

fn check_policies(policies: &[PolicyText]) -> Result<()> {
    if policies.len() > POLICIES_MAX {
        return Err(Error::InvalidArgument(format!("a user has at most {POLICIES_MAX} policies")));
    }
    policies.iter().try_for_each(|policy| policy.policy().map(|_| ()))
}

/// A new access key: `CF` and 18 of 32 characters, 90 random bits.
pub fn random_access_key(rng: &dyn Rng) -> String {
    let mut key = String::from("CF");
    draw(rng, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 18, &mut key);
    key
}

/// A new secret: 40 of 64 characters, 240 random bits.
pub fn random_secret(rng: &dyn Rng) -> String {
    let mut secret = String::new();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    draw(rng, alphabet, 40, &mut secret);
    secret
}

/// Appends `count` characters of `alphabet`, whose length divides 256, so that all are equally
/// likely.
fn draw(rng: &dyn Rng, alphabet: &[u8], count: usize, out: &mut String) {
    assert_eq!(256 % alphabet.len(), 0, "an alphabet of {} is not even", alphabet.len());
    let mut random = vec![0; count];
    rng.fill(&mut random);
    out.extend(random.iter().map(|b| char::from(alphabet[usize::from(*b) % alphabet.len()])));
}

//! The simple face of users, which `coffer user` shows: a user has keys and policies, can be
//! switched off, and goes with all that hangs on it. The same users as everywhere else.

use coffer_base::Timestamp;
use coffer_catalog::Txn;
use coffer_iam::{Action, Grant};

use crate::access_keys::{insert_key, keys_of, remove_key};
use crate::attach::attach;
use crate::builtin::Builtin;
use crate::documents;
use crate::entities::{self, by_id, insert, need, put, remove, subject};
use crate::error::{Error, Result};
use crate::form::{check_access_key, check_name, check_secret};
use crate::groups::groups_of;
use crate::identity::Identity;
use crate::ids::{Kind, random_access_key, random_id, random_secret};
use crate::paging::Paging;
use crate::rows::entity::{Detail, EntityRow};
use crate::rows::keys::Use;
use crate::rows::{AccessKeyRow, Rows, keys};

/// Most policies that a user is given so.
const POLICIES_MAX: usize = 10;

/// A policy as it is given and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyText {
    /// The name of one of Coffer's own (`readwrite`, `readonly`).
    Canned(String),
    /// The ARN of a managed policy.
    Managed(String),
    /// A document: an inline policy.
    Json(String),
}

impl PolicyText {
    /// What a person wrote: the name of one of Coffer's own, an ARN, or a document.
    pub fn of(text: String) -> PolicyText {
        match text {
            text if Builtin::canned(&text).is_some() => PolicyText::Canned(text),
            text if text.starts_with("arn:") => PolicyText::Managed(text),
            text => PolicyText::Json(text),
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
    pub user: UserOverview,
    /// Its access key.
    pub access_key: String,
    /// Its secret.
    pub secret: String,
}

/// A user with its keys and policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserOverview {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Whether its keys work.
    pub enabled: bool,
    /// When it was made.
    pub created: Timestamp,
    /// Its access keys.
    pub access_keys: Vec<String>,
    /// What it may do by itself: attached policies, then inline ones.
    pub policies: Vec<PolicyText>,
    /// The names of its groups.
    pub groups: Vec<String>,
}

fn overview(rows: &impl Rows, row: &EntityRow) -> Result<UserOverview> {
    let Detail::User { enabled, groups, access_keys } = &row.detail else {
        return Err(crate::users::not_a(row, Kind::User));
    };
    let attached = row.attached.iter().map(|arn| match Builtin::canned_name(arn) {
        Some(name) => PolicyText::Canned(name.to_owned()),
        None => PolicyText::Managed(arn.clone()),
    });
    let inline = row.inline.iter().map(|(_, document)| PolicyText::Json(document.clone()));
    let groups = groups.iter().map(|id| Ok(by_id(rows, id)?.name)).collect::<Result<_>>()?;
    Ok(UserOverview {
        name: row.name.clone(),
        arn: row.arn(),
        enabled: *enabled,
        created: row.created,
        access_keys: access_keys.clone(),
        policies: attached.chain(inline).collect(),
        groups,
    })
}

/// Names and documents of inline policies.
type Inline = Vec<(String, String)>;

/// Splits policies into ARNs to be attached and inline policies with names.
fn split(policies: &[PolicyText]) -> Result<(Vec<String>, Inline)> {
    if policies.len() > POLICIES_MAX {
        return Err(Error::InvalidInput(format!("a user has at most {POLICIES_MAX} policies")));
    }
    let (mut attached, mut inline) = (Vec::new(), Vec::new());
    for policy in policies {
        match policy {
            PolicyText::Canned(name) => {
                let builtin = Builtin::canned(name)
                    .ok_or_else(|| Error::InvalidInput(format!("there is no policy {name:?}")))?;
                attached.push(builtin.arn());
            }
            PolicyText::Managed(arn) => attached.push(arn.clone()),
            PolicyText::Json(document) => {
                documents::identity(document)?;
                inline.push((format!("policy-{:02}", inline.len() + 1), document.clone()));
            }
        }
    }
    Ok((attached, inline))
}

impl Identity {
    /// Adds a user with one access key to the caller's account.
    pub async fn add_user(&self, grant: &Grant, request: AddUser) -> Result<NewUser> {
        let account = subject(grant, Action::AdminUsers)?.account;
        let AddUser { name, access_key, secret, policies } = request;
        check_name(Kind::User, &name)?;
        let (attached, inline) = split(&policies)?;
        let access_key = access_key.unwrap_or_else(|| random_access_key(self.rng()));
        let secret = secret.unwrap_or_else(|| random_secret(self.rng()));
        check_access_key(&access_key)?;
        check_secret(&secret)?;
        let row = EntityRow {
            account,
            id: random_id(self.rng(), Kind::User),
            name,
            path: "/".to_owned(),
            created: self.now(),
            tags: Vec::new(),
            inline,
            attached: Vec::new(),
            boundary: None,
            detail: Detail::User {
                enabled: true,
                groups: Vec::new(),
                access_keys: vec![access_key.clone()],
            },
        };
        let key_row = AccessKeyRow {
            account,
            user: Some(row.id.clone()),
            secret: self.seal_secret(&access_key, &secret),
            created: row.created,
            active: true,
        };
        let key = access_key.clone();
        let user = self
            .change(account, move |txn| {
                insert(txn, &row)?;
                insert_key(txn, &key, &key_row)?;
                let mut row = row.clone();
                for arn in &attached {
                    attach(txn, &mut row, arn)?;
                }
                put(txn, &row);
                overview(txn, &row)
            })
            .await?;
        Ok(NewUser { user, access_key, secret })
    }

    /// All users of the caller's account in the order of their names.
    pub async fn all_users(&self, grant: &Grant) -> Result<Vec<UserOverview>> {
        let account = subject(grant, Action::AdminUsers)?.account;
        let snapshot = self.snapshot();
        let (mut users, mut paging) = (Vec::new(), Paging::most());
        loop {
            let page = entities::list(&snapshot, account, Kind::User, &paging, |row| {
                overview(&snapshot, row).map(Some)
            })?;
            users.extend(page.items);
            match page.next {
                Some(next) => paging.marker = Some(next),
                None => return Ok(users),
            }
        }
    }

    /// Lets a user's keys work, or stops them at once.
    pub async fn set_user_enabled(&self, grant: &Grant, name: &str, on: bool) -> Result<()> {
        let account = subject(grant, Action::AdminUsers)?.account;
        let name = name.to_owned();
        self.change(account, move |txn| {
            let mut row = need(txn, account, Kind::User, &name)?;
            for (name, document) in row.inline.iter().filter(|_| on) {
                documents::identity(document).map_err(|error| {
                    let what = format!("replace or delete the policy {name} first: {error}");
                    Error::MalformedPolicyDocument(what)
                })?;
            }
            if let Detail::User { enabled, .. } = &mut row.detail {
                *enabled = on;
            }
            put(txn, &row);
            Ok(())
        })
        .await
    }

    /// Replaces all attached and inline policies of a user.
    pub async fn set_user_policies(
        &self,
        grant: &Grant,
        name: &str,
        policies: &[PolicyText],
    ) -> Result<()> {
        let account = subject(grant, Action::AdminUsers)?.account;
        let (attached, inline) = split(policies)?;
        let name = name.to_owned();
        self.change(account, move |txn| {
            let mut row = need(txn, account, Kind::User, &name)?;
            detach_all(txn, &mut row);
            row.inline.clone_from(&inline);
            for arn in &attached {
                attach(txn, &mut row, arn)?;
            }
            put(txn, &row);
            Ok(())
        })
        .await
    }

    /// Removes a user with its access keys, its policies, its boundary and its places in groups.
    /// Its buckets stay: they are its account's.
    pub async fn remove_user(&self, grant: &Grant, name: &str) -> Result<()> {
        let account = subject(grant, Action::AdminUsers)?.account;
        let name = name.to_owned();
        self.change(account, move |txn| {
            let mut row = need(txn, account, Kind::User, &name)?;
            detach_all(txn, &mut row);
            for access_key in keys_of(&mut row)?.clone() {
                remove_key(txn, &access_key);
            }
            for group in groups_of(&mut row)?.clone() {
                txn.delete(&keys::member(&group, &row.id));
            }
            remove(txn, &row)
        })
        .await
    }
}

fn detach_all(txn: &mut Txn<'_>, row: &mut EntityRow) {
    for arn in row.attached.drain(..) {
        txn.delete(&keys::used_by(row.account, &arn, Use::Attached, &row.id));
    }
}

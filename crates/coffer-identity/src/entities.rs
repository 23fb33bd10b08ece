//! What all kinds of entities share: finding them, by a grant or not; adding, changing and
//! removing them together with the rows that point at them.

use coffer_catalog::Txn;
use coffer_iam::{Action, Grant};

use crate::error::{Error, Result};
use crate::form;
use crate::identity::Identity;
use crate::ids::{AccountId, Kind, parse_arn};
use crate::paging::{Page, Paging, marker};
use crate::rows::entity::EntityRow;
use crate::rows::keys::{self, Use};
use crate::rows::{self, AccountRow, HERE, PointerRow, Row, Rows};

/// What a grant is for: an ARN in the caller's account.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub account: AccountId,
    pub arn: String,
}

/// What `grant` is for. A grant for another action than the one about to happen is a defect of the
/// caller.
pub(crate) fn subject(grant: &Grant, action: Action) -> Result<Subject> {
    assert_eq!(grant.action(), action, "the grant is for another action");
    let account = AccountId::parse(grant.account()).ok_or_else(|| {
        Error::InvalidInput("Only identities of an account have identities.".to_owned())
    })?;
    Ok(Subject { account, arn: grant.resource().arn().into_owned() })
}

impl Subject {
    /// The entity that the grant is for. It must still have the ARN that was looked at, so that
    /// nothing is done to what was renamed or moved meanwhile.
    pub(crate) fn entity(&self, rows: &impl Rows, kind: Kind, name: &str) -> Result<EntityRow> {
        let row = need(rows, self.account, kind, name)?;
        self.check(&row.arn())?;
        Ok(row)
    }

    /// The managed policy or provider that the grant is for.
    pub(crate) fn by_arn(&self, rows: &impl Rows, kind: Kind, arn: &str) -> Result<EntityRow> {
        self.check(arn)?;
        let missing = || Error::NoSuchEntity(missing_arn(kind, arn));
        let (account, found, _, name) = parse_arn(arn).ok_or_else(|| not_an_arn(arn))?;
        if account != Some(self.account) || found != kind {
            return Err(missing());
        }
        let row = find(rows, self.account, kind, name)?.ok_or_else(missing)?;
        if row.arn() == arn { Ok(row) } else { Err(missing()) }
    }

    /// Refuses anything but what the grant is for.
    pub(crate) fn check(&self, arn: &str) -> Result<()> {
        if self.arn == arn {
            return Ok(());
        }
        Err(Error::ConcurrentModification(format!(
            "{arn} is not what the request was authorized for, {}. Please try again.",
            self.arn
        )))
    }
}

fn missing_arn(kind: Kind, arn: &str) -> String {
    match kind {
        Kind::Provider => format!("OpenIDConnect Provider not found for arn {arn}"),
        _ => format!("Policy {arn} was not found."),
    }
}

pub(crate) fn not_an_arn(arn: &str) -> Error {
    Error::InvalidInput(format!("ARN {arn} is not valid."))
}

fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::User => "user",
        Kind::Group => "group",
        Kind::Role => "role",
        Kind::Policy => "policy",
        Kind::Provider => "provider",
    }
}

/// What has this name; `None` if nothing has.
pub(crate) fn find(
    rows: &impl Rows,
    account: AccountId,
    kind: Kind,
    name: &str,
) -> Result<Option<EntityRow>> {
    // Longer names than any are not asked for: they may be too long for a key.
    if name.len() > 512 {
        return Ok(None);
    }
    match rows.row::<PointerRow>(&keys::name(account, kind, name))? {
        Some(PointerRow(id)) => by_id(rows, &id).map(Some),
        None => Ok(None),
    }
}

/// What has this name, which must be there.
pub(crate) fn need(
    rows: &impl Rows,
    account: AccountId,
    kind: Kind,
    name: &str,
) -> Result<EntityRow> {
    find(rows, account, kind, name)?.ok_or_else(|| {
        Error::NoSuchEntity(format!("The {} with name {name} cannot be found.", noun(kind)))
    })
}

/// What another row says is there.
pub(crate) fn by_id(rows: &impl Rows, id: &str) -> Result<EntityRow> {
    rows.row(&keys::entity(id))?
        .ok_or_else(|| Error::Corrupt(format!("the entity {id} is named, but is not there")))
}

/// The account, which must be there.
pub(crate) fn account(rows: &impl Rows, id: AccountId) -> Result<AccountRow> {
    let row = rows.row(&keys::account(id))?;
    row.ok_or_else(|| Error::NoSuchEntity(format!("The account {id} cannot be found.")))
}

fn count_of(kind: Kind) -> usize {
    Kind::ALL.iter().position(|other| *other == kind).expect("all kinds are among all")
}

/// How many of a kind an account has.
pub(crate) fn count(account: &AccountRow, kind: Kind) -> u64 {
    account.counts[count_of(kind)]
}

/// Adds an entity: its name must be free, and the account's quota not used up.
pub(crate) fn insert(txn: &mut Txn<'_>, row: &EntityRow) -> Result<()> {
    let kind = row.kind();
    if count(&account(txn, row.account)?, kind) >= form::quota(kind) {
        let max = usize::try_from(form::quota(kind)).unwrap_or(usize::MAX);
        return Err(form::exceeded(form::quota_name(kind), max));
    }
    add(txn, row)
}

/// As [`insert`], whatever the quota.
pub(crate) fn add(txn: &mut Txn<'_>, row: &EntityRow) -> Result<()> {
    let mut holder = account(txn, row.account)?;
    holder.counts[count_of(row.kind())] += 1;
    name_it(txn, row)?;
    txn.put(&keys::account(row.account), &holder.encode());
    if let Some(boundary) = &row.boundary {
        txn.put(&keys::used_by(row.account, boundary, Use::Boundary, &row.id), HERE);
    }
    for policy in &row.attached {
        txn.put(&keys::used_by(row.account, policy, Use::Attached, &row.id), HERE);
    }
    put(txn, row);
    Ok(())
}

/// Gives it its name, which must be free.
fn name_it(txn: &mut Txn<'_>, row: &EntityRow) -> Result<()> {
    let at = keys::name(row.account, row.kind(), &row.name);
    if let Some(PointerRow(id)) = txn.row(&at)?
        && id != row.id
    {
        let name = &row.name;
        return Err(Error::EntityAlreadyExists(match row.kind() {
            Kind::User => format!("User with name {name} already exists."),
            Kind::Group => format!("Group with name {name} already exists."),
            Kind::Role => format!("Role with name {name} already exists."),
            Kind::Policy => {
                format!("A policy called {name} already exists. Duplicate names are not allowed.")
            }
            Kind::Provider => format!("Provider with url https://{name} already exists."),
        }));
    }
    txn.put(&at, &PointerRow(row.id.clone()).encode());
    Ok(())
}

/// Writes an entity that is there already, as it is now.
pub(crate) fn put(txn: &mut Txn<'_>, row: &EntityRow) {
    txn.put(&keys::entity(&row.id), &row.encode());
}

/// Gives an entity another name and path.
pub(crate) fn rename(
    txn: &mut Txn<'_>,
    mut row: EntityRow,
    name: Option<&str>,
    path: Option<&str>,
) -> Result<EntityRow> {
    if let Some(name) = name {
        txn.delete(&keys::name(row.account, row.kind(), &row.name));
        row.name = name.to_owned();
        name_it(txn, &row)?;
    }
    if let Some(path) = path {
        row.path = path.to_owned();
    }
    put(txn, &row);
    Ok(row)
}

/// Removes an entity and all rows that say what it uses. What uses *it* is for the caller to
/// refuse before.
pub(crate) fn remove(txn: &mut Txn<'_>, row: &EntityRow) -> Result<()> {
    let mut holder = account(txn, row.account)?;
    let count = &mut holder.counts[count_of(row.kind())];
    *count = count.checked_sub(1).ok_or_else(|| {
        Error::Corrupt(format!("account {} counts fewer than it has", row.account))
    })?;
    txn.put(&keys::account(row.account), &holder.encode());
    if let Some(boundary) = &row.boundary {
        txn.delete(&keys::used_by(row.account, boundary, Use::Boundary, &row.id));
    }
    for policy in &row.attached {
        txn.delete(&keys::used_by(row.account, policy, Use::Attached, &row.id));
    }
    txn.delete(&keys::name(row.account, row.kind(), &row.name));
    txn.delete(&keys::entity(&row.id));
    Ok(())
}

/// Entities of one kind in the order of their names, from `marker` on, that `wanted` picks.
pub(crate) fn list<T>(
    rows: &impl Rows,
    account: AccountId,
    kind: Kind,
    paging: &Paging,
    wanted: impl Fn(&EntityRow) -> Result<Option<T>>,
) -> Result<Page<T>> {
    const BATCH: usize = 256;
    let prefix = keys::names(account, kind);
    let mut after = paging.after()?.map(|name| keys::name(account, kind, &name));
    let (mut items, mut last_name) = (Vec::new(), String::new());
    loop {
        let batch = rows.entries(&prefix, after.as_deref(), BATCH)?;
        for (key, value) in &batch {
            let PointerRow(id) = rows::read::<PointerRow>(key, value)?;
            let row = by_id(rows, &id)?;
            let Some(item) = wanted(&row)? else { continue };
            if items.len() == paging.items_max {
                return Ok(Page { items, next: Some(marker(&last_name)) });
            }
            last_name = row.name.to_ascii_lowercase();
            items.push(item);
        }
        match batch.last() {
            Some((key, _)) if batch.len() == BATCH => after = Some(key.to_vec()),
            _ => return Ok(Page { items, next: None }),
        }
    }
}

/// How many entries begin with `prefix`.
pub(crate) fn count_entries(rows: &impl Rows, prefix: &[u8]) -> Result<u64> {
    Ok(rows.entries(prefix, None, usize::MAX)?.len() as u64)
}

/// Whether any entry begins with `prefix`.
pub(crate) fn has_entries(rows: &impl Rows, prefix: &[u8]) -> Result<bool> {
    Ok(!rows.entries(prefix, None, 1)?.is_empty())
}

impl Identity {
    /// The ARN of what has this name, so that the question whether something may be done to it can
    /// be asked. `None` if there is nothing.
    pub fn arn_of(&self, account: AccountId, kind: Kind, name: &str) -> Result<Option<String>> {
        Ok(find(&self.snapshot(), account, kind, name)?.map(|row| row.arn()))
    }
}

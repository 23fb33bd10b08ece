//! Whether the rows of this crate agree with each other. The check of the whole store asks row by
//! row.

use coffer_catalog::Snapshot;

use crate::builtin::Builtin;
use crate::carry::{self, OldAccessKey, OldKey, OldUser};
use crate::documents;
use crate::entities::{count, count_entries};
use crate::error::Result;
use crate::ids::{Kind, parse_arn};
use crate::rows::entity::{Detail, EntityRow};
use crate::rows::keys::{self, Parsed, Use};
use crate::rows::{AccessKeyRow, AccountRow, HERE, LastUseRow, PointerRow, Row, Rows, SealingRow};

/// What is wrong with the row of `key`; `None` if it is not a row of this crate. Secrets are not
/// opened.
pub fn check_row(rows: &Snapshot, key: &[u8], value: &[u8]) -> Result<Option<Vec<String>>> {
    let mut check = Check { rows, found: Vec::new() };
    match (keys::parse(key), carry::parse(key)) {
        (Some(parsed), _) => check.row(parsed, value)?,
        (None, Some(old)) => check.old(old, value)?,
        (None, None) => return Ok(None),
    }
    Ok(Some(check.found))
}

struct Check<'a> {
    rows: &'a Snapshot,
    found: Vec<String>,
}

impl Check<'_> {
    fn found(&mut self, what: impl Into<String>) {
        self.found.push(what.into());
    }

    fn decode<T: Row>(&mut self, value: &[u8]) -> Option<T> {
        let row = T::decode(value);
        if row.is_none() {
            self.found(format!("the {} row is malformed", T::NAME));
        }
        row
    }

    /// Another row; a malformed one is found where it is, and here just not there.
    fn lookup<T: Row>(&self, key: &[u8]) -> Result<Option<T>> {
        Ok(self.rows.value(key)?.and_then(|value| T::decode(&value)))
    }

    fn row(&mut self, parsed: Parsed, value: &[u8]) -> Result<()> {
        match parsed {
            Parsed::Sealing => drop(self.decode::<SealingRow>(value)),
            Parsed::Account(id) => {
                if let Some(row) = self.decode::<AccountRow>(value) {
                    let owner: Option<PointerRow> = self.lookup(&keys::owner(&row.owner_id))?;
                    if owner != Some(PointerRow(id.to_string())) {
                        self.found("its owner id does not lead to it");
                    }
                    for kind in Kind::ALL {
                        let there = count_entries(self.rows, &keys::names(id, kind))?;
                        if count(&row, kind) != there {
                            let kept = count(&row, kind);
                            self.found(format!("{kept} of {kind:?} are counted, {there} there"));
                        }
                    }
                    for access_key in &row.access_keys {
                        let key: Option<AccessKeyRow> =
                            self.lookup(&keys::access_key(access_key))?;
                        if key.is_none_or(|key| key.user.is_some() || key.account != id) {
                            self.found(format!("its access key {access_key} is not there"));
                        }
                    }
                }
            }
            Parsed::Owner(owner_id) => {
                if let Some(PointerRow(text)) = self.decode::<PointerRow>(value) {
                    let row: Option<AccountRow> = match crate::ids::AccountId::parse(&text) {
                        Some(id) => self.lookup(&keys::account(id))?,
                        None => None,
                    };
                    if row.is_none_or(|row| row.owner_id != owner_id) {
                        self.found("its account is not there or has another owner id");
                    }
                }
            }
            Parsed::Name(account, kind, name) => {
                if let Some(PointerRow(id)) = self.decode::<PointerRow>(value) {
                    let row: Option<EntityRow> = self.lookup(&keys::entity(&id))?;
                    let is_it = |row: &EntityRow| {
                        (row.account, row.kind()) == (account, kind)
                            && row.name.to_ascii_lowercase() == name
                    };
                    if !row.as_ref().is_some_and(is_it) {
                        self.found("what it names is not there or has another name");
                    }
                }
            }
            Parsed::Entity(id) => {
                if let Some(row) = self.decode::<EntityRow>(value) {
                    self.entity(&id, &row)?;
                }
            }
            Parsed::AccessKey(access_key) => {
                if let Some(row) = self.decode::<AccessKeyRow>(value) {
                    self.access_key(&access_key, &row)?;
                }
            }
            Parsed::LastUse(access_key) => {
                self.decode::<LastUseRow>(value);
                if self.lookup::<AccessKeyRow>(&keys::access_key(&access_key))?.is_none() {
                    self.found("the access key is not there");
                }
            }
            Parsed::Member { group, user } => {
                self.here(value);
                let row: Option<EntityRow> = self.lookup(&keys::entity(&user))?;
                let detail = row.map(|row| row.detail);
                if !matches!(detail, Some(Detail::User { groups, .. }) if groups.contains(&group)) {
                    self.found("the user does not say that it is in the group");
                }
            }
            Parsed::UsedBy { account, policy, how, entity } => {
                self.here(value);
                let row: Option<EntityRow> = self.lookup(&keys::entity(&entity))?;
                let uses = row.filter(|row| row.account == account).is_some_and(|row| match how {
                    Use::Attached => row.attached.contains(&policy),
                    Use::Boundary => row.boundary.as_ref() == Some(&policy),
                });
                if !uses {
                    self.found("the entity does not say that it uses the policy so");
                }
            }
        }
        Ok(())
    }

    fn here(&mut self, value: &[u8]) {
        if value != HERE {
            self.found("the row is malformed");
        }
    }

    fn entity(&mut self, id: &str, row: &EntityRow) -> Result<()> {
        if row.id != id {
            self.found(format!("it calls itself {}", row.id));
        }
        let name: Option<PointerRow> =
            self.lookup(&keys::name(row.account, row.kind(), &row.name))?;
        if name != Some(PointerRow(id.to_owned())) {
            self.found(format!("its name {} does not lead to it", row.name));
        }
        let inline = row.inline.iter().map(|(name, document)| (name.as_str(), document));
        // A disabled user may have one that an older program took; it counts for nothing.
        let is_disabled = matches!(row.detail, Detail::User { enabled: false, .. });
        for (name, document) in inline.filter(|_| !is_disabled) {
            if let Err(error) = documents::identity(document) {
                self.found(format!("the policy {name} can't be read: {error}"));
            }
        }
        let attached = row.attached.iter().map(|arn| (arn, Use::Attached));
        for (arn, how) in attached.chain(row.boundary.iter().map(|arn| (arn, Use::Boundary))) {
            if !self.is_policy(row, arn)? {
                self.found(format!("the policy {arn} is not there"));
            }
            if self.rows.value(&keys::used_by(row.account, arn, how, id))?.is_none() {
                self.found(format!("the policy {arn} does not say that it is used"));
            }
        }
        match &row.detail {
            Detail::User { groups, access_keys, .. } => {
                for group in groups {
                    let is_group = self
                        .lookup::<EntityRow>(&keys::entity(group))?
                        .is_some_and(|row| row.kind() == Kind::Group);
                    if !is_group || self.rows.value(&keys::member(group, id))?.is_none() {
                        self.found(format!("its group {group} is not there or lacks it"));
                    }
                }
                for access_key in access_keys {
                    let key: Option<AccessKeyRow> = self.lookup(&keys::access_key(access_key))?;
                    if key.is_none_or(|key| key.user.as_deref() != Some(id)) {
                        self.found(format!("its access key {access_key} is not there"));
                    }
                }
            }
            Detail::Role { trust, .. } => {
                if let Err(error) = documents::trust(trust) {
                    self.found(format!("the trust policy can't be read: {error}"));
                }
            }
            Detail::Policy { versions, .. } => {
                for version in versions {
                    if let Err(error) = documents::identity(&version.document) {
                        self.found(format!("version v{} can't be read: {error}", version.number));
                    }
                }
            }
            Detail::Group | Detail::Provider { .. } => {}
        }
        Ok(())
    }

    fn is_policy(&self, row: &EntityRow, arn: &str) -> Result<bool> {
        if Builtin::by_arn(arn).is_some() {
            return Ok(true);
        }
        let Some((Some(account), Kind::Policy, _, name)) = parse_arn(arn) else {
            return Ok(false);
        };
        let at = keys::name(account, Kind::Policy, name);
        Ok(account == row.account && self.lookup::<PointerRow>(&at)?.is_some())
    }

    fn access_key(&mut self, access_key: &str, row: &AccessKeyRow) -> Result<()> {
        let has_it = match &row.user {
            None => self
                .lookup::<AccountRow>(&keys::account(row.account))?
                .is_some_and(|account| account.access_keys.iter().any(|key| key == access_key)),
            Some(id) => {
                let user: Option<EntityRow> = self.lookup(&keys::entity(id))?;
                user.filter(|user| user.account == row.account).is_some_and(|user| {
                    matches!(user.detail, Detail::User { access_keys, .. }
                        if access_keys.iter().any(|key| key == access_key))
                })
            }
        };
        if !has_it {
            let whose = row.user.as_deref().unwrap_or("its account's root");
            self.found(format!("user {whose} does not have it"));
        }
        Ok(())
    }

    /// Rows that are carried forward when the store is served next.
    fn old(&mut self, key: OldKey, value: &[u8]) -> Result<()> {
        match key {
            OldKey::User(name) => {
                if let Some(row) = self.decode::<OldUser>(value) {
                    for access_key in &row.access_keys {
                        let key: Option<OldAccessKey> =
                            self.lookup(&carry::access_key_key(access_key))?;
                        if key.is_none_or(|key| key.user != name) {
                            self.found(format!("its access key {access_key} is not there"));
                        }
                    }
                }
            }
            OldKey::AccessKey(access_key) => {
                if let Some(row) = self.decode::<OldAccessKey>(value) {
                    let user: Option<OldUser> = self.lookup(&carry::user_key(&row.user))?;
                    if user.is_none_or(|user| !user.access_keys.contains(&access_key)) {
                        self.found(format!("user {} does not have it", row.user));
                    }
                }
            }
        }
        Ok(())
    }
}

//! Users of stores that an older program made, carried forward when the store is opened.
//!
//! Until version 0.1 a store had two kinds of rows: `I` name (a user: its access keys, canned
//! policies and documents) and `K` access key (the user's name and the secret as it is). Each user
//! becomes an entity of the default account in one commit, which seals its secrets and removes
//! its old rows; a crash between two commits leaves the others for the next opening.
//!
//! A document that today's grammar refuses even when it is repaired (see `document`) stays as it
//! is, and its user is disabled until somebody has replaced or deleted it.
//!
//! The log goes on holding the old commits with the plain secrets until the segments they are in
//! are rewritten.

use coffer_base::Timestamp;
use coffer_base::wire::{Put, Reader};
use coffer_catalog::Txn;
use coffer_catalog::keys::{Key, KeyReader};

use crate::access_keys::insert_key;
use crate::builtin::Builtin;
use crate::entities::{add, find};
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::ids::{AccountId, Kind, random_id};
use crate::rows::entity::{Detail, EntityRow};
use crate::rows::{AccessKeyRow, Row, Rows, boolean};

mod document;

const USER: u8 = b'I';
const ACCESS_KEY: u8 = b'K';

/// A policy of an old row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OldPolicy {
    /// One that comes with Coffer.
    Canned(String),
    /// A document.
    Json(String),
}

/// `I` name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OldUser {
    pub created: Timestamp,
    pub enabled: bool,
    pub owner_id: String,
    pub access_keys: Vec<String>,
    pub policies: Vec<OldPolicy>,
}

impl Row for OldUser {
    const NAME: &'static str = "old user";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_varint(self.created.0);
        out.put_u8(u8::from(self.enabled));
        out.put_bytes(self.owner_id.as_bytes());
        out.put_varint(self.access_keys.len() as u64);
        self.access_keys.iter().for_each(|key| out.put_bytes(key.as_bytes()));
        out.put_varint(self.policies.len() as u64);
        for policy in &self.policies {
            let (tag, text) = match policy {
                OldPolicy::Canned(name) => (0, name),
                OldPolicy::Json(json) => (1, json),
            };
            out.put_u8(tag);
            out.put_bytes(text.as_bytes());
        }
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        let created = Timestamp(r.varint()?);
        let enabled = boolean(r)?;
        let owner_id = r.str()?.to_owned();
        let access_keys = crate::rows::texts(r)?;
        let mut policies = Vec::new();
        for _ in 0..r.varint()? {
            policies.push(match r.u8()? {
                0 => OldPolicy::Canned(r.str()?.to_owned()),
                1 => OldPolicy::Json(r.str()?.to_owned()),
                _ => return None,
            });
        }
        Some(OldUser { created, enabled, owner_id, access_keys, policies })
    }
}

/// `K` access key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct OldAccessKey {
    pub user: String,
    pub secret: String,
    pub created: Timestamp,
}

impl Row for OldAccessKey {
    const NAME: &'static str = "old access key";

    fn encode_fields(&self, out: &mut Vec<u8>) {
        out.put_bytes(self.user.as_bytes());
        out.put_bytes(self.secret.as_bytes());
        out.put_varint(self.created.0);
    }

    fn decode_fields(r: &mut Reader<'_>) -> Option<Self> {
        Some(OldAccessKey {
            user: r.str()?.to_owned(),
            secret: r.str()?.to_owned(),
            created: Timestamp(r.varint()?),
        })
    }
}

pub(crate) fn user_key(name: &str) -> Vec<u8> {
    Key::new(USER).bytes(name.as_bytes()).finish()
}

pub(crate) fn access_key_key(access_key: &str) -> Vec<u8> {
    Key::new(ACCESS_KEY).bytes(access_key.as_bytes()).finish()
}

/// An old key taken apart again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OldKey {
    User(String),
    AccessKey(String),
}

pub(crate) fn parse(key: &[u8]) -> Option<OldKey> {
    let mut r = KeyReader::new(key);
    let space = r.subspace()?;
    let text = String::from_utf8(r.bytes()?).ok()?;
    let parsed = match space {
        USER => OldKey::User(text),
        ACCESS_KEY => OldKey::AccessKey(text),
        _ => return None,
    };
    r.is_empty().then_some(parsed)
}

/// Carries every old user forward; how many there were.
pub(crate) async fn forward(identity: &Identity) -> Result<usize> {
    let mut carried = 0;
    loop {
        let some = identity.snapshot().entries(&[USER], None, 100)?;
        if some.is_empty() {
            return Ok(carried);
        }
        for (key, _) in some {
            let Some(OldKey::User(name)) = parse(&key) else {
                return Err(Error::Corrupt(format!("an old user has the key {key:?}")));
            };
            let this = identity.clone();
            let account = identity.default_account();
            let notes = identity.change(account, move |txn| one(&this, txn, &name)).await?;
            for note in notes {
                tracing::warn!(event = "user_carried", "{note}");
            }
            carried += 1;
        }
    }
}

/// Carries one user forward; what the operator should know of it.
fn one(identity: &Identity, txn: &mut Txn<'_>, name: &str) -> Result<Vec<String>> {
    let at = user_key(name);
    let Some(old) = txn.row::<OldUser>(&at)? else { return Ok(Vec::new()) };
    let (mut notes, mut enabled) = (Vec::new(), old.enabled);
    let new_name = free_name(txn, identity.default_account(), name)?;
    let account = identity.default_account();
    let (mut attached, mut inline) = (Vec::new(), Vec::new());
    for policy in old.policies {
        match policy {
            OldPolicy::Canned(name) => {
                let builtin = Builtin::canned(&name).ok_or_else(|| {
                    Error::Corrupt(format!("an old user has the unknown policy {name}"))
                })?;
                let arn = builtin.arn();
                if !attached.contains(&arn) {
                    attached.push(arn);
                }
            }
            OldPolicy::Json(document) => {
                let policy = format!("policy-{:02}", inline.len() + 1);
                let mut note = |what: &str| {
                    notes.push(format!("the inline policy {policy} of the user {new_name} {what}"));
                };
                let document = match document::carried(&document) {
                    Ok(found) => {
                        if found.narrowed {
                            note(
                                "allowed all actions: as before these are S3's and Coffer's own, \
                                 not those of IAM and STS; its text says so now",
                            );
                        }
                        if found.rules_identities {
                            note("allows actions of IAM or STS, which work now");
                        }
                        found.document
                    }
                    Err(error) => {
                        note(&format!(
                            "can't be read any more ({error}): the user is disabled until the \
                             policy is replaced or deleted and the user is enabled again"
                        ));
                        enabled = false;
                        document
                    }
                };
                inline.push((policy, document));
            }
        }
    }
    let row = EntityRow {
        account,
        id: random_id(identity.rng(), Kind::User),
        name: new_name,
        path: "/".to_owned(),
        created: old.created,
        tags: Vec::new(),
        inline,
        attached,
        boundary: None,
        detail: Detail::User { enabled, groups: Vec::new(), access_keys: old.access_keys.clone() },
    };
    add(txn, &row)?;
    for access_key in &old.access_keys {
        let at = access_key_key(access_key);
        let key =
            txn.row::<OldAccessKey>(&at)?.filter(|key| key.user == name).ok_or_else(|| {
                Error::Corrupt(format!("the access key {access_key} of {name} is not there"))
            })?;
        let key_row = AccessKeyRow {
            account,
            user: Some(row.id.clone()),
            secret: identity.seal_secret(access_key, &key.secret),
            created: key.created,
            active: true,
        };
        insert_key(txn, access_key, &key_row)?;
        txn.delete(&at);
    }
    txn.delete(&at);
    Ok(notes)
}

/// Old names could differ in case alone; now the second of such a pair gets a number.
fn free_name(rows: &impl Rows, account: AccountId, name: &str) -> Result<String> {
    let mut candidate = name.to_owned();
    let mut number = 2;
    while find(rows, account, Kind::User, &candidate)?.is_some() {
        candidate = format!("{name}-{number}");
        number += 1;
    }
    Ok(candidate)
}

//! The keys of this crate's rows. They all begin with `A`; the second byte is the kind of row.
//! Old stores also have `I` and `K`, see [`crate::carry`].

use coffer_catalog::keys::{Key, KeyReader};

use crate::ids::{AccountId, Kind};

/// The subspace.
pub(crate) const SPACE: u8 = b'A';

fn space(row: u8) -> Key {
    Key::new(SPACE).u8(row)
}

/// `A` `s`: which secret key the store has.
pub(crate) fn sealing() -> Vec<u8> {
    space(b's').finish()
}

/// `A` `a` account
pub(crate) fn account(account: AccountId) -> Vec<u8> {
    space(b'a').u64(account.0).finish()
}

/// All accounts.
pub(crate) fn accounts() -> Vec<u8> {
    space(b'a').finish()
}

/// `A` `o` owner: the account that has this canonical id.
pub(crate) fn owner(owner_id: &str) -> Vec<u8> {
    space(b'o').bytes(owner_id.as_bytes()).finish()
}

/// `A` `n` account kind name: the unique id of what has this name. Names that differ in case alone
/// are the same.
pub(crate) fn name(account: AccountId, kind: Kind, name: &str) -> Vec<u8> {
    let folded = name.to_ascii_lowercase();
    space(b'n').u64(account.0).u8(kind.tag()).bytes(folded.as_bytes()).finish()
}

/// All names of one kind in an account.
pub(crate) fn names(account: AccountId, kind: Kind) -> Vec<u8> {
    space(b'n').u64(account.0).u8(kind.tag()).finish()
}

/// All names in an account.
pub(crate) fn names_of_account(account: AccountId) -> Vec<u8> {
    space(b'n').u64(account.0).finish()
}

/// `A` `e` id
pub(crate) fn entity(id: &str) -> Vec<u8> {
    space(b'e').bytes(id.as_bytes()).finish()
}

/// `A` `k` access key
pub(crate) fn access_key(access_key: &str) -> Vec<u8> {
    space(b'k').bytes(access_key.as_bytes()).finish()
}

/// `A` `l` access key: when it was last used.
pub(crate) fn last_use(access_key: &str) -> Vec<u8> {
    space(b'l').bytes(access_key.as_bytes()).finish()
}

/// `A` `m` group user
pub(crate) fn member(group: &str, user: &str) -> Vec<u8> {
    space(b'm').bytes(group.as_bytes()).bytes(user.as_bytes()).finish()
}

/// All members of a group.
pub(crate) fn members(group: &str) -> Vec<u8> {
    space(b'm').bytes(group.as_bytes()).finish()
}

/// How an entity uses a managed policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// It is attached.
    Attached,
    /// It is the permissions boundary.
    Boundary,
}

impl Use {
    fn tag(self) -> u8 {
        match self {
            Use::Attached => b'a',
            Use::Boundary => b'b',
        }
    }
}

/// `A` `t` account policy use entity: who uses a managed policy.
pub(crate) fn used_by(account: AccountId, policy: &str, how: Use, entity: &str) -> Vec<u8> {
    uses_key(account, policy, how).bytes(entity.as_bytes()).finish()
}

/// All who use a managed policy so.
pub(crate) fn uses(account: AccountId, policy: &str, how: Use) -> Vec<u8> {
    uses_key(account, policy, how).finish()
}

fn uses_key(account: AccountId, policy: &str, how: Use) -> Key {
    space(b't').u64(account.0).bytes(policy.as_bytes()).u8(how.tag())
}

/// A key taken apart again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Sealing,
    Account(AccountId),
    Owner(String),
    Name(AccountId, Kind, String),
    Entity(String),
    AccessKey(String),
    LastUse(String),
    Member { group: String, user: String },
    UsedBy { account: AccountId, policy: String, how: Use, entity: String },
}

/// Takes a key apart; `None` if no row of this crate has such a key.
pub(crate) fn parse(key: &[u8]) -> Option<Parsed> {
    let mut r = KeyReader::new(key);
    let text = |r: &mut KeyReader<'_>| String::from_utf8(r.bytes()?).ok();
    if r.subspace()? != SPACE {
        return None;
    }
    let parsed = match r.u8()? {
        b's' => Parsed::Sealing,
        b'a' => Parsed::Account(AccountId(r.u64()?)),
        b'o' => Parsed::Owner(text(&mut r)?),
        b'n' => Parsed::Name(AccountId(r.u64()?), Kind::of_tag(r.u8()?)?, text(&mut r)?),
        b'e' => Parsed::Entity(text(&mut r)?),
        b'k' => Parsed::AccessKey(text(&mut r)?),
        b'l' => Parsed::LastUse(text(&mut r)?),
        b'm' => Parsed::Member { group: text(&mut r)?, user: text(&mut r)? },
        b't' => Parsed::UsedBy {
            account: AccountId(r.u64()?),
            policy: text(&mut r)?,
            how: match r.u8()? {
                b'a' => Use::Attached,
                b'b' => Use::Boundary,
                _ => return None,
            },
            entity: text(&mut r)?,
        },
        _ => return None,
    };
    r.is_empty().then_some(parsed)
}

/// A key for messages. Access keys are not secret.
pub(crate) fn show(key: &[u8]) -> String {
    match parse(key) {
        Some(parsed) => format!("{parsed:?}"),
        None => hex::encode(key),
    }
}

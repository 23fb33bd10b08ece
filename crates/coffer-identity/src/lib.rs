//! Identities: accounts, users, groups, roles, policies, access keys and temporary credentials, in
//! the catalog. AWS IAM's model, limits and errors, without its protocol.
//!
//! Every call that reads or changes an identity takes a [`coffer_iam::Grant`] for that action on
//! that ARN. The ARN is compared again within the commit, so what was renamed or replaced
//! meanwhile is not touched. A grant for another action fails an assertion. The calls without a
//! grant are those that asking for one needs: [`Identity::credential`], and what is called
//! `…_by_arn`, `…_of` or `…_owner`.
//!
//! It does not know HTTP, XML, signatures, buckets or where the store's secret key is kept. It
//! spawns nothing.
//!
//! | module | concept |
//! |---|---|
//! | `identity` | [`Identity`]: opening, and the one commit |
//! | `entities` | what users, groups, roles, policies and providers share |
//! | `users`, `groups`, `roles`, `managed`, `providers`, `accounts` | a kind each |
//! | `attach` | inline and attached policies, boundaries |
//! | `access_keys`, `tags` | what hangs on them |
//! | `credential`, `cache` | the principal behind an access key, and those that are kept |
//! | `sessions`, `token` | temporary credentials |
//! | `seal` | the store's secret key |
//! | `simple` | the face that `coffer user` shows |
//! | [`builtin`] | the managed policies that come with Coffer |
//! | [`form`] | names, limits |
//! | [`ids`] | account numbers, unique ids, ARNs |
//! | [`paging`] | lists in pieces |
//! | `carry` | users of older stores |
//! | `fsck` | whether the rows agree |
//! | `rows` | the rows of the catalog, byte for byte |
//!
//! Invariants:
//! 1. Every change is one commit, acknowledged by all drives; a refused one leaves nothing.
//! 2. A change is one in one account, and empties the account's part of the cache of credentials
//!    before it is answered: no request that begins after the answer is served by what it took away.
//! 3. No secret is written but sealed, and each seal is bound to its access key.
//! 4. A session token holds no rights of its own: whom it acts for is looked up at every use.
//! 5. Rows that point at each other change together: names and entities, members and groups,
//!    policies and who uses them, access keys and users, counts.
//! 6. No decoder of a row or token panics, whatever the bytes.
//!
//! Read [`Identity`] first.

mod access_keys;
mod accounts;
mod attach;
pub mod builtin;
mod cache;
mod carry;
mod credential;
mod documents;
mod entities;
mod error;
pub mod form;
mod fsck;
mod groups;
mod identity;
pub mod ids;
mod managed;
pub mod paging;
mod providers;
mod roles;
mod rows;
mod seal;
mod sessions;
mod simple;
mod tags;
mod token;
mod users;

pub use access_keys::{AccessKey, LastUse, NewAccessKey};
pub use accounts::{Account, NewAccount};
pub use attach::AttachedPolicy;
pub use credential::Credential;
pub use error::{Error, Result};
pub use fsck::check_row;
pub use groups::Group;
pub use identity::{DefaultAccount, Identity, IdentitySeams, KeyCheck, RootKey};
pub use ids::{AccountId, Kind, arn, parse_arn};
pub use managed::{
    CreatePolicy, ListPolicies, ManagedPolicy, PolicyScope, PolicyUser, PolicyVersion,
};
pub use paging::{Page, Paging};
pub use providers::{CreateProvider, Provider, provider_arn};
pub use roles::{CreateRole, Role};
pub use rows::keys::Use;
pub use seal::{SECRET_KEY_BYTES, SecretKey};
pub use sessions::{AssumeRole, Issued, session_arn};
pub use simple::{AddUser, NewUser, PolicyText, UserOverview};
pub use tags::Described;
pub use token::TOKEN_CHARS_MAX;
pub use users::{CreateUser, User};

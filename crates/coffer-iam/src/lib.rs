//! Who may do what: policies in, a [`Grant`] or a [`Denied`] out. Pure functions over values.
//!
//! It does not know requests, signatures, storage or the clock; it reads no file and holds no
//! state. Where users and their policies are kept is the objects crate's matter.
//!
//! | module | concept |
//! |---|---|
//! | [`action`] | the closed list of actions that requests ask for |
//! | [`resource`] | what a request acts on, and its ARN |
//! | [`wildcard`] | matching with `*` and `?` in bounded time |
//! | [`policy`] | policy documents: reading, writing, the canned ones |
//! | [`authorize`](mod@authorize) | the decision |
//!
//! Invariants:
//! 1. A [`Grant`] is made by [`authorize()`] and by nothing else.
//! 2. An explicit deny wins over any allow; without an allow the answer is no. The order of
//!    policies and of statements never matters.
//! 3. A document with anything in it that isn't evaluated (a `Condition`, say) is refused when it
//!    is read, never ignored.
//! 4. Root is not subject to policies.
//! 5. No document and no name makes matching slower than pattern length × name length.
//!
//! Read [`authorize()`] first.

pub mod action;
pub mod authorize;
pub mod policy;
pub mod resource;
pub mod wildcard;

pub use action::{Action, Scope};
pub use authorize::{Denied, Grant, Principal, Reason, authorize};
pub use policy::{Policy, PolicyError};
pub use resource::Resource;

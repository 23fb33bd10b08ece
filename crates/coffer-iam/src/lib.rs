//! Who may do what: policies in, a [`Grant`] or a [`Denied`] out. Pure functions over values.
//!
//! It does not know requests, signatures, storage or the clock; it reads no file and holds no
//! state. Where identities and their policies are kept is the business of the crates above.
//!
//! | module | concept |
//! |---|---|
//! | [`action`] | the closed list of actions that requests ask for |
//! | [`resource`] | what a request acts on, and its ARN |
//! | [`principal`] | who asks, and its policies |
//! | [`context`] | the condition keys of a request |
//! | [`ask`] | the question |
//! | [`wildcard`] | matching with `*` and `?` in bounded time |
//! | [`policy`] | policy documents: reading, writing, the canned ones |
//! | `condition` | operators and the values they compare |
//! | `keys` | the condition keys that follow from the principal |
//! | [`decide`] | the decision |
//! | [`authorize`](mod@authorize) | from a question to a grant |
//! | [`may`] | whether anything in a bucket can be allowed at all, before keys are known |
//! | [`explain`](mod@explain), [`simulate`](mod@simulate) | the same decision with its reasons, and for what-if |
//!
//! Invariants:
//! 1. A [`Grant`] is made by [`authorize()`] and by nothing else.
//! 2. An explicit deny wins over any allow; without an allow the answer is no. The order of
//!    policies and of statements never matters.
//! 3. A document with anything in it that isn't evaluated is refused when it is read, never
//!    ignored.
//! 4. The root of an account is not subject to policies of its own; it is subject to those of
//!    resources.
//! 5. No document and no name makes matching slower than a few steps for each byte of the two, and
//!    one more on each byte of the name for every 64 bytes of the pattern's longest run with `?`.
//!
//! Read [`authorize()`] first.

pub mod action;
pub mod ask;
pub mod authorize;
mod condition;
pub mod context;
pub mod decide;
pub mod explain;
mod keys;
pub mod may;
pub mod policy;
pub mod principal;
pub mod resource;
pub mod simulate;
pub mod wildcard;

pub use action::{Action, Scope};
pub use ask::Ask;
pub use authorize::{Denied, Grant, Reason, authorize};
pub use context::{Context, Keys};
pub use decide::Layer;
pub use explain::{Decision, Explanation, StatementRef, Verdict, explain};
pub use may::may_reach;
pub use policy::{Effect, Kind, Policy, PolicyError};
pub use principal::{Attached, Principal, PrincipalKind};
pub use resource::Resource;
pub use simulate::{Simulated, Simulation, simulate};

//! Tokens of identity providers (OpenID Connect): reading them, the keys they are signed with,
//! and fetching those from the issuer.
//!
//! A token is believed only when its issuer is a provider of the account that the role belongs
//! to, its signature is that of one of the issuer's published keys, it is of now, and it was made
//! for one of the provider's client ids.

pub mod fetch;
pub(crate) mod issuers;
pub(crate) mod keys;
pub(crate) mod token;

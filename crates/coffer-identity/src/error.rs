//! The errors: each variant is something the caller answers differently. Where AWS has the error,
//! the variant has its name, and the text is the one that AWS's tools show.

use std::fmt;

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The user, group, role, policy, key or provider does not exist.
    NoSuchEntity(String),
    /// Another one has that name.
    EntityAlreadyExists(String),
    /// Something still hangs on what was to be deleted.
    DeleteConflict(String),
    /// One more would be too many.
    LimitExceeded(String),
    /// A value that the call does not take.
    InvalidInput(String),
    /// A value that is not of the form that the field has.
    Validation(String),
    /// The policy document can't be read, or says what such a policy can't say.
    MalformedPolicyDocument(String),
    /// The policy can't be attached.
    PolicyNotAttachable(String),
    /// It comes with Coffer and can't be changed.
    UnmodifiableEntity(String),
    /// What was authorized is not there any more as it was: ask again.
    ConcurrentModification(String),
    /// The session token is not one that this store made for that access key.
    InvalidToken,
    /// The session token's time is over.
    ExpiredToken,
    /// A session's policies and tags are too much for its token.
    PackedPolicyTooLarge(String),
    /// Secrets are sealed with another key than the one given, or none was given.
    WrongSecretKey(String),
    /// The store refuses changes.
    ReadOnly(String),
    /// The drives are full.
    Full,
    /// It may work later.
    Unavailable(String),
    /// Stored data contradicts itself.
    Corrupt(String),
    /// The change may have been made or not.
    Unknown(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoSuchEntity(what)
            | Error::EntityAlreadyExists(what)
            | Error::DeleteConflict(what)
            | Error::LimitExceeded(what)
            | Error::InvalidInput(what)
            | Error::Validation(what)
            | Error::MalformedPolicyDocument(what)
            | Error::PolicyNotAttachable(what)
            | Error::UnmodifiableEntity(what)
            | Error::ConcurrentModification(what)
            | Error::PackedPolicyTooLarge(what)
            | Error::WrongSecretKey(what) => f.write_str(what),
            Error::InvalidToken => {
                f.write_str("The security token included in the request is invalid")
            }
            Error::ExpiredToken => {
                f.write_str("The security token included in the request is expired")
            }
            Error::ReadOnly(why) => write!(f, "the store is read-only: {why}"),
            Error::Full => f.write_str("the drives are full"),
            Error::Unavailable(why) => write!(f, "unavailable: {why}"),
            Error::Corrupt(what) => write!(f, "corrupt: {what}"),
            Error::Unknown(what) => write!(f, "the outcome of the change is unknown: {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<coffer_catalog::EngineError> for Error {
    fn from(error: coffer_catalog::EngineError) -> Self {
        // A damaged index is made anew from the log.
        Error::Unavailable(error.to_string())
    }
}

impl From<coffer_catalog::TxnError> for Error {
    fn from(error: coffer_catalog::TxnError) -> Self {
        error.0.into()
    }
}

//! What went wrong with a call, as its client is told: AWS's codes, and the tables that map
//! errors of other crates to them.

use std::borrow::Cow;
use std::fmt;

use coffer_iam::Denied;
use coffer_identity::Error as IdentityError;
use coffer_sigv4::Error as SignatureError;
use http::StatusCode;

use crate::document::{Document, seconds};

#[cfg(test)]
mod tests;

macro_rules! codes {
    ($($name:ident $status:literal;)*) => {
        /// An error code of IAM or STS.
        #[allow(missing_docs)] // Their names say what AWS's references say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($name,)*
        }

        impl Code {
            /// The code as clients match on it.
            pub fn name(self) -> &'static str {
                match self { $(Code::$name => stringify!($name),)* }
            }

            /// The status it comes with.
            pub fn status(self) -> StatusCode {
                let status = match self { $(Code::$name => $status,)* };
                StatusCode::from_u16(status).expect("the table has valid statuses")
            }
        }
    };
}

codes! {
    AccessDenied 403;
    ConcurrentModification 409;
    DeleteConflict 409;
    EntityAlreadyExists 409;
    ExpiredToken 403;
    ExpiredTokenException 400;
    IDPCommunicationError 400;
    IDPRejectedClaim 403;
    IncompleteSignature 400;
    InvalidAction 400;
    InvalidClientTokenId 403;
    InvalidIdentityToken 400;
    InvalidInput 400;
    LimitExceeded 409;
    MalformedPolicyDocument 400;
    MalformedQueryString 400;
    MissingAction 400;
    MissingAuthenticationToken 403;
    NoSuchEntity 404;
    NoSuchVersion 400;
    NotImplemented 501;
    PackedPolicyTooLarge 400;
    PolicyNotAttachable 400;
    RequestEntityTooLarge 413;
    RequestTimeout 400;
    ServiceFailure 500;
    ServiceUnavailable 503;
    SignatureDoesNotMatch 403;
    UnmodifiableEntity 400;
    ValidationError 400;
}

/// What went wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// What clients match on.
    pub code: Code,
    /// What people read.
    pub message: Cow<'static, str>,
    /// What the log says besides, and the client is not told.
    pub cause: Option<Box<str>>,
}

impl QueryError {
    /// `code` with its text.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> QueryError {
        QueryError { code, message: message.into(), cause: None }
    }

    /// An operation or a parameter that Coffer does not have.
    pub fn not_implemented(what: &str) -> QueryError {
        QueryError::new(Code::NotImplemented, format!("{what} is not implemented."))
    }

    /// The access key, or the token with it, is nobody's.
    pub fn unknown_caller() -> QueryError {
        QueryError::new(
            Code::InvalidClientTokenId,
            "The security token included in the request is invalid.",
        )
    }

    /// A failure of the server's own.
    pub fn failure(cause: impl fmt::Display) -> QueryError {
        QueryError::new(Code::ServiceFailure, "The request failed because of an unknown error.")
            .caused_by(cause)
    }

    /// Adds what only the log says.
    pub fn caused_by(mut self, cause: impl fmt::Display) -> QueryError {
        self.cause = Some(cause.to_string().into());
        self
    }

    /// The document that tells it.
    pub(crate) fn to_xml(&self, namespace: &str, request: &str) -> String {
        let at_fault = if self.code.status().is_server_error() { "Receiver" } else { "Sender" };
        let mut xml = Document::new();
        xml.within("Error", |xml| {
            xml.text("Type", at_fault)
                .text("Code", self.code.name())
                .text("Message", &self.message);
        });
        xml.text("RequestId", request);
        format!("<ErrorResponse xmlns=\"{namespace}\">{}</ErrorResponse>", xml.finish())
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for QueryError {}

impl From<Denied> for QueryError {
    fn from(denied: Denied) -> QueryError {
        QueryError::new(Code::AccessDenied, denied.message()).caused_by(denied)
    }
}

impl From<SignatureError> for QueryError {
    fn from(error: SignatureError) -> QueryError {
        let mismatch = |text: String| QueryError::new(Code::SignatureDoesNotMatch, text);
        let incomplete = |text: String| QueryError::new(Code::IncompleteSignature, text);
        match error {
            SignatureError::BadQuery => {
                QueryError::new(Code::MalformedQueryString, "The query can't be decoded.")
            }
            SignatureError::TooSkewed { at, now } => mismatch(format!(
                "Signature expired or not yet current: {} is not within 15 minutes of {}",
                seconds(at),
                seconds(now)
            )),
            SignatureError::Expired { expires, now, .. } => mismatch(format!(
                "Signature expired: {} is now earlier than {}",
                seconds(expires),
                seconds(now)
            )),
            SignatureError::NotYetValid => mismatch("Signature not yet current".to_owned()),
            SignatureError::WrongScope { message, .. } => mismatch(message),
            SignatureError::DoesNotMatch(mine) => mismatch(format!(
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method. Consult the service \
                 documentation for details.\n\nThe Canonical String for this request should have \
                 been\n'{}'\n\nThe String-to-Sign should have been\n'{}'\n",
                String::from_utf8_lossy(&mine.canonical),
                mine.string_to_sign
            )),
            SignatureError::ChunkDoesNotMatch
            | SignatureError::PayloadMismatch
            | SignatureError::PayloadHashesDiffer
            | SignatureError::TokensDiffer
            | SignatureError::HeadersNotSigned(_) => mismatch(error.to_string()),
            SignatureError::Repeated(_)
            | SignatureError::NotText(_)
            | SignatureError::SeveralMechanisms
            | SignatureError::Unsupported
            | SignatureError::AsymmetricUnsupported
            | SignatureError::Malformed { .. }
            | SignatureError::MissingDate
            | SignatureError::MissingPayloadHash => incomplete(error.to_string()),
        }
    }
}

impl From<IdentityError> for QueryError {
    fn from(error: IdentityError) -> QueryError {
        let told = |code| QueryError::new(code, error.to_string());
        match &error {
            IdentityError::NoSuchEntity(_) => told(Code::NoSuchEntity),
            IdentityError::EntityAlreadyExists(_) => told(Code::EntityAlreadyExists),
            IdentityError::DeleteConflict(_) => told(Code::DeleteConflict),
            IdentityError::LimitExceeded(_) => told(Code::LimitExceeded),
            IdentityError::InvalidInput(_) => told(Code::InvalidInput),
            IdentityError::Validation(_) => told(Code::ValidationError),
            IdentityError::MalformedPolicyDocument(_) => told(Code::MalformedPolicyDocument),
            IdentityError::PolicyNotAttachable(_) => told(Code::PolicyNotAttachable),
            IdentityError::UnmodifiableEntity(_) => told(Code::UnmodifiableEntity),
            IdentityError::ConcurrentModification(_) => told(Code::ConcurrentModification),
            IdentityError::PackedPolicyTooLarge(_) => told(Code::PackedPolicyTooLarge),
            IdentityError::InvalidToken => QueryError::unknown_caller(),
            IdentityError::ExpiredToken => told(Code::ExpiredToken),
            IdentityError::ReadOnly(_) | IdentityError::Full | IdentityError::Unavailable(_) => {
                QueryError::new(Code::ServiceUnavailable, "The store takes no changes now.")
                    .caused_by(error)
            }
            IdentityError::WrongSecretKey(_)
            | IdentityError::Corrupt(_)
            | IdentityError::Unknown(_) => QueryError::failure(error),
        }
    }
}

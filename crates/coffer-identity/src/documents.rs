//! Policy documents: reading them as what they are to be, and their limits.

use std::sync::Arc;

use coffer_iam::Policy;
use coffer_iam::policy::Kind as DocumentKind;

use crate::error::{Error, Result};
use crate::form::{TRUST_CHARS_MAX, document_chars, exceeded};

fn parse(document: &str, kind: DocumentKind) -> Result<Arc<Policy>> {
    let parsed = Policy::parse(document, kind);
    parsed.map(Arc::new).map_err(|error| Error::MalformedPolicyDocument(error.to_string()))
}

/// A policy of a user, group or role, a boundary, or a policy of a session.
pub(crate) fn identity(document: &str) -> Result<Arc<Policy>> {
    parse(document, DocumentKind::Identity)
}

/// Who may take on a role.
pub(crate) fn trust(document: &str) -> Result<Arc<Policy>> {
    if document_chars(document) > TRUST_CHARS_MAX {
        return Err(exceeded("ACLSizePerRole", TRUST_CHARS_MAX));
    }
    parse(document, DocumentKind::Trust)
}

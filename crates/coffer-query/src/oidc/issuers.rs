//! The key sets of issuers, fetched when they are needed and kept for a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coffer_base::Clock;
use serde_json::Value;

use super::fetch::Fetch;
use super::keys::KeySet;
use super::token::Token;
use crate::error::{Code, QueryError};

#[cfg(test)]
mod tests;

/// How long keys are used before they are fetched again.
const KEPT: Duration = Duration::from_secs(3600);
/// How soon keys may be fetched again for a token that none of them signed.
const REFETCHED_MIN: Duration = Duration::from_secs(30);
/// How many issuers are kept; when there are more, all are forgotten.
const ISSUERS_MAX: usize = 1000;

/// Fetches and keeps key sets.
pub(crate) struct Issuers {
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<Source, Arc<Slot>>>,
}

/// An issuer, and by whose certificates it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    issuer: String,
    thumbprints: Vec<String>,
}

/// One fetch at a time for each issuer.
type Slot = tokio::sync::Mutex<Option<Kept>>;

struct Kept {
    keys: KeySet,
    at: Duration,
}

impl Issuers {
    pub(crate) fn new(fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Issuers {
        Issuers { fetch, clock, kept: Mutex::default() }
    }

    /// Refuses a token that its issuer did not sign. Who the issuer is must have been checked.
    pub(crate) async fn check_signature(
        &self,
        token: &Token,
        thumbprints: &[String],
    ) -> Result<(), QueryError> {
        let source = Source { issuer: token.issuer.clone(), thumbprints: thumbprints.to_owned() };
        let slot = self.slot(&source);
        let mut slot = slot.lock().await;
        let now = self.clock.monotonic();
        let wanted = match &*slot {
            None => true,
            Some(kept) => {
                let age = now.saturating_sub(kept.at);
                age >= KEPT || (age >= REFETCHED_MIN && !kept.keys.knows(token))
            }
        };
        if wanted {
            let keys = self.fetch_keys(&source).await?;
            *slot = Some(Kept { keys, at: now });
        }
        if slot.as_ref().is_some_and(|kept| kept.keys.signed(token)) {
            return Ok(());
        }
        Err(QueryError::new(
            Code::InvalidIdentityToken,
            "Couldn't retrieve verification key from your identity provider, or the token's \
             signature is not of one of its keys.",
        ))
    }

    fn slot(&self, source: &Source) -> Arc<Slot> {
        // A slot is whole after any panic.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= ISSUERS_MAX && !kept.contains_key(source) {
            kept.clear();
        }
        kept.entry(source.clone()).or_default().clone()
    }

    async fn fetch_keys(&self, source: &Source) -> Result<KeySet, QueryError> {
        let Source { issuer, thumbprints } = source;
        let trouble = |what: String| {
            QueryError::new(
                Code::IDPCommunicationError,
                "The keys of your identity provider can't be fetched.",
            )
            .caused_by(what)
        };
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        let url = format!("{base}/.well-known/openid-configuration");
        let document = self.fetch.get(&url, thumbprints).await;
        let document = document.map_err(|error| trouble(format!("{url}: {error}")))?;
        let document: Value = serde_json::from_slice(&document)
            .map_err(|error| trouble(format!("{url}: {error}")))?;
        // OpenID Connect Discovery 1.0, 4.3: "The issuer value returned MUST be identical to the
        // Issuer URL that was used".
        if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(trouble(format!("{url}: its issuer is another")));
        }
        let keys_url = document.get("jwks_uri").and_then(Value::as_str).unwrap_or_default();
        if !keys_url.starts_with("https://") {
            return Err(trouble(format!("{url}: its jwks_uri is not https://")));
        }
        let document = self.fetch.get(keys_url, thumbprints).await;
        let document = document.map_err(|error| trouble(format!("{keys_url}: {error}")))?;
        KeySet::parse(&document).ok_or_else(|| trouble(format!("{keys_url}: it is no key set")))
    }
}

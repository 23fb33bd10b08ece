//! The key sets of issuers, fetched when they are needed and kept for a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coffer_base::Clock;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::fetch::Fetch;
use super::keys::KeySet;
use super::token::Token;
use crate::error::{Code, QueryError};

#[cfg(test)]
mod tests;

/// How long keys are used before they are fetched again.
const KEPT: Duration = Duration::from_secs(3600);
/// How long keys are used at most while their issuer can't be asked.
const STALE_MAX: Duration = Duration::from_secs(4 * 3600);
/// How soon keys may be fetched again for a token that none of them signed, and after a failure.
const REFETCHED_MIN: Duration = Duration::from_secs(30);
/// How many issuers are kept; when there are more, all are forgotten.
const ISSUERS_MAX: usize = 1000;
/// How many issuers are asked at the same time.
const FETCHES_MAX: usize = 16;

/// Fetches and keeps key sets.
pub(crate) struct Issuers {
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<Source, Arc<Slot>>>,
    fetches: Arc<Semaphore>,
}

/// An issuer, and by whose certificates it is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Source {
    issuer: String,
    thumbprints: Vec<String>,
}

/// What is known of an issuer.
#[derive(Default)]
struct Slot {
    known: Mutex<Known>,
    /// Held by the one fetch that is under way.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Known {
    keys: Option<(KeySet, Duration)>,
    /// The last fetch, if it failed.
    failure: Option<(QueryError, Duration)>,
}

/// What is known of a token without a fetch.
enum Verdict {
    Signed,
    Refused(QueryError),
    /// Only a fetch can tell; whether keys that are out of date have signed it.
    Fetch {
        by_stale: bool,
    },
}

impl Slot {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // It is whole after any panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verdict(&self, token: &Token, now: Duration) -> Verdict {
        let known = self.known();
        let keys = known.keys.as_ref().map(|(keys, at)| (keys, now.saturating_sub(*at)));
        if let Some((keys, age)) = keys
            && (age < REFETCHED_MIN || (age < KEPT && keys.knows(token)))
        {
            return match keys.signed(token) {
                true => Verdict::Signed,
                false => Verdict::Refused(not_signed()),
            };
        }
        let by_stale = keys.is_some_and(|(keys, age)| age < STALE_MAX && keys.signed(token));
        match &known.failure {
            Some((error, at)) if now.saturating_sub(*at) < REFETCHED_MIN => match by_stale {
                true => Verdict::Signed,
                false => Verdict::Refused(error.clone()),
            },
            _ => Verdict::Fetch { by_stale },
        }
    }
}

fn not_signed() -> QueryError {
    QueryError::new(
        Code::InvalidIdentityToken,
        "Couldn't retrieve verification key from your identity provider, or the token's \
         signature is not of one of its keys.",
    )
}

impl Issuers {
    pub(crate) fn new(fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Issuers {
        let fetches = Arc::new(Semaphore::new(FETCHES_MAX));
        Issuers { fetch, clock, kept: Mutex::default(), fetches }
    }

    /// Whether kept keys have signed the token; `None` if there are none. Nothing is fetched.
    pub(crate) fn signed_by_kept(&self, token: &Token, thumbprints: &[String]) -> Option<bool> {
        let slot = self.slot(&Source::of(token, thumbprints));
        match slot.verdict(token, self.clock.monotonic()) {
            Verdict::Signed => Some(true),
            Verdict::Refused(_) => Some(false),
            Verdict::Fetch { by_stale } => by_stale.then_some(true),
        }
    }

    /// Refuses a token that its issuer did not sign. Who the issuer is must have been checked, and
    /// that somebody trusts it: its keys may be fetched.
    pub(crate) async fn check_signature(
        &self,
        token: &Token,
        thumbprints: &[String],
    ) -> Result<(), QueryError> {
        let source = Source::of(token, thumbprints);
        let slot = self.slot(&source);
        let by_stale = match slot.verdict(token, self.clock.monotonic()) {
            Verdict::Signed => return Ok(()),
            Verdict::Refused(error) => return Err(error),
            Verdict::Fetch { by_stale } => by_stale,
        };
        let fetching = match slot.fetching.clone().try_lock_owned() {
            Ok(fetching) => fetching,
            // Nobody waits who need not.
            Err(_) if by_stale => return Ok(()),
            Err(_) => slot.fetching.clone().lock_owned().await,
        };
        // The fetch that this one has waited for may have told.
        match slot.verdict(token, self.clock.monotonic()) {
            Verdict::Signed => return Ok(()),
            Verdict::Refused(error) => return Err(error),
            Verdict::Fetch { .. } => {}
        }
        let Ok(permit) = self.fetches.clone().try_acquire_owned() else {
            let what = "The keys of too many identity providers are being fetched.";
            return if by_stale {
                Ok(())
            } else {
                Err(QueryError::new(Code::IDPCommunicationError, what))
            };
        };
        let (fetch, clock, filled) = (self.fetch.clone(), self.clock.clone(), slot.clone());
        // It goes on when the caller goes away: what comes of it is everybody's.
        let task = tokio::spawn(async move {
            let fetched = fetch_keys(&*fetch, &source).await;
            let now = clock.monotonic();
            let mut known = filled.known();
            match fetched {
                Ok(keys) => *known = Known { keys: Some((keys, now)), failure: None },
                Err(error) => known.failure = Some((error, now)),
            }
            drop(known);
            drop((fetching, permit));
        });
        task.await.map_err(QueryError::failure)?;
        match slot.verdict(token, self.clock.monotonic()) {
            Verdict::Signed => Ok(()),
            Verdict::Refused(error) => Err(error),
            // The clock has jumped since.
            Verdict::Fetch { by_stale: true } => Ok(()),
            Verdict::Fetch { by_stale: false } => Err(not_signed()),
        }
    }

    fn slot(&self, source: &Source) -> Arc<Slot> {
        // It is whole after any panic.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= ISSUERS_MAX && !kept.contains_key(source) {
            kept.clear();
        }
        kept.entry(source.clone()).or_default().clone()
    }
}

impl Source {
    fn of(token: &Token, thumbprints: &[String]) -> Source {
        Source { issuer: token.issuer.clone(), thumbprints: thumbprints.to_owned() }
    }
}

async fn fetch_keys(fetch: &dyn Fetch, source: &Source) -> Result<KeySet, QueryError> {
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
    let document = fetch.get(&url, thumbprints).await;
    let document = document.map_err(|error| trouble(format!("{url}: {error}")))?;
    let document: Value =
        serde_json::from_slice(&document).map_err(|error| trouble(format!("{url}: {error}")))?;
    // OpenID Connect Discovery 1.0, 4.3: "The issuer value returned MUST be identical to the
    // Issuer URL that was used".
    if document.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(trouble(format!("{url}: its issuer is another")));
    }
    let keys_url = document.get("jwks_uri").and_then(Value::as_str).unwrap_or_default();
    if !keys_url.starts_with("https://") {
        return Err(trouble(format!("{url}: its jwks_uri is not https://")));
    }
    let document = fetch.get(keys_url, thumbprints).await;
    let document = document.map_err(|error| trouble(format!("{keys_url}: {error}")))?;
    KeySet::parse(&document).ok_or_else(|| trouble(format!("{keys_url}: it is no key set")))
}

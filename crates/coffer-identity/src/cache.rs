//! Credentials that were looked up: bounded in bytes, and emptied account by account.
//!
//! What a credential stands for is all in rows of its account, so a change in one account leaves
//! what is kept of the others. What was looked up before a change is not kept after it, also when
//! it was under way meanwhile.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::credential::Credential;
use crate::ids::AccountId;

/// How much memory all that is kept may take.
const BYTES_MAX: usize = 64 << 20;

/// What a credential is looked up by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey {
    pub(crate) access_key: String,
    /// The SHA-256 of the token that came with it.
    pub(crate) token: Option<[u8; 32]>,
}

/// Credentials that were looked up.
pub(crate) struct Cache {
    bytes_max: usize,
    kept: RwLock<Kept>,
}

/// The changes that were made when a lookup began: it counts all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

#[derive(Default)]
struct Kept {
    /// How many changes there were.
    changes: u64,
    /// Which of them was the last in each account that had one.
    changed: HashMap<AccountId, u64>,
    credentials: HashMap<CacheKey, Entry>,
    /// Their keys, the oldest first: those that were not used since they were last here go first.
    queue: VecDeque<CacheKey>,
    /// What all of them weigh.
    bytes: usize,
}

struct Entry {
    credential: Credential,
    account: AccountId,
    bytes: usize,
    used: AtomicBool,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache::within(BYTES_MAX)
    }
}

impl Cache {
    fn within(bytes_max: usize) -> Cache {
        Cache { bytes_max, kept: RwLock::default() }
    }

    // What is kept is whole after any panic.
    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept; else what to give to [`keep`](Cache::keep) with what is found elsewhere from
    /// now on.
    pub(crate) fn get(&self, key: &CacheKey) -> Result<Credential, Generation> {
        let kept = self.read();
        let entry = kept.credentials.get(key).ok_or(Generation(kept.changes))?;
        entry.used.store(true, Ordering::Relaxed);
        Ok(entry.credential.clone())
    }

    /// Keeps what was found since `generation`, unless its account changed since.
    pub(crate) fn keep(&self, key: CacheKey, credential: Credential, generation: Generation) {
        let Some(account) = AccountId::parse(&credential.principal.account) else {
            return;
        };
        let bytes = size_of::<Entry>() + 2 * size_of::<CacheKey>() + credential.weight_bytes();
        if bytes > self.bytes_max {
            return;
        }
        let mut kept = self.write();
        if kept.changed.get(&account).is_some_and(|change| *change > generation.0)
            || kept.credentials.contains_key(&key)
        {
            return;
        }
        while kept.bytes + bytes > self.bytes_max {
            kept.drop_one();
        }
        kept.bytes += bytes;
        kept.queue.push_back(key.clone());
        kept.credentials
            .insert(key, Entry { credential, account, bytes, used: AtomicBool::new(false) });
    }

    /// Forgets what is kept of an account, and what is being looked up for it.
    pub(crate) fn forget(&self, account: AccountId) {
        let mut kept = self.write();
        let kept = &mut *kept;
        kept.changes += 1;
        kept.changed.insert(account, kept.changes);
        let (credentials, bytes) = (&mut kept.credentials, &mut kept.bytes);
        kept.queue.retain(|key| {
            let gone = credentials.get(key).is_none_or(|entry| entry.account == account);
            if gone && let Some(entry) = credentials.remove(key) {
                *bytes -= entry.bytes;
            }
            !gone
        });
    }
}

impl Kept {
    /// Drops the oldest that was not used since it was last looked at.
    fn drop_one(&mut self) {
        while let Some(key) = self.queue.pop_front() {
            let Some(entry) = self.credentials.get_mut(&key) else { continue };
            if std::mem::take(entry.used.get_mut()) {
                self.queue.push_back(key);
                continue;
            }
            self.bytes -= entry.bytes;
            self.credentials.remove(&key);
            return;
        }
        assert_eq!(self.bytes, 0, "nothing is kept, and it weighs something");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use coffer_iam::{Attached, Kind, Policy, Principal};

    use super::*;

    const ONE: AccountId = AccountId(111_122_223_333);
    const OTHER: AccountId = AccountId(444_455_556_666);

    fn key(name: &str) -> CacheKey {
        CacheKey { access_key: name.to_owned(), token: None }
    }

    fn of(account: AccountId, policies: usize) -> Credential {
        let mut principal = Principal::user(account.to_string(), "c", "ada", "AIDAADA");
        let document = r#"{"Version":"2012-10-17","Statement":
            [{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
        let policy = Arc::new(Policy::parse(document, Kind::Identity).unwrap());
        principal.policies = vec![Attached::new("p", policy); policies];
        Credential {
            secret: "s".to_owned(),
            principal: Arc::new(principal),
            enabled: true,
            expires: None,
        }
    }

    fn look(cache: &Cache, name: &str, credential: &Credential) -> bool {
        match cache.get(&key(name)) {
            Ok(_) => true,
            Err(generation) => {
                cache.keep(key(name), credential.clone(), generation);
                false
            }
        }
    }

    #[test]
    fn a_change_costs_its_own_account_only() {
        let cache = Cache::default();
        for (name, account) in [("a", ONE), ("b", ONE), ("c", OTHER)] {
            assert!(!look(&cache, name, &of(account, 1)));
            assert!(look(&cache, name, &of(account, 1)));
        }
        cache.forget(ONE);
        assert!(cache.get(&key("a")).is_err() && cache.get(&key("b")).is_err());
        assert!(cache.get(&key("c")).is_ok());
        cache.forget(OTHER);
        assert!(cache.get(&key("c")).is_err());
        assert_eq!((cache.read().bytes, cache.read().queue.len()), (0, 0));
    }

    #[test]
    fn what_was_looked_up_before_a_change_is_not_kept_after_it() {
        let cache = Cache::default();
        let before = cache.get(&key("a")).err().unwrap();
        let beside = cache.get(&key("c")).err().unwrap();
        cache.forget(ONE);
        let after = cache.get(&key("a")).err().unwrap();
        cache.keep(key("a"), of(ONE, 1), before);
        assert!(cache.get(&key("a")).is_err(), "it may be what the change took away");
        cache.keep(key("c"), of(OTHER, 1), beside);
        assert!(cache.get(&key("c")).is_ok(), "nothing changed there");
        cache.keep(key("a"), of(ONE, 1), after);
        assert!(cache.get(&key("a")).is_ok());
    }

    #[test]
    fn the_bytes_are_bounded_and_what_is_used_stays() {
        let large = of(ONE, 100);
        let cache = Cache::within(20 * large.weight_bytes());
        for round in 0..200 {
            look(&cache, "often", &large);
            assert!(!look(&cache, &format!("once{round}"), &large));
            let kept = cache.read();
            assert!(kept.bytes <= cache.bytes_max);
            assert_eq!(kept.bytes, kept.credentials.values().map(|e| e.bytes).sum::<usize>());
            assert_eq!(kept.queue.len(), kept.credentials.len());
        }
        assert!(cache.get(&key("often")).is_ok());
        assert!(cache.get(&key("once0")).is_err() && cache.get(&key("once199")).is_ok());
        let small = of(ONE, 1);
        assert!(large.weight_bytes() > 20 * small.weight_bytes());
        // One that is larger than all that may be kept displaces nothing.
        assert!(!look(&cache, "huge", &of(ONE, 3_000)));
        assert!(cache.get(&key("huge")).is_err() && cache.get(&key("often")).is_ok());
    }
}

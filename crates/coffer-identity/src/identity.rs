//! The store of identities: opening it, reading rows, and the one commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use coffer_base::{Ack, Clock, Rng, Timestamp};
use coffer_catalog::{Catalog, CommitError, Snapshot, Txn};

use crate::cache::Cache;
use crate::carry;
use crate::error::{Error, Result};
use crate::ids::AccountId;
use crate::rows::{AccountRow, LastUseRow, PointerRow, Row, Rows, SealingRow, keys};
use crate::seal::{Seals, SecretKey};

/// The seams it stands on.
#[derive(Clone)]
pub struct IdentitySeams {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, fit for keys in a server.
    pub rng: Arc<dyn Rng>,
}

/// The account that a store has from its beginning, and its root, who is the store's operator.
#[derive(Clone)]
pub struct DefaultAccount {
    /// Its number.
    pub id: AccountId,
    /// What its buckets show as their owner.
    pub owner_id: String,
    /// The operator's key pair, which is not kept in the store; `None` when nobody can ask with
    /// it, in a tool.
    pub root: Option<RootKey>,
}

/// The operator's key pair.
#[derive(Clone)]
pub struct RootKey {
    /// The access key.
    pub access_key: String,
    /// The secret.
    pub secret: String,
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootKey").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// The store of identities: every call is a method. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    catalog: Catalog,
    seams: IdentitySeams,
    seals: Seals,
    default: DefaultAccount,
    cache: Cache,
    /// When keys were last used, since the opening.
    uses: Mutex<HashMap<String, LastUseRow>>,
}

/// What only the right key opens.
const CHECK_TEXT: &[u8] = b"This is the secret key of this store.";
/// What it belongs to.
const CHECK_OF: &str = "the store itself";

/// Most room that a commit is tried with.
const COMMIT_BYTES_MAX: usize = 2 << 20;
/// The room that it is tried with first.
const COMMIT_BYTES: usize = 128 << 10;

/// What tells the secret key of a store from any other.
pub struct KeyCheck(SealingRow);

impl KeyCheck {
    /// That of the store; `None`: it has sealed nothing yet, so that any key would do.
    pub fn of(catalog: &Catalog) -> Result<Option<KeyCheck>> {
        Ok(catalog.snapshot().row(&keys::sealing())?.map(KeyCheck))
    }

    /// Whether the store's secrets are sealed with this key.
    pub fn fits(&self, key: &SecretKey) -> bool {
        self.opens(&Seals::new(key))
    }

    fn opens(&self, seals: &Seals) -> bool {
        seals.secrets().open(CHECK_OF, &self.0.check).as_deref() == Some(CHECK_TEXT)
    }
}

impl Identity {
    /// Opens the identities in `catalog`. A store that has none yet gets its default account; one
    /// that an older program made has its users carried forward. [`Error::WrongSecretKey`] if
    /// its secrets are sealed with another key.
    pub async fn open(
        catalog: Catalog,
        key: &SecretKey,
        seams: IdentitySeams,
        default: DefaultAccount,
    ) -> Result<Identity> {
        let inner = Inner {
            catalog,
            seams,
            seals: Seals::new(key),
            default,
            cache: Cache::default(),
            uses: Mutex::default(),
        };
        let identity = Identity { inner: Arc::new(inner) };
        identity.check_key().await?;
        identity.make_default_account().await?;
        carry::forward(&identity).await?;
        Ok(identity)
    }

    /// The number of the account that the store has from its beginning.
    pub fn default_account(&self) -> AccountId {
        self.inner.default.id
    }

    /// The owner id of that account.
    pub fn default_owner_id(&self) -> &str {
        &self.inner.default.owner_id
    }

    async fn check_key(&self) -> Result<()> {
        let check = |check: KeyCheck| {
            if check.opens(self.seals()) {
                return Ok(());
            }
            Err(Error::WrongSecretKey(
                "the secret key is not the one that the secrets of this store are sealed with"
                    .to_owned(),
            ))
        };
        if let Some(found) = KeyCheck::of(self.catalog())? {
            return check(found);
        }
        let made = self.seals().secrets().seal(self.rng(), CHECK_OF, CHECK_TEXT);
        let made = SealingRow { check: made }.encode();
        let row = self
            .change(self.default_account(), move |txn| {
                let at = keys::sealing();
                match txn.row::<SealingRow>(&at)? {
                    Some(row) => Ok(Some(row)),
                    None => {
                        txn.put(&at, &made);
                        Ok(None)
                    }
                }
            })
            .await?;
        row.map(KeyCheck).map_or(Ok(()), check)
    }

    async fn make_default_account(&self) -> Result<()> {
        let DefaultAccount { id, owner_id, .. } = self.inner.default.clone();
        let at = keys::account(id);
        if let Some(row) = self.snapshot().row::<AccountRow>(&at)? {
            if row.owner_id == owner_id {
                return Ok(());
            }
            return Err(Error::Corrupt(format!("account {id} has another owner id")));
        }
        let row = AccountRow {
            name: "default".to_owned(),
            owner_id: owner_id.clone(),
            created: self.now(),
            access_keys: Vec::new(),
            counts: [0; 5],
        };
        self.change(id, move |txn| {
            txn.put(&at, &row.encode());
            txn.put(&keys::owner(&owner_id), &PointerRow(id.to_string()).encode());
            Ok(())
        })
        .await
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.inner.catalog.snapshot()
    }

    pub(crate) fn seals(&self) -> &Seals {
        &self.inner.seals
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.inner.cache
    }

    pub(crate) fn rng(&self) -> &dyn Rng {
        &*self.inner.seams.rng
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.seams.clock.now()
    }

    pub(crate) fn operator(&self) -> Option<&RootKey> {
        self.inner.default.root.as_ref()
    }

    pub(crate) fn uses(&self) -> std::sync::MutexGuard<'_, HashMap<String, LastUseRow>> {
        // Dates of last use are whole after any panic.
        self.inner.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits `plan`, which changes rows of one account only, and empties the cache of that
    /// account before it is answered: what a credential stands for is all in rows of its account.
    /// It may run several times, in vain all but the last.
    pub(crate) async fn change<T, P>(&self, account: AccountId, plan: P) -> Result<T>
    where
        T: Send + 'static,
        P: Fn(&mut Txn<'_>) -> Result<T> + Send + Sync + 'static,
    {
        // Not only here: a caller that goes away while the commit is under way does not come back,
        // and the commit is made all the same. Its value is dropped by whoever has it then, after
        // the change is visible or has failed, and empties the cache.
        let this = self.clone();
        let plan =
            move |txn: &mut Txn<'_>| plan(txn).map(|value| (value, Forget(this.clone(), account)));
        let outcome = self.write(plan).await;
        coffer_base::failpoint::pass("users.committed");
        outcome.map(|(value, _forget)| value)
    }

    /// Commits what changes nobody's rights.
    pub(crate) async fn write<T, P>(&self, plan: P) -> Result<T>
    where
        T: Send + 'static,
        P: Fn(&mut Txn<'_>) -> Result<T> + Send + Sync + 'static,
    {
        let plan = Arc::new(plan);
        let mut room = COMMIT_BYTES;
        loop {
            let running = plan.clone();
            match self.catalog().commit(Ack::All, room, move |txn| running(txn)).await {
                Ok(value) => return Ok(value),
                Err(CommitError::TooLarge { bytes }) if room < COMMIT_BYTES_MAX => {
                    room = (room.max(bytes) * 2).min(COMMIT_BYTES_MAX);
                }
                Err(error) => return Err(of_commit(error)),
            }
        }
    }
}

/// Goes with the value of a change, and empties the cache of the account when it goes.
struct Forget(Identity, AccountId);

impl Drop for Forget {
    fn drop(&mut self) {
        self.0.cache().forget(self.1);
    }
}

fn of_commit(error: CommitError<Error>) -> Error {
    match error {
        CommitError::Rejected(error) => error,
        CommitError::Log(error) => match error {
            coffer_log::Error::Io { .. } => Error::Unavailable(error.to_string()),
            coffer_log::Error::Corrupt(what) => Error::Corrupt(what),
            coffer_log::Error::Unavailable(why) => Error::Unavailable(why),
            coffer_log::Error::Full => Error::Full,
            coffer_log::Error::ReadOnly(why) => Error::ReadOnly(why),
            coffer_log::Error::Unknown(why) => Error::Unknown(why),
        },
        // The group may be in the log already.
        CommitError::Index(error) => Error::Unknown(error.to_string()),
        CommitError::TooLarge { bytes } => {
            Error::LimitExceeded(format!("the change would take {bytes} bytes, too many"))
        }
        CommitError::Panicked(what) => panic!("the plan of a commit panicked: {what}"),
        CommitError::Closed => Error::Unavailable("the store is stopping".to_owned()),
    }
}

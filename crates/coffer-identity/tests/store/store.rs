//! A store in memory, and short words for what tests do with it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coffer_base::drive::{Drive, SimWorld};
use coffer_base::rng::SeededRng;
use coffer_base::{Clock, Timestamp};
use coffer_catalog::{Catalog, Engine, MemEngine, Sequencing};
use coffer_iam::{Action, Ask, Grant, Principal, Resource, Scope, authorize};
use coffer_identity::{
    AccountId, DefaultAccount, Error, Identity, IdentitySeams, Kind, Result, RootKey, SecretKey,
    arn, check_row,
};
use coffer_log::{Log, LogOptions, Seams};

pub const ACCOUNT: &str = "111122223333";
pub const OWNER: &str = "the-owner";
pub const ROOT_KEY: &str = "OPERATOR";

/// Counts a second at every look.
#[derive(Default)]
pub struct TickingClock(AtomicU64);

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + 1000 * self.0.fetch_add(1, Ordering::Relaxed))
    }
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

pub struct Store {
    pub world: SimWorld,
    pub identity: Identity,
    pub catalog: Catalog,
    engine: Arc<dyn Engine>,
    rng: Arc<SeededRng>,
    pub clock: Arc<TickingClock>,
}

/// Runs a future that never waits for anything but itself.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(future)
}

pub fn key(byte: u8) -> SecretKey {
    SecretKey::new([byte; 32])
}

pub fn account() -> AccountId {
    AccountId::parse(ACCOUNT).unwrap()
}

pub fn default_account() -> DefaultAccount {
    let root = RootKey { access_key: ROOT_KEY.into(), secret: "operator-secret".into() };
    DefaultAccount { id: account(), owner_id: OWNER.into(), root: Some(root) }
}

pub fn open_catalog(
    world: &SimWorld,
    engine: &Arc<dyn Engine>,
    rng: &Arc<SeededRng>,
    clock: &Arc<TickingClock>,
) -> std::result::Result<Catalog, String> {
    let options = LogOptions {
        k: 1,
        m: 1,
        commit_segment_bytes: 256 << 10,
        bulk_file_bytes: 1 << 20,
        probe_interval: None,
        ..LogOptions::default()
    };
    let drives = ["d0", "d1"].map(|name| world.drive(name) as Arc<dyn Drive>).to_vec();
    let seams = Seams::inline(clock.clone(), rng.clone());
    let (log, lane, _) = Log::open(drives, options, seams).map_err(|e| e.to_string())?;
    Catalog::open(log, lane, engine.clone(), Sequencing::Inline).map_err(|e| e.to_string())
}

pub fn open_identity(
    catalog: &Catalog,
    secret_key: &SecretKey,
    rng: &Arc<SeededRng>,
    clock: &Arc<TickingClock>,
) -> Result<Identity> {
    let seams = IdentitySeams { clock: clock.clone(), rng: rng.clone() };
    run(Identity::open(catalog.clone(), secret_key, seams, default_account()))
}

impl Store {
    pub fn new() -> Store {
        Store::over(SimWorld::new(1)).unwrap()
    }

    /// What the drives of `world` hold.
    pub fn over(world: SimWorld) -> Result<Store> {
        let engine: Arc<dyn Engine> = Arc::new(MemEngine::new());
        let rng = Arc::new(SeededRng::new(11));
        let clock = Arc::new(TickingClock::default());
        let catalog = open_catalog(&world, &engine, &rng, &clock).unwrap();
        let identity = open_identity(&catalog, &key(7), &rng, &clock)?;
        Ok(Store { world, identity, catalog, engine, rng, clock })
    }

    /// Stops cleanly and starts again, with the index as it was or (`lost`) from the log alone.
    pub fn reopen(&mut self, lost: bool) {
        self.catalog.close().unwrap();
        if lost {
            self.engine = Arc::new(MemEngine::new());
        }
        self.catalog = open_catalog(&self.world, &self.engine, &self.rng, &self.clock).unwrap();
        self.identity = self.open_with(&key(7)).unwrap();
    }

    pub fn open_with(&self, secret_key: &SecretKey) -> Result<Identity> {
        open_identity(&self.catalog, secret_key, &self.rng, &self.clock)
    }

    /// All rows agree.
    pub fn check(&self) {
        let snapshot = self.catalog.snapshot();
        let mut rows = 0;
        for entry in snapshot.prefix(&[]) {
            let (key, value) = entry.unwrap();
            if let Some(found) = check_row(&snapshot, &key, &value).unwrap() {
                assert!(found.is_empty(), "{:?}: {found:?}", String::from_utf8_lossy(&key));
                rows += 1;
            }
        }
        assert!(rows >= 3, "the default account and the seal are there");
    }

    /// Whether any byte string of the catalog holds `text`.
    pub fn holds(&self, text: &str) -> bool {
        let snapshot = self.catalog.snapshot();
        let has = |bytes: &[u8]| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        snapshot.prefix(&[]).any(|entry| {
            let (key, value) = entry.unwrap();
            has(&key) || has(&value)
        })
    }
}

/// The operator's permission for `action` on the ARN.
pub fn on_arn(action: Action, arn: &str) -> Grant {
    grant_of(&Principal::root(ACCOUNT, OWNER), action, arn)
}

/// The permission of `principal`, who is a root.
pub fn grant_of(principal: &Principal, action: Action, arn: &str) -> Grant {
    let scope = match action.scope() {
        // One that several kinds have is asked for users here.
        Scope::Identity => Scope::User,
        scope => scope,
    };
    let resource = match scope {
        Scope::Store => Resource::store(),
        scope => Resource::iam(scope, arn),
    };
    authorize(principal, &Ask::new(action, &resource)).unwrap()
}

/// The operator's permission for `action` on what is called `name` and has the path `/`.
pub fn on(action: Action, kind: Kind, name: &str) -> Grant {
    on_arn(action, &arn(account(), kind, "/", name))
}

/// The operator's permission for `action` on the account or store as a whole.
pub fn on_all(action: Action) -> Grant {
    on_arn(action, "*")
}

/// The refusal of something that must be refused.
pub fn refused<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error,
    }
}

pub const ALLOW_ALL: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
pub const TRUST_ROOT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
    "Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}"#;

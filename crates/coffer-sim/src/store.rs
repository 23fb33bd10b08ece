//! A whole store over the drives of a simulated world: log, catalog, objects, identities.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use coffer_base::Drive;
use coffer_base::drive::SimWorld;
use coffer_base::rng::SeededRng;
use coffer_catalog::{
    Catalog, CheckpointOptions, Engine, EngineSnapshot, MemEngine, OpenOptions, Sequencing, Write,
};
use coffer_iam::{Action, Ask, Grant, Principal, Resource, authorize};
use coffer_identity::{
    AccountId, DefaultAccount, Identity, IdentitySeams, SECRET_KEY_BYTES, SecretKey,
};
use coffer_log::{Log, LogOptions, Mark, OpenError, Seams};
use coffer_objects::blocking::InlineBlocking;
use coffer_objects::{ObjectSeams, Objects};

use crate::clock::SimClock;
use crate::executor::block_on;

/// The erasure scheme of a store, and so its number of drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// Data cells.
    pub k: u8,
    /// Parity cells.
    pub m: u8,
}

impl Scheme {
    /// The names of its drives.
    pub fn drives(self) -> Vec<String> {
        (0..self.k + self.m).map(|i| format!("drive-{i}")).collect()
    }
}

/// Payloads of at least this many bytes are bulk.
pub const BULK_THRESHOLD_BYTES: u64 = 12 << 10;

/// The drives that a store is opened on.
#[derive(Clone, Copy, Debug)]
pub struct Present<'a> {
    /// All of them.
    pub drives: &'a [String],
    /// So many of them are empty, and to be filled in the places of others.
    pub empty: usize,
    /// Go on without those that do not answer.
    pub degraded: bool,
}

impl<'a> Present<'a> {
    /// These, none of which replaces another.
    pub fn all(drives: &'a [String]) -> Present<'a> {
        Present { drives, empty: 0, degraded: false }
    }
}

/// Sizes so small that segments fill, seal and roll within tens of operations.
fn options(scheme: Scheme, present: Present<'_>) -> LogOptions {
    let (replace, degraded) = (present.empty > 0, present.degraded);
    let present = present.drives.len() - present.empty;
    let all = usize::from(scheme.k + scheme.m);
    LogOptions {
        k: scheme.k,
        m: scheme.m,
        commit_segment_bytes: 64 << 10,
        bulk_file_bytes: 192 << 10,
        bulk_threshold_bytes: BULK_THRESHOLD_BYTES,
        cell_bytes_max: 64 << 10,
        degraded: degraded || present < all,
        replace,
        // The operator's word, where too few are left to decide: 1 of 2.
        force: present * 2 <= all,
        probe_interval: None,
        ..LogOptions::default()
    }
}

/// An index as it was at some moment.
#[derive(Clone)]
pub struct IndexState {
    snapshot: Arc<dyn EngineSnapshot>,
    mark: Mark,
}

impl IndexState {
    /// An engine that holds this state.
    fn revive(&self) -> Result<MemEngine, String> {
        let engine = MemEngine::new();
        let writes: Result<Vec<Write>, _> = self
            .snapshot
            .range(Bound::Unbounded, Bound::Unbounded)
            .map(|entry| entry.map(|(key, value)| Write::Put { key, value }))
            .collect();
        let writes = writes.map_err(|e| e.to_string())?;
        engine.apply(writes, self.mark).map_err(|e| e.to_string())?;
        Ok(engine)
    }
}

/// Why a store does not open.
#[derive(Debug)]
pub enum OpenFailure {
    /// The log refuses.
    Log(OpenError),
    /// What stands on it does.
    Above(String),
}

impl OpenFailure {
    /// Too few of the drives that know the newest history are here.
    pub fn is_no_majority(&self) -> bool {
        matches!(self, OpenFailure::Log(OpenError::NoMajority(_)))
    }

    /// Two histories grew from one.
    pub fn is_divergence(&self) -> bool {
        matches!(self, OpenFailure::Log(OpenError::Diverged(_)))
    }
}

impl fmt::Display for OpenFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenFailure::Log(error) => write!(f, "the log does not open: {error}"),
            OpenFailure::Above(what) => f.write_str(what),
        }
    }
}

/// Of every store; it is not in the log.
const SECRET_KEY: SecretKey = SecretKey::new([7; SECRET_KEY_BYTES]);

fn default_account() -> DefaultAccount {
    DefaultAccount { id: AccountId::derived("simulation"), owner_id: "root".to_owned(), root: None }
}

/// An open store.
pub struct Store {
    /// The domain, as the faces use it.
    pub objects: Objects,
    /// The identities beside it.
    pub identity: Identity,
    /// What recovery had to say.
    pub notes: Vec<String>,
    engine: Arc<MemEngine>,
    root: Principal,
}

impl Store {
    /// Opens the store that the drives `present` of `world` hold, or makes a new one. `index` is
    /// what the index remembers; `None`: it was lost.
    pub fn open(
        world: &SimWorld,
        scheme: Scheme,
        present: Present<'_>,
        index: Option<&IndexState>,
        seed: u64,
    ) -> Result<Store, OpenFailure> {
        let drives =
            present.drives.iter().map(|name| world.drive(name) as Arc<dyn Drive>).collect();
        let clock = Arc::new(SimClock::new(seed));
        let rng = Arc::new(SeededRng::new(seed));
        let seams = Seams::inline(clock.clone(), rng.clone());
        let (log, lane, recovery) =
            Log::open(drives, options(scheme, present), seams).map_err(OpenFailure::Log)?;
        let engine = Arc::new(match index {
            Some(state) => state.revive().map_err(OpenFailure::Above)?,
            None => MemEngine::new(),
        });
        // So often and so small that every campaign writes many.
        let checkpoints = CheckpointOptions {
            log_bytes_min: 24 << 10,
            log_bytes_per_checkpoint_byte: 0,
            range_bytes_target: 1 << 10,
        };
        let above = OpenOptions { checkpoints, ..OpenOptions::default() };
        let catalog = Catalog::open_with(log, lane, engine.clone(), Sequencing::Inline, above)
            .map_err(|e| OpenFailure::Above(format!("the catalog does not open: {e}")))?;
        let seams = IdentitySeams { clock: clock.clone(), rng: rng.clone() };
        let identity = Identity::open(catalog.clone(), &SECRET_KEY, seams, default_account());
        let identity = block_on(identity)
            .map_err(|e| OpenFailure::Above(format!("the identities do not open: {e}")))?;
        let seams = ObjectSeams { clock, rng, blocking: Arc::new(InlineBlocking) };
        let objects = Objects::open(catalog, seams)
            .map_err(|e| OpenFailure::Above(format!("the objects do not open: {e}")))?;
        Ok(Store {
            objects,
            identity,
            notes: recovery.notes,
            engine,
            root: Principal::root(default_account().id.to_string(), "root"),
        })
    }

    /// The state of the index now; `None` while it is empty.
    pub fn index(&self) -> Result<Option<IndexState>, String> {
        let mark = self.engine.mark().map_err(|e| e.to_string())?;
        Ok(mark.map(|mark| IndexState { snapshot: self.engine.snapshot(), mark }))
    }

    /// Stops cleanly.
    pub fn close(self) -> Result<(), String> {
        self.objects.catalog().close().map_err(|e| format!("the store does not close: {e}"))
    }

    /// Root's permission for an action on the store.
    pub fn on_store(&self, action: Action) -> Grant {
        self.grant(action, Resource::store())
    }

    /// Root's permission for an action on a bucket.
    pub fn on_bucket(&self, action: Action, bucket: &str) -> Grant {
        self.grant(action, Resource::bucket(bucket))
    }

    /// Root's permission for an action on an object.
    pub fn on_object(&self, action: Action, bucket: &str, key: &str) -> Grant {
        self.grant(action, Resource::object(bucket, key))
    }

    fn grant(&self, action: Action, resource: Resource) -> Grant {
        authorize(&self.root, &Ask::new(action, &resource)).expect("root may do everything")
    }
}

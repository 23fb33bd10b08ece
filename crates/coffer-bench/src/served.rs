//! The whole service over a simulated drive, on one thread, without a socket.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use coffer_base::drive::SimWorld;
use coffer_base::net::{Net as _, SimNet};
use coffer_base::rng::SeededRng;
use coffer_base::{Clock as _, Drive, Timestamp};
use coffer_catalog::{Catalog, EngineOptions, LsmEngine, Sequencing};
use coffer_http::{Setup, serve};
use coffer_identity::{
    AccountId, DefaultAccount, Identity, IdentitySeams, RootKey, SECRET_KEY_BYTES, SecretKey,
};
use coffer_log::{Log, LogOptions, Seams};
use coffer_objects::blocking::InlineBlocking;
use coffer_objects::{ObjectSeams, Objects};
use coffer_s3::{Service, ServiceSettings};
use coffer_sigv4::sign::Signer;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::steady::SteadyClock;
use crate::wire::Connection;

/// The bucket of all objects.
pub const BUCKET: &str = "bucket";
/// Where requests are for.
pub const HOST: &str = "store.test";

const ACCESS_KEY: &str = "COUNTEDACCESSKEY";
const SECRET: &str = "counted/secret+key";
const REGION: &str = "us-east-1";
const SEED: u64 = 5;

/// So small that copying a simulated file's table of pages, which every sync does, costs little,
/// and large enough that no counted run fills one.
const COMMIT_SEGMENT_BYTES: u64 = 4 << 20;

/// A service that runs while it is asked to run something.
pub struct Served {
    runtime: Runtime,
    net: SimNet,
    addr: SocketAddr,
    clock: Arc<SteadyClock>,
    catalog: Catalog,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<usize>>,
    _index: tempfile::TempDir,
}

impl Served {
    /// A fresh store.
    pub fn start() -> Result<Served> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let clock = Arc::new(SteadyClock::default());
        let rng = Arc::new(SeededRng::new(SEED));
        let world = SimWorld::new(SEED);
        let drives: Vec<Arc<dyn Drive>> = vec![world.drive("drive")];
        let options = LogOptions {
            commit_segment_bytes: COMMIT_SEGMENT_BYTES,
            probe_interval: None,
            ..LogOptions::default()
        };
        let seams = Seams::inline(clock.clone(), rng.clone());
        let (log, lane, _) = Log::open(drives, options, seams)?;
        let index = tempfile::tempdir()?;
        let engine = LsmEngine::open(index.path(), EngineOptions::default())?;
        let catalog = Catalog::open(log, lane, Arc::new(engine), Sequencing::Inline)?;
        let seams = IdentitySeams { clock: clock.clone(), rng: rng.clone() };
        let root = RootKey { access_key: ACCESS_KEY.to_owned(), secret: SECRET.to_owned() };
        let default = DefaultAccount {
            id: AccountId::derived("counted"),
            owner_id: "counted".to_owned(),
            root: Some(root),
        };
        let key = SecretKey::new([7; SECRET_KEY_BYTES]);
        let identity = runtime.block_on(Identity::open(catalog.clone(), &key, seams, default))?;
        let seams = ObjectSeams {
            clock: clock.clone(),
            rng: rng.clone(),
            blocking: Arc::new(InlineBlocking),
        };
        let objects = Objects::open(catalog.clone(), seams)?;
        let settings = ServiceSettings { region: REGION.to_owned(), base_domains: Vec::new() };
        let service = Arc::new(Service::new(objects, settings, clock.clone(), rng, identity));
        let net = SimNet::default();
        let listener = net.listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let serving = runtime.spawn(async move {
            let shutdown = async {
                // Dropped or told: both end it.
                let _ = stopped.await;
            };
            Ok(serve(vec![listener], service, shutdown, Setup::default()).await?)
        });
        Ok(Served { runtime, net, addr, clock, catalog, stop, serving, _index: index })
    }

    /// A new connection.
    pub fn connect(&self) -> Result<Connection> {
        Ok(Connection::new(self.net.connect(self.addr)?))
    }

    /// Who may do everything.
    pub fn signer(&self) -> Signer {
        Signer::new(ACCESS_KEY, SECRET, REGION)
    }

    /// The store's time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Runs `client` and the service with it.
    pub fn run<T>(&self, client: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(client)
    }

    /// Stops cleanly.
    pub fn stop(self) -> Result<()> {
        // Nobody listens any more if serving ended by itself; what it came to is told below.
        let _ = self.stop.send(());
        self.runtime.block_on(self.serving).context("serving panicked")??;
        drop(self.runtime);
        self.catalog.close()?;
        Ok(())
    }
}

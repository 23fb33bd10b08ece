//! A store with a server on it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use coffer_base::drive::RealDrive;
use coffer_base::net::{Net, RealNet};
use coffer_base::{Drive, SystemClock, SystemRng};
use coffer_catalog::{Catalog, MemEngine, Sequencing};
use coffer_http::{Limits, Setup, Traffic, serve};
use coffer_iam::{Action, Ask, Principal, Resource};
use coffer_identity::{
    AccountId, AddUser, DefaultAccount, Identity, IdentitySeams, NewUser, PolicyText, RootKey,
    SecretKey,
};
use coffer_log::{Log, LogOptions, Seams};
use coffer_objects::blocking::Job;
use coffer_objects::{Blocking, ObjectSeams, Objects};
use coffer_s3::sign::Signer;
use coffer_s3::{Service, ServiceSettings};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::Client;

/// The account of root and of all users.
pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const ACCESS_KEY: &str = "ROOTACCESSKEY";
pub(crate) const SECRET: &str = "root/secret+key";
pub(crate) const REGION: &str = "eu-test-1";

/// A running server; its store is gone when it is dropped.
pub(crate) struct Store {
    pub(crate) addr: SocketAddr,
    pub(crate) service: Arc<Service>,
    pub(crate) traffic: Arc<Traffic>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<usize>,
    _dir: tempfile::TempDir,
}

struct Threads;

impl Blocking for Threads {
    fn run(&self, job: Job) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let running = tokio::task::spawn_blocking(job);
        Box::pin(async move {
            running.await.expect("the job does not panic");
        })
    }
}

fn open(dir: &tempfile::TempDir) -> Objects {
    let drive: Arc<dyn Drive> = Arc::new(RealDrive::create(&dir.path().join("drive")).unwrap());
    let options = LogOptions { commit_segment_bytes: 8 << 20, ..LogOptions::default() };
    let (log, lane, _) = Log::open(vec![drive], options, Seams::real(1).unwrap()).unwrap();
    let engine = Arc::new(MemEngine::new());
    let catalog = Catalog::open(log, lane, engine, Sequencing::Thread).unwrap();
    let seams = ObjectSeams {
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
        blocking: Arc::new(Threads),
    };
    Objects::open(catalog, seams).unwrap()
}

async fn open_identity(objects: &Objects) -> Identity {
    let root = RootKey { access_key: ACCESS_KEY.to_owned(), secret: SECRET.to_owned() };
    let default = DefaultAccount {
        id: AccountId::parse(ACCOUNT).unwrap(),
        owner_id: "root-owner".to_owned(),
        root: Some(root),
    };
    let seams = IdentitySeams { clock: Arc::new(SystemClock), rng: Arc::new(SystemRng) };
    let key = SecretKey::random(&SystemRng);
    Identity::open(objects.catalog().clone(), &key, seams, default).await.unwrap()
}

impl Store {
    /// A fresh store.
    pub(crate) async fn start() -> Store {
        Store::start_with(Limits::default()).await
    }

    /// A fresh store with other limits.
    pub(crate) async fn start_with(limits: Limits) -> Store {
        let dir = tempfile::tempdir().unwrap();
        let objects = open(&dir);
        let settings = ServiceSettings {
            region: REGION.to_owned(),
            base_domains: vec!["s3.example.test".to_owned()],
        };
        let identity = open_identity(&objects).await;
        let (clock, rng) = (Arc::new(SystemClock), Arc::new(SystemRng));
        let service = Arc::new(Service::new(objects, settings, clock, rng, identity));
        let listener = RealNet.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let setup = Setup { limits, ..Setup::default() };
        let traffic = setup.traffic.clone();
        let served = serve(vec![listener], service.clone(), shutdown, setup);
        let serving = tokio::spawn(async { served.await.expect("it needs no certificate") });
        Store { addr, service, traffic, stop: Some(stop), serving, _dir: dir }
    }

    /// Tells the server to stop.
    pub(crate) fn tell_to_stop(&mut self) {
        self.stop.take().expect("it was not told before").send(()).expect("it is running");
    }

    /// Waits until the server has stopped; how many connections it cut off.
    pub(crate) async fn stopped(&mut self) -> usize {
        let waiting = tokio::time::timeout(Duration::from_secs(30), &mut self.serving);
        waiting.await.expect("it stops in time").expect("it does not panic")
    }

    /// A new connection as root.
    pub(crate) async fn client(&self) -> Client {
        self.client_of(ACCESS_KEY, SECRET).await
    }

    /// A new connection with another credential.
    pub(crate) async fn client_of(&self, access_key: &str, secret: &str) -> Client {
        Client::connect(self.addr, Signer::new(access_key, secret, REGION)).await
    }

    /// A new connection as root, to a store that has a bucket `bkt`.
    pub(crate) async fn client_with_bucket(&self) -> Client {
        let mut client = self.client().await;
        let created = client.call("PUT", "/bkt", b"").await;
        assert_eq!(created.status, 200, "{}", created.text());
        client
    }

    /// A user who may do what `policy` says: the name of one that comes with Coffer, or a document.
    pub(crate) async fn add_user(&self, name: &str, policy: &str) -> NewUser {
        let user = AddUser {
            name: name.to_owned(),
            policies: vec![if policy.starts_with('{') {
                PolicyText::Json(policy.to_owned())
            } else {
                PolicyText::Canned(policy.to_owned())
            }],
            ..AddUser::default()
        };
        self.service.identity.add_user(&self.admin(), user).await.unwrap()
    }

    /// Root's permission to administer users.
    pub(crate) fn admin(&self) -> coffer_iam::Grant {
        let root = Principal::root(ACCOUNT, "root-owner");
        let resource = Resource::store();
        coffer_iam::authorize(&root, &Ask::new(Action::AdminUsers, &resource)).unwrap()
    }
}

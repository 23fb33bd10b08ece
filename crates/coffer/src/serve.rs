//! `coffer serve`: a store on its ports until a signal ends it.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use coffer_base::net::{Listener, Net, RealNet};
use coffer_base::{SystemClock, SystemRng};
use coffer_http::{Limits, Setup};
use coffer_identity::{Identity, RootKey};
use coffer_query::{QueryService, QuerySettings};
use coffer_s3::{Service, ServiceSettings};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::facts::{Facts, Readiness};
use crate::admin::http::{self, Watched};
use crate::admin::socket::Socket;
use crate::banner::{Banner, TlsLine};
use crate::credentials::{self, Credentials, Source};
use crate::faces::Faces;
use crate::fault::Fault;
use crate::fetch::HttpsFetch;
use crate::logging;
use crate::scrub::{self, Keeper, Plan, Scrubbing};
use crate::settings::{Address, Settings};
use crate::status::TlsReport;
use crate::store::{self, HeldDrive, Looked, Purpose, Store};
use crate::tls;

/// Threads for work that blocks: reading from drives, hashing.
const BLOCKING_THREADS_MAX: usize = 64;

/// How often it is written when access keys were last used.
const USES_INTERVAL: Duration = Duration::from_secs(3600);

/// Runs the server to its end.
pub fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    settings.scheme()?;
    let tls = tls::plan::Plan::of(&settings)?;
    tls.check()?;
    let given = credentials::from_settings(&settings)?;
    let looked = store::look(&settings)?;
    if given.is_none() {
        // Before anything is touched; read again when the drives are locked.
        credentials::read(&looked.present())?;
    }
    logging::start(&settings)?;
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()?;
    let code = runtime.block_on(serve(settings, looked, given, tls))?;
    // What still blocks is no longer waited for: the log is closed.
    runtime.shutdown_background();
    Ok(code)
}

/// As many open files as the system lets this process have.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
}

async fn serve(
    settings: Settings,
    looked: Looked,
    given: Option<(Credentials, crate::settings::Origin)>,
    tls_plan: tls::plan::Plan,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let listeners = listen(&settings, &tls_plan)?;
    let admin = listen_admin(&settings.admin_listen).await?;
    let scheme = if tls_plan.is_secure() { "https" } else { "http" };
    let endpoint = endpoint_of(scheme, listeners[0].local_addr()?);
    let admin_endpoint = endpoint_of("http", admin.local_addr()?);
    let (readiness, watched) = watch::channel(Readiness::Starting);
    tokio::spawn(http::serve(admin, Watched::new(watched)));

    let opening = {
        let (settings, handle) = (settings.clone(), Handle::current());
        let tls_plan = tls_plan.clone();
        tokio::task::spawn_blocking(move || open(&settings, &looked, given, &tls_plan, &handle))
    };
    let opened = tokio::select! {
        opened = opening => opened??,
        () = signals.next() => {
            // Opening is safe to cut short anywhere, as a crash would.
            tracing::info!(event = "stopped", "stopped before the store was open");
            std::process::exit(0);
        }
    };
    let Opened { store, identity, root, source, sockets, shown } = opened;
    coffer_base::failpoint::pass("serve.opened");

    let service = Arc::new(Service::new(
        store.objects.clone(),
        ServiceSettings { region: settings.region.clone(), base_domains: settings.domain.clone() },
        Arc::new(SystemClock),
        Arc::new(SystemRng),
        identity.clone(),
    ));
    let plan = Plan {
        background: scrub::pace_bytes(settings.scrub_mib_per_sec),
        rebuild: scrub::pace_bytes(settings.rebuild_mib_per_sec),
        pause: Duration::from_secs(settings.scrub_pause_secs),
    };
    // Every start makes the directory of the index before this.
    let place = store::index_places(&settings, &store.held).swap_remove(0);
    let keeper = Keeper::new(place.dir, place.drive.queue().clone(), store.recovery.store);
    let scrubber = Scrubbing::start(store.objects.catalog().clone(), plan, keeper)?;
    let limits =
        Limits { drain_time_max: Duration::from_secs(settings.drain_secs), ..Limits::default() };
    let certificates = shown.as_ref().map(|shown| shown.certificates.clone());
    let setup = Setup { limits, certificates, ..Setup::default() };
    let query = QueryService::new(
        identity.clone(),
        QuerySettings { region: settings.region.clone() },
        Arc::new(SystemClock),
        Arc::new(SystemRng),
        Arc::new(HttpsFetch::new(settings.oidc_private_addresses)),
    );
    let facts = Arc::new(Facts::new(
        service.clone(),
        query.metrics().clone(),
        setup.traffic.clone(),
        shown.clone(),
        scrubber.scrubbing().clone(),
        store.index_health.clone(),
    ));
    readiness.send_replace(Readiness::Serving(facts.clone()));
    let mut talking = JoinSet::new();
    for socket in sockets {
        talking.spawn(socket.serve(facts.clone()));
    }
    talking.spawn({
        let identity = identity.clone();
        async move {
            loop {
                tokio::time::sleep(USES_INTERVAL).await;
                save_uses(&identity).await;
            }
        }
    });
    let shown_now = shown.as_ref().map(|shown| (&**shown, shown.report()));
    tell_listening(&settings, &store, &root, &source, &endpoint, &admin_endpoint, shown_now);
    if let Some(shown) = &shown {
        tls::keep_fresh(tls_plan, shown, &store.held, &mut talking);
    }

    let told_to_stop = async {
        signals.next().await;
        tracing::info!(event = "draining", "requests under way may end, no more are taken");
        readiness.send_replace(Readiness::Draining);
        tokio::spawn(async move {
            signals.next().await;
            tracing::warn!(event = "stopped", "stopped at once by a second signal");
            std::process::exit(130);
        });
    };
    let faces = Arc::new(Faces { s3: service.clone(), query });
    let cut_off = coffer_http::serve(listeners, faces, told_to_stop, setup).await?;
    if cut_off > 0 {
        tracing::warn!(cut_off, "connections were cut off");
    }
    coffer_base::failpoint::pass("serve.drained");
    // Waits until the tasks are gone, and with them the names of the sockets.
    talking.shutdown().await;
    save_uses(&identity).await;
    tokio::task::spawn_blocking(move || {
        scrubber.stop();
        store.close()
    })
    .await??;
    coffer_base::failpoint::pass("serve.closed");
    tracing::info!(event = "stopped", "stopped");
    Ok(ExitCode::SUCCESS)
}

/// Writes when access keys were last used; what is not written is told again the next time.
async fn save_uses(identity: &Identity) {
    if let Err(error) = identity.save_uses().await {
        tracing::warn!(%error, "when access keys were last used can't be written");
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn listen(settings: &Settings, tls: &tls::plan::Plan) -> anyhow::Result<Vec<Box<dyn Listener>>> {
    let mut listeners = Vec::new();
    for address in &settings.listen {
        for resolved in resolve(address)? {
            tls.check_address(resolved, settings)?;
            let listener = RealNet.listen(resolved);
            listeners.push(listener.map_err(|e| address_fault(address, &e))?);
        }
    }
    Ok(listeners)
}

async fn listen_admin(address: &Address) -> anyhow::Result<tokio::net::TcpListener> {
    let resolved = resolve(address)?;
    let listener = tokio::net::TcpListener::bind(&resolved[..]).await;
    Ok(listener.map_err(|e| address_fault(address, &e))?)
}

fn resolve(address: &Address) -> Result<Vec<std::net::SocketAddr>, Fault> {
    match address.resolve() {
        Ok(resolved) if !resolved.is_empty() => Ok(resolved),
        Ok(_) => Err(Fault::Address(format!("{address} stands for no address"))),
        Err(e) => Err(Fault::Address(format!("{address} can't be resolved: {e}"))),
    }
}

fn address_fault(address: &Address, error: &io::Error) -> Fault {
    Fault::Address(match error.kind() {
        io::ErrorKind::AddrInUse => format!("{address} is taken by another program"),
        io::ErrorKind::AddrNotAvailable => format!("{address} is not an address of this machine"),
        io::ErrorKind::PermissionDenied => {
            format!("{address} may not be taken by this user: {error}")
        }
        _ => format!("{address}: {error}"),
    })
}

/// The URL under which a listener is reached from this machine.
fn endpoint_of(scheme: &str, address: std::net::SocketAddr) -> String {
    let mut reached = address;
    if address.ip().is_unspecified() {
        reached.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("{scheme}://{reached}")
}

struct Opened {
    store: Store,
    identity: Identity,
    root: Credentials,
    source: Source,
    sockets: Vec<Socket>,
    /// The certificate, with TLS.
    shown: Option<Arc<tls::Shown>>,
}

/// Everything that blocks: recovering the log, bringing the index up to it.
fn open(
    settings: &Settings,
    looked: &Looked,
    given: Option<(Credentials, crate::settings::Origin)>,
    tls_plan: &tls::plan::Plan,
    handle: &Handle,
) -> anyhow::Result<Opened> {
    if let Some(dir) = &settings.index_dir {
        // Before the drives are touched.
        let probe = dir.join(".probe");
        std::fs::create_dir_all(dir)
            .and_then(|()| std::fs::write(&probe, []))
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|e| Fault::Data(format!("{}: {e}", dir.display())))?;
    }
    let log = store::open_log(looked, settings, Purpose::Serve)?;
    for note in &log.recovery.notes {
        tracing::warn!("{note}");
    }
    let (root, source) = match given {
        Some((root, origin)) => (root, Source::Settings(origin)),
        None => root_of(&log.held)?,
    };
    let _entered = handle.enter();
    let mut sockets = Vec::new();
    for HeldDrive { path, .. } in &log.held {
        let socket = Socket::bind(path);
        sockets.push(
            socket
                .map_err(|e| Fault::Data(format!("{}: the admin socket: {e}", path.display())))?,
        );
    }
    let store = store::open_serving(log, settings, handle)?;
    let key = RootKey { access_key: root.access_key.clone(), secret: root.secret_key.clone() };
    let identity = store::open_identity(&store, settings, Some(key), handle)?;
    let shown = tls::open(tls_plan, settings, &store.held)?;
    Ok(Opened { store, identity, root, source, sockets, shown })
}

/// The keys in the drive directories, made now if there are none, in every directory on return.
fn root_of(held: &[HeldDrive]) -> anyhow::Result<(Credentials, Source)> {
    let dirs: Vec<PathBuf> = held.iter().map(|h| h.path.clone()).collect();
    let found = credentials::read(&dirs)?;
    found.check()?;
    let (root, source) = match found.pair {
        Some((root, path)) => (root, Source::File(path)),
        None => {
            let path = dirs[0].join(credentials::FILE);
            (Credentials::random(&SystemRng), Source::Made(path))
        }
    };
    for i in found.lacking {
        credentials::write(&*held[i].drive, &root).map_err(|e| {
            Fault::Data(format!("{}: {e}", dirs[i].join(credentials::FILE).display()))
        })?;
    }
    Ok((root, source))
}

fn tell_listening(
    settings: &Settings,
    store: &Store,
    root: &Credentials,
    source: &Source,
    endpoint: &str,
    admin: &str,
    shown: Option<(&tls::Shown, TlsReport)>,
) {
    let scheme = store.objects.catalog().log().status().geometry;
    if !logging::is_for_people(settings) {
        tracing::info!(
            event = "listening",
            endpoint,
            admin,
            region = settings.region,
            store = %store.recovery.store,
            created = store.recovery.created,
            drives = store.held.len(),
            scheme = %scheme,
            position = store.recovery.end.position.0,
            access_key = root.access_key,
            credentials = %credentials_place(source),
            tls = shown.as_ref().map(|(_, report)| report.source.as_str()),
            fingerprint = shown.as_ref().map(|(_, report)| report.fingerprint.as_str()),
            "serving S3"
        );
        return;
    }
    let drives = match settings.data.len() {
        1 => format!("1 drive ({scheme}): {}", settings.dirs()),
        n => format!("{n} drives ({scheme}): {}", settings.dirs()),
    };
    let tls = shown.as_ref().map(|(shown, report)| TlsLine {
        source: &report.source,
        fingerprint: &report.fingerprint,
        public_file: shown.public_file.as_deref(),
    });
    let region = &settings.region;
    let banner = Banner { endpoint, tls, admin, region, drives: &drives, root, source };
    print!("{}", banner.text());
}

/// For logs: where the secret can be found.
fn credentials_place(source: &Source) -> String {
    match source {
        Source::File(path) | Source::Made(path) => path.display().to_string(),
        Source::Settings(origin) => origin.to_string(),
    }
}

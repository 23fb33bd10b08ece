//! From data directories to an open store.
//!
//! The order matters: look at the directories without a trace, then (for a server) take the
//! ports, then make directories and lock them, then open the log, and only then write anything
//! else. A start that fails before the log is open leaves everything as it was.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use coffer_base::drive::{Drive, Lock, RealDrive};
use coffer_base::{StoreId, SystemClock, SystemRng};
use coffer_catalog::{Catalog, Engine, EngineOptions, Leading, LsmEngine, OpenOptions, Sequencing};
use coffer_identity::{AccountId, DefaultAccount, Identity, IdentitySeams, KeyCheck, RootKey};
use coffer_log::{
    DriveState, Lane, Log, LogOptions, Mark, OpenError, Recovery, Seams, is_segment_name,
};
use coffer_objects::blocking::{Blocking, Job};
use coffer_objects::{ObjectSeams, Objects};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use crate::admin::client;
use crate::credentials;
use crate::fault::Fault;
use crate::roaming::{Health, Place, Roaming, home};
use crate::secret_key;
use crate::settings::Settings;

#[cfg(test)]
mod tests;

/// The superblocks of the log: what makes a directory Coffer's.
const SUPERBLOCKS: [&str; 2] = ["super.a", "super.b"];

/// The index, in the first data directory that is there.
const INDEX: &str = "index";

/// What the locks of drives are called; also made in a directory that turns out unusable.
const LOCK: &str = "lock";

/// What a data directory is before anything was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is nothing at the path.
    Absent,
    /// An empty directory.
    Empty,
    /// It has a superblock, or segments.
    Coffer,
    /// It fails, and the start may go on without it.
    Failing,
}

/// The data directories, looked at and not touched.
#[derive(Debug)]
pub struct Looked {
    dirs: Vec<(PathBuf, State)>,
}

/// Looks at the data directories of `settings` and refuses what can't become or be a store.
pub fn look(settings: &Settings) -> Result<Looked, Fault> {
    let mut dirs = Vec::new();
    let mut real: Vec<(PathBuf, &PathBuf)> = Vec::new();
    for path in &settings.data {
        let may_miss = settings.degraded || settings.force;
        let looked = answer(path, ANSWER_LIMIT, {
            let path = path.clone();
            move || look_at(&path)
        });
        let state = match looked {
            Err(NotUsable { fault, is_failing: true }) if may_miss => {
                tracing::error!(error = %fault, "left out of this start");
                State::Failing
            }
            looked => looked.map_err(|e| e.fault)?,
        };
        dirs.push((path.clone(), state));
        // One that fails may give no answer.
        if state != State::Failing
            && let Ok(canonical) = path.canonicalize()
        {
            if let Some((_, other)) = real.iter().find(|(c, _)| *c == canonical) {
                let (a, b) = (other.display(), path.display());
                return Err(Fault::Usage(format!("{a} and {b} are the same directory")));
            }
            real.push((canonical, path));
        }
    }
    for (i, path) in settings.data.iter().enumerate() {
        if settings.data[..i].contains(path) {
            return Err(Fault::Usage(format!("{} is named twice", path.display())));
        }
    }
    Ok(Looked { dirs })
}

/// Why a directory is not used.
#[derive(Debug)]
struct NotUsable {
    fault: Fault,
    /// The drive fails, as opposed to being the wrong one, or another's.
    is_failing: bool,
}

impl NotUsable {
    fn io(path: &Path, e: &io::Error) -> Self {
        use io::ErrorKind::{NotADirectory, PermissionDenied};
        let fault = Fault::Data(format!("{}: {e}", path.display()));
        Self { fault, is_failing: !matches!(e.kind(), NotADirectory | PermissionDenied) }
    }
}

/// How long a start waits for a drive that gives no answer. One that has to spin up takes 15 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// What `ask` finds out of the drive at `path`, on a thread of its own: a drive that hangs may
/// never let it go. What an answer that comes too late holds is let go of.
fn answer<T: Send + 'static>(
    path: &Path,
    limit: Duration,
    ask: impl FnOnce() -> Result<T, NotUsable> + Send + 'static,
) -> Result<T, NotUsable> {
    let (answer, answered) = mpsc::sync_channel(1);
    let asking = std::thread::Builder::new().name("ask".into()).spawn(move || {
        // Nobody may wait for it any more.
        let _ = answer.send(ask());
    });
    asking.map_err(|e| NotUsable {
        fault: Fault::Data(format!("{}: no thread to ask it: {e}", path.display())),
        is_failing: false,
    })?;
    let what = match answered.recv_timeout(limit) {
        Ok(answer) => return answer,
        Err(RecvTimeoutError::Timeout) => format!("no answer in {limit:?}"),
        Err(RecvTimeoutError::Disconnected) => "the thread that asked it panicked".to_owned(),
    };
    let fault = Fault::Data(format!("{}: {what}", path.display()));
    Err(NotUsable { fault, is_failing: true })
}

fn look_at(path: &Path) -> Result<State, NotUsable> {
    let wrong = |what: &str| NotUsable {
        fault: Fault::Data(format!("{}: {what}", path.display())),
        is_failing: false,
    };
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(State::Absent),
        Err(e) => return Err(NotUsable::io(path, &e)),
        Ok(_) => {}
    }
    let names = match RealDrive::open(path).and_then(|drive| drive.list()) {
        Ok(names) => names,
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return Err(wrong("it is not a directory"));
        }
        Err(e) => return Err(NotUsable::io(path, &e)),
    };
    // Without superblocks its segments say what it is.
    if names.iter().any(|name| SUPERBLOCKS.contains(&name.as_str()) || is_segment_name(name)) {
        return Ok(State::Coffer);
    }
    match names.iter().find(|name| !is_ours(name)) {
        None => Ok(State::Empty),
        Some(found) => {
            Err(wrong(&format!("it is not empty and not Coffer's (it holds {found:?})")))
        }
    }
}

/// What a directory may hold without a superblock, as the log sees it: left by a start that
/// did not get far.
fn is_ours(name: &str) -> bool {
    let keys = [credentials::FILE, credentials::FILE_NEW, secret_key::FILE, secret_key::FILE_NEW];
    keys.contains(&name) || matches!(name, client::SOCKET | INDEX)
}

impl Looked {
    /// Whether a store is there already.
    pub fn holds_a_store(&self) -> bool {
        self.dirs.iter().any(|(_, state)| *state == State::Coffer)
    }

    /// The directories that hold parts of a store.
    pub fn present(&self) -> Vec<PathBuf> {
        let coffers = self.dirs.iter().filter(|(_, state)| *state == State::Coffer);
        coffers.map(|(path, _)| path.clone()).collect()
    }

    fn in_state(&self, wanted: &[State]) -> Vec<(PathBuf, State)> {
        self.dirs.iter().filter(|(_, state)| wanted.contains(state)).cloned().collect()
    }
}

/// How a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve it; makes it where there is none.
    Serve,
    /// To change something while no server runs.
    Change,
    /// To look only: nothing is written.
    Inspect,
}

/// A data directory that is ours until the process ends.
pub struct HeldDrive {
    /// Its path as given.
    pub path: PathBuf,
    /// The directory.
    pub drive: Arc<RealDrive>,
    _lock: Lock,
}

/// An open log, and what is held for it.
pub struct OpenLog {
    /// The log.
    pub log: Log,
    /// Its commit lane.
    pub lane: Lane,
    /// What opening found.
    pub recovery: Recovery,
    /// The drives that are here, in the order they were given.
    pub held: Vec<HeldDrive>,
}

/// Locks the directories and opens the log: the first thing that writes.
pub fn open_log(looked: &Looked, settings: &Settings, purpose: Purpose) -> anyhow::Result<OpenLog> {
    let scheme = settings.scheme()?;
    if settings.stall_limit_secs == 0 {
        return Err(Fault::Usage("stall_limit_secs: it must be at least 1".to_owned()).into());
    }
    let options = LogOptions {
        stall_limit: Duration::from_secs(settings.stall_limit_secs),
        k: scheme.k,
        m: scheme.m,
        degraded: settings.degraded,
        replace: settings.replace && purpose == Purpose::Serve,
        force: settings.force,
        drives_named: looked.dirs.len(),
        reached: index_reached(looked, settings),
        write_floor_drives: settings.write_floor,
        read_only: purpose == Purpose::Inspect,
        probe_interval: (purpose == Purpose::Serve).then_some(PROBE_INTERVAL),
        ..sizes(settings)
    };
    #[cfg(feature = "failpoints")]
    let options = crate::failpoints::log_options(options);
    if !looked.holds_a_store() {
        if purpose != Purpose::Serve {
            return Err(Fault::Data(format!("there is no store in {}", settings.dirs())).into());
        }
        return Ok(open_dirs(&looked.dirs, &options)?);
    }
    // A store knows its own scheme; only one that is asked for by name must agree.
    let known = match settings.erasure {
        Some(_) => options.clone(),
        None => LogOptions { k: 0, m: 0, ..options.clone() },
    };
    let empty = looked.in_state(&[State::Empty]);
    let mut dirs = looked.in_state(&[State::Coffer]);
    if known.replace {
        dirs.extend(empty.iter().cloned());
    }
    match open_dirs(&dirs, &known) {
        // The log says better what is missing when it sees the empty ones, too.
        Err(OpenFailure::Log(OpenError::Missing(_) | OpenError::NoMajority(_)))
            if !empty.is_empty() && !known.replace =>
        {
            Ok(open_dirs(&looked.in_state(&[State::Coffer, State::Empty]), &known)?)
        }
        // Perhaps the power went while the set was made: then it is made again.
        Err(OpenFailure::Log(OpenError::Unfinished(_))) if purpose == Purpose::Serve => {
            Ok(open_dirs(&looked.dirs, &options)?)
        }
        Ok(mut open) => {
            if !known.replace {
                tell_left_alone(&empty, &mut open);
            }
            Ok(open)
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Notes empty directories that could take the place of a drive that is out.
fn tell_left_alone(empty: &[(PathBuf, State)], open: &mut OpenLog) {
    let status = open.log.status();
    let out = status.drives.iter().find(|drive| drive.state != DriveState::Active);
    let Some(out) = out else { return };
    for (path, _) in empty {
        open.recovery.notes.push(format!(
            "{} is empty and was left alone: to fill it in the place of {} ({}), start with \
             --replace",
            path.display(),
            out.label,
            out.state.name()
        ));
    }
}

/// Sizes as they are, or small ones for tests.
fn sizes(settings: &Settings) -> LogOptions {
    let usual = LogOptions::default();
    match settings.test_segment_bytes {
        None => usual,
        Some(bytes) => {
            let commit_segment_bytes = bytes.clamp(64 << 10, usual.commit_segment_bytes);
            LogOptions { commit_segment_bytes, bulk_file_bytes: 4 * commit_segment_bytes, ..usual }
        }
    }
}

/// The furthest position that an index of the store has seen: a log that ends before it has lost
/// something. A damaged index says nothing; it will be made anew.
fn index_reached(looked: &Looked, settings: &Settings) -> Option<Mark> {
    let dirs: Vec<PathBuf> = match &settings.index_dir {
        Some(dir) => vec![dir.clone()],
        None => looked.present().iter().map(|dir| dir.join(INDEX)).collect(),
    };
    let mark = |dir: PathBuf| {
        let dir = home::of(&dir);
        if !dir.join("tree").is_dir() {
            return None;
        }
        let engine = LsmEngine::open(&dir, EngineOptions::default()).ok()?;
        engine.mark().ok()?
    };
    dirs.into_iter().filter_map(mark).max_by_key(|mark| mark.position)
}

/// How often drives are probed for having gone.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

enum OpenFailure {
    Log(OpenError),
    Fault(Fault),
    Io(io::Error),
}

impl From<OpenFailure> for anyhow::Error {
    fn from(failure: OpenFailure) -> Self {
        match failure {
            OpenFailure::Log(error) => Fault::Data(error.to_string()).into(),
            OpenFailure::Fault(fault) => fault.into(),
            OpenFailure::Io(error) => error.into(),
        }
    }
}

fn open_dirs(dirs: &[(PathBuf, State)], options: &LogOptions) -> Result<OpenLog, OpenFailure> {
    let mut held = Vec::new();
    let mut failed = None;
    // After the locks, so that it is dropped before they are.
    let mut undo = Undo::default();
    for (path, state) in dirs {
        match hold(path, *state, &mut undo) {
            Ok(drive) => held.push(drive),
            // As if it were missing, which is accepted.
            Err(NotUsable { fault, is_failing: true })
                if *state == State::Coffer && (options.degraded || options.force) =>
            {
                tracing::error!(error = %fault, "left out of this start");
                failed.get_or_insert(fault);
            }
            Err(e) => return Err(OpenFailure::Fault(e.fault)),
        }
    }
    if held.is_empty()
        && let Some(fault) = failed
    {
        return Err(OpenFailure::Fault(fault));
    }
    let (log, lane, recovery) = open_held(&held, options)?;
    undo.keep();
    Ok(OpenLog { log, lane, recovery, held })
}

fn open_held(
    held: &[HeldDrive],
    options: &LogOptions,
) -> Result<(Log, Lane, Recovery), OpenFailure> {
    let seams = Seams::real(held.len()).map_err(OpenFailure::Io)?;
    let drives = held.iter().map(|h| h.drive.clone() as Arc<dyn Drive>).collect();
    Log::open(drives, options.clone(), seams).map_err(OpenFailure::Log)
}

fn hold(path: &Path, state: State, undo: &mut Undo) -> Result<HeldDrive, NotUsable> {
    if state == State::Absent {
        undo.made_below(path);
    }
    let (drive, lock) = answer(path, ANSWER_LIMIT, {
        let path = path.to_owned();
        move || open_and_lock(&path, state)
    })?;
    if state != State::Coffer {
        undo.files.push(path.join(LOCK));
    }
    Ok(HeldDrive { path: path.to_owned(), drive: Arc::new(drive), _lock: lock })
}

fn open_and_lock(path: &Path, state: State) -> Result<(RealDrive, Lock), NotUsable> {
    let wrong = |e: io::Error| NotUsable::io(path, &e);
    let drive = match state {
        State::Absent => RealDrive::create(path),
        State::Empty | State::Coffer | State::Failing => RealDrive::open(path),
    };
    let drive = drive.map_err(wrong)?;
    let lock = drive.lock().map_err(|e| match e.kind() {
        io::ErrorKind::WouldBlock => NotUsable {
            fault: Fault::Data(format!("{} is in use by another coffer", path.display())),
            is_failing: false,
        },
        _ => wrong(e),
    })?;
    Ok((drive, lock))
}

/// Takes back the lock files and directories of a start that failed.
#[derive(Default)]
struct Undo {
    files: Vec<PathBuf>,
    /// Outermost first.
    dirs: Vec<PathBuf>,
}

impl Undo {
    /// Remembers which directories on the way to `path` are not there yet.
    fn made_below(&mut self, path: &Path) {
        let absent = |p: &&Path| !p.as_os_str().is_empty() && !p.exists();
        let missing: Vec<_> = path.ancestors().take_while(absent).map(Path::to_owned).collect();
        self.dirs.extend(missing.into_iter().rev());
    }

    fn keep(mut self) {
        self.files.clear();
        self.dirs.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        // What can't be taken back is empty and harmless; the failure itself is being told.
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        for dir in self.dirs.iter().rev() {
            let _ = std::fs::remove_dir(dir);
        }
    }
}

/// Where the index of an open store can live; the first place is where it is looked for.
pub fn index_places(settings: &Settings, held: &[HeldDrive]) -> Vec<Place> {
    let on = |held: &HeldDrive, dir: PathBuf| Place { dir, drive: held.drive.clone() };
    match &settings.index_dir {
        Some(dir) => vec![on(&held[0], dir.clone())],
        None => held.iter().map(|held| on(held, held.path.join(INDEX))).collect(),
    }
}

/// Opens the index in `dir` and brings it to the end of the log. Damage of the index is repaired
/// by making it anew, and told.
pub fn open_catalog(
    dir: &Path,
    log: Log,
    lane: Lane,
    options: OpenOptions,
) -> anyhow::Result<Catalog> {
    let wrong = |e: &dyn std::fmt::Display| Fault::Data(format!("{}: {e}", dir.display()));
    std::fs::create_dir_all(dir).map_err(|e| wrong(&e))?;
    let (engine, damage) =
        LsmEngine::open_or_wipe(dir, EngineOptions::default()).map_err(|e| wrong(&e))?;
    if let Some(damage) = damage {
        tracing::warn!(dir = %dir.display(), damage, "the index was damaged and is made anew");
    }
    open_over(log, lane, Arc::new(engine), options)
}

/// As [`open_catalog`] in the first of `places`, from where the index can move on. What lies in
/// the others was left behind there and is removed.
fn open_roaming(
    places: Vec<Place>,
    log: Log,
    lane: Lane,
) -> anyhow::Result<(Catalog, Arc<Health>)> {
    for place in &places[1..] {
        match std::fs::remove_dir_all(&place.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(dir = %place.dir.display(), %error, "an old index can't be removed");
            }
            _ => {}
        }
    }
    let engine =
        Roaming::open(log.clone(), places).map_err(|error| Fault::Data(error.to_string()))?;
    let options = OpenOptions { leading: Leading::Task, ..OpenOptions::default() };
    #[cfg(feature = "failpoints")]
    let options = crate::failpoints::open_options(options);
    let health = engine.health();
    Ok((open_over(log, lane, Arc::new(engine), options)?, health))
}

fn open_over(
    log: Log,
    lane: Lane,
    engine: Arc<dyn Engine>,
    options: OpenOptions,
) -> anyhow::Result<Catalog> {
    let catalog = Catalog::open_with(log, lane, engine, Sequencing::Thread, options);
    Ok(catalog.map_err(|e| Fault::Data(e.to_string()))?)
}

/// Blocking work on the threads of the runtime.
pub struct Threads(pub Handle);

impl Blocking for Threads {
    fn run(&self, job: Job) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let running = self.0.spawn_blocking(job);
        Box::pin(async move {
            if let Err(error) = running.await {
                // The caller notices that it has no result.
                tracing::error!(%error, "blocking work did not end");
            }
        })
    }
}

/// A store, open from the drives to the domain.
pub struct Store {
    /// The domain.
    pub objects: Objects,
    /// What opening the log found.
    pub recovery: Recovery,
    /// Whose the buckets are.
    pub owner_id: String,
    /// The drives that are here.
    pub held: Vec<HeldDrive>,
    /// What happened to the index since.
    pub index_health: Arc<Health>,
}

/// Opens all of a store.
pub fn open(
    looked: &Looked,
    settings: &Settings,
    purpose: Purpose,
    handle: &Handle,
) -> anyhow::Result<Store> {
    let OpenLog { log, lane, recovery, held } = open_log(looked, settings, purpose)?;
    let dir = home::of(&index_places(settings, &held)[0].dir);
    let catalog = open_catalog(&dir, log, lane, OpenOptions::default())?;
    open_above(catalog, recovery, held, Arc::default(), handle)
}

/// As [`open`], from an open log, for a server.
pub fn open_serving(log: OpenLog, settings: &Settings, handle: &Handle) -> anyhow::Result<Store> {
    let OpenLog { log, lane, recovery, held } = log;
    let (catalog, health) = open_roaming(index_places(settings, &held), log, lane)?;
    open_above(catalog, recovery, held, health, handle)
}

fn open_above(
    catalog: Catalog,
    recovery: Recovery,
    held: Vec<HeldDrive>,
    index_health: Arc<Health>,
    handle: &Handle,
) -> anyhow::Result<Store> {
    let seams = ObjectSeams {
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
        blocking: Arc::new(Threads(handle.clone())),
    };
    let objects = Objects::open(catalog, seams)?;
    let owner_id = owner_id(recovery.store);
    Ok(Store { objects, recovery, owner_id, held, index_health })
}

impl Store {
    /// Ends every commit, makes the index durable and closes the log. Blocking.
    pub fn close(self) -> anyhow::Result<()> {
        let Store { objects, held, .. } = self;
        let log = objects.catalog().log().clone();
        let closed = objects.catalog().close();
        // What is inside a drive that hangs may still land: nobody starts on it while this process
        // is there.
        let (hung, idle): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|held| log.hung(&held.drive.label()).is_some());
        std::mem::forget(hung);
        drop((objects, log));
        drop(idle);
        Ok(closed?)
    }
}

/// Opens the identities of a store: with the key that seals them, made now if they are not sealed
/// yet. `root` is the operator's key pair, if one may sign requests. Blocking.
pub fn open_identity(
    store: &Store,
    settings: &Settings,
    root: Option<RootKey>,
    handle: &Handle,
) -> anyhow::Result<Identity> {
    let catalog = store.objects.catalog();
    let check = KeyCheck::of(catalog)?;
    let file = settings.secrets_key_file.as_deref();
    let key = secret_key::of_store(file, &store.held, check.as_ref())?;
    let default = DefaultAccount {
        id: AccountId::derived(&store.owner_id),
        owner_id: store.owner_id.clone(),
        root,
    };
    let seams = IdentitySeams { clock: Arc::new(SystemClock), rng: Arc::new(SystemRng) };
    match handle.block_on(Identity::open(catalog.clone(), &key, seams, default)) {
        Ok(identity) => Ok(identity),
        Err(error @ coffer_identity::Error::WrongSecretKey(_)) => {
            let place = match &settings.secrets_key_file {
                Some(path) => path.display().to_string(),
                None => secret_key::FILE.to_owned(),
            };
            Err(Fault::Data(format!("{place}: {error}")).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The id of the account that a store begins with, of the form of AWS's canonical user ids.
fn owner_id(store: StoreId) -> String {
    hex::encode(Sha256::digest(format!("coffer account of {store}")))
}

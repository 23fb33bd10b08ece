//! The catalog: opening it, reading it, committing to it, closing it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use coffer_base::sync::mpsc::{Sender, channel};
use coffer_base::sync::thread::{self, JoinHandle};
use coffer_base::{Ack, Position};
use coffer_log::{Lane, Log, Mark, ReplayError};
use tokio::sync::oneshot;

use crate::checkpoint::{CheckpointOptions, CheckpointStatus, Checkpoints, Report};
use crate::engine::{Engine, EngineError, IndexReads};
use crate::persister::{Persisted, Persister};
use crate::rebuild::{self, Replayed};
use crate::record::RecordError;
use crate::sequencer::{Counts, Leading, Message, Pending, Request, Sequencer, Shared};
use crate::snapshot::Snapshot;
use crate::steps::LongestSteps;
use crate::txn::{Txn, TxnError};

/// Where plans run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequencing {
    /// On a thread of its own, in groups: for a server.
    Thread,
    /// Inside [`Catalog::commit`], one by one: for simulations and tools. Deterministic.
    Inline,
}

/// How to open a catalog; the default is right for a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// When checkpoints are written.
    pub checkpoints: CheckpointOptions,
    /// Throw the index away and make it from the records of the log alone, whatever checkpoints
    /// there are.
    pub from_records: bool,
    /// Who may run groups with [`Sequencing::Thread`], beside that thread.
    pub leading: Leading,
}

/// Why the catalog could not be opened, read or closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The log failed.
    Log(coffer_log::Error),
    /// The index failed.
    Index(EngineError),
    /// A commit record of the log can't be read by this program.
    Record(RecordError),
    /// The operating system gave no thread.
    Thread(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Log(error) => error.fmt(f),
            Error::Index(error) => error.fmt(f),
            Error::Record(error) => error.fmt(f),
            Error::Thread(what) => write!(f, "can't start a thread: {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        Error::Index(error)
    }
}

impl From<TxnError> for Error {
    fn from(error: TxnError) -> Self {
        Error::Index(error.0)
    }
}

impl From<coffer_log::Error> for Error {
    fn from(error: coffer_log::Error) -> Self {
        Error::Log(error)
    }
}

/// Why a commit has no value to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitError<R> {
    /// The plan said so. Nothing was changed, and what the plan saw is durable.
    Rejected(R),
    /// The log failed; its error says whether the outcome is known.
    Log(coffer_log::Error),
    /// The index failed. The plan had no effect, or, if the index failed last, will have it after
    /// a restart: treat the outcome as unknown.
    Index(EngineError),
    /// The plan wanted to write more than a group holds. Nothing was changed.
    TooLarge {
        /// What it wanted to write.
        bytes: usize,
    },
    /// The plan panicked. Nothing was changed.
    Panicked(String),
    /// The catalog was closed before the plan had its turn. Nothing was changed.
    Closed,
}

impl<R: fmt::Display> fmt::Display for CommitError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommitError::Rejected(reason) => reason.fmt(f),
            CommitError::Log(error) => error.fmt(f),
            CommitError::Index(error) => error.fmt(f),
            CommitError::TooLarge { bytes } => {
                write!(f, "a commit of {bytes} bytes is larger than a group")
            }
            CommitError::Panicked(what) => write!(f, "a commit failed inside: {what}"),
            CommitError::Closed => write!(f, "the catalog is closed"),
        }
    }
}

impl<R: fmt::Debug + fmt::Display> std::error::Error for CommitError<R> {}

/// What the catalog is doing, for people and metrics. Counts start at the opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogStatus {
    /// The last group that the index holds.
    pub applied: Mark,
    /// Groups committed.
    pub groups: u64,
    /// Plans whose effects were committed.
    pub commits: u64,
    /// Plans that were rejected, panicked, or were too large.
    pub rejected: u64,
    /// Plans answered with a failure of the log or the index.
    pub failed: u64,
    /// Bytes of all groups: payloads, records and their framing.
    pub group_bytes: u64,
    /// Keys written to the index.
    pub changed_keys: u64,
    /// Bytes of the index on its drive.
    pub index_disk_bytes: u64,
    /// What groups waited for longest.
    pub longest_steps: LongestSteps,
    /// How the index answered reads.
    pub index_reads: IndexReads,
    /// Groups that the opening replayed into the index.
    pub replayed_groups: u64,
    /// Why the opening threw the index away, if it did.
    pub rebuilt: Option<String>,
    /// The position of the checkpoint that the opening loaded into the empty index, if it did.
    pub loaded_checkpoint: Option<Position>,
    /// Checkpoints of the catalog in the log.
    pub checkpoints: CheckpointStatus,
    /// Why the last attempt to make the index durable failed, if it did.
    pub persist_failure: Option<String>,
}

/// The ordered key-value space over the log. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

struct Inner {
    log: Log,
    engine: Arc<dyn Engine>,
    counts: Arc<Mutex<Counts>>,
    persisted: Arc<Persisted>,
    checkpoints: Arc<Report>,
    replayed: Replayed,
    running: Mutex<Running>,
    /// With [`Sequencing::Inline`], commits that wait for [`Catalog::run_gathered`].
    gathered: Mutex<Option<Vec<Box<dyn Request>>>>,
    /// Present with [`Sequencing::Thread`].
    served: Option<Served>,
}

/// Where commits go with [`Sequencing::Thread`].
struct Served {
    shared: Arc<Shared>,
    /// It ends with this: the thread has none.
    queue: Sender<Message>,
}

enum Running {
    Thread(JoinHandle<Lane>),
    Inline(Box<Sequencer>),
    Closed,
}

impl Catalog {
    /// Brings `engine` up to the end of the log and starts to take commits. An engine whose
    /// state is not part of the log's history, or damaged, is wiped and rebuilt, from the
    /// checkpoint in the log if there is a good one.
    pub fn open(
        log: Log,
        lane: Lane,
        engine: Arc<dyn Engine>,
        mode: Sequencing,
    ) -> Result<Catalog, Error> {
        Catalog::open_with(log, lane, engine, mode, OpenOptions::default())
    }

    /// [`Catalog::open`] with a say in how.
    pub fn open_with(
        log: Log,
        lane: Lane,
        engine: Arc<dyn Engine>,
        mode: Sequencing,
        options: OpenOptions,
    ) -> Result<Catalog, Error> {
        let replayed = if options.from_records {
            rebuild::from_records(&log, &*engine)?
        } else {
            rebuild::bring_up(&log, &*engine)?
        };
        let counts = Arc::new(Mutex::new(Counts::default()));
        let persisted = Arc::new(Persisted::default());
        let persister = match mode {
            Sequencing::Inline => Persister::inline(engine.clone(), persisted.clone()),
            Sequencing::Thread => Persister::thread(engine.clone(), persisted.clone())
                .map_err(|e| Error::Thread(e.to_string()))?,
        };
        let checkpoints = Arc::new(Report::default());
        let mut checkpointing =
            Checkpoints::new(log.clone(), options.checkpoints, mode, checkpoints.clone());
        if let Some(why) = &replayed.spoiled {
            checkpointing.replace_soon(why);
        }
        let sequencer =
            Sequencer::new(lane, engine.clone(), counts.clone(), persister, checkpointing);
        let (running, served) = match mode {
            Sequencing::Inline => (Running::Inline(Box::new(sequencer)), None),
            Sequencing::Thread => {
                let (queue, messages) = channel();
                let shared = Arc::new(Shared::new(sequencer, options.leading));
                let serving = shared.clone();
                let thread = thread::Builder::new()
                    .name("commit".into())
                    .spawn(move || serving.run(&messages))
                    .map_err(|e| Error::Thread(e.to_string()))?;
                (Running::Thread(thread), Some(Served { shared, queue }))
            }
        };
        let (running, gathered) = (Mutex::new(running), Mutex::default());
        let inner = Inner {
            log,
            engine,
            counts,
            persisted,
            checkpoints,
            replayed,
            running,
            gathered,
            served,
        };
        Ok(Catalog { inner: Arc::new(inner) })
    }

    /// The value of `key` after the last group.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.inner.engine.get(key)?)
    }

    /// The state after the last group.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.inner.engine.snapshot())
    }

    /// The log below.
    pub fn log(&self) -> &Log {
        &self.inner.log
    }

    /// Runs `plan` in its turn and returns its value once what it changed is durable at `ack`
    /// and visible to readers.
    ///
    /// Plans run one after another and see all earlier ones; they must not block, and must not
    /// commit. One that returns an error or panics leaves no trace; its error is answered when
    /// what it saw is durable. `size_hint` is at least the bytes of the payloads, keys and values
    /// that it will write (4 KiB and an eighth are added for it).
    ///
    /// Dropping the future does not take the commit back.
    pub async fn commit<T, R>(
        &self,
        ack: Ack,
        size_hint: usize,
        plan: impl FnOnce(&mut Txn<'_>) -> Result<T, R> + Send + 'static,
    ) -> Result<T, CommitError<R>>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let request: Box<dyn Request> = Box::new(Pending::new(ack, size_hint, plan, reply));
        match &self.inner.served {
            Some(Served { shared, queue }) => {
                if shared.take(request, queue).is_err() {
                    return Err(CommitError::Closed);
                }
            }
            None => {
                let mut gathered = self.inner.gathered();
                if let Some(waiting) = &mut *gathered {
                    waiting.push(request);
                } else {
                    drop(gathered);
                    self.run_inline(vec![request])?;
                }
            }
        }
        answer.await.unwrap_or(Err(CommitError::Closed))
    }

    fn run_inline<R>(&self, batch: Vec<Box<dyn Request>>) -> Result<(), CommitError<R>> {
        match &mut *self.inner.running() {
            Running::Inline(sequencer) => {
                sequencer.run_group(batch);
                Ok(())
            }
            Running::Thread(_) | Running::Closed => Err(CommitError::Closed),
        }
    }

    /// For simulations, with [`Sequencing::Inline`]: from now on commits wait for each other, as
    /// they do on a busy server while a group syncs, until [`Catalog::run_gathered`].
    pub fn gather(&self) {
        self.inner.gathered().get_or_insert_default();
    }

    /// Runs the commits that have waited as one group, in the order of their coming, and answers
    /// them; how many those were. Commits after this one do not wait any more.
    pub fn run_gathered(&self) -> usize {
        let batch = self.inner.gathered().take().unwrap_or_default();
        let count = batch.len();
        // A closed catalog drops them, which answers them so.
        if count > 0 && self.run_inline::<()>(batch).is_err() {
            tracing::debug!(count, "commits came after the end");
        }
        count
    }

    /// What it is doing.
    pub fn status(&self) -> Result<CatalogStatus, Error> {
        let inner = &*self.inner;
        let counts = *inner.counts.lock().expect("counting doesn't panic");
        Ok(CatalogStatus {
            applied: inner.engine.mark()?.unwrap_or_default(),
            groups: counts.groups,
            commits: counts.commits,
            rejected: counts.rejected,
            failed: counts.failed,
            group_bytes: counts.group_bytes,
            changed_keys: counts.changed_keys,
            index_disk_bytes: inner.engine.disk_bytes(),
            longest_steps: counts.longest,
            index_reads: inner.engine.reads(),
            replayed_groups: inner.replayed.groups,
            rebuilt: inner.replayed.rebuilt.clone(),
            loaded_checkpoint: inner.replayed.loaded,
            checkpoints: inner.checkpoints.status(),
            persist_failure: inner.persisted.failure.lock().expect("no holder panics").clone(),
        })
    }

    /// Takes no more commits, finishes those that wait, makes the index durable and closes the
    /// log cleanly. Blocking. Closing again does nothing.
    pub fn close(&self) -> Result<(), Error> {
        let inner = &*self.inner;
        let running = std::mem::replace(&mut *inner.running(), Running::Closed);
        let lane = match running {
            Running::Closed => return Ok(()),
            Running::Inline(sequencer) => sequencer.finish(),
            Running::Thread(thread) => {
                if let Some(Served { queue, .. }) = &inner.served {
                    // If the thread has ended already, joining it tells why.
                    drop(queue.send(Message::Close));
                }
                thread.join().map_err(|_| Error::Thread("the commit thread panicked".into()))?
            }
        };
        coffer_base::failpoint::pass("catalog.stopped");
        let persisted = inner.engine.persist();
        coffer_base::failpoint::pass("index.persisted");
        inner.log.close(lane)?;
        Ok(persisted?)
    }
}

impl Inner {
    fn gathered(&self) -> MutexGuard<'_, Option<Vec<Box<dyn Request>>>> {
        self.gathered.lock().expect("no holder panics")
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // A panic inside an inline group poisons nothing: its group was dropped with it.
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl From<ReplayError> for Error {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Log(error) => Error::Log(error),
            ReplayError::NotOnChain => {
                Error::Log(coffer_log::Error::Corrupt("the log does not know its own end".into()))
            }
        }
    }
}

//! Bringing the index up to the end of the log.

use std::time::Duration;

use coffer_base::{Clock, Position, SystemClock};
use coffer_log::{Log, Mark, ReplayError, ReplayedGroup};

use crate::catalog::Error;
use crate::checkpoint;
use crate::engine::{Engine, EngineError};
use crate::overlay::Overlay;
use crate::record::mutations;

/// Replayed groups are applied together until they changed this many keys …
const KEYS_PER_BATCH: usize = 4096;

/// … or hold this many bytes of records.
const RECORD_BYTES_PER_BATCH: usize = 4 << 20;

/// How often progress is told.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Tells how far something long is.
pub(crate) struct Progress {
    what: &'static str,
    total: u64,
    began: Duration,
    told: Duration,
}

impl Progress {
    pub(crate) fn new(what: &'static str, total: u64) -> Progress {
        let now = SystemClock.monotonic();
        Progress { what, total, began: now, told: now }
    }

    /// `done` of the total is done, and `keys` keys are written: told now and then.
    pub(crate) fn at(&mut self, done: u64, keys: u64) {
        let now = SystemClock.monotonic();
        if now - self.told < REPORT_INTERVAL || done == 0 {
            return;
        }
        self.told = now;
        let left = (now - self.began).as_secs_f64() * self.total.saturating_sub(done) as f64;
        let (seconds_left, percent) = (left / done as f64, done * 100 / self.total.max(1));
        tracing::info!(
            event = "index-progress",
            keys,
            percent,
            seconds_left = seconds_left.ceil(),
            "{}",
            self.what
        );
    }
}

/// What opening the catalog had to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) groups: u64,
    pub(crate) records: u64,
    /// Why the index was thrown away.
    pub(crate) rebuilt: Option<String>,
    /// Of the checkpoint that was loaded.
    pub(crate) loaded: Option<Position>,
    /// Why the recorded checkpoint is of no use, if that came out.
    pub(crate) spoiled: Option<String>,
}

/// Replays what `engine` lacks; wipes it first if its state is not one of the log's history. An
/// empty engine starts from the checkpoint in the log, if there is a good one.
pub(crate) fn bring_up(log: &Log, engine: &dyn Engine) -> Result<Replayed, Error> {
    let why = match engine.mark() {
        Ok(None) => return fill(log, engine),
        Ok(from) => match replay(log, engine, from) {
            Ok(replayed) => return Ok(replayed),
            Err(Failed::NotOnChain) => "it is not part of the log's history".to_owned(),
            Err(Failed::Error(Error::Index(EngineError::Damaged(what)))) => what,
            Err(Failed::Error(error)) => return Err(error),
        },
        Err(EngineError::Damaged(what)) => what,
        Err(error) => return Err(error.into()),
    };
    tracing::warn!("rebuilding the index from the log: {why}");
    engine.wipe()?;
    Ok(Replayed { rebuilt: Some(why), ..fill(log, engine)? })
}

/// Fills an empty engine from the checkpoint and what came after, or from the records alone if
/// the checkpoint is of no use.
fn fill(log: &Log, engine: &dyn Engine) -> Result<Replayed, Error> {
    let loaded = checkpoint::load(log, engine);
    coffer_base::failpoint::pass("rebuild.loaded");
    let why = match loaded {
        Ok(None) => return replay_all(log, engine),
        Ok(Some(mark)) => match replay(log, engine, Some(mark)) {
            Ok(replayed) => return Ok(Replayed { loaded: Some(mark.position), ..replayed }),
            Err(Failed::NotOnChain) => "it is not part of the log's history".to_owned(),
            Err(Failed::Error(error)) => return Err(error),
        },
        Err(checkpoint::LoadFailed::Unusable(why)) => why.to_string(),
        Err(checkpoint::LoadFailed::Engine(error)) => return Err(error.into()),
    };
    tracing::warn!("the checkpoint can't be used, replaying all of the log: {why}");
    engine.wipe()?;
    Ok(Replayed { spoiled: Some(why), ..replay_all(log, engine)? })
}

fn replay_all(log: &Log, engine: &dyn Engine) -> Result<Replayed, Error> {
    replay(log, engine, None).map_err(|failed| match failed {
        Failed::NotOnChain => ReplayError::NotOnChain.into(),
        Failed::Error(error) => error,
    })
}

/// Throws away what `engine` holds and replays all records of the log, whatever checkpoints
/// there are.
pub(crate) fn from_records(log: &Log, engine: &dyn Engine) -> Result<Replayed, Error> {
    engine.wipe()?;
    let why = "it was to be made from the records alone".to_owned();
    Ok(Replayed { rebuilt: Some(why), ..replay_all(log, engine)? })
}

/// Brings `engine` up to the end of the log as it is now, as [`crate::Catalog::open`] does: for
/// an engine that is to take the place of one in use.
pub fn catch_up(log: &Log, engine: &dyn Engine) -> Result<(), Error> {
    bring_up(log, engine).map(|_| ())
}

/// Fills `engine` from the records of the log alone, whatever checkpoints there are: for
/// comparing the two, and for whoever trusts neither.
pub fn replay_records(log: &Log, engine: &dyn Engine) -> Result<(), Error> {
    from_records(log, engine).map(|_| ())
}

enum Failed {
    NotOnChain,
    Error(Error),
}

fn replay(log: &Log, engine: &dyn Engine, from: Option<Mark>) -> Result<Replayed, Failed> {
    let mut batch = Batch { engine, overlay: Overlay::default(), record_bytes: 0, applied: from };
    let mut replayed = Replayed::default();
    let mut stopped = None;
    let start = from.map_or(0, |mark| mark.position.0);
    let total = log.end().position.0.saturating_sub(start);
    let mut progress = Progress::new("replaying the log into the index", total);
    let end = log.replay(from, &mut |group| {
        batch.take(group).map_err(|error| {
            let what = error.to_string();
            stopped = Some(error);
            coffer_log::Error::Corrupt(what)
        })?;
        replayed.groups += 1;
        replayed.records += group.records.len() as u64;
        progress.at(group.mark.position.0.saturating_sub(start), replayed.records);
        Ok(())
    });
    let end = match (end, stopped) {
        (_, Some(error)) => return Err(Failed::Error(error)),
        (Ok(end), None) => end,
        (Err(ReplayError::NotOnChain), None) => return Err(Failed::NotOnChain),
        (Err(error), None) => return Err(Failed::Error(error.into())),
    };
    if batch.applied != Some(end) {
        // Also when nothing was replayed: the end may carry a newer epoch.
        batch.apply(end).map_err(|error| Failed::Error(error.into()))?;
    }
    coffer_base::failpoint::pass("rebuild.done");
    if replayed.groups > 0 {
        let Replayed { groups, records, .. } = replayed;
        tracing::info!(groups, records, position = end.position.0, "the index is up to date");
    }
    Ok(replayed)
}

/// Replayed groups that are not applied yet.
struct Batch<'a> {
    engine: &'a dyn Engine,
    overlay: Overlay,
    record_bytes: usize,
    applied: Option<Mark>,
}

impl Batch<'_> {
    fn take(&mut self, group: &ReplayedGroup<'_>) -> Result<(), Error> {
        for record in &group.records {
            for mutation in mutations(record) {
                self.overlay.replay(self.engine, &mutation.map_err(Error::Record)?)?;
            }
            self.record_bytes += record.len();
        }
        if self.overlay.len() >= KEYS_PER_BATCH || self.record_bytes >= RECORD_BYTES_PER_BATCH {
            self.apply(group.mark)?;
        }
        Ok(())
    }

    fn apply(&mut self, mark: Mark) -> Result<(), EngineError> {
        self.engine.check()?;
        let writes = std::mem::take(&mut self.overlay).into_writes();
        self.engine.apply(writes, mark)?;
        coffer_base::failpoint::pass("rebuild.batch");
        self.record_bytes = 0;
        self.applied = Some(mark);
        Ok(())
    }
}

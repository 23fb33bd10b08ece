//! Bringing the index up to the end of the log.

use coffer_log::{Log, Mark, ReplayError, ReplayedGroup};

use crate::catalog::Error;
use crate::engine::{Engine, EngineError};
use crate::overlay::Overlay;
use crate::record::mutations;

/// Replayed groups are applied together until they changed this many keys …
const KEYS_PER_BATCH: usize = 4096;

/// … or hold this many bytes of records.
const RECORD_BYTES_PER_BATCH: usize = 4 << 20;

/// Groups between two reports of progress.
const GROUPS_PER_REPORT: u64 = 100_000;

/// What opening the catalog had to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) groups: u64,
    pub(crate) records: u64,
    /// Why the index was thrown away.
    pub(crate) rebuilt: Option<String>,
}

/// Replays what `engine` lacks; wipes it first if its state is not one of the log's history.
pub(crate) fn bring_up(log: &Log, engine: &dyn Engine) -> Result<Replayed, Error> {
    let why = match engine.mark() {
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
    match replay(log, engine, None) {
        Ok(replayed) => Ok(Replayed { rebuilt: Some(why), ..replayed }),
        Err(Failed::NotOnChain) => Err(ReplayError::NotOnChain.into()),
        Err(Failed::Error(error)) => Err(error),
    }
}

enum Failed {
    NotOnChain,
    Error(Error),
}

fn replay(log: &Log, engine: &dyn Engine, from: Option<Mark>) -> Result<Replayed, Failed> {
    let mut batch = Batch { engine, overlay: Overlay::default(), record_bytes: 0, mark: from };
    let mut replayed = Replayed::default();
    let mut stopped = None;
    let end = log.replay(from, &mut |group| {
        batch.take(group).map_err(|error| {
            let what = error.to_string();
            stopped = Some(error);
            coffer_log::Error::Corrupt(what)
        })?;
        replayed.groups += 1;
        replayed.records += group.records.len() as u64;
        if replayed.groups.is_multiple_of(GROUPS_PER_REPORT) {
            tracing::info!(
                groups = replayed.groups,
                records = replayed.records,
                position = group.mark.position.0,
                "replaying the log into the index"
            );
        }
        Ok(())
    });
    let end = match (end, stopped) {
        (_, Some(error)) => return Err(Failed::Error(error)),
        (Ok(end), None) => end,
        (Err(ReplayError::NotOnChain), None) => return Err(Failed::NotOnChain),
        (Err(error), None) => return Err(Failed::Error(error.into())),
    };
    if batch.mark.is_some_and(|mark| mark != end) || batch.record_bytes > 0 {
        // Also when nothing was replayed: the end may carry a newer epoch.
        batch.mark = Some(end);
        batch.apply().map_err(|error| Failed::Error(error.into()))?;
    }
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
    mark: Option<Mark>,
}

impl Batch<'_> {
    fn take(&mut self, group: &ReplayedGroup<'_>) -> Result<(), Error> {
        for record in &group.records {
            for mutation in mutations(record) {
                self.overlay.replay(self.engine, &mutation.map_err(Error::Record)?)?;
            }
            self.record_bytes += record.len();
        }
        self.mark = Some(group.mark);
        if self.overlay.len() >= KEYS_PER_BATCH || self.record_bytes >= RECORD_BYTES_PER_BATCH {
            self.apply()?;
        }
        Ok(())
    }

    fn apply(&mut self) -> Result<(), EngineError> {
        let Some(mark) = self.mark else { return Ok(()) };
        self.engine.check()?;
        self.record_bytes = 0;
        self.engine.apply(std::mem::take(&mut self.overlay).into_writes(), mark)
    }
}

//! Taking a body in: small ones are kept in memory for the commit, large ones stream into bulk
//! rows while their digests are computed beside.
//!
//! Memory: at most the bulk threshold while it is not known where the body goes; then one batch
//! being gathered and one being hashed and written, and the row that the log's writer fills.
//! Nothing is gathered before the log has memory for that row.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use coffer_log::{BulkWriter, Extent, Log};

use crate::blocking::{self, Blocking};
use crate::crowd::{Crowd, batch_bytes};
use crate::digest::{Digester, Digests};
use crate::error::{Error, Result};
use crate::types::{BODY_BYTES_MAX, ChecksumAlgorithm};

/// A body that was taken in whole.
pub(crate) enum Payload {
    /// Below the bulk threshold; may be empty.
    Inline(Bytes),
    /// In bulk rows, durable.
    Bulk(Vec<Extent>),
}

/// A body being taken in. An error leaves it failed; all later calls fail too.
pub(crate) struct Intake {
    log: Log,
    blocking: Arc<dyn Blocking>,
    crowd: Crowd,
    announced_bytes: Option<u64>,
    received_bytes: u64,
    stage: Stage,
}

#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each body, and it lives in a future"
)]
enum Stage {
    /// Not yet clear, or clear that it is small.
    Gathering {
        data: BytesMut,
        digester: Digester,
    },
    /// Large; nothing has come yet.
    Awaited(Digester),
    /// Into bulk rows.
    Streaming(Streaming),
    Failed,
}

struct Streaming {
    batch: Vec<Bytes>,
    batch_bytes: usize,
    /// When the batch is hashed and written.
    batch_bytes_max: usize,
    work: Work,
}

type Pending<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// The digester and the writer, at rest or at a batch.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each body, and it lives in a future"
)]
enum Work {
    Idle(Digester, BulkWriter),
    Busy(Pending<Digester>, Pending<Result<BulkWriter>>),
}

impl Work {
    async fn settle(self) -> Result<(Digester, BulkWriter)> {
        match self {
            Work::Idle(digester, writer) => Ok((digester, writer)),
            Work::Busy(digester, writer) => {
                // Both must have ended, also when one failed.
                let (digester, writer) = (digester.await, writer.await);
                Ok((digester?, writer??))
            }
        }
    }
}

impl Streaming {
    fn new(digester: Digester, writer: BulkWriter) -> Self {
        let batch_bytes_max = batch_bytes(writer.row_bytes());
        let work = Work::Idle(digester, writer);
        Streaming { batch: Vec::new(), batch_bytes: 0, batch_bytes_max, work }
    }

    fn gather(&mut self, data: Bytes) {
        self.batch_bytes += data.len();
        self.batch.push(data);
    }

    /// Starts on the batch as soon as the one before is done.
    async fn flush(self, blocking: &dyn Blocking) -> Result<Streaming> {
        let (mut digester, mut writer) = self.work.settle().await?;
        if self.batch.is_empty() {
            return Ok(Streaming::new(digester, writer));
        }
        let batch_bytes_max = batch_bytes(writer.row_bytes());
        let to_hash = Arc::new(self.batch);
        let to_write = to_hash.clone();
        let hashing = blocking::call(blocking, move || {
            to_hash.iter().for_each(|data| digester.update(data));
            digester
        });
        let writing = blocking::call(blocking, move || {
            to_write.iter().try_for_each(|data| writer.write(data))?;
            Ok(writer)
        });
        let work = Work::Busy(Box::pin(hashing), Box::pin(writing));
        Ok(Streaming { batch: Vec::new(), batch_bytes: 0, batch_bytes_max, work })
    }
}

impl Intake {
    /// Prepares to take in a body of `announced_bytes`, if that is known.
    pub(crate) fn new(
        log: &Log,
        blocking: &Arc<dyn Blocking>,
        crowd: &Crowd,
        announced_bytes: Option<u64>,
        algorithms: &[ChecksumAlgorithm],
    ) -> Result<Intake> {
        if let Some(size) = announced_bytes.filter(|size| *size > BODY_BYTES_MAX) {
            return Err(Error::EntityTooLarge { size, max: BODY_BYTES_MAX });
        }
        let digester = Digester::new(algorithms);
        let threshold = log.options().bulk_threshold_bytes;
        let stage = match announced_bytes {
            Some(size) if size >= threshold => Stage::Awaited(digester),
            _ => {
                let data = BytesMut::with_capacity(announced_bytes.unwrap_or(0) as usize);
                Stage::Gathering { data, digester }
            }
        };
        Ok(Intake {
            log: log.clone(),
            blocking: blocking.clone(),
            crowd: crowd.clone(),
            announced_bytes,
            received_bytes: 0,
            stage,
        })
    }

    /// How much has been taken in.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Takes the next bytes; waits while the drives are behind.
    pub(crate) async fn write(&mut self, data: Bytes) -> Result<()> {
        let stage = std::mem::replace(&mut self.stage, Stage::Failed);
        self.stage = self.advance(stage, data).await?;
        Ok(())
    }

    async fn advance(&mut self, stage: Stage, data: Bytes) -> Result<Stage> {
        self.received_bytes += data.len() as u64;
        if self.announced_bytes.is_some_and(|announced| self.received_bytes > announced) {
            return Err(Error::IncompleteBody);
        }
        if self.received_bytes > BODY_BYTES_MAX {
            let size = self.received_bytes;
            return Err(Error::EntityTooLarge { size, max: BODY_BYTES_MAX });
        }
        let mut streaming = match stage {
            Stage::Failed => return Err(failed()),
            Stage::Awaited(digester) => {
                let mut streaming = Streaming::new(digester, self.open().await?);
                streaming.gather(data);
                streaming
            }
            Stage::Streaming(mut streaming) => {
                streaming.gather(data);
                streaming
            }
            Stage::Gathering { data: mut gathered, mut digester } => {
                if self.received_bytes < self.log.options().bulk_threshold_bytes {
                    digester.update(&data);
                    gathered.extend_from_slice(&data);
                    return Ok(Stage::Gathering { data: gathered, digester });
                }
                // What was gathered has been hashed already, so the digester must not see it
                // again: the writer alone takes it.
                let mut writer = self.open().await?;
                let writing = blocking::call(&*self.blocking, move || {
                    writer.write(&gathered)?;
                    Ok::<_, Error>(writer)
                });
                let mut streaming = Streaming::new(digester, writing.await??);
                streaming.gather(data);
                streaming
            }
        };
        if streaming.batch_bytes >= streaming.batch_bytes_max {
            streaming = streaming.flush(&*self.blocking).await?;
        }
        Ok(Stage::Streaming(streaming))
    }

    /// Opens a writer of bulk rows; waits while others have all the memory for rows.
    async fn open(&mut self) -> Result<BulkWriter> {
        let turn = self.crowd.turn_to_open().await?;
        let (log, announced_bytes) = (self.log.clone(), self.announced_bytes);
        let opening = blocking::call(&*self.blocking, move || {
            let _turn = turn;
            log.bulk_writer(announced_bytes)
        });
        Ok(opening.await??)
    }

    /// Ends the body. `accept` may refuse it by its digests, before anything is made durable.
    pub(crate) async fn finish(
        self,
        accept: impl FnOnce(&Digests) -> Result<()>,
    ) -> Result<(Payload, Digests)> {
        if self.announced_bytes.is_some_and(|announced| self.received_bytes != announced) {
            return Err(Error::IncompleteBody);
        }
        match self.stage {
            Stage::Failed => Err(failed()),
            Stage::Awaited(_) => Err(Error::IncompleteBody),
            Stage::Gathering { data, digester } => {
                let digests = digester.finish();
                accept(&digests)?;
                Ok((Payload::Inline(data.freeze()), digests))
            }
            Stage::Streaming(streaming) => {
                let streaming = streaming.flush(&*self.blocking).await?;
                let (digester, writer) = streaming.work.settle().await?;
                let digests = digester.finish();
                accept(&digests)?;
                let finishing = blocking::call(&*self.blocking, move || writer.finish());
                Ok((Payload::Bulk(finishing.await??), digests))
            }
        }
    }
}

fn failed() -> Error {
    Error::Unavailable("the body could not be stored".to_owned())
}

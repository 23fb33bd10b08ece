//! Taking a body in: small ones are kept in memory for the commit, large ones stream into bulk
//! rows while their digests are computed beside.
//!
//! Memory: at most the bulk threshold while it is not known where the body goes; then one batch
//! being gathered and one being hashed and written, and the row that the log's writer fills.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use coffer_log::{BulkWriter, Extent, Log};

use crate::blocking::{self, Blocking};
use crate::digest::{Digester, Digests};
use crate::error::{Error, Result};
use crate::types::{BODY_BYTES_MAX, ChecksumAlgorithm};

/// A batch is hashed and written when it holds so many bytes.
const BATCH_BYTES: usize = 512 << 10;

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
    announced_bytes: Option<u64>,
    received_bytes: u64,
    stage: Stage,
}

enum Stage {
    /// Not yet clear, or clear that it is small.
    Gathering { data: BytesMut, digester: Digester },
    /// Into bulk rows.
    Streaming(Streaming),
    Failed,
}

struct Streaming {
    batch: Vec<Bytes>,
    batch_bytes: usize,
    work: Work,
}

type Pending<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// The digester and the writer, at rest or at work.
enum Work {
    Idle(Digester, BulkWriter),
    /// The writer is being opened.
    Opening(Digester, Pending<Result<BulkWriter>>),
    /// Both are at a batch.
    Busy(Pending<Digester>, Pending<Result<BulkWriter>>),
}

impl Work {
    async fn settle(self) -> Result<(Digester, BulkWriter)> {
        match self {
            Work::Idle(digester, writer) => Ok((digester, writer)),
            Work::Opening(digester, writer) => Ok((digester, writer.await??)),
            Work::Busy(digester, writer) => {
                // Both must have ended, also when one failed.
                let (digester, writer) = (digester.await, writer.await);
                Ok((digester?, writer??))
            }
        }
    }
}

impl Streaming {
    fn open(
        log: &Log,
        blocking: &dyn Blocking,
        announced_bytes: Option<u64>,
        digester: Digester,
    ) -> Self {
        let log = log.clone();
        let opening = blocking::call(blocking, move || {
            log.bulk_writer(announced_bytes).map_err(Error::from)
        });
        let work = Work::Opening(digester, Box::pin(opening));
        Streaming { batch: Vec::new(), batch_bytes: 0, work }
    }

    fn gather(&mut self, data: Bytes) {
        self.batch_bytes += data.len();
        self.batch.push(data);
    }

    /// Starts on the batch as soon as the one before is done.
    async fn flush(self, blocking: &dyn Blocking) -> Result<Streaming> {
        let (mut digester, mut writer) = self.work.settle().await?;
        if self.batch.is_empty() {
            let work = Work::Idle(digester, writer);
            return Ok(Streaming { batch: Vec::new(), batch_bytes: 0, work });
        }
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
        Ok(Streaming { batch: Vec::new(), batch_bytes: 0, work })
    }
}

impl Intake {
    /// Prepares to take in a body of `announced_bytes`, if that is known.
    pub(crate) fn new(
        log: &Log,
        blocking: &Arc<dyn Blocking>,
        announced_bytes: Option<u64>,
        algorithms: &[ChecksumAlgorithm],
    ) -> Result<Intake> {
        if let Some(size) = announced_bytes.filter(|size| *size > BODY_BYTES_MAX) {
            return Err(Error::EntityTooLarge { size, max: BODY_BYTES_MAX });
        }
        let digester = Digester::new(algorithms);
        let threshold = log.options().bulk_threshold_bytes;
        let stage = match announced_bytes {
            Some(size) if size >= threshold => {
                Stage::Streaming(Streaming::open(log, &**blocking, announced_bytes, digester))
            }
            _ => {
                let data = BytesMut::with_capacity(announced_bytes.unwrap_or(0) as usize);
                Stage::Gathering { data, digester }
            }
        };
        Ok(Intake {
            log: log.clone(),
            blocking: blocking.clone(),
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
                let opened = Streaming::open(
                    &self.log,
                    &*self.blocking,
                    self.announced_bytes,
                    digester,
                );
                let (digester, mut writer) = opened.work.settle().await?;
                let writing = blocking::call(&*self.blocking, move || {
                    writer.write(&gathered)?;
                    Ok::<_, coffer_log::Error>(writer)
                });
                let work = Work::Idle(digester, writing.await??);
                let mut streaming = Streaming { batch: Vec::new(), batch_bytes: 0, work };
                streaming.gather(data);
                streaming
            }
        };
        if streaming.batch_bytes >= BATCH_BYTES {
            streaming = streaming.flush(&*self.blocking).await?;
        }
        Ok(Stage::Streaming(streaming))
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

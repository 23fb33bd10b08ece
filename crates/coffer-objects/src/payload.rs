//! Taking a body in: small ones are kept in memory for the commit, large ones stream into bulk
//! rows while their digests are computed beside.
//!
//! Bytes are gathered here, in memory that is counted, until they fill rows; only then does the
//! log take memory for these, and it gives it back at the pace of the drives. So no client, however
//! slow, holds what another needs. While one batch is hashed and written, the next is gathered.
//! When all bodies together have gathered too much, each is written as soon as it is more than its
//! share, also one that would have been small enough for the commit.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use coffer_log::{BulkWriter, Extent, Log};

use crate::blocking::{self, Blocking};
use crate::crowd::{Crowd, Gathered, ROW_BYTES_MAX, Upload};
use crate::digest::{Digester, Digests};
use crate::error::{Error, Result};
use crate::hashing::{Hashing, Pieces};
use crate::types::{BODY_BYTES_MAX, ChecksumAlgorithm};

#[cfg(test)]
mod tests;

/// Shorter pieces are copied together, so that many tiny ones don't cost more than their bytes.
const PIECE_BYTES_MIN: usize = 16 << 10;

/// A body that was taken in whole.
pub(crate) enum Payload {
    /// Kept in memory for the commit; may be empty.
    Inline(Bytes),
    /// In bulk rows, durable.
    Bulk(Vec<Extent>),
}

/// A body being taken in. An error leaves it failed; all later calls fail too.
pub(crate) struct Intake {
    log: Log,
    blocking: Arc<dyn Blocking>,
    hashing: Hashing,
    upload: Upload,
    announced_bytes: Option<u64>,
    received_bytes: u64,
    batch: Batch,
    work: Work,
}

/// Where bodies are hashed and written, and how many there are.
pub(crate) struct IntakeSeams<'a> {
    pub blocking: Arc<dyn Blocking>,
    pub hashing: Hashing,
    pub crowd: &'a Crowd,
}

/// Bytes that have come and are not yet on their way into rows.
struct Batch {
    pieces: Vec<Bytes>,
    /// What comes after these.
    tail: BytesMut,
    bytes: usize,
    gathered: Gathered,
}

impl Batch {
    fn new(gathered: Gathered) -> Batch {
        Batch { pieces: Vec::new(), tail: BytesMut::new(), bytes: 0, gathered }
    }

    fn push(&mut self, data: Bytes) {
        self.bytes += data.len();
        self.gathered.add(data.len());
        if data.len() < PIECE_BYTES_MIN {
            self.tail.extend_from_slice(&data);
            if self.tail.len() >= 4 * PIECE_BYTES_MIN {
                self.end_tail();
            }
        } else {
            self.end_tail();
            self.pieces.push(data);
        }
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push(std::mem::take(&mut self.tail).freeze());
        }
    }

    /// The first `bytes` bytes; the others stay.
    fn split_to(&mut self, bytes: usize) -> Batch {
        self.end_tail();
        let mut first = Batch::new(self.gathered.split(bytes));
        first.bytes = bytes;
        self.bytes -= bytes;
        let mut left = bytes;
        let whole = self.pieces.iter().take_while(|piece| {
            let fits = piece.len() <= left;
            left -= if fits { piece.len() } else { 0 };
            fits
        });
        let whole = whole.count();
        first.pieces.extend(self.pieces.drain(..whole));
        if left > 0 {
            first.pieces.push(self.pieces[0].split_to(left));
        }
        first
    }

    /// Its bytes, in pieces.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        self.pieces.iter().map(|piece| &piece[..]).chain(tail)
    }

    /// Its bytes in one.
    fn join(mut self) -> Bytes {
        self.end_tail();
        match self.pieces.len() {
            0 => Bytes::new(),
            1 => self.pieces.swap_remove(0),
            _ => self.pieces.concat().into(),
        }
    }
}

impl Pieces for Arc<Batch> {
    fn piece(&self, index: usize) -> Option<&[u8]> {
        let tail = (index == self.pieces.len() && !self.tail.is_empty()).then_some(&self.tail[..]);
        self.pieces.get(index).map(|piece| &piece[..]).or(tail)
    }
}

type Pending<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// The digester and the writer, at rest or at a batch.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each body, and it lives in a future"
)]
enum Work {
    /// All that has come is in the batch.
    None(Digester),
    Idle(Digester, BulkWriter),
    Busy(Pending<Digester>, Pending<Result<BulkWriter>>),
    Failed,
}

impl Intake {
    /// Prepares to take in a body of `announced_bytes`, if that is known.
    pub(crate) fn new(
        log: &Log,
        seams: IntakeSeams<'_>,
        announced_bytes: Option<u64>,
        algorithms: &[ChecksumAlgorithm],
    ) -> Result<Intake> {
        if let Some(size) = announced_bytes.filter(|size| *size > BODY_BYTES_MAX) {
            return Err(Error::EntityTooLarge { size, max: BODY_BYTES_MAX });
        }
        let IntakeSeams { blocking, hashing, crowd } = seams;
        let upload = crowd.enter_upload();
        let batch = Batch::new(upload.gathered());
        Ok(Intake {
            log: log.clone(),
            blocking,
            hashing,
            upload,
            announced_bytes,
            received_bytes: 0,
            batch,
            work: Work::None(Digester::new(algorithms)),
        })
    }

    /// How much has been taken in.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Takes the next bytes; waits while the drives are behind.
    pub(crate) async fn write(&mut self, data: Bytes) -> Result<()> {
        if matches!(self.work, Work::Failed) {
            return Err(failed());
        }
        self.received_bytes += data.len() as u64;
        let (received, announced) = (self.received_bytes, self.announced_bytes);
        let refused = if announced.is_some_and(|announced| received > announced) {
            Some(Error::IncompleteBody)
        } else if received > BODY_BYTES_MAX {
            Some(Error::EntityTooLarge { size: received, max: BODY_BYTES_MAX })
        } else {
            None
        };
        if let Some(error) = refused {
            self.work = Work::Failed;
            return Err(error);
        }
        self.batch.push(data);
        let squeezed = self.upload.squeezed(self.batch.bytes);
        // What comes last is left to `finish`, which writes a single row durably at once.
        let goes_on = self.announced_bytes != Some(received) && self.is_large();
        if squeezed.is_some() || goes_on && self.batch.bytes >= self.row_bytes()? {
            self.hand_over(squeezed.unwrap_or(ROW_BYTES_MAX)).await?;
        }
        Ok(())
    }

    /// Whether it is known to be too large for the commit.
    fn is_large(&self) -> bool {
        let bytes = self.announced_bytes.unwrap_or(0).max(self.received_bytes);
        bytes >= self.log.options().bulk_threshold_bytes
    }

    /// How much to gather for rows.
    fn row_bytes(&mut self) -> Result<usize> {
        if let Work::None(_) = self.work {
            let writer = self.open()?;
            if let Work::None(digester) = std::mem::replace(&mut self.work, Work::Failed) {
                self.work = Work::Idle(digester, writer);
            }
        }
        Ok(match &self.work {
            Work::Idle(_, writer) => writer.row_bytes(),
            _ => ROW_BYTES_MAX,
        })
    }

    fn open(&self) -> Result<BulkWriter> {
        let mut writer = self.log.bulk_writer(self.announced_bytes)?;
        writer.limit_row_bytes(ROW_BYTES_MAX);
        Ok(writer)
    }

    /// The digester and the writer, when they are done with the batch before.
    async fn settle(&mut self) -> Result<(Digester, BulkWriter)> {
        match std::mem::replace(&mut self.work, Work::Failed) {
            Work::None(digester) => Ok((digester, self.open()?)),
            Work::Idle(digester, writer) => Ok((digester, writer)),
            Work::Busy(digester, writer) => {
                // Both must have ended, also when one failed.
                let (digester, writer) = (digester.await, writer.await);
                Ok((digester?, writer??))
            }
            Work::Failed => Err(failed()),
        }
    }

    /// Starts to hash and write what fills rows of at most `row_bytes`, as soon as the batch before
    /// is done.
    async fn hand_over(&mut self, row_bytes: usize) -> Result<()> {
        let (digester, mut writer) = self.settle().await?;
        writer.limit_row_bytes(row_bytes);
        let bytes = writer.whole_rows(self.batch.bytes);
        if bytes == 0 {
            self.work = Work::Idle(digester, writer);
            return Ok(());
        }
        let batch = Arc::new(self.batch.split_to(bytes));
        let turn = self.upload.turn_to_write().await?;
        let hashing = self.hashing.start(digester, batch.clone());
        let writing = blocking::call(&*self.blocking, move || {
            let _turn = turn;
            batch.pieces().try_for_each(|data| writer.write(data))?;
            Ok(writer)
        });
        self.work = Work::Busy(Box::pin(hashing), Box::pin(writing));
        Ok(())
    }

    /// Ends the body. `accept` may refuse it by its digests, before anything is made durable.
    pub(crate) async fn finish(
        mut self,
        accept: impl FnOnce(&Digests) -> Result<()>,
    ) -> Result<(Payload, Digests)> {
        if self.announced_bytes.is_some_and(|announced| self.received_bytes != announced) {
            return Err(Error::IncompleteBody);
        }
        let is_large = self.is_large();
        match std::mem::replace(&mut self.work, Work::Failed) {
            Work::None(mut digester) if !is_large => {
                self.batch.pieces().for_each(|data| digester.update(data));
                let digests = digester.finish();
                accept(&digests)?;
                return Ok((Payload::Inline(self.batch.join()), digests));
            }
            work => self.work = work,
        }
        let (digester, mut writer) = self.settle().await?;
        let bytes = self.batch.bytes;
        let rest = Arc::new(self.batch.split_to(bytes));
        let digests = self.hashing.start(digester, rest.clone()).await?.finish();
        accept(&digests)?;
        let turn = self.upload.turn_to_write().await?;
        let finishing = blocking::call(&*self.blocking, move || {
            let _turn = turn;
            rest.pieces().try_for_each(|data| writer.write(data))?;
            writer.finish()
        });
        let extents = finishing.await??;
        coffer_base::failpoint::pass("put.stored");
        Ok((Payload::Bulk(extents), digests))
    }
}

fn failed() -> Error {
    Error::Unavailable("the body could not be stored".to_owned())
}

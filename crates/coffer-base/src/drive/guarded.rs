//! A drive whose callers can't be made to wait for ever.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::queue::{DriveQueue, Patience, Proof, Work};
use super::{Access, Drive, DriveFile, Space};
use crate::AlignedBuf;

/// Passes everything on to another drive, on threads of its own (see [`super::queue`]). When the
/// drive is given up, callers get an error that [`super::queue::is_given_up`] knows, whatever they
/// wait for. Jobs on the drive's own threads reach it without another hop or copy.
pub struct GuardedDrive {
    raw: Arc<dyn Drive>,
    queue: DriveQueue,
}

impl GuardedDrive {
    /// The drives of a set, each with its own threads. One that does not answer for `stall_limit`
    /// while others do is given up.
    pub fn set(
        drives: Vec<Arc<dyn Drive>>,
        stall_limit: Duration,
    ) -> io::Result<Vec<Arc<dyn Drive>>> {
        let labels: Vec<String> = drives.iter().map(|drive| drive.label()).collect();
        let queues = DriveQueue::for_set(&labels, stall_limit)?;
        let guarded = drives.into_iter().zip(queues);
        Ok(guarded.map(|(raw, queue)| Arc::new(Self { raw, queue }) as Arc<dyn Drive>).collect())
    }

    fn call<R: Send + 'static>(
        &self,
        kind: Work,
        proof: Proof,
        work: impl FnOnce(&dyn Drive) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        if self.queue.is_here() {
            return self.queue.call_here(proof, || work(&*self.raw));
        }
        let raw = self.raw.clone();
        self.queue.call(kind, proof, Patience::Full, move || work(&*raw))
    }

    fn guard(&self, access: Access) -> impl Fn(Arc<dyn DriveFile>) -> Arc<dyn DriveFile> + use<> {
        let (queue, direct) = (self.queue.clone(), access == Access::Direct);
        move |raw| Arc::new(GuardedFile { raw, queue: queue.clone(), direct })
    }
}

impl Drive for GuardedDrive {
    fn label(&self) -> String {
        self.raw.label()
    }

    fn create(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        let name = name.to_owned();
        let file = self.call(Work::Write, Proof::None, move |drive| drive.create(&name, access))?;
        Ok(self.guard(access)(file))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        let name = name.to_owned();
        let file = self.call(Work::Look, Proof::Answers, move |drive| drive.open(&name, access))?;
        Ok(self.guard(access)(file))
    }

    fn open_soon(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        if self.queue.is_here() {
            return self.open(name, access);
        }
        let (raw, name) = (self.raw.clone(), name.to_owned());
        let open = move || raw.open(&name, access);
        let file = self.queue.call(Work::Read, Proof::Answers, Patience::Hedged, open)?;
        Ok(self.guard(access)(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.call(Work::Write, Proof::None, move |drive| drive.rename(&from, &to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let name = name.to_owned();
        self.call(Work::Write, Proof::None, move |drive| drive.remove(&name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.call(Work::Look, Proof::Answers, |drive| drive.list())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.call(Work::Write, Proof::Durable, |drive| drive.sync_dir())
    }

    fn space(&self) -> io::Result<Space> {
        self.call(Work::Look, Proof::Answers, |drive| drive.space())
    }

    fn probe(&self) -> io::Result<()> {
        self.call(Work::Look, Proof::Answers, |drive| drive.probe())
    }

    fn barriers(&self) -> u64 {
        self.raw.barriers()
    }

    fn queue(&self) -> &DriveQueue {
        &self.queue
    }
}

struct GuardedFile {
    raw: Arc<dyn DriveFile>,
    queue: DriveQueue,
    direct: bool,
}

impl GuardedFile {
    fn call<R: Send + 'static>(
        &self,
        kind: Work,
        proof: Proof,
        work: impl FnOnce(&dyn DriveFile) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        if self.queue.is_here() {
            return self.queue.call_here(proof, || work(&*self.raw));
        }
        let raw = self.raw.clone();
        self.queue.call(kind, proof, Patience::Full, move || work(&*raw))
    }

    fn read(&self, buf: &mut [u8], offset: u64, patience: Patience) -> io::Result<usize> {
        if self.queue.is_here() {
            return self.queue.call_here(Proof::Answers, || self.raw.read_at(buf, offset));
        }
        // What is in memory needs no other thread.
        if self.raw.read_at_now(buf, offset) == Some(buf.len()) {
            return Ok(buf.len());
        }
        let (raw, len) = (self.raw.clone(), buf.len());
        let (own, n) = self.queue.call(Work::Read, Proof::Answers, patience, move || {
            let mut own = AlignedBuf::zeroed(len);
            let n = raw.read_at(&mut own, offset)?;
            Ok((own, n))
        })?;
        buf[..n].copy_from_slice(&own[..n]);
        Ok(n)
    }
}

impl DriveFile for GuardedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read(buf, offset, Patience::Full)
    }

    fn read_at_now(&self, buf: &mut [u8], offset: u64) -> Option<usize> {
        self.raw.read_at_now(buf, offset)
    }

    fn read_at_soon(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read(buf, offset, Patience::Hedged)
    }

    fn write_at(&self, data: &[u8], offset: u64, sync: bool) -> io::Result<()> {
        let proof = if sync || self.direct { Proof::Durable } else { Proof::None };
        if self.queue.is_here() {
            return self.queue.call_here(proof, || self.raw.write_at(data, offset, sync));
        }
        let mut own = AlignedBuf::zeroed(data.len());
        own.copy_from_slice(data);
        self.call(Work::Write, proof, move |file| file.write_at(&own, offset, sync))
    }

    fn sync(&self) -> io::Result<()> {
        self.call(Work::Write, Proof::Durable, |file| file.sync())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.call(Work::Write, Proof::None, move |file| file.allocate(len))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.call(Work::Write, Proof::None, move |file| file.set_len(len))
    }

    fn len(&self) -> io::Result<u64> {
        self.call(Work::Look, Proof::Answers, |file| file.len())
    }
}

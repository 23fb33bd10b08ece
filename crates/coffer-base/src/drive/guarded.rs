//! A drive whose callers can't be made to wait for ever.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::queue::{Check, Class, DriveQueue, Patience, Work};
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
        let checked = drives.iter().map(|drive| {
            let raw = drive.clone();
            let check: Check = Arc::new(move || raw.sync_dir());
            (drive.label(), check)
        });
        let queues = DriveQueue::for_set(checked.collect(), stall_limit)?;
        let guarded = drives.into_iter().zip(queues);
        Ok(guarded.map(|(raw, queue)| Arc::new(Self { raw, queue }) as Arc<dyn Drive>).collect())
    }

    fn call<R: Send + 'static>(
        &self,
        kind: Work,
        class: Class,
        work: impl FnOnce(&dyn Drive) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        if self.queue.is_here() {
            return self.queue.call_here(class, || work(&*self.raw));
        }
        let raw = self.raw.clone();
        self.queue.call(kind, class, Patience::Full, move || work(&*raw))
    }

    fn guard(&self, access: Access) -> impl Fn(Arc<dyn DriveFile>) -> Arc<dyn DriveFile> + use<> {
        let (queue, direct) = (self.queue.clone(), access == Access::Direct);
        move |raw| Arc::new(GuardedFile { raw: Some(raw), queue: queue.clone(), direct })
    }
}

impl Drive for GuardedDrive {
    fn label(&self) -> String {
        self.raw.label()
    }

    fn create(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        let name = name.to_owned();
        let file =
            self.call(Work::Write, Class::Other, move |drive| drive.create(&name, access))?;
        Ok(self.guard(access)(file))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        let name = name.to_owned();
        let file = self.call(Work::Look, Class::Answers, move |drive| drive.open(&name, access))?;
        Ok(self.guard(access)(file))
    }

    fn open_soon(&self, name: &str, access: Access) -> io::Result<Arc<dyn DriveFile>> {
        if self.queue.is_here() {
            return self.open(name, access);
        }
        let (raw, name) = (self.raw.clone(), name.to_owned());
        let open = move || raw.open(&name, access);
        let file = self.queue.call(Work::Read, Class::Answers, Patience::Hedged, open)?;
        Ok(self.guard(access)(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.call(Work::Write, Class::Other, move |drive| drive.rename(&from, &to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let name = name.to_owned();
        self.call(Work::Write, Class::Other, move |drive| drive.remove(&name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.call(Work::Look, Class::Answers, |drive| drive.list())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.call(Work::Write, Class::Durable, |drive| drive.sync_dir())
    }

    fn space(&self) -> io::Result<Space> {
        self.call(Work::Look, Class::Answers, |drive| drive.space())
    }

    fn probe(&self) -> io::Result<()> {
        self.call(Work::Look, Class::Answers, |drive| drive.probe())
    }

    fn barriers(&self) -> u64 {
        self.raw.barriers()
    }

    fn queue(&self) -> &DriveQueue {
        &self.queue
    }
}

struct GuardedFile {
    /// There until it is dropped.
    raw: Option<Arc<dyn DriveFile>>,
    queue: DriveQueue,
    direct: bool,
}

impl GuardedFile {
    fn raw(&self) -> &Arc<dyn DriveFile> {
        self.raw.as_ref().expect("there until it is dropped")
    }

    fn call<R: Send + 'static>(
        &self,
        kind: Work,
        class: Class,
        work: impl FnOnce(&dyn DriveFile) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        if self.queue.is_here() {
            return self.queue.call_here(class, || work(&**self.raw()));
        }
        let raw = self.raw().clone();
        self.queue.call(kind, class, Patience::Full, move || work(&*raw))
    }

    fn read(&self, buf: &mut [u8], offset: u64, patience: Patience) -> io::Result<usize> {
        if self.queue.is_here() {
            return self.queue.call_here(Class::Answers, || self.raw().read_at(buf, offset));
        }
        // What is in memory needs no other thread.
        if self.raw().read_at_now(buf, offset) == Some(buf.len()) {
            return Ok(buf.len());
        }
        let (raw, len) = (self.raw().clone(), buf.len());
        let (own, n) = self.queue.call(Work::Read, Class::Answers, patience, move || {
            let mut own = AlignedBuf::zeroed(len);
            let n = raw.read_at(&mut own, offset)?;
            Ok((own, n))
        })?;
        buf[..n].copy_from_slice(&own[..n]);
        Ok(n)
    }
}

impl Drop for GuardedFile {
    /// Closing is a call to the drive like any other, and nobody waits for it.
    fn drop(&mut self) {
        self.queue.drop_there(self.raw.take());
    }
}

impl DriveFile for GuardedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read(buf, offset, Patience::Full)
    }

    fn read_at_now(&self, buf: &mut [u8], offset: u64) -> Option<usize> {
        self.raw().read_at_now(buf, offset)
    }

    fn read_at_soon(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read(buf, offset, Patience::Hedged)
    }

    fn forget_cached(&self, range: Range<u64>) {
        // Of a hint nobody wants to know what became.
        let _ = self.call(Work::Look, Class::Answers, move |file| {
            file.forget_cached(range);
            Ok(())
        });
    }

    fn write_at(&self, data: &[u8], offset: u64, sync: bool) -> io::Result<()> {
        let class = match (sync, self.direct) {
            (true, _) => Class::Durable,
            (false, true) => Class::Direct,
            (false, false) => Class::Other,
        };
        if self.queue.is_here() {
            return self.queue.call_here(class, || self.raw().write_at(data, offset, sync));
        }
        let mut own = AlignedBuf::zeroed(data.len());
        own.copy_from_slice(data);
        self.call(Work::Write, class, move |file| file.write_at(&own, offset, sync))
    }

    fn sync(&self) -> io::Result<()> {
        self.call(Work::Write, Class::Durable, |file| file.sync())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.call(Work::Write, Class::Other, move |file| file.allocate(len))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.call(Work::Write, Class::Other, move |file| file.set_len(len))
    }

    fn len(&self) -> io::Result<u64> {
        self.call(Work::Look, Class::Answers, |file| file.len())
    }
}

//! The memory that rows under construction may take, all writers together.
//!
//! It is taken for a row when there are bytes to put into it, and goes back as soon as the row has
//! been written, whether or not its writer comes for the next one. So a writer that waits for more
//! bytes of a slow client holds none of it, as long as it is given whole rows.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use coffer_base::AlignedBuf;

use crate::error::Error;

/// How long a writer waits for others to give memory back. Rows are given back at the pace of the
/// drives, so only drives that stand still let this pass.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Buffers of written rows that are kept for the next ones, in bytes and in number: fresh ones
/// have to be cleared by the system, page by page.
const IDLE_BYTES_MAX: usize = 8 << 20;
const IDLE_COUNT_MAX: usize = 64;

/// A budget in bytes. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct RowMemory(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    taken_bytes: usize,
    idle: VecDeque<AlignedBuf>,
    idle_bytes: usize,
}

/// The memory of one row; given back when dropped.
pub(super) struct RowSpace {
    memory: RowMemory,
    bytes: usize,
}

impl RowMemory {
    /// Takes `bytes` if so much is left of `total_bytes`. The first row gets what it needs in any
    /// case.
    pub fn try_take(&self, total_bytes: usize, bytes: usize) -> Option<RowSpace> {
        self.take_from(&mut self.state(), total_bytes, bytes)
    }

    /// As [`RowMemory::try_take`], but waits. The caller holds no memory that it would give back
    /// only afterwards.
    pub fn take(&self, total_bytes: usize, bytes: usize) -> Result<RowSpace, Error> {
        let mut state = self.state();
        loop {
            if let Some(space) = self.take_from(&mut state, total_bytes, bytes) {
                return Ok(space);
            }
            let waited = self.0.freed.wait_timeout(state, WAIT_MAX);
            let (again, wait) = waited.expect("no holder panics");
            state = again;
            if wait.timed_out() {
                return Err(Error::Unavailable(format!(
                    "rows on their way to the drives hold {} of {total_bytes} bytes",
                    state.taken_bytes
                )));
            }
        }
    }

    /// Bytes taken now.
    pub fn used_bytes(&self) -> usize {
        self.state().taken_bytes
    }

    fn take_from(&self, state: &mut State, total_bytes: usize, bytes: usize) -> Option<RowSpace> {
        let fits = state.taken_bytes == 0 || state.taken_bytes + bytes <= total_bytes;
        fits.then(|| {
            state.taken_bytes += bytes;
            RowSpace { memory: self.clone(), bytes }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no holder panics")
    }
}

impl RowSpace {
    /// `count` buffers of `len` bytes each, with anything in them.
    pub fn buffers(&self, count: usize, len: usize) -> Vec<AlignedBuf> {
        let mut state = self.memory.state();
        let mut buffers = Vec::with_capacity(count);
        while buffers.len() < count
            && let Some(i) = state.idle.iter().position(|buffer| buffer.len() == len)
        {
            buffers.extend(state.idle.remove(i));
            state.idle_bytes -= len;
        }
        drop(state);
        buffers.resize_with(count, || AlignedBuf::zeroed(len));
        buffers
    }

    /// Gives the memory back, and `buffers` to the rows that come.
    pub fn give_back(self, buffers: impl Iterator<Item = AlignedBuf>) {
        let mut dropped = Vec::new();
        let mut state = self.memory.state();
        for buffer in buffers {
            state.idle_bytes += buffer.len();
            state.idle.push_back(buffer);
        }
        while state.idle_bytes > IDLE_BYTES_MAX || state.idle.len() > IDLE_COUNT_MAX {
            let Some(oldest) = state.idle.pop_front() else { break };
            state.idle_bytes -= oldest.len();
            dropped.push(oldest);
        }
        drop(state);
    }
}

impl Drop for RowSpace {
    fn drop(&mut self) {
        self.memory.state().taken_bytes -= self.bytes;
        self.memory.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_is_waited_for_and_the_first_row_is_not() {
        let memory = RowMemory::default();
        let large = memory.take(1600, 2000).unwrap();
        assert!(memory.try_take(1600, 1).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| memory.take(1600, 600).unwrap());
            std::thread::sleep(Duration::from_millis(20));
            drop(large);
            let _one = waiting.join().unwrap();
            let _two = memory.try_take(1600, 1000).unwrap();
            assert!(memory.try_take(1600, 1).is_none());
            assert_eq!(memory.used_bytes(), 1600);
        });
        assert_eq!(memory.used_bytes(), 0);
    }

    #[test]
    fn buffers_are_used_again_and_few_are_kept() {
        let memory = RowMemory::default();
        let space = memory.take(1 << 30, 3 << 20).unwrap();
        let buffers = space.buffers(3, 1 << 20);
        let starts: Vec<_> = buffers.iter().map(|b| b.as_ptr()).collect();
        space.give_back(buffers.into_iter());
        let space = memory.take(1 << 30, 3 << 20).unwrap();
        assert!(space.buffers(1, 4096).iter().all(|b| b.len() == 4096));
        let again = space.buffers(3, 1 << 20);
        assert!(again.iter().all(|b| starts.contains(&b.as_ptr())));
        space.give_back(again.into_iter());
        for _ in 0..40 {
            let space = memory.take(1 << 30, 1 << 20).unwrap();
            space.give_back((0..5).map(|_| AlignedBuf::zeroed(1 << 20)));
            assert!(memory.state().idle_bytes <= IDLE_BYTES_MAX);
        }
        assert_eq!(memory.used_bytes(), 0);
    }
}

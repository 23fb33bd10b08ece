//! Buffers that rows are read into. They come back when the last reader drops the bytes, and are
//! used again: fresh ones have to be cleared, which costs as much as reading them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use coffer_base::AlignedBuf;

use super::row::ROW_HEADER_BYTES;
use crate::segment::BLOCK_BYTES;

/// Buffers kept for the next reads.
const IDLE_BYTES_MAX: usize = 8 << 20;

/// Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct ReadBuffers(Arc<Mutex<Idle>>);

#[derive(Default)]
struct Idle {
    buffers: VecDeque<AlignedBuf>,
    bytes: usize,
}

/// A buffer on loan; goes back when dropped.
pub(crate) struct Lent {
    buffer: AlignedBuf,
    /// As much of it as was asked for.
    len: usize,
    home: ReadBuffers,
}

impl ReadBuffers {
    /// A buffer of `len` bytes, with anything in them. The one that came back last comes first: the
    /// processor may still have it at hand.
    pub fn take(&self, len: usize) -> Lent {
        // With a header or without, so that most fit the next read.
        let blocks = len.saturating_sub(ROW_HEADER_BYTES).div_ceil(BLOCK_BYTES);
        let room = ROW_HEADER_BYTES + blocks * BLOCK_BYTES;
        let mut idle = self.idle();
        let found = idle.buffers.iter().rposition(|buffer| buffer.len() == room);
        let buffer = found.and_then(|i| idle.buffers.remove(i));
        if buffer.is_some() {
            idle.bytes -= room;
        }
        drop(idle);
        let buffer = buffer.unwrap_or_else(|| AlignedBuf::zeroed(room));
        Lent { buffer, len, home: self.clone() }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().expect("no holder panics")
    }
}

impl Lent {
    /// To be filled.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }

    /// The same bytes, to be shared.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::replace(&mut self.buffer, AlignedBuf::zeroed(0));
        let mut dropped = Vec::new();
        let mut idle = self.home.idle();
        idle.bytes += buffer.len();
        idle.buffers.push_back(buffer);
        while idle.bytes > IDLE_BYTES_MAX {
            let Some(oldest) = idle.buffers.pop_front() else { break };
            idle.bytes -= oldest.len();
            dropped.push(oldest);
        }
        drop(idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_with_the_last_bytes_and_few_are_kept() {
        let buffers = ReadBuffers::default();
        let mut lent = buffers.take(100_000);
        lent.bytes_mut().fill(7);
        assert_eq!(lent.bytes_mut().len(), 100_000);
        let bytes = lent.into_bytes();
        let (start, part) = (bytes.as_ptr(), bytes.slice(99_999..));
        drop(bytes);
        assert_ne!(buffers.take(100_000).as_ref().as_ptr(), start);
        assert_eq!(part, [7][..]);
        drop(part);
        assert_eq!(buffers.take(ROW_HEADER_BYTES + (128 << 10)).as_ref().as_ptr(), start);
        drop((0..40).map(|_| buffers.take(1 << 20)).collect::<Vec<_>>());
        let idle = buffers.idle();
        assert!(idle.bytes <= IDLE_BYTES_MAX && idle.bytes > IDLE_BYTES_MAX / 2);
        assert_eq!(idle.bytes, idle.buffers.iter().map(|buffer| buffer.len()).sum::<usize>());
    }
}

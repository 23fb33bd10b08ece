//! The memory that rows under construction may take, all writers together.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::error::Error;

/// How long a writer waits for others to give memory back. Not for ever: those may wait for a
/// thread that the waiting ones hold.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// A writer that asks for a lot gets at most this part of what is left, so that it is not the
/// last to get something.
const SHARE: usize = 16;

/// A budget in bytes.
#[derive(Default)]
pub(super) struct RowMemory {
    used_bytes: Mutex<usize>,
    freed: Condvar,
}

impl RowMemory {
    /// Takes what `choose` asks for when told how much it may take; waits when even that is more
    /// than is left of `total_bytes`. Returns the value of `choose` and the bytes taken. A lone
    /// writer gets what it needs in any case.
    pub fn take<T>(
        &self,
        total_bytes: usize,
        choose: impl Fn(usize) -> (T, usize),
    ) -> Result<(T, usize), Error> {
        let mut used = self.used_bytes.lock().expect("no holder panics");
        loop {
            let left = total_bytes.saturating_sub(*used);
            let (chosen, bytes) = choose(left / SHARE);
            if bytes <= left || *used == 0 {
                *used += bytes;
                return Ok((chosen, bytes));
            }
            let (again, wait) = self
                .freed
                .wait_timeout(used, WAIT_MAX)
                .expect("no holder panics");
            used = again;
            if wait.timed_out() {
                return Err(Error::Unavailable(format!(
                    "{} of {total_bytes} bytes for rows are taken by other writers",
                    *used
                )));
            }
        }
    }

    /// Gives `bytes` back.
    pub fn give_back(&self, bytes: usize) {
        *self.used_bytes.lock().expect("no holder panics") -= bytes;
        self.freed.notify_all();
    }

    /// Bytes taken now.
    pub fn used_bytes(&self) -> usize {
        *self.used_bytes.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_share_and_the_last_byte_is_waited_for() {
        let memory = RowMemory::default();
        let half = |may: usize| ((), may.max(40));
        assert_eq!(memory.take(1600, half), Ok(((), 100)));
        assert_eq!(memory.take(1600, half), Ok(((), 93)));
        memory.give_back(193);
        let all = |_| ((), 2000);
        assert_eq!(
            memory.take(1600, all),
            Ok(((), 2000)),
            "a lone writer is served"
        );
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| memory.take(1600, half));
            std::thread::sleep(Duration::from_millis(20));
            memory.give_back(2000);
            assert_eq!(waiting.join().unwrap(), Ok(((), 100)));
        });
        assert_eq!(memory.used_bytes(), 100);
    }
}

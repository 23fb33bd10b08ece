//! The memory that rows under construction may take, all writers together.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::error::Error;

/// How long a writer waits for others to give memory back. Not for ever: those may wait for a
/// thread that the waiting ones hold.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A budget in bytes.
#[derive(Default)]
pub(super) struct RowMemory {
    taken: Mutex<Taken>,
    freed: Condvar,
}

#[derive(Default)]
struct Taken {
    bytes: usize,
    writers: usize,
}

/// What one more writer should take at most: the first an eighth, later ones less and less, so
/// that many get something while a few get much.
fn share(left_bytes: usize, writers: usize) -> usize {
    left_bytes / (8 + 2 * writers)
}

impl RowMemory {
    /// Takes what `choose` asks for when told how much it should take at most; it may ask for
    /// more. Waits while that is more than is left of `total_bytes`. Returns the value of `choose`
    /// and the bytes taken. A lone writer gets what it needs in any case.
    pub fn take<T>(
        &self,
        total_bytes: usize,
        choose: impl Fn(usize) -> (T, usize),
    ) -> Result<(T, usize), Error> {
        let mut taken = self.taken.lock().expect("no holder panics");
        loop {
            let left = total_bytes.saturating_sub(taken.bytes);
            let (chosen, bytes) = choose(share(left, taken.writers));
            if bytes <= left || taken.writers == 0 {
                taken.bytes += bytes;
                taken.writers += 1;
                return Ok((chosen, bytes));
            }
            let (again, wait) = self
                .freed
                .wait_timeout(taken, WAIT_MAX)
                .expect("no holder panics");
            taken = again;
            if wait.timed_out() {
                return Err(Error::Unavailable(format!(
                    "{} writers hold {} of {total_bytes} bytes for rows",
                    taken.writers, taken.bytes
                )));
            }
        }
    }

    /// Gives back what one writer took.
    pub fn give_back(&self, bytes: usize) {
        let mut taken = self.taken.lock().expect("no holder panics");
        taken.bytes -= bytes;
        taken.writers -= 1;
        self.freed.notify_all();
    }

    /// Bytes taken now.
    pub fn used_bytes(&self) -> usize {
        self.taken.lock().expect("no holder panics").bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_share_and_the_last_byte_is_waited_for() {
        let memory = RowMemory::default();
        let some = |most: usize| ((), most.max(40));
        assert_eq!(memory.take(1600, some), Ok(((), 200)));
        assert_eq!(memory.take(1600, some), Ok(((), 140)));
        memory.give_back(200);
        memory.give_back(140);
        let all = |_| ((), 2000);
        assert_eq!(
            memory.take(1600, all),
            Ok(((), 2000)),
            "a lone writer is served"
        );
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| memory.take(1600, some));
            std::thread::sleep(Duration::from_millis(20));
            memory.give_back(2000);
            assert_eq!(waiting.join().unwrap(), Ok(((), 200)));
        });
        assert_eq!(memory.used_bytes(), 200);
    }
}

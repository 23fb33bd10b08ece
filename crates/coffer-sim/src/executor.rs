//! Runs futures whose work happens where they are polled.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// More polls than any future of the simulation needs: nothing runs beside it, so one that waits
/// so long waits for ever.
const POLLS_MAX: usize = 10_000;

/// Runs `future` to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
    }
    panic!("a future waits for something that nothing in the simulation will do");
}

/// Runs `future` as far as it goes now; its end, if that came.
pub fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

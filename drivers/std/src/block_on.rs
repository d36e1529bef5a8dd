//! Running one future on the calling thread.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::fork;
use crate::parker::{Signal, Sleeper};

/// Polls `future`; in between, `wait` has to return when its first argument says so, and may use
/// the thread's waker and a place for a sleeper.
pub(crate) fn block_on<F: Future>(
    future: F,
    wait: impl Fn(&dyn Fn() -> bool, &Waker, &mut Option<Sleeper>),
) -> F::Output {
    let signal = Signal::current();
    let waker = Waker::from(signal.clone());
    let mut cx = Context::from_waker(&waker);
    let mut sleeper = None;
    let mut future = pin!(future);
    loop {
        let generation = fork::generation();
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        // This is a child, forked within the poll: what waits has to be polled again.
        if fork::generation() != generation {
            continue;
        }
        wait(&|| signal.is_set(), &waker, &mut sleeper);
        signal.clear();
    }
}

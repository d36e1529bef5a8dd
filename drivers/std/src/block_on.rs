//! Running one future on the calling thread.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

use crate::fork;
use crate::parker::Sleeper;
use crate::sys::sync::Arc;
use crate::sys::sync::atomic::{AtomicBool, Ordering::*};
use crate::sys::thread::{self, Thread};

struct Signal {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, SeqCst) {
            self.thread.unpark();
        }
    }
}

/// Polls `future`; in between, `wait` has to return when its first argument says so, and may use
/// the thread's waker and a place for a sleeper.
pub(crate) fn block_on<F: Future>(
    future: F,
    wait: impl Fn(&dyn Fn() -> bool, &Waker, &mut Option<Sleeper>),
) -> F::Output {
    let signal = Arc::new(Signal { woken: AtomicBool::new(false), thread: thread::current() });
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
        wait(&|| signal.woken.load(SeqCst), &waker, &mut sleeper);
        signal.woken.store(false, SeqCst);
    }
}

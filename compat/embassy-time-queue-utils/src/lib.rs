#![doc = include_str!("../README.md")]
#![no_std]

use core::task::Waker;

pub mod queue_generic;

// As in the crate whose place this one takes: public only if it is asked for. It needs a symbol of
// embassy's executor, which programs with a generic queue may lack.
#[cfg(all(not(feature = "integrated-timers"), not(feature = "_generic-queue")))]
mod queue_integrated;
#[cfg(feature = "integrated-timers")]
pub mod queue_integrated;

#[cfg(all(not(feature = "integrated-timers"), feature = "_generic-queue"))]
use queue_generic::Queue as QueueImpl;
#[cfg(any(feature = "integrated-timers", not(feature = "_generic-queue")))]
use queue_integrated::Queue as QueueImpl;

/// The queue of the program's time driver: generic or integrated, as the features have it.
#[derive(Debug)]
pub struct Queue {
    queue: QueueImpl,
}

impl Queue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { queue: QueueImpl::new() }
    }

    /// Has `waker` woken at `at`, unless it is to be woken earlier anyway.
    ///
    /// If this returns `true`, the earliest expiration has changed: the caller should ask for it
    /// with [`next_expiration`](Self::next_expiration), and set a new alarm.
    pub fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool {
        self.queue.schedule_wake(at, waker)
    }

    /// Wakes what is due at `now`, earliest first, and returns the next expiration; `u64::MAX` if
    /// there is none.
    pub fn next_expiration(&mut self, now: u64) -> u64 {
        self.queue.next_expiration(now)
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::new()
    }
}

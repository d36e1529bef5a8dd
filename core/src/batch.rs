//! The tasks to wake, held until the store is not.

use core::task::Waker;

use heapless::Vec;

use crate::Driver;
use crate::prefetch::{PREFETCHES, prefetch};

/// How many wakers leave the exclusive section at a time.
pub(crate) const SIZE: usize = 32;

/// A fixed number of wakers. All of them are woken, in order, even if one panics. (If two do, and
/// the driver does not catch it, that is a panic while unwinding, which aborts.)
pub(crate) struct WakeBatch<'a, D: Driver> {
    wakers: Vec<Waker, SIZE>,
    driver: &'a D,
}

impl<'a, D: Driver> WakeBatch<'a, D> {
    pub(crate) fn new(driver: &'a D) -> Self {
        WakeBatch { wakers: Vec::new(), driver }
    }

    pub(crate) fn room(&self) -> usize {
        SIZE - self.wakers.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// Adds a waker to a batch that is not full.
    pub(crate) fn add(&mut self, waker: Waker) {
        let added = self.wakers.push(waker);
        debug_assert!(added.is_ok(), "the batch is full");
    }

    /// Wakes them all. Not to be called while the store is held.
    pub(crate) fn wake(&mut self) {
        if PREFETCHES {
            // For most executors the data is the task. It may begin near the end of a line, as an `Arc`'s does that
            // the allocator has aligned to 16 bytes, and of what waking looks at most is in the first 40 to 48.
            for data in self.wakers.iter().map(|waker| waker.data().cast::<u8>()) {
                prefetch(data);
                prefetch(data.wrapping_add(40));
            }
        }
        self.wakers.reverse();
        self.wake_from_the_end();
    }

    fn wake_from_the_end(&mut self) {
        let unfinished = Unfinished(self.driver);
        while let Some(waker) = self.wakers.pop() {
            self.driver.wake(waker);
        }
        core::mem::forget(unfinished);
    }
}

/// A turn, or another visit to the engine's section. If a panic takes it away, somebody has to do what it
/// would have done: fire what is due beyond this batch, and set the alarm.
pub(crate) struct Unfinished<'a, D: Driver>(pub(crate) &'a D);

impl<D: Driver> Drop for Unfinished<'_, D> {
    fn drop(&mut self) {
        self.0.pend();
    }
}

impl<D: Driver> Drop for WakeBatch<'_, D> {
    /// A waker panicked: the others' tasks still have to run.
    fn drop(&mut self) {
        self.wake_from_the_end();
    }
}

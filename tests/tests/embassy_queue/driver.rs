//! A time driver as embassy's HALs have it, on a clock that moves when it is told.

use std::task::Waker;

/// What a HAL asks of its queue.
pub trait Queue {
    fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool;
    fn next_expiration(&mut self, now: u64) -> u64;
}

macro_rules! queue {
    ($($queue:ty),*) => {$(
        impl Queue for $queue {
            fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool {
                <$queue>::schedule_wake(self, at, waker)
            }

            fn next_expiration(&mut self, now: u64) -> u64 {
                <$queue>::next_expiration(self, now)
            }
        }
    )*};
}

queue!(
    crate::original::queue_generic::ConstGenericQueue<64>,
    crate::original::queue_integrated::Queue,
    crate::queue_generic::ConstGenericQueue<64>,
    crate::queue_generic::ConstGenericQueue<2>,
    crate::queue_integrated::Queue
);

/// Sets its alarm when the queue says that it has to change, and when it rings.
pub struct Driver<Q> {
    queue: Q,
    now: u64,
    alarm: u64,
}

impl<Q: Queue> Driver<Q> {
    pub fn new(queue: Q) -> Self {
        Driver { queue, now: 1_000, alarm: u64::MAX }
    }

    pub fn now(&self) -> u64 {
        self.now
    }

    /// Whether the alarm was set.
    pub fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool {
        let changed = self.queue.schedule_wake(at, waker);
        if changed {
            self.alarm = self.queue.next_expiration(self.now);
        }
        changed
    }

    /// Lets the clock run until `to`, and tells of each time at which the alarm rang.
    pub fn pass(&mut self, to: u64, mut rang: impl FnMut(u64)) {
        while self.alarm <= to {
            self.now = self.now.max(self.alarm);
            self.ring();
            rang(self.now);
        }
        self.now = to;
    }

    /// The interrupt was held up, and comes only at `to`.
    pub fn late(&mut self, to: u64) {
        self.now = to;
        if self.alarm <= to {
            self.ring();
        }
    }

    fn ring(&mut self) {
        self.alarm = self.queue.next_expiration(self.now);
        assert!(self.alarm > self.now, "what is due was left behind");
    }
}

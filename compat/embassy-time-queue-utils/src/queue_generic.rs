//! The queue with a capacity, for any waker: a heap, and a hash table that finds a waker in it.

use core::task::Waker;

use moirai_timer_core::{Ticks, WakerQueue};

/// Up to `QUEUE_SIZE` wakers, 28 bytes each on a 32-bit machine.
///
/// `QUEUE_SIZE` is 1 to 65,535, otherwise it does not compile:
///
/// ```compile_fail,E0080
/// use embassy_time_queue_utils::queue_generic::ConstGenericQueue;
/// static QUEUE: ConstGenericQueue<0> = ConstGenericQueue::new();
/// ```
///
/// ```compile_fail,E0080
/// use embassy_time_queue_utils::queue_generic::ConstGenericQueue;
/// static QUEUE: ConstGenericQueue<65_536> = ConstGenericQueue::new();
/// ```
#[derive(Debug)]
pub struct ConstGenericQueue<const QUEUE_SIZE: usize> {
    queue: WakerQueue<QUEUE_SIZE>,
}

impl<const QUEUE_SIZE: usize> ConstGenericQueue<QUEUE_SIZE> {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { queue: WakerQueue::new() }
    }

    /// Has `waker` woken at `at`, unless it is to be woken earlier anyway.
    ///
    /// If this returns `true`, the earliest expiration has changed: the caller should ask for it,
    /// and set a new alarm. O(log n); asking for the same time again costs the search for the
    /// waker, which looks at one or two entries. `u64::MAX`, and whatever is beyond 2^60 ticks,
    /// never comes and takes no room.
    ///
    /// If there is no room, nobody else loses theirs: `waker` is woken at once. Its task asks
    /// again, as often as its executor comes round, until it is due or there is room.
    pub fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool {
        let at = Ticks::new(at);
        if let Some(is_first) = self.queue.bring_forward(at, waker) {
            return is_first;
        }
        self.queue.insert(at, waker.clone()).unwrap_or_else(|refused| {
            refused.wake();
            false
        })
    }

    /// Wakes what is due at `now`, earliest first, and returns the next expiration; `u64::MAX` if
    /// there is none.
    pub fn next_expiration(&mut self, now: u64) -> u64 {
        let now = Ticks::of_clock(now);
        while let Some(waker) = self.queue.pop_due(now) {
            waker.wake();
        }
        self.queue.next().map_or(u64::MAX, Ticks::get)
    }
}

impl<const QUEUE_SIZE: usize> Default for ConstGenericQueue<QUEUE_SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

/// What the features ask for, or else what the environment does, at compile time.
const QUEUE_SIZE: usize = match option_env!("EMBASSY_TIME_QUEUE_CAPACITY") {
    Some(text) => match usize::from_str_radix(text, 10) {
        Ok(capacity) => capacity,
        Err(_) => panic!("EMBASSY_TIME_QUEUE_CAPACITY is not a number from 1 to 65535"),
    },
    None if cfg!(feature = "generic-queue-128") => 128,
    None if cfg!(feature = "generic-queue-64") => 64,
    None if cfg!(feature = "generic-queue-32") => 32,
    None if cfg!(feature = "generic-queue-16") => 16,
    None if cfg!(feature = "generic-queue-8") => 8,
    None => 64,
};

/// A queue with the capacity that the features have asked for, or the environment.
#[derive(Debug)]
pub struct Queue {
    queue: ConstGenericQueue<QUEUE_SIZE>,
}

impl Queue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { queue: ConstGenericQueue::new() }
    }

    /// See [`ConstGenericQueue::schedule_wake`].
    pub fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool {
        self.queue.schedule_wake(at, waker)
    }

    /// See [`ConstGenericQueue::next_expiration`].
    pub fn next_expiration(&mut self, now: u64) -> u64 {
        self.queue.next_expiration(now)
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::new()
    }
}

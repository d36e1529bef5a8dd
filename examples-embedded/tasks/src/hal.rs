//! A time driver as embassy's HALs have them: a queue in a critical section, and an alarm.

use core::cell::{Cell, RefCell};
use core::hint::black_box;
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils as original;

use crate::{clock, queue_generic, queue_integrated};

/// What a HAL asks of its queue.
pub trait Queue {
    fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool;
    fn next_expiration(&mut self, now: u64) -> u64;
}

macro_rules! queue {
    ($($queue:ty),*) => {$(
        impl Queue for $queue {
            #[inline]
            fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool {
                <$queue>::schedule_wake(self, at, waker)
            }

            #[inline]
            fn next_expiration(&mut self, now: u64) -> u64 {
                <$queue>::next_expiration(self, now)
            }
        }
    )*};
}

queue!(
    queue_generic::ConstGenericQueue<128>,
    queue_integrated::Queue,
    original::queue_generic::ConstGenericQueue<128>,
    original::queue_integrated::Queue
);

/// First in, first out, which is all the order that these tasks need. With it one sees what the rest
/// takes.
pub struct InOrder {
    waiting: [Option<(u64, Waker)>; 128],
    first: usize,
    after: usize,
}

impl InOrder {
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        InOrder { waiting: [const { None }; 128], first: 0, after: 0 }
    }
}

impl Queue for InOrder {
    fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool {
        self.waiting[self.after % 128] = Some((at, waker.clone()));
        self.after += 1;
        // Of a queue that was empty it is the first.
        self.after - self.first == 1
    }

    fn next_expiration(&mut self, now: u64) -> u64 {
        while let Some((at, waker)) = self.waiting[self.first % 128].take() {
            if at > now {
                self.waiting[self.first % 128] = Some((at, waker));
                return at;
            }
            self.first += 1;
            waker.wake();
        }
        u64::MAX
    }
}

/// The driver.
pub struct Hal<Q> {
    queue: Mutex<RefCell<Q>>,
    alarm: Mutex<Cell<u64>>,
}

impl<Q: Queue> Hal<Q> {
    pub const fn new(queue: Q) -> Self {
        Hal { queue: Mutex::new(RefCell::new(queue)), alarm: Mutex::new(Cell::new(u64::MAX)) }
    }

    /// The alarm's interrupt.
    pub fn ring(&self) {
        critical_section::with(|section| {
            self.alarm.borrow(section).set(u64::MAX);
            self.follow(section, &mut self.queue.borrow_ref_mut(section));
        });
    }

    /// Sets the alarm to the next expiration.
    fn follow(&self, section: CriticalSection<'_>, queue: &mut Q) {
        loop {
            let next = black_box(queue.next_expiration(clock::now().into()));
            self.alarm.borrow(section).set(next);
            if next > clock::now().into() {
                return;
            }
            self.alarm.borrow(section).set(u64::MAX);
        }
    }
}

impl<Q: Queue + Send + 'static> Driver for Hal<Q> {
    fn now(&self) -> u64 {
        clock::now().into()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|section| {
            let mut queue = self.queue.borrow_ref_mut(section);
            if queue.schedule_wake(at, waker) {
                self.follow(section, &mut queue);
            }
        });
    }
}

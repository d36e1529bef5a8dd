//! What the timer's driver sleeps on, and what wakes it early.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use moirai_timer_core::Ticks;

use crate::{Precision, clock};

/// The nudge of one timer. Whoever drives it registers a waker here, looks whether a turn is
/// wanted, turns, and sleeps.
#[derive(Debug)]
pub(crate) struct Parker {
    pended: AtomicBool,
    driver: AtomicWaker,
}

impl Parker {
    pub(crate) const fn new() -> Self {
        Parker { pended: AtomicBool::new(false), driver: AtomicWaker::new() }
    }

    /// Asks for a turn. One system call at most, and only if the driver does not know yet.
    pub(crate) fn pend(&self) {
        if !self.pended.swap(true, SeqCst) {
            self.driver.wake();
        }
    }

    /// The caller will turn now; a nudge from now on wakes `waker`, or is seen by
    /// [`is_pended`](Self::is_pended).
    ///
    /// In this order: a nudge uses up the waker, so one that came between registering and
    /// forgetting it would leave neither.
    pub(crate) fn attend(&self, waker: &Waker) {
        self.pended.store(false, SeqCst);
        self.driver.register(waker);
    }

    pub(crate) fn is_pended(&self) -> bool {
        self.pended.load(SeqCst)
    }
}

/// Unparks a thread.
pub(crate) struct Unpark(pub(crate) Thread);

impl Unpark {
    pub(crate) fn current() -> Waker {
        Waker::from(Arc::new(Unpark(thread::current())))
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Sleeps until a deadline as precisely as it is told to, and learns how late the system is.
pub(crate) struct Sleeper {
    precision: Precision,
    /// Smoothed lateness of a parked thread, and its mean deviation, in nanoseconds: as TCP does
    /// for round trips (Jacobson 1988).
    late: u64,
    deviation: u64,
    /// When the last sleep ended.
    woke: Ticks,
}

impl Sleeper {
    /// A deadline that is nearer than this is waited for without parking: no system could do it.
    const BRIEF: u64 = 5_000;
    /// So long before an exact deadline the driver turns without pause: the turn that fires then
    /// finds everything in the cache.
    const HOT: u64 = 3_000;
    /// Between two wake-ups, if they need not be precise.
    const RELAXED: u64 = 500_000;

    pub(crate) fn new(precision: Precision) -> Self {
        Sleeper { precision, late: 50_000, deviation: 25_000, woke: Ticks::ZERO }
    }

    /// Waits until `until`, or until this thread is unparked or `stop` says so.
    ///
    /// It must not go on waiting once it was unparked: a nudge uses up the registered waker, and
    /// the next one would find none.
    pub(crate) fn sleep(&mut self, until: Option<Ticks>, stop: impl Fn() -> bool) {
        let Some(mut until) = until else {
            if !stop() {
                thread::park();
            }
            return;
        };
        if self.precision == Precision::Relaxed {
            until = until.max(self.woke.after(Self::RELAXED));
        }
        let (margin, brief, hot) = match self.precision {
            Precision::Relaxed => (0, 0, 0),
            Precision::Default => (0, Self::BRIEF, 0),
            Precision::Exact => {
                let margin = (self.late + 4 * self.deviation).clamp(20_000, 1_000_000);
                (margin, margin, Self::HOT)
            }
        };
        loop {
            if stop() {
                return;
            }
            let now = clock::now();
            let left = until.since(now);
            if left == 0 {
                self.woke = now;
                return;
            }
            if left <= hot {
                return;
            }
            if left <= brief {
                std::hint::spin_loop();
                continue;
            }
            let end = now.after(left - margin);
            thread::park_timeout(Duration::from_nanos(end.since(now)));
            match clock::now() {
                now if now < end => return,
                now => self.learn(now.since(end)),
            }
        }
    }

    fn learn(&mut self, late: u64) {
        let error = late.abs_diff(self.late);
        self.late = (7 * self.late + late) / 8;
        self.deviation = (3 * self.deviation + error) / 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{RawWaker, RawWakerVTable};

    #[test]
    fn a_nudge_that_comes_while_the_waker_is_registered_is_not_forgotten() {
        // Registering clones the waker; this one nudges when it is cloned.
        static PARKER: Parker = Parker::new();
        static TABLE: RawWakerVTable = RawWakerVTable::new(
            |data| {
                PARKER.pend();
                RawWaker::new(data, &QUIET)
            },
            |_| {},
            |_| {},
            |_| {},
        );
        static QUIET: RawWakerVTable =
            RawWakerVTable::new(|data| RawWaker::new(data, &QUIET), |_| {}, |_| {}, |_| {});
        // SAFETY: the functions of both tables do nothing with the data.
        let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TABLE)) };
        PARKER.attend(&waker);
        assert!(PARKER.is_pended());
    }
}

//! What the engine asks of a platform: the time, one alarm, and a nudge.

use core::task::Waker;

use crate::Ticks;

/// What became of an alarm that was just set.
///
/// ```
/// # use moirai_timer_core::{Armed, Driver, ManualDriver, Ticks};
/// let clock = ManualDriver::<1000>::at(Ticks::new(5));
/// assert_eq!(clock.arm(Ticks::new(6)), Armed::Pending);
/// assert_eq!(clock.arm(Ticks::new(5)), Armed::Elapsed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "an elapsed alarm does not ring: turn again"]
pub enum Armed {
    /// The alarm lies ahead and will ring.
    Pending,
    /// Its time had passed when [`Driver::arm`] returned. It may not ring any more.
    Elapsed,
}

/// A clock with one alarm: all that a port to a new platform has to write.
///
/// The engine calls [`now`](Self::now) and [`pend`](Self::pend) from wherever its users call the
/// engine, at the same time from several threads or interrupt levels. [`arm`](Self::arm) and
/// [`disarm`](Self::disarm) are called by [`Engine::on_alarm`](crate::Engine::on_alarm) alone.
///
/// # Example
///
/// A machine whose counter has 64 bits, and a compare register that is looked at all the time; what has
/// fewer bits, or is looked at when the counter changes, is best left to `moirai-timer-hal`.
///
/// ```
/// # mod registers {
/// #     use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
/// #     static COUNTER: AtomicU64 = AtomicU64::new(1);
/// #     static COMPARE: AtomicU64 = AtomicU64::new(0);
/// #     pub fn counter() -> u64 { COUNTER.fetch_add(1, SeqCst) }
/// #     pub fn set_compare(at: u64) { COMPARE.store(at, SeqCst) }
/// #     pub fn set_pending() {}
/// # }
/// use core::task::Waker;
/// use moirai_timer_core::{Armed, Driver, Ticks, Timer};
///
/// struct Machine;
///
/// impl Driver for Machine {
///     const TICK_HZ: u64 = 1_000_000;
///
///     fn now(&self) -> Ticks {
///         Ticks::of_clock(registers::counter())
///     }
///
///     fn arm(&self, at: Ticks) -> Armed {
///         registers::set_compare(at.get());
///         if at <= self.now() { Armed::Elapsed } else { Armed::Pending }
///     }
///
///     fn disarm(&self) {
///         registers::set_compare(u64::MAX);
///     }
///
///     fn pend(&self) {
///         registers::set_pending();
///     }
///
///     // The other three have defaults.
///     fn may_drain(&self) -> bool {
///         true
///     }
///
///     fn wake(&self, waker: Waker) {
///         waker.wake();
///     }
///
///     fn fired(&self, _late: u64) {}
/// }
///
/// static TIMER: Timer<Machine, 8> = Timer::new(Machine);
/// TIMER.on_alarm();
/// assert!(TIMER.now() > Ticks::ZERO);
/// ```
pub trait Driver {
    /// Ticks a second. Durations are rounded up to whole ticks.
    const TICK_HZ: u64;

    /// The present. Monotonic over all callers; must also work before the alarm is set up.
    ///
    /// Never [`Ticks::NEVER`], which [`Ticks::of_clock`] sees to.
    fn now(&self) -> Ticks;

    /// Asks for a call of `on_alarm` at `at`. One that comes early does no harm; one that never comes is a lost
    /// alarm.
    ///
    /// Replaces the alarm that was set before. [`Armed::Elapsed`] if `at` is not ahead any more
    /// by the time this returns: look at the clock *after* writing the compare register.
    fn arm(&self, at: Ticks) -> Armed;

    /// No alarm is needed until the next [`arm`](Self::arm).
    fn disarm(&self);

    /// Sees to it that `on_alarm` (or a turn) runs soon, beginning after this call began.
    ///
    /// Several calls may become one. Called from anywhere, interrupts included, so it must not
    /// wait: set an interrupt pending, unpark a thread.
    fn pend(&self);

    /// Whether whoever arms or drops a sleep may apply a few commands itself, when thousands wait. That keeps
    /// turns out for a moment, so it may where one that was kept out is asked for again.
    fn may_drain(&self) -> bool {
        true
    }

    /// Wakes a task. A driver that lives with unwinding catches panics here; from one that gets
    /// through, the engine recovers by a [`pend`](Self::pend).
    fn wake(&self, waker: Waker) {
        waker.wake();
    }

    /// Hears how many ticks after its deadline a timer fired. For statistics.
    fn fired(&self, late: u64) {
        let _ = late;
    }
}

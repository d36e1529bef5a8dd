//! A clock that moves when it is told, for deterministic tests.

use crate::sync::{AtomicBool, AtomicU64, Ordering::*};

use crate::{Armed, Driver, Ticks};

/// A [`Driver`] without hardware: a clock that stands still until it is advanced, an alarm that
/// can be read, and a note of whether a turn was asked for.
///
/// ```
/// # use moirai_timer_core::{ManualDriver, Driver, Ticks};
/// let clock = ManualDriver::<1000>::new();
/// clock.advance(5);
/// assert_eq!(clock.now(), Ticks::new(5));
/// ```
///
/// ```
/// # use moirai_timer_core::{Armed, Driver, ManualDriver, Ticks};
/// let clock = ManualDriver::<1000>::at(Ticks::new(5));
/// assert_eq!(clock.arm(Ticks::new(7)), Armed::Pending);
/// assert_eq!(clock.alarm(), Some(Ticks::new(7)));
/// assert!(!clock.take_interrupt());
///
/// clock.set(Ticks::new(8));
/// assert!(clock.take_interrupt()); // it is late for the alarm
/// clock.disarm();
/// assert!(!clock.take_interrupt());
/// clock.pend();
/// assert!(clock.take_interrupt() && !clock.take_interrupt());
/// ```
#[derive(Debug)]
pub struct ManualDriver<const HZ: u64 = 1_000_000_000> {
    now: AtomicU64,
    alarm: AtomicU64,
    pended: AtomicBool,
}

impl<const HZ: u64> ManualDriver<HZ> {
    /// A clock that stands at zero.
    pub const fn new() -> Self {
        Self::at(Ticks::ZERO)
    }

    /// A clock that stands at `now`.
    pub const fn at(now: Ticks) -> Self {
        ManualDriver {
            now: AtomicU64::new(Ticks::of_clock(now.get()).get()),
            alarm: AtomicU64::new(Ticks::NEVER.get()),
            pended: AtomicBool::new(false),
        }
    }

    /// Moves the clock; nothing else happens until somebody turns.
    ///
    /// Saturates at the last tick.
    pub fn advance(&self, ticks: u64) {
        self.set(self.now().after(ticks));
    }

    /// Sets the clock to `to`, if it is not beyond that already.
    pub fn set(&self, to: Ticks) {
        self.now.fetch_max(Ticks::of_clock(to.get()).get(), SeqCst);
    }

    /// The alarm that is set.
    pub fn alarm(&self) -> Option<Ticks> {
        let at = Ticks::new(self.alarm.load(SeqCst));
        (!at.is_never()).then_some(at)
    }

    /// Whether the interrupt is due: the alarm's time has come, or a turn was asked for.
    /// Acknowledges the latter.
    pub fn take_interrupt(&self) -> bool {
        let pended = self.pended.swap(false, SeqCst);
        pended || self.alarm().is_some_and(|at| at <= self.now())
    }
}

impl<const HZ: u64> Default for ManualDriver<HZ> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const HZ: u64> Driver for ManualDriver<HZ> {
    const TICK_HZ: u64 = HZ;

    fn now(&self) -> Ticks {
        Ticks::new(self.now.load(SeqCst))
    }

    fn arm(&self, at: Ticks) -> Armed {
        self.alarm.store(at.get(), SeqCst);
        if at <= self.now() { Armed::Elapsed } else { Armed::Pending }
    }

    fn disarm(&self) {
        self.alarm.store(Ticks::NEVER.get(), SeqCst);
    }

    fn pend(&self) {
        self.pended.store(true, SeqCst);
    }
}

//! The driver that any [`Counter`] becomes.
//!
//! # Who writes what
//!
//! The halves of the counter's rounds that have passed are noted by the compare interrupt alone, of
//! which there is one at a time. Everybody reads them. They are two words, because one of 32 bits
//! would end after 100 days of 16 bits at 16 MHz, and two cannot be read in one step: the upper one
//! extends the lower one in the same way in which both extend the counter (see `extend`), so it may
//! be read any time before it.
//!
//! # Why no alarm is lost
//!
//! Compare registers ring when the count *becomes* their value. So [`arm`](CompareDriver::arm)
//! looks at the clock after it has written the register: if the time is not there yet, the counter
//! has still to come past it. The register is never set beyond the end of the running half; that
//! is an early alarm, which the engine allows, and the moment at which the half gets noted.

#[cfg(not(test))]
use core::sync::atomic::AtomicU32;
use core::sync::atomic::{AtomicBool, Ordering::*};
#[cfg(test)]
use tests::AtomicU32;

use moirai_timer_core::{Armed, Driver, Ticks};

use crate::Counter;
use crate::extend::{end_of_half, extend, is_due};

/// The clock and alarm of a [`Counter`].
///
/// ```
/// use moirai_timer_core::Timer;
/// use moirai_timer_hal::{CompareDriver, Counter};
///
/// struct Tim2;
///
/// impl Counter for Tim2 {
///     const TICK_HZ: u64 = 1_000_000;
///     const BITS: u32 = 32;
///     fn start(&self) { /* prescaler, compare interrupt on, counter on */ }
///     fn count(&self) -> u64 { 0 /* the counter's register */ }
///     fn set_compare(&self, _at: u64) { /* the compare register */ }
///     fn acknowledge(&self) { /* the interrupt flag */ }
///     fn pend(&self) { /* NVIC::pend(..) */ }
/// }
///
/// static TIMER: Timer<CompareDriver<Tim2>, 32> = Timer::new(CompareDriver::new(Tim2));
///
/// // In the handler of its interrupt:
/// fn tim2_handler() {
///     TIMER.driver().acknowledge();
///     TIMER.on_alarm();
/// }
///
/// // Once, then unmask the interrupt:
/// TIMER.driver().start();
/// ```
///
/// # Interrupts
///
/// One for each alarm, one for each registration that is earlier than the alarm, and two in each
/// round of the counter, which keep the time. No other: with a counter of 64 bits, nothing
/// armed is no interrupt.
///
/// The handler must not be kept waiting for more than half a round of the counter (at 1 MHz, 32 ms
/// of 16 bits, or half an hour of 32), nor may 32 wakers take as long, after which it notes the time; or the
/// clock falls behind. Nor may a debugger halt the processor for as long, unless the counter is halted with it: the
/// clock would go back. The handler may have any priority; the clock may be read at any other, and from where
/// interrupts are masked. As tasks are woken by the handler, it is to have the priority of the most urgent one that
/// sleeps, or a higher one.
///
/// # Before it is started
///
/// The time is 0, and stands still. Sleeps can be armed; they fire once it runs.
#[derive(Debug)]
pub struct CompareDriver<C> {
    counter: C,
    started: AtomicBool,
    noted: AtomicU32,
    noted_rounds: AtomicU32,
}

impl<C: Counter> CompareDriver<C> {
    /// The driver for a counter that nobody else uses.
    ///
    /// Fails to compile if the counter has less than 16 bits or more than 64, its rate is 0, or its
    /// lead is 0 or 2^14 counts and more:
    ///
    /// ```compile_fail,E0080
    /// # use moirai_timer_hal::{CompareDriver, Counter};
    /// struct Narrow;
    /// impl Counter for Narrow {
    ///     const BITS: u32 = 8;
    /// #   const TICK_HZ: u64 = 1_000_000;
    /// #   fn start(&self) {}
    /// #   fn count(&self) -> u64 { 0 }
    /// #   fn set_compare(&self, _at: u64) {}
    /// #   fn acknowledge(&self) {}
    /// #   fn pend(&self) {}
    ///     // ..
    /// }
    /// static DRIVER: CompareDriver<Narrow> = CompareDriver::new(Narrow);
    /// ```
    ///
    /// ```compile_fail,E0080
    /// # use moirai_timer_hal::{CompareDriver, Counter};
    /// struct Stopped;
    /// impl Counter for Stopped {
    ///     const TICK_HZ: u64 = 0;
    /// #   const BITS: u32 = 32;
    /// #   fn start(&self) {}
    /// #   fn count(&self) -> u64 { 0 }
    /// #   fn set_compare(&self, _at: u64) {}
    /// #   fn acknowledge(&self) {}
    /// #   fn pend(&self) {}
    ///     // ..
    /// }
    /// static DRIVER: CompareDriver<Stopped> = CompareDriver::new(Stopped);
    /// ```
    ///
    /// ```compile_fail,E0080
    /// # use moirai_timer_hal::{CompareDriver, Counter};
    /// struct Wide;
    /// impl Counter for Wide {
    ///     const BITS: u32 = 65;
    /// #   const TICK_HZ: u64 = 1_000_000;
    /// #   fn start(&self) {}
    /// #   fn count(&self) -> u64 { 0 }
    /// #   fn set_compare(&self, _at: u64) {}
    /// #   fn acknowledge(&self) {}
    /// #   fn pend(&self) {}
    ///     // ..
    /// }
    /// static DRIVER: CompareDriver<Wide> = CompareDriver::new(Wide);
    /// ```
    ///
    /// ```compile_fail,E0080
    /// # use moirai_timer_hal::{CompareDriver, Counter};
    /// struct Leading;
    /// impl Counter for Leading {
    ///     const LEAD: u64 = 1 << 14;
    /// #   const TICK_HZ: u64 = 1_000_000;
    /// #   const BITS: u32 = 32;
    /// #   fn start(&self) {}
    /// #   fn count(&self) -> u64 { 0 }
    /// #   fn set_compare(&self, _at: u64) {}
    /// #   fn acknowledge(&self) {}
    /// #   fn pend(&self) {}
    ///     // ..
    /// }
    /// static DRIVER: CompareDriver<Leading> = CompareDriver::new(Leading);
    /// ```
    ///
    /// ```compile_fail,E0080
    /// # use moirai_timer_hal::{CompareDriver, Counter};
    /// struct Late;
    /// impl Counter for Late {
    ///     const LEAD: u64 = 0;
    /// #   const TICK_HZ: u64 = 1_000_000;
    /// #   const BITS: u32 = 32;
    /// #   fn start(&self) {}
    /// #   fn count(&self) -> u64 { 0 }
    /// #   fn set_compare(&self, _at: u64) {}
    /// #   fn acknowledge(&self) {}
    /// #   fn pend(&self) {}
    ///     // ..
    /// }
    /// static DRIVER: CompareDriver<Late> = CompareDriver::new(Late);
    /// ```
    pub const fn new(counter: C) -> Self {
        const { assert!(C::BITS >= 16 && C::BITS <= 64, "a counter has 16 to 64 bits") };
        const { assert!(C::TICK_HZ > 0, "a clock has at least one tick a second") };
        const { assert!(C::LEAD > 0 && C::LEAD < 1 << 14, "the lead is 1 to 16383 counts") };
        Self::over(counter)
    }

    const fn over(counter: C) -> Self {
        CompareDriver {
            counter,
            started: AtomicBool::new(false),
            noted: AtomicU32::new(0),
            noted_rounds: AtomicU32::new(0),
        }
    }

    /// The counter.
    ///
    /// ```
    /// # use moirai_timer_hal::{CompareDriver, Counter};
    /// struct Tim2 {
    ///     base: usize,
    /// }
    ///
    /// impl Counter for Tim2 {
    /// #   const TICK_HZ: u64 = 1_000_000;
    /// #   const BITS: u32 = 32;
    /// #   fn start(&self) {}
    /// #   fn count(&self) -> u64 { 0 }
    /// #   fn set_compare(&self, _at: u64) {}
    /// #   fn acknowledge(&self) {}
    /// #   fn pend(&self) {}
    ///     // ..
    /// }
    /// let driver = CompareDriver::new(Tim2 { base: 0x4000_0000 });
    /// assert_eq!(driver.counter().base, 0x4000_0000);
    /// ```
    pub fn counter(&self) -> &C {
        &self.counter
    }

    /// Starts the counter, and asks for a turn, for what was armed before.
    ///
    /// A second call does nothing. Not to be called by two at the same time. The interrupt's priority,
    /// and that it is unmasked, is up to the program.
    pub fn start(&self) {
        if self.started.load(Acquire) {
            return;
        }
        self.counter.start();
        self.started.store(true, Release);
        self.counter.pend();
    }

    /// Acknowledges the interrupt, and keeps the time: what its handler calls first.
    #[inline]
    pub fn acknowledge(&self) {
        self.counter.acknowledge();
        self.note();
    }

    /// Notes the half that has passed, if one has. To be called by the interrupt's handler.
    #[inline]
    fn note(&self) {
        if C::BITS < 64 && is_due(self.noted.load(Relaxed).into(), self.counter.count(), C::BITS) {
            let noted = self.noted.load(Relaxed).wrapping_add(1);
            self.noted.store(noted, Release);
            if noted << 1 == 0 {
                let rounds = self.noted_rounds.load(Relaxed).wrapping_add(1);
                self.noted_rounds.store(rounds, Release);
            }
        }
    }

    #[inline]
    fn time(&self) -> u64 {
        if C::BITS == 64 {
            return self.counter.count();
        }
        loop {
            // In this order: each extends what is read after it.
            let rounds = self.noted_rounds.load(Acquire);
            let noted = self.noted.load(Acquire);
            let count = self.counter.count();
            // A caller that was held up here for half a round has seen its interrupt come and go.
            if self.noted.load(Acquire) == noted {
                return extend(extend(rounds.into(), noted.into(), u32::BITS), count, C::BITS);
            }
        }
    }
}

impl<C: Counter> Driver for CompareDriver<C> {
    const TICK_HZ: u64 = C::TICK_HZ;

    #[inline]
    fn now(&self) -> Ticks {
        if !self.started.load(Acquire) {
            return Ticks::ZERO;
        }
        Ticks::of_clock(self.time())
    }

    /// To be called by the interrupt's handler, through
    /// [`on_alarm`](moirai_timer_core::Engine::on_alarm).
    fn arm(&self, at: Ticks) -> Armed {
        if !self.started.load(Acquire) {
            // No time passes yet. `start` asks for a turn.
            return Armed::Pending;
        }
        loop {
            self.note();
            let now = self.now().get();
            if at.get() < now.saturating_add(C::LEAD) {
                return Armed::Elapsed;
            }
            let ring =
                if C::BITS < 64 { at.get().min(end_of_half(now, C::BITS)) } else { at.get() };
            self.counter.set_compare(ring & (u64::MAX >> (64 - C::BITS)));
            if self.now().get().saturating_add(C::LEAD) <= ring {
                return Armed::Pending;
            }
            // It went by, or is too near to be seen. If it is the end of a half, the next follows,
            // within `LEAD` counts.
        }
    }

    fn disarm(&self) {
        // The clock still has to be kept.
        let _ = self.arm(Ticks::NEVER);
    }

    fn pend(&self) {
        self.counter.pend();
    }
}

/// What the clock says.
#[cfg(feature = "defmt")]
impl<C: Counter> defmt::Format for CompareDriver<C> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "CompareDriver(now {})", self.now());
    }
}

#[cfg(test)]
mod tests;

//! Ticks at a fixed period.

use core::fmt;
use core::future::poll_fn;
#[cfg(feature = "stream")]
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use crate::{Handle, Sleep, Ticks};

/// What an [`Interval`] does about ticks that nobody took in time.
///
/// A tick counts as missed when the one after it is due as well.
///
/// See [`set_missed_tick_behavior`](Interval::set_missed_tick_behavior); in short, of a period of 10 that
/// is left alone until 35:
///
/// ```
/// # use core::task::{Context, Poll, Waker};
/// # use moirai_timer_core::{ManualDriver, MissedTickBehavior, TickCount, Timer};
/// use MissedTickBehavior::{Burst, Delay, Skip};
/// for (behavior, ticks) in [(Burst, [0, 10, 20]), (Delay, [0, 45, 55]), (Skip, [0, 40, 50])] {
///     let timer: Timer<ManualDriver, 8> = Timer::new(ManualDriver::new());
///     let mut interval = timer.interval(TickCount(10));
///     interval.set_missed_tick_behavior(behavior);
///     timer.driver().advance(35);
///     let mut cx = Context::from_waker(Waker::noop());
///     assert_eq!(ticks.map(|_| loop {
///         match interval.poll_tick(&mut cx) {
///             Poll::Ready(due) => break due.get(),
///             Poll::Pending => timer.driver().advance(1),
///         }
///     }), ticks);
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MissedTickBehavior {
    /// Gives all of them at once, then is on schedule again.
    Burst,
    /// Gives one, and counts its periods from then on.
    Delay,
    /// Gives one, leaves the others out, and stays on schedule. The default: a program that was
    /// held up seldom wants to do everything several times in a row.
    #[default]
    Skip,
}

/// A tick every period, as long as it is asked.
///
/// Dropping it cancels as [`Sleep`] does. `tick` is cancellation safe: a tick is taken when it is
/// ready, not before.
///
/// # Cost
///
/// A poll is one of a [`Sleep`]; taking a tick reads the clock once more and, if the tick was late by
/// a period or more, may divide 64 bits. It keeps its slot from the first poll that has to wait until it
/// is dropped, also while it is not polled; except when a tick is taken before a turn has fired the slot,
/// which is given back then, and another is taken.
///
/// # Interrupts
///
/// It may be polled, reset and dropped in an interrupt, like [`Sleep`].
///
/// # Example
///
/// ```
/// use core::{task::{Context, Poll, Waker}, time::Duration};
/// use moirai_timer_core::{Interval, ManualDriver, MissedTickBehavior, Sleep, Ticks, Timer};
///
/// static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
/// let ms = Duration::from_millis;
///
/// let mut ticks = Interval::new(Sleep::after(&TIMER, ms(3)), ms(10));
/// assert_eq!(ticks.period(), ms(10));
/// assert_eq!(ticks.missed_tick_behavior(), MissedTickBehavior::Skip);
///
/// // Tasks write `ticks.tick().await`.
/// let mut cx = Context::from_waker(Waker::noop());
/// TIMER.driver().advance(4);
/// assert_eq!(ticks.poll_tick(&mut cx), Poll::Ready(Ticks::new(3)));
/// assert!(ticks.poll_tick(&mut cx).is_pending()); // until 13
///
/// ticks.reset(); // until 14
/// ticks.reset_after(ms(7)); // until 11
/// ticks.reset_at(Ticks::new(6));
/// ticks.reset_immediately();
/// assert_eq!(ticks.poll_tick(&mut cx), Poll::Ready(Ticks::new(4)));
/// ```
#[must_use = "intervals do nothing unless polled"]
pub struct Interval<H: Handle> {
    sleep: Sleep<H>,
    period: u64,
    missed: MissedTickBehavior,
}

impl<H: Handle> Unpin for Interval<H> {}

impl<H: Handle> Interval<H> {
    /// Ticks when `first` completes, and then every `period`, rounded up to ticks of the clock.
    ///
    /// # Panics
    /// If `period` is zero.
    #[track_caller]
    pub fn new(first: Sleep<H>, period: Duration) -> Self {
        let period = first.handle().ticks_in(period);
        Self::every(first, period)
    }

    /// Ticks when `first` completes, and then every `period` ticks of the clock.
    #[track_caller]
    pub(crate) fn every(first: Sleep<H>, period: u64) -> Self {
        assert!(period > 0, "the period of an interval must not be zero");
        Interval { sleep: first, period, missed: MissedTickBehavior::default() }
    }

    /// Waits for the next tick; gives the time at which it was due.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, Timer};
    /// # use core::time::Duration;
    /// # static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    /// # fn toggle_led() {}
    /// async fn blink() {
    ///     let mut ticks = TIMER.interval(Duration::from_millis(500));
    ///     loop {
    ///         ticks.tick().await;
    ///         toggle_led();
    ///     }
    /// }
    /// # drop(blink());
    /// ```
    pub async fn tick(&mut self) -> H::Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// The next tick, if it is due; gives the time at which it was.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<H::Instant> {
        if self.sleep.poll_keeping(cx).is_pending() {
            return Poll::Pending;
        }
        let due = self.sleep.ticks();
        self.sleep.aim(self.following(due, self.sleep.handle().now()));
        Poll::Ready(self.sleep.handle().instant_at(due))
    }

    /// The tick after the one that was due at `due`, and is taken `now`.
    fn following(&self, due: Ticks, now: Ticks) -> Ticks {
        let late = now.since(due);
        if late < self.period {
            return due.after(self.period);
        }
        match self.missed {
            MissedTickBehavior::Burst => due.after(self.period),
            MissedTickBehavior::Delay => now.after(self.period),
            MissedTickBehavior::Skip => now.after(self.period - late % self.period),
        }
    }

    /// The next tick is a period from now.
    pub fn reset(&mut self) {
        self.sleep.move_to(self.sleep.handle().now().after(self.period));
    }

    /// The next tick is now.
    pub fn reset_immediately(&mut self) {
        self.sleep.move_to(self.sleep.handle().now());
    }

    /// The next tick is in `after`.
    pub fn reset_after(&mut self, after: Duration) {
        self.sleep.reset_after(after);
    }

    /// The next tick is at `deadline`.
    pub fn reset_at(&mut self, deadline: H::Instant) {
        self.sleep.reset(deadline);
    }

    /// The period, rounded up to ticks of the clock.
    pub fn period(&self) -> Duration {
        self.sleep.handle().duration_of(self.period)
    }

    #[cfg(feature = "defmt")]
    pub(crate) fn sleep(&self) -> &Sleep<H> {
        &self.sleep
    }

    /// What happens to ticks that were not taken in time.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Sets what happens to ticks that were not taken in time.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, MissedTickBehavior, TickCount, Timer};
    /// # use core::task::{Context, Poll, Waker};
    /// # static TIMER: Timer<ManualDriver, 8> = Timer::new(ManualDriver::new());
    /// let mut ticks = TIMER.interval(TickCount(10));
    /// ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ///
    /// TIMER.driver().advance(35); // the program was held up
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert_eq!(ticks.poll_tick(&mut cx).map(|due| due.get()), Poll::Ready(0));
    /// assert!(ticks.poll_tick(&mut cx).is_pending());
    /// TIMER.driver().advance(10);
    /// assert_eq!(ticks.poll_tick(&mut cx).map(|due| due.get()), Poll::Ready(45));
    /// ```
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }
}

/// Every tick, without an end.
#[cfg(feature = "stream")]
impl<H: Handle> futures_core::Stream for Interval<H> {
    type Item = H::Instant;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<H::Instant>> {
        self.get_mut().poll_tick(cx).map(Some)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl<H: Handle> fmt::Debug for Interval<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval")
            .field("next", &self.sleep)
            .field("period", &self.period())
            .field("missed_tick_behavior", &self.missed)
            .finish()
    }
}

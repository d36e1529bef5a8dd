//! What programs ask of a timer: the futures that wait on an engine.
//!
//! A timer of more slots than there are numbers for does not compile:
//!
//! ```compile_fail,E0080
//! # use moirai_timer_core::{ManualDriver, Timer};
//! static TIMER: Timer<ManualDriver, { (1 << 24) + 1 }> = Timer::new(ManualDriver::new());
//! ```

#[cfg(not(loom))]
use core::fmt;

use crate::{Driver, Engine, Interval, RegisterError, Sleep, Slots, Span, Store, Ticks, Timeout};

impl<D: Driver, M: Slots, S: Store> Engine<D, M, S> {
    /// The present, by the driver's clock.
    pub fn now(&self) -> Ticks {
        self.driver().now()
    }

    /// The point in time that is `duration` from now; never, if that overflows the clock. For
    /// [`Sleep::reset`] and the like.
    pub fn after(&self, duration: impl Span) -> Ticks {
        self.now().after(duration.in_ticks(D::TICK_HZ))
    }

    /// Waits for `duration`, counted from this call. A duration that overflows the clock is never.
    ///
    /// Takes a slot when it is first polled before its deadline.
    pub fn sleep(&self, duration: impl Span) -> Sleep<&Self> {
        self.sleep_until(self.after(duration))
    }

    /// Waits until `deadline`; completes at the first poll if that is past.
    pub fn sleep_until(&self, deadline: Ticks) -> Sleep<&Self> {
        Sleep::at(self, deadline)
    }

    /// Like [`sleep`](Self::sleep), with a slot that is taken now.
    ///
    /// # Errors
    /// If there is none, or the timer was shut down.
    pub fn try_sleep(&self, duration: impl Span) -> Result<Sleep<&Self>, RegisterError> {
        self.sleep(duration).reserved()
    }

    /// Like [`sleep_until`](Self::sleep_until), with a slot that is taken now.
    ///
    /// # Errors
    /// If there is none, or the timer was shut down.
    pub fn try_sleep_until(&self, deadline: Ticks) -> Result<Sleep<&Self>, RegisterError> {
        self.sleep_until(deadline).reserved()
    }

    /// Runs `future` for `duration` at most.
    pub fn timeout<F: IntoFuture>(
        &self,
        duration: impl Span,
        future: F,
    ) -> Timeout<F::IntoFuture, &Self> {
        Timeout::new(future.into_future(), self.sleep(duration))
    }

    /// Runs `future` until `deadline` at most.
    pub fn timeout_at<F: IntoFuture>(
        &self,
        deadline: Ticks,
        future: F,
    ) -> Timeout<F::IntoFuture, &Self> {
        Timeout::new(future.into_future(), self.sleep_until(deadline))
    }

    /// Ticks every `period`, for the first time at once.
    ///
    /// # Panics
    /// If `period` is zero.
    #[track_caller]
    pub fn interval(&self, period: impl Span) -> Interval<&Self> {
        self.interval_at(self.now(), period)
    }

    /// Ticks every `period`, for the first time at `start`.
    ///
    /// # Panics
    /// If `period` is zero.
    #[track_caller]
    pub fn interval_at(&self, start: Ticks, period: impl Span) -> Interval<&Self> {
        Interval::every(self.sleep_until(start), period.in_ticks(D::TICK_HZ))
    }
}

/// The present, when the driver was told to turn next, and what is armed; `armed` is none while
/// another caller is inside. Applies the commands that wait, as [`metrics`](Engine::metrics) does.
#[cfg(not(loom))]
impl<D: Driver, M: Slots, S: Store> fmt::Debug for Engine<D, M, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("now", &self.now())
            .field("tick_hz", &D::TICK_HZ)
            .field("alarm", &self.alarm())
            .field("armed", &self.metrics().map(|metrics| metrics.armed))
            .field("next_deadline", &self.next_deadline().filter(|at| !at.is_never()))
            .field("shut_down", &self.is_shut_down())
            .finish_non_exhaustive()
    }
}

//! What futures can be given to do with time.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use moirai_timer_core::{Handle, Sleep, Timeout};
#[cfg(feature = "std")]
use moirai_timer_std::Timer;
use pin_project_lite::pin_project;

/// Methods of every future.
///
/// Those whose names end in `_on` take the timer; the others, which the feature `std` brings, use
/// [`Timer::global`](moirai_timer_std::Timer::global).
pub trait FutureExt: Future + Sized {
    /// Runs the future for `duration` at most, counted from this call.
    ///
    /// ```
    /// # use moirai_timer_ext::FutureExt;
    /// # use moirai_timer_std::block_on;
    /// # use std::{future::pending, time::Duration};
    /// assert!(block_on(pending::<()>().timeout(Duration::from_millis(1))).is_err());
    /// ```
    #[cfg(feature = "std")]
    fn timeout(self, duration: Duration) -> Timeout<Self, Timer> {
        self.timeout_on(Timer::global().clone(), duration)
    }

    /// Runs the future until `deadline` at most.
    ///
    /// ```
    /// # use moirai_timer_ext::FutureExt;
    /// # use moirai_timer_std::block_on;
    /// # use std::time::Instant;
    /// // A value that is there is not lost, however late it is.
    /// assert_eq!(block_on(async { 1 }.timeout_at(Instant::now())), Ok(1));
    /// ```
    #[cfg(feature = "std")]
    fn timeout_at(self, deadline: std::time::Instant) -> Timeout<Self, Timer> {
        self.timeout_at_on(Timer::global().clone(), deadline)
    }

    /// Waits for `duration`, counted from this call, and then runs the future.
    ///
    /// ```
    /// # use moirai_timer_ext::FutureExt;
    /// # use moirai_timer_std::block_on;
    /// # use std::time::Duration;
    /// assert_eq!(block_on(async { 1 }.delay(Duration::from_millis(1))), 1);
    /// ```
    #[cfg(feature = "std")]
    fn delay(self, duration: Duration) -> Delay<Self, Timer> {
        self.delay_on(Timer::global().clone(), duration)
    }

    /// Runs the future for `duration` at most, counted from this call by `timer`.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::FutureExt;
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::{future::pending, time::Duration};
    /// let timer = Timer::new();
    /// let slow = pending::<()>().timeout_on(timer, Duration::from_millis(1));
    /// assert!(block_on(slow).is_err());
    /// # }
    /// ```
    fn timeout_on<H: Handle>(self, timer: H, duration: Duration) -> Timeout<Self, H> {
        Timeout::new(self, Sleep::after(timer, duration))
    }

    /// Runs the future until `deadline` of `timer` at most.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::FutureExt;
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::{future::pending, time::Duration};
    /// let timer = Timer::new();
    /// let deadline = timer.now() + Duration::from_millis(1);
    /// assert!(block_on(pending::<()>().timeout_at_on(timer, deadline)).is_err());
    /// # }
    /// ```
    fn timeout_at_on<H: Handle>(self, timer: H, deadline: H::Instant) -> Timeout<Self, H> {
        Timeout::new(self, Sleep::at(timer, deadline))
    }

    /// Waits for `duration`, counted from this call by `timer`, and then runs the future.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::FutureExt;
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let late = async { 1 }.delay_on(Timer::new(), Duration::from_millis(1));
    /// assert_eq!(block_on(late), 1);
    /// # }
    /// ```
    fn delay_on<H: Handle>(self, timer: H, duration: Duration) -> Delay<Self, H> {
        Delay { future: self, sleep: Some(Sleep::after(timer, duration)) }
    }
}

impl<F: Future> FutureExt for F {}

pin_project! {
    /// Waits, and then runs a future; see [`FutureExt::delay_on`].
    ///
    /// The future is not polled before. Dropping it drops the future, and cancels the wait.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use moirai_timer_ext::{Delay, FutureExt};
    /// use moirai_timer_std::{Timer, block_on};
    /// use std::{future::{Ready, ready}, time::Duration};
    ///
    /// let start = Timer::global().now();
    /// let later: Delay<Ready<u32>, Timer> = ready(42).delay(Duration::from_millis(1));
    /// assert_eq!(block_on(later), 42);
    /// assert!(Timer::global().now() - start >= Duration::from_millis(1));
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Delay<F, H: Handle> {
        #[pin]
        future: F,
        sleep: Option<Sleep<H>>,
    }
}

impl<F: Future, H: Handle> Future for Delay<F, H> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Some(sleep) = this.sleep {
            ready!(Pin::new(sleep).poll(cx));
            *this.sleep = None;
        }
        this.future.poll(cx)
    }
}

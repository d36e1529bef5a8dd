//! A future with a deadline.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::{Handle, Sleep};

pin_project! {
    /// Runs a future until it completes or its time is up.
    ///
    /// The future is polled first, so a value that is there when the time is up is not lost. A
    /// future that completes at its first poll takes no slot.
    ///
    /// Dropping it drops the future, and cancels as [`Sleep`] does.
    ///
    /// # Cost
    ///
    /// A poll is one of the future, and one of a [`Sleep`] if the future is not ready; dropping it
    /// in time costs what dropping a sleep does. Its size is that of the two.
    ///
    /// # Interrupts
    ///
    /// It may be polled and dropped in an interrupt, like [`Sleep`], if the future may.
    ///
    /// # Example
    ///
    /// ```
    /// use core::{future::{Future, ready}, pin::pin, task::{Context, Poll, Waker}, time::Duration};
    /// use moirai_timer_core::{Elapsed, ManualDriver, Sleep, Timeout, Timer};
    ///
    /// static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    /// let mut cx = Context::from_waker(Waker::noop());
    ///
    /// let answer = TIMER.sleep(Duration::from_millis(9));
    /// let mut limited = pin!(Timeout::new(answer, Sleep::after(&TIMER, Duration::from_millis(5))));
    /// assert_eq!(limited.deadline().get(), 5);
    /// assert!(limited.as_mut().poll(&mut cx).is_pending());
    /// TIMER.driver().advance(5);
    /// assert_eq!(limited.as_mut().poll(&mut cx), Poll::Ready(Err(Elapsed::new())));
    /// assert!(!limited.get_ref().is_elapsed());
    ///
    /// // What is left of one that was not needed.
    /// let mut unneeded = TIMER.timeout(Duration::from_millis(5), ready(42));
    /// *unneeded.get_mut() = ready(43);
    /// assert_eq!(unneeded.into_inner().into_inner(), 43);
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct Timeout<F, H: Handle> {
        #[pin]
        future: F,
        sleep: Sleep<H>,
    }
}

/// The time of a [`Timeout`] was up.
///
/// ```
/// # use moirai_timer_core::Elapsed;
/// assert_eq!(Elapsed::new().to_string(), "deadline has elapsed");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Elapsed(());

impl Elapsed {
    /// For other things that have a deadline, and say so in the same way.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Elapsed {
        Elapsed(())
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl core::error::Error for Elapsed {}

/// Of the kind `TimedOut`. Allocates.
#[cfg(feature = "std")]
impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> Self {
        std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}

impl<F, H: Handle> Timeout<F, H> {
    /// Runs `future` until `sleep` completes.
    pub fn new(future: F, sleep: Sleep<H>) -> Self {
        Timeout { future, sleep }
    }

    /// The deadline.
    pub fn deadline(&self) -> H::Instant {
        self.sleep.deadline()
    }

    #[cfg(feature = "defmt")]
    pub(crate) fn sleep(&self) -> &Sleep<H> {
        &self.sleep
    }

    /// The future.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The future.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// The future; the time is forgotten.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future, H: Handle> Future for Timeout<F, H> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(value) = this.future.poll(cx) {
            return Poll::Ready(Ok(value));
        }
        this.sleep.poll_due(cx).map(|()| Err(Elapsed(())))
    }
}

/// The future by the name of its type, as those of `async` functions have no other; and the sleep.
impl<F, H: Handle> fmt::Debug for Timeout<F, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("future", &format_args!("{}", core::any::type_name::<F>()))
            .field("sleep", &self.sleep)
            .finish()
    }
}

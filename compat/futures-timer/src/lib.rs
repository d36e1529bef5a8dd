#![doc = include_str!("../README.md")]

#[cfg(target_arch = "wasm32")]
compile_error!(
    "this stand-in for futures-timer needs threads: on WebAssembly, leave the patch out"
);

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use moirai_timer_std::{Sleep, sleep};

/// A future that completes when its time is up.
///
/// Waits on the global timer of `moirai-timer-std`. Creating one reads the clock and does nothing
/// else; the first poll that has to wait arms it. Dropping it cancels. Polled after it was ready, it
/// is ready again.
///
/// ```
/// use futures_timer::Delay;
/// use std::{future::{Future, poll_fn}, pin::Pin, task::Poll, time::Duration};
///
/// // What comes first: the answer, or the end of patience.
/// let mut answer = Delay::new(Duration::from_millis(1));
/// let mut patience = Delay::new(Duration::from_secs(5));
/// let first = moirai_timer_std::block_on(poll_fn(|cx| {
///     if Pin::new(&mut answer).poll(cx).is_ready() {
///         return Poll::Ready("answer");
///     }
///     Pin::new(&mut patience).poll(cx).map(|()| "patience")
/// }));
/// assert_eq!(first, "answer");
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Delay {
    sleep: Sleep,
}

impl Delay {
    /// Completes `dur` from now; never, if that is beyond the clock's range of 36 years.
    ///
    /// ```
    /// # use futures_timer::Delay;
    /// # use std::time::{Duration, Instant};
    /// let start = Instant::now();
    /// moirai_timer_std::block_on(Delay::new(Duration::from_millis(3)));
    /// assert!(start.elapsed() >= Duration::from_millis(3));
    /// ```
    #[inline]
    pub fn new(dur: Duration) -> Delay {
        Delay { sleep: sleep(dur) }
    }

    /// Has it complete `dur` from now, also if it has completed before.
    ///
    /// ```
    /// # use futures_timer::Delay;
    /// # use std::time::Duration;
    /// moirai_timer_std::block_on(async {
    ///     let mut delay = Delay::new(Duration::from_secs(3600));
    ///     delay.reset(Duration::from_millis(1));
    ///     (&mut delay).await;
    ///     delay.reset(Duration::from_millis(1));
    ///     delay.await;
    /// });
    /// ```
    #[inline]
    pub fn reset(&mut self, dur: Duration) {
        self.sleep.reset_after(dur);
    }
}

impl Future for Delay {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.sleep).poll(cx)
    }
}

impl fmt::Debug for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delay").field("sleep", &self.sleep).finish()
    }
}

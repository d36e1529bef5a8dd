//! A stream that is slowed down.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use futures_core::Stream;
use moirai_timer_core::{Handle, Sleep};
use pin_project_lite::pin_project;

pin_project! {
    /// The items of a stream, with at least `duration` between one and the next.
    ///
    /// Nothing is lost: the stream within is not polled until the next item may come. The first one
    /// comes at once, and the end when the stream is asked the next time.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use futures_util::{StreamExt as _, stream};
    /// use moirai_timer_ext::{StreamExt as _, Throttle};
    /// use moirai_timer_std::{Timer, block_on};
    /// use std::time::Duration;
    ///
    /// let ms = Duration::from_millis(1);
    /// let start = Timer::global().now();
    /// let letters: Throttle<_, Timer> = stream::iter(['a', 'b', 'c']).throttle(ms);
    /// assert_eq!(block_on(letters.collect::<Vec<_>>()), ['a', 'b', 'c']);
    /// assert!(Timer::global().now() - start >= 2 * ms);
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Throttle<S, H: Handle> {
        #[pin]
        stream: S,
        sleep: Sleep<H>,
        duration: Duration,
        waits: bool,
    }
}

impl<S, H: Handle> Throttle<S, H> {
    pub(super) fn new(stream: S, timer: H, duration: Duration) -> Self {
        Throttle { stream, sleep: Sleep::never(timer), duration, waits: false }
    }
}

impl<S: Stream, H: Handle> Stream for Throttle<S, H> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if *this.waits {
            ready!(Pin::new(&mut *this.sleep).poll(cx));
            *this.waits = false;
        }
        let item = ready!(this.stream.poll_next(cx));
        if item.is_some() {
            this.sleep.reset_after(*this.duration);
            *this.waits = true;
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

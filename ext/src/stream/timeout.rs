//! A stream that says when an item is late.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use futures_core::Stream;
use moirai_timer_core::{Elapsed, Handle, Sleep};
use pin_project_lite::pin_project;

pin_project! {
    /// The items of a stream; [`Elapsed`] for each time that one was waited for too long.
    ///
    /// The time counts from the poll that finds no item, not from the item before: what the consumer
    /// takes for itself is not the stream's fault. After an error it may be polled on, and waits
    /// for another `duration`: each is what `timeout(duration, stream.next())` would give.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use futures_util::{StreamExt as _, stream};
    /// use moirai_timer_ext::{StreamExt as _, StreamTimeout};
    /// use moirai_timer_std::{Timer, block_on};
    /// use std::time::Duration;
    ///
    /// let items = stream::iter([1, 2]).chain(stream::pending());
    /// let mut items: StreamTimeout<_, Timer> = items.timeout(Duration::from_millis(1));
    /// assert_eq!(block_on(items.next()), Some(Ok(1)));
    /// assert_eq!(block_on(items.next()), Some(Ok(2)));
    /// assert!(block_on(items.next()).unwrap().is_err());
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct StreamTimeout<S, H: Handle> {
        #[pin]
        stream: S,
        sleep: Sleep<H>,
        duration: Duration,
        waits: bool,
    }
}

impl<S, H: Handle> StreamTimeout<S, H> {
    pub(super) fn new(stream: S, timer: H, duration: Duration) -> Self {
        StreamTimeout { stream, sleep: Sleep::never(timer), duration, waits: false }
    }
}

impl<S: Stream, H: Handle> Stream for StreamTimeout<S, H> {
    type Item = Result<S::Item, Elapsed>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if let Poll::Ready(item) = this.stream.poll_next(cx) {
            *this.waits = false;
            return Poll::Ready(item.map(Ok));
        }
        if !*this.waits {
            *this.waits = true;
            this.sleep.reset_after(*this.duration);
        }
        Pin::new(this.sleep).poll(cx).map(|()| {
            *this.waits = false;
            Some(Err(Elapsed::new()))
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.stream.size_hint().0, None)
    }
}

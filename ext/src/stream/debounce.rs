//! A stream of which only what is followed by silence counts.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use futures_core::Stream;
use moirai_timer_core::{Handle, Sleep};
use pin_project_lite::pin_project;

/// How many items are taken in one poll, so that a stream that always has one holds nobody up.
const IN_A_ROW: u32 = 32;

pin_project! {
    /// The last of the items that came one soon after another, when `duration` has gone by without
    /// a further one. The end of the stream counts as silence. A stream that never pauses for so long
    /// gives nothing until it ends.
    ///
    /// Earlier items of such a run are dropped. Each item moves the deadline of a sleep that is armed
    /// already, which is one compare-and-swap.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use futures_util::{StreamExt as _, stream};
    /// use moirai_timer_ext::{StreamExt as _, Debounce};
    /// use moirai_timer_std::{Timer, block_on};
    /// use std::time::Duration;
    ///
    /// // Somebody types, and stops.
    /// let typed = stream::iter(["m", "mo", "moi"]).chain(stream::pending());
    /// let mut searches: Debounce<_, Timer> = typed.debounce(Duration::from_millis(1));
    /// assert_eq!(block_on(searches.next()), Some("moi"));
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Debounce<S: Stream, H: Handle> {
        #[pin]
        stream: S,
        sleep: Sleep<H>,
        duration: Duration,
        last: Option<S::Item>,
        ended: bool,
    }
}

impl<S: Stream, H: Handle> Debounce<S, H> {
    pub(super) fn new(stream: S, timer: H, duration: Duration) -> Self {
        Debounce { stream, sleep: Sleep::never(timer), duration, last: None, ended: false }
    }
}

impl<S: Stream, H: Handle> Stream for Debounce<S, H> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        for _ in 0..IN_A_ROW {
            match this.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    *this.last = Some(item);
                    this.sleep.reset_after(*this.duration);
                }
                Poll::Ready(None) => {
                    *this.ended = true;
                    return Poll::Ready(this.last.take());
                }
                Poll::Pending if this.last.is_none() => return Poll::Pending,
                Poll::Pending => {
                    return Pin::new(this.sleep).poll(cx).map(|()| this.last.take());
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.last.is_some());
        let (_, most) = self.stream.size_hint();
        (waiting, most.and_then(|most| most.checked_add(waiting)))
    }
}

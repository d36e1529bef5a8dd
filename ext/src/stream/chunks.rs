//! A stream whose items come together.

use alloc::vec::Vec;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use futures_core::Stream;
use moirai_timer_core::{Handle, Sleep};
use pin_project_lite::pin_project;

/// How many items are taken in one poll, so that a stream that always has one holds nobody up.
const IN_A_ROW: u32 = 32;

pin_project! {
    /// The items of a stream by a certain number, or as many as have come when `duration` has gone
    /// by since the first of them. What is left at the end comes as it is; no chunk is empty.
    ///
    /// Reads the clock for each item. A stream that always has one is left now and then, for other
    /// tasks. Allocates one vector a chunk. Dropping it drops the items that it holds.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// use futures_util::{StreamExt as _, stream};
    /// use moirai_timer_ext::{StreamExt as _, ChunksTimeout};
    /// use moirai_timer_std::{Timer, block_on};
    /// use std::time::Duration;
    ///
    /// let rows = stream::iter([1, 2, 3]);
    /// let mut inserts: ChunksTimeout<_, Timer> = rows.chunks_timeout(2, Duration::from_secs(60));
    /// assert_eq!(block_on(inserts.next()), Some(vec![1, 2]));
    /// assert_eq!(block_on(inserts.next()), Some(vec![3]));
    ///
    /// // One comes, and no more for now.
    /// let rows = stream::iter([1]).chain(stream::pending());
    /// let mut inserts: ChunksTimeout<_, Timer> = rows.chunks_timeout(2, Duration::from_millis(1));
    /// assert_eq!(block_on(inserts.next()), Some(vec![1]));
    /// # }
    /// ```
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct ChunksTimeout<S: Stream, H: Handle> {
        #[pin]
        stream: S,
        sleep: Sleep<H>,
        duration: Duration,
        count: usize,
        items: Vec<S::Item>,
        ended: bool,
    }
}

impl<S: Stream, H: Handle> ChunksTimeout<S, H> {
    #[track_caller]
    pub(super) fn new(stream: S, timer: H, count: usize, duration: Duration) -> Self {
        assert!(count > 0, "a chunk has at least one item");
        let sleep = Sleep::never(timer);
        ChunksTimeout { stream, sleep, duration, count, items: Vec::new(), ended: false }
    }
}

impl<S: Stream, H: Handle> Stream for ChunksTimeout<S, H> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<S::Item>>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        for _ in 0..IN_A_ROW {
            match this.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if this.items.is_empty() {
                        this.sleep.reset_after(*this.duration);
                    }
                    this.items.push(item);
                    if this.items.len() >= *this.count || this.sleep.is_elapsed() {
                        return Poll::Ready(Some(mem::take(this.items)));
                    }
                }
                Poll::Ready(None) => {
                    *this.ended = true;
                    let chunk = mem::take(this.items);
                    return Poll::Ready((!chunk.is_empty()).then_some(chunk));
                }
                Poll::Pending if this.items.is_empty() => return Poll::Pending,
                Poll::Pending => {
                    return Pin::new(this.sleep).poll(cx).map(|()| Some(mem::take(this.items)));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(!self.items.is_empty());
        let (least, most) = self.stream.size_hint();
        let least = (least.saturating_add(self.items.len())).div_ceil(self.count);
        (least, most.and_then(|most| most.checked_add(waiting)))
    }
}

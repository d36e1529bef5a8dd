//! A stream whose items come together.

use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use futures_core::Stream;
use moirai_timer_core::{Handle, Sleep};
use pin_project_lite::pin_project;

pin_project! {
    /// The items of a stream by a certain number, or as many as have come when `duration` has gone
    /// by since the first of them. What is left at the end comes as it is; no chunk is empty.
    ///
    /// Allocates one vector a chunk. Dropping it drops the items that it holds.
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
        let items = this.items;
        // Ends before long: with `count` items at the latest.
        while !*this.ended && items.len() < *this.count {
            match this.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if items.is_empty() {
                        this.sleep.reset_after(*this.duration);
                    }
                    items.push(item);
                }
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending if items.is_empty() => return Poll::Pending,
                Poll::Pending => match Pin::new(&mut *this.sleep).poll(cx) {
                    Poll::Ready(()) => break,
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
        let chunk = core::mem::take(items);
        Poll::Ready((!chunk.is_empty()).then_some(chunk))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(!self.items.is_empty());
        let (least, most) = self.stream.size_hint();
        let least = (least.saturating_add(self.items.len())).div_ceil(self.count);
        (least, most.and_then(|most| most.checked_add(waiting)))
    }
}

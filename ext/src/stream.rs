//! What streams can be given to do with time.

#[cfg(feature = "alloc")]
mod chunks;
mod debounce;
mod throttle;
mod timeout;

use core::time::Duration;

use futures_core::Stream;
use moirai_timer_core::Handle;
#[cfg(feature = "std")]
use moirai_timer_std::Timer;

#[cfg(feature = "alloc")]
pub use chunks::ChunksTimeout;
pub use debounce::Debounce;
pub use throttle::Throttle;
pub use timeout::StreamTimeout;

/// Methods of every stream.
///
/// Those whose names end in `_on` take the timer; the others, which the feature `std` brings, use
/// [`Timer::global`](moirai_timer_std::Timer::global). Each adapter has one sleep. It stays armed when
/// an item comes before its time is up: the next wait moves it, which is cheaper than arming another,
/// and if there is none, one wake-up may come for nothing.
///
/// ```
/// # #[cfg(feature = "std")] {
/// # use futures_util::{StreamExt as _, stream};
/// # use moirai_timer_std::block_on;
/// # use std::time::Duration;
/// use moirai_timer_ext::StreamExt as _;
///
/// let requests = stream::iter(["a", "b"]).throttle(Duration::from_millis(1));
/// assert_eq!(block_on(requests.collect::<Vec<_>>()), ["a", "b"]);
/// # }
/// ```
pub trait StreamExt: Stream + Sized {
    /// Gives an error where an item takes longer than `duration`; see [`StreamTimeout`].
    ///
    /// ```
    /// # use moirai_timer_ext::StreamExt as _;
    /// # use futures_util::{StreamExt as _, stream};
    /// # use moirai_timer_std::block_on;
    /// # use std::{pin::pin, time::Duration};
    /// let mut silent = pin!(stream::pending::<()>().timeout(Duration::from_millis(1)));
    /// assert!(block_on(silent.next()).unwrap().is_err());
    /// ```
    #[cfg(feature = "std")]
    fn timeout(self, duration: Duration) -> StreamTimeout<Self, Timer> {
        self.timeout_on(Timer::global().clone(), duration)
    }

    /// Gives an item every `duration` at most; none is lost. See [`Throttle`].
    ///
    /// ```
    /// # use moirai_timer_ext::StreamExt as _;
    /// # use futures_util::{StreamExt as _, stream};
    /// # use moirai_timer_std::block_on;
    /// # use std::time::Duration;
    /// let slowly = stream::iter(0..3).throttle(Duration::from_millis(1));
    /// assert_eq!(block_on(slowly.collect::<Vec<_>>()), [0, 1, 2]);
    /// ```
    #[cfg(feature = "std")]
    fn throttle(self, duration: Duration) -> Throttle<Self, Timer> {
        self.throttle_on(Timer::global().clone(), duration)
    }

    /// Gives an item when no other has come for `duration`; see [`Debounce`].
    ///
    /// ```
    /// # use moirai_timer_ext::StreamExt as _;
    /// # use futures_util::{StreamExt as _, stream};
    /// # use moirai_timer_std::block_on;
    /// # use std::time::Duration;
    /// let last = stream::iter(0..3).debounce(Duration::from_millis(1));
    /// assert_eq!(block_on(last.collect::<Vec<_>>()), [2]);
    /// ```
    #[cfg(feature = "std")]
    fn debounce(self, duration: Duration) -> Debounce<Self, Timer> {
        self.debounce_on(Timer::global().clone(), duration)
    }

    /// Gives items by `count`, or as many as have come within `duration`; see [`ChunksTimeout`].
    ///
    /// # Panics
    /// If `count` is zero.
    ///
    /// ```
    /// # use moirai_timer_ext::StreamExt as _;
    /// # use futures_util::{StreamExt as _, stream};
    /// # use moirai_timer_std::block_on;
    /// # use std::time::Duration;
    /// let chunks = stream::iter(0..3).chunks_timeout(2, Duration::from_secs(60));
    /// assert_eq!(block_on(chunks.collect::<Vec<_>>()), [vec![0, 1], vec![2]]);
    /// ```
    #[cfg(feature = "std")]
    #[track_caller]
    fn chunks_timeout(self, count: usize, duration: Duration) -> ChunksTimeout<Self, Timer> {
        self.chunks_timeout_on(Timer::global().clone(), count, duration)
    }

    /// Gives an error where an item takes longer than `duration` by `timer`; see
    /// [`StreamTimeout`].
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::StreamExt as _;
    /// # use futures_util::{StreamExt as _, stream};
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let silent = stream::pending::<()>().timeout_on(Timer::new(), Duration::from_millis(1));
    /// let mut silent = std::pin::pin!(silent);
    /// assert!(block_on(silent.next()).unwrap().is_err());
    /// # }
    /// ```
    fn timeout_on<H: Handle>(self, timer: H, duration: Duration) -> StreamTimeout<Self, H> {
        StreamTimeout::new(self, timer, duration)
    }

    /// Gives an item every `duration` of `timer` at most; see [`Throttle`].
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::StreamExt as _;
    /// # use futures_util::{StreamExt as _, stream};
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let timer = Timer::new();
    /// let start = timer.now();
    /// let slow = stream::iter(0..3).throttle_on(timer.clone(), Duration::from_millis(1));
    /// assert_eq!(block_on(slow.collect::<Vec<_>>()), [0, 1, 2]);
    /// assert!(timer.now() - start >= Duration::from_millis(2));
    /// # }
    /// ```
    fn throttle_on<H: Handle>(self, timer: H, duration: Duration) -> Throttle<Self, H> {
        Throttle::new(self, timer, duration)
    }

    /// Gives an item when no other has come for `duration` by `timer`; see [`Debounce`].
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::StreamExt as _;
    /// # use futures_util::{StreamExt as _, stream};
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let last = stream::iter(0..3).debounce_on(Timer::new(), Duration::from_millis(1));
    /// assert_eq!(block_on(last.collect::<Vec<_>>()), [2]);
    /// # }
    /// ```
    fn debounce_on<H: Handle>(self, timer: H, duration: Duration) -> Debounce<Self, H> {
        Debounce::new(self, timer, duration)
    }

    /// Gives items by `count`, or as many as have come within `duration` of `timer`; see
    /// [`ChunksTimeout`].
    ///
    /// # Panics
    /// If `count` is zero.
    ///
    /// ```
    /// # #[cfg(feature = "std")] {
    /// # use moirai_timer_ext::StreamExt as _;
    /// # use futures_util::{StreamExt as _, stream};
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let chunks = stream::iter(0..3).chunks_timeout_on(Timer::new(), 2, Duration::from_secs(60));
    /// assert_eq!(block_on(chunks.collect::<Vec<_>>()), [vec![0, 1], vec![2]]);
    /// # }
    /// ```
    #[cfg(feature = "alloc")]
    #[track_caller]
    fn chunks_timeout_on<H: Handle>(
        self,
        timer: H,
        count: usize,
        duration: Duration,
    ) -> ChunksTimeout<Self, H> {
        ChunksTimeout::new(self, timer, count, duration)
    }
}

impl<S: Stream> StreamExt for S {}

//! Async timers for any executor: microseconds late, millions at once, and no runtime needed.
//!
//! ```
//! use moirai_timer_std::{block_on, sleep, timeout};
//! use std::time::Duration;
//!
//! block_on(async {
//!     sleep(Duration::from_millis(1)).await;
//!
//!     let slow = sleep(Duration::from_secs(3600));
//!     assert!(timeout(Duration::from_millis(1), slow).await.is_err());
//! });
//! ```
//!
//! Names follow `tokio::time`, and so do meanings where tokio has the thing. What differs:
//!
//! | | here |
//! |---|---|
//! | executor | any; futures may be polled and dropped on any thread, but not in a signal's handler |
//! | resolution | nanoseconds; lateness is that of the system's threads, see [`Precision`] |
//! | deadlines | [`std::time::Instant`] |
//! | missed ticks | skipped by default, see [`MissedTickBehavior`] |
//! | durations that overflow | wait for ever, and take no room |
//!
//! The functions of this crate use one timer for the whole process, [`Timer::global`]. Its thread
//! starts with the first sleep that has to wait, and causes no wake-up while nothing is due.
//!
//! With the feature `clocks` there are sleeps by the wall clock, and by the clock that counts suspends: the
//! module `clocks`.
//!
//! With the feature `test-util` there are timers on a virtual clock, for tests: the module `test`. With the
//! feature `stream`, an [`Interval`] is a `Stream`.
//!
//! # Seeing inside
//!
//! `Debug` says what a [`Sleep`] waits for and who drives a [`Timer`]; [`Timer::metrics`] counts, and can be
//! serialised with the feature `serde`. With the feature `tracing`, a timer tells the crate of that
//! name, under the target `moirai_timer`, with the name of its thread in the field `timer`:
//!
//! | level | what happened | fields |
//! |---|---|---|
//! | `ERROR` | the thread could not be started | `times`, `error` |
//! | `WARN` | a waker panicked | `said`, if it was a text |
//! | `WARN` | a sleep found no slot, and polls itself | `times`, `shard`, `slots`, `shut_down` |
//! | `DEBUG` | the thread started, or ended | |
//! | `DEBUG` | the pool grew | `shard`, `slots` |
//! | `DEBUG` | the timer was shut down | |
//! | `TRACE` | a span `turn`, in which wakers are called, of a timer on the system's clock | `fired`, `next_in` |
//!
//! What has `times` can happen over and over, and is told at the 1st, 2nd, 4th, 8th .. time. Arming and
//! cancelling emit no events.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod block_on;
mod builder;
mod clock;
#[cfg(feature = "clocks")]
pub mod clocks;
mod contain;
mod fork;
mod lateness;
mod memory;
mod metrics;
mod parker;
mod precision;
#[cfg(all(test, shuttle))]
mod schedules;
mod shards;
mod sys;
#[cfg(feature = "test-util")]
pub mod test;
mod timer;
mod trace;
#[cfg(all(test, not(shuttle)))]
mod wheel_agrees;

use std::time::{Duration, Instant};

pub use builder::Builder;
pub use lateness::Lateness;
pub use metrics::Metrics;
pub use moirai_timer_core::{Elapsed, MissedTickBehavior, RegisterError};
pub use precision::Precision;
pub use timer::Timer;

/// Completes when its deadline is reached, never before; made by [`sleep`] and its relatives.
///
/// ```
/// use moirai_timer_std::{Sleep, block_on, sleep};
/// use std::time::Duration;
///
/// /// Ends when nothing was heard for a while.
/// struct Watchdog {
///     silence: Sleep,
/// }
///
/// let mut dog = Watchdog { silence: sleep(Duration::from_secs(60)) };
/// dog.silence.reset_after(Duration::from_millis(1));
/// block_on(&mut dog.silence);
/// assert!(dog.silence.is_elapsed());
/// ```
pub type Sleep = moirai_timer_core::Sleep<Timer>;
/// A future with a deadline; made by [`timeout`].
///
/// ```
/// use moirai_timer_std::{Timeout, block_on, timeout};
/// use std::{future::{Ready, ready}, time::Duration};
///
/// let request: Timeout<Ready<u32>> = timeout(Duration::from_secs(5), ready(42));
/// assert_eq!(block_on(request), Ok(42));
/// ```
pub type Timeout<F> = moirai_timer_core::Timeout<F, Timer>;
/// A tick every period; made by [`interval`].
///
/// ```
/// use moirai_timer_std::{Interval, block_on, interval};
/// use std::time::Duration;
///
/// struct Heartbeat {
///     beats: Interval,
/// }
///
/// let mut heart = Heartbeat { beats: interval(Duration::from_millis(1)) };
/// let first = block_on(heart.beats.tick());
/// assert!(block_on(heart.beats.tick()) > first);
/// ```
pub type Interval = moirai_timer_core::Interval<Timer>;

/// Waits for `duration`, counted from this call; for ever, if that is beyond the clock's range.
///
/// Zero is ready at the first poll.
///
/// ```
/// # use moirai_timer_std::{block_on, sleep};
/// # use std::time::Duration;
/// block_on(async {
///     let mut pause = sleep(Duration::from_secs(3600));
///     pause.reset_after(Duration::from_millis(1)); // not so long
///     pause.await;
/// });
/// ```
#[inline]
pub fn sleep(duration: Duration) -> Sleep {
    Timer::global().sleep(duration)
}

/// Waits until `deadline`; ready at the first poll if that is past.
///
/// ```
/// # use moirai_timer_std::{block_on, sleep_until};
/// # use std::time::{Duration, Instant};
/// let deadline = Instant::now() + Duration::from_millis(1);
/// block_on(sleep_until(deadline));
/// assert!(Instant::now() >= deadline);
/// ```
#[inline]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Timer::global().sleep_until(deadline)
}

/// Runs `future` for `duration` at most.
///
/// ```
/// # use moirai_timer_std::{block_on, timeout};
/// # use std::time::Duration;
/// let answer = block_on(timeout(Duration::from_secs(5), async { 42 }));
/// assert_eq!(answer, Ok(42));
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timer::global().timeout(duration, future)
}

/// Runs `future` until `deadline` at most.
///
/// ```
/// # use moirai_timer_std::{block_on, timeout_at};
/// # use std::{future::pending, time::{Duration, Instant}};
/// // One deadline for two steps.
/// let deadline = Instant::now() + Duration::from_millis(2);
/// block_on(async {
///     assert_eq!(timeout_at(deadline, async { 42 }).await, Ok(42));
///     assert!(timeout_at(deadline, pending::<()>()).await.is_err());
/// });
/// ```
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timer::global().timeout_at(deadline, future)
}

/// Ticks every `period`, for the first time at once.
///
/// # Panics
/// If `period` is zero.
///
/// ```
/// # use moirai_timer_std::{block_on, interval};
/// # use std::time::Duration;
/// block_on(async {
///     let mut ticks = interval(Duration::from_millis(1));
///     let first = ticks.tick().await;
///     // On schedule: a period later, or several whole ones if this thread was held up.
///     let later = ticks.tick().await - first;
///     assert!(later.as_millis() >= 1 && later.subsec_nanos() % 1_000_000 == 0);
/// });
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    Timer::global().interval(period)
}

/// Ticks every `period`, for the first time at `start`.
///
/// # Panics
/// If `period` is zero.
///
/// ```
/// # use moirai_timer_std::{block_on, interval_at};
/// # use std::time::{Duration, Instant};
/// // The first tick after a period, not at once.
/// let ms = Duration::from_millis(1);
/// let start = Instant::now() + ms;
/// let mut ticks = interval_at(start, ms);
/// assert_eq!(block_on(ticks.tick()), start);
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    Timer::global().interval_at(start, period)
}

/// Runs a future on this thread, which sleeps while there is nothing to do.
///
/// It drives the [global timer](Timer::global) alone. A sleep of a timer that has neither a thread nor anybody
/// who turns it would wait for ever: see [`Timer::block_on`].
///
/// ```
/// # use moirai_timer_std::{block_on, sleep};
/// # use std::time::Duration;
/// let answer = block_on(async {
///     sleep(Duration::from_millis(1)).await;
///     42
/// });
/// assert_eq!(answer, 42);
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    Timer::global().block_on(future)
}

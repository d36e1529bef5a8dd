//! Async timers where there is no thread to sleep: in browsers, in their workers, in Node and Deno.
//!
//! ```no_run
//! use moirai_timer_wasm::{sleep, timeout};
//! use std::time::Duration;
//! # async fn fetch() {}
//!
//! # async fn example() {
//! sleep(Duration::from_millis(20)).await;
//!
//! if timeout(Duration::from_secs(5), fetch()).await.is_err() {
//!     // Too slow.
//! }
//! # }
//! ```
//!
//! For `wasm32-unknown-unknown` with [`wasm-bindgen`](wasm_bindgen). Names and meanings are those of
//! `tokio::time`, and the futures run on any executor, such as `wasm-bindgen-futures`. The functions of
//! this crate use one timer, that of the page or worker. It has one `setTimeout` at most, for the
//! earliest deadline, however many sleeps wait; with nothing armed, none.
//!
//! | file | what it does |
//! |---|---|
//! | `timer` | the handle that programs hold |
//! | `event_loop` | the driver: `setTimeout`, and turns that are to come soon |
//! | `clock` | nanoseconds of `performance.now()` |
//! | `memory` | room for as many sleeps as there is memory |
//!
//! # What time it is
//!
//! Deadlines are [`Instant`]s of the crate `web-time`, read from `performance.now()`: monotonic, and made
//! coarse by browsers, to 5 us where the page is isolated from other origins, to 100 us where not, and to as much as
//! 100 ms in modes that resist fingerprinting. A sleep never ends early by that clock. Whether the clock
//! counts the time of a suspend differs between browsers.
//!
//! # How late
//!
//! `setTimeout` counts milliseconds, so a sleep ends up to one late, and later if the event loop is
//! busy. What browsers add:
//!
//! | | here |
//! |---|---|
//! | timeouts that are set within the fifth of a row of timeouts take 4 ms at least | does not apply: such a row is broken, by a message from the timer to itself |
//! | more than 2^31 - 1 ms is taken for zero | waits in steps of that, 24 days |
//! | pages in the background get a timeout a second, some a minute | applies: use a worker |
//!
//! # Threads
//!
//! A program without shared memory has one thread, and its sleeps are `Send` and `Sync`, as many
//! libraries want them. With shared memory (the target feature `atomics`) each worker has a timer of
//! its own, and they are neither.
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

mod clock;
mod event_loop;
mod memory;
mod timer;

use std::time::Duration;

pub use moirai_timer_core::{Elapsed, Metrics, MissedTickBehavior, RegisterError};
pub use timer::Timer;
pub use web_time::Instant;

/// Completes when its deadline is reached, never before; made by [`sleep`] and its relatives.
///
/// ```no_run
/// use moirai_timer_wasm::{Sleep, sleep};
/// use std::time::Duration;
///
/// /// Saves a text when nobody has typed for a second.
/// struct Autosave {
///     pause: Sleep,
/// }
///
/// impl Autosave {
///     fn new() -> Self {
///         Autosave { pause: sleep(Duration::from_secs(1)) }
///     }
///
///     fn typed(&mut self) {
///         self.pause.reset_after(Duration::from_secs(1));
///     }
///
///     async fn save(&mut self) {
///         (&mut self.pause).await;
///         // ..
///     }
/// }
/// ```
pub type Sleep = moirai_timer_core::Sleep<Timer>;
/// A future with a deadline; made by [`timeout`].
///
/// ```no_run
/// use moirai_timer_wasm::{Timeout, timeout};
/// use std::{future::{Ready, ready}, time::Duration};
///
/// let answer: Timeout<Ready<u32>> = timeout(Duration::from_secs(5), ready(42));
/// ```
pub type Timeout<F> = moirai_timer_core::Timeout<F, Timer>;
/// A tick every period; made by [`interval`].
///
/// ```no_run
/// use moirai_timer_wasm::{Interval, interval};
/// use std::time::Duration;
///
/// struct Clock {
///     ticks: Interval,
/// }
///
/// let clock = Clock { ticks: interval(Duration::from_secs(1)) };
/// ```
pub type Interval = moirai_timer_core::Interval<Timer>;

/// Waits for `duration`, counted from this call; for ever, if that is beyond the clock's range.
///
/// Zero is ready at the first poll.
///
/// ```no_run
/// # use moirai_timer_wasm::{Instant, sleep};
/// # use std::time::Duration;
/// # async fn example() {
/// let start = Instant::now();
/// sleep(Duration::from_millis(20)).await;
/// assert!(start.elapsed() >= Duration::from_millis(20));
/// # }
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    Timer::global().sleep(duration)
}

/// Waits until `deadline`; ready at the first poll if that is past.
///
/// ```no_run
/// # use moirai_timer_wasm::{Instant, sleep_until};
/// # use std::time::Duration;
/// # async fn example() {
/// let deadline = Instant::now() + Duration::from_millis(20);
/// sleep_until(deadline).await;
/// assert!(Instant::now() >= deadline);
/// # }
/// ```
pub fn sleep_until(deadline: Instant) -> Sleep {
    Timer::global().sleep_until(deadline)
}

/// Runs `future` for `duration` at most.
///
/// ```no_run
/// # use moirai_timer_wasm::timeout;
/// # use std::{future::pending, time::Duration};
/// # async fn example() {
/// assert_eq!(timeout(Duration::from_secs(5), async { 42 }).await, Ok(42));
/// assert!(timeout(Duration::from_millis(1), pending::<()>()).await.is_err());
/// # }
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timer::global().timeout(duration, future)
}

/// Runs `future` until `deadline` at most.
///
/// ```no_run
/// # use moirai_timer_wasm::{Instant, timeout_at};
/// # use std::{future::pending, time::Duration};
/// # async fn example() {
/// // One deadline for two steps.
/// let deadline = Instant::now() + Duration::from_millis(20);
/// assert_eq!(timeout_at(deadline, async { 42 }).await, Ok(42));
/// assert!(timeout_at(deadline, pending::<()>()).await.is_err());
/// # }
/// ```
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timer::global().timeout_at(deadline, future)
}

/// Ticks every `period`, for the first time at once.
///
/// # Panics
/// If `period` is zero.
///
/// ```no_run
/// # use moirai_timer_wasm::interval;
/// # use std::time::Duration;
/// # async fn example() {
/// let mut ticks = interval(Duration::from_secs(1));
/// let first = ticks.tick().await;
/// assert_eq!(ticks.tick().await - first, Duration::from_secs(1));
/// # }
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
/// ```no_run
/// # use moirai_timer_wasm::{Instant, interval_at};
/// # use std::time::Duration;
/// # async fn example() {
/// // The first tick after a period, not at once.
/// let second = Duration::from_secs(1);
/// let start = Instant::now() + second;
/// assert_eq!(interval_at(start, second).tick().await, start);
/// # }
/// ```
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    Timer::global().interval_at(start, period)
}

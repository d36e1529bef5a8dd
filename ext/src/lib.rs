//! Time around futures and streams: what is built from sleeps.
//!
//! ```
//! # #[cfg(feature = "std")] {
//! use moirai_timer_ext::FutureExt;
//! use moirai_timer_std::block_on;
//! use std::time::Duration;
//!
//! let answer = block_on(async { 42 }.timeout(Duration::from_secs(5)));
//! assert_eq!(answer, Ok(42));
//! # }
//! ```
//!
//! | | needs |
//! |---|---|
//! | [`FutureExt`]: `timeout`, `timeout_at`, `delay` | nothing with a given timer (`.._on`), `std` for the global one |
//! | [`StreamExt`]: `timeout`, `throttle`, `debounce` | as above |
//! | [`StreamExt`]: `chunks_timeout` | `alloc` |
//! | [`Deadline`] | nothing |
//! | `DelayQueue` | `alloc` |
//! | `CallbackTimer`, `spawn_after` | `std` |
//! | `interop`: the timer traits of hyper, quinn, and others | a feature each, and `std` |
//! | `MetricsExporter` | `metrics` |
//!
//! A timer that is given is anything that implements [`Handle`](moirai_timer_core::Handle): a
//! `moirai_timer_std::Timer`, or a reference to a timer on firmware.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
mod callback;
mod deadline;
#[cfg(feature = "alloc")]
mod delay_queue;
#[cfg(feature = "metrics")]
mod exporter;
mod future;
#[cfg(feature = "std")]
pub mod interop;
mod stream;

#[cfg(feature = "std")]
pub use callback::{CallbackHandle, CallbackTimer, spawn_after};
pub use deadline::Deadline;
#[cfg(feature = "alloc")]
pub use delay_queue::{DelayQueue, Expired, Key, KeyError};
#[cfg(feature = "metrics")]
pub use exporter::MetricsExporter;
pub use future::{Delay, FutureExt};
pub use moirai_timer_core::{Elapsed, Timeout};
#[cfg(feature = "alloc")]
pub use stream::ChunksTimeout;
pub use stream::{Debounce, StreamExt, StreamTimeout, Throttle};

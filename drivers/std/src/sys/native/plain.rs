//! Systems on which there is nothing special to be done.

#[cfg(feature = "clocks")]
mod clocks;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

#[cfg(feature = "clocks")]
pub(crate) use clocks::{ClockChanges, boot_time};

/// This clock does not lag.
pub(crate) const COARSE_LAG: u64 = 0;

/// Nanoseconds since a point before the first use.
pub(crate) fn now_nanos() -> u64 {
    /// A minute back, if there was one, so that instants from before the first use have a number.
    static ZERO: LazyLock<Instant> = LazyLock::new(|| {
        let now = Instant::now();
        now.checked_sub(Duration::from_secs(60)).unwrap_or(now)
    });
    ZERO.elapsed().as_nanos() as u64
}

/// The same.
pub(crate) fn coarse_nanos() -> u64 {
    now_nanos()
}

/// There is no slack to be set.
pub(crate) fn minimise_timer_slack() {}

/// A forked child's thread has its process's name.
pub(crate) fn name_thread(_name: String) {}

/// Nobody is asked.
pub(crate) fn processor() -> Option<u32> {
    None
}

/// The system finds memory when it is used.
pub(crate) const POPULATES: bool = false;

/// Does nothing.
pub(crate) fn populate(_start: *mut u8, _len: usize) {}

/// Does nothing.
pub(crate) fn no_large_pages(_start: *mut u8, _len: usize) {}

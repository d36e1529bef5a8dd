//! What differs between operating systems. Nothing outside this module knows which one it is on.
//!
//! | | Linux, Android | other Unix | elsewhere |
//! |---|---|---|---|
//! | timer slack | set to the least | has none | has none |
//! | a cheap clock that lags | `CLOCK_MONOTONIC_COARSE` | the clock | the clock |
//! | `fork` | noticed | noticed | does not exist |
//! | feature `clocks`: the wall clock was set | a `timerfd` tells | nobody tells | nobody tells |
//! | .. a clock that counts suspends | `CLOCK_BOOTTIME` | Apple's; elsewhere the clock | the clock |
//!
//! Under `cfg(all(test, shuttle))` there is none of them, but a random schedule; see `shuttle.rs`.

#[cfg(all(test, shuttle))]
mod shuttle;
#[cfg(all(test, shuttle))]
pub(crate) use shuttle::*;

#[cfg(not(all(test, shuttle)))]
mod threads;
#[cfg(not(all(test, shuttle)))]
pub(crate) use threads::{spin_loop, sync, thread, thread_number};

#[cfg(all(not(all(test, shuttle)), any(target_os = "linux", target_os = "android")))]
mod linux;
#[cfg(all(not(all(test, shuttle)), any(target_os = "linux", target_os = "android")))]
pub(crate) use linux::{COARSE_LAG, coarse_nanos, minimise_timer_slack, now_nanos};

#[cfg(all(not(all(test, shuttle)), not(any(target_os = "linux", target_os = "android"))))]
mod plain;
#[cfg(all(not(all(test, shuttle)), not(any(target_os = "linux", target_os = "android"))))]
pub(crate) use plain::{COARSE_LAG, coarse_nanos, minimise_timer_slack, now_nanos};

#[cfg(all(not(all(test, shuttle)), unix))]
mod fork;
#[cfg(all(not(all(test, shuttle)), unix))]
pub(crate) use fork::on_fork;

/// Calls `prepare` before every `fork`, `parent` and `child` after it. Call it once.
#[cfg(all(not(all(test, shuttle)), not(unix)))]
pub(crate) fn on_fork(
    _prepare: extern "C" fn(),
    _parent: extern "C" fn(),
    _child: extern "C" fn(),
) {
}

#[cfg(all(feature = "clocks", any(target_os = "linux", target_os = "android")))]
mod linux_clocks;
#[cfg(all(feature = "clocks", any(target_os = "linux", target_os = "android")))]
pub(crate) use linux_clocks::{ClockChanges, boot_time};

#[cfg(all(feature = "clocks", not(any(target_os = "linux", target_os = "android"))))]
mod plain_clocks;
#[cfg(all(feature = "clocks", not(any(target_os = "linux", target_os = "android"))))]
pub(crate) use plain_clocks::{ClockChanges, boot_time};

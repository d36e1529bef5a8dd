//! What differs between operating systems. Nothing outside this module knows which one it is on.
//!
//! | | Linux | other Unix | elsewhere |
//! |---|---|---|---|
//! | timer slack | set to the least | has none | has none |
//! | a cheap clock that lags | `CLOCK_MONOTONIC_COARSE` | the clock | the clock |
//! | `fork` | noticed | noticed | does not exist |
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

#[cfg(all(not(all(test, shuttle)), target_os = "linux"))]
mod linux;
#[cfg(all(not(all(test, shuttle)), target_os = "linux"))]
pub(crate) use linux::{COARSE_LAG, coarse_nanos, minimise_timer_slack, now_nanos};

#[cfg(all(not(all(test, shuttle)), not(target_os = "linux")))]
mod plain;
#[cfg(all(not(all(test, shuttle)), not(target_os = "linux")))]
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

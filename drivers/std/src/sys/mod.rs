//! What differs between operating systems. Nothing outside this module knows which one it is on.
//!
//! | | Linux | other Unix | elsewhere |
//! |---|---|---|---|
//! | timer slack | set to the least | has none | has none |
//! | a cheap clock that lags | `CLOCK_MONOTONIC_COARSE` | the clock | the clock |
//! | large pages | asked for | the system's choice | the system's choice |
//! | `fork` | noticed | noticed | does not exist |

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{
    COARSE_LAG, coarse_nanos, minimise_timer_slack, now_nanos, prefer_large_pages,
};

#[cfg(not(target_os = "linux"))]
mod plain;
#[cfg(not(target_os = "linux"))]
pub(crate) use plain::{
    COARSE_LAG, coarse_nanos, minimise_timer_slack, now_nanos, prefer_large_pages,
};

#[cfg(unix)]
mod fork;
#[cfg(unix)]
pub(crate) use fork::on_fork;

/// Calls `prepare` before every `fork`, `parent` and `child` after it. Call it once.
#[cfg(not(unix))]
pub(crate) fn on_fork(
    _prepare: extern "C" fn(),
    _parent: extern "C" fn(),
    _child: extern "C" fn(),
) {
}

//! The system that the program runs on.
//!
//! | | Linux, Android | other Unix | elsewhere |
//! |---|---|---|---|
//! | timer slack | set to the least | has none | has none |
//! | memory that will be used soon | found beforehand | when it is used | when it is used |
//! | a cheap clock that lags | `CLOCK_MONOTONIC_COARSE` | the clock | the clock |
//! | `fork` | noticed | noticed | does not exist |
//! | .. the name of a child's thread | set | the process's | |
//! | feature `clocks`: the wall clock was set | a `timerfd` tells | nobody tells | nobody tells |
//! | .. a clock that counts suspends | `CLOCK_BOOTTIME` | Apple's; elsewhere the clock | the clock |

mod threads;
pub(crate) use threads::{spin_loop, start_thread, sync, thread, thread_number};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(any(target_os = "linux", target_os = "android"))]
use linux as system;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod plain;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use plain as system;

pub(crate) use system::{
    COARSE_LAG, POPULATES, coarse_nanos, minimise_timer_slack, no_large_pages, now_nanos, populate,
    processor,
};
#[cfg(feature = "clocks")]
pub(crate) use system::{ClockChanges, boot_time};

#[cfg(unix)]
mod fork;
#[cfg(not(unix))]
#[path = "no_fork.rs"]
mod fork;

pub(crate) use fork::on_fork;

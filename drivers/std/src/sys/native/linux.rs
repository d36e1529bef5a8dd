//! Linux and Android: the coarse clock, and the slack of timers.

#[cfg(feature = "clocks")]
mod clocks;

use std::ffi::CString;

#[cfg(feature = "clocks")]
pub(crate) use clocks::{ClockChanges, boot_time};

/// The coarse clock is behind the precise one by less than this. It advances with the kernel's
/// tick, every 1 to 10 ms; ten times the longest leaves room for a tick that is late, where a hypervisor
/// has taken away the processor that keeps the time. If it is later than that, a sleep that is due is woken
/// again and again until the clock has caught up.
pub(crate) const COARSE_LAG: u64 = 100_000_000;

/// Nanoseconds of the monotonic clock, the one that [`Instant`](std::time::Instant) shows.
#[inline]
pub(crate) fn now_nanos() -> u64 {
    nanos(libc::CLOCK_MONOTONIC)
}

/// The same, at most [`COARSE_LAG`] ago. A third of the cost, because it does not read the
/// hardware.
#[inline]
pub(crate) fn coarse_nanos() -> u64 {
    nanos(libc::CLOCK_MONOTONIC_COARSE)
}

#[inline]
fn nanos(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the result. It cannot fail: every Linux that Rust
    // supports has both clocks.
    unsafe { libc::clock_gettime(clock, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Asks the kernel to wake this thread as near to its timeouts as it can. By default it may be
/// 50 us late, to save wake-ups (prctl(2), `PR_SET_TIMERSLACK`).
pub(crate) fn minimise_timer_slack() {
    // SAFETY: this option takes one number, which is valid. It cannot fail; if it did, timers
    // would be less precise.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// Gives this thread a name, of which the first 15 bytes are kept.
pub(crate) fn name_thread(name: String) {
    let Ok(name) = CString::new(name) else { return };
    // SAFETY: this option takes a string, which is valid until the call returns.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

//! Systems that tell nobody when the wall clock was set. Feature `clocks`.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

/// Time since some moment, suspends included: this clock goes on through them, and
/// [`Instant`](std::time::Instant) does not.
#[cfg(target_vendor = "apple")]
pub(crate) fn boot_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Time since some moment. Whether suspends are counted is up to the system's
/// [`Instant`](std::time::Instant); that of Windows does.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn boot_time() -> Duration {
    Duration::from_nanos(super::now_nanos())
}

/// Can't be had.
#[derive(Debug)]
pub(crate) struct ClockChanges(Infallible);

impl ClockChanges {
    /// Fails.
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        match self.0 {}
    }
}

//! Linux and Android: the clock that counts suspends, and news of the wall clock being set. Feature `clocks`.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::{Errno, read};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// Time since the system was started, suspends included.
pub(crate) fn boot_time() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.max(0).cast_unsigned(), now.tv_nsec as u32)
}

/// A timer on the wall clock that never expires, but is cancelled whenever that clock jumps: when it
/// is set, and when the machine wakes from a suspend (timerfd_create(2), `TFD_TIMER_CANCEL_ON_SET`).
#[derive(Debug)]
pub(crate) struct ClockChanges(OwnedFd);

impl ClockChanges {
    /// From its return on, no change is missed.
    pub(crate) fn new() -> io::Result<Self> {
        let changes =
            ClockChanges(timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC)?);
        changes.arm(i64::MAX)?;
        Ok(changes)
    }

    /// Waits for a change; those that come after its return are for the next call. May return without
    /// one.
    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut expirations = [0; 8];
        match read(&self.0, &mut expirations) {
            Ok(_) | Err(Errno::CANCELED) => self.arm(i64::MAX),
            Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn arm(&self, seconds: i64) -> io::Result<()> {
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let at = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        match timerfd_settime(&self.0, flags, &Itimerspec { it_interval: zero, it_value: at }) {
            // The clock was set since it was armed last. It is armed all the same.
            Ok(_) | Err(Errno::CANCELED) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_ends_the_wait() {
        // Setting the clock is not for tests; a timer that expires ends the wait in the same way.
        let changes = ClockChanges::new().expect("the kernel has timers");
        for _ in 0..3 {
            changes.arm(1).expect("it is armed");
            changes.wait().expect("1970 is past");
        }
        let left = rustix::time::timerfd_gettime(&changes.0).expect("it can be read");
        assert!(left.it_value.tv_sec > 1 << 32, "armed again, for ever: {left:?}");
    }

    #[test]
    fn boot_time_is_not_behind_the_monotonic_clock() {
        let monotonic = clock_gettime(ClockId::Monotonic);
        assert!(boot_time().as_secs() >= monotonic.tv_sec as u64);
    }
}

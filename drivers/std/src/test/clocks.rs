//! The wall clock and the boot clock of virtual time. They go on with the virtual clock, and jump when
//! they are told to.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use moirai_timer_core::Ticks;

use super::VirtualClock;
use super::time::elapsed;
use crate::clocks::{BootInstant, Changes};

/// What virtual wall clocks show at first: the year 2000 begins, at Greenwich. Always, so that each
/// run is like the other.
const START: Duration = Duration::from_secs(946_684_800);

#[derive(Debug)]
pub(crate) struct VirtualClocks {
    state: Mutex<State>,
    pub(crate) changes: Changes,
}

#[derive(Debug)]
struct State {
    /// What the wall clock was set to, and how far the virtual clock was then.
    set: (SystemTime, Duration),
    /// Time in suspends.
    suspended: Duration,
}

impl VirtualClocks {
    pub(super) fn new() -> Self {
        let set = (SystemTime::UNIX_EPOCH + START, Duration::ZERO);
        let state = Mutex::new(State { set, suspended: Duration::ZERO });
        VirtualClocks { state, changes: Changes::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn system(&self, now: Ticks) -> SystemTime {
        let (at, then) = self.state().set;
        // Whoever read `now` may have been overtaken by one who moved the clock, and set the other.
        let since = elapsed(now).saturating_sub(then);
        at.checked_add(since).expect("the wall clock was set to less than this before its end")
    }

    pub(crate) fn boot(&self, now: Ticks) -> BootInstant {
        BootInstant(elapsed(now) + self.state().suspended)
    }
}

/// Feature `clocks`.
impl VirtualClock {
    /// Sets the wall clock, forward or back, and waits until the tracked tasks rest that this woke.
    ///
    /// It begins with the year 2000, UTC, and goes on with the virtual clock.
    ///
    /// ```
    /// use moirai_timer_std::block_on;
    /// use moirai_timer_std::test::VirtualClock;
    /// use std::time::Duration;
    ///
    /// let clock = VirtualClock::new();
    /// let timer = clock.timer();
    /// let noon = timer.system_now() + Duration::from_secs(12 * 3600);
    /// let task = std::thread::spawn({
    ///     let lunch = clock.track(timer.sleep_until_system(noon));
    ///     move || block_on(lunch)
    /// });
    /// block_on(async {
    ///     clock.set_system_time(noon - Duration::from_secs(60)).await;
    ///     assert!(!task.is_finished());
    ///     clock.advance(Duration::from_secs(60)).await;
    /// });
    /// task.join().unwrap();
    /// ```
    ///
    /// # Panics
    /// In a task that this clock tracks.
    pub async fn set_system_time(&self, to: SystemTime) {
        self.settled().await;
        let clocks = &self.time.clocks;
        clocks.state().set = (to, self.elapsed());
        clocks.changes.tell();
        self.settled().await;
    }

    /// Suspends the machine for `duration`: the wall clock and the boot clock go on, the virtual clock
    /// stands. Then waits until the tracked tasks rest that this woke.
    ///
    /// ```
    /// # use moirai_timer_std::block_on;
    /// # use moirai_timer_std::test::VirtualClock;
    /// # use std::time::Duration;
    /// let clock = VirtualClock::new();
    /// let (timer, before) = (clock.timer(), clock.timer().boot_now());
    /// block_on(clock.suspend(Duration::from_secs(3600)));
    /// assert_eq!(timer.boot_now() - before, Duration::from_secs(3600));
    /// assert_eq!(clock.elapsed(), Duration::ZERO);
    /// ```
    ///
    /// # Panics
    /// In a task that this clock tracks; or if the wall clock goes beyond the end of [`SystemTime`].
    pub async fn suspend(&self, duration: Duration) {
        self.settled().await;
        let clocks = &self.time.clocks;
        {
            let mut state = clocks.state();
            state.set.0 += duration;
            state.suspended += duration;
        }
        clocks.changes.tell();
        self.settled().await;
    }
}

//! Sleeps by other clocks than the monotonic one: the wall clock, and the one that counts suspends.
//! Feature `clocks`.
//!
//! | clock | a second of it | deadline | sleep |
//! |---|---|---|---|
//! | monotonic | while the machine is awake (on Linux and macOS) | [`Instant`](std::time::Instant) | [`sleep_until`](crate::sleep_until) |
//! | boot | awake or suspended | [`BootInstant`] | [`sleep_until_boot`] |
//! | wall | whatever people and time servers make of it | [`SystemTime`] | [`sleep_until_system`] |
//!
//! A timeout that guards work of this machine's wants the monotonic clock: no time passes for that
//! work while the machine is suspended. A lease or a token that others count wants the boot clock. "At
//! three o'clock" wants the wall clock.
//!
//! ```
//! use moirai_timer_std::block_on;
//! use moirai_timer_std::clocks::sleep_until_system;
//! use std::time::{Duration, SystemTime};
//!
//! let soon = SystemTime::now() + Duration::from_millis(1);
//! block_on(sleep_until_system(soon));
//! assert!(SystemTime::now() >= soon);
//! ```
//!
//! # When a clock jumps
//!
//! A sleep is on its timer's monotonic clock for as long as its own clock has to go. When a clock is
//! set, or the machine wakes from a suspend, that has changed, and all such sleeps are woken to look
//! again. On Linux and Android the kernel tells, and they are on time to the microseconds in which a
//! thread is woken. Elsewhere, and where the kernel refuses, they look again every [`RECHECK`], and are up
//! to that late after a jump. Without a jump they are as punctual as any sleep, everywhere.
//!
//! The machine is not woken from its suspend.
//!
//! # Cost
//!
//! A sleep is polled with two more readings of a clock and a short lock. The first that waits starts
//! a thread, which stays, blocked until a clock jumps.
//!
//! # In virtual time
//!
//! With the feature `test-util`, the timer of a
#![cfg_attr(feature = "test-util", doc = " [`VirtualClock`](crate::test::VirtualClock)")]
#![cfg_attr(not(feature = "test-util"), doc = " `VirtualClock`")]
//! has a wall clock and a boot clock of its own, which tests can have jump. Programs ask
//! [`Timer::system_now`] and [`Timer::boot_now`] for the time then.

mod changes;

use std::fmt;
use std::future::Future;
use std::ops::{Add, Sub};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use crate::clock::Clock;
use crate::{Sleep, Timer, sys};

pub(crate) use changes::{Changes, Held, hold};
use changes::{Place, of_the_system, so_far};

/// How late a sleep may be after its clock has jumped, where nobody tells: it looks so often.
///
/// ```
/// # use std::time::Duration;
/// use moirai_timer_std::clocks::RECHECK;
///
/// // A change of the wall clock is noticed this late at most, anywhere.
/// assert!(RECHECK <= Duration::from_secs(60));
/// ```
pub const RECHECK: Duration = Duration::from_secs(1);

/// Waits until the wall clock shows `deadline`, whatever happens to that clock meanwhile; ready at
/// the first poll if it does already.
///
/// ```
/// # use moirai_timer_std::block_on;
/// # use moirai_timer_std::clocks::sleep_until_system;
/// # use std::time::{Duration, SystemTime};
/// let mut alarm = sleep_until_system(SystemTime::now() + Duration::from_secs(3600));
/// alarm.reset(SystemTime::now()); // not so late
/// block_on(alarm);
/// ```
pub fn sleep_until_system(deadline: SystemTime) -> SystemSleep {
    Timer::global().sleep_until_system(deadline)
}

/// Waits until `deadline` on the clock that counts suspends; ready at the first poll if that is past.
///
/// ```
/// use moirai_timer_std::block_on;
/// use moirai_timer_std::clocks::{BootInstant, sleep_until_boot};
/// use std::time::Duration;
///
/// let end = BootInstant::now() + Duration::from_millis(1);
/// block_on(sleep_until_boot(end));
/// assert!(BootInstant::now() >= end);
/// ```
pub fn sleep_until_boot(deadline: BootInstant) -> BootSleep {
    Timer::global().sleep_until_boot(deadline)
}

/// A moment on the clock that runs since the system was started, also while it is suspended. Linux has
/// `CLOCK_BOOTTIME`, Apple's systems `CLOCK_MONOTONIC_RAW`. Elsewhere it is
/// [`Instant`](std::time::Instant)'s, which runs through suspends on Windows.
///
/// Never goes back. Not to be compared with that of another machine, or of another time namespace.
///
/// ```
/// use moirai_timer_std::clocks::BootInstant;
/// use std::time::Duration;
///
/// let granted = BootInstant::now();
/// let ends = granted.checked_add(Duration::from_secs(30)).unwrap();
/// assert_eq!(ends - granted, Duration::from_secs(30));
/// assert_eq!(ends.since_boot(), granted.since_boot() + Duration::from_secs(30));
/// assert_eq!(ends.checked_add(Duration::MAX), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootInstant(pub(crate) Duration);

impl BootInstant {
    /// The present.
    pub fn now() -> BootInstant {
        BootInstant(sys::boot_time())
    }

    /// What the clock shows: on Linux, the value of `CLOCK_BOOTTIME`.
    pub fn since_boot(self) -> Duration {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not.
    ///
    /// ```
    /// # use moirai_timer_std::clocks::BootInstant;
    /// # use std::time::Duration;
    /// let now = BootInstant::now();
    /// let lease = now + Duration::from_secs(30);
    /// assert_eq!(lease.saturating_duration_since(now), Duration::from_secs(30));
    /// assert_eq!(now.saturating_duration_since(lease), Duration::ZERO);
    /// ```
    pub fn saturating_duration_since(self, earlier: BootInstant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// So much later; `None` if that is beyond 500 thousand million years.
    pub fn checked_add(self, duration: Duration) -> Option<BootInstant> {
        self.0.checked_add(duration).map(BootInstant)
    }
}

/// So much later; saturates.
impl Add<Duration> for BootInstant {
    type Output = BootInstant;

    fn add(self, duration: Duration) -> BootInstant {
        BootInstant(self.0.saturating_add(duration))
    }
}

/// How long after another it is; zero if it is not.
impl Sub for BootInstant {
    type Output = Duration;

    fn sub(self, earlier: BootInstant) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

mod sealed {
    use std::time::Duration;

    /// A moment on a clock that a timer knows.
    pub trait Moment: Copy + std::fmt::Debug + Unpin {
        fn now(timer: &crate::Timer) -> Self;
        // How long after `now`; zero if it is not.
        fn after(self, now: Self) -> Duration;
    }
}
use sealed::Moment;

impl Moment for SystemTime {
    fn now(timer: &Timer) -> SystemTime {
        timer.system_now()
    }

    fn after(self, now: SystemTime) -> Duration {
        self.duration_since(now).unwrap_or_default()
    }
}

impl Moment for BootInstant {
    fn now(timer: &Timer) -> BootInstant {
        timer.boot_now()
    }

    fn after(self, now: BootInstant) -> Duration {
        self.saturating_duration_since(now)
    }
}

/// Completes when the wall clock shows its deadline; made by [`sleep_until_system`].
///
/// ```
/// use moirai_timer_std::clocks::{SystemSleep, sleep_until_system};
/// use std::time::SystemTime;
///
/// struct Alarm {
///     rings: SystemSleep,
/// }
///
/// let alarm = Alarm { rings: sleep_until_system(SystemTime::UNIX_EPOCH) };
/// assert!(alarm.rings.is_elapsed());
/// ```
pub type SystemSleep = ClockSleep<SystemTime>;
/// Completes at its deadline on the clock that counts suspends; made by [`sleep_until_boot`].
///
/// ```
/// use moirai_timer_std::clocks::{BootInstant, BootSleep, sleep_until_boot};
/// use std::time::Duration;
///
/// struct Lease {
///     ends: BootSleep,
/// }
///
/// let lease = Lease { ends: sleep_until_boot(BootInstant::now() + Duration::from_secs(30)) };
/// assert!(!lease.ends.is_elapsed());
/// ```
pub type BootSleep = ClockSleep<BootInstant>;

/// A sleep by the clock of `M`, which is [`SystemTime`] or [`BootInstant`].
///
/// Every poll asks that clock: at or after the deadline it is ready, before it is pending. So it is never
/// early, also if the clock is set back when the sleep was about to end. Once it was ready it need not
/// stay so.
///
/// # Cancellation
///
/// Dropping it cancels, as with [`Sleep`], and takes a short lock if it has waited.
///
/// ```
/// use moirai_timer_std::{block_on, clocks::sleep_until_system};
/// use std::time::{Duration, SystemTime};
///
/// let now = SystemTime::now();
/// let mut alarm = sleep_until_system(now + Duration::from_secs(3600));
/// assert_eq!(alarm.deadline(), now + Duration::from_secs(3600));
/// assert!(!alarm.is_elapsed());
/// alarm.reset(now);
/// block_on(&mut alarm);
/// assert!(alarm.is_elapsed());
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct ClockSleep<M: Moment> {
    timer: Timer,
    deadline: M,
    /// Ends when the deadline is expected.
    sleep: Sleep,
    /// The jumps of clocks before that was reckoned.
    epoch: Option<u64>,
    place: Option<Place>,
}

impl<M: Moment> ClockSleep<M> {
    pub(crate) fn new(timer: &Timer, deadline: M) -> Self {
        let sleep = timer.never();
        ClockSleep { timer: timer.clone(), deadline, sleep, epoch: None, place: None }
    }

    /// The deadline.
    pub fn deadline(&self) -> M {
        self.deadline
    }

    /// Whether the clock shows the deadline, or later.
    pub fn is_elapsed(&self) -> bool {
        self.left().is_zero()
    }

    /// Moves the deadline, also of a sleep that has completed. Unlike [`Sleep::reset`], it has to be polled
    /// after that.
    pub fn reset(&mut self, deadline: M) {
        self.deadline = deadline;
        self.epoch = None;
    }

    fn left(&self) -> Duration {
        self.deadline.after(M::now(&self.timer))
    }

    fn leave(&mut self) {
        if let Some(place) = self.place.take() {
            self.timer.clock_changes_so_far().leave(place);
        }
    }
}

impl<M: Moment> Future for ClockSleep<M> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.is_elapsed() {
            // First a place, then the clock: no jump falls between.
            let (changes, told) = this.timer.clock_changes();
            let epoch = changes.attend(&mut this.place, cx.waker());
            loop {
                let left = this.left();
                if left.is_zero() {
                    break;
                }
                if this.epoch != Some(epoch) {
                    this.epoch = Some(epoch);
                    this.sleep.reset_after(if told { left } else { left.min(RECHECK) });
                }
                ready!(Pin::new(&mut this.sleep).poll(cx));
                // The clock may be behind what was reckoned.
                this.epoch = None;
            }
        }
        this.leave();
        this.epoch = None;
        this.sleep = this.timer.never();
        Poll::Ready(())
    }
}

impl<M: Moment> Drop for ClockSleep<M> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<M: Moment> fmt::Debug for ClockSleep<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClockSleep")
            .field("deadline", &self.deadline)
            .field("remaining", &self.left())
            .finish_non_exhaustive()
    }
}

impl Timer {
    /// What the wall clock shows: [`SystemTime::now`], unless it is the timer of a virtual clock.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// # use std::time::SystemTime;
    /// let before = SystemTime::UNIX_EPOCH;
    /// assert!(Timer::global().system_now() > before);
    /// ```
    pub fn system_now(&self) -> SystemTime {
        self.on_clock(|clock| match clock {
            Clock::System => SystemTime::now(),
            #[cfg(feature = "test-util")]
            Clock::Virtual(time) => time.clocks.system(time.now()),
        })
    }

    /// The present, by the clock that counts suspends: [`BootInstant::now`], unless it is the timer of a
    /// virtual clock.
    ///
    /// ```
    /// # #[cfg(feature = "test-util")] {
    /// # use moirai_timer_std::{block_on, test::VirtualClock};
    /// # use std::time::Duration;
    /// let clock = VirtualClock::new();
    /// let timer = clock.timer();
    /// let (awake, running) = (timer.now(), timer.boot_now());
    /// block_on(clock.suspend(Duration::from_secs(3600)));
    /// assert_eq!(timer.now() - awake, Duration::ZERO);
    /// assert_eq!(timer.boot_now() - running, Duration::from_secs(3600));
    /// # }
    /// ```
    pub fn boot_now(&self) -> BootInstant {
        self.on_clock(|clock| match clock {
            Clock::System => BootInstant::now(),
            #[cfg(feature = "test-util")]
            Clock::Virtual(time) => time.clocks.boot(time.now()),
        })
    }

    /// See [`sleep_until_system`].
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let timer = Timer::new();
    /// let soon = timer.system_now() + Duration::from_millis(1);
    /// timer.block_on(timer.sleep_until_system(soon));
    /// assert!(timer.system_now() >= soon);
    /// ```
    pub fn sleep_until_system(&self, deadline: SystemTime) -> SystemSleep {
        ClockSleep::new(self, deadline)
    }

    /// See [`sleep_until_boot`].
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let timer = Timer::new();
    /// let end = timer.boot_now() + Duration::from_millis(1);
    /// timer.block_on(timer.sleep_until_boot(end));
    /// assert!(timer.boot_now() >= end);
    /// ```
    pub fn sleep_until_boot(&self, deadline: BootInstant) -> BootSleep {
        ClockSleep::new(self, deadline)
    }

    /// For who waits for them no more.
    fn clock_changes_so_far(&self) -> &Changes {
        match &self.core().clock {
            Clock::System => so_far(),
            #[cfg(feature = "test-util")]
            Clock::Virtual(time) => &time.clocks.changes,
        }
    }

    /// The jumps of the timer's clocks, and whether somebody will tell of them.
    fn clock_changes(&self) -> (&Changes, bool) {
        // There is a core from now on, so forks are noticed.
        match &self.core().clock {
            Clock::System => of_the_system(),
            #[cfg(feature = "test-util")]
            Clock::Virtual(time) => (&time.clocks.changes, true),
        }
    }
}

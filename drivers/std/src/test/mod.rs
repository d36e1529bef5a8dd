//! Virtual time: a timer whose clock stands still until it is moved. For tests; feature `test-util`.
//!
//! A [`VirtualClock`] hands out [`Timer`]s, the same type that programs use, so what takes a timer is
//! tested unchanged: on any executor, on any number of threads, each test with a clock of its own.
//!
//! ```
//! use moirai_timer_std::test::VirtualClock;
//! use moirai_timer_std::{Timer, block_on};
//! use std::time::Duration;
//!
//! /// What is to be tested: it takes a timer.
//! async fn work(timer: Timer) -> u32 {
//!     let mut rounds = 0;
//!     while rounds < 3 {
//!         timer.sleep(Duration::from_secs(1200)).await;
//!         rounds += 1;
//!     }
//!     rounds
//! }
//!
//! let clock = VirtualClock::new();
//! let task = std::thread::spawn({
//!     let work = clock.track(work(clock.timer()));
//!     move || block_on(work)
//! });
//! block_on(async {
//!     clock.advance(Duration::from_secs(3599)).await;
//!     assert!(!task.is_finished());
//!     clock.advance(Duration::from_secs(1)).await;
//! });
//! assert_eq!(task.join().unwrap(), 3);
//! assert_eq!(clock.elapsed(), Duration::from_secs(3600));
//! ```
//!
//! # Who waits for whom
//!
//! The clock must not be moved on while a task still has something to do at the present: it might
//! be about to arm a sleep. An executor does not say when its tasks are at rest. So the tasks say so
//! themselves: [`track`](VirtualClock::track) wraps a future that the clock then waits for, from its
//! first poll on, whenever it was woken and its poll has not ended. The methods that move the clock
//! stop at every deadline on the way, and go on when all tracked tasks rest.
//!
//! Tasks that are not tracked, and work of other kinds, are not waited for. A
//! [`hold`](VirtualClock::hold) keeps the clock where it is meanwhile, and
//! [`until_armed`](VirtualClock::until_armed) waits for so many sleeps.
//!
//! Nothing moves the clock by itself, also not when everybody waits, unless it is asked to, by
//! [`auto_advance`](VirtualClock::auto_advance).
//!
//! # What time it is
//!
//! Virtual instants are [`std::time::Instant`]s, some nine years ahead of the system's.
//! [`Timer::now`] tells the timer's time, virtual or not; programs that compute deadlines ask it, and
//! not `Instant::now()`. Should one do so all the same, a virtual timer refuses the deadline with a
//! panic that says so.

#[cfg(feature = "clocks")]
mod clocks;
mod time;
mod tracked;
mod turn;

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use moirai_timer_core::Ticks;

use crate::clock::{self, Clock};
use crate::shards::Core;
use crate::sys::sync::Arc;
use crate::{Builder, Timer};

pub(crate) use time::VirtualTime;
pub use tracked::{AutoAdvance, Hold, Tracked};

/// A clock that is moved by hand, and the source of the timers that go by it.
///
/// A handle; clones refer to the same clock. See the [module](self) for what the clock waits for.
///
/// The methods that move it are `async`, because they wait for the tracked tasks; where there are
/// none, or they run on other threads, [`block_on`](crate::block_on) will do. One caller at a time:
/// two that move the same clock disturb each other's plans, and nothing else.
///
/// ```
/// use moirai_timer_std::block_on;
/// use moirai_timer_std::test::VirtualClock;
/// use std::time::Duration;
///
/// let clock = VirtualClock::new();
/// let start = clock.now();
/// block_on(clock.advance(Duration::from_secs(60)));
/// assert_eq!(clock.timer().now() - start, Duration::from_secs(60));
/// ```
#[derive(Clone)]
pub struct VirtualClock {
    core: Arc<Core>,
    time: Arc<VirtualTime>,
}

impl VirtualClock {
    /// A clock of its own.
    ///
    /// ```
    /// # use moirai_timer_std::{block_on, test::VirtualClock};
    /// # use std::time::Duration;
    /// // One does not move the other.
    /// let (clock, other) = (VirtualClock::new(), VirtualClock::new());
    /// block_on(clock.advance(Duration::from_secs(1)));
    /// assert_eq!(other.elapsed(), Duration::ZERO);
    /// ```
    #[allow(clippy::new_without_default)]
    pub fn new() -> VirtualClock {
        Self::with_time(VirtualTime::new(None))
    }

    /// A clock of its own, which wakes the tasks that are due at the same moment in an order that
    /// is drawn from `seed`. A program should not depend on that order; trying a few seeds tells.
    ///
    /// ```
    /// use moirai_timer_std::test::VirtualClock;
    /// use moirai_timer_std::block_on;
    /// use std::time::Duration;
    ///
    /// for seed in 0..10 {
    ///     let clock = VirtualClock::with_seed(seed);
    ///     let timer = clock.timer();
    ///     block_on(clock.auto_advance(async {
    ///         timer.sleep(Duration::from_secs(1)).await;
    ///     }));
    /// }
    /// ```
    pub fn with_seed(seed: u64) -> VirtualClock {
        Self::with_time(VirtualTime::new(Some(seed)))
    }

    fn with_time(time: VirtualTime) -> VirtualClock {
        let time = Arc::new(time);
        // With several shards, which thread a task runs on would have a say in the order.
        let config = Builder::default().shards(1).without_thread();
        let core = Core::with_clock(config, Clock::Virtual(time.clone()));
        VirtualClock { core, time }
    }

    /// The timer that goes by this clock.
    ///
    /// It has no thread. Its [`block_on`](Timer::block_on) waits for whoever moves the clock.
    ///
    /// ```
    /// # use moirai_timer_std::{block_on, test::VirtualClock};
    /// # use std::time::Duration;
    /// let clock = VirtualClock::new();
    /// let timer = clock.timer();
    /// block_on(clock.auto_advance(timer.sleep(Duration::from_secs(3600))));
    /// assert_eq!(timer.metrics().fired, 1);
    /// ```
    pub fn timer(&self) -> Timer {
        Timer::from_core(self.core.clone())
    }

    /// What the clock shows: the same as [`Timer::now`] of its timer.
    ///
    /// ```
    /// # use moirai_timer_std::{block_on, test::VirtualClock};
    /// # use std::time::Duration;
    /// let clock = VirtualClock::new();
    /// let later = clock.now() + Duration::from_secs(60);
    /// block_on(clock.advance_to(later));
    /// assert_eq!((clock.now(), clock.timer().now()), (later, later));
    /// ```
    pub fn now(&self) -> Instant {
        clock::instant_at(self.time.now())
    }

    /// How far the clock has been moved.
    ///
    /// ```
    /// # use moirai_timer_std::{block_on, test::VirtualClock};
    /// # use std::time::Duration;
    /// let clock = VirtualClock::new();
    /// let mut ticks = clock.timer().interval(Duration::from_secs(60));
    /// block_on(clock.auto_advance(async {
    ///     for _ in 0..3 {
    ///         ticks.tick().await;
    ///     }
    /// }));
    /// // The first comes at once.
    /// assert_eq!(clock.elapsed(), Duration::from_secs(120));
    /// ```
    pub fn elapsed(&self) -> Duration {
        time::elapsed(self.time.now())
    }

    /// How many sleeps are armed.
    ///
    /// ```
    /// # use moirai_timer_std::test::VirtualClock;
    /// # use std::{future::Future, pin::pin, task::{Context, Waker}, time::Duration};
    /// let clock = VirtualClock::new();
    /// let mut sleep = pin!(clock.timer().sleep(Duration::from_secs(60)));
    /// assert_eq!(clock.armed(), 0); // not yet: it waits to be polled
    /// assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    /// assert_eq!(clock.armed(), 1);
    /// ```
    pub fn armed(&self) -> u64 {
        self.timer().metrics().armed
    }

    /// Has the clock wait for `future`: it is not moved on as long as that has something to do at
    /// the present.
    ///
    /// To be wrapped around what is spawned. Counts as busy from this call on, so it has to be
    /// polled before long, or dropped.
    ///
    /// ```
    /// use moirai_timer_std::test::VirtualClock;
    /// use moirai_timer_std::block_on;
    /// use std::{thread, time::Duration};
    ///
    /// let clock = VirtualClock::new();
    /// let timer = clock.timer();
    /// let task = clock.track(async move { timer.sleep(Duration::from_secs(60)).await });
    /// let thread = thread::spawn(move || block_on(task));
    /// // Not before the task has armed its sleep.
    /// block_on(clock.advance(Duration::from_secs(60)));
    /// thread.join().unwrap();
    /// ```
    pub fn track<F: IntoFuture>(&self, future: F) -> Tracked<F::IntoFuture> {
        Tracked::new(self.time.clone(), future.into_future())
    }

    /// Keeps the clock from being moved on until the hold is dropped: while a task waits for
    /// something that is neither a timer nor a tracked task, such as a file or a socket.
    ///
    /// ```
    /// use moirai_timer_std::test::VirtualClock;
    /// use moirai_timer_std::block_on;
    /// use std::{pin::pin, task::{Context, Waker}, time::Duration, future::Future};
    ///
    /// let clock = VirtualClock::new();
    /// let hold = clock.hold();
    /// let mut advance = pin!(clock.advance(Duration::from_secs(1)));
    /// assert!(advance.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    /// drop(hold);
    /// block_on(advance);
    /// ```
    pub fn hold(&self) -> Hold {
        Hold::new(self.time.clone())
    }

    /// Runs `future`, and moves the clock to the next deadline whenever all tracked tasks rest, this
    /// future among them.
    ///
    /// Convenient where nothing is waited for but timers. Where something else is, every timeout
    /// fires before it can come; see [`hold`](Self::hold). If nothing is armed, the clock stands.
    ///
    /// ```
    /// use moirai_timer_std::test::VirtualClock;
    /// use moirai_timer_std::block_on;
    /// use std::time::Duration;
    ///
    /// let clock = VirtualClock::new();
    /// let timer = clock.timer();
    /// let slow = timer.sleep(Duration::from_secs(3600));
    /// let hasty = timer.timeout(Duration::from_secs(60), slow);
    /// assert!(block_on(clock.auto_advance(hasty)).is_err());
    /// assert_eq!(clock.elapsed(), Duration::from_secs(60));
    /// ```
    ///
    /// # Panics
    /// When it is polled within a task that this clock tracks.
    pub fn auto_advance<F: IntoFuture>(&self, future: F) -> AutoAdvance<F::IntoFuture> {
        AutoAdvance::new(self.clone(), self.track(future))
    }

    /// Waits until all tracked tasks rest, and leaves the clock where it is.
    ///
    /// ```
    /// # use moirai_timer_std::block_on;
    /// # use moirai_timer_std::test::VirtualClock;
    /// # use std::time::Duration;
    /// let clock = VirtualClock::new();
    /// let timer = clock.timer();
    /// let task = clock.track(async move { timer.sleep(Duration::from_secs(60)).await });
    /// let thread = std::thread::spawn(move || block_on(task));
    /// block_on(clock.settled());
    /// assert_eq!(clock.armed(), 1);
    /// # block_on(clock.advance(Duration::from_secs(60)));
    /// # thread.join().unwrap();
    /// ```
    ///
    /// # Panics
    /// In a task that this clock tracks.
    pub async fn settled(&self) {
        poll_fn(|cx| self.poll_settled(cx)).await;
    }

    /// Waits until at least `count` sleeps are armed, by tasks that need not be tracked. The clock
    /// stands meanwhile.
    ///
    /// ```
    /// use moirai_timer_std::test::VirtualClock;
    /// use moirai_timer_std::block_on;
    /// use std::time::Duration;
    ///
    /// let clock = VirtualClock::new();
    /// let timer = clock.timer();
    /// let task = std::thread::spawn(move || block_on(timer.sleep(Duration::from_secs(60))));
    /// block_on(async {
    ///     clock.until_armed(1).await;
    ///     clock.advance(Duration::from_secs(60)).await;
    /// });
    /// task.join().unwrap();
    /// ```
    ///
    /// # Panics
    /// In a task that this clock tracks.
    pub async fn until_armed(&self, count: u64) {
        poll_fn(|cx| {
            // Registers for being told of changes, which busy tasks make.
            let _ = self.poll_settled(cx);
            if self.armed() >= count { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Moves the clock by `duration`; stops at every deadline on the way, so that tasks which wait
    /// again and again do so at the right times. Returns when all tracked tasks rest.
    ///
    /// Saturates at the clock's end, 27 years from its beginning. Dropping the future leaves the
    /// clock where it was by then.
    ///
    /// ```
    /// # use moirai_timer_std::block_on;
    /// # use moirai_timer_std::test::VirtualClock;
    /// # use std::time::Duration;
    /// # use std::{pin::pin, task::{Context, Waker}, future::Future};
    /// let clock = VirtualClock::new();
    /// let mut sleep = pin!(clock.timer().sleep(Duration::from_secs(60)));
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(sleep.as_mut().poll(&mut cx).is_pending());
    /// block_on(clock.advance(Duration::from_secs(60)));
    /// assert!(sleep.as_mut().poll(&mut cx).is_ready());
    /// ```
    ///
    /// # Panics
    /// In a task that this clock tracks.
    pub async fn advance(&self, duration: Duration) {
        self.advance_to_ticks(self.time.now().after(clock::nanos(duration))).await;
    }

    /// Moves the clock to `to`, as [`advance`](Self::advance) does; not back.
    ///
    /// ```
    /// # use moirai_timer_std::block_on;
    /// # use moirai_timer_std::test::VirtualClock;
    /// # use std::time::Duration;
    /// let clock = VirtualClock::new();
    /// let noon = clock.now() + Duration::from_secs(3600);
    /// block_on(clock.advance_to(noon));
    /// assert_eq!(clock.now(), noon);
    /// ```
    ///
    /// # Panics
    /// In a task that this clock tracks; or if `to` is an instant of the system's clock.
    pub async fn advance_to(&self, to: Instant) {
        self.advance_to_ticks(self.time.ticks_at(to)).await;
    }

    async fn advance_to_ticks(&self, to: Ticks) {
        let to = to.min(Ticks::LAST);
        self.settled().await;
        while let Some(next) = self.core.next(&self.time).filter(|next| *next < to) {
            if self.core.step(&self.time, next) > 0 {
                self.settled().await;
            }
        }
        self.core.step(&self.time, to);
        self.settled().await;
    }

    /// Moves the clock to the next deadline that somebody waits for, and returns it when all tracked
    /// tasks rest. `None`, and the clock stands, if nothing is armed.
    ///
    /// ```
    /// use moirai_timer_std::test::VirtualClock;
    /// use moirai_timer_std::block_on;
    ///
    /// let clock = VirtualClock::new();
    /// assert_eq!(block_on(clock.advance_to_next()), None);
    /// ```
    ///
    /// # Panics
    /// In a task that this clock tracks.
    pub async fn advance_to_next(&self) -> Option<Instant> {
        self.settled().await;
        while let Some((at, woken)) = self.step_to_next() {
            if woken > 0 {
                self.settled().await;
                return Some(clock::instant_at(at));
            }
        }
        None
    }

    /// Moves the clock from deadline to deadline until nothing is armed and all tracked tasks rest.
    ///
    /// Does not return as long as there is an interval that is taken: `advance` by some time then.
    ///
    /// # Panics
    /// In a task that this clock tracks.
    ///
    /// ```
    /// use moirai_timer_std::test::VirtualClock;
    /// use moirai_timer_std::block_on;
    /// use std::{thread, time::Duration};
    ///
    /// let clock = VirtualClock::new();
    /// let timer = clock.timer();
    /// let task = clock.track(async move {
    ///     for minutes in 1..=3 {
    ///         timer.sleep(Duration::from_secs(60 * minutes)).await;
    ///     }
    /// });
    /// let thread = thread::spawn(move || block_on(task));
    /// block_on(clock.run_until_idle());
    /// assert_eq!(clock.elapsed(), Duration::from_secs(360));
    /// thread.join().unwrap();
    /// ```
    pub async fn run_until_idle(&self) {
        while self.advance_to_next().await.is_some() {}
    }

    #[track_caller]
    fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<()> {
        tracked::refuse_within_tracked(&self.time);
        self.time.poll_idle(cx)
    }

    /// The time to which it has moved the clock, and how many it has woken. That may be none: the
    /// engine knows far deadlines roughly, and those of sleeps that were polled.
    fn step_to_next(&self) -> Option<(Ticks, u64)> {
        let next = self.core.next(&self.time)?;
        Some((next, self.core.step(&self.time, next)))
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualClock")
            .field("elapsed", &self.elapsed())
            .field("armed", &self.armed())
            .finish_non_exhaustive()
    }
}

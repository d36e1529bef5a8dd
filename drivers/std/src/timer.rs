//! The timer that programs hold, a handle, and what sleeps ask of it.

use std::fmt;
use std::task::Waker;
use std::time::{Duration, Instant};

use moirai_timer_core::{Claim, Engine, Handle, RegisterError, Ticks};

use crate::builder::{Builder, Drive};
use crate::clock::{self, Clock};
use crate::shards::{Core, Shard};
use crate::sys::sync::{Arc, OnceLock};
use crate::{Interval, Metrics, Sleep, Timeout, fork};

/// A timer: as many sleeps as memory holds, for any executor.
///
/// A handle; clones refer to the same timer. The [global](Timer::global) one serves most programs.
/// Sleeps hold a handle too, so a timer lives, and fires, as long as anything waits for it. Its
/// thread starts with the first sleep that has to wait, and ends after the last handle is gone.
///
/// A forked child may use the timers of its parent, and the sleeps of before the fork, which wake
/// nobody until they are polled there.
///
/// ```
/// use moirai_timer_std::{Timer, block_on};
/// use std::time::Duration;
///
/// let timer = Timer::new();
/// block_on(async {
///     timer.sleep(Duration::from_millis(1)).await;
/// });
/// assert_eq!(timer.metrics().armed, 0);
/// ```
#[derive(Clone)]
pub struct Timer {
    /// None is the global timer, which needs no count of its handles.
    core: Option<Arc<Core>>,
}

static GLOBAL: OnceLock<Arc<Core>> = OnceLock::new();

#[inline]
fn global() -> &'static Arc<Core> {
    GLOBAL.get().unwrap_or_else(make_global)
}

#[cold]
fn make_global() -> &'static Arc<Core> {
    fork::make(|| GLOBAL.get_or_init(|| Core::new(Builder::default())))
}

impl Timer {
    /// A timer of its own, with the default settings; see [`Builder`].
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on, sleep};
    /// # use std::time::Duration;
    /// // What others do on the global timer is not to be seen on this one.
    /// let timer = Timer::new();
    /// block_on(sleep(Duration::from_millis(1)));
    /// assert_eq!(timer.metrics().registered, 0);
    /// ```
    #[allow(clippy::new_without_default)]
    pub fn new() -> Timer {
        Timer { core: Some(Core::new(Builder::default())) }
    }

    /// To be called when the engine may have asked for a turn: a virtual clock has nobody else.
    #[inline]
    fn told(&self) {
        #[cfg(feature = "test-util")]
        if let Some(core) = &self.core {
            if let Clock::Virtual(time) = &core.clock {
                core.serve_and_tell(time);
            }
        }
    }

    /// Without touching the global timer, which is always on the system's clock.
    #[inline]
    pub(crate) fn on_clock<R>(&self, ask: impl Fn(&Clock) -> R) -> R {
        match &self.core {
            None => ask(&Clock::System),
            Some(core) => ask(&core.clock),
        }
    }

    pub(crate) fn from_core(core: Arc<Core>) -> Timer {
        Timer { core: Some(core) }
    }

    /// The timer that the functions of this crate use. It is made at the first use.
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, sleep};
    /// # use std::{future::Future, pin::pin, task::{Context, Waker}, time::Duration};
    /// let mut sleep = pin!(sleep(Duration::from_secs(60)));
    /// assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    /// assert_eq!(Timer::global().metrics().armed, 1);
    /// ```
    pub fn global() -> &'static Timer {
        static HANDLE: Timer = Timer { core: None };
        &HANDLE
    }

    /// Settings for a timer of its own.
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let timer = Timer::builder().capacity(1000).thread_name("leases").build()?;
    /// block_on(timer.sleep(Duration::from_millis(1)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }

    #[inline]
    pub(crate) fn core(&self) -> &Arc<Core> {
        self.core.as_ref().unwrap_or_else(|| global())
    }

    /// The present, by the timer's clock: what [`Instant::now`] says, unless it is the timer of a
    /// virtual clock, in a test (feature `test-util`).
    ///
    /// Programs that compute deadlines ask here, so that they can be tested in virtual time.
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let timer = Timer::global();
    /// let deadline = timer.now() + Duration::from_millis(1);
    /// block_on(timer.sleep_until(deadline));
    /// assert!(timer.now() >= deadline);
    /// ```
    #[inline]
    pub fn now(&self) -> Instant {
        self.on_clock(|clock| match clock {
            Clock::System => Instant::now(),
            #[cfg(feature = "test-util")]
            Clock::Virtual(time) => clock::instant_at(time.now()),
        })
    }

    /// See [`sleep`](crate::sleep).
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let timer = Timer::new();
    /// let start = timer.now();
    /// block_on(timer.sleep(Duration::from_millis(1)));
    /// assert!(timer.now() - start >= Duration::from_millis(1));
    /// ```
    #[inline]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::after(self.clone(), duration)
    }

    /// See [`sleep_until`](crate::sleep_until).
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// // Steady, however long the work takes.
    /// let timer = Timer::new();
    /// let start = timer.now();
    /// block_on(async {
    ///     for round in 1..=3 {
    ///         let due = start + round * Duration::from_millis(1);
    ///         timer.sleep_until(due).await;
    ///         assert!(timer.now() >= due);
    ///     }
    /// });
    /// ```
    #[inline]
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::at(self.clone(), deadline)
    }

    /// A sleep that never completes, until it is reset. Takes no slot.
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let mut sleep = Timer::global().never();
    /// assert!(!sleep.is_elapsed());
    /// sleep.reset_after(Duration::from_millis(1));
    /// block_on(sleep);
    /// ```
    pub fn never(&self) -> Sleep {
        Sleep::never(self.clone())
    }

    /// Like [`sleep`](Self::sleep), with a slot that is taken now.
    ///
    /// # Errors
    /// [`Full`](RegisterError::Full) if as many sleeps as the timer's capacity hold a slot; while a turn is
    /// under way, also if some of those were dropped a moment ago;
    /// [`ShutDown`](RegisterError::ShutDown), and [`NoDriver`](RegisterError::NoDriver) if the
    /// system refuses another thread.
    ///
    /// ```
    /// # use moirai_timer_std::{RegisterError, Timer};
    /// # use std::time::Duration;
    /// let timer = Timer::builder().capacity(1).shards(1).build()?;
    /// let first = timer.try_sleep(Duration::from_secs(1)).expect("there is room for one");
    /// assert_eq!(timer.try_sleep(Duration::from_secs(1)).unwrap_err(), RegisterError::Full);
    /// # drop(first);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_sleep(&self, duration: Duration) -> Result<Sleep, RegisterError> {
        self.sleep(duration).reserved()
    }

    /// Like [`sleep_until`](Self::sleep_until), with a slot that is taken now.
    ///
    /// # Errors
    /// As for [`try_sleep`](Self::try_sleep).
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let timer = Timer::new();
    /// let deadline = timer.now() + Duration::from_secs(1);
    /// let sleep = timer.try_sleep_until(deadline)?;
    /// assert_eq!(sleep.deadline(), deadline);
    /// # Ok::<(), moirai_timer_std::RegisterError>(())
    /// ```
    pub fn try_sleep_until(&self, deadline: Instant) -> Result<Sleep, RegisterError> {
        self.sleep_until(deadline).reserved()
    }

    /// See [`timeout`](crate::timeout).
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::{future::pending, time::Duration};
    /// let timer = Timer::new();
    /// let ms = Duration::from_millis(1);
    /// assert_eq!(block_on(timer.timeout(1000 * ms, async { 42 })), Ok(42));
    /// assert!(block_on(timer.timeout(ms, pending::<()>())).is_err());
    /// ```
    pub fn timeout<F: IntoFuture>(&self, duration: Duration, future: F) -> Timeout<F::IntoFuture> {
        Timeout::new(future.into_future(), self.sleep(duration))
    }

    /// See [`timeout_at`](crate::timeout_at).
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::{future::pending, time::Duration};
    /// let timer = Timer::new();
    /// let deadline = timer.now() + Duration::from_millis(1);
    /// assert!(block_on(timer.timeout_at(deadline, pending::<()>())).is_err());
    /// assert!(timer.now() >= deadline);
    /// ```
    pub fn timeout_at<F: IntoFuture>(
        &self,
        deadline: Instant,
        future: F,
    ) -> Timeout<F::IntoFuture> {
        Timeout::new(future.into_future(), self.sleep_until(deadline))
    }

    /// See [`interval`](crate::interval).
    ///
    /// # Panics
    /// If `period` is zero.
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let mut ticks = Timer::new().interval(Duration::from_millis(1));
    /// block_on(async {
    ///     let first = ticks.tick().await;
    ///     assert!(ticks.tick().await > first);
    /// });
    /// ```
    #[track_caller]
    pub fn interval(&self, period: Duration) -> Interval {
        self.interval_at(self.now(), period)
    }

    /// See [`interval_at`](crate::interval_at).
    ///
    /// # Panics
    /// If `period` is zero.
    ///
    /// ```
    /// # use moirai_timer_std::{Timer, block_on};
    /// # use std::time::Duration;
    /// let timer = Timer::new();
    /// let start = timer.now() + Duration::from_millis(1);
    /// let mut ticks = timer.interval_at(start, Duration::from_secs(1));
    /// assert_eq!(block_on(ticks.tick()), start);
    /// ```
    #[track_caller]
    pub fn interval_at(&self, start: Instant, period: Duration) -> Interval {
        Interval::new(self.sleep_until(start), period)
    }

    /// Runs a future on this thread, and drives the timer meanwhile if it has no thread of its own.
    ///
    /// Several threads may do so at once: one of them drives, and another takes over when it is
    /// done.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// # use std::time::Duration;
    /// let timer = Timer::builder().without_thread().build()?;
    /// timer.block_on(timer.sleep(Duration::from_millis(1)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        crate::block_on::block_on(future, |woken, waker, sleeper| {
            self.core().wait(woken, waker, sleeper)
        })
    }

    /// Wakes what is due, and says when to call again: at that time, or when the waker is woken
    /// that was given to [`Builder::driven_by`]. `None`: only when it is woken.
    ///
    /// For programs that drive the timer from a loop of their own, in one thread at a time. Beside
    /// the timer's thread, or a [`block_on`](Self::block_on) that drives it, it does no harm.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// # use std::{pin::pin, task::{Context, Waker}, thread, time::Duration};
    /// // An event loop with one sleep, and no other events.
    /// let timer = Timer::builder().without_thread().build()?;
    /// let mut sleep = pin!(timer.sleep(Duration::from_millis(1)));
    /// let mut cx = Context::from_waker(Waker::noop());
    /// while sleep.as_mut().poll(&mut cx).is_pending() {
    ///     if let Some(at) = timer.turn() {
    ///         thread::sleep(at.saturating_duration_since(timer.now()));
    ///     }
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn turn(&self) -> Option<Instant> {
        let core = self.core();
        #[cfg(feature = "test-util")]
        if let Clock::Virtual(time) = &core.clock {
            return core.next(time).map(clock::instant_at);
        }
        core.turn().map(clock::instant_at)
    }

    /// The earliest deadline that the timer knows of, without waking anything. It may be earlier than the
    /// earliest sleep's: far deadlines are only roughly sorted, and the timer learns of postponed ones by and by.
    /// Waits for turns that are under way.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// assert_eq!(Timer::new().next_deadline(), None);
    /// ```
    pub fn next_deadline(&self) -> Option<Instant> {
        self.core().next_deadlines().flatten().min().map(clock::instant_at)
    }

    /// The same for each shard.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// # use std::{pin::pin, task::{Context, Waker}, time::Duration};
    /// let timer = Timer::builder().shards(2).build()?;
    /// let mut sleep = pin!(timer.sleep(Duration::from_secs(60)));
    /// assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    /// // It is in the shard of the thread that polled it first.
    /// assert_eq!(timer.shard_next_deadlines().iter().flatten().count(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shard_next_deadlines(&self) -> Vec<Option<Instant>> {
        let instant_at = |at: Option<Ticks>| at.map(clock::instant_at);
        self.core().next_deadlines().map(instant_at).collect()
    }

    /// What has happened so far, over all shards. Waits for turns that are under way.
    ///
    /// Enters each shard once, and copies a histogram of two kilobytes: for once a second, not for
    /// every request.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// # use std::{pin::pin, task::{Context, Waker}, time::Duration};
    /// let timer = Timer::new();
    /// let mut sleep = pin!(timer.sleep(Duration::from_secs(60)));
    /// assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    /// let metrics = timer.metrics();
    /// assert_eq!((metrics.registered, metrics.fired, metrics.armed), (1, 0, 1));
    /// ```
    pub fn metrics(&self) -> Metrics {
        self.core().metrics()
    }

    /// The same for each shard, to see whether the work is shared evenly: a thread uses one of them,
    /// and another only if that is full.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// let timer = Timer::builder().shards(4).build()?;
    /// assert_eq!(timer.shard_metrics().len(), 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shard_metrics(&self) -> Vec<Metrics> {
        self.core().shard_metrics()
    }

    /// Refuses new sleeps from now on: `try_sleep` fails, and a plain `sleep` wakes its own task
    /// over and over until it is due, as when the timer is full. What is armed fires on time.
    ///
    /// ```
    /// # use moirai_timer_std::{RegisterError, Timer};
    /// # use std::time::Duration;
    /// let timer = Timer::new();
    /// timer.shutdown();
    /// assert_eq!(timer.try_sleep(Duration::from_secs(1)).unwrap_err(), RegisterError::ShutDown);
    /// ```
    pub fn shutdown(&self) {
        self.core().shards.iter().for_each(Engine::shutdown);
        self.core().teller().shut_down();
    }

    /// Whether [`shutdown`](Self::shutdown) was called.
    ///
    /// ```
    /// # use moirai_timer_std::Timer;
    /// let timer = Timer::new();
    /// let handle = timer.clone();
    /// timer.shutdown();
    /// assert!(handle.is_shut_down());
    /// ```
    pub fn is_shut_down(&self) -> bool {
        self.core().shards[0].is_shut_down()
    }
}

/// Who drives it, what is armed (none while a turn is under way) and when the first of it is due.
/// Does not wait for anybody.
impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = self.core();
        let left = |at: Instant| at.saturating_duration_since(self.now());
        let mut out = f.debug_struct("Timer");
        match &core.config().drive {
            Drive::Thread(name) => out.field("thread", name),
            Drive::Caller(_) => out.field("thread", &format_args!("none")),
        };
        out.field("global", &self.core.is_none())
            .field("shards", &core.shards.len())
            .field("precision", &core.config().precision)
            .field("armed", &core.armed())
            .field("next_deadline_in", &core.next_deadline_known().map(clock::instant_at).map(left))
            .field("shut_down", &self.is_shut_down())
            .finish()
    }
}

// SAFETY: a claim carries the number of its shard, and a handle and its clones have one core.
unsafe impl Handle for Timer {
    type Instant = Instant;

    #[inline]
    fn now(&self) -> Ticks {
        self.on_clock(Clock::now)
    }

    #[inline]
    fn is_due(&self, at: Ticks) -> bool {
        self.on_clock(|clock| clock.is_due(at))
    }

    #[inline]
    fn ticks_in(&self, duration: Duration) -> u64 {
        clock::nanos(duration)
    }

    fn duration_of(&self, ticks: u64) -> Duration {
        Duration::from_nanos(ticks)
    }

    #[inline]
    fn ticks_at(&self, at: Instant) -> Ticks {
        self.on_clock(|clock| clock.ticks_at(at))
    }

    fn instant_at(&self, at: Ticks) -> Instant {
        clock::instant_at(at)
    }

    #[inline]
    fn tolerance(&self) -> u64 {
        // The global timer has none.
        self.core.as_ref().map_or(0, |core| core.tolerance())
    }

    fn claim(&self) -> Result<Claim, RegisterError> {
        self.core().claim_with(Shard::claim_at_hand)
    }

    #[inline]
    fn arm(&self, at: Ticks, waker: &Waker) -> Result<Claim, RegisterError> {
        let claim = self.core().arm(at, waker);
        self.told();
        claim
    }

    #[inline]
    unsafe fn attend(&self, claim: &mut Claim, at: Ticks, waker: &Waker) -> bool {
        let core = self.core();
        // A fork may have left a sleep behind that nobody drives. If there can't be a thread, it polls
        // itself, as if there were no slot.
        if core.start().is_err() {
            return false;
        }
        // SAFETY: the caller vouches for the claim, and it names its shard.
        let attended = unsafe { core.shard(claim).attend(claim, at, waker) };
        self.told();
        attended
    }

    #[inline]
    unsafe fn move_to(&self, claim: &mut Claim, at: Ticks) {
        // SAFETY: as above.
        unsafe { self.core().shard(claim).move_to(claim, at) };
        self.told();
    }

    unsafe fn is_armed(&self, claim: &Claim) -> bool {
        // SAFETY: as above.
        unsafe { self.core().shard(claim).is_armed(claim) }
    }

    #[inline]
    unsafe fn release(&self, claim: Claim, completed: bool) {
        // SAFETY: as above.
        unsafe { self.core().release(claim, completed) }
    }

    fn stranded(&self) {
        let core = self.core();
        let shard = &core.shards[core.home()];
        shard.driver().teller.stranded(shard);
        shard.stranded();
    }
}

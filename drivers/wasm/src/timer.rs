//! The timer that programs hold: an engine on the event loop, and the handle.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use moirai_timer_core::{Claim, Engine, Handle, Metrics, RegisterError, Ticks};
use web_time::Instant;

use crate::clock;
use crate::event_loop::EventLoop;
use crate::memory::{Growing, Heap, MOST, Segments};
use crate::{Interval, Sleep, Timeout};

/// What the handles of a timer share.
pub(crate) type Core = Engine<EventLoop, Segments, Heap>;

thread_local! {
    /// The timer of this page or worker.
    static GLOBAL: &'static Core = Box::leak(Box::new(new_core(MOST)));
}

fn new_core(limit: u32) -> Arc<Core> {
    Arc::new_cyclic(|core| {
        let memory = Heap::with_memory(Growing::default());
        Engine::with_parts(EventLoop::new(core.clone()), Segments::new(limit), memory)
    })
}

/// A timer: as many sleeps as memory holds, on the event loop of the page or worker that made it.
///
/// A handle; clones refer to the same timer. The [global](Timer::global) one serves most programs.
/// Sleeps hold a handle too, so a timer lives, and fires, as long as anything waits for it.
///
/// ```no_run
/// use moirai_timer_wasm::Timer;
/// use std::time::Duration;
/// # async fn example() {
/// let timer = Timer::new();
/// timer.sleep(Duration::from_millis(20)).await;
/// assert_eq!(timer.metrics().fired, 1);
/// # }
/// ```
#[derive(Clone)]
pub struct Timer {
    /// None is the global timer of the thread.
    core: Option<Arc<Core>>,
}

impl Timer {
    /// The timer of this page or worker, which the functions of this crate use. It is made at the first
    /// use.
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::{Timer, sleep};
    /// # use std::time::Duration;
    /// # async fn example() {
    /// sleep(Duration::from_millis(20)).await;
    /// assert!(Timer::global().metrics().fired > 0);
    /// # }
    /// ```
    pub const fn global() -> Timer {
        Timer { core: None }
    }

    /// A timer of its own.
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # use std::time::Duration;
    /// # async fn example() {
    /// // What others do on the global timer is not to be seen on this one.
    /// let timer = Timer::new();
    /// assert_eq!(timer.metrics().registered, 0);
    /// # }
    /// ```
    #[allow(clippy::new_without_default)]
    pub fn new() -> Timer {
        Timer { core: Some(new_core(MOST)) }
    }

    /// A timer of its own, on which `capacity` sleeps can be armed at the same time.
    ///
    /// # Panics
    /// If `capacity` is not from 1 to 2^24 - 64.
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::{RegisterError, Timer};
    /// # use std::time::Duration;
    /// let timer = Timer::with_capacity(1);
    /// let first = timer.try_sleep(Duration::from_secs(1)).expect("there is room for one");
    /// assert_eq!(timer.try_sleep(Duration::from_secs(1)).unwrap_err(), RegisterError::Full);
    /// ```
    #[track_caller]
    pub fn with_capacity(capacity: usize) -> Timer {
        let is_allowed = (1..=MOST as usize).contains(&capacity);
        assert!(is_allowed, "the capacity of a timer is 1 to {MOST}, not {capacity}");
        Timer { core: Some(new_core(capacity as u32)) }
    }

    fn core(&self) -> &Core {
        self.core.as_deref().unwrap_or_else(|| GLOBAL.with(|core| *core))
    }

    /// The present: what [`Instant::now`] says.
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # use std::time::Duration;
    /// # async fn example() {
    /// let timer = Timer::global();
    /// let deadline = timer.now() + Duration::from_millis(20);
    /// timer.sleep_until(deadline).await;
    /// assert!(timer.now() >= deadline);
    /// # }
    /// ```
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// See [`sleep`](crate::sleep).
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # use std::time::Duration;
    /// # async fn example() {
    /// Timer::new().sleep(Duration::from_millis(20)).await;
    /// # }
    /// ```
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::after(self.clone(), duration)
    }

    /// See [`sleep_until`](crate::sleep_until).
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # use std::time::Duration;
    /// # async fn example() {
    /// // Steady, however long the drawing takes.
    /// let timer = Timer::global();
    /// let start = timer.now();
    /// for frame in 1..=3 {
    ///     timer.sleep_until(start + frame * Duration::from_millis(40)).await;
    /// }
    /// # }
    /// ```
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::at(self.clone(), deadline)
    }

    /// A sleep that never completes, until it is reset. Takes no slot.
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # use std::time::Duration;
    /// # async fn example() {
    /// let mut sleep = Timer::global().never();
    /// assert!(!sleep.is_elapsed());
    /// sleep.reset_after(Duration::from_millis(20));
    /// sleep.await;
    /// # }
    /// ```
    pub fn never(&self) -> Sleep {
        Sleep::never(self.clone())
    }

    /// Like [`sleep`](Self::sleep), with a slot that is taken now.
    ///
    /// # Errors
    /// [`Full`](RegisterError::Full) if as many sleeps as the timer's capacity hold a slot, and
    /// [`ShutDown`](RegisterError::ShutDown).
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # use std::time::Duration;
    /// # async fn example() -> Result<(), moirai_timer_wasm::RegisterError> {
    /// let sleep = Timer::global().try_sleep(Duration::from_secs(1))?;
    /// sleep.await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_sleep(&self, duration: Duration) -> Result<Sleep, RegisterError> {
        self.sleep(duration).reserved()
    }

    /// Like [`sleep_until`](Self::sleep_until), with a slot that is taken now.
    ///
    /// # Errors
    /// As for [`try_sleep`](Self::try_sleep).
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # use std::time::Duration;
    /// # async fn example() -> Result<(), moirai_timer_wasm::RegisterError> {
    /// let timer = Timer::global();
    /// let deadline = timer.now() + Duration::from_secs(1);
    /// let sleep = timer.try_sleep_until(deadline)?;
    /// assert_eq!(sleep.deadline(), deadline);
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_sleep_until(&self, deadline: Instant) -> Result<Sleep, RegisterError> {
        self.sleep_until(deadline).reserved()
    }

    /// See [`timeout`](crate::timeout).
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # use std::{future::pending, time::Duration};
    /// # async fn example() {
    /// let timer = Timer::new();
    /// assert!(timer.timeout(Duration::from_millis(20), pending::<()>()).await.is_err());
    /// # }
    /// ```
    pub fn timeout<F: IntoFuture>(&self, duration: Duration, future: F) -> Timeout<F::IntoFuture> {
        Timeout::new(future.into_future(), self.sleep(duration))
    }

    /// See [`timeout_at`](crate::timeout_at).
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # use std::{future::pending, time::Duration};
    /// # async fn example() {
    /// let timer = Timer::new();
    /// let deadline = timer.now() + Duration::from_millis(20);
    /// assert!(timer.timeout_at(deadline, pending::<()>()).await.is_err());
    /// assert!(timer.now() >= deadline);
    /// # }
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
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # use std::time::Duration;
    /// # async fn example() {
    /// let mut ticks = Timer::new().interval(Duration::from_millis(20));
    /// let first = ticks.tick().await;
    /// assert!(ticks.tick().await > first);
    /// # }
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
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # use std::time::Duration;
    /// # async fn example() {
    /// let timer = Timer::new();
    /// let start = timer.now() + Duration::from_millis(20);
    /// let mut ticks = timer.interval_at(start, Duration::from_secs(1));
    /// assert_eq!(ticks.tick().await, start);
    /// # }
    /// ```
    #[track_caller]
    pub fn interval_at(&self, start: Instant, period: Duration) -> Interval {
        Interval::new(self.sleep_until(start), period)
    }

    /// Wakes what is due, and says when the next is. The event loop turns the timer by itself: this is
    /// for a program that is busy for long, and lets its other tasks go on meanwhile.
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # fn decode(_: &[u8]) {}
    /// fn work(parts: &[&[u8]]) {
    ///     for part in parts {
    ///         decode(part);
    ///         Timer::global().turn();
    ///     }
    /// }
    /// ```
    pub fn turn(&self) -> Option<Instant> {
        self.core().turn().map(clock::instant_at)
    }

    /// The earliest deadline that the timer knows of, without waking anything.
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// assert_eq!(Timer::new().next_deadline(), None);
    /// ```
    pub fn next_deadline(&self) -> Option<Instant> {
        self.core().next_deadline().filter(|at| !at.is_never()).map(clock::instant_at)
    }

    /// What has happened so far. All zero within a turn, in a waker that the timer wakes.
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// # use std::time::Duration;
    /// # async fn example() {
    /// let timer = Timer::new();
    /// timer.sleep(Duration::from_millis(20)).await;
    /// let metrics = timer.metrics();
    /// assert_eq!((metrics.registered, metrics.fired), (1, 1));
    /// # }
    /// ```
    pub fn metrics(&self) -> Metrics {
        self.core().metrics().unwrap_or_default()
    }

    /// Refuses new sleeps from now on: `try_sleep` fails, and a plain `sleep` wakes its own task
    /// over and over until it is due, as when the timer is full. What is armed fires on time.
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::{RegisterError, Timer};
    /// # use std::time::Duration;
    /// let timer = Timer::new();
    /// timer.shutdown();
    /// assert_eq!(timer.try_sleep(Duration::from_secs(1)).unwrap_err(), RegisterError::ShutDown);
    /// ```
    pub fn shutdown(&self) {
        self.core().shutdown();
    }

    /// Whether [`shutdown`](Self::shutdown) was called.
    ///
    /// ```no_run
    /// # use moirai_timer_wasm::Timer;
    /// let timer = Timer::new();
    /// let handle = timer.clone();
    /// timer.shutdown();
    /// assert!(handle.is_shut_down());
    /// ```
    pub fn is_shut_down(&self) -> bool {
        self.core().is_shut_down()
    }

    /// Asks for a claim; makes room, if there is none at hand.
    fn claim_with(
        &self,
        ask: impl Fn(&Core) -> Result<Claim, RegisterError>,
    ) -> Result<Claim, RegisterError> {
        let core = self.core();
        loop {
            match ask(core) {
                Err(RegisterError::Full) => {}
                answer => return answer,
            }
            let drained = core.drain();
            // When most commands are registrations, draining is not what helps.
            let grown = drained.freed * 4 <= drained.applied && core.slots().grow();
            if !grown && drained.applied == 0 {
                return Err(RegisterError::Full);
            }
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("global", &self.core.is_none())
            .field("shut_down", &self.is_shut_down())
            .field("next_deadline", &self.next_deadline())
            .finish()
    }
}

// SAFETY: a handle and its clones have one core. That of the global timer is the thread's, and handles
// stay in their thread: they are `Send` only where there is one.
unsafe impl Handle for Timer {
    type Instant = Instant;

    fn now(&self) -> Ticks {
        clock::now()
    }

    fn ticks_in(&self, duration: Duration) -> u64 {
        clock::nanos(duration)
    }

    fn duration_of(&self, ticks: u64) -> Duration {
        Duration::from_nanos(ticks)
    }

    fn ticks_at(&self, at: Instant) -> Ticks {
        clock::ticks_at(at)
    }

    fn instant_at(&self, at: Ticks) -> Instant {
        clock::instant_at(at)
    }

    fn claim(&self) -> Result<Claim, RegisterError> {
        self.claim_with(Core::claim_at_hand)
    }

    fn arm(&self, at: Ticks, waker: &Waker) -> Result<Claim, RegisterError> {
        self.claim_with(|core| core.arm_at_hand(at, waker))
    }

    unsafe fn attend(&self, claim: &mut Claim, at: Ticks, waker: &Waker) -> bool {
        // SAFETY: by the caller's promise the claim came from this engine.
        unsafe { self.core().attend(claim, at, waker) }
    }

    unsafe fn move_to(&self, claim: &mut Claim, at: Ticks) {
        // SAFETY: as above.
        unsafe { self.core().move_to(claim, at) }
    }

    unsafe fn is_armed(&self, claim: &Claim) -> bool {
        // SAFETY: as above.
        unsafe { self.core().is_armed(claim) }
    }

    unsafe fn release(&self, claim: Claim, completed: bool) {
        // SAFETY: as above.
        unsafe { self.core().release(claim, completed) }
    }

    fn stranded(&self) {
        self.core().stranded();
    }
}

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
#[derive(Clone)]
pub struct Timer {
    /// None is the global timer of the thread.
    core: Option<Arc<Core>>,
}

impl Timer {
    /// The timer of this page or worker, which the functions of this crate use. It is made at the first
    /// use.
    pub const fn global() -> Timer {
        Timer { core: None }
    }

    /// A timer of its own.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Timer {
        Timer { core: Some(new_core(MOST)) }
    }

    /// A timer of its own, on which `capacity` sleeps can be armed at the same time: at least one, and
    /// 2^24 - 64 at most, to which larger numbers are cut.
    pub fn with_capacity(capacity: usize) -> Timer {
        let limit = capacity.clamp(1, MOST as usize) as u32;
        Timer { core: Some(new_core(limit)) }
    }

    fn core(&self) -> &Core {
        self.core.as_deref().unwrap_or_else(|| GLOBAL.with(|core| *core))
    }

    /// The present: what [`Instant::now`] says.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// See [`sleep`](crate::sleep).
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::after(self.clone(), duration)
    }

    /// See [`sleep_until`](crate::sleep_until).
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::at(self.clone(), deadline)
    }

    /// A sleep that never completes, until it is reset. Takes no slot.
    pub fn never(&self) -> Sleep {
        Sleep::never(self.clone())
    }

    /// Like [`sleep`](Self::sleep), with a slot that is taken now.
    ///
    /// # Errors
    /// [`Full`](RegisterError::Full) if as many sleeps as the timer's capacity hold a slot, and
    /// [`ShutDown`](RegisterError::ShutDown).
    pub fn try_sleep(&self, duration: Duration) -> Result<Sleep, RegisterError> {
        self.sleep(duration).reserved()
    }

    /// Like [`sleep_until`](Self::sleep_until), with a slot that is taken now.
    ///
    /// # Errors
    /// As for [`try_sleep`](Self::try_sleep).
    pub fn try_sleep_until(&self, deadline: Instant) -> Result<Sleep, RegisterError> {
        self.sleep_until(deadline).reserved()
    }

    /// See [`timeout`](crate::timeout).
    pub fn timeout<F: IntoFuture>(&self, duration: Duration, future: F) -> Timeout<F::IntoFuture> {
        Timeout::new(future.into_future(), self.sleep(duration))
    }

    /// See [`timeout_at`](crate::timeout_at).
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
    #[track_caller]
    pub fn interval(&self, period: Duration) -> Interval {
        self.interval_at(self.now(), period)
    }

    /// See [`interval_at`](crate::interval_at).
    ///
    /// # Panics
    /// If `period` is zero.
    #[track_caller]
    pub fn interval_at(&self, start: Instant, period: Duration) -> Interval {
        Interval::new(self.sleep_until(start), period)
    }

    /// Wakes what is due, and says when the next is. The event loop turns the timer by itself: this is
    /// for a program that is busy for long, and lets its other tasks go on meanwhile.
    pub fn turn(&self) -> Option<Instant> {
        self.core().turn().map(clock::instant_at)
    }

    /// The earliest deadline that the timer knows of, without waking anything.
    pub fn next_deadline(&self) -> Option<Instant> {
        let core = self.core();
        core.drain();
        core.next_deadline().map(clock::instant_at)
    }

    /// What has happened so far. All zero within a turn, in a waker that the timer wakes.
    pub fn metrics(&self) -> Metrics {
        self.core().metrics().unwrap_or_default()
    }

    /// Refuses new sleeps from now on: `try_sleep` fails, and a plain `sleep` wakes its own task
    /// over and over until it is due, as when the timer is full. What is armed fires on time.
    pub fn shutdown(&self) {
        self.core().shutdown();
    }

    /// Whether [`shutdown`](Self::shutdown) was called.
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

    unsafe fn release(&self, claim: Claim, completed: bool) {
        // SAFETY: as above.
        unsafe { self.core().release(claim, completed) }
    }

    fn stranded(&self) {
        self.core().stranded();
    }
}

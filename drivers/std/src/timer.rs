//! The timer that programs hold: shards, a driver for them, and the handle.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;
use std::time::{Duration, Instant};

use moirai_timer_core::{Armed, Claim, Driver, Engine, Handle, RegisterError, Slots, Ticks};

use crate::builder::{Builder, Drive};
use crate::clock::{self, Clock};
use crate::lateness::Recorder;
use crate::memory::{Growing, Segments, Wheel};
use crate::parker::{Parker, Sleeper, Unpark};
use crate::sys::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::*};
use crate::sys::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use crate::sys::thread::{self, Thread};
use crate::sys::thread_number;
use crate::{Interval, Metrics, Sleep, Timeout, fork};

/// The engine of one shard.
pub(crate) type Shard = Engine<ShardDriver, Segments, Wheel>;

/// What a shard knows of the platform. The sleeping is done by whoever turns all shards.
#[derive(Debug)]
pub(crate) struct ShardDriver {
    clock: Clock,
    parker: Arc<Parker>,
    lateness: Recorder,
    panics: AtomicU64,
}

impl Driver for ShardDriver {
    const TICK_HZ: u64 = clock::NANOS;

    #[inline]
    fn now(&self) -> Ticks {
        self.clock.now()
    }

    fn arm(&self, at: Ticks) -> Armed {
        if at <= self.now() { Armed::Elapsed } else { Armed::Pending }
    }

    fn disarm(&self) {}

    fn pend(&self) {
        self.parker.pend();
    }

    fn wake(&self, waker: Waker) {
        #[cfg(feature = "test-util")]
        if let Clock::Virtual(time) = &self.clock {
            return time.defer(waker);
        }
        self.wake_now(waker);
    }

    fn fired(&self, late: u64) {
        self.lateness.record(late);
    }
}

impl ShardDriver {
    pub(crate) fn wake_now(&self, waker: Waker) {
        // The panic hook has reported it by the time it is caught.
        if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
            self.panics.fetch_add(1, Relaxed);
        }
    }
}

/// Everything of a timer that its handles share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Clock,
    /// A power of two of them.
    pub(crate) shards: Box<[Shard]>,
    pub(crate) parker: Arc<Parker>,
    config: Builder,
    /// The generation of the process in which the thread was started; see `fork`. 0: never.
    started: AtomicU32,
    /// Callers of `turn` that have not returned.
    turning: AtomicUsize,
    /// Without a thread: whether a caller of `block_on` drives the timer, and those that wait
    /// for their chance to.
    seat: Mutex<Seat>,
}

/// Who drives a timer without a thread.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    taken: bool,
    waiting: Vec<Thread>,
}

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
/// assert_eq!(timer.metrics().fired, 1);
/// ```
#[derive(Clone)]
pub struct Timer {
    /// None is the global timer, which needs no count of its handles.
    core: Option<Arc<Core>>,
}

static GLOBAL: OnceLock<Arc<Core>> = OnceLock::new();

fn global() -> &'static Arc<Core> {
    GLOBAL.get_or_init(|| Core::new(Builder::default()))
}

impl Core {
    pub(crate) fn new(config: Builder) -> Arc<Core> {
        Core::with_clock(config, Clock::System)
    }

    pub(crate) fn with_clock(config: Builder, clock: Clock) -> Arc<Core> {
        let parker = Arc::new(Parker::new());
        let shards = (0..config.shards)
            .map(|_| {
                let driver = ShardDriver {
                    clock: clock.clone(),
                    parker: parker.clone(),
                    lateness: Recorder::new(),
                    panics: AtomicU64::new(0),
                };
                Engine::with_parts(
                    driver,
                    Segments::new(config.share()),
                    Wheel::with_memory(Growing::default()),
                )
            })
            .collect();
        let core = Arc::new(Core {
            clock,
            shards,
            parker,
            config,
            started: AtomicU32::new(0),
            turning: AtomicUsize::new(0),
            seat: Mutex::default(),
        });
        fork::watch(&core);
        core
    }

    /// Asks this thread's shard for a claim, and, if it has none at hand, all of them.
    #[inline]
    fn claim_with(
        self: &Arc<Self>,
        ask: impl Fn(&Shard) -> Result<Claim, RegisterError>,
    ) -> Result<Claim, RegisterError> {
        self.start()?;
        let home = thread_number() & (self.shards.len() - 1);
        match ask(&self.shards[home]) {
            Ok(claim) => Ok(claim.with_shard(home as u32)),
            Err(RegisterError::Full) => self.claim_by_force(home, ask),
            Err(error) => Err(error),
        }
    }

    #[cold]
    fn claim_by_force(
        &self,
        home: usize,
        ask: impl Fn(&Shard) -> Result<Claim, RegisterError>,
    ) -> Result<Claim, RegisterError> {
        let shards = self.shards.len();
        for number in (home..shards).chain(0..home) {
            let shard = &self.shards[number];
            loop {
                let alone = self.clock.alone();
                let drained = shard.drain();
                drop(alone);
                // When most commands are registrations, draining is not what helps.
                let grown = drained.freed * 4 <= drained.applied && shard.slots().grow();
                match ask(shard) {
                    Ok(claim) => return Ok(claim.with_shard(number as u32)),
                    Err(RegisterError::Full) if grown || drained.applied > 0 => {}
                    Err(RegisterError::Full) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Err(RegisterError::Full)
    }

    /// Starts the thread, if there is to be one and it does not run in this process.
    #[inline]
    fn start(self: &Arc<Self>) -> Result<(), RegisterError> {
        let generation = fork::generation();
        let started = self.started.load(Relaxed);
        if started == generation {
            return Ok(());
        }
        self.start_in(generation, started)
    }

    #[cold]
    fn start_in(self: &Arc<Self>, generation: u32, started: u32) -> Result<(), RegisterError> {
        if self.started.compare_exchange(started, generation, SeqCst, Relaxed).is_err() {
            return Ok(());
        }
        let Drive::Thread(name) = &self.config.drive else { return Ok(()) };
        let (core, parker) = (Arc::downgrade(self), self.parker.clone());
        let mut sleeper = Sleeper::new(&self.config);
        let run = move || {
            crate::sys::minimise_timer_slack();
            let waker = Unpark::current();
            loop {
                parker.attend(&waker);
                // Not held while asleep: the last handle ends the timer.
                let Some(core) = core.upgrade() else { return };
                let next = core.drive();
                drop(core);
                sleeper.sleep(next, || parker.is_pended());
            }
        };
        match thread::Builder::new().name(name.clone()).spawn(run) {
            Ok(_) => Ok(()),
            Err(_) => {
                self.started.store(0, SeqCst);
                Err(RegisterError::NoDriver)
            }
        }
    }

    /// For the one who drives; says when to come back.
    pub(crate) fn drive(&self) -> Option<Ticks> {
        self.turn_shards(Engine::drive_batch)
    }

    /// For anybody else.
    fn turn(&self) -> Option<Ticks> {
        self.turn_shards(Engine::turn_batch)
    }

    /// Turns all shards. While one has a million timers that are due, the others get their turn
    /// after each batch of its.
    fn turn_shards(&self, turn: impl Fn(&Shard) -> Option<Ticks>) -> Option<Ticks> {
        self.turning.fetch_add(1, SeqCst);
        let next = loop {
            let mut at_once = true;
            let turn_to_the_end = |shard| loop {
                let next = turn(shard);
                if next != Some(Ticks::ZERO) {
                    return next;
                }
                at_once = false;
                let (now, news) = (self.clock.now(), self.parker.is_pended());
                let due = self.shards.iter().filter(|shard| news || shard.alarm() <= now);
                for shard in due {
                    let _ = turn(shard);
                }
            };
            let next = self.shards.iter().filter_map(turn_to_the_end).min();
            // What the first of them said may be out of date by now.
            if at_once {
                break next;
            }
        };
        self.turning.fetch_sub(1, SeqCst);
        next
    }

    fn shard(&self, claim: &Claim) -> &Shard {
        &self.shards[claim.shard() as usize]
    }

    /// Keeps turners out while the process is copied.
    pub(crate) fn freeze(&self) {
        for shard in &self.shards {
            while !shard.try_freeze() {
                thread::yield_now();
            }
        }
    }

    /// Undoes `freeze`.
    ///
    /// # Safety
    /// `freeze` was called, and has not been undone.
    pub(crate) unsafe fn thaw(&self) {
        for shard in &self.shards {
            // SAFETY: by the caller's promise this shard is frozen.
            unsafe { shard.thaw() };
        }
    }

    /// Whether a turn is under way. False before long, if the timer is frozen.
    pub(crate) fn is_turning(&self) -> bool {
        self.turning.load(SeqCst) > 0
    }

    /// The turns that were under way belonged to threads that this process does not have.
    pub(crate) fn forget_turns(&self) {
        self.turning.store(0, SeqCst);
    }

    /// Those who drove it, and those whom it was to wake, belong to threads that this process does
    /// not have.
    ///
    /// # Safety
    /// Nobody else uses the timer at this time.
    pub(crate) unsafe fn forget_others(&self) {
        for shard in &self.shards {
            // SAFETY: by the caller's promise.
            unsafe { shard.forget_wakers() };
        }
        // SAFETY: as above.
        unsafe { self.parker.forget() };
        if let Drive::Caller(Some(waker)) = &self.config.drive {
            self.parker.attend(waker);
        }
    }

    pub(crate) fn seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Becomes the one who drives a timer without a thread, or is told when to try again.
    fn take_seat(&self) -> bool {
        let mut seat = self.seat();
        let me = thread::current();
        if seat.taken && seat.waiting.iter().all(|thread| thread.id() != me.id()) {
            seat.waiting.push(me);
        }
        !std::mem::replace(&mut seat.taken, true)
    }

    fn leave_seat(&self) {
        let mut seat = self.seat();
        seat.taken = false;
        for thread in seat.waiting.drain(..) {
            thread.unpark();
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // Nobody can be waiting: sleeps hold a handle. The thread finds that we are gone, and ends.
        self.parker.pend();
    }
}

impl Timer {
    /// A timer of its own, with the default settings; see [`Builder`].
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
    fn clock(&self) -> &Clock {
        self.core.as_ref().map_or(&Clock::System, |core| &core.clock)
    }

    pub(crate) fn from_core(core: Arc<Core>) -> Timer {
        Timer { core: Some(core) }
    }

    /// The timer that the functions of this crate use. It is made at the first use.
    pub fn global() -> &'static Timer {
        static HANDLE: Timer = Timer { core: None };
        &HANDLE
    }

    /// Settings for a timer of its own.
    pub fn builder() -> Builder {
        Builder::default()
    }

    #[inline]
    fn core(&self) -> &Arc<Core> {
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
        match self.clock() {
            Clock::System => Instant::now(),
            #[cfg(feature = "test-util")]
            Clock::Virtual(time) => clock::instant_at(time.now()),
        }
    }

    /// See [`sleep`](crate::sleep).
    #[inline]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::after(self.clone(), duration)
    }

    /// See [`sleep_until`](crate::sleep_until).
    #[inline]
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
    /// [`Full`](RegisterError::Full) if as many sleeps as the timer's capacity hold a slot,
    /// [`ShutDown`](RegisterError::ShutDown), and [`NoDriver`](RegisterError::NoDriver) if the
    /// system refuses another thread.
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

    /// Runs a future on this thread, and drives the timer meanwhile if it has no thread of its own.
    ///
    /// Several threads may do so at once: one of them drives, and another takes over when it is
    /// done.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        crate::block_on::block_on(future, |woken, waker, sleeper| self.wait(woken, waker, sleeper))
    }

    /// Sleeps until `woken`, driving the timer if nobody does.
    fn wait(&self, woken: &dyn Fn() -> bool, waker: &Waker, sleeper: &mut Option<Sleeper>) {
        let core = self.core();
        if matches!(core.config.drive, Drive::Thread(_)) || core.clock.is_virtual() {
            // A fork may have left a sleep behind that nobody drives.
            let _ = core.start();
            while !woken() {
                thread::park();
            }
            return;
        }
        let sleeper = sleeper.get_or_insert_with(|| {
            crate::sys::minimise_timer_slack();
            Sleeper::new(&core.config)
        });
        while !woken() {
            if !core.take_seat() {
                thread::park();
                continue;
            }
            core.parker.attend(waker);
            let next = core.drive();
            sleeper.sleep(next, || woken() || core.parker.is_pended());
            core.leave_seat();
        }
    }

    /// Wakes what is due, and says when to call again: at that time, or when the waker is woken
    /// that was given to [`Builder::driven_by`]. `None`: only when it is woken.
    ///
    /// For programs that drive the timer from a loop of their own, in one thread at a time. Beside
    /// the timer's thread, or a [`block_on`](Self::block_on) that drives it, it does no harm.
    pub fn turn(&self) -> Option<Instant> {
        let core = self.core();
        #[cfg(feature = "test-util")]
        if let Clock::Virtual(time) = &core.clock {
            return core.next(time).map(clock::instant_at);
        }
        if let Drive::Caller(Some(waker)) = &core.config.drive {
            core.parker.attend(waker);
            return core.drive().map(clock::instant_at);
        }
        core.turn().map(clock::instant_at)
    }

    /// The earliest deadline that the timer knows of, without waking anything. It may be too early
    /// by a fraction of the time that is left, if many are due at about that time: far deadlines
    /// are not sorted.
    pub fn next_deadline(&self) -> Option<Instant> {
        let _alone = self.core().clock.alone();
        let shards = self.core().shards.iter();
        let earliest = shards.filter_map(|shard| {
            shard.drain();
            shard.next_deadline()
        });
        earliest.min().map(clock::instant_at)
    }

    /// What has happened so far, over all shards. Waits for turns that are under way.
    pub fn metrics(&self) -> Metrics {
        let _alone = self.core().clock.alone();
        let mut sum = Metrics::default();
        for shard in &self.core().shards {
            let part = loop {
                match shard.metrics() {
                    Some(part) => break part,
                    None => thread::yield_now(),
                }
            };
            sum.armed += u64::from(part.armed);
            sum.registered += part.registered;
            sum.fired += part.fired;
            sum.cancelled += part.cancelled;
            sum.full_repolls += part.full_repolls;
            sum.turns += part.turns;
            sum.vain_turns += part.vain_turns;
            sum.waker_panics += shard.driver().panics.load(Relaxed);
            sum.slots += u64::from(shard.slots().capacity());
            shard.driver().lateness.add_to(&mut sum.lateness);
        }
        sum
    }

    /// Refuses new sleeps from now on: `try_sleep` fails, and a plain `sleep` wakes its own task
    /// over and over until it is due, as when the timer is full. What is armed fires on time.
    pub fn shutdown(&self) {
        self.core().shards.iter().for_each(Engine::shutdown);
    }

    /// Whether [`shutdown`](Self::shutdown) was called.
    pub fn is_shut_down(&self) -> bool {
        self.core().shards[0].is_shut_down()
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("global", &self.core.is_none())
            .field("shards", &self.core().shards.len())
            .field("shut_down", &self.is_shut_down())
            .field("next_deadline", &self.next_deadline())
            .finish()
    }
}

// SAFETY: a claim carries the number of its shard, and a handle and its clones have one core.
unsafe impl Handle for Timer {
    type Instant = Instant;

    #[inline]
    fn now(&self) -> Ticks {
        self.clock().now()
    }

    #[inline]
    fn is_due(&self, at: Ticks) -> bool {
        self.clock().is_due(at)
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
        self.clock().ticks_at(at)
    }

    fn instant_at(&self, at: Ticks) -> Instant {
        clock::instant_at(at)
    }

    #[inline]
    fn tolerance(&self) -> u64 {
        // The global timer has none.
        self.core.as_ref().map_or(0, |core| core.config.tolerance)
    }

    fn claim(&self) -> Result<Claim, RegisterError> {
        self.core().claim_with(Shard::claim_at_hand)
    }

    #[inline]
    fn arm(&self, at: Ticks, waker: &Waker) -> Result<Claim, RegisterError> {
        let claim = self.core().claim_with(|shard| shard.arm_at_hand(at, waker));
        self.told();
        claim
    }

    #[inline]
    unsafe fn attend(&self, claim: &mut Claim, at: Ticks, waker: &Waker) -> bool {
        let core = self.core();
        // A fork may have left a sleep behind that nobody drives. If a thread can't be had now, the
        // next poll tries again.
        let _ = core.start();
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

    #[inline]
    unsafe fn release(&self, claim: Claim, completed: bool) {
        // SAFETY: as above.
        unsafe { self.core().shard(&claim).release(claim, completed) }
    }

    fn stranded(&self) {
        let core = self.core();
        (&core.shards[thread_number() & (core.shards.len() - 1)]).stranded();
    }
}

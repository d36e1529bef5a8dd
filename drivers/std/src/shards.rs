//! What the handles of a timer share: its shards, and a driver for each.

mod driving;

pub(crate) use driving::Seat;

use std::task::Waker;

use moirai_timer_core::{Armed, Claim, Driver, Engine, Handle, RegisterError, Slots, Ticks};

use crate::builder::{Builder, Drive};
use crate::clock::{self, Clock};
use crate::contain::contain;
use crate::lateness::Recorder;
use crate::memory::{Segments, Wheel, memory};
use crate::parker::Parker;
use crate::sys::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::*};
use crate::sys::sync::{Arc, Mutex};
use crate::sys::{processor, thread, thread_number};
use crate::trace::Teller;
use crate::{Metrics, fork};

/// The engine of one shard.
pub(crate) type Shard = Engine<ShardDriver, Segments, Wheel>;

/// What a shard knows of the platform. The sleeping is done by whoever turns all shards.
#[derive(Debug)]
pub(crate) struct ShardDriver {
    clock: Clock,
    parker: Arc<Parker>,
    lateness: Recorder,
    panics: AtomicU64,
    pub(crate) teller: Teller,
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

    /// A virtual clock has nobody who would turn again.
    fn may_drain(&self) -> bool {
        !self.clock.is_virtual()
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
        contain(
            || waker.wake(),
            |payload| {
                self.panics.fetch_add(1, Relaxed);
                self.teller.waker_panicked(payload);
            },
        );
    }

    /// How many timers turns have fired.
    #[cfg(feature = "tracing")]
    pub(crate) fn fired(&self) -> u64 {
        self.lateness.count()
    }
}

/// Everything of a timer that its handles share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Clock,
    /// A power of two of them.
    pub(crate) shards: Box<[Shard]>,
    /// The threads with a number below this are the keepers of the shards with their numbers. None, if the timer
    /// may have only so many sleeps: others would find a slot less. Nor on a virtual clock, where the order of
    /// what is due together is not to depend on a thread's number.
    keepers: usize,
    pub(crate) parker: Arc<Parker>,
    config: Builder,
    /// The generation of the process in which a thread was started; see `fork`. 0: never.
    started: AtomicU32,
    /// The generation of the process in which a thread drives: of those that several callers started
    /// at once, the first.
    driven: AtomicU32,
    /// Callers of `turn` that have not returned.
    turning: AtomicUsize,
    /// Without a thread: whether a caller of `block_on` drives the timer, and those that wait
    /// for their chance to.
    seat: Mutex<Seat>,
}

impl Core {
    pub(crate) fn new(config: Builder) -> Arc<Core> {
        Core::with_clock(config, Clock::System)
    }

    pub(crate) fn with_clock(config: Builder, clock: Clock) -> Arc<Core> {
        let parker = Arc::new(Parker::new());
        let shards = (0..config.shards)
            .map(|number| {
                let driver = ShardDriver {
                    clock: clock.clone(),
                    parker: parker.clone(),
                    lateness: Recorder::new(),
                    panics: AtomicU64::new(0),
                    teller: Teller::new(&config, number),
                };
                let (slots, growing) = memory(config.share());
                Engine::with_parts(driver, slots, Wheel::with_memory(growing))
            })
            .collect();
        let core = Arc::new(Core {
            keepers: if config.is_limited() || clock.is_virtual() { 0 } else { config.shards },
            clock,
            shards,
            parker,
            config,
            started: AtomicU32::new(0),
            driven: AtomicU32::new(0),
            turning: AtomicUsize::new(0),
            seat: Mutex::default(),
        });
        fork::watch(&core);
        core
    }

    /// The number of this thread's shard.
    #[inline]
    pub(crate) fn home(&self) -> usize {
        thread_number() & (self.shards.len() - 1)
    }

    /// The number of the shard whose keeper this thread is.
    #[inline]
    fn keeper_of(&self) -> Option<usize> {
        let number = thread_number();
        (number < self.keepers).then_some(number)
    }

    /// Asks this thread's shard for a claim, and, if it has none at hand, all of them.
    #[inline]
    pub(crate) fn claim_with(
        self: &Arc<Self>,
        ask: impl Fn(&Shard) -> Result<Claim, RegisterError>,
    ) -> Result<Claim, RegisterError> {
        self.start()?;
        let home = self.home();
        self.or_by_force(home, ask(&self.shards[home]), ask)
    }

    #[inline]
    pub(crate) fn arm(self: &Arc<Self>, at: Ticks, waker: &Waker) -> Result<Claim, RegisterError> {
        let ask = |shard: &Shard| shard.arm_at_hand(at, waker);
        let Some(home) = self.keeper_of() else { return self.claim_with(ask) };
        self.start()?;
        // SAFETY: no other thread has this number as its own, nor had it since this one has.
        let answer = unsafe { self.shards[home].arm_as_keeper(at, waker) };
        self.or_by_force(home, answer, ask)
    }

    /// # Safety
    /// As of `Handle::release`.
    #[inline]
    pub(crate) unsafe fn release(&self, claim: Claim, completed: bool) {
        let shard = self.shard(&claim);
        if self.keeper_of() == Some(claim.shard() as usize) {
            // SAFETY: as the caller's, and no other thread has this number as its own.
            unsafe { shard.release_as_keeper(claim, completed) }
        } else {
            // SAFETY: as the caller's.
            unsafe { shard.release(claim, completed) }
        }
    }

    #[inline]
    fn or_by_force(
        &self,
        home: usize,
        answer: Result<Claim, RegisterError>,
        ask: impl Fn(&Shard) -> Result<Claim, RegisterError>,
    ) -> Result<Claim, RegisterError> {
        match answer {
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
                if grown {
                    shard.driver().teller.grown(shard.slots().capacity());
                    self.prepare_next(shard);
                }
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

    /// Has the thread, if there is one, prepare the slots that will be put to use next.
    fn prepare_next(&self, shard: &Shard) {
        if matches!(self.config.drive, Drive::Thread(_)) && shard.slots().unprepared().is_some() {
            self.parker.ask_for_room(processor());
        }
    }

    /// For what is told of the timer, and not of a shard.
    pub(crate) fn teller(&self) -> &Teller {
        &self.shards[0].driver().teller
    }

    pub(crate) fn shard(&self, claim: &Claim) -> &Shard {
        &self.shards[claim.shard() as usize]
    }

    /// Of each shard, without waking anything; see `Timer::next_deadline`. Waits for turns that are under way.
    pub(crate) fn next_deadlines(&self) -> impl Iterator<Item = Option<Ticks>> {
        self.shards.iter().map(|shard| {
            let _alone = self.clock.alone();
            Some(between_turns(|| shard.next_deadline())).filter(|at| !at.is_never())
        })
    }

    /// Of all shards that are not being turned at this moment. Does not wait.
    pub(crate) fn next_deadline_known(&self) -> Option<Ticks> {
        let _alone = self.clock.alone();
        self.shards.iter().filter_map(Shard::next_deadline).min().filter(|at| !at.is_never())
    }

    /// Over all shards. Waits for turns that are under way.
    pub(crate) fn metrics(&self) -> Metrics {
        let _alone = self.clock.alone();
        let mut sum = Metrics::default();
        self.shards.iter().for_each(|shard| add_metrics(shard, &mut sum));
        sum
    }

    /// Of each shard. Waits for turns that are under way.
    pub(crate) fn shard_metrics(&self) -> Vec<Metrics> {
        let _alone = self.clock.alone();
        let of = |shard| {
            let mut metrics = Metrics::default();
            add_metrics(shard, &mut metrics);
            metrics
        };
        self.shards.iter().map(of).collect()
    }

    /// How many sleeps are armed; `None` while a turn is under way. Does not wait.
    pub(crate) fn armed(&self) -> Option<u64> {
        let _alone = self.clock.alone();
        self.shards.iter().map(|shard| Some(u64::from(shard.metrics()?.armed))).sum()
    }

    /// What the timer was built with.
    pub(crate) fn config(&self) -> &Builder {
        &self.config
    }

    /// What a sleep that asks for no tolerance gets, in ticks.
    #[inline]
    pub(crate) fn tolerance(&self) -> u64 {
        self.config.tolerance
    }

    /// Keeps turners out while the process is copied.
    pub(crate) fn freeze(&self) {
        for shard in &self.shards {
            while !shard.try_freeze() {
                thread::yield_now();
            }
        }
    }

    /// Undoes `freeze`; whether a turn has to follow.
    ///
    /// # Safety
    /// `freeze` was called, and has not been undone.
    pub(crate) unsafe fn thaw(&self) -> bool {
        // SAFETY: by the caller's promise this shard is frozen.
        let thaw = |wanted, shard: &Shard| unsafe { shard.thaw() } || wanted;
        self.shards.iter().fold(false, thaw)
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
}

/// Asks until no turn is under way.
fn between_turns<T>(ask: impl Fn() -> Option<T>) -> T {
    loop {
        match ask() {
            Some(answer) => return answer,
            None => thread::yield_now(),
        }
    }
}

/// Waits for a turn that is under way.
fn add_metrics(shard: &Shard, sum: &mut Metrics) {
    let part = between_turns(|| shard.metrics());
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

impl Drop for Core {
    fn drop(&mut self) {
        // Nobody can be waiting: sleeps hold a handle. The thread finds that we are gone, and ends.
        self.parker.pend();
    }
}

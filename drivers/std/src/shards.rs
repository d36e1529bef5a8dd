//! What the handles of a timer share: its shards, a driver for each, and the thread that turns them.

use std::sync::Weak;
use std::task::Waker;
use std::{mem, ptr};

use moirai_timer_core::{Armed, Claim, Driver, Engine, Handle, RegisterError, Slots, Ticks};

use crate::builder::{Builder, Drive};
use crate::clock::{self, Clock};
use crate::contain::contain;
use crate::lateness::Recorder;
use crate::memory::{Segments, Wheel, memory};
use crate::parker::{Parker, ROOM, Signal, Sleeper};
use crate::sys::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::*};
use crate::sys::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::sys::thread::{self, Thread};
use crate::sys::{start_thread, thread_number};
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

/// Who drives a timer without a thread.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    taken: bool,
    waiting: Vec<Thread>,
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
            self.parker.ask_for_room();
        }
    }

    /// Starts the thread, if there is to be one and it does not run in this process.
    #[inline]
    pub(crate) fn start(self: &Arc<Self>) -> Result<(), RegisterError> {
        let generation = fork::generation();
        if self.started.load(Relaxed) == generation {
            return Ok(());
        }
        self.start_in(generation)
    }

    /// Whoever comes before it is known to run starts one, too: they cannot rely on a thread that
    /// the system may refuse.
    #[cold]
    fn start_in(self: &Arc<Self>, generation: u32) -> Result<(), RegisterError> {
        let is_child = fork::is_child(generation);
        if let Drive::Thread(name) = &self.config.drive {
            let core = Arc::downgrade(self);
            let run = move || Core::run(&core, generation);
            if let Err(error) = start_thread(name.clone(), is_child, run) {
                self.teller().no_thread(&error);
                return Err(RegisterError::NoDriver);
            }
        }
        self.started.store(generation, SeqCst);
        if is_child && matches!(self.config.drive, Drive::Caller(_)) {
            // Those who were to rouse the program's loop may be threads that a child does not have.
            self.parker.pend();
        }
        Ok(())
    }

    /// The thread.
    fn run(core: &Weak<Core>, generation: u32) {
        /// Nanoseconds until the next try: who panics in every turn is not to take a processor.
        const AFTER_A_PANIC: u64 = 1_000_000;
        /// Nanoseconds before a deadline in which nothing else is done: more than a part of that takes.
        const SOON: u64 = 200_000;

        let Some(strong) = core.upgrade() else { return };
        if strong.driven.swap(generation, SeqCst) == generation {
            return;
        }
        crate::sys::minimise_timer_slack();
        let (parker, mut sleeper) = (strong.parker.clone(), Sleeper::new(&strong.config));
        // A subscriber of `tracing` may panic.
        let mut told = None;
        contain(|| told = Some(strong.teller().thread()), |_| {});
        drop(strong);
        let signal = Signal::current();
        let waker = Waker::from(signal.clone());
        // At once, whatever was asked of the thread that a forked child does not have.
        let mut next = Some(Ticks::ZERO);
        loop {
            signal.clear();
            let asked = parker.attend(&waker);
            // Not held while asleep: the last handle ends the timer.
            let Some(core) = core.upgrade() else { return };
            let quiet =
                |next: Option<Ticks>| next.is_none_or(|next| core.clock.now().after(SOON) < next);
            if asked != ROOM || !quiet(next) {
                next = Some(core.clock.now().after(AFTER_A_PANIC));
                // Wakers are contained, but a subscriber is not.
                contain(|| next = core.drive(), |_| {});
            }
            let roused = || signal.is_set() || parker.is_pended();
            let prepare = || core.shards.iter().any(|shard| shard.slots().prepare());
            while !roused() && quiet(next) && prepare() {}
            drop(core);
            sleeper.sleep(next, roused);
        }
    }

    /// For the one who drives; says when to come back.
    pub(crate) fn drive(&self) -> Option<Ticks> {
        self.turn_shards(Engine::drive_batch)
    }

    /// For anybody else, unless the timer was built for callers to drive.
    pub(crate) fn turn(&self) -> Option<Ticks> {
        if let Drive::Caller(Some(waker)) = &self.config.drive {
            self.parker.attend(waker);
            return self.drive();
        }
        self.turn_shards(Engine::turn_batch)
    }

    /// Turns all shards. While one has a million timers that are due, the others get their turn
    /// after each batch of its.
    fn turn_shards(&self, turn: impl Fn(&Shard) -> Option<Ticks>) -> Option<Ticks> {
        let _turning = Turning::begin(&self.turning);
        // On a virtual clock somebody has a lock that a subscriber may want, too.
        let span = (!self.clock.is_virtual()).then(|| self.teller().turn(&self.shards));
        let next = loop {
            let mut at_once = true;
            let turn_to_the_end = |shard: &Shard| loop {
                let next = turn(shard);
                if next != Some(Ticks::ZERO) {
                    return next;
                }
                at_once = false;
                let (now, news) = (self.clock.now(), self.parker.is_pended());
                let others = self.shards.iter().filter(|other| !ptr::eq(*other, shard));
                for other in others.filter(|other| news || other.alarm() <= now) {
                    let _ = turn(other);
                }
            };
            let next = self.shards.iter().filter_map(turn_to_the_end).min();
            // What the first of them said may be out of date by now.
            if at_once {
                break next;
            }
        };
        if let Some(span) = span {
            span.end(&self.shards, next);
        }
        next
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

    pub(crate) fn seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Becomes the one who drives a timer without a thread, or is told when to try again.
    fn take_seat(&self) -> Option<Seated<'_>> {
        let mut seat = self.seat();
        let me = thread::current();
        if seat.taken && seat.waiting.iter().all(|thread| thread.id() != me.id()) {
            seat.waiting.push(me);
        }
        (!mem::replace(&mut seat.taken, true)).then(|| Seated(self))
    }

    /// Sleeps until `woken`, driving the timer if nobody does.
    pub(crate) fn wait(
        self: &Arc<Self>,
        woken: &dyn Fn() -> bool,
        waker: &Waker,
        sleeper: &mut Option<Sleeper>,
    ) {
        if matches!(self.config.drive, Drive::Thread(_)) || self.clock.is_virtual() {
            // A fork may have left a sleep behind that nobody drives.
            let _ = self.start();
            while !woken() {
                thread::park();
            }
            return;
        }
        let sleeper = sleeper.get_or_insert_with(|| {
            crate::sys::minimise_timer_slack();
            Sleeper::new(&self.config)
        });
        let generation = fork::generation();
        while !woken() {
            let Some(seated) = self.take_seat() else {
                thread::park();
                continue;
            };
            self.parker.attend(waker);
            let next = self.drive();
            if fork::generation() != generation {
                // A child, forked by a waker: what waits has to be polled again. And the seat is another.
                mem::forget(seated);
                return;
            }
            sleeper.sleep(next, || woken() || self.parker.is_pended());
            drop(seated);
        }
    }
}

/// The one who drives a timer without a thread, until this is dropped.
struct Seated<'a>(&'a Core);

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        // The program's own loop, if there is one, was not told what happened meanwhile. Its waker may do
        // anything, also with this timer, so the seat is not locked when it is called.
        let own_loop = match &self.0.config.drive {
            Drive::Caller(Some(waker)) => Some(waker),
            _ => None,
        };
        if let Some(waker) = own_loop {
            self.0.parker.attend(waker);
        }
        let mut seat = self.0.seat();
        seat.taken = false;
        for thread in seat.waiting.drain(..) {
            thread.unpark();
        }
        drop(seat);
        own_loop.into_iter().for_each(Waker::wake_by_ref);
    }
}

/// A turn that is under way, until this is dropped.
struct Turning<'a>(&'a AtomicUsize);

impl<'a> Turning<'a> {
    fn begin(turning: &'a AtomicUsize) -> Self {
        turning.fetch_add(1, SeqCst);
        Turning(turning)
    }
}

impl Drop for Turning<'_> {
    fn drop(&mut self) {
        // In a child that was forked within the turn it was forgotten.
        let one_less = |turning: usize| turning.checked_sub(1);
        let _ = self.0.fetch_update(SeqCst, SeqCst, one_less);
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

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
    #[test]
    fn the_thread_prepares_the_slots_that_come_next() {
        let core = Core::new(Builder::default().shards(1));
        let shard = &core.shards[0];
        let claim = || core.claim_with(Shard::claim_at_hand).unwrap();
        let prepared = || {
            let start = Instant::now();
            while shard.slots().unprepared().is_some() {
                assert!(start.elapsed() < Duration::from_secs(120), "nobody does it");
                thread::yield_now();
            }
        };
        // As many as small segments have.
        let mut claims: Vec<_> = (0..16_128).map(|_| claim()).collect();
        prepared();
        let turns = || between_turns(|| shard.metrics()).turns;
        // The thread may be about to turn, as it was started, or was woken late; but not each time.
        let without_a_turn = (0..8).any(|_| {
            let before = turns();
            claims.extend((0..2_048).map(|_| claim()));
            prepared();
            turns() == before
        });
        assert!(without_a_turn);
        // SAFETY: the claims came from there.
        claims.into_iter().for_each(|claim| unsafe { core.release(claim, false) });
    }
    /// As in a child, where the thread that was asked for room is not.
    #[test]
    fn a_new_thread_turns_although_its_predecessor_was_asked_for_room_only() {
        let core = Core::new(Builder::default().without_thread());
        let claim = core.arm(core.clock.now(), Waker::noop()).unwrap();
        core.parker.attend(Waker::noop());
        core.parker.ask_for_room();
        let weak = Arc::downgrade(&core);
        let thread = std::thread::spawn(move || Core::run(&weak, 1));
        let start = Instant::now();
        while core.shards[core.home()].metrics().is_none_or(|metrics| metrics.fired == 0) {
            assert!(start.elapsed() < Duration::from_secs(120), "it does not turn");
            thread::yield_now();
        }
        // SAFETY: the claim came from there.
        unsafe { core.release(claim, false) };
        drop(core);
        thread.join().unwrap();
    }
}

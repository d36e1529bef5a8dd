//! The timer: registration on one side, the turn on the other, and the alarm between them.
//!
//! # Never lost
//!
//! Let *alarm* be the published time at which the driver will turn without being asked. Then, at
//! every moment at which nobody is inside a call, the alarm is at or before the earliest live
//! deadline, or a turn is pending:
//!
//! * A producer pushes its slot, *then* reads the alarm; if its deadline is earlier, it pends.
//! * A turner publishes the alarm, *then* looks at the queue once more.
//!
//! All four are sequentially consistent, so at least one of the two sees the other. If the turner
//! sees the slot, it lowers the alarm to suit it, and never raises it without looking once more.
//! Lowering needs no further look: a producer that read the alarm before had compared itself with
//! a later time, so it pended if it mattered. A producer with a deadline that is no earlier than
//! the alarm does nothing: the turn that comes at the alarm takes the queue before it looks at the
//! store.
//!
//! Whoever finds the exclusive section taken leaves a mark, and the one inside pends when it
//! leaves. So a turner that could not enter may sleep, whatever it failed to see.
//!
//! # Timeouts that are never needed
//!
//! Most timeouts are cancelled, many before the turn that they asked for has even begun. That turn
//! finds nothing armed. If it took the alarm away, the next timeout would have to ask for a turn
//! again, and the next. So it leaves the alarm where the timeout had wanted it: at the price of
//! one turn in vain then, all timeouts that are later ask for nothing.
//!
//! # Other turners
//!
//! Any number of callers may turn, also beside the driver. A turn may take a slot out of the queue
//! between its producer's push and the producer's reading of the alarm; the producer then finds an
//! alarm that suits it, and is content. So who lowers the alarm has to see to it that the driver
//! follows: the driver itself sets its own ([`Engine::drive`]), everybody else pends.

use core::task::Waker;
use core::time::Duration;

use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};

use crate::batch::{self, WakeBatch};
use crate::exclusive::{Exclusive, Section};
use crate::pool::{Chain, Pool};
use crate::prefetch::prefetch;
use crate::queue::CommandQueue;
use crate::slot::{Attended, Command, Ended, Expired, News, Released};
use crate::ticks::{duration_of, ticks_in};
use crate::{
    Armed, Claim, Driver, Handle, HeapStore, Inline, RegisterError, Slot, Slots, Store, Ticks,
};

/// A timer with room for `N` armed sleeps, all of it in the value itself.
///
/// An armed sleep takes 48 bytes on a 64-bit machine, 40 on a 32-bit one.
///
/// ```
/// use moirai_timer_core::{ManualDriver, Timer};
/// static TIMER: Timer<ManualDriver, 32> = Timer::new(ManualDriver::new());
/// ```
pub type Timer<D, const N: usize> = Engine<D, [Slot; N], HeapStore<Inline<N>>>;

/// How many commands a turn applies before it looks at the clock again.
const CHUNK: u32 = 64;

/// How many commands a caller of [`Engine::drain`] applies at most.
const HELPING: u32 = 256;

/// What producers write. On machines with caches it has lines of its own.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
#[derive(Debug)]
struct Producers {
    pool: Pool,
    queue: CommandQueue,
    /// Index plus one of a slot that may be revived; 0: none is known.
    cancelled: AtomicU32,
    stranded: AtomicU64,
}

/// What producers read and the turner writes.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
#[derive(Debug)]
struct Published {
    alarm: AtomicU64,
    closed: AtomicBool,
}

/// What belongs to whoever turns.
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
#[derive(Debug)]
struct Inside<S> {
    store: S,
    /// The rest of the batch that was taken last: index plus one of its first slot.
    backlog: u32,
    /// The earliest deadline of those that were cancelled before a turn saw them armed, since the
    /// alarm was published last.
    vain: Ticks,
    turns: u64,
    fired: u64,
    cancelled: u64,
}

/// A timer over any driver `D`, any place for slots `M`, and any store `S`; see [`Timer`].
///
/// All methods may be called from anywhere, interrupts included, unless they say otherwise; none
/// of them waits for another caller.
#[derive(Debug)]
pub struct Engine<D, M, S> {
    producers: Producers,
    published: Published,
    inside: Exclusive<Inside<S>>,
    driver: D,
    slots: M,
}

/// What has happened in a timer so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Metrics {
    /// Sleeps that are armed now, of those whose registration a turn has seen.
    pub armed: u32,
    /// Sleeps that were armed so far: those that are, and those that were and ended.
    pub registered: u64,
    /// Sleeps that reached their deadline.
    pub fired: u64,
    /// Sleeps that were dropped before their deadline.
    pub cancelled: u64,
    /// Polls that found no slot, and woke their task at once to try again.
    pub full_repolls: u64,
    /// Turns, each the visit of one caller to the exclusive section.
    pub turns: u64,
}

/// What a [`drain`](Engine::drain) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Drained {
    /// Commands that it applied.
    pub applied: u32,
    /// Slots that it gave back to the pool.
    pub freed: u32,
}

impl<D: Driver, const N: usize> Timer<D, N> {
    /// A timer with nothing armed.
    ///
    /// Fails to compile if `N` is 0 or more than 2^24, or the driver's clock has 0 ticks a second.
    pub const fn new(driver: D) -> Self {
        const { assert!(N > 0 && N <= 1 << 24, "a timer has 1 to 2^24 slots") };
        Engine::with_parts(driver, [const { Slot::new() }; N], HeapStore::new())
    }
}

impl<D: Driver, M: Slots, S: Store> Engine<D, M, S> {
    /// A timer made of its parts: none of the slots in use, the store empty.
    pub const fn with_parts(driver: D, slots: M, store: S) -> Self {
        const { assert!(D::TICK_HZ > 0, "a clock ticks") };
        Engine {
            producers: Producers {
                pool: Pool::new(),
                queue: CommandQueue::new(),
                cancelled: AtomicU32::new(0),
                stranded: AtomicU64::new(0),
            },
            published: Published {
                alarm: AtomicU64::new(Ticks::NEVER.get()),
                closed: AtomicBool::new(false),
            },
            inside: Exclusive::new(Inside {
                store,
                backlog: 0,
                vain: Ticks::NEVER,
                turns: 0,
                fired: 0,
                cancelled: 0,
            }),
            driver,
            slots,
        }
    }

    /// The driver.
    pub fn driver(&self) -> &D {
        &self.driver
    }

    /// Where the slots are.
    pub fn slots(&self) -> &M {
        &self.slots
    }

    // ---- the producers' side ----

    /// Takes a slot if there is one at hand: one that was cancelled, or one of the pool.
    #[inline]
    fn slot_at_hand(&self) -> Result<(u32, &Slot), RegisterError> {
        if self.published.closed.load(Relaxed) {
            return Err(RegisterError::ShutDown);
        }
        let cancelled = self.producers.cancelled.load(Relaxed);
        if cancelled != 0 {
            self.producers.cancelled.store(0, Relaxed);
            let slot = self.slots.slot(cancelled - 1);
            if slot.revive() {
                return Ok((cancelled - 1, slot));
            }
        }
        let index = self.producers.pool.take(&self.slots).ok_or(RegisterError::Full)?;
        Ok((index, self.slots.slot(index)))
    }

    /// Takes a slot if the pool has one at hand.
    ///
    /// # Errors
    /// [`Full`](RegisterError::Full), although a [`drain`](Self::drain) may find some;
    /// [`ShutDown`](RegisterError::ShutDown).
    pub fn claim_at_hand(&self) -> Result<Claim, RegisterError> {
        self.slot_at_hand().map(|(index, _)| Claim::new(index))
    }

    /// Takes a slot if the pool has one at hand, and arms it.
    ///
    /// # Errors
    /// As [`claim_at_hand`](Self::claim_at_hand).
    #[inline]
    pub fn arm_at_hand(&self, at: Ticks, waker: &Waker) -> Result<Claim, RegisterError> {
        // First, because it runs code of the task's: if that panics, no slot is lost.
        let waker = waker.clone();
        let (index, slot) = self.slot_at_hand()?;
        // SAFETY: the slot was handed to us, and the claim to it is made below.
        match unsafe { slot.arm(at, waker) } {
            Ok(news) => self.tell(slot, index, news, at),
            Err(_) => unreachable!("a slot that was just claimed is idle"),
        }
        Ok(Claim::new(index))
    }

    /// Asks for a claim until there is one, or nothing is left to drain.
    fn draining(
        &self,
        ask: impl Fn(&Self) -> Result<Claim, RegisterError>,
    ) -> Result<Claim, RegisterError> {
        loop {
            match ask(self) {
                Err(RegisterError::Full) if self.drain().applied > 0 => {}
                answer => return answer,
            }
        }
    }

    /// Refuses new sleeps from now on. Those that are armed still fire on time.
    pub fn shutdown(&self) {
        self.published.closed.store(true, Relaxed);
    }

    /// Whether [`shutdown`](Self::shutdown) was called.
    pub fn is_shut_down(&self) -> bool {
        self.published.closed.load(Relaxed)
    }

    #[inline]
    fn tell(&self, slot: &Slot, index: u32, news: News, at: Ticks) {
        match news {
            News::Silent => return,
            News::Merged => {}
            News::Push => self.producers.queue.push(slot, index),
        }
        if at.get() < self.published.alarm.load(SeqCst) {
            self.driver.pend();
        }
    }

    // ---- the turner's side ----

    /// Applies commands, without firing anything: what a producer does that finds the pool empty.
    ///
    /// Bounded; does nothing if somebody turns at this moment. Calls nobody's waker.
    pub fn drain(&self) -> Drained {
        let Some(mut inside) = self.inside.try_enter() else { return Drained::default() };
        let mut drained = Drained::default();
        if inside.backlog != 0 {
            drained = self.apply(&mut inside, HELPING);
        }
        if inside.backlog == 0 {
            inside.backlog = self.producers.queue.take(&self.slots);
            let rest = self.apply(&mut inside, HELPING - drained.applied.min(HELPING));
            drained.applied += rest.applied;
            drained.freed += rest.freed;
        }
        self.leave(inside);
        drained
    }

    /// Takes the news, wakes what is due, and says when there will be more to do.
    ///
    /// Anybody may do this at any time, beside the driver: if a deadline turns out to be earlier
    /// than the driver's alarm, [`Driver::pend`] is called. `None`: there is nothing to wait for,
    /// or another caller is inside.
    ///
    /// Wakes tasks: not to be called where a waker of the program's may not run.
    pub fn turn(&self) -> Option<Ticks> {
        self.visit(false)
    }

    /// Takes the news, wakes what is due, and says when to do so again: for whoever drives the
    /// timer, one caller at a time.
    ///
    /// The caller sees to it that it comes back at that time. `None`: there is nothing to wait
    /// for, or another caller is inside. Either way, if that changes, or an earlier deadline
    /// arrives, [`Driver::pend`] is called.
    pub fn drive(&self) -> Option<Ticks> {
        self.visit(true)
    }

    /// Drives, and sets the driver's alarm: what an interrupt handler calls, after it has
    /// acknowledged its interrupt.
    ///
    /// One caller at a time: the handler must not interrupt itself, nor run on two cores at once.
    pub fn on_alarm(&self) {
        while let Some(next) = self.drive() {
            if self.driver.arm(next) == Armed::Pending {
                return;
            }
        }
        self.driver.disarm();
    }

    fn visit(&self, drives: bool) -> Option<Ticks> {
        let mut batch = WakeBatch::new(&self.driver);
        let mut promised = 0;
        loop {
            let mut inside = self.inside.try_enter_or_mark()?;
            promised = self.published.alarm.load(Relaxed).max(promised);
            let next = self.pass(&mut inside, &mut batch);
            let lowered = self.published.alarm.load(Relaxed) < promised;
            self.leave(inside);
            if lowered && !drives {
                self.driver.pend();
            }
            batch.wake();
            if let Some(next) = next {
                return (!next.is_never()).then_some(next);
            }
        }
    }

    /// When the earliest sleep is due, of those that a turn has seen, or a little earlier if the
    /// store sorts by then. `None` also while another caller is inside.
    pub fn next_deadline(&self) -> Option<Ticks> {
        let inside = self.inside.try_enter()?;
        let first = inside.store.next().filter(|at| !at.is_never());
        self.leave(inside);
        first
    }

    /// What has happened so far; `None` while another caller is inside.
    ///
    /// Applies the commands that wait, so that they are counted.
    pub fn metrics(&self) -> Option<Metrics> {
        while self.drain().applied == HELPING {}
        let inside = self.inside.try_enter()?;
        let armed = inside.store.len();
        let metrics = Metrics {
            armed,
            registered: armed as u64 + inside.fired + inside.cancelled,
            fired: inside.fired,
            cancelled: inside.cancelled,
            full_repolls: self.producers.stranded.load(Relaxed),
            turns: inside.turns,
        };
        self.leave(inside);
        Some(metrics)
    }

    /// Keeps every turner out until [`thaw`](Self::thaw); false if somebody is inside.
    ///
    /// For the moment of a `fork`, which must not copy a store that is half-way changed. Producers
    /// are not affected.
    pub fn try_freeze(&self) -> bool {
        self.inside.try_enter().map(core::mem::forget).is_some()
    }

    /// Undoes a [`try_freeze`](Self::try_freeze) that returned true.
    ///
    /// # Safety
    /// It did return true, and has not been undone.
    pub unsafe fn thaw(&self) {
        // SAFETY: by the caller's promise the section was entered and forgotten.
        self.leave(unsafe { self.inside.resume() });
    }

    /// Forgets whom to wake, for all sleeps: each of them has to be polled again. The wakers are
    /// leaked.
    ///
    /// For a forked child, in which those that were to be woken run on threads that it does not
    /// have, and may have left locks taken that their wakers need. Looks at every slot that was
    /// ever used.
    ///
    /// # Safety
    /// Nobody else uses the timer at this time.
    pub unsafe fn forget_wakers(&self) {
        for index in 0..self.producers.pool.reach() {
            // SAFETY: by the caller's promise.
            unsafe { self.slots.slot(index).forget_waker() };
        }
    }

    fn leave(&self, inside: Section<'_, Inside<S>>) {
        if inside.leave() {
            self.driver.pend();
        }
    }

    /// One visit to the exclusive section. Ends with the next deadline, or with a full batch.
    fn pass(&self, inside: &mut Inside<S>, batch: &mut WakeBatch<'_, D>) -> Option<Ticks> {
        inside.turns += 1;
        if inside.backlog == 0 {
            inside.backlog = self.producers.queue.take(&self.slots);
        }
        loop {
            self.apply(inside, CHUNK);
            let fired = inside.fired;
            let all = self.fire(inside, batch);
            // A timer is moved a few times on its way, so this keeps up with any rate.
            inside.store.tidy(CHUNK as usize + 4 * (inside.fired - fired) as usize);
            if !all {
                return None;
            }
            if inside.backlog != 0 {
                continue;
            }
            let next = earliest(inside).min(inside.vain);
            self.published.alarm.store(next.get(), SeqCst);
            // Whoever pushed before that may have read the alarm of before.
            inside.backlog = self.producers.queue.take(&self.slots);
            if inside.backlog == 0 {
                inside.vain = Ticks::NEVER;
                return Some(next);
            }
            while inside.backlog != 0 {
                self.apply(inside, CHUNK);
            }
            // From here on the alarm is only lowered, so nobody needs to look again.
            let next = earliest(inside).min(inside.vain).min(next);
            self.published.alarm.store(next.get(), SeqCst);
            inside.vain = Ticks::NEVER;
            if next > self.driver.now() {
                return Some(next);
            }
        }
    }

    /// Moves what is due into the batch; false if the batch is too small.
    fn fire(&self, inside: &mut Inside<S>, batch: &mut WakeBatch<'_, D>) -> bool {
        if inside.store.is_empty() {
            return true;
        }
        let now = self.driver.now();
        loop {
            let mut due = heapless::Vec::<u32, { batch::SIZE }>::new();
            while due.len() < batch.room() {
                let Some(index) = inside.store.pop_due(now) else { break };
                let pushed = due.push(index);
                debug_assert!(pushed.is_ok(), "the batch has no more room than that");
            }
            if due.is_empty() {
                return !batch.is_full();
            }
            due.iter().for_each(|&index| prefetch(self.slots.slot(index)));
            // By reference: the whole vector would be moved for it.
            for &index in &due {
                self.expire(inside, index, now, batch);
            }
        }
    }

    /// Fires a slot that the store held to be due.
    fn expire(&self, inside: &mut Inside<S>, index: u32, now: Ticks, batch: &mut WakeBatch<'_, D>) {
        match self.slots.slot(index).expire(now) {
            Expired::Later(at) => inside.store.set(index, at),
            Expired::Released => {}
            Expired::Fired { at, waker, free } => {
                inside.fired += 1;
                self.driver.fired(now.since(at));
                if let Some(waker) = waker {
                    batch.add(waker);
                }
                if free {
                    self.producers.pool.give(&self.slots, index);
                }
            }
        }
    }

    /// Applies at most `limit` commands of the backlog to the store.
    fn apply(&self, inside: &mut Inside<S>, limit: u32) -> Drained {
        let mut free = Chain::new();
        let mut applied = 0;
        while inside.backlog != 0 && applied < limit {
            let index = inside.backlog - 1;
            let slot = self.slots.slot(index);
            inside.backlog = slot.next.load(Relaxed);
            let command = slot.accept();
            inside.cancelled += u64::from(slot.count_revived());
            match command {
                Command::Arm(at) => inside.store.set(index, at),
                // Nothing is armed. The store may still have what was, before it was revived.
                Command::Nothing => {
                    inside.store.remove(index);
                }
                Command::Free(ended, at) => {
                    if !inside.store.remove(index) && ended == Ended::Cancelled {
                        inside.vain = inside.vain.min(at);
                    }
                    inside.cancelled += (ended == Ended::Cancelled) as u64;
                    inside.fired += (ended == Ended::Completed) as u64;
                    free.add(slot, index);
                }
            }
            applied += 1;
        }
        let freed = free.len;
        self.producers.pool.give_chain(&self.slots, free);
        Drained { applied, freed }
    }
}

fn earliest(inside: &Inside<impl Store>) -> Ticks {
    inside.store.next().unwrap_or(Ticks::NEVER)
}

// SAFETY: a shared reference reaches one engine, always the same.
unsafe impl<D: Driver, M: Slots, S: Store> Handle for &Engine<D, M, S> {
    type Instant = Ticks;

    fn now(&self) -> Ticks {
        self.driver.now()
    }

    fn ticks_in(&self, duration: Duration) -> u64 {
        ticks_in(duration, D::TICK_HZ)
    }

    fn duration_of(&self, ticks: u64) -> Duration {
        duration_of(ticks, D::TICK_HZ)
    }

    fn ticks_at(&self, at: Ticks) -> Ticks {
        at
    }

    fn instant_at(&self, at: Ticks) -> Ticks {
        at
    }

    fn claim(&self) -> Result<Claim, RegisterError> {
        self.draining(Engine::claim_at_hand)
    }

    fn arm(&self, at: Ticks, waker: &Waker) -> Result<Claim, RegisterError> {
        self.draining(|engine| engine.arm_at_hand(at, waker))
    }

    unsafe fn attend(&self, claim: &mut Claim, at: Ticks, waker: &Waker) -> bool {
        let slot = self.slots.slot(claim.index());
        // SAFETY: a claim makes its bearer the holder; the caller vouches that it is this slot's.
        match unsafe { slot.attend(waker) } {
            Attended::Yes => true,
            Attended::Firing => false,
            // SAFETY: as above.
            Attended::Idle => match unsafe { slot.arm(at, waker.clone()) } {
                Ok(news) => {
                    self.tell(slot, claim.index(), news, at);
                    true
                }
                Err(_) => false,
            },
        }
    }

    unsafe fn move_to(&self, claim: &mut Claim, at: Ticks) {
        let slot = self.slots.slot(claim.index());
        let news = slot.move_to(at);
        self.tell(slot, claim.index(), news, at);
    }

    unsafe fn release(&self, claim: Claim, completed: bool) {
        let index = claim.index();
        let slot = self.slots.slot(index);
        let ended = if completed { Ended::Completed } else { Ended::Cancelled };
        // SAFETY: a claim makes its bearer the holder; the caller vouches that it is this slot's.
        let (goes, waker) = unsafe { slot.release(ended) };
        match goes {
            Released::Free => self.producers.pool.give(&self.slots, index),
            Released::Push => self.producers.queue.push(slot, index),
            Released::Left => self.producers.cancelled.store(index + 1, Relaxed),
        }
        // Last, because it runs code of the task's.
        drop(waker);
    }

    fn stranded(&self) {
        self.producers.stranded.fetch_add(1, Relaxed);
        #[cfg(feature = "defmt")]
        crate::format::warn_full(self.producers.stranded.load(Relaxed));
    }
}

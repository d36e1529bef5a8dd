//! The turn: what is done by whoever is inside the exclusive section.

use crate::batch::{self, WakeBatch};
use crate::pool::Chain;
use crate::prefetch::{PREFETCHES, prefetch};
use crate::slot::{Command, Ended, Expired};
use crate::sync::Ordering::*;
use crate::{Armed, Driver, Engine, Slots, Store, Ticks};

use super::{Drained, HELPING, Held, Inside};

/// How many commands a turn applies before it looks at the clock again.
const CHUNK: u32 = 64;

/// How many timers a turn sorts, or takes out of the store, before it leaves the section. Most that
/// are taken out fire, and fill the batch first; those that were moved further away do not.
const VISIT: usize = 256;

/// How many timers a turn pops before it looks at them.
const LOOKAHEAD: usize = if PREFETCHES { batch::SIZE } else { 1 };

impl<D: Driver, M: Slots, S: Store> Engine<D, M, S> {
    /// Applies commands, without firing anything: what a producer does that finds the pool empty.
    ///
    /// Those that an earlier call has taken and left, or else those that have come; 256 at most. Does nothing if
    /// somebody turns at this moment. Calls nobody's waker.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, TickCount, Timer};
    /// # static TIMER: Timer<ManualDriver, 1> = Timer::new(ManualDriver::new());
    /// drop(TIMER.try_sleep(TickCount(5)));
    /// assert_eq!(TIMER.drain().applied, 0); // it was never armed: there is no command
    /// ```
    #[cold]
    pub fn drain(&self) -> Drained {
        let Some(mut inside) = self.try_enter() else { return Drained::default() };
        self.take_news(&mut inside);
        let drained = self.apply(&mut inside, HELPING);
        self.leave(inside);
        drained
    }

    /// Enters, once all commands are applied that waited when this was called; `None` while another caller is
    /// inside.
    #[cold]
    pub(super) fn try_enter_up_to_date(&self) -> Option<Held<'_, D, S>> {
        let mut taken = false;
        loop {
            let mut inside = self.try_enter()?;
            let mut left = HELPING;
            while left > 0 {
                if inside.backlog == 0 {
                    if taken {
                        return Some(inside);
                    }
                    self.take_news(&mut inside);
                    taken = true;
                }
                left -= self.apply(&mut inside, left).applied;
            }
            // Others are to have their turn.
            self.leave(inside);
        }
    }

    /// Takes the news, wakes what is due, and says when there will be more to do.
    ///
    /// Anybody may do this at any time, beside the driver: if a deadline turns out to be earlier
    /// than the driver's alarm, [`Driver::pend`] is called. `None`: there is nothing to wait for,
    /// or another caller is inside.
    ///
    /// Wakes tasks: not to be called where a waker of the program's may not run.
    pub fn turn(&self) -> Option<Ticks> {
        self.visit(false, false)
    }

    /// As [`turn`](Self::turn), but wakes 32 tasks at most; a time that has passed says that there
    /// are more. For whoever has several timers to turn, none of which is to hold up the others.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, TickCount, Timer};
    /// # use core::{future::Future, pin::Pin, task::{Context, Waker}};
    /// # static TIMER: Timer<ManualDriver<1_000>, 40> = Timer::new(ManualDriver::new());
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let mut sleeps: [_; 40] = core::array::from_fn(|_| TIMER.sleep(TickCount(5)));
    /// for sleep in &mut sleeps {
    ///     assert!(Pin::new(sleep).poll(&mut cx).is_pending());
    /// }
    /// TIMER.driver().advance(5);
    /// assert!(TIMER.turn_batch().is_some_and(|at| at <= TIMER.now())); // 8 are left
    /// assert_eq!(TIMER.turn_batch(), None);
    /// ```
    pub fn turn_batch(&self) -> Option<Ticks> {
        self.visit(false, true)
    }

    /// Takes the news, wakes what is due, and says when to do so again: for whoever drives the
    /// timer, one caller at a time.
    ///
    /// The caller sees to it that it comes back at that time. `None`: there is nothing to wait
    /// for, or another caller is inside. Either way, if that changes, or an earlier deadline
    /// arrives, [`Driver::pend`] is called.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, TickCount, Timer};
    /// # use core::{future::Future, pin::Pin, task::{Context, Waker}};
    /// # static TIMER: Timer<ManualDriver<1_000>, 40> = Timer::new(ManualDriver::new());
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let mut sleep = TIMER.sleep(TickCount(5));
    /// assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
    /// # let wait_until_or_pended = |at| TIMER.driver().set(at);
    /// while let Some(next) = TIMER.drive() {
    ///     wait_until_or_pended(next);
    /// }
    /// assert!(Pin::new(&mut sleep).poll(&mut cx).is_ready());
    /// ```
    pub fn drive(&self) -> Option<Ticks> {
        self.visit(true, false)
    }

    /// As [`drive`](Self::drive), but wakes 32 tasks at most; a time that has passed says that there
    /// are more. For whoever drives several timers, none of which is to hold up the others.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, Timer};
    /// static TIMERS: [Timer<ManualDriver, 8>; 2] = [const { Timer::new(ManualDriver::new()) }; 2];
    ///
    /// let next = TIMERS.iter().filter_map(|timer| timer.drive_batch()).min();
    /// assert_eq!(next, None); // nothing is armed in either
    /// ```
    pub fn drive_batch(&self) -> Option<Ticks> {
        self.visit(true, true)
    }

    /// Drives, and sets the driver's alarm: what an interrupt handler calls, after it has
    /// acknowledged its interrupt.
    ///
    /// One caller at a time: the handler must not interrupt itself, nor run on two cores at once.
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, Timer};
    /// static TIMER: Timer<ManualDriver, 8> = Timer::new(ManualDriver::new());
    ///
    /// fn interrupt_handler() {
    ///     // TIMER.driver().acknowledge();
    ///     TIMER.on_alarm();
    /// }
    /// # interrupt_handler();
    /// ```
    pub fn on_alarm(&self) {
        // By batches, as a driver may have to look at its clock now and then.
        while let Some(next) = self.drive_batch() {
            if self.driver.arm(next) == Armed::Pending {
                return;
            }
        }
        self.driver.disarm();
    }

    fn visit(&self, drives: bool, once: bool) -> Option<Ticks> {
        let mut batch = WakeBatch::new(&self.driver);
        let mut promised = u64::MAX;
        loop {
            let mut inside = self.held(self.inside.try_enter_or_mark()?);
            if !drives {
                promised = self.published.alarm.load(Relaxed).min(promised);
            }
            let next = self.pass(&mut inside, &mut batch);
            let lowered = !drives && self.published.alarm.load(Relaxed) > promised;
            self.leave(inside);
            if lowered {
                self.driver.pend();
            }
            batch.wake();
            if let Some(next) = next {
                return (!next.is_never()).then_some(next);
            }
            if once {
                return Some(Ticks::ZERO);
            }
        }
    }

    /// One visit to the exclusive section. Ends with the next deadline; or without, when the batch is
    /// full, or there is more to apply or to sort: others are to have their turn.
    fn pass(&self, inside: &mut Inside<S>, batch: &mut WakeBatch<'_, D>) -> Option<Ticks> {
        inside.turns += 1;
        self.take_news(inside);
        self.apply(inside, CHUNK);
        let fired = inside.fired;
        let (all, now) = self.fire(inside, batch);
        // A timer is moved a few times on its way, so this keeps up with any rate.
        inside.store.tidy(CHUNK as usize + 4 * (inside.fired - fired) as usize);
        if !all || inside.backlog != 0 {
            return None;
        }
        if inside.fired == inside.fired_before && now >= self.alarm() {
            // The next is not to be in vain as well.
            if !self.refile(inside) {
                return None;
            }
            inside.vain_turns += 1;
        }
        inside.fired_before = inside.fired;
        let mut next = earliest(inside);
        self.published.alarm.store(next.mirrored().get(), SeqCst);
        // Whoever pushed before that may have read the alarm of before.
        self.take_news(inside);
        let news = inside.backlog != 0;
        if news {
            self.apply(inside, CHUNK);
            // From here on the alarm is only lowered, so nobody needs to look again.
            next = earliest(inside).min(next);
            self.published.alarm.store(next.mirrored().get(), SeqCst);
        }
        inside.vain = Ticks::NEVER.mirrored();
        let more = inside.backlog != 0 || news && next <= self.driver.now();
        (!more).then_some(next)
    }

    /// Moves what is due into the batch. Whether that was all of it, and the present, or zero if
    /// there was no need to ask for it.
    fn fire(&self, inside: &mut Inside<S>, batch: &mut WakeBatch<'_, D>) -> (bool, Ticks) {
        if inside.store.is_empty() && self.alarm().is_never() {
            return (true, Ticks::ZERO);
        }
        let now = self.driver.now();
        debug_assert!(!now.is_never(), "a clock ends before never");
        if !inside.store.sort(now, VISIT) {
            return (false, now);
        }
        let mut taken = 0;
        loop {
            let mut due = Popped { indices: heapless::Vec::new(), seen: 0, inside, now };
            while due.indices.len() < batch.room().min(LOOKAHEAD) {
                let Some(index) = due.inside.store.pop_due(now) else { break };
                let pushed = due.indices.push(index);
                debug_assert!(pushed.is_ok(), "the batch has no more room than that");
            }
            if due.indices.is_empty() {
                return (!batch.is_full(), now);
            }
            taken += due.indices.len();
            if PREFETCHES {
                due.indices.iter().for_each(|&index| prefetch(self.slots.slot(index)));
            }
            while let Some(&index) = due.indices.get(due.seen) {
                due.seen += 1;
                self.expire(due.inside, index, now, batch);
            }
            if taken >= VISIT {
                return (false, now);
            }
        }
    }

    /// Fires a slot that the store held to be due.
    fn expire(&self, inside: &mut Inside<S>, index: u32, now: Ticks, batch: &mut WakeBatch<'_, D>) {
        match self.slots.slot(index).expire(now) {
            Expired::Later(at) => inside.store.set(index, at),
            Expired::Released => {}
            Expired::Disarmed => inside.cancelled += 1,
            Expired::Fired { at, waker, free } => {
                inside.fired += 1;
                // First, so that it is not dropped in here if what follows panics.
                if let Some(waker) = waker {
                    batch.add(waker);
                }
                if free {
                    self.producers.pool.give(&self.slots, index);
                }
                self.driver.fired(now.since(at));
            }
        }
    }

    /// If the backlog is through, makes a new one of what is queued and the slot that is parked, and takes
    /// the slot that is kept out of the store. While there is one, both are left to be armed again, or a program
    /// that replaces its timeouts would queue them faster than they are applied.
    pub(super) fn take_news(&self, inside: &mut Inside<S>) {
        if inside.backlog == 0 {
            inside.backlog = self.producers.queue.take();
            if !self.producers.parked.is_empty() {
                self.collect(inside);
            }
            let kept = self.producers.kept.index();
            if let Some(index) = kept.filter(|&index| self.slots.slot(index).unfile_kept()) {
                inside.store.remove(index);
                inside.cancelled += 1;
            }
        }
    }

    #[inline(never)]
    fn collect(&self, inside: &mut Inside<S>) {
        let (parked, adopted) = self.producers.parked.take();
        inside.cancelled += adopted as u64;
        if let Some(index) = parked {
            self.slots.slot(index).next.store(inside.backlog, Relaxed);
            inside.backlog = index + 1;
        }
    }

    /// Files those anew that come first in the store, and have been moved further away. Whether that
    /// was all of them.
    #[cold]
    pub(super) fn refile(&self, inside: &mut Inside<S>) -> bool {
        for _ in 0..CHUNK {
            let Some((index, filed)) = inside.store.first() else { return true };
            match self.slots.slot(index).moved_from(filed) {
                Some(at) => inside.store.set(index, at),
                None => return true,
            }
        }
        false
    }

    /// Applies at most `limit` commands of the backlog to the store.
    pub(super) fn apply(&self, inside: &mut Inside<S>, limit: u32) -> Drained {
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
                Command::Disarm(at) => {
                    inside.store.remove(index);
                    inside.vain = inside.vain.max(at.mirrored());
                    inside.cancelled += 1;
                }
                Command::Free(ended, at) => {
                    inside.store.remove(index);
                    // Linked all the while since it was armed, or moved: no turn has seen its deadline.
                    if ended == Ended::Cancelled {
                        inside.vain = inside.vain.max(at.mirrored());
                    }
                    let cancelled = matches!(ended, Ended::Cancelled | Ended::CancelledUnlinked);
                    inside.cancelled += cancelled as u64;
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

/// What was popped, to be looked at one after the other. If a panic takes it away, the rest goes back.
struct Popped<'a, S: Store> {
    indices: heapless::Vec<u32, LOOKAHEAD>,
    seen: usize,
    inside: &'a mut Inside<S>,
    now: Ticks,
}

impl<S: Store> Drop for Popped<'_, S> {
    fn drop(&mut self) {
        // One alone has always been looked at.
        if LOOKAHEAD > 1 {
            for &index in self.indices.iter().skip(self.seen) {
                self.inside.store.set(index, self.now);
            }
        }
    }
}

/// When there is something to do.
fn earliest(inside: &Inside<impl Store>) -> Ticks {
    let first = inside.store.next().unwrap_or(Ticks::NEVER);
    first.min(inside.vain.mirrored())
}

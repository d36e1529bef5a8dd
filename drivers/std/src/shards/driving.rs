//! Who turns a timer's shards, and sleeps in between: its thread; or, without one, whoever waits for a sleep and
//! has the seat; or the program, by calls of `turn`.

use std::sync::Weak;
use std::task::Waker;
use std::{mem, ptr};

use moirai_timer_core::{Engine, RegisterError, Ticks};

use super::{Core, Shard};
use crate::builder::Drive;
use crate::contain::contain;
use crate::fork;
use crate::parker::{Signal, Sleeper};
use crate::sys::start_thread;
use crate::sys::sync::atomic::{AtomicUsize, Ordering::*};
use crate::sys::sync::{Arc, MutexGuard, PoisonError};
use crate::sys::thread::{self, Thread};

/// Who drives a timer without a thread.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    taken: bool,
    waiting: Vec<Thread>,
}

impl Core {
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
            let only_room = parker.attend(&waker);
            // Not held while asleep: the last handle ends the timer.
            let Some(core) = core.upgrade() else { return };
            let quiet =
                |next: Option<Ticks>| next.is_none_or(|next| core.clock.now().after(SOON) < next);
            if !only_room || !quiet(next) {
                next = Some(core.clock.now().after(AFTER_A_PANIC));
                // Wakers are contained, but a subscriber is not.
                contain(|| next = core.drive(), |_| {});
            }
            let roused = || signal.is_set() || parker.is_pended();
            while !roused() && quiet(next) && core.prepare() {}
            drop(core);
            sleeper.sleep(next, roused);
        }
    }

    /// Prepares a part of the slots that are put to use next, unless those who asked for it would have to wait
    /// meanwhile; whether it did. The system may let a thread begin on the processor of who woke it, and leave
    /// it there for a tenth of a second, although another is idle.
    fn prepare(&self) -> bool {
        !self.parker.is_in_their_way() && self.shards.iter().any(|shard| shard.slots().prepare())
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

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use crate::Builder;
    use crate::shards::between_turns;
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
                // It may have been in the way of this thread.
                core.parker.ask_for_room(None);
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

    #[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
    #[test]
    fn nothing_is_prepared_while_those_who_asked_wait_for_the_processor() {
        let core = Core::new(Builder::default().without_thread().shards(1));
        let slots = core.shards[0].slots();
        while slots.unprepared().is_none() {
            assert!(slots.grow());
        }
        // If this thread is moved between the two calls, a part is prepared; there is another.
        let left_alone = (0..2).any(|_| {
            core.parker.ask_for_room(crate::sys::processor());
            !core.prepare() && slots.unprepared().is_some()
        });
        assert!(left_alone);
        core.parker.ask_for_room(None);
        assert!(core.prepare());
    }

    /// As in a child, where the thread that was asked for room is not.
    #[test]
    fn a_new_thread_turns_although_its_predecessor_was_asked_for_room_only() {
        let core = Core::new(Builder::default().without_thread());
        let claim = core.arm(core.clock.now(), Waker::noop()).unwrap();
        core.parker.attend(Waker::noop());
        core.parker.ask_for_room(None);
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

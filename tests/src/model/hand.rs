//! How a program reaches its timer: the clock below it, and the handle above, which may be its keeper's.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;
use std::time::Duration;

use moirai_timer_core::{
    Armed, Claim, Driver, Engine, Handle, ManualDriver, RegisterError, Slot, Store, Ticks,
};
use portable_atomic::{AtomicU64, Ordering::SeqCst};

use super::checked::Checked;

/// A clock of one tick a millisecond, that adds up how late timers fire, and survives panics.
pub(super) struct Clock {
    pub(super) manual: ManualDriver<1_000>,
    pub(super) late: AtomicU64,
}

impl Driver for Clock {
    const TICK_HZ: u64 = 1_000;

    fn now(&self) -> Ticks {
        self.manual.now()
    }

    fn arm(&self, at: Ticks) -> Armed {
        self.manual.arm(at)
    }

    fn disarm(&self) {
        self.manual.disarm();
    }

    fn pend(&self) {
        self.manual.pend();
    }

    fn wake(&self, waker: Waker) {
        surviving(|| waker.wake());
    }

    fn fired(&self, late: u64) {
        self.late.fetch_add(late, SeqCst);
    }
}

/// What a waker panics with.
pub(super) struct OnPurpose;

/// What `body` returns, unless it panics on purpose.
pub(super) fn surviving<T>(body: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => Some(value),
        Err(panic) if panic.is::<OnPurpose>() => None,
        Err(panic) => resume_unwind(panic),
    }
}

pub(super) type Timer<S, const N: usize> = Engine<Clock, [Slot; N], Checked<S>>;

/// How a program reaches its timer.
pub(super) struct Hand<'a, S: Store, const N: usize> {
    pub(super) timer: &'a Timer<S, N>,
    /// For the keeper: how many more slots it may hold. The timer has one more than those, as others may find
    /// one less.
    pub(super) room: Option<&'a Cell<usize>>,
}

impl<S: Store, const N: usize> Clone for Hand<'_, S, N> {
    fn clone(&self) -> Self {
        Hand { ..*self }
    }
}

impl<S: Store, const N: usize> Hand<'_, S, N> {
    /// Has the keeper ask for a slot.
    fn keeping(
        &self,
        room: &Cell<usize>,
        ask: impl Fn() -> Result<Claim, RegisterError>,
    ) -> Result<Claim, RegisterError> {
        if room.get() == 0 && !self.timer.is_shut_down() {
            return Err(RegisterError::Full);
        }
        let mut claim = ask();
        while claim.as_ref().err() == Some(&RegisterError::Full) {
            assert!(self.timer.drain().freed > 0, "a slot was lost");
            claim = ask();
        }
        if claim.is_ok() {
            room.set(room.get() - 1);
        }
        claim
    }
}

// SAFETY: clones reach one engine, and so does the engine's own handle. The keeper is the one thread that a
// program has.
unsafe impl<S: Store, const N: usize> Handle for Hand<'_, S, N> {
    type Instant = Ticks;

    fn now(&self) -> Ticks {
        self.timer.now()
    }

    fn ticks_in(&self, duration: Duration) -> u64 {
        self.timer.ticks_in(duration)
    }

    fn duration_of(&self, ticks: u64) -> Duration {
        self.timer.duration_of(ticks)
    }

    fn ticks_at(&self, at: Ticks) -> Ticks {
        at
    }

    fn instant_at(&self, at: Ticks) -> Ticks {
        at
    }

    fn claim(&self) -> Result<Claim, RegisterError> {
        match self.room {
            None => self.timer.claim(),
            Some(room) => self.keeping(room, || self.timer.claim_at_hand()),
        }
    }

    fn arm(&self, at: Ticks, waker: &Waker) -> Result<Claim, RegisterError> {
        match self.room {
            None => self.timer.arm(at, waker),
            // SAFETY: there is one thread.
            Some(room) => self.keeping(room, || unsafe { self.timer.arm_as_keeper(at, waker) }),
        }
    }

    unsafe fn attend(&self, claim: &mut Claim, at: Ticks, waker: &Waker) -> bool {
        // SAFETY: as the caller's.
        unsafe { self.timer.attend(claim, at, waker) }
    }

    unsafe fn move_to(&self, claim: &mut Claim, at: Ticks) {
        // SAFETY: as the caller's.
        unsafe { self.timer.move_to(claim, at) }
    }

    unsafe fn is_armed(&self, claim: &Claim) -> bool {
        // SAFETY: as the caller's.
        unsafe { self.timer.is_armed(claim) }
    }

    unsafe fn release(&self, claim: Claim, completed: bool) {
        let Some(room) = self.room else {
            // SAFETY: as the caller's.
            return unsafe { self.timer.release(claim, completed) };
        };
        room.set(room.get() + 1);
        // SAFETY: as the caller's, and there is one thread.
        unsafe { self.timer.release_as_keeper(claim, completed) }
    }

    fn stranded(&self) {
        self.timer.stranded();
    }
}

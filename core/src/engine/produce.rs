//! Registration: what is done from wherever the program's tasks are. Nobody waits here.

use core::task::Waker;
use core::time::Duration;

use crate::slot::{Attended, Ended, News, Released};
use crate::sync::Ordering::*;
use crate::ticks::{duration_of, ticks_in};
use crate::{Claim, Driver, Engine, Handle, RegisterError, Slot, Slots, Store, Ticks};

use super::{CROWD, SHARE};

impl<D: Driver, M: Slots, S: Store> Engine<D, M, S> {
    #[inline]
    fn check_open(&self) -> Result<(), RegisterError> {
        if self.published.closed.load(Relaxed) { Err(RegisterError::ShutDown) } else { Ok(()) }
    }

    /// Takes a slot if there is one at hand: one that was cancelled, or one of the pool.
    #[inline]
    fn slot_at_hand(&self) -> Result<(u32, &Slot), RegisterError> {
        // With what its holder knew: that there is a slot at this index.
        let cancelled = self.producers.cancelled.load(Acquire);
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
    ///
    /// ```
    /// # use core::task::Waker;
    /// # use moirai_timer_core::{Handle, ManualDriver, RegisterError, Ticks, Timer};
    /// # static TIMER: Timer<ManualDriver, 1> = Timer::new(ManualDriver::new());
    /// let claim = TIMER.claim_at_hand()?;
    /// assert_eq!(TIMER.claim_at_hand().unwrap_err(), RegisterError::Full);
    /// // SAFETY: it came from there.
    /// unsafe { (&TIMER).release(claim, false) };
    /// # Ok::<(), RegisterError>(())
    /// ```
    pub fn claim_at_hand(&self) -> Result<Claim, RegisterError> {
        self.check_open()?;
        self.slot_at_hand().map(|(index, _)| Claim::new(index))
    }

    /// Takes a slot if the pool has one at hand, and arms it.
    ///
    /// # Errors
    /// As [`claim_at_hand`](Self::claim_at_hand).
    ///
    /// ```
    /// # use core::task::Waker;
    /// # use moirai_timer_core::{Handle, ManualDriver, RegisterError, Ticks, Timer};
    /// # static TIMER: Timer<ManualDriver, 1> = Timer::new(ManualDriver::new());
    /// let claim = TIMER.arm_at_hand(Ticks::new(5), Waker::noop())?;
    /// assert_eq!(TIMER.metrics().map(|so_far| so_far.armed), Some(1));
    /// // SAFETY: it came from there.
    /// unsafe { (&TIMER).release(claim, false) };
    /// # Ok::<(), RegisterError>(())
    /// ```
    #[inline]
    pub fn arm_at_hand(&self, at: Ticks, waker: &Waker) -> Result<Claim, RegisterError> {
        // First, because it runs code of the task's: if that panics, no slot is lost.
        let waker = waker.clone();
        self.check_open()?;
        self.arm_any(at, waker)
    }

    #[inline]
    fn arm_any(&self, at: Ticks, waker: Waker) -> Result<Claim, RegisterError> {
        let (index, slot, news) = if let Some(index) = self.producers.parked.adopt() {
            let slot = self.slots.slot(index);
            // SAFETY: it was parked, and handed to us.
            (index, slot, unsafe { slot.adopt(at, waker) })
        } else {
            let (index, slot) = self.slot_at_hand()?;
            // SAFETY: the slot was handed to us, and the claim to it is made below.
            let Ok(news) = (unsafe { slot.arm(at, waker) }) else {
                unreachable!("a slot that was just claimed is idle")
            };
            (index, slot, news)
        };
        self.tell(slot, index, news, at);
        Ok(Claim::new(index))
    }

    /// As [`arm_at_hand`](Self::arm_at_hand), for the *keeper*: the one thread that may keep the slot of a sleep
    /// that it drops for the next one that it arms. That takes two atomic operations in place of four.
    ///
    /// # Errors
    /// As [`claim_at_hand`](Self::claim_at_hand). A slot that is kept is nobody else's: of `N` slots others
    /// may find one less.
    ///
    /// # Safety
    /// Calls of this and [`release_as_keeper`](Self::release_as_keeper) on one timer never overlap, as those of
    /// two threads or of a signal handler could, and each happens before the next. (One of them may clone or drop a
    /// waker, or call [`Driver::pend`]; what these call may be another.)
    ///
    /// ```
    /// # use core::task::Waker;
    /// # use moirai_timer_core::{ManualDriver, RegisterError, Ticks, Timer};
    /// # static TIMER: Timer<ManualDriver, 1> = Timer::new(ManualDriver::new());
    /// // SAFETY: there is one thread, and the claims come from there.
    /// unsafe {
    ///     let claim = TIMER.arm_as_keeper(Ticks::new(5), Waker::noop())?;
    ///     TIMER.release_as_keeper(claim, false);
    ///     let claim = TIMER.arm_as_keeper(Ticks::new(9), Waker::noop())?;
    ///     TIMER.release_as_keeper(claim, false);
    /// }
    /// assert_eq!(TIMER.metrics().map(|so_far| so_far.cancelled), Some(2));
    /// # Ok::<(), RegisterError>(())
    /// ```
    #[inline]
    pub unsafe fn arm_as_keeper(&self, at: Ticks, waker: &Waker) -> Result<Claim, RegisterError> {
        let waker = waker.clone();
        self.check_open()?;
        let Some(index) = self.producers.kept.take() else { return self.arm_any(at, waker) };
        let slot = self.slots.slot(index);
        // SAFETY: it was kept by us.
        let (news, unheard) = unsafe { slot.arm_kept(at, waker) };
        if unheard {
            self.producers.kept.count();
        }
        // Last, as it may pend, and the driver may do anything then.
        self.tell(slot, index, news, at);
        Ok(Claim::new(index))
    }

    /// As [`Handle::release`], for the keeper.
    ///
    /// # Safety
    /// As of that, and of [`arm_as_keeper`](Self::arm_as_keeper).
    ///
    /// ```
    /// # use moirai_timer_core::{ManualDriver, RegisterError, Timer};
    /// # static TIMER: Timer<ManualDriver, 1> = Timer::new(ManualDriver::new());
    /// let claim = TIMER.claim_at_hand()?;
    /// // SAFETY: there is one thread, and the claim came from there.
    /// unsafe { TIMER.release_as_keeper(claim, false) };
    /// # Ok::<(), RegisterError>(())
    /// ```
    #[inline]
    pub unsafe fn release_as_keeper(&self, claim: Claim, completed: bool) {
        let keeps = self.producers.kept.has_room();
        // SAFETY: as the caller's.
        unsafe { self.give_back(claim, completed, keeps) };
    }

    /// # Safety
    /// As of `release`, and of `release_as_keeper` for one that `keeps`.
    #[inline]
    unsafe fn give_back(&self, claim: Claim, completed: bool, keeps: bool) {
        let index = claim.index();
        let slot = self.slots.slot(index);
        let ended = if completed { Ended::Completed } else { Ended::Cancelled };
        // SAFETY: a claim makes its bearer the holder; the caller vouches that it is this slot's.
        let (goes, waker) = unsafe { slot.release(ended, keeps) };
        match goes {
            Released::Free => self.producers.pool.give(&self.slots, index),
            Released::Push => self.push(slot, index),
            Released::Park => self.park(index),
            Released::Left => self.producers.cancelled.store(index + 1, Release),
            Released::Kept => self.producers.kept.keep(index),
        }
        // Last, because it runs code of the task's.
        drop(waker);
    }

    /// Asks for a claim until there is one, or nothing is left to drain.
    ///
    /// The driver first. If its handler interrupts the caller, all is drained when `pend` returns. A caller that
    /// drains may be preempted itself, and the timer would stand still for as long as others have more urgent work.
    fn draining(
        &self,
        ask: impl Fn(&Self) -> Result<Claim, RegisterError>,
    ) -> Result<Claim, RegisterError> {
        let mut first = true;
        loop {
            match ask(self) {
                Err(RegisterError::Full) if first && !self.producers.queue.is_empty() => {
                    first = false;
                    self.driver.pend();
                }
                Err(RegisterError::Full) if self.drain().applied > 0 => {}
                answer => return answer,
            }
        }
    }

    #[inline]
    fn push(&self, slot: &Slot, index: u32) {
        let waiting = self.producers.queue.push(slot, index);
        if waiting >= CROWD && waiting.is_multiple_of(SHARE) {
            self.help();
        }
    }

    fn park(&self, index: u32) {
        if let Some(other) = self.producers.parked.park(index) {
            self.push(self.slots.slot(other), other);
        }
    }

    /// Applies more commands than have come since the last time. If millions of them gathered,
    /// those that are due among them would be late by the time that it takes to apply all.
    #[cold]
    fn help(&self) {
        if !self.driver.may_drain() {
            return;
        }
        let Some(mut inside) = self.try_enter() else { return };
        self.take_news(&mut inside);
        self.apply(&mut inside, 2 * SHARE);
        self.leave(inside);
    }

    #[inline]
    fn tell(&self, slot: &Slot, index: u32, news: News, at: Ticks) {
        match news {
            News::Silent => return,
            News::Merged => {}
            News::Push => self.push(slot, index),
        }
        if at.mirrored().get() > self.published.alarm.load(SeqCst) {
            self.driver.pend();
        }
    }
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

    fn tolerance(&self) -> u64 {
        self.tolerance
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

    unsafe fn is_armed(&self, claim: &Claim) -> bool {
        self.slots.slot(claim.index()).is_armed()
    }

    unsafe fn release(&self, claim: Claim, completed: bool) {
        // SAFETY: as the caller's.
        unsafe { self.give_back(claim, completed, false) };
    }

    fn stranded(&self) {
        #[cfg_attr(not(feature = "defmt"), expect(unused_variables))]
        let before = self.producers.stranded.fetch_add(1, Relaxed);
        #[cfg(feature = "defmt")]
        crate::format::warn_full(before + 1);
    }
}

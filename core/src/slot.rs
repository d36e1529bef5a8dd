//! One armed timer: its state word, and who owns the waker when.
//!
//! # The word
//!
//! Everything that two sides must agree on is one 64-bit word, so that each agreement is one
//! compare-and-swap: 60 bits of deadline, the *queued* flag, and the phase.
//!
//! The two sides are the **holder**, the one future that holds the slot's [`Claim`](crate::Claim),
//! and the **turner**, whoever has the engine's exclusive section.
//!
//! | phase | meaning | left by |
//! |---|---|---|
//! | `IDLE` | nothing is armed (all zeros: a slot needs no set-up) | holder: `ARMED`, released |
//! | `ARMED` | to be woken at the deadline | holder: `REPLACING`, released, kept; turner: `FIRING` |
//! | `REPLACING` | the holder is changing the waker | holder: `ARMED`; turner: `IDLE` |
//! | `FIRING` | the turner is moving the waker out | turner: `IDLE`; holder: released |
//! | released | the holder is gone (four phases, which say how it ended) | turner: back to the pool; new holder: `IDLE`, `ARMED` |
//! | kept | cancelled, and the holder is still there (see below) | holder: `ARMED`; turner: `IDLE` |
//!
//! *Queued* says that the slot is linked in the command queue, or that somebody has it who is about
//! to link it, or to adopt it. The holder sets it, together with the news that the turner has to
//! hear: armed, an earlier deadline, released. Whoever turns it from 0 to 1 links the slot, or parks
//! it for another to do so; nobody else may. The turner unlinks the slot, then clears the flag and, in
//! the same step, reads the news. So a slot is linked once at most, and commands for one slot merge: a
//! timer that is armed and cancelled before anyone looked is one entry that says *released*.
//!
//! A cancelled slot that is still linked can be **revived**: a new holder takes it back to `IDLE`,
//! arms it, and has nothing to push. So a stream of timeouts that are not needed goes round in one
//! slot, and the turner sees the last of them. One that is not linked is in the store; it is parked
//! first (see `parked`), and a new holder that gets it there **adopts** it: if its deadline is no
//! earlier, that is a later deadline as any other, and *queued* is taken back. If the old one has come up
//! meanwhile, the turner has put *never* in its place: the store has the slot no more, and it is linked.
//!
//! The holder may also stay, and **keep** the slot for its next deadline (see `kept`). If it is in the store, it
//! has the phase of a parked one, without *queued*: the turner makes it idle, and takes it out. If it is linked,
//! it is idle, with the deadline that it had; all others that are idle and queued have none, so the turner knows
//! what was cancelled there.
//!
//! A *later* deadline is no news. The holder changes the word, and the turner finds out when the
//! old deadline comes up in the store.
//!
//! # The Cell Owner Invariant
//!
//! The waker cell is written only by the holder, in `IDLE` and `REPLACING` and while it keeps the slot, and of
//! a slot that is parked by whoever has taken it from there. In `ARMED` and
//! `REPLACING` it has a waker, otherwise it is empty. The waker is taken by copying its bits, and
//! belongs to whoever moves the word out of `ARMED`: to the turner, which copies them in `FIRING`;
//! or to the holder, which copies them *before* it releases, because a slot that is released may
//! have another holder at once. As the turner only reads, the holder may look at the bits in any
//! phase.
//!
//! # Orderings
//!
//! Every change of the word is at least acquire-release: what a side wrote before it gave the cell
//! away is visible to the side that gets it. The change that brings a deadline forward is
//! sequentially consistent, because it stands for a push if the slot is queued; see `engine`.
//! Where a side is alone (an idle slot that is not queued, a released one that was unlinked) it
//! just stores.

use core::mem::{ManuallyDrop, MaybeUninit};
use core::task::Waker;

use crate::sync::{AtomicU16, AtomicU32, AtomicU64, Ordering::*, UnsafeCell};

use crate::Ticks;
use crate::kept::HAS_KEEPER;

const PHASE: u64 = 0b111;
const IDLE: u64 = 0;
const ARMED: u64 = 1;
const REPLACING: u64 = 2;
const FIRING: u64 = 3;
/// The released phases: from here on.
const RELEASED: u64 = Ended::Unarmed as u64;
const CANCELLED: u64 = Ended::Cancelled as u64;
const COMPLETED: u64 = Ended::Completed as u64;
const CANCELLED_UNLINKED: u64 = Ended::CancelledUnlinked as u64;
const QUEUED: u64 = 0b1000;
const FLAGS: u64 = PHASE | QUEUED;
/// The flags of a slot that was cancelled, is in the store, and still has a holder.
const KEPT: u64 = CANCELLED_UNLINKED;
const SHIFT: u32 = 4;

const fn word(at: Ticks, flags: u64) -> u64 {
    at.get() << SHIFT | flags
}

const fn deadline(word: u64) -> Ticks {
    Ticks::new(word >> SHIFT)
}

/// How a released slot ended: the released phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing was armed, or its firing has been counted.
    Unarmed = 4,
    /// It was dropped before its deadline.
    Cancelled = 5,
    /// Its holder saw the deadline pass before the turner did.
    Completed = 6,
    /// It was dropped before its deadline, and is in the store: parked, or somebody has it who is
    /// about to link it. It must not be revived: its new holder would rely on a link that may not
    /// be there.
    CancelledUnlinked = 7,
}

/// Room for one armed timer. Only for storage; it is used through an [`Engine`](crate::Engine).
///
/// All zeros is the initial state, so pools of slots can stand in `.bss` or fresh pages.
///
/// ```
/// # use moirai_timer_core::Slot;
/// static SLOTS: [Slot; 32] = [const { Slot::new() }; 32];
/// # assert_eq!(SLOTS.len(), 32);
/// ```
#[derive(Debug)]
pub struct Slot {
    word: AtomicU64,
    waker: UnsafeCell<MaybeUninit<Waker>>,
    /// The next slot in whichever list has this one: the command queue, a taken batch, or the
    /// pool's free list. An index plus one; 0 ends the list.
    pub(crate) next: AtomicU32,
    /// How often it was revived, modulo 2^16; written by the holder.
    revived: AtomicU16,
    /// How many of those have been counted; written by the turner.
    counted: AtomicU16,
}

// SAFETY: `word` and `next` are atomics, `Waker` is `Send` and `Sync`, and access to the cell is
// ordered by the Cell Owner Invariant.
unsafe impl Sync for Slot {}
// SAFETY: as above; nothing in a slot belongs to a thread.
unsafe impl Send for Slot {}

/// What the holder has to do after it changed the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum News {
    /// Link the slot into the command queue.
    Push,
    /// The slot is linked already; the turner will read the word as it now is.
    Merged,
    /// No news: the turner learns of it in its own time.
    Silent,
}

/// What became of an attempt to change the waker of an armed slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attended {
    /// The slot is armed and will wake the waker that was given.
    Yes,
    /// Nothing is armed: the deadline came up.
    Idle,
    /// The turner has the cell at this moment.
    Firing,
}

/// Where a released slot goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Released {
    /// Nobody knows of it any more: back to the pool.
    Free,
    /// Link it into the command queue, the turner frees it.
    Push,
    /// Park it: the next that is armed adopts it, or the turner frees it.
    Park,
    /// The turner comes past it and frees it.
    Left,
    /// The holder keeps it, disarmed.
    Kept,
}

/// What the turner reads when it takes a slot out of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Armed for this deadline.
    Arm(Ticks),
    /// The holder is gone: free it. It was armed for this deadline, unless it was not.
    Free(Ended, Ticks),
    /// It fired while it was queued, or was revived and is not armed yet.
    Nothing,
    /// It was armed for this deadline, and is kept.
    Disarm(Ticks),
}

/// What the turner finds when a slot's key comes up in the store.
#[derive(Debug)]
pub(crate) enum Expired {
    /// Due. The waker is to be woken outside the exclusive section.
    Fired { at: Ticks, waker: Option<Waker>, free: bool },
    /// The holder has moved the deadline further away.
    Later(Ticks),
    /// The holder released it, and its command is under way, or it is parked.
    Released,
    /// The holder keeps it, disarmed.
    Disarmed,
}

impl Slot {
    /// An idle slot.
    pub const fn new() -> Slot {
        Slot {
            word: AtomicU64::new(0),
            waker: UnsafeCell::new(MaybeUninit::uninit()),
            next: AtomicU32::new(0),
            revived: AtomicU16::new(0),
            counted: AtomicU16::new(0),
        }
    }

    /// Arms the slot. The waker is handed back if the turner has the cell, or if it is armed.
    ///
    /// # Safety
    /// The caller is the holder.
    pub(crate) unsafe fn arm(&self, at: Ticks, waker: Waker) -> Result<News, Waker> {
        let now = self.word.load(Acquire);
        if now & PHASE != IDLE {
            return Err(waker);
        }
        // SAFETY: Cell Owner Invariant: the phase is IDLE, which only the holder leaves.
        self.waker.with_mut(|cell| unsafe { (*cell).write(waker) });
        Ok(self.arm_filled(at, now).0)
    }

    /// Arms the slot, which is idle, and was seen as `now`; its cell has a waker. Also whether the turner was
    /// about to hear that it was cancelled, and will not.
    #[inline]
    fn arm_filled(&self, at: Ticks, mut now: u64) -> (News, bool) {
        let armed = word(at, ARMED | QUEUED);
        if now & QUEUED == 0 {
            // The turner does not know of it. The push publishes this, and the waker.
            self.word.store(armed, Release);
            return (News::Push, false);
        }
        // It fired, or was cancelled, while it was queued: the turner may clear QUEUED meanwhile.
        loop {
            match self.word.compare_exchange_weak(now, armed, SeqCst, Acquire) {
                Ok(_) if now & QUEUED == 0 => return (News::Push, false),
                Ok(_) => return (News::Merged, deadline(now) > Ticks::ZERO),
                Err(seen) => now = seen,
            }
        }
    }

    /// Sees to it that `waker`'s task is woken.
    ///
    /// # Safety
    /// The caller is the holder.
    pub(crate) unsafe fn attend(&self, waker: &Waker) -> Attended {
        let now = self.word.load(Acquire);
        match now & PHASE {
            IDLE => return Attended::Idle,
            FIRING => return Attended::Firing,
            _ => {}
        }
        // SAFETY: the cell has been written since the slot was last idle, and only the holder,
        // which is the caller, writes it. The turner may copy the bits out at the same time, and
        // consume them; `will_wake` compares the bits alone.
        if self.waker.with(|cell| unsafe { (*cell).assume_init_ref() }.will_wake(waker)) {
            return Attended::Yes;
        }
        // Cloning runs code of the task's: it may panic, and must not find the slot half-way.
        let fresh = waker.clone();
        if let Err(phase) = self.change_phase(ARMED, REPLACING) {
            return if phase == IDLE { Attended::Idle } else { Attended::Firing };
        }
        // SAFETY: Cell Owner Invariant: REPLACING is the holder's, and the cell has a waker.
        let stale = self.waker.with_mut(|cell| unsafe { (*cell).as_mut_ptr().replace(fresh) });
        let attended = match self.change_phase(REPLACING, ARMED) {
            Ok(()) => Attended::Yes,
            Err(_) => {
                // It fired meanwhile, and the turner left the waker to us.
                // SAFETY: Cell Owner Invariant: REPLACING and the IDLE that follows it are ours.
                drop(self.waker.with(|cell| unsafe { (*cell).assume_init_read() }));
                Attended::Idle
            }
        };
        drop(stale);
        attended
    }

    /// Forgets whom to wake, without dropping the waker: an armed slot stays armed, and its holder
    /// has to attend to it again.
    ///
    /// # Safety
    /// Nobody else uses the slot at this time.
    pub(crate) unsafe fn forget_waker(&self) {
        if self.word.load(Acquire) & PHASE == ARMED {
            // SAFETY: by the caller's promise nobody owns the cell but us.
            self.waker.with_mut(|cell| unsafe { (*cell).write(Waker::noop().clone()) });
        }
    }

    /// Moves between phases without touching deadline or flag; gives the phase that stood in the way.
    fn change_phase(&self, from: u64, to: u64) -> Result<(), u64> {
        self.word
            .fetch_update(AcqRel, Acquire, |w| (w & PHASE == from).then_some(w & !PHASE | to))
            .map(|_| ())
            .map_err(|w| w & PHASE)
    }

    /// Moves the deadline of an armed slot; an idle or firing one is left alone.
    ///
    /// To be called by the holder.
    pub(crate) fn move_to(&self, at: Ticks) -> News {
        let mut now = self.word.load(Relaxed);
        loop {
            if now & PHASE != ARMED {
                return News::Silent;
            }
            let sooner = at < deadline(now);
            let next = word(at, now & FLAGS | if sooner { QUEUED } else { 0 });
            match self.word.compare_exchange_weak(now, next, SeqCst, Relaxed) {
                Ok(_) if !sooner => return News::Silent,
                Ok(_) if now & QUEUED == 0 => return News::Push,
                Ok(_) => return News::Merged,
                Err(seen) => now = seen,
            }
        }
    }

    /// The holder leaves, and gets its waker back if it is still here. One that `keeps` stays, if the slot is
    /// disarmed by this, or was idle.
    ///
    /// # Safety
    /// The caller is the holder, and is none after this unless the answer is `Kept`.
    #[inline]
    pub(crate) unsafe fn release(&self, ended: Ended, keeps: bool) -> (Released, Option<Waker>) {
        let mut now = self.word.load(Acquire);
        while now & PHASE == ARMED {
            // SAFETY: in ARMED the cell has a waker, and as its holder we keep anybody else from
            // writing there. The copy is ours once the word has left ARMED, and no waker before.
            let waker = self.waker.with(|cell| unsafe { (*cell).assume_init_read() });
            let waker = ManuallyDrop::new(waker);
            let linked = now & QUEUED != 0;
            let (flags, goes) = match ended {
                // (One that was reset to the beginning of time would look as if it had fired.)
                Ended::Cancelled if keeps && deadline(now) > Ticks::ZERO => {
                    (if linked { IDLE | QUEUED } else { KEPT }, Released::Kept)
                }
                Ended::Cancelled if !linked => (CANCELLED_UNLINKED | QUEUED, Released::Park),
                _ => (ended as u64 | QUEUED, if linked { Released::Left } else { Released::Push }),
            };
            match self.word.compare_exchange_weak(now, now & !FLAGS | flags, AcqRel, Acquire) {
                Ok(_) => return (goes, Some(ManuallyDrop::into_inner(waker))),
                Err(seen) => now = seen,
            }
        }
        // Fired, or firing: counted by the turner.
        while now & FLAGS != IDLE {
            let next = now & !PHASE | Ended::Unarmed as u64;
            match self.word.compare_exchange_weak(now, next, AcqRel, Acquire) {
                Ok(_) => return (Released::Left, None),
                Err(seen) => now = seen,
            }
        }
        (if keeps { Released::Kept } else { Released::Free }, None)
    }

    /// Makes the caller the holder of a slot that was cancelled, and is still linked; whether that
    /// was so.
    #[inline]
    pub(crate) fn revive(&self) -> bool {
        let now = self.word.load(Relaxed);
        let uncounted = self.revived.load(Relaxed).wrapping_sub(self.counted.load(Relaxed));
        // Half the range is left for those who revive it between this look and the next step.
        if now & FLAGS != CANCELLED | QUEUED || uncounted > u16::MAX / 2 {
            return false;
        }
        if self.word.compare_exchange_weak(now, IDLE | QUEUED, AcqRel, Relaxed).is_err() {
            return false;
        }
        self.revived.store(self.revived.load(Relaxed).wrapping_add(1), Relaxed);
        true
    }

    /// Makes the caller the holder of a slot that was parked, and arms it.
    ///
    /// # Safety
    /// The caller has taken it from where it was parked.
    pub(crate) unsafe fn adopt(&self, at: Ticks, waker: Waker) -> News {
        // SAFETY: Cell Owner Invariant: the cell is empty, and the turner leaves the cell of a
        // released slot alone.
        self.waker.with_mut(|cell| unsafe { (*cell).write(waker) });
        // As long as the store has it, the turner comes past it at its old deadline.
        let is_later = |was| {
            was & PHASE == CANCELLED_UNLINKED && at >= deadline(was) && !deadline(was).is_never()
        };
        let arm = |was| Some(word(at, if is_later(was) { ARMED } else { ARMED | QUEUED }));
        let (Ok(was) | Err(was)) = self.word.fetch_update(AcqRel, Acquire, arm);
        if is_later(was) { News::Silent } else { News::Push }
    }

    /// Arms a slot that was kept. Also whether a sleep was cancelled there of which the turner does not hear.
    ///
    /// # Safety
    /// The caller has kept it.
    #[inline]
    pub(crate) unsafe fn arm_kept(&self, at: Ticks, waker: Waker) -> (News, bool) {
        // SAFETY: Cell Owner Invariant: the cell is empty and ours, as nothing is armed.
        self.waker.with_mut(|cell| unsafe { (*cell).write(waker) });
        // As long as the store has it, the turner comes past it at its old deadline.
        let later = |was| at >= deadline(was);
        let arm = |was| {
            let armed = word(at, if later(was) { ARMED } else { ARMED | QUEUED });
            (was & FLAGS == KEPT).then_some(armed)
        };
        match self.word.fetch_update(AcqRel, Acquire, arm) {
            Ok(was) if later(was) => (News::Silent, true),
            Ok(_) => (News::Push, true),
            Err(idle) => self.arm_filled(at, idle),
        }
    }

    /// Makes a slot idle that is kept and in the store; whether it was one. To be called by the turner, which
    /// takes it out.
    pub(crate) fn unfile_kept(&self) -> bool {
        let idle = |word| (word & FLAGS == KEPT).then_some(IDLE);
        self.word.fetch_update(AcqRel, Acquire, idle).is_ok()
    }

    /// The deadline, if it is after `filed`, under which the store has the slot. To be called by the
    /// turner.
    pub(crate) fn moved_from(&self, filed: Ticks) -> Option<Ticks> {
        let now = self.word.load(Acquire);
        let armed = matches!(now & PHASE, ARMED | REPLACING);
        (armed && deadline(now) > filed).then_some(deadline(now))
    }

    /// Whether the holder's waker will be woken at the deadline.
    pub(crate) fn is_armed(&self) -> bool {
        matches!(self.word.load(Relaxed) & PHASE, ARMED | REPLACING)
    }

    /// How often it was revived since it was asked last. To be called by the turner.
    pub(crate) fn count_revived(&self) -> u16 {
        let revived = self.revived.load(Relaxed);
        let new = revived.wrapping_sub(self.counted.load(Relaxed));
        self.counted.store(revived, Relaxed);
        new
    }

    /// The turner, which has just unlinked the slot, reads its news.
    pub(crate) fn accept(&self) -> Command {
        let step = |word| Some(if word & PHASE >= RELEASED { IDLE } else { word & !QUEUED });
        let (Ok(was) | Err(was)) = self.word.fetch_update(SeqCst, Acquire, step);
        debug_assert!(was & QUEUED != 0, "a linked slot is queued");
        match was & PHASE {
            ARMED | REPLACING => Command::Arm(deadline(was)),
            IDLE if HAS_KEEPER && deadline(was) > Ticks::ZERO => Command::Disarm(deadline(was)),
            IDLE | FIRING => Command::Nothing,
            _ => Command::free(was),
        }
    }

    /// The turner found the slot's key due at `now`.
    #[inline]
    pub(crate) fn expire(&self, now: Ticks) -> Expired {
        let fire = |word| {
            let phase = match word & PHASE {
                ARMED => FIRING,
                // The holder keeps the waker, and will find that its timer fired.
                REPLACING => IDLE,
                CANCELLED_UNLINKED if HAS_KEEPER && word & FLAGS == KEPT => return Some(IDLE),
                // The store has it no more: no deadline is a later one for whoever adopts it.
                CANCELLED_UNLINKED => {
                    return Some(self::word(Ticks::NEVER, QUEUED | CANCELLED_UNLINKED));
                }
                _ => return None,
            };
            (deadline(word) <= now).then_some(word & QUEUED | phase)
        };
        let at = match self.word.fetch_update(AcqRel, Acquire, fire) {
            Ok(was) if was & PHASE == ARMED => deadline(was),
            Ok(was) if HAS_KEEPER && was & FLAGS == KEPT => return Expired::Disarmed,
            Ok(was) if was & PHASE == CANCELLED_UNLINKED => return Expired::Released,
            Ok(was) => return Expired::Fired { at: deadline(was), waker: None, free: false },
            Err(was) if matches!(was & PHASE, ARMED | REPLACING) => {
                return Expired::Later(deadline(was));
            }
            Err(_) => return Expired::Released,
        };
        // SAFETY: Cell Owner Invariant: FIRING is the turner's, and the cell had a waker in ARMED.
        let waker = self.waker.with(|cell| unsafe { (*cell).assume_init_read() });
        let free = match self.change_phase(FIRING, IDLE) {
            Ok(()) => false,
            // Released while we had the cell: if it is queued too, its command frees it.
            Err(_) => {
                let unqueued = self.word.load(Acquire) & QUEUED == 0;
                if unqueued {
                    self.word.store(IDLE, Relaxed);
                }
                unqueued
            }
        };
        Expired::Fired { at, waker: Some(waker), free }
    }
}

impl Command {
    fn free(word: u64) -> Command {
        let ended = match word & PHASE {
            CANCELLED => Ended::Cancelled,
            CANCELLED_UNLINKED => Ended::CancelledUnlinked,
            COMPLETED => Ended::Completed,
            _ => Ended::Unarmed,
        };
        Command::Free(ended, deadline(word))
    }
}

impl Default for Slot {
    fn default() -> Slot {
        Slot::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    fn waker() -> Waker {
        Waker::from(Arc::new(Task))
    }

    /// A slot that was armed, cancelled, and is still linked.
    fn cancelled() -> Slot {
        let slot = Slot::new();
        // SAFETY: we hold it, until we release it.
        unsafe {
            assert_eq!(slot.arm(Ticks::new(5), waker()).unwrap(), News::Push);
            assert_eq!(slot.release(Ended::Cancelled, false).0, Released::Left);
        }
        slot
    }

    #[test]
    fn revivals_are_counted_before_their_counter_wraps() {
        const HALF: u16 = u16::MAX / 2;
        let slot = cancelled();
        slot.revived.store(HALF, Relaxed);
        assert!(slot.revive());
        assert_eq!((slot.count_revived(), slot.count_revived()), (HALF + 1, 0));

        let slot = cancelled();
        slot.revived.store(HALF + 1, Relaxed);
        assert!(!slot.revive(), "half the range is left");
        assert_eq!(slot.count_revived(), HALF + 1);
        assert!(slot.revive());
    }

    #[test]
    fn revivals_are_counted_across_the_wrap_of_their_counter() {
        let slot = cancelled();
        slot.revived.store(u16::MAX, Relaxed);
        slot.counted.store(u16::MAX - 1, Relaxed);
        assert!(slot.revive());
        assert_eq!(slot.count_revived(), 2);
    }
}

//! Hands out slots and takes them back, without a lock.
//!
//! Returned slots form a stack, linked through [`Slot::next`]. A pop reads the top slot's link and
//! swings the head to it; if meanwhile the slot was taken and returned, the link may be another,
//! so the head carries a count that every change advances (the "ABA" problem, and IBM's remedy for
//! it from the System/370). Slots that were never handed out need no links: they are taken in
//! order, which leaves the memory of a large pool untouched until it is used.

use crate::sync::{AtomicU32, AtomicU64, Ordering::*};

use crate::Slot;

/// Where the slots are.
///
/// Slots never move and never go away while a shared reference to the collection exists; it may
/// grow. Implemented by `[Slot; N]`.
///
/// # Example
///
/// Slots that somebody else has put somewhere:
///
/// ```
/// use moirai_timer_core::{Engine, HeapStore, Inline, ManualDriver, Slot, Slots};
///
/// struct Elsewhere(&'static [Slot; 8]);
///
/// impl Slots for Elsewhere {
///     fn capacity(&self) -> u32 {
///         8
///     }
///
///     fn slot(&self, index: u32) -> &Slot {
///         &self.0[index as usize]
///     }
/// }
///
/// static SLOTS: [Slot; 8] = [const { Slot::new() }; 8];
/// // No other timer has them.
/// static TIMER: Engine<ManualDriver, Elsewhere, HeapStore<Inline<8>>> =
///     Engine::with_parts(ManualDriver::new(), Elsewhere(&SLOTS), HeapStore::new());
/// # assert_eq!(TIMER.slots().capacity(), 8);
/// ```
pub trait Slots {
    /// How many there are now. At most 2^24.
    fn capacity(&self) -> u32;

    /// The slot at `index`, which is below a capacity that was seen before.
    ///
    /// # Panics
    /// May panic if `index` is not below the capacity.
    fn slot(&self, index: u32) -> &Slot;
}

/// So many slots, if a timer may have as many.
pub(crate) const fn room<const N: usize>() -> u32 {
    assert!(N > 0 && N <= 1 << 24, "a timer has 1 to 2^24 slots");
    N as u32
}

impl<const N: usize> Slots for [Slot; N] {
    fn capacity(&self) -> u32 {
        const { room::<N>() }
    }

    #[inline]
    fn slot(&self, index: u32) -> &Slot {
        &self[index as usize]
    }
}

/// The slots that nobody holds.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Index plus one of the top returned slot (0: none) below, count of changes above.
    head: AtomicU64,
    /// Slots from here on were never handed out.
    fresh: AtomicU32,
}

/// Slots on their way back, linked already, so that they return in one step.
pub(crate) struct Chain {
    first: u32,
    last: u32,
    pub(crate) len: u32,
}

impl Chain {
    pub(crate) const fn new() -> Chain {
        Chain { first: 0, last: 0, len: 0 }
    }

    pub(crate) fn add(&mut self, slot: &Slot, index: u32) {
        slot.next.store(self.first, Relaxed);
        self.first = index + 1;
        if self.len == 0 {
            self.last = index;
        }
        self.len += 1;
    }
}

const INDEX: u64 = u32::MAX as u64;

fn top(head: u64) -> u32 {
    (head & INDEX) as u32
}

fn successor(head: u64, top: u32) -> u64 {
    ((head >> 32).wrapping_add(1) << 32) | top as u64
}

impl Pool {
    pub(crate) const fn new() -> Pool {
        Pool { head: AtomicU64::new(0), fresh: AtomicU32::new(0) }
    }

    /// A slot that nobody else holds, if there is one.
    #[inline]
    pub(crate) fn take(&self, slots: &(impl Slots + ?Sized)) -> Option<u32> {
        let pop = |head| match top(head) {
            0 => None,
            top => Some(successor(head, slots.slot(top - 1).next.load(Relaxed))),
        };
        if let Ok(head) = self.head.fetch_update(AcqRel, Acquire, pop) {
            return Some(top(head) - 1);
        }
        self.fresh
            .fetch_update(Relaxed, Relaxed, |next| (next < slots.capacity()).then(|| next + 1))
            .ok()
    }

    /// How many slots have ever been handed out: those below this index.
    pub(crate) fn reach(&self) -> u32 {
        self.fresh.load(Relaxed)
    }

    /// Takes back the slots of `chain`.
    pub(crate) fn give_chain(&self, slots: &(impl Slots + ?Sized), chain: Chain) {
        if chain.len == 0 {
            return;
        }
        let last = &slots.slot(chain.last).next;
        let push = |head| {
            last.store(top(head), Relaxed);
            Some(successor(head, chain.first))
        };
        let pushed = self.head.fetch_update(Release, Relaxed, push);
        debug_assert!(pushed.is_ok(), "there is always a successor");
    }

    /// Takes back one slot.
    pub(crate) fn give(&self, slots: &(impl Slots + ?Sized), index: u32) {
        let mut chain = Chain::new();
        chain.add(slots.slot(index), index);
        self.give_chain(slots, chain);
    }
}

#[cfg(all(test, loom))]
mod models {
    //! A slot has one holder at a time, who sees what the last one left, and no slot is lost. Rule 2, never
    //! lost: of two holders one would overwrite the deadline of the other. Rule 6, dropped is gone: what is
    //! given back can be taken again, by one. Rule 8, full is visible: there is none only when all are held.
    //!
    //! Go red when: `successor` keeps the count; `give_chain` changes the head with less than release;
    //! `take` reads it anew with less than acquire, or counts fresh slots in two steps.

    // Loom runs its threads on one, and checks what they share.
    #![allow(clippy::arc_with_non_send_sync)]

    use super::*;
    use crate::sync::UnsafeCell;
    use loom::thread;
    use std::{format, sync::Arc};

    struct World {
        pool: Pool,
        slots: [Slot; 2],
        /// Stands for what only the holder of a slot may touch.
        held: [UnsafeCell<bool>; 2],
    }

    impl World {
        /// All slots have been handed out and have returned: the stack has them all.
        fn new() -> Arc<World> {
            let world = Arc::new(World {
                pool: Pool::new(),
                slots: [const { Slot::new() }; 2],
                held: [const { UnsafeCell::new(false) }; 2],
            });
            // Loom is to know of everything before the threads start.
            let _ = format!("{:?} {:?} {:?}", world.pool, world.slots, world.held);
            let taken = [(); 2].map(|()| world.take().unwrap());
            taken.into_iter().for_each(|index| world.give(index));
            world
        }

        fn take(&self) -> Option<u32> {
            let index = self.pool.take(&self.slots)?;
            self.set_held(index, true);
            Some(index)
        }

        fn give(&self, index: u32) {
            self.set_held(index, false);
            self.pool.give(&self.slots, index);
        }

        fn set_held(&self, index: u32, now: bool) {
            // SAFETY: the caller holds the slot; loom fails if it does not do so alone.
            let before = self.held[index as usize]
                .with_mut(|held| unsafe { core::mem::replace(&mut *held, now) });
            assert_ne!(before, now, "slot {index} has two holders");
        }
    }

    #[test]
    fn take_and_give() {
        loom::model(|| {
            let world = World::new();
            let other = thread::spawn({
                let world = world.clone();
                move || {
                    // The stack's top goes, the one below goes, the top returns: A, B, A.
                    let (top, below) = (world.take(), world.take());
                    if let Some(top) = top {
                        world.give(top);
                    }
                    below
                }
            });
            let mine = world.take();
            let theirs = other.join().unwrap();
            assert!(mine.is_none() || mine != theirs);
            let left = core::iter::from_fn(|| world.take()).count();
            assert_eq!(left + mine.iter().count() + theirs.iter().count(), 2, "none is lost");
        });
    }

    #[test]
    fn takers_of_fresh_slots() {
        loom::model(|| {
            let world = Arc::new((Pool::new(), [const { Slot::new() }; 2]));
            let _ = format!("{world:?}");
            let other = thread::spawn({
                let world = world.clone();
                move || world.0.take(&world.1)
            });
            let mut taken = [world.0.take(&world.1), other.join().unwrap()];
            taken.sort();
            assert_eq!(taken, [Some(0), Some(1)]);
            assert_eq!(world.0.take(&world.1), None);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn every_slot_is_handed_out_once_until_it_returns() {
        let slots = [const { Slot::new() }; 5];
        let pool = Pool::new();
        let mut taken: Vec<u32> = core::iter::from_fn(|| pool.take(&slots)).collect();
        taken.sort();
        assert_eq!(taken, [0, 1, 2, 3, 4]);
        pool.give(&slots, 3);
        let mut chain = Chain::new();
        chain.add(&slots[0], 0);
        chain.add(&slots[4], 4);
        pool.give_chain(&slots, chain);
        let mut again: Vec<u32> = core::iter::from_fn(|| pool.take(&slots)).collect();
        again.sort();
        assert_eq!(again, [0, 3, 4]);
    }

    #[test]
    fn an_empty_chain_changes_nothing() {
        let slots = [const { Slot::new() }; 1];
        let pool = Pool::new();
        pool.give_chain(&slots, Chain::new());
        assert_eq!(pool.take(&slots), Some(0));
        assert_eq!(pool.take(&slots), None);
    }

    #[test]
    fn a_returned_slot_changes_the_heads_count() {
        let slots = [const { Slot::new() }; 1];
        let pool = Pool::new();
        pool.give(&slots, pool.take(&slots).unwrap());
        let before = pool.head.load(Relaxed);
        pool.give(&slots, pool.take(&slots).unwrap());
        assert_eq!(before & INDEX, pool.head.load(Relaxed) & INDEX);
        assert_ne!(before, pool.head.load(Relaxed));
    }

    #[test]
    fn the_heads_count_may_wrap_around() {
        let slots = [const { Slot::new() }; 3];
        let pool = Pool::new();
        pool.head.store(u64::from(u32::MAX - 2) << 32, Relaxed);
        let mut held: Vec<u32> = core::iter::from_fn(|| pool.take(&slots)).collect();
        for _ in 0..4 {
            held.drain(..).for_each(|index| pool.give(&slots, index));
            held.extend(core::iter::from_fn(|| pool.take(&slots)));
            held.sort();
            assert_eq!(held, [0, 1, 2]);
        }
        assert!(pool.head.load(Relaxed) >> 32 < 30, "it has wrapped");
    }
}

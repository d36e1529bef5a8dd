//! The slot that one thread keeps between two of its sleeps.
//!
//! A program that replaces its timeouts drops one and arms another, over and over. Giving the slot back
//! and taking it again is a compare-and-swap each, with nobody to compete with: most threads have an
//! engine's pool for themselves. So one thread may be the *keeper*: it holds on to the slot that it drops,
//! disarmed, and arms it again. What it writes here nobody else does; the turner looks where the slot is.
//!
//! There is one on machines whose words have 64 bits. On a microcontroller, whose tasks have one core and
//! few slots, there is none.

use crate::sync::{AtomicU32, AtomicU64, Ordering::*};

/// Whether an engine has a keeper.
pub(crate) const HAS_KEEPER: bool = usize::BITS >= 64;

#[derive(Debug)]
pub(crate) struct Kept([Place; HAS_KEEPER as usize]);

#[derive(Debug)]
struct Place {
    /// Index plus one of the slot; 0: none.
    slot: AtomicU32,
    /// How many sleeps were cancelled here of which the turner did not hear.
    cancelled: AtomicU64,
}

impl Kept {
    pub(crate) const fn new() -> Kept {
        Kept(
            [const { Place { slot: AtomicU32::new(0), cancelled: AtomicU64::new(0) } };
                HAS_KEEPER as usize],
        )
    }

    /// For the keeper: whether a slot may be left here.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.0.iter().any(|place| place.slot.load(Relaxed) == 0)
    }

    /// For the keeper, if there is room.
    #[inline]
    pub(crate) fn keep(&self, index: u32) {
        for place in &self.0 {
            // With what its holder knew: that there is a slot at this index.
            place.slot.store(index + 1, Release);
        }
    }

    /// For the keeper: takes the slot that is here.
    #[inline]
    pub(crate) fn take(&self) -> Option<u32> {
        let place = self.0.first()?;
        let index = place.slot.load(Relaxed).checked_sub(1)?;
        place.slot.store(0, Relaxed);
        Some(index)
    }

    /// For the keeper: counts a sleep that was cancelled here, and of which the turner does not hear.
    #[inline]
    pub(crate) fn count(&self) {
        for place in &self.0 {
            place.cancelled.store(place.cancelled.load(Relaxed) + 1, Relaxed);
        }
    }

    /// For the turner: the slot that is, or was, here.
    #[inline]
    pub(crate) fn index(&self) -> Option<u32> {
        self.0.first()?.slot.load(Acquire).checked_sub(1)
    }

    /// How many were counted.
    pub(crate) fn cancelled(&self) -> u64 {
        self.0.iter().map(|place| place.cancelled.load(Relaxed)).sum()
    }
}

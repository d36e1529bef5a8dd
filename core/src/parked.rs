//! The one cancelled slot that waits for a new holder, before anybody is asked to take it out of the
//! store.
//!
//! A program that replaces its timeouts drops one and arms another, over and over. The one that it
//! drops stays in the store, under its deadline, and is parked here. The next that is armed adopts
//! it, and if its deadline is later, that is all: the turner finds out when the old one comes up, as it
//! does when a sleep is reset. Who parks another slot gets the one that was here, and queues it; a
//! turn takes what it finds.
//!
//! Whoever takes a slot out, by changing the word, is the only one to have it. So the word may be
//! the same again later without harm.

use crate::sync::{AtomicUsize, Ordering::*};

/// How many bits of the word are for an index. The rest counts adoptions, until a turn has added
/// them to its own count.
const INDEX_BITS: u32 = if usize::BITS >= 64 { 25 } else { 16 };
const INDEX: usize = (1 << INDEX_BITS) - 1;
const ONE: usize = 1 << INDEX_BITS;
/// Each time so many have been counted, a turn is asked for, long before the count wraps around.
const HALF: usize = 1 << (usize::BITS - 1);

#[derive(Debug)]
pub(crate) struct Parked {
    /// Index plus one of the slot, or 0: none; above it the count.
    word: AtomicUsize,
}

/// A slot that was adopted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Adopted {
    pub(crate) index: u32,
    /// False if a turn has to come and collect the count, before it wraps around.
    pub(crate) is_counted: bool,
}

impl Parked {
    pub(crate) const fn new() -> Parked {
        Parked { word: AtomicUsize::new(0) }
    }

    /// Leaves a slot here; gives back the one for which there is no room, to be queued.
    #[inline]
    pub(crate) fn park(&self, index: u32) -> Option<u32> {
        let named = index as usize + 1;
        if named > INDEX {
            return Some(index);
        }
        let mut seen = self.word.load(Relaxed);
        loop {
            match self.word.compare_exchange_weak(seen, seen & !INDEX | named, AcqRel, Relaxed) {
                Ok(_) => return slot(seen),
                Err(changed) => seen = changed,
            }
        }
    }

    /// Takes the slot for a new holder, and counts that.
    #[inline]
    pub(crate) fn adopt(&self) -> Option<Adopted> {
        let mut seen = self.word.load(Relaxed);
        loop {
            let index = slot(seen)?;
            let next = (seen & !INDEX).wrapping_add(ONE);
            match self.word.compare_exchange_weak(seen, next, AcqRel, Relaxed) {
                Ok(_) => return Some(Adopted { index, is_counted: next & (HALF - 1) != 0 }),
                Err(changed) => seen = changed,
            }
        }
    }

    /// For the turner: whether there is anything to [`collect`](Self::collect).
    #[inline]
    pub(crate) fn has_changed(&self, counted: usize) -> bool {
        self.word.load(Relaxed) != counted
    }

    /// For the turner: how many were adopted since it was asked last, and the slot that is here now.
    /// `counted` is for its own use, zero at first.
    pub(crate) fn collect(&self, counted: &mut usize) -> (u64, Option<u32>) {
        let seen = self.word.fetch_and(!INDEX, AcqRel);
        let before = core::mem::replace(counted, seen & !INDEX);
        let adopted = counted.wrapping_sub(before) >> INDEX_BITS;
        (adopted as u64, slot(seen))
    }
}

fn slot(word: usize) -> Option<u32> {
    ((word & INDEX) as u32).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slot_has_room() {
        let parked = Parked::new();
        assert_eq!(parked.adopt(), None);
        assert_eq!(parked.park(0), None);
        assert_eq!(parked.park(7), Some(0));
        assert_eq!(parked.adopt(), Some(Adopted { index: 7, is_counted: true }));
        assert_eq!(parked.adopt(), None);
        let largest = INDEX as u32 - 1;
        assert_eq!(parked.park(largest), None);
        assert_eq!(parked.park(largest + 1), Some(largest + 1), "too large to be kept");
        assert!(usize::BITS < 64 || largest >= 1 << 24, "where words are large, any slot is kept");
        let mut counted = 0;
        assert_eq!(parked.collect(&mut counted), (1, Some(largest)));
        assert_eq!(parked.collect(&mut counted), (0, None));
    }

    #[test]
    fn adoptions_are_counted_across_the_wrap_of_their_count() {
        let parked = Parked::new();
        let mut counted = 0usize.wrapping_sub(2 * ONE);
        parked.word.store(counted, Relaxed);
        let counted_on = [(); 4].map(|()| {
            assert_eq!(parked.park(3), None);
            parked.adopt().unwrap().is_counted
        });
        assert_eq!(counted_on, [true, false, true, true]);
        assert_eq!(parked.collect(&mut counted), (4, None));
    }

    #[test]
    fn a_turn_is_asked_for_twice_before_the_count_wraps_around() {
        let parked = Parked::new();
        parked.word.store(HALF - ONE, Relaxed);
        assert_eq!(parked.park(3), None);
        assert!(!parked.adopt().unwrap().is_counted);
    }
}

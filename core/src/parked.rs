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

/// How many bits of the word are for an index. The rest counts adoptions, until a turn takes them.
const INDEX_BITS: u32 = if usize::BITS >= 64 { 25 } else { 16 };
const INDEX: usize = (1 << INDEX_BITS) - 1;
const ONE: usize = 1 << INDEX_BITS;

#[derive(Debug)]
pub(crate) struct Parked {
    /// Index plus one of the slot, or 0: none; above it how many were adopted.
    word: AtomicUsize,
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

    /// Takes the slot for a new holder, and counts that; none if it can't be counted, until a turn
    /// has come.
    #[inline]
    pub(crate) fn adopt(&self) -> Option<u32> {
        let mut seen = self.word.load(Relaxed);
        loop {
            let index = slot(seen)?;
            let next = (seen & !INDEX).checked_add(ONE)?;
            match self.word.compare_exchange_weak(seen, next, AcqRel, Relaxed) {
                Ok(_) => return Some(index),
                Err(changed) => seen = changed,
            }
        }
    }

    /// For the turner: whether there is anything to [`take`](Self::take).
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.word.load(Relaxed) == 0
    }

    /// For the turner: the slot that is here now, and how many were adopted since it was asked last.
    pub(crate) fn take(&self) -> (Option<u32>, usize) {
        let seen = self.word.swap(0, AcqRel);
        (slot(seen), seen >> INDEX_BITS)
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
        assert!(parked.is_empty());
        assert_eq!(parked.adopt(), None);
        assert_eq!(parked.park(0), None);
        assert_eq!(parked.park(7), Some(0));
        assert_eq!(parked.adopt(), Some(7));
        assert_eq!(parked.adopt(), None);
        assert!(!parked.is_empty(), "there is something to be counted");
        let largest = INDEX as u32 - 1;
        assert_eq!(parked.park(largest), None);
        assert_eq!(parked.park(largest + 1), Some(largest + 1), "too large to be kept");
        assert!(usize::BITS < 64 || largest >= 1 << 24, "where words are large, any slot is kept");
        assert_eq!(parked.take(), (Some(largest), 1));
        assert_eq!(parked.take(), (None, 0));
        assert!(parked.is_empty());
    }

    #[test]
    fn what_cannot_be_counted_is_not_adopted() {
        let parked = Parked::new();
        parked.word.store(!INDEX - ONE, Relaxed);
        assert_eq!(parked.park(3), None);
        assert_eq!(parked.adopt(), Some(3));
        assert_eq!(parked.park(4), None);
        assert_eq!(parked.adopt(), None);
        assert_eq!(parked.take(), (Some(4), usize::MAX >> INDEX_BITS));
        assert_eq!(parked.park(5), None);
        assert_eq!(parked.adopt(), Some(5));
    }
}

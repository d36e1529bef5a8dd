//! Slots in segments that double in size, so that the pool grows and no slot ever moves; and room for the
//! heap, in vectors.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use moirai_timer_core::{HeapEntry, HeapMemory, HeapStore, Slot, Slots};

/// Slots in the first segment.
const FIRST: u32 = 64;
/// Segments of 64, 128, .. 2^23 slots: 2^24 - 64 in all.
const SEGMENTS: usize = 18;

/// The most slots that a timer can have.
pub(crate) const MOST: u32 = FIRST * ((1 << SEGMENTS) - 1);

#[derive(Debug)]
pub(crate) struct Segments {
    segments: [OnceLock<Box<[Slot]>>; SEGMENTS],
    capacity: AtomicU32,
    limit: u32,
}

/// The segment of an index, and the place in it.
fn place(index: u32) -> (usize, usize) {
    let shifted = index + FIRST;
    let segment = shifted.ilog2() - FIRST.ilog2();
    (segment as usize, (shifted - (FIRST << segment)) as usize)
}

impl Segments {
    pub(crate) const fn new(limit: u32) -> Self {
        let segments = [const { OnceLock::new() }; SEGMENTS];
        Segments { segments, capacity: AtomicU32::new(0), limit }
    }

    /// Adds a segment; false if the limit is reached.
    pub(crate) fn grow(&self) -> bool {
        let capacity = self.capacity.load(Relaxed);
        if capacity >= self.limit {
            return false;
        }
        let (segment, _) = place(capacity);
        let len = FIRST << segment;
        self.segments[segment].get_or_init(|| (0..len).map(|_| Slot::new()).collect());
        self.capacity.store((capacity + len).min(self.limit), Relaxed);
        true
    }
}

impl Slots for Segments {
    fn capacity(&self) -> u32 {
        self.capacity.load(Relaxed)
    }

    fn slot(&self, index: u32) -> &Slot {
        let (segment, offset) = place(index);
        let slots = self.segments[segment].get().expect("the index is below the capacity");
        &slots[offset]
    }
}

/// The deadlines in order.
pub(crate) type Heap = HeapStore<Growing>;

/// What a heap needs, in vectors.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    entries: Vec<HeapEntry>,
    positions: Vec<u32>,
}

impl HeapMemory for Growing {
    fn parts(&mut self) -> (&mut [HeapEntry], &mut [u32]) {
        (&mut self.entries, &mut self.positions)
    }

    fn entries(&self) -> &[HeapEntry] {
        &self.entries
    }

    fn reserve(&mut self, capacity: u32) {
        let len = (capacity as usize).next_multiple_of(FIRST as usize);
        self.entries.resize(len, HeapEntry::EMPTY);
        self.positions.resize(len, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_fill_one_segment_after_the_other() {
        assert_eq!(place(0), (0, 0));
        assert_eq!(place(63), (0, 63));
        assert_eq!(place(64), (1, 0));
        assert_eq!(place(191), (1, 127));
        assert_eq!(place(192), (2, 0));
        assert_eq!(place(MOST - 1), (SEGMENTS - 1, (1 << 23) - 1));
    }

    #[test]
    fn slots_stay_where_they_are_when_the_pool_grows() {
        let slots = Segments::new(1_000);
        assert_eq!(slots.capacity(), 0);
        assert!(slots.grow());
        let first: *const Slot = slots.slot(0);
        while slots.grow() {}
        assert_eq!(slots.capacity(), 1_000);
        assert_eq!(first, slots.slot(0) as *const Slot);
        let all: std::collections::HashSet<_> =
            (0..1_000).map(|index| slots.slot(index) as *const Slot).collect();
        assert_eq!(all.len(), 1_000);
    }
}

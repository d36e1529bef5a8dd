//! Slots in segments that double in size: the pool grows, and no slot ever moves.

use std::alloc::{Layout, alloc_zeroed};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::*};

use moirai_timer_core::{HeapEntry, HeapMemory, Slot, Slots};

/// Slots in the first segment. Small enough to stay in the first-level cache while they circulate.
const FIRST: u32 = 256;
/// Segments of 256, 512, .. 2^23 slots: 2^24 - 256 in all.
const SEGMENTS: usize = 16;

/// The most slots that one shard can have.
pub(crate) const MOST: u32 = FIRST * ((1 << SEGMENTS) - 1);

/// Slots that are there, and slots that will be when they are needed.
#[derive(Debug)]
pub(crate) struct Segments {
    segments: [OnceLock<Box<[Slot]>>; SEGMENTS],
    capacity: AtomicU32,
    limit: u32,
}

/// Fresh pages from the system are zero already, so a large segment costs nothing until it is used.
fn zeroed(len: u32) -> Box<[Slot]> {
    let layout = Layout::array::<Slot>(len as usize).expect("a segment is far below usize::MAX");
    // SAFETY: the layout's size is not zero.
    let memory = unsafe { alloc_zeroed(layout) };
    if memory.is_null() {
        std::alloc::handle_alloc_error(layout);
    }
    // SAFETY: the memory is what a box of this layout owns, and all zeros are `len` idle slots.
    unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(memory.cast(), len as usize)) }
}

impl Segments {
    pub(crate) const fn new(limit: u32) -> Self {
        Segments {
            segments: [const { OnceLock::new() }; SEGMENTS],
            capacity: AtomicU32::new(0),
            limit,
        }
    }

    /// Adds a segment; false if the limit is reached.
    ///
    /// Who grows at the same time as another may find that it was done, and has wasted a call of
    /// the allocator, but never waits.
    pub(crate) fn grow(&self) -> bool {
        let capacity = self.capacity.load(Acquire);
        if capacity >= self.limit {
            return false;
        }
        let (segment, _) = place(capacity);
        let len = FIRST << segment;
        let lost = self.segments[segment].set(zeroed(len));
        drop(lost);
        self.capacity.fetch_max((capacity + len).min(self.limit), Release);
        true
    }
}

/// The segment of an index, and the place in it.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let shifted = index + FIRST;
    let segment = shifted.ilog2() - FIRST.ilog2();
    (segment as usize, (shifted - (FIRST << segment)) as usize)
}

impl Slots for Segments {
    fn capacity(&self) -> u32 {
        self.capacity.load(Acquire)
    }

    #[inline]
    fn slot(&self, index: u32) -> &Slot {
        let (segment, offset) = place(index);
        &self.segments[segment].get().expect("the index is below the capacity")[offset]
    }
}

/// A heap's entries and positions, on the heap.
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
        self.entries.resize(capacity as usize, HeapEntry::EMPTY);
        self.positions.resize(capacity as usize, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_fill_one_segment_after_the_other() {
        assert_eq!(place(0), (0, 0));
        assert_eq!(place(255), (0, 255));
        assert_eq!(place(256), (1, 0));
        assert_eq!(place(767), (1, 511));
        assert_eq!(place(768), (2, 0));
        assert_eq!(place(MOST - 1), (SEGMENTS - 1, (1 << 23) - 1));
    }

    #[test]
    fn slots_stay_where_they_are_when_the_pool_grows() {
        let slots = Segments::new(2_000);
        assert_eq!(slots.capacity(), 0);
        assert!(slots.grow());
        let first: *const Slot = slots.slot(0);
        while slots.grow() {}
        assert_eq!(slots.capacity(), 2_000);
        assert_eq!(first, slots.slot(0) as *const Slot);
        let all: std::collections::HashSet<_> =
            (0..2_000).map(|index| slots.slot(index) as *const Slot).collect();
        assert_eq!(all.len(), 2_000);
    }
}

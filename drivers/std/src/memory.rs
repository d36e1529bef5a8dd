//! The memory of a shard. Slots are in segments that double in size: the pool grows, and no slot
//! ever moves.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;
use std::{ptr, slice};

use moirai_timer_core::{HeapEntry, Slot, Slots, WheelMemory, WheelNode, WheelStore};

use crate::sys;
use crate::sys::sync::atomic::{AtomicPtr, AtomicU32, Ordering::*};

/// Slots in the first segment. Small enough to stay in the first-level cache while they circulate.
const FIRST: u32 = 256;
/// Segments of 256, 512, .. 2^23 slots: 2^24 - 256 in all.
const SEGMENTS: usize = 16;

/// The most slots that one shard can have.
pub(crate) const MOST: u32 = FIRST * ((1 << SEGMENTS) - 1);

/// Slots that are there, and slots that will be when they are needed.
///
/// The Segment Invariant: entry `k` is null, or points to `FIRST << k` slots that stay where they
/// are until this is dropped. It changes once.
#[derive(Debug)]
pub(crate) struct Segments {
    segments: [AtomicPtr<Slot>; SEGMENTS],
    capacity: AtomicU32,
    limit: u32,
}

fn layout(segment: usize) -> Layout {
    Layout::array::<Slot>((FIRST as usize) << segment).expect("far below usize::MAX")
}

impl Segments {
    pub(crate) const fn new(limit: u32) -> Self {
        Segments {
            segments: [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS],
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
        let layout = layout(segment);
        // All zeros are idle slots. The system's fresh pages are zero already, so that a large
        // segment costs nothing until it is used.
        // SAFETY: the layout's size is not zero.
        let fresh: *mut Slot = unsafe { alloc_zeroed(layout) }.cast();
        if fresh.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: it was allocated above, and nobody else knows of it.
        sys::prefer_large_pages(unsafe {
            slice::from_raw_parts_mut(
                fresh.cast::<MaybeUninit<Slot>>(),
                (FIRST as usize) << segment,
            )
        });
        let set = self.segments[segment].compare_exchange(ptr::null_mut(), fresh, AcqRel, Acquire);
        if set.is_err() {
            // SAFETY: it was allocated above with this layout, and nobody has seen it.
            unsafe { dealloc(fresh.cast(), layout) };
        }
        self.capacity.fetch_max((capacity + (FIRST << segment)).min(self.limit), Release);
        true
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        for (segment, slots) in self.segments.iter_mut().enumerate() {
            if !slots.get_mut().is_null() {
                // SAFETY: by the Segment Invariant, and slots need no drop: a waker is in one only
                // while its holder is, and holders keep the timer.
                unsafe { dealloc((*slots.get_mut()).cast(), layout(segment)) };
            }
        }
    }
}

/// The segment of an index, and the place in it.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let shifted = index as usize + FIRST as usize;
    let segment = shifted.ilog2() - FIRST.ilog2();
    (segment as usize, shifted - ((FIRST as usize) << segment))
}

impl Slots for Segments {
    fn capacity(&self) -> u32 {
        self.capacity.load(Acquire)
    }

    #[inline]
    fn slot(&self, index: u32) -> &Slot {
        let (segment, offset) = place(index);
        let slots = self.segments[segment % SEGMENTS].load(Acquire);
        assert!(!slots.is_null(), "the index is below the capacity");
        // SAFETY: by the Segment Invariant; `place` gives offsets below the segment's length.
        unsafe { &*slots.add(offset) }
    }
}

/// The wheel of one shard: its heap takes what is due within 2^20 ns, a millisecond. Much less, and
/// timers are moved down a level more often; much more, and the heap of a busy timer leaves the cache.
pub(crate) type Wheel = WheelStore<Growing, 20, 8>;

/// How many nodes or entries are made at once: a page of nodes.
const STEP: usize = 256;

/// What a wheel needs, in vectors.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    near: Vec<HeapEntry>,
    nodes: Vec<WheelNode>,
}

impl WheelMemory for Growing {
    fn parts(&mut self) -> (&mut [HeapEntry], &mut [WheelNode]) {
        (&mut self.near, &mut self.nodes)
    }

    fn look(&self) -> (&[HeapEntry], &[WheelNode]) {
        (&self.near, &self.nodes)
    }

    /// Written little by little. Where the allocator moves pages and not bytes, as glibc's does with
    /// what is large, no step takes long.
    fn reserve(&mut self, capacity: u32) {
        let missing = (capacity as usize).next_multiple_of(STEP) - self.nodes.len();
        if self.nodes.capacity() - self.nodes.len() < missing {
            self.nodes.reserve(missing);
            sys::prefer_large_pages(self.nodes.spare_capacity_mut());
        }
        self.nodes.resize(self.nodes.len() + missing, WheelNode::EMPTY);
    }

    fn reserve_near(&mut self, len: u32) {
        let len = len as usize;
        if self.near.len() < len {
            self.near.resize(len.next_multiple_of(STEP), HeapEntry::EMPTY);
        }
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

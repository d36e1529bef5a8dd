//! The memory of a shard. Slots, and the store's nodes, are in segments that double in size: the pool
//! grows, nothing ever moves, and nothing is written before it is used.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::ops::{Index, IndexMut};
use std::ptr;

use moirai_timer_core::{HeapEntry, Slot, Slots, WheelMemory, WheelNode, WheelStore};

use crate::sys::sync::atomic::{AtomicPtr, AtomicU32, Ordering::*};

/// Slots in the first segment. Small enough to stay in the first-level cache while they circulate.
const FIRST: u32 = 256;
/// Segments of 256, 512, .. 2^23 slots: 2^24 - 256 in all.
const SEGMENTS: usize = 16;

/// The most slots that one shard can have.
pub(crate) const MOST: u32 = FIRST * ((1 << SEGMENTS) - 1);

/// A segment, all zeros. The system's fresh pages are zero already, so a large one costs nothing
/// until it is used; then, a page of 4 KiB at a time. Pages of 2 MiB are not asked for: they made no
/// difference to a million timers that fire, and the first touch of each took 5 ms on a virtual
/// machine.
///
/// # Safety
/// All zeros are a `T`, which takes some room.
unsafe fn zeroed<T>(segment: usize) -> Box<[T]> {
    let len = (FIRST as usize) << segment;
    let layout = Layout::array::<T>(len).expect("far below usize::MAX");
    // SAFETY: the layout's size is not zero, by the caller's promise.
    let start: *mut T = unsafe { alloc_zeroed(layout) }.cast();
    if start.is_null() {
        handle_alloc_error(layout);
    }
    // SAFETY: it was allocated above with the layout of such a box, and holds zeros.
    unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(start, len)) }
}

/// Slots that are there, and slots that will be when they are needed.
///
/// The Segment Invariant: entry `k` is null, or points to `FIRST << k` slots that came out of a box
/// and stay where they are until this is dropped. It changes once.
#[derive(Debug)]
pub(crate) struct Segments {
    segments: [AtomicPtr<Slot>; SEGMENTS],
    capacity: AtomicU32,
    limit: u32,
}

/// Puts a segment back into its box.
///
/// # Safety
/// It came out of one, and nobody uses it any more.
unsafe fn boxed(segment: usize, slots: *mut Slot) -> Box<[Slot]> {
    const { assert!(!std::mem::needs_drop::<Slot>(), "dropping it writes nothing") };
    // SAFETY: by the caller's promise.
    unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(slots, (FIRST as usize) << segment)) }
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
        // SAFETY: all zeros are an idle slot.
        let fresh = Box::into_raw(unsafe { zeroed::<Slot>(segment) }).cast::<Slot>();
        let set = self.segments[segment].compare_exchange(ptr::null_mut(), fresh, AcqRel, Acquire);
        if set.is_err() {
            // SAFETY: it came out of its box above, and nobody has seen it.
            drop(unsafe { boxed(segment, fresh) });
        }
        self.capacity.fetch_max((capacity + (FIRST << segment)).min(self.limit), Release);
        true
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        for (segment, slots) in self.segments.iter_mut().enumerate() {
            let slots = *slots.get_mut();
            if !slots.is_null() {
                // SAFETY: by the Segment Invariant, and whoever drops this is the last to use it.
                drop(unsafe { boxed(segment, slots) });
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

/// How many entries of the heap are made at once.
const STEP: usize = 256;

/// What a wheel needs.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    near: Vec<HeapEntry>,
    nodes: Nodes,
}

/// The nodes, in segments as the slots are. What has not been made is empty.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    segments: [Box<[WheelNode]>; SEGMENTS],
    capacity: u32,
}

impl Index<usize> for Nodes {
    type Output = WheelNode;

    #[inline]
    fn index(&self, index: usize) -> &WheelNode {
        let (segment, offset) = place(index as u32);
        &self.segments[segment % SEGMENTS][offset]
    }
}

impl IndexMut<usize> for Nodes {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut WheelNode {
        let (segment, offset) = place(index as u32);
        &mut self.segments[segment % SEGMENTS][offset]
    }
}

impl WheelMemory for Growing {
    type Nodes = Nodes;

    fn parts(&mut self) -> (&mut [HeapEntry], &mut Nodes) {
        (&mut self.near, &mut self.nodes)
    }

    fn look(&self) -> (&[HeapEntry], &Nodes) {
        (&self.near, &self.nodes)
    }

    #[inline]
    fn capacity(&self) -> u32 {
        self.nodes.capacity
    }

    #[cold]
    fn reserve(&mut self, capacity: u32) {
        let nodes = &mut self.nodes;
        while nodes.capacity < capacity {
            let (segment, _) = place(nodes.capacity);
            // SAFETY: all zeros are an empty node.
            nodes.segments[segment] = unsafe { zeroed(segment) };
            nodes.capacity += FIRST << segment;
        }
    }

    /// Where the allocator moves pages and not bytes, as glibc's does with what is large, no step
    /// takes long.
    #[inline]
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

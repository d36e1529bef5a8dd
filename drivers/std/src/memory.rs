//! The memory of a shard. Slots, and the store's nodes, are in segments that double in size: the pool
//! grows, nothing ever moves, and nothing is written before it is used. Large segments are put to use step
//! by step, and while one step is used up, the timer's thread has the system find memory for the next.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Index, IndexMut, Range};
use std::ptr;

use moirai_timer_core::{HeapEntry, Slot, Slots, WheelMemory, WheelNode, WheelStore};

use crate::sys;
use crate::sys::sync::Arc;
use crate::sys::sync::atomic::{AtomicPtr, AtomicU32, Ordering::*};

/// Slots in the first segment. Small enough to stay in the first-level cache while they circulate.
const FIRST: u32 = 256;
/// Segments of 256, 512, .. 2^23 slots: 2^24 - 256 in all.
const SEGMENTS: usize = 16;

/// The most slots that one shard can have.
pub(crate) const MOST: u32 = FIRST * ((1 << SEGMENTS) - 1);

/// Bytes in a line of the cache. On 64-bit machines a slot, and a node, is a whole part of one.
const LINE: usize = 64;

/// Slots in a segment.
const fn len(segment: usize) -> u32 {
    FIRST << segment
}

/// Slots in a segment that is put to use at once, at most. Where schedules are tried, none would come so far.
const SMALL: u32 = if cfg!(all(test, shuttle)) { 0 } else { 8_192 };

/// How many slots of a segment are put to use at once: all of a small one; of a large one so many that the
/// thread is seldom asked for more, and what lies ready is little beside what is in use.
fn step(segment: usize) -> u32 {
    match len(segment) {
        small @ ..=SMALL => small,
        large => (large / 32).clamp(SMALL / 4, 16_384),
    }
}

/// The segment of an index, and the place in it.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let shifted = index as usize + FIRST as usize;
    let segment = shifted.ilog2() - FIRST.ilog2();
    (segment as usize, shifted - ((FIRST as usize) << segment))
}

/// Segments of `T`. The system's fresh pages are zero already, so a large one costs nothing until it is used;
/// then, a page of 4 KiB at a time. Pages of 2 MiB are not asked for: they made no difference to a million
/// timers that fire, and the first touch of each took 5 ms on a virtual machine.
///
/// The Segment Invariant: entry `k` is null, or points to `len(k)` of `T`, which were all zeros, begin with a
/// line of the cache, and stay where they are until this is dropped. In front of them is a pointer to the
/// allocation that they are in. It changes once.
#[derive(Debug)]
struct Table<T>([AtomicPtr<T>; SEGMENTS]);

impl<T> Table<T> {
    /// # Safety
    /// All zeros are a `T`.
    unsafe fn new() -> Self {
        const {
            assert!(align_of::<T>() <= LINE && !std::mem::needs_drop::<T>());
            assert!(
                LINE.is_multiple_of(size_of::<T>()) || usize::BITS < 64,
                "none is in two lines"
            );
        }
        Table([const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS])
    }

    /// What is allocated for a segment: it, and a line, so that it can begin with one. (As the allocator aligns
    /// large blocks, half of all slots would be in two lines. It could be asked to align this one, but then the
    /// zeros are written.)
    fn layout(segment: usize) -> Layout {
        let size = size_of::<T>() * len(segment) as usize + LINE;
        Layout::from_size_align(size, align_of::<*mut u8>()).expect("far below usize::MAX")
    }

    /// Sees to it that a segment is there; false if there is no memory for it. Who does so at the same time as
    /// another may have wasted a call of the allocator, but never waits.
    #[must_use]
    fn make(&self, segment: usize) -> bool {
        if !self.0[segment].load(Acquire).is_null() {
            return true;
        }
        let layout = Self::layout(segment);
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        if memory.is_null() {
            return false;
        }
        // SAFETY: this is a pointer's size at least, since both ends are aligned for one, and a line at most.
        let start: *mut T = unsafe {
            let start = memory.add(LINE - memory.addr() % LINE);
            start.cast::<*mut u8>().sub(1).write(memory);
            start.cast()
        };
        let set = self.0[segment].compare_exchange(ptr::null_mut(), start, AcqRel, Acquire);
        if set.is_err() {
            // SAFETY: it was made above, and nobody has seen it.
            unsafe { Self::unmake(segment, start) };
        } else if step(segment) < len(segment) {
            sys::no_large_pages(memory, layout.size());
        }
        true
    }

    /// The same, for who can't do without it.
    fn make_or_abort(&self, segment: usize) {
        if !self.make(segment) {
            handle_alloc_error(Self::layout(segment));
        }
    }

    /// # Safety
    /// The segment was made, and nobody uses it any more.
    unsafe fn unmake(segment: usize, start: *mut T) {
        // SAFETY: by the Segment Invariant this is what was allocated, with that layout.
        unsafe { dealloc(start.cast::<*mut u8>().sub(1).read(), Self::layout(segment)) };
    }

    /// Where a `T` is, in a segment that was made.
    #[inline]
    fn at(&self, index: u32) -> *mut T {
        let (segment, offset) = place(index);
        let start = self.0[segment].load(Acquire);
        assert!(!start.is_null(), "the index is below the capacity");
        // SAFETY: by the Segment Invariant; `place` gives offsets below the segment's length.
        unsafe { start.add(offset) }
    }

    /// Has the system find memory for `count` from `index` on, which are in one segment that was made.
    fn populate(&self, index: u32, count: u32) {
        sys::populate(self.at(index).cast(), count as usize * size_of::<T>());
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        for (segment, start) in self.0.iter_mut().enumerate() {
            let start = *start.get_mut();
            if !start.is_null() {
                // SAFETY: whoever drops this is the last to use it.
                unsafe { Self::unmake(segment, start) };
            }
        }
    }
}

/// Slots that are there, and slots that will be when they are needed.
#[derive(Debug)]
pub(crate) struct Segments {
    slots: Table<Slot>,
    /// The wheel's: this makes and populates them, and never looks at one.
    nodes: Arc<Table<WheelNode>>,
    capacity: AtomicU32,
    limit: u32,
    /// Slots below this, and their nodes, have been prepared, or were put to use without.
    prepared: AtomicU32,
}

/// The memory of a shard that has at most `limit` slots.
pub(crate) fn memory(limit: u32) -> (Segments, Growing) {
    // SAFETY: all zeros are an idle slot, and an empty node.
    let (slots, nodes) = unsafe { (Table::new(), Arc::new(Table::new())) };
    let growing = Growing { near: Vec::new(), nodes: Nodes { table: nodes.clone(), capacity: 0 } };
    let (capacity, prepared) = (AtomicU32::new(0), AtomicU32::new(0));
    (Segments { slots, nodes, capacity, limit, prepared }, growing)
}

impl Segments {
    /// The slots that are put to use next; `None` if the limit is reached.
    fn next_step(&self) -> Option<Range<u32>> {
        let capacity = self.capacity.load(Acquire);
        (capacity < self.limit)
            .then(|| capacity..(capacity + step(place(capacity).0)).min(self.limit))
    }

    /// Puts the next step to use; false if the limit is reached.
    pub(crate) fn grow(&self) -> bool {
        let Some(next) = self.next_step() else { return false };
        self.slots.make_or_abort(place(next.start).0);
        self.capacity.fetch_max(next.end, Release);
        true
    }

    /// What of the next step is not prepared, if it is one of a large segment.
    pub(crate) fn unprepared(&self) -> Option<Range<u32>> {
        let next = self.next_step().filter(|_| sys::POPULATES)?;
        let (segment, _) = place(next.start);
        let left = self.prepared.load(Relaxed).max(next.start)..next.end;
        (step(segment) < len(segment) && !left.is_empty()).then_some(left)
    }

    /// Has the system find memory for a part of the next step, so that those who arm the slots need not wait
    /// until it has; whether there was something to do. For one caller at a time.
    pub(crate) fn prepare(&self) -> bool {
        /// So many slots at once, with which the caller is busy for 10 to 40 us.
        const PART: u32 = 1_024;

        let Some(Range { start, end }) = self.unprepared() else { return false };
        let (segment, _) = place(start);
        // Nobody needs it yet, so it is no harm if there is no memory.
        if !(self.slots.make(segment) && self.nodes.make(segment)) {
            self.prepared.store(end, Relaxed);
            return false;
        }
        let count = PART.min(end - start);
        self.slots.populate(start, count);
        self.nodes.populate(start, count);
        self.prepared.store(start + count, Relaxed);
        true
    }
}

impl Slots for Segments {
    fn capacity(&self) -> u32 {
        self.capacity.load(Acquire)
    }

    #[inline]
    fn slot(&self, index: u32) -> &Slot {
        // SAFETY: by the Segment Invariant, and nobody writes slots but by shared references.
        unsafe { &*self.slots.at(index) }
    }
}

/// The wheel of one shard: its heap takes what is due within 2^20 ns, a millisecond. Much less, and
/// timers are moved down a level more often; much more, and the heap of a busy timer leaves the cache.
pub(crate) type Wheel = WheelStore<Growing, 20, 8>;

/// How many entries of the heap are made at once.
const STEP: usize = 256;

/// What a wheel needs.
#[derive(Debug)]
pub(crate) struct Growing {
    near: Vec<HeapEntry>,
    nodes: Nodes,
}

/// The nodes of the wheel, which alone reads and writes them.
#[derive(Debug)]
pub(crate) struct Nodes {
    table: Arc<Table<WheelNode>>,
    capacity: u32,
}

impl Index<usize> for Nodes {
    type Output = WheelNode;

    #[inline]
    fn index(&self, index: usize) -> &WheelNode {
        // SAFETY: by the Segment Invariant, and it is written through `&mut self` only.
        unsafe { &*self.table.at(index as u32) }
    }
}

impl IndexMut<usize> for Nodes {
    #[inline]
    fn index_mut(&mut self, index: usize) -> &mut WheelNode {
        // SAFETY: by the Segment Invariant, and it is reached through `self` only.
        unsafe { &mut *self.table.at(index as u32) }
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
            nodes.table.make_or_abort(segment);
            nodes.capacity += len(segment);
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

    #[cfg(all(any(target_os = "linux", target_os = "android"), not(any(miri, shuttle))))]
    #[test]
    fn large_segments_are_put_to_use_in_steps_and_prepared_one_step_ahead() {
        let (slots, _) = memory(20_000);
        assert!(slots.grow());
        assert!(!slots.prepare(), "a small segment");
        while slots.capacity() < 16_128 {
            assert_eq!(slots.unprepared(), None);
            assert!(slots.grow());
        }
        // Six segments are in use. The next has 16,384 slots, in steps of 2,048, of which the limit cuts off the second.
        assert_eq!(slots.unprepared(), Some(16_128..18_176));
        assert!(slots.prepare());
        assert_eq!(slots.unprepared(), Some(17_152..18_176));
        assert_eq!(slots.capacity(), 16_128, "it is not in use yet");
        assert!(slots.prepare());
        assert!(!slots.prepare());
        // What was not prepared in time is left to those who use it.
        assert!(slots.grow() && slots.unprepared() == Some(18_176..20_000));
        assert!(slots.grow() && !slots.grow());
        assert_eq!((slots.capacity(), slots.unprepared()), (20_000, None));
    }

    #[test]
    fn a_segment_begins_with_a_line() {
        let (slots, _) = memory(MOST);
        while slots.capacity() < 3_000 {
            slots.grow();
        }
        for first in [0, 256, 768, 1_792] {
            assert_eq!(ptr::from_ref(slots.slot(first)).addr() % LINE, 0);
        }
    }

    #[test]
    fn slots_stay_where_they_are_when_the_pool_grows() {
        let (slots, _) = memory(2_000);
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

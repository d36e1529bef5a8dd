//! The deadlines in order: a 4-ary heap that knows where each slot stands in it.
//!
//! Four children instead of two halve the depth, and the four lie side by side (Williams 1964 for
//! the heap; Johnson 1975 for more than two children). An entry is 12 bytes and its position 4,
//! so the store's share of a timer is 16 bytes.

use crate::{Store, Ticks};

const ARITY: usize = 4;

/// One place in a [`HeapStore`].
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(4))]
pub struct HeapEntry {
    at: Ticks,
    index: u32,
}

impl HeapEntry {
    /// A place that is not in use.
    pub const EMPTY: HeapEntry = HeapEntry { at: Ticks::NEVER, index: 0 };
}

/// Where a [`HeapStore`] keeps its entries and positions: two slices of equal length.
pub trait HeapMemory {
    /// The entries, and the position plus one of each index in them (0: it is not there).
    fn parts(&mut self) -> (&mut [HeapEntry], &mut [u32]);

    /// The entries alone.
    fn entries(&self) -> &[HeapEntry];

    /// Makes both slices at least `capacity` long, new positions zero, if it can.
    fn reserve(&mut self, capacity: u32);
}

/// Room for `N` entries in the store itself.
#[derive(Debug)]
pub struct Inline<const N: usize> {
    entries: [HeapEntry; N],
    positions: [u32; N],
}

impl<const N: usize> HeapMemory for Inline<N> {
    fn parts(&mut self) -> (&mut [HeapEntry], &mut [u32]) {
        (&mut self.entries, &mut self.positions)
    }

    fn entries(&self) -> &[HeapEntry] {
        &self.entries
    }

    fn reserve(&mut self, _capacity: u32) {}
}

/// An indexed 4-ary heap: set, remove and pop in O(log n), first in O(1).
#[derive(Debug)]
pub struct HeapStore<M> {
    len: u32,
    memory: M,
}

impl<const N: usize> HeapStore<Inline<N>> {
    /// Room for the indices below `N`.
    pub const fn new() -> Self {
        let memory = Inline { entries: [HeapEntry::EMPTY; N], positions: [0; N] };
        HeapStore { len: 0, memory }
    }
}

impl<const N: usize> Default for HeapStore<Inline<N>> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: HeapMemory> HeapStore<M> {
    /// An empty heap in `memory`, whose positions are all zero.
    pub const fn with_memory(memory: M) -> Self {
        HeapStore { len: 0, memory }
    }
}

/// A heap with a hole: `entry` belongs into it, or nearer to the root, or nearer to the leaves.
struct Hole<'a> {
    entries: &'a mut [HeapEntry],
    positions: &'a mut [u32],
    entry: HeapEntry,
    hole: usize,
}

impl Hole<'_> {
    fn move_to(&mut self, from: usize) {
        let moved = self.entries[from];
        self.positions[moved.index as usize] = self.hole as u32 + 1;
        self.entries[self.hole] = moved;
        self.hole = from;
    }

    /// Lets the entry rise; whether it did.
    fn rise(&mut self) -> bool {
        let start = self.hole;
        while self.hole > 0 {
            let parent = (self.hole - 1) / ARITY;
            if { self.entries[parent].at } <= { self.entry.at } {
                break;
            }
            self.move_to(parent);
        }
        self.hole != start
    }

    /// Lets the entry sink.
    fn sink(&mut self) {
        loop {
            let first = self.hole * ARITY + 1;
            let last = (first + ARITY).min(self.entries.len());
            let Some(least) = (first..last).min_by_key(|&child| self.entries[child].at) else {
                return;
            };
            if { self.entries[least].at } >= { self.entry.at } {
                return;
            }
            self.move_to(least);
        }
    }

    fn fill(self) {
        self.entries[self.hole] = self.entry;
        self.positions[self.entry.index as usize] = self.hole as u32 + 1;
    }
}

impl<M: HeapMemory> HeapStore<M> {
    /// The heap with `len` entries and a hole at `hole`, and the entry that is to fill it.
    fn hole(&mut self, len: u32, hole: usize, entry: HeapEntry) -> Hole<'_> {
        let (entries, positions) = self.memory.parts();
        Hole { entries: &mut entries[..len as usize], positions, entry, hole }
    }

    fn position(&mut self, index: u32) -> Option<usize> {
        let position = *self.memory.parts().1.get(index as usize)?;
        position.checked_sub(1).map(|at| at as usize)
    }
}

impl<M: HeapMemory> Store for HeapStore<M> {
    fn reserve(&mut self, capacity: u32) {
        if self.memory.entries().len() < capacity as usize {
            self.memory.reserve(capacity);
        }
    }

    fn set(&mut self, index: u32, at: Ticks) {
        let entry = HeapEntry { at, index };
        let hole = self.position(index).unwrap_or_else(|| {
            self.len += 1;
            self.len as usize - 1
        });
        let mut hole = self.hole(self.len, hole, entry);
        if !hole.rise() {
            hole.sink();
        }
        hole.fill();
    }

    fn remove(&mut self, index: u32) -> bool {
        let Some(hole) = self.position(index) else { return false };
        self.memory.parts().1[index as usize] = 0;
        self.len -= 1;
        let last = self.memory.entries()[self.len as usize];
        if hole < self.len as usize {
            let mut hole = self.hole(self.len, hole, last);
            if !hole.rise() {
                hole.sink();
            }
            hole.fill();
        }
        true
    }

    fn first(&self) -> Option<(Ticks, u32)> {
        let first = self.memory.entries().first()?;
        (self.len > 0).then_some((first.at, first.index))
    }

    fn len(&self) -> u32 {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// xorshift64 (Marsaglia 2003).
    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    fn check(heap: &mut HeapStore<Inline<64>>, oracle: &BTreeMap<u32, u64>) {
        assert_eq!(heap.len() as usize, oracle.len());
        assert_eq!(heap.is_empty(), oracle.is_empty());
        assert_eq!(heap.first().map(|(at, _)| at.get()), oracle.values().min().copied());
        for index in 0..64 {
            let at = heap.position(index).map(|p| { heap.memory.entries[p].at }.get());
            assert_eq!(at, oracle.get(&index).copied());
        }
    }

    #[test]
    fn it_agrees_with_a_map_on_random_programs() {
        for seed in 1..40u64 {
            let mut state = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed);
            let mut heap = HeapStore::<Inline<64>>::new();
            let mut oracle = BTreeMap::new();
            for _ in 0..2_000 {
                let index = (random(&mut state) % 64) as u32;
                match random(&mut state) % 4 {
                    0 => assert_eq!(heap.remove(index), oracle.remove(&index).is_some()),
                    1 => {
                        let first = heap.first();
                        if let Some((at, index)) = first {
                            assert_eq!(oracle.remove(&index), Some(at.get()));
                            assert!(heap.remove(index));
                        }
                    }
                    _ => {
                        let at = random(&mut state) % 100;
                        heap.set(index, Ticks::new(at));
                        oracle.insert(index, at);
                    }
                }
                check(&mut heap, &oracle);
            }
        }
    }

    #[test]
    fn an_entry_and_its_position_take_16_bytes() {
        assert_eq!(size_of::<HeapEntry>() + size_of::<u32>(), 16);
    }

    #[test]
    #[should_panic]
    fn an_index_without_room_is_refused() {
        HeapStore::<Inline<2>>::new().set(2, Ticks::ZERO);
    }
}

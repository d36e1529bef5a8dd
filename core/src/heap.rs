//! The deadlines in order: a heap that knows where each slot stands in it.
//!
//! On 64-bit machines a place has four children: that halves the depth, and the four lie side by side in
//! the cache (Williams 1964 for the heap; Johnson 1975 for more than two children). A small machine has
//! no cache, and comparing 64 bits takes it several instructions: there it has two. An entry that takes
//! the place of one that has gone nearly always belongs at the bottom, where it came from, so a hole
//! goes down to a leaf without a look at it, and up again as far as it must (Wegener 1993).
//!
//! An entry is 12 bytes and its position 4, so the store's share of a timer is 16 bytes.

use crate::{Store, Ticks};

/// The model checker's build tries on this machine what small ones have.
const ARITY: usize = if cfg!(all(target_pointer_width = "64", not(loom))) { 4 } else { 2 };

/// One place in a heap.
///
/// See [`HeapMemory`]; here is what starts as one:
///
/// ```
/// # use moirai_timer_core::HeapEntry;
/// let memory = vec![HeapEntry::EMPTY; 100];
/// # assert_eq!(memory.len(), 100);
/// ```
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(4))]
pub struct HeapEntry {
    pub(crate) at: Ticks,
    pub(crate) index: u32,
}

impl HeapEntry {
    /// A place that is not in use.
    pub const EMPTY: HeapEntry = HeapEntry { at: Ticks::ZERO, index: 0 };
}

/// Where a heap notes the place of each index.
pub(crate) trait Positions {
    fn note(&mut self, index: u32, position: usize);
}

/// Zero is "not in the heap", so the note is the position plus one.
impl Positions for [u32] {
    #[inline]
    fn note(&mut self, index: u32, position: usize) {
        self[index as usize] = position as u32 + 1;
    }
}

/// The place of the least of the children that start at `first`, if there are any.
#[inline]
fn least(entries: &[HeapEntry], first: usize) -> Option<usize> {
    let children = entries.get(first..)?;
    if let Some(all) = children.first_chunk::<ARITY>() {
        let lesser = |a: usize, b: usize| if { all[b].at } < { all[a].at } { b } else { a };
        let (half, last) = (ARITY / 2, ARITY - 1);
        return Some(first + lesser(lesser(0, half - 1), lesser(half, last)));
    }
    let (mut least, mut earliest) = (first, children.first()?.at);
    for (place, child) in (first..).zip(children).skip(1) {
        if { child.at } < earliest {
            (least, earliest) = (place, child.at);
        }
    }
    Some(least)
}

/// Puts `entry` into the heap `entries`, which is in order but for a hole at `hole`.
#[inline]
pub(crate) fn settle<P: Positions + ?Sized>(
    entries: &mut [HeapEntry],
    positions: &mut P,
    hole: usize,
    entry: HeapEntry,
) {
    if hole == 0 || { entries[(hole - 1) / ARITY].at } <= { entry.at } {
        sink(entries, positions, hole, entry);
    } else {
        rise(entries, positions, hole, entry);
    }
}

#[inline]
fn put<P: Positions + ?Sized>(
    entries: &mut [HeapEntry],
    positions: &mut P,
    place: usize,
    entry: HeapEntry,
) {
    entries[place] = entry;
    positions.note(entry.index, place);
}

/// Moves the hole up until `entry` fits.
#[inline]
fn rise<P: Positions + ?Sized>(
    entries: &mut [HeapEntry],
    positions: &mut P,
    mut hole: usize,
    entry: HeapEntry,
) {
    while hole > 0 {
        let place = (hole - 1) / ARITY;
        let parent = entries[place];
        if { parent.at } <= { entry.at } {
            break;
        }
        put(entries, positions, hole, parent);
        hole = place;
    }
    put(entries, positions, hole, entry);
}

/// Moves the hole down to a leaf, and up until `entry` fits: not above where it was, if that entry is
/// not before its parent there.
fn sink<P: Positions + ?Sized>(
    entries: &mut [HeapEntry],
    positions: &mut P,
    mut hole: usize,
    entry: HeapEntry,
) {
    while let Some(place) = least(entries, hole * ARITY + 1) {
        put(entries, positions, hole, entries[place]);
        hole = place;
    }
    rise(entries, positions, hole, entry);
}

/// Where a [`HeapStore`] keeps its entries and positions: two slices of equal length.
///
/// # Example
///
/// Room that is made as it is needed:
///
/// ```
/// use moirai_timer_core::{HeapEntry, HeapMemory, HeapStore, Store, Ticks};
///
/// #[derive(Default)]
/// struct Vecs(Vec<HeapEntry>, Vec<u32>);
///
/// impl HeapMemory for Vecs {
///     fn parts(&mut self) -> (&mut [HeapEntry], &mut [u32]) {
///         (&mut self.0, &mut self.1)
///     }
///
///     fn entries(&self) -> &[HeapEntry] {
///         &self.0
///     }
///
///     fn reserve(&mut self, capacity: u32) {
///         let len = self.0.len().max(capacity as usize);
///         self.0.resize(len, HeapEntry::EMPTY);
///         self.1.resize(len, 0);
///     }
/// }
///
/// let mut store = HeapStore::with_memory(Vecs::default());
/// store.set(1_000, Ticks::new(7));
/// store.set(9, Ticks::new(5));
/// assert_eq!(store.pop_due(Ticks::new(6)), Some(9));
/// ```
pub trait HeapMemory {
    /// The entries, and the position plus one of each index in them (0: it is not there).
    fn parts(&mut self) -> (&mut [HeapEntry], &mut [u32]);

    /// The entries alone.
    fn entries(&self) -> &[HeapEntry];

    /// Makes both slices at least `capacity` long, new positions zero, if it can.
    fn reserve(&mut self, capacity: u32);
}

/// Room for `N` entries in the store itself.
///
/// ```
/// use moirai_timer_core::{HeapStore, Inline};
/// static STORE: HeapStore<Inline<32>> = HeapStore::new();
/// # let _ = &STORE;
/// ```
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

/// An indexed heap: set, remove and pop in O(log n). Best for up to some thousand timers.
///
/// ```
/// use moirai_timer_core::{HeapStore, Store, Ticks};
///
/// let mut store = HeapStore::<moirai_timer_core::Inline<8>>::new();
/// store.set(3, Ticks::new(20));
/// store.set(5, Ticks::new(10));
/// store.set(3, Ticks::new(30));
/// assert_eq!(store.deadline(3), Some(Ticks::new(30)));
/// assert_eq!(store.first(), Some((5, Ticks::new(10))));
/// assert!(store.remove(5) && !store.remove(5));
/// assert_eq!(store.pop_due(Ticks::new(30)), Some(3));
/// ```
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
    ///
    /// ```
    /// # use moirai_timer_core::{HeapEntry, HeapMemory, HeapStore, Store};
    /// # struct Slices([HeapEntry; 8], [u32; 8]);
    /// # impl HeapMemory for Slices {
    /// #     fn parts(&mut self) -> (&mut [HeapEntry], &mut [u32]) {
    /// #         (&mut self.0, &mut self.1)
    /// #     }
    /// #     fn entries(&self) -> &[HeapEntry] {
    /// #         &self.0
    /// #     }
    /// #     fn reserve(&mut self, _: u32) {}
    /// # }
    /// let store = HeapStore::with_memory(Slices([HeapEntry::EMPTY; 8], [0; 8]));
    /// assert!(store.is_empty());
    /// ```
    pub const fn with_memory(memory: M) -> Self {
        HeapStore { len: 0, memory }
    }

    /// Takes out the entry at `place`; those below it, or above, close the gap.
    fn remove_at(&mut self, place: usize) {
        self.len -= 1;
        let len = self.len as usize;
        let (entries, positions) = self.memory.parts();
        positions[{ entries[place].index } as usize] = 0;
        let last = entries[len];
        if place < len {
            settle(&mut entries[..len], positions, place, last);
        }
    }

    /// The deadline of `index`, if it is there.
    pub fn deadline(&mut self, index: u32) -> Option<Ticks> {
        let (entries, positions) = self.memory.parts();
        let position = positions.get(index as usize).copied().unwrap_or(0);
        (position > 0).then(|| entries[position as usize - 1].at)
    }
}

impl<M: HeapMemory> Store for HeapStore<M> {
    fn set(&mut self, index: u32, at: Ticks) {
        if self.memory.entries().len() <= index as usize {
            self.memory.reserve(index + 1);
        }
        let (entries, positions) = self.memory.parts();
        let position = positions[index as usize] as usize;
        if position == 0 {
            let place = self.len as usize;
            self.len += 1;
            rise(&mut entries[..=place], positions, place, HeapEntry { at, index });
        } else {
            let entries = &mut entries[..self.len as usize];
            settle(entries, positions, position - 1, HeapEntry { at, index });
        }
    }

    fn remove(&mut self, index: u32) -> bool {
        let position = self.memory.parts().1.get(index as usize).copied().unwrap_or(0);
        if position > 0 {
            self.remove_at(position as usize - 1);
        }
        position > 0
    }

    fn pop_due(&mut self, now: Ticks) -> Option<u32> {
        self.next().filter(|at| *at <= now)?;
        let index = self.memory.entries()[0].index;
        self.remove_at(0);
        Some(index)
    }

    fn next(&self) -> Option<Ticks> {
        (self.len > 0).then(|| self.memory.entries()[0].at)
    }

    fn first(&self) -> Option<(u32, Ticks)> {
        let at = self.next()?;
        Some((self.memory.entries()[0].index, at))
    }

    fn len(&self) -> u32 {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::agrees_with_a_map;

    /// No entry is before its parent, and each is where its position says.
    fn sound<const N: usize>(heap: &HeapStore<Inline<N>>) {
        let entries = &heap.memory.entries[..heap.len as usize];
        for (place, entry) in entries.iter().enumerate() {
            assert!(place == 0 || { entries[(place - 1) / ARITY].at } <= { entry.at });
            assert_eq!(heap.memory.positions[entry.index as usize], place as u32 + 1);
        }
        let noted = heap.memory.positions.iter().filter(|position| **position != 0);
        assert_eq!(noted.count(), entries.len());
    }

    #[test]
    fn it_agrees_with_a_map_on_random_programs() {
        agrees_with_a_map(HeapStore::<Inline<64>>::new, sound, 0, 100);
        agrees_with_a_map(HeapStore::<Inline<64>>::new, sound, 1 << 59, 1 << 50);
    }

    #[test]
    fn next_is_the_earliest_deadline_itself() {
        let mut heap = HeapStore::<Inline<4>>::new();
        for (index, at) in [(2, 30), (0, 10), (3, 20)] {
            heap.set(index, Ticks::new(at));
        }
        assert_eq!(heap.next(), Some(Ticks::new(10)));
        heap.set(0, Ticks::new(40));
        assert_eq!(heap.next(), Some(Ticks::new(20)));
        let deadlines = [0, 1, 2, 3, 4].map(|index| heap.deadline(index).map(Ticks::get));
        assert_eq!(deadlines, [Some(40), None, Some(30), Some(20), None]);
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

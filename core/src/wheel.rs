//! The deadlines in rough order, and the near ones exactly: a hierarchical timing wheel with a
//! heap for the present.
//!
//! A wheel files a timer under the span of time in which it is due, at no cost that depends on how
//! many there are (Varghese and Lauck 1987). Its weakness is that a bucket is not sorted. Here only
//! far timers are in buckets; what is due in the current span of the lowest level, 2^`G` ticks, is
//! in a small heap, so firing is exact and in order. Most timeouts are cancelled while they are far:
//! that is two links written to file them, and two to take them out.
//!
//! | level | a bucket spans | buckets in use |
//! |---|---|---|
//! | 0 | 2^G ticks | the next 32 to 63 |
//! | 1 | 2^(G+5) | .. |
//! | L | 2^(G+5L) | .. |
//!
//! Each level has 64 buckets, twice as many as make up one bucket of the level above. So when time
//! enters a bucket's predecessor, everything in that bucket fits into the level below, and can be
//! moved there little by little: [`tidy`](Store::tidy) moves a few on each turn, so that no turn
//! has to move a million at once. And where there is a crowd, what is due in the next span is moved into the
//! heap in the same way, so that the first of a span need not wait until all of it is sorted.

use core::ops::IndexMut;

use crate::heap::{HeapEntry, Positions, settle};
use crate::prefetch::{PREFETCHES, prefetch};
use crate::{Store, Ticks};

const BITS: u32 = 5;
const BUCKETS: usize = 64;
/// A bucket is so many lists, by the slot's index. Following one list is waiting for one cache miss
/// after the other; following eight is waiting for them together. Where nothing can be prefetched, one will do.
const LISTS: usize = if PREFETCHES { 8 } else { 1 };

/// Which of them a slot is in.
#[allow(clippy::modulo_one, reason = "there may be one")]
fn list(index: u32) -> usize {
    index as usize % LISTS
}

/// How many timers of a bucket `next` looks at to find the earliest.
const LOOK: usize = 16;

/// What a [`WheelStore`] knows of one slot. All zeros: it is not there.
///
/// ```
/// # use moirai_timer_core::WheelNode;
/// let nodes = vec![WheelNode::EMPTY; 100];
/// # assert_eq!(nodes.len(), 100);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WheelNode {
    at: Ticks,
    /// The next in the bucket, index plus one; 0: none.
    next: u32,
    /// Where it is: nowhere (0), after another in a bucket (index plus one), first in a bucket
    /// (`FIRST` and the bucket), in the heap (`NEAR` and the position).
    place: u32,
}

const FIRST: u32 = 1 << 30;
const NEAR: u32 = 1 << 31;

impl WheelNode {
    /// A slot that is not there.
    pub const EMPTY: WheelNode = WheelNode { at: Ticks::ZERO, next: 0, place: 0 };
}

/// Nodes that are told where in the heap they are.
struct Places<'a, N: ?Sized>(&'a mut N);

impl<N: IndexMut<usize, Output = WheelNode> + ?Sized> Positions for Places<'_, N> {
    #[inline]
    fn note(&mut self, index: u32, position: usize) {
        self.0[index as usize].place = NEAR | position as u32;
    }
}

/// Where a [`WheelStore`] keeps its nodes, and the entries of its heap.
///
/// # Example
///
/// Room that is made as it is needed:
///
/// ```
/// use moirai_timer_core::{HeapEntry, Store, Ticks, WheelMemory, WheelNode, WheelStore};
///
/// #[derive(Default)]
/// struct Vecs(Vec<HeapEntry>, Vec<WheelNode>);
///
/// impl WheelMemory for Vecs {
///     type Nodes = [WheelNode];
///
///     fn parts(&mut self) -> (&mut [HeapEntry], &mut [WheelNode]) {
///         (&mut self.0, &mut self.1)
///     }
///
///     fn look(&self) -> (&[HeapEntry], &[WheelNode]) {
///         (&self.0, &self.1)
///     }
///
///     fn capacity(&self) -> u32 {
///         self.1.len() as u32
///     }
///
///     fn reserve(&mut self, capacity: u32) {
///         self.1.resize(self.1.len().max(capacity as usize), WheelNode::EMPTY);
///     }
///
///     fn reserve_near(&mut self, len: u32) {
///         self.0.resize(self.0.len().max(len as usize), HeapEntry::EMPTY);
///     }
/// }
///
/// let mut store = WheelStore::<_, 10, 10>::with_memory(Vecs::default());
/// store.set(1_000, Ticks::new(1 << 40));
/// store.set(9, Ticks::new(5));
/// assert!(store.sort(Ticks::new(6), 100));
/// assert_eq!(store.pop_due(Ticks::new(6)), Some(9));
/// ```
pub trait WheelMemory {
    /// The nodes, by the index of the slot. A slice serves, if it need not grow without a pause.
    type Nodes: IndexMut<usize, Output = WheelNode> + ?Sized;

    /// The heap's entries, and the nodes.
    fn parts(&mut self) -> (&mut [HeapEntry], &mut Self::Nodes);

    /// The same.
    fn look(&self) -> (&[HeapEntry], &Self::Nodes);

    /// How many nodes there are.
    fn capacity(&self) -> u32;

    /// Makes that at least `capacity`, new ones [`EMPTY`](WheelNode::EMPTY), if it can.
    fn reserve(&mut self, capacity: u32);

    /// Makes the entries at least `len` long, if it can.
    fn reserve_near(&mut self, len: u32);
}

/// Room for the slots 0 to `N`, in the value itself.
///
/// ```
/// use moirai_timer_core::{WheelArrays, WheelStore};
/// static STORE: WheelStore<WheelArrays<100>, 10, 10> = WheelStore::with_memory(WheelArrays::new());
/// # let _ = &STORE;
/// ```
#[derive(Debug)]
pub struct WheelArrays<const N: usize> {
    near: [HeapEntry; N],
    nodes: [WheelNode; N],
}

impl<const N: usize> WheelArrays<N> {
    /// Nothing is there.
    pub const fn new() -> Self {
        WheelArrays { near: [HeapEntry::EMPTY; N], nodes: [WheelNode::EMPTY; N] }
    }
}

impl<const N: usize> Default for WheelArrays<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> WheelMemory for WheelArrays<N> {
    type Nodes = [WheelNode];

    fn parts(&mut self) -> (&mut [HeapEntry], &mut [WheelNode]) {
        (&mut self.near, &mut self.nodes)
    }

    fn look(&self) -> (&[HeapEntry], &[WheelNode]) {
        (&self.near, &self.nodes)
    }

    fn capacity(&self) -> u32 {
        N as u32
    }

    fn reserve(&mut self, _: u32) {}

    fn reserve_near(&mut self, _: u32) {}
}

/// A wheel of `LEVELS` levels over spans of 2^`G` ticks: set and remove in O(1), pop in O(log n)
/// of those that are due in the same span.
///
/// `G + 5 * LEVELS` must be at least 60, and there are 13 levels at most. A span that takes a millisecond or
/// so suits. Takes 256 bytes a level beside its memory; on x86-64 and AArch64, 2 KiB. A few hundred timers are
/// served faster by a [`HeapStore`](crate::HeapStore).
///
/// # Wake-ups to sort
///
/// Up to 16 timers in a bucket are looked at, so the alarm is for the earliest of them. For a larger
/// crowd it is for the time at which the bucket has to be sorted, once on each level that the crowd
/// comes down: 2 to 4 wake-ups for a crowd of a thousand in whose last hour nothing else fires; none for
/// a hundred thousand timers all over an hour, because turns sort what comes next on their way.
/// [`Metrics::vain_turns`](crate::Metrics::vain_turns) counts them.
///
/// ```
/// use moirai_timer_core::{Engine, ManualDriver, Slot, WheelArrays, WheelStore};
///
/// // A clock of a million ticks a second, and spans of 1,024 ticks.
/// static TIMER: Engine<ManualDriver<1_000_000>, [Slot; 1_000], WheelStore<WheelArrays<1_000>, 10, 10>> =
///     Engine::with_parts(
///         ManualDriver::new(),
///         [const { Slot::new() }; 1_000],
///         WheelStore::with_memory(WheelArrays::new()),
///     );
/// # assert!(TIMER.next_deadline().is_some_and(|at| at.is_never()));
/// ```
#[derive(Debug)]
pub struct WheelStore<M, const G: u32, const LEVELS: usize> {
    memory: M,
    near: u32,
    far: u32,
    /// The current span. What is due in it or earlier is in the heap, and some of what is due in the next;
    /// what is later in a bucket that starts later, unless [it is being sorted](Self::sorting).
    span: u64,
    /// Whether the last call of `sort` was not done: there may be buckets that start now or before.
    sorting: bool,
    occupied: [u64; LEVELS],
    /// The first timer of each bucket's lists, index plus one; 0: none.
    heads: [[[u32; LISTS]; BUCKETS]; LEVELS],
}

impl<M: WheelMemory, const G: u32, const LEVELS: usize> WheelStore<M, G, LEVELS> {
    /// An empty wheel in `memory`, whose nodes are all empty.
    pub const fn with_memory(memory: M) -> Self {
        const {
            assert!(
                G + BITS * LEVELS as u32 >= 60 && G < 60 && BITS * (LEVELS as u32 - 1) < u64::BITS
            )
        };
        WheelStore {
            memory,
            near: 0,
            far: 0,
            span: 0,
            sorting: false,
            occupied: [0; LEVELS],
            heads: [[[0; LISTS]; BUCKETS]; LEVELS],
        }
    }

    /// Files a node that is nowhere; in the heap, if it is due in the span `near` or earlier.
    #[inline]
    fn file(&mut self, index: u32, at: Ticks, near: u64) {
        let span = at.get() >> G;
        let Some(ahead) = span.checked_sub(self.span).filter(|_| span > near) else {
            self.memory.reserve_near(self.near + 1);
            self.near += 1;
            let (entries, nodes) = self.memory.parts();
            let len = self.near as usize;
            return settle(
                &mut entries[..len],
                &mut Places(nodes),
                len - 1,
                HeapEntry { at, index },
            );
        };
        let mut level = (ahead.ilog2() / BITS).saturating_sub(1);
        while (span >> (BITS * level)) - (self.span >> (BITS * level)) >= BUCKETS as u64 {
            level += 1;
        }
        let bucket = (span >> (BITS * level)) as usize % BUCKETS;
        let level = level as usize;
        let head = &mut self.heads[level][bucket][list(index)];
        let (_, nodes) = self.memory.parts();
        let place = FIRST | (level * BUCKETS + bucket) as u32;
        nodes[index as usize] = WheelNode { at, next: *head, place };
        if *head != 0 {
            nodes[*head as usize - 1].place = index + 1;
        }
        *head = index + 1;
        self.occupied[level] |= 1 << bucket;
        self.far += 1;
    }

    /// Takes out of its bucket or the heap what is at `place`.
    fn unfile(&mut self, index: u32, place: u32) {
        let (entries, nodes) = self.memory.parts();
        let node = core::mem::replace(&mut nodes[index as usize], WheelNode::EMPTY);
        if place & NEAR != 0 {
            self.near -= 1;
            let (hole, len) = ((place & !NEAR) as usize, self.near as usize);
            let last = entries[len];
            if hole < len {
                settle(&mut entries[..len], &mut Places(nodes), hole, last);
            }
            return;
        }
        self.far -= 1;
        if node.next != 0 {
            nodes[node.next as usize - 1].place = place;
        }
        if place & FIRST == 0 {
            nodes[place as usize - 1].next = node.next;
            return;
        }
        let bucket = (place & !FIRST) as usize;
        let (level, bucket) = (bucket / BUCKETS, bucket % BUCKETS);
        let lists = &mut self.heads[level][bucket];
        lists[list(index)] = node.next;
        if *lists == [0; LISTS] {
            self.occupied[level] &= !(1 << bucket);
        }
    }

    /// The first bucket of a level that has any, and the span at which it starts.
    #[inline]
    fn first_bucket(&self, level: usize) -> Option<(usize, u64)> {
        let occupied = self.occupied[level];
        if occupied == 0 {
            return None;
        }
        // The bucket of the current span is empty, except while time advances into it.
        let current = self.span >> (BITS * level as u32);
        let ahead = occupied.rotate_right(current as u32 % BUCKETS as u32).trailing_zeros() as u64;
        let bucket = (current + ahead) as usize % BUCKETS;
        Some((bucket, (current + ahead) << (BITS * level as u32)))
    }

    /// When to come back, and for whom: an index plus one, and its deadline. If the bucket that comes
    /// first has too many to look at, that is when it begins, and one of those in it.
    fn earliest(&self) -> Option<(Ticks, u32, Ticks)> {
        let (entries, nodes) = self.memory.look();
        let first = |first: &HeapEntry| (first.at, first.index + 1, first.at);
        let mut earliest = entries.first().filter(|_| self.near > 0).map(first);
        let in_span = |at: Ticks| at.get() >> G <= self.span;
        if !self.sorting && earliest.is_some_and(|(at, ..)| in_span(at)) {
            return earliest;
        }
        for level in 0..LEVELS {
            let Some((bucket, start)) = self.first_bucket(level) else { continue };
            let start = Ticks::new(start << G);
            if earliest.is_some_and(|(at, ..)| at <= start) {
                continue;
            }
            let mut least = (Ticks::NEVER, 0);
            let mut looked = 0;
            for mut index in self.heads[level][bucket] {
                while index != 0 && looked <= LOOK {
                    let node = nodes[index as usize - 1];
                    if node.at <= least.0 {
                        least = (node.at, index);
                    }
                    index = node.next;
                    looked += 1;
                }
            }
            let (at, index) = least;
            let from = if looked <= LOOK { at } else { start };
            if earliest.is_none_or(|(earliest, ..)| from < earliest) {
                earliest = Some((from, index, at));
            }
        }
        earliest
    }

    /// Moves timers from a bucket to where they belong now, some `limit` or a few more; how many. Those that are
    /// due in the span `near` or earlier belong into the heap.
    fn refile(&mut self, level: usize, bucket: usize, limit: usize, near: u64) -> usize {
        let mut heads = core::mem::take(&mut self.heads[level][bucket]);
        let mut moved = 0;
        while moved < limit && heads != [0; LISTS] {
            let (_, nodes) = self.memory.parts();
            let first = heads.map(|head| match head {
                0 => WheelNode::EMPTY,
                head => nodes[head as usize - 1],
            });
            for node in first.iter().filter(|node| node.next != 0) {
                prefetch(&nodes[node.next as usize - 1]);
            }
            for (head, node) in heads.iter_mut().zip(first) {
                let index = core::mem::replace(head, node.next);
                if index != 0 {
                    self.far -= 1;
                    self.file(index - 1, node.at, near);
                    moved += 1;
                }
            }
        }
        debug_assert_eq!(self.heads[level][bucket], [0; LISTS], "they belong further down");
        let (_, nodes) = self.memory.parts();
        for head in heads.into_iter().filter(|head| *head != 0) {
            nodes[head as usize - 1].place = FIRST | (level * BUCKETS + bucket) as u32;
        }
        self.heads[level][bucket] = heads;
        if heads == [0; LISTS] {
            self.occupied[level] &= !(1 << bucket);
        }
        moved
    }
}

impl<M: WheelMemory, const G: u32, const LEVELS: usize> Store for WheelStore<M, G, LEVELS> {
    fn set(&mut self, index: u32, at: Ticks) {
        if index >= self.memory.capacity() {
            self.memory.reserve(index + 1);
        } else {
            self.remove(index);
        }
        self.file(index, at, self.span);
    }

    #[inline]
    fn remove(&mut self, index: u32) -> bool {
        if index >= self.memory.capacity() {
            return false;
        }
        let place = self.memory.look().1[index as usize].place;
        if place != 0 {
            self.unfile(index, place);
        }
        place != 0
    }

    /// Makes the span of `now` the current one.
    fn sort(&mut self, now: Ticks, steps: usize) -> bool {
        let target = self.span.max(now.get() >> G);
        if target == self.span && !self.sorting {
            return true;
        }
        let mut moved = 0;
        while self.far > 0 {
            let earliest = (0..LEVELS)
                .filter_map(|level| self.first_bucket(level).map(|(b, start)| (start, level, b)))
                .min();
            let Some((start, level, bucket)) = earliest.filter(|(start, ..)| *start <= target)
            else {
                break;
            };
            if moved >= steps {
                self.sorting = true;
                return false;
            }
            self.span = start;
            moved += self.refile(level, bucket, steps - moved, start);
        }
        self.sorting = false;
        self.span = target;
        true
    }

    fn pop_due(&mut self, now: Ticks) -> Option<u32> {
        debug_assert!(self.far == 0 || self.span >= now.get() >> G, "it is sorted");
        let first = self.memory.look().0.first().copied().filter(|_| self.near > 0)?;
        if { first.at } > now {
            return None;
        }
        self.unfile(first.index, NEAR);
        Some(first.index)
    }

    fn next(&self) -> Option<Ticks> {
        self.earliest().map(|(at, ..)| at)
    }

    fn first(&self) -> Option<(u32, Ticks)> {
        let (_, index, at) = self.earliest()?;
        Some((index.checked_sub(1)?, at))
    }

    fn tidy(&mut self, steps: usize) {
        if self.far == 0 {
            return;
        }
        let following =
            |span: u64, level: usize| ((span >> (BITS * level as u32)) + 1) as usize % BUCKETS;
        let next = following(self.span, 0);
        // Where there is no crowd, the next span can be sorted when it begins.
        if self.near > LOOK as u32 && self.occupied[0] & (1 << next) != 0 {
            self.refile(0, next, steps.div_ceil(4), self.span + 1);
        }
        for level in 1..LEVELS {
            let bucket = following(self.span, level);
            if self.occupied[level] & (1 << bucket) != 0 {
                self.refile(level, bucket, steps, self.span);
                return;
            }
        }
    }

    fn len(&self) -> u32 {
        self.near + self.far
    }
}

#[cfg(test)]
mod tests;

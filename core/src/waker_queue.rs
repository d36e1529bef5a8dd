//! Deadlines by waker: for those who are handed a time and a waker, and no future that could hold
//! a slot. That is how `embassy-time` asks for its wake-ups.
//!
//! A waker has an entry from its first request until it is woken; a small hash table finds the
//! entry again. Each bucket is a list through the entries (Dumey 1956), because such a list stays
//! in order when one of them leaves, and nothing has to be rehashed or marked.

use core::task::Waker;

use crate::{HeapStore, Inline, Store, Ticks};

/// Up to `N` wakers in the order of their deadlines, each of which is found again by its waker.
///
/// A plain value: whoever shares it brings the lock. All operations take O(log N), plus the
/// search for the waker, which looks at the few entries that share its bucket. An entry takes 28
/// bytes on a 32-bit machine. All zeros when it is new, so it can stand in `.bss`.
///
/// Wakers are the same if [`Waker::will_wake`] says so. It may say no for a waker and its clone, if
/// the compiler has made two tables of their functions; then both have an entry.
///
/// ```
/// use core::task::Waker;
/// use moirai_timer_core::{Ticks, WakerQueue};
///
/// let mut queue = WakerQueue::<8>::new();
/// let waker = &Waker::noop().clone();
/// assert_eq!(queue.insert(Ticks::new(30), waker.clone()).unwrap(), true);
/// assert_eq!(queue.bring_forward(Ticks::new(20), waker), Some(true));
/// assert_eq!(queue.bring_forward(Ticks::new(20), waker), Some(false));
/// assert!(queue.pop_due(Ticks::new(19)).is_none());
/// assert!(queue.pop_due(Ticks::new(20)).is_some());
/// assert_eq!(queue.next(), None);
/// ```
///
/// If there is no room, the waker comes back:
///
/// ```
/// # use core::task::Waker;
/// # use moirai_timer_core::{Ticks, WakerQueue};
/// let mut queue = WakerQueue::<1>::new();
/// assert!(queue.is_empty());
/// let first = queue.insert(Ticks::new(30), Waker::noop().clone());
/// assert!(first.is_ok_and(|is_earliest| is_earliest) && queue.len() == 1);
/// // No room: this one is woken now, and asks again.
/// if let Err(waker) = queue.insert(Ticks::new(40), Waker::noop().clone()) {
///     waker.wake();
/// }
/// ```
#[derive(Debug)]
pub struct WakerQueue<const N: usize> {
    store: HeapStore<Inline<N>>,
    wakers: [Option<Waker>; N],
    /// The first entry of each bucket's list, and the entry that follows each in whichever list
    /// has it. An index plus one; 0 ends the list.
    buckets: [u16; N],
    following: [u16; N],
    /// The list of entries that came back, linked likewise; those from `fresh` on were never used.
    free: u16,
    fresh: u16,
}

impl<const N: usize> WakerQueue<N> {
    /// Nothing in it.
    ///
    /// Fails to compile if `N` is 0 or more than 65,535:
    ///
    /// ```compile_fail,E0080
    /// # use moirai_timer_core::WakerQueue;
    /// static QUEUE: WakerQueue<0> = WakerQueue::new();
    /// ```
    ///
    /// ```compile_fail,E0080
    /// # use moirai_timer_core::WakerQueue;
    /// static QUEUE: WakerQueue<65_536> = WakerQueue::new();
    /// ```
    pub const fn new() -> Self {
        const { assert!(N > 0 && N <= u16::MAX as usize, "a waker queue has 1 to 65535 entries") };
        WakerQueue {
            store: HeapStore::new(),
            wakers: [const { None }; N],
            buckets: [0; N],
            following: [0; N],
            free: 0,
            fresh: 0,
        }
    }

    /// Moves the deadline of a waker that is in the queue to `at`, if that is earlier.
    ///
    /// `None` if the waker is not in the queue; otherwise whether its deadline is now the earliest
    /// of all, and was not before.
    #[inline]
    pub fn bring_forward(&mut self, at: Ticks, waker: &Waker) -> Option<bool> {
        let index = self.find(bucket::<N>(waker), waker)?;
        let is_later = self.store.deadline(index).is_some_and(|present| at >= present);
        Some(!is_later && self.set(index, at))
    }

    /// Has `waker` come out at `at`. *Never* takes no entry.
    ///
    /// Whether its deadline is now the earliest of all, and was not before. A waker that is in the
    /// queue already gets a second entry; [`bring_forward`](Self::bring_forward) says whether it is.
    ///
    /// # Errors
    /// The waker, if all entries are in use.
    pub fn insert(&mut self, at: Ticks, waker: Waker) -> Result<bool, Waker> {
        if at.is_never() {
            return Ok(false);
        }
        let Some(index) = self.take() else { return Err(waker) };
        let bucket = bucket::<N>(&waker);
        self.wakers[index as usize] = Some(waker);
        self.following[index as usize] = self.buckets[bucket];
        self.buckets[bucket] = index as u16 + 1;
        Ok(self.set(index, at))
    }

    /// Takes out the waker with the earliest deadline, if that is due at `now`.
    pub fn pop_due(&mut self, now: Ticks) -> Option<Waker> {
        let index = self.store.pop_due(now)?;
        let waker = self.wakers[index as usize].take()?;
        self.unlink(bucket::<N>(&waker), index);
        self.following[index as usize] = self.free;
        self.free = index as u16 + 1;
        Some(waker)
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Ticks> {
        self.store.next()
    }

    /// How many wakers are in it.
    pub fn len(&self) -> usize {
        self.store.len() as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// Files an entry; whether it is the earliest now, and the earliest time has changed.
    fn set(&mut self, index: u32, at: Ticks) -> bool {
        let before = self.store.next();
        self.store.set(index, at);
        before.is_none_or(|before| at < before)
    }

    fn find(&self, bucket: usize, waker: &Waker) -> Option<u32> {
        let mut link = self.buckets[bucket] as usize;
        while link > 0 {
            let entry = self.wakers[link - 1].as_ref();
            if entry.is_some_and(|entry| entry.will_wake(waker)) {
                return Some(link as u32 - 1);
            }
            link = self.following[link - 1] as usize;
        }
        None
    }

    /// An entry that is in no list.
    fn take(&mut self) -> Option<u32> {
        let index = match self.free {
            0 if usize::from(self.fresh) == N => return None,
            0 => {
                self.fresh += 1;
                self.fresh - 1
            }
            link => {
                self.free = self.following[usize::from(link) - 1];
                link - 1
            }
        };
        Some(index.into())
    }

    /// Takes an entry out of its bucket's list.
    fn unlink(&mut self, bucket: usize, index: u32) {
        let after = self.following[index as usize];
        let mut link = &mut self.buckets[bucket];
        while u32::from(*link) != index + 1 {
            debug_assert!(*link > 0, "an entry is in its waker's bucket");
            link = &mut self.following[usize::from(*link) - 1];
        }
        *link = after;
    }
}

impl<const N: usize> Default for WakerQueue<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// By the waker's data alone: most programs have one vtable, and tasks that lie at regular distances
/// in memory, which the multiplication scatters (Knuth's multiplicative hashing; the upper bits are
/// the good ones).
fn bucket<const N: usize>(waker: &Waker) -> usize {
    let mixed = (waker.data().addr() as u32).wrapping_mul(0x9e37_79b9);
    ((mixed >> 16) * N as u32) as usize >> 16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::task::{RawWaker, RawWakerVTable, Wake};

    use super::*;
    use crate::store::tests::random;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    fn wakers<const N: usize>() -> [Waker; N] {
        // Clones, whose own clones certainly have the same table.
        std::array::from_fn(|_| Waker::from(Arc::new(Nobody)).clone())
    }

    /// Random programs over more wakers than there are entries.
    #[test]
    fn it_agrees_with_a_map_on_random_programs() {
        const N: usize = 12;
        let wakers = wakers::<{ 2 * N }>();
        for seed in 1..40u64 {
            let mut state = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed);
            let (mut queue, mut oracle, mut now) = (WakerQueue::<N>::new(), BTreeMap::new(), 0);
            for _ in 0..2_000 {
                let who = (random(&mut state) % wakers.len() as u64) as usize;
                let at = now + 1 + random(&mut state) % 50;
                let before = oracle.values().min().copied();
                let known = queue.bring_forward(Ticks::new(at), &wakers[who]);
                assert_eq!(known.is_some(), oracle.contains_key(&who));
                let is_first = known.map_or_else(
                    || queue.insert(Ticks::new(at), wakers[who].clone()),
                    Ok::<bool, Waker>,
                );
                if oracle.len() < N || known.is_some() {
                    let present = oracle.entry(who).or_insert(at);
                    *present = at.min(*present);
                    assert_eq!(is_first.unwrap(), before.is_none_or(|before| at < before));
                } else {
                    assert!(is_first.unwrap_err().will_wake(&wakers[who]));
                }
                if random(&mut state).is_multiple_of(4) {
                    now += random(&mut state) % 12;
                }
                while let Some(waker) = queue.pop_due(Ticks::new(now)) {
                    let who = wakers.iter().position(|other| other.will_wake(&waker)).unwrap();
                    let earliest = oracle.values().min().copied();
                    assert_eq!(oracle.remove(&who), earliest, "it came out of order");
                }
                assert_eq!(queue.next().map(Ticks::get), oracle.values().min().copied());
                assert!(queue.next().is_none_or(|at| at.get() > now));
                assert_eq!((queue.len(), queue.is_empty()), (oracle.len(), oracle.is_empty()));
            }
        }
    }

    static A: RawWakerVTable =
        RawWakerVTable::new(|data| RawWaker::new(data, &A), |_| {}, |_| {}, |_| {});
    static B: RawWakerVTable =
        RawWakerVTable::new(|data| RawWaker::new(data, &B), |_| {}, |_| {}, |_| ());

    /// A waker that does nothing.
    fn inert(data: usize, table: &'static RawWakerVTable) -> Waker {
        // SAFETY: the functions of both tables do nothing with the pointer.
        unsafe { Waker::new(core::ptr::without_provenance(data), table) }
    }

    #[test]
    fn wakers_with_the_same_data_are_told_apart_by_their_tables() {
        let (a, b) = (inert(0, &A), inert(0, &B));
        let mut queue = WakerQueue::<1>::new();
        assert!(queue.insert(Ticks::new(5), a.clone()).unwrap());
        assert_eq!(queue.bring_forward(Ticks::new(1), &b), None);
        assert_eq!(queue.bring_forward(Ticks::new(1), &a), Some(true));
        assert!(queue.insert(Ticks::new(1), b.clone()).is_err_and(|refused| refused.will_wake(&b)));
    }

    #[test]
    fn tasks_side_by_side_share_few_buckets() {
        const N: usize = 128;
        for distance in [8, 16, 24, 40, 64, 96, 256, 1000, 4096] {
            let mut lists = [0; N];
            for task in 0..N {
                lists[bucket::<N>(&inert(0x2000_0100 + task * distance, &A))] += 1;
            }
            let steps: u32 = lists.iter().map(|length| length * (length + 1) / 2).sum();
            assert!(steps as usize <= 2 * N, "{steps} steps at a distance of {distance}");
        }
    }

    #[test]
    fn never_takes_no_entry() {
        let mut queue = WakerQueue::<1>::new();
        let [waker] = wakers();
        assert!(!queue.insert(Ticks::NEVER, waker).unwrap());
        assert!(queue.is_empty());
    }

    #[test]
    fn what_is_left_in_it_is_dropped_with_it() {
        let task = Arc::new(Nobody);
        let mut queue = WakerQueue::<2>::new();
        assert!(queue.insert(Ticks::new(1), task.clone().into()).unwrap());
        assert_eq!(Arc::strong_count(&task), 2);
        drop(queue);
        assert_eq!(Arc::strong_count(&task), 1);
    }
}

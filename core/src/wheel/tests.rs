//! The wheel against a map, around every boundary, and a crowd in one bucket.

use super::*;
use crate::store::tests::{agrees_with_a_map, random};
use std::{vec, vec::Vec};

struct Vectors(Vec<HeapEntry>, Vec<WheelNode>);

impl WheelMemory for Vectors {
    type Nodes = [WheelNode];

    fn parts(&mut self) -> (&mut [HeapEntry], &mut [WheelNode]) {
        (&mut self.0, &mut self.1)
    }
    fn look(&self) -> (&[HeapEntry], &[WheelNode]) {
        (&self.0, &self.1)
    }
    fn capacity(&self) -> u32 {
        self.1.len() as u32
    }
    fn reserve(&mut self, capacity: u32) {
        self.1.resize(capacity as usize, WheelNode::EMPTY);
    }
    fn reserve_near(&mut self, len: u32) {
        if self.0.len() < len as usize {
            self.0.resize(len as usize, HeapEntry::EMPTY);
        }
    }
}

fn wheel<const G: u32, const LEVELS: usize>() -> WheelStore<Vectors, G, LEVELS> {
    WheelStore::with_memory(Vectors(vec![], vec![WheelNode::EMPTY; 64]))
}

fn pop_due<S: Store>(wheel: &mut S, now: Ticks) -> Option<u32> {
    assert!(wheel.sort(now, usize::MAX));
    wheel.pop_due(now)
}

/// Every node is where it says: in the heap if it is due in the present span, or maybe the next; otherwise in the
/// list of a bucket that covers its deadline and begins later.
fn sound<const G: u32, const LEVELS: usize>(wheel: &WheelStore<Vectors, G, LEVELS>) {
    let Vectors(entries, nodes) = &wheel.memory;
    let near = &entries[..wheel.near as usize];
    for (place, entry) in near.iter().enumerate() {
        assert_eq!(nodes[entry.index as usize].place, NEAR | place as u32);
        assert!({ entry.at }.get() >> G <= wheel.span + 1);
    }
    let mut far = 0;
    for (level, buckets) in wheel.heads.iter().enumerate() {
        for (bucket, lists) in buckets.iter().enumerate() {
            let occupied = wheel.occupied[level] & (1 << bucket) != 0;
            assert_eq!(occupied, *lists != [0; LISTS]);
            if !occupied {
                continue;
            }
            for (list, &head) in lists.iter().enumerate() {
                let (mut at, mut place) = (head, FIRST | (level * BUCKETS + bucket) as u32);
                while at != 0 {
                    let (index, node) = (at as usize - 1, nodes[at as usize - 1]);
                    let covering = node.at.get() >> G >> (BITS * level as u32);
                    assert_eq!((node.place, index % LISTS), (place, list));
                    assert_eq!(covering as usize % BUCKETS, bucket);
                    let current = wheel.span >> (BITS * level as u32);
                    assert!(covering > current || wheel.sorting && covering == current);
                    (at, place) = (node.next, at);
                    far += 1;
                }
            }
        }
    }
    assert_eq!(far, wheel.far);
    let filed = nodes.iter().filter(|node| node.place != 0).count();
    assert_eq!(filed as u32, wheel.near + wheel.far);
}

#[test]
fn it_agrees_with_a_map_on_random_programs() {
    for (start, reach) in [(0, 100), (0, 1 << 20), ((1 << 59) - 9, 1 << 40), (1 << 40, 1 << 57)] {
        agrees_with_a_map(wheel::<0, 12>, sound, start, reach);
        agrees_with_a_map(wheel::<3, 12>, sound, start, reach);
        agrees_with_a_map(wheel::<20, 8>, sound, start, reach);
    }
}

#[test]
fn every_deadline_around_every_boundary_is_popped_at_its_tick() {
    for start in [0u64, 1, 31, 32, 33, 63, 64, (1 << 20) - 1, 1 << 20] {
        for level in 0..11 {
            for near in -2i64..=2 {
                for times in [1u64, 31, 32, 33, 63, 64] {
                    let at = start + (times << (5 * level));
                    let Some(at) = at.checked_add_signed(near).filter(|at| *at >= start) else {
                        continue;
                    };
                    let mut wheel = wheel::<0, 12>();
                    assert!(wheel.sort(Ticks::new(start), usize::MAX));
                    wheel.set(7, Ticks::new(at));
                    assert_eq!(wheel.next(), Some(Ticks::new(at)), "one timer is known exactly");
                    if at > start {
                        assert_eq!(pop_due(&mut wheel, Ticks::new(at - 1)), None);
                    }
                    assert_eq!(pop_due(&mut wheel, Ticks::new(at)), Some(7), "{start} to {at}");
                    assert_eq!(wheel.len(), 0);
                }
            }
        }
    }
}

#[test]
fn the_last_deadline_and_never_have_a_place() {
    let mut wheel = wheel::<20, 8>();
    wheel.set(1, Ticks::NEVER);
    wheel.set(2, Ticks::LAST);
    assert_eq!(wheel.next(), Some(Ticks::LAST));
    assert_eq!(pop_due(&mut wheel, Ticks::LAST), Some(2));
    assert_eq!(wheel.next(), Some(Ticks::NEVER));
    assert!(wheel.remove(1));
    assert_eq!(wheel.next(), None);
}

#[test]
fn tidying_moves_the_next_bucket_down_before_its_time() {
    // What is in the second bucket of a level, seen from 0, can be moved when the first begins.
    for (level, span) in [(1, 32), (2, 1_024), (3, 32_768)] {
        let mut wheel = wheel::<0, 12>();
        let mut state = 1;
        let start = 2 * span;
        (0..64).for_each(|i| wheel.set(i, Ticks::new(start + random(&mut state) % span)));
        assert_eq!(wheel.next(), Some(Ticks::new(start)), "too many to look at");
        assert!(wheel.sort(Ticks::new(span + 1), usize::MAX));
        assert_eq!(wheel.occupied[level].count_ones(), 1);
        wheel.tidy(64);
        assert_eq!(wheel.occupied[level], 0);
        assert_eq!(wheel.len(), 64);
        sound(&wheel);
    }
}

/// A crowd of 17 in the first span of 16 ticks, the indices from 40 on.
fn crowded() -> WheelStore<Vectors, 4, 12> {
    let mut wheel = wheel::<4, 12>();
    (40..57).for_each(|index| wheel.set(index, Ticks::new(5)));
    wheel
}

#[test]
fn tidying_sorts_the_next_span_before_it_begins() {
    let mut wheel = crowded();
    // All are due in the second span; the earliest last.
    let at = |index: u32| Ticks::new(31 - u64::from(index) % 16);
    (0..40).for_each(|index| wheel.set(index, at(index)));
    for round in 1..=5 {
        wheel.tidy(30);
        assert_eq!(wheel.near, 17 + 8 * round, "a quarter of the steps, rounded up");
        sound(&wheel);
    }
    assert_eq!((wheel.next(), wheel.far), (Some(Ticks::new(5)), 0));
    (40..57).for_each(|index| assert!(wheel.remove(index)));
    assert_eq!(wheel.next(), Some(Ticks::new(16)));
    assert_eq!(wheel.pop_due(Ticks::new(15)), None);
    assert!(wheel.sort(Ticks::new(31), 0), "nothing is left to do");
    let popped: Vec<_> = std::iter::from_fn(|| wheel.pop_due(Ticks::new(31))).map(at).collect();
    assert!(popped.is_sorted() && popped.len() == 40);
}

#[test]
fn what_is_sorted_ahead_hides_nothing_that_is_earlier() {
    let mut wheel = crowded();
    wheel.set(0, Ticks::new(30));
    wheel.tidy(4);
    assert_eq!((wheel.near, wheel.far), (18, 0));
    (40..57).for_each(|index| assert!(wheel.remove(index)));
    wheel.set(1, Ticks::new(20));
    assert_eq!((wheel.near, wheel.next()), (1, Some(Ticks::new(20))));
    wheel.set(2, Ticks::new(10));
    assert_eq!((wheel.near, wheel.next()), (2, Some(Ticks::new(10))));
    for index in [2, 1, 0] {
        assert_eq!(pop_due(&mut wheel, Ticks::new(30)), Some(index));
        sound(&wheel);
    }
}

#[test]
fn a_few_are_not_sorted_ahead() {
    let mut wheel = crowded();
    assert!(wheel.remove(40));
    wheel.set(0, Ticks::new(30));
    wheel.tidy(4);
    assert_eq!((wheel.near, wheel.far), (16, 1));
}

#[test]
fn a_crowd_is_sorted_little_by_little_and_nothing_is_popped_before_its_turn() {
    let mut wheel = wheel::<4, 12>();
    // All are due in one span, and in one bucket of the level above; the earliest last.
    let at = |index: u32| Ticks::new((1 << 14) + 15 - u64::from(index) / 4);
    (0..64).for_each(|index| wheel.set(index, at(index)));
    let now = at(0);
    let mut rounds = 1;
    while !wheel.sort(now, 8) {
        assert!(wheel.next() <= Some(at(63)), "it is not to be slept through");
        sound(&wheel);
        rounds += 1;
    }
    assert_eq!(rounds, 64 / 8);
    let popped: Vec<_> = std::iter::from_fn(|| wheel.pop_due(now)).map(at).collect();
    assert!(popped.is_sorted() && popped.len() == 64);
}

#[test]
fn a_bucket_that_is_tidied_in_part_keeps_the_rest() {
    let mut wheel = wheel::<0, 12>();
    // All of them are in bucket 2 of level 1.
    (0..64).for_each(|index| wheel.set(index, Ticks::new(64 + u64::from(index) % 32)));
    assert!(wheel.sort(Ticks::new(33), usize::MAX));
    let left = |wheel: &WheelStore<Vectors, 0, 12>| {
        let mut heads = wheel.heads[1][2].to_vec();
        let next = |head: &u32| wheel.memory.1[*head as usize - 1].next;
        let mut count = 0;
        while {
            heads.retain(|head| *head != 0);
            !heads.is_empty()
        } {
            count += heads.len();
            heads = heads.iter().map(next).collect();
        }
        count
    };
    for round in 1..=8 {
        assert_eq!(left(&wheel), 64 - 8 * (round - 1));
        wheel.tidy(8);
        sound(&wheel);
    }
    assert_eq!((left(&wheel), wheel.len()), (0, 64));

    let mut wheel = self::wheel::<0, 12>();
    (0..64).for_each(|index| wheel.set(index, Ticks::new(64 + u64::from(index) % 32)));
    assert!(wheel.sort(Ticks::new(33), usize::MAX));
    wheel.tidy(8);
    for index in 0..64 {
        assert!(wheel.remove(index));
        sound(&wheel);
    }
}

#[test]
fn a_node_takes_16_bytes() {
    assert_eq!(size_of::<WheelNode>(), 16);
}

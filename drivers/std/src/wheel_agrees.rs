//! The wheel on the memory that it has here, against a map: the core's own test of its stores, with
//! indices in several segments, which are made as they are needed.

use std::collections::BTreeMap;

use moirai_timer_core::{Store, Ticks};

use crate::memory::{MOST, Wheel, memory};

/// Three segments, of 256, 512 and 1024; the last is used in part.
const INDICES: u64 = 1_000;

/// Marsaglia's xorshift.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn a_wheel_in_segments_agrees_with_a_map() {
    for seed in 1..=5 {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed);
        let mut wheel = Wheel::with_memory(memory(MOST).1);
        let (mut map, mut now) = (BTreeMap::new(), 0);
        for step in 0..3_000 {
            // More of them as it goes on, so that it grows with timers in it.
            let index = (random(&mut state) % (INDICES * (step + 1) / 3_000 + 1)) as u32;
            match random(&mut state) % 8 {
                0 => assert_eq!(wheel.remove(index), map.remove(&index).is_some()),
                1 if random(&mut state).is_multiple_of(4) => now += random(&mut state) % (1 << 24),
                2 => wheel.tidy(7),
                3 if random(&mut state).is_multiple_of(4) => {
                    now = wheel.next().map_or(now, |at| now.max(at.get())).min(now + (1 << 30));
                }
                _ => {
                    // Distances of all magnitudes up to 18 minutes.
                    let ahead = random(&mut state) & ((2 << (random(&mut state) % 40)) - 1);
                    wheel.set(index, Ticks::new(now + ahead));
                    map.insert(index, now + ahead);
                }
            }
            let sorted = wheel.sort(Ticks::new(now), 1 << (random(&mut state) % 8));
            while let Some(index) = sorted.then(|| wheel.pop_due(Ticks::new(now))).flatten() {
                let earliest = map.values().min().copied();
                assert_eq!(map.remove(&index), earliest, "popped out of order");
                assert!(earliest <= Some(now), "popped early");
            }
            let earliest = map.values().min().copied();
            assert!(!sorted || earliest.is_none_or(|at| at > now), "{earliest:?} was due at {now}");
            let next = wheel.next().map(Ticks::get);
            assert_eq!(next.is_some(), earliest.is_some());
            assert!(next <= earliest, "{next:?} is after {earliest:?}");
            assert_eq!(wheel.len() as usize, map.len());
        }
    }
}

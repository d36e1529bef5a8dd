//! A store that is compared with a map, at every call.

use std::collections::BTreeMap;

use moirai_timer_core::{Store, Ticks};

/// A store inside an engine, and what must be in it.
#[derive(Debug)]
pub(super) struct Checked<S> {
    store: S,
    map: BTreeMap<u32, Ticks>,
}

/// So many timers any store knows exactly. A wheel that has more in one bucket may say that it
/// wants to sort them first.
pub(super) const EXACT: usize = 16;

impl<S> Checked<S> {
    pub(super) const fn new(store: S) -> Self {
        Checked { store, map: BTreeMap::new() }
    }

    fn earliest(&self) -> Option<Ticks> {
        self.map.values().min().copied()
    }
}

impl<S: Store> Store for Checked<S> {
    fn set(&mut self, index: u32, at: Ticks) {
        self.store.set(index, at);
        self.map.insert(index, at);
        assert_eq!(self.store.len() as usize, self.map.len());
    }

    fn remove(&mut self, index: u32) -> bool {
        let removed = self.store.remove(index);
        assert_eq!(removed, self.map.remove(&index).is_some(), "removed {index}");
        assert_eq!(self.store.len() as usize, self.map.len());
        removed
    }

    fn sort(&mut self, now: Ticks, steps: usize) -> bool {
        let sorted = self.store.sort(now, steps);
        assert_eq!(self.store.len() as usize, self.map.len());
        sorted
    }

    fn pop_due(&mut self, now: Ticks) -> Option<u32> {
        let due = self.earliest().filter(|at| *at <= now);
        let popped = self.store.pop_due(now);
        let at = popped.map(|index| self.map.remove(&index).expect("it was in the store"));
        assert_eq!(at, due, "popped at {now:?}");
        assert_eq!(self.store.len() as usize, self.map.len());
        popped
    }

    fn next(&self) -> Option<Ticks> {
        let (next, earliest) = (self.store.next(), self.earliest());
        assert_eq!(next.is_some(), earliest.is_some());
        assert!(next <= earliest, "{next:?} is after {earliest:?}");
        assert!(next == earliest || self.map.len() > EXACT, "{next:?} is not {earliest:?}");
        next
    }

    fn first(&self) -> Option<(u32, Ticks)> {
        let first = self.store.first();
        if let Some((index, at)) = first {
            assert_eq!(self.map.get(&index), Some(&at));
            assert!(Some(at) == self.earliest() || self.map.len() > EXACT);
        }
        assert_eq!(first.is_some(), !self.map.is_empty());
        first
    }

    fn tidy(&mut self, steps: usize) {
        self.store.tidy(steps);
        assert_eq!(self.store.len() as usize, self.map.len());
    }

    fn len(&self) -> u32 {
        self.store.len()
    }
}

//! What the engine asks of a collection of deadlines.

use crate::Ticks;

/// Deadlines in order, each with the index of its slot.
///
/// Only the turner touches it, so it is plain data. A store holds an index once at most.
///
/// # Example
///
/// One that is good for a few timers, and takes next to no flash:
///
/// ```
/// use moirai_timer_core::{Engine, ManualDriver, Slot, Store, Ticks};
///
/// struct List([Ticks; 4]);
///
/// impl Store for List {
///     fn set(&mut self, index: u32, at: Ticks) {
///         self.0[index as usize] = at;
///     }
///
///     fn remove(&mut self, index: u32) -> bool {
///         !core::mem::replace(&mut self.0[index as usize], Ticks::NEVER).is_never()
///     }
///
///     fn pop_due(&mut self, now: Ticks) -> Option<u32> {
///         let (index, at) = self.first()?;
///         (at <= now && self.remove(index)).then_some(index)
///     }
///
///     fn next(&self) -> Option<Ticks> {
///         self.first().map(|(_, at)| at)
///     }
///
///     fn first(&self) -> Option<(u32, Ticks)> {
///         (0..).zip(self.0).filter(|(_, at)| !at.is_never()).min_by_key(|(_, at)| *at)
///     }
///
///     fn len(&self) -> u32 {
///         self.0.iter().filter(|at| !at.is_never()).count() as u32
///     }
///
///     // Nothing in it is rough: these are as they come.
///     fn sort(&mut self, _now: Ticks, _steps: usize) -> bool {
///         true
///     }
///
///     fn tidy(&mut self, _steps: usize) {}
///
///     fn is_empty(&self) -> bool {
///         self.len() == 0
///     }
/// }
///
/// static TIMER: Engine<ManualDriver, [Slot; 4], List> = Engine::with_parts(
///     ManualDriver::new(),
///     [const { Slot::new() }; 4],
///     List([Ticks::NEVER; 4]),
/// );
/// # let mut cx = core::task::Context::from_waker(core::task::Waker::noop());
/// # let mut sleep = TIMER.sleep_until(Ticks::new(5));
/// # assert!(core::future::Future::poll(core::pin::Pin::new(&mut sleep), &mut cx).is_pending());
/// # TIMER.on_alarm();
/// # assert_eq!(TIMER.next_deadline(), Some(Ticks::new(5)));
/// # TIMER.driver().advance(5);
/// # TIMER.on_alarm();
/// # assert_eq!(TIMER.metrics().map(|so_far| so_far.fired), Some(1));
/// ```
pub trait Store {
    /// Adds `index`, or moves it if it is there. Makes room for it, if the store can.
    ///
    /// # Panics
    /// If there is no room for the index.
    fn set(&mut self, index: u32, at: Ticks);

    /// Takes `index` out; whether it was there.
    fn remove(&mut self, index: u32) -> bool;

    /// Sorts what may be due at `now`, `steps` timers at most; whether it is done.
    fn sort(&mut self, now: Ticks, steps: usize) -> bool {
        let _ = (now, steps);
        true
    }

    /// Takes out the earliest, if it is due at `now`, for which [`sort`](Self::sort) is done. No
    /// order is promised among equal deadlines.
    fn pop_due(&mut self, now: Ticks) -> Option<u32>;

    /// When to come back: at the earliest deadline; or earlier, at the time by which the store wants
    /// to sort what it has only put together roughly. `None` if it is empty.
    fn next(&self) -> Option<Ticks>;

    /// The earliest, and when it is; or one of those of which any may be the earliest, if the store has
    /// put them together roughly. `None` also if it can't tell.
    fn first(&self) -> Option<(u32, Ticks)> {
        None
    }

    /// Does some of the work that comes up later: some `steps`, or a few more.
    fn tidy(&mut self, steps: usize) {
        let _ = steps;
    }

    /// How many there are.
    fn len(&self) -> u32;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
pub(crate) mod tests {
    //! Any store against one that is too simple to be wrong.

    use super::*;
    use std::collections::BTreeMap;

    /// xorshift64 (Marsaglia 2003).
    pub(crate) fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    /// Random programs over 64 indices; deadlines up to `reach` ahead, the clock from `start`. In every
    /// other one time goes slowly, and most indices are there most of the time.
    /// After each step `sound` looks whether the store is in order inside.
    pub(crate) fn agrees_with_a_map<S: Store>(
        new: impl Fn() -> S,
        sound: impl Fn(&S),
        start: u64,
        reach: u64,
    ) {
        for seed in 1..20u64 {
            let mut state = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed);
            let (mut store, mut oracle, mut now) = (new(), BTreeMap::new(), start);
            let crowded = seed % 2 == 1;
            let stride = if crowded { 1 + reach / 256 } else { reach };
            for _ in 0..3_000 {
                let index = (random(&mut state) % 64) as u32;
                match random(&mut state) % 8 {
                    0 => assert_eq!(store.remove(index), oracle.remove(&index).is_some()),
                    1 => now = (now + random(&mut state) % stride).min(Ticks::LAST.get()),
                    2 => store.tidy(7),
                    3 if !crowded => {
                        now = store.next().map_or(now, |at| now.max(at.get())).min(now + 2 * reach)
                    }
                    _ => {
                        // Distances of all magnitudes, some in the past.
                        let most = reach.ilog2() as u64;
                        let bits = if crowded { most } else { random(&mut state) % (most + 1) };
                        let ahead = random(&mut state) & ((2 << bits) - 1);
                        let at = Ticks::new((now + ahead).saturating_sub(3));
                        store.set(index, at);
                        oracle.insert(index, at.get());
                    }
                }
                // Sometimes in so few steps that other things are done in between.
                let sorted = store.sort(Ticks::new(now), 1 << (random(&mut state) % 8));
                while let Some(index) = sorted.then(|| store.pop_due(Ticks::new(now))).flatten() {
                    let earliest = oracle.values().min().copied();
                    let at = oracle.remove(&index);
                    assert!(
                        at.is_some() && at == earliest && at <= Some(now),
                        "popped out of order"
                    );
                }
                let earliest = oracle.values().min().copied();
                assert!(
                    !sorted || earliest.is_none_or(|at| at > now),
                    "{earliest:?} was due at {now}"
                );
                let next = store.next().map(Ticks::get);
                assert_eq!(next.is_some(), earliest.is_some());
                assert!(next <= earliest, "{next:?} is after {earliest:?}");
                if let Some((index, at)) = store.first() {
                    assert_eq!(oracle.get(&index), Some(&at.get()));
                    assert!(
                        next < earliest || Some(at.get()) == earliest,
                        "{at:?} is not the first"
                    );
                }
                assert_eq!(store.len() as usize, oracle.len());
                assert_eq!(store.is_empty(), oracle.is_empty());
                sound(&store);
            }
        }
    }

    /// What has to be written, and no more.
    #[derive(Default)]
    struct Least(BTreeMap<u32, Ticks>);

    impl Store for Least {
        fn set(&mut self, index: u32, at: Ticks) {
            self.0.insert(index, at);
        }

        fn remove(&mut self, index: u32) -> bool {
            self.0.remove(&index).is_some()
        }

        fn pop_due(&mut self, now: Ticks) -> Option<u32> {
            let (index, at) = self.0.iter().min_by_key(|(_, at)| **at)?;
            let index = (*at <= now).then_some(*index)?;
            self.0.remove(&index);
            Some(index)
        }

        fn next(&self) -> Option<Ticks> {
            self.0.values().min().copied()
        }

        fn len(&self) -> u32 {
            self.0.len() as u32
        }
    }

    #[test]
    fn what_a_store_need_not_say_is_right_as_it_is() {
        agrees_with_a_map(Least::default, |_| {}, 0, 1_000);
    }
}

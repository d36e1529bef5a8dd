//! Who wants to know when a clock has jumped, and the thread that is told by the system.
//!
//! One thread and one file serve all sleeps of the process. They are there from the first of these
//! sleeps that waits, and the thread is blocked until a clock jumps.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::{io, mem};

use crate::contain::contain;
use crate::fork;
use crate::sys::{ClockChanges, start_thread};

/// Those who wait for a clock to jump.
#[derive(Debug)]
pub(crate) struct Changes(Mutex<State>);

#[derive(Debug)]
pub(crate) struct State {
    /// How many jumps there have been.
    epoch: u64,
    last_key: u64,
    waiting: BTreeMap<u64, Waker>,
    /// The generation of the process in which the thread was started; see `fork`. 0: it does not run.
    watched: u32,
}

/// A place among those who wait. To be given back by [`Changes::leave`].
#[derive(Debug)]
pub(crate) struct Place(u64);

impl Changes {
    pub(crate) const fn new() -> Self {
        Changes(Mutex::new(State { epoch: 0, last_key: 0, waiting: BTreeMap::new(), watched: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `waker` woken by the next jump, and gives the number of those before it.
    pub(crate) fn attend(&self, place: &mut Option<Place>, waker: &Waker) -> u64 {
        // Wakers are the program's: they are cloned and dropped when nothing is locked.
        let waker = waker.clone();
        let mut state = self.lock();
        let key = place.get_or_insert_with(|| {
            state.last_key += 1;
            Place(state.last_key)
        });
        let old = state.waiting.insert(key.0, waker);
        let epoch = state.epoch;
        drop(state);
        drop(old);
        epoch
    }

    pub(crate) fn leave(&self, place: Place) {
        let old = self.lock().waiting.remove(&place.0);
        drop(old);
    }

    /// A clock has jumped: wakes everybody.
    pub(crate) fn tell(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        for waker in waiting.into_values() {
            contain(|| waker.wake(), |_| {});
        }
    }
}

static SYSTEM: Changes = Changes::new();

/// The jumps of the system's clocks, and nobody is asked to tell of them.
pub(crate) fn so_far() -> &'static Changes {
    &SYSTEM
}

/// The jumps of the system's clocks, and whether somebody will tell of them.
pub(crate) fn of_the_system() -> (&'static Changes, bool) {
    let mut state = SYSTEM.lock();
    let generation = fork::generation();
    if state.watched != generation && watch(generation).is_ok() {
        state.watched = generation;
    }
    let watched = state.watched == generation;
    drop(state);
    (&SYSTEM, watched)
}

fn watch(generation: u32) -> io::Result<()> {
    let changes = ClockChanges::new()?;
    let run = move || {
        while changes.wait().is_ok() {
            SYSTEM.tell();
        }
        // They look after themselves from now on.
        SYSTEM.lock().watched = 0;
        SYSTEM.tell();
    };
    start_thread("moirai-clocks".into(), fork::is_child(generation), run)
}

/// Keeps the list of those who wait as it is, while the process is copied.
pub(crate) struct Held(MutexGuard<'static, State>);

pub(crate) fn hold() -> Held {
    Held(SYSTEM.lock())
}

impl Held {
    /// A child forgets whom to wake: they are on threads that it does not have. The file of the parent's
    /// thread stays open in it.
    pub(crate) fn forget(&mut self) {
        self.0.epoch += 1;
        mem::forget(mem::take(&mut self.0.waiting));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::task::Wake;

    struct Counter(AtomicU32);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    struct Fails;

    impl Wake for Fails {
        fn wake(self: Arc<Self>) {
            panic!("this waker fails");
        }
    }

    /// Panics with something that panics when it is dropped.
    struct FailsTwice;

    impl Wake for FailsTwice {
        fn wake(self: Arc<Self>) {
            std::panic::panic_any(FailsTwice);
        }
    }

    impl Drop for FailsTwice {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                // This is leaked, as it might go on like that. It takes no memory.
                std::panic::panic_any(());
            }
        }
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_keeps_nobody_from_being_told() {
        let changes = Changes::new();
        let counter = Arc::new(Counter(AtomicU32::new(0)));
        let mut places = [None, None];
        // The list wakes in the order of arrival.
        changes.attend(&mut places[0], &Waker::from(Arc::new(FailsTwice)));
        changes.attend(&mut places[1], &Waker::from(counter.clone()));
        changes.tell();
        assert_eq!(counter.0.load(SeqCst), 1);
    }

    #[test]
    fn everybody_who_waits_is_told_once_whoever_fails() {
        let changes = Changes::new();
        let counter = Arc::new(Counter(AtomicU32::new(0)));
        let waker = Waker::from(counter.clone());
        let mut places = [None, None, None, None];
        let fails = Waker::from(Arc::new(Fails));
        changes.attend(&mut places[0], &fails);
        for place in &mut places[1..] {
            assert_eq!(changes.attend(place, &waker), 0);
        }
        // Attending again keeps one waker.
        changes.attend(&mut places[1], &waker);
        changes.leave(places[3].take().expect("it has attended"));
        changes.tell();
        assert_eq!(counter.0.load(SeqCst), 2);
        changes.tell();
        assert_eq!(counter.0.load(SeqCst), 2);
        assert_eq!(changes.attend(&mut places[1], &waker), 2);
        changes.tell();
        assert_eq!(counter.0.load(SeqCst), 3);
        assert!(changes.lock().waiting.is_empty());
    }
}

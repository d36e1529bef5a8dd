//! A later deadline for an armed sleep is one store into its slot; an earlier one is a command.

use std::future::Future;
use std::pin::Pin;

use moirai_timer_core::{Engine, HeapStore, Inline, ManualDriver, Slot, Store, Ticks};
use moirai_timer_tests::Task;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// A store that counts how often it is changed.
struct Counted<'a> {
    heap: HeapStore<Inline<8>>,
    changes: &'a AtomicU32,
}

impl Store for Counted<'_> {
    fn set(&mut self, index: u32, at: Ticks) {
        self.changes.fetch_add(1, SeqCst);
        self.heap.set(index, at);
    }

    fn remove(&mut self, index: u32) -> bool {
        self.changes.fetch_add(1, SeqCst);
        self.heap.remove(index)
    }

    fn pop_due(&mut self, now: Ticks) -> Option<u32> {
        let index = self.heap.pop_due(now)?;
        self.changes.fetch_add(1, SeqCst);
        Some(index)
    }

    fn next(&self) -> Option<Ticks> {
        self.heap.next()
    }

    fn len(&self) -> u32 {
        self.heap.len()
    }
}

/// As a connection does that moves its idle timeout with every packet.
#[test]
fn a_timeout_that_is_put_off_a_million_times_costs_the_store_nothing() {
    let changes = AtomicU32::new(0);
    let store = Counted { heap: HeapStore::new(), changes: &changes };
    let slots = [const { Slot::new() }; 8];
    let timer = Engine::with_parts(ManualDriver::<1_000>::new(), slots, store);
    let task = Task::new();
    let mut sleep = timer.sleep_until(Ticks::new(100));
    assert!(task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
    timer.driver().take_interrupt();
    timer.on_alarm();
    assert_eq!(changes.load(SeqCst), 1);

    for later in 0..1_000_000 {
        sleep.reset(Ticks::new(100 + later));
    }
    assert_eq!(timer.drain().applied, 0);
    assert!(!timer.driver().take_interrupt());
    assert_eq!(changes.load(SeqCst), 1);

    // Each time the old deadline comes up, the store hears of the new one, once.
    timer.driver().set(Ticks::new(100));
    timer.on_alarm();
    assert_eq!((changes.load(SeqCst), task.wakes()), (3, 0), "taken out and put back");
    assert_eq!(timer.driver().alarm(), Some(Ticks::new(1_000_099)));

    sleep.reset(Ticks::new(500));
    assert_eq!(changes.load(SeqCst), 3);
    assert!(timer.driver().take_interrupt(), "an earlier one has to be told");
    timer.on_alarm();
    assert_eq!(changes.load(SeqCst), 4);
    assert_eq!(timer.driver().alarm(), Some(Ticks::new(500)));
}

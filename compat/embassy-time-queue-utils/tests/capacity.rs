//! How many wakers the queue has room for: as many as the environment says, or the largest of the features.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Wake, Waker};

use embassy_time_queue_utils::queue_generic::Queue;

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn it_has_the_capacity_that_was_asked_for() {
    let features = [
        (cfg!(feature = "generic-queue-8"), 8),
        (cfg!(feature = "generic-queue-16"), 16),
        (cfg!(feature = "generic-queue-32"), 32),
        (cfg!(feature = "generic-queue-64"), 64),
        (cfg!(feature = "generic-queue-128"), 128),
    ];
    let largest = features.iter().filter(|(is_on, _)| *is_on).map(|(_, capacity)| *capacity).max();
    let asked = std::env::var("EMBASSY_TIME_QUEUE_CAPACITY");
    let expected = asked.map_or(largest.unwrap_or(64), |asked| asked.parse().unwrap());

    let mut queue = Queue::new();
    let flags: Vec<Arc<Flag>> = (0..=expected).map(|_| Arc::default()).collect();
    for flag in &flags {
        queue.schedule_wake(1_000, &Waker::from(flag.clone()));
    }
    // Who finds no room is woken at once.
    let refused: Vec<_> = (0..=expected).filter(|number| flags[*number].0.load(SeqCst)).collect();
    assert_eq!(refused, [expected]);
}

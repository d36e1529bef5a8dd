//! No allocation on any hot path, once the timer has grown to what is asked of it.
//!
//! One test, in a program of its own, as it counts what the whole program allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::Future;
use std::hint::spin_loop;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use moirai_timer_core::{ManualDriver, Ticks};
use moirai_timer_std::{Sleep, Timer};
use moirai_timer_tests::{Task, until};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, SeqCst);
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often anybody allocated while `body` ran.
fn allocations(body: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.load(SeqCst);
    body();
    ALLOCATIONS.load(SeqCst) - before
}

const MANY: usize = 500;

/// Arms, polls again, moves, replaces the waker, drops, and lets fire, with every kind of sleep.
fn round(timer: &Timer, sleeps: &mut Vec<Sleep>, task: &Task, other: &Task) {
    let start = Instant::now();
    let fired = task.wakes() + other.wakes();
    for i in 0..MANY {
        sleeps.push(timer.sleep_until(start + Duration::from_micros(3_000 + i as u64)));
    }
    let mut pending = 0;
    for sleep in sleeps.iter_mut() {
        let _ = task.polls(|cx| Pin::new(&mut *sleep).poll(cx));
        let _ = task.polls(|cx| Pin::new(&mut *sleep).poll(cx));
        sleep.reset_after(Duration::from_secs(100));
        sleep.reset_after(Duration::from_millis(5));
        let ready = other.polls(|cx| Pin::new(&mut *sleep).poll(cx)).is_ready();
        pending += !ready as u32;
    }
    for i in 0..MANY {
        let mut dropped = timer.sleep(Duration::from_secs(50 + i as u64));
        let _ = task.polls(|cx| Pin::new(&mut dropped).poll(cx));
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    while task.wakes() + other.wakes() < fired + pending {
        assert!(Instant::now() < deadline);
        spin_loop();
    }
    sleeps.clear();
    while timer.next_deadline().is_some() {
        assert!(Instant::now() < deadline);
        timer.turn();
    }
}

/// Has all of them due at one instant, as in a round in which the timer's thread is held up. Whether the timer
/// knew of all of them before.
fn all_at_once(timer: &Timer, sleeps: &mut Vec<Sleep>, task: &Task, lead: Duration) -> bool {
    let (at, mut wakes) = (Instant::now() + lead, task.wakes());
    sleeps.extend((0..MANY).map(|_| timer.sleep_until(at)));
    for sleep in sleeps.iter_mut() {
        wakes += task.polls(|cx| Pin::new(sleep).poll(cx)).is_pending() as u32;
    }
    // It takes in what it was told.
    timer.next_deadline();
    let in_time = Instant::now() < at;
    until(|| task.wakes() == wakes);
    sleeps.clear();
    in_time
}

#[test]
fn nothing_is_allocated_once_the_timer_is_warm() {
    let (task, other) = (Task::new(), Task::new());

    let timer = Timer::builder().shards(1).thread_name("warm").build().unwrap();
    let mut sleeps = Vec::with_capacity(MANY);
    for _ in 0..5 {
        round(&timer, &mut sleeps, &task, &other);
    }
    // What is too soon for a slow machine is far enough ahead later.
    let mut leads = [20, 2_000, 20_000].into_iter().map(Duration::from_millis);
    assert!(leads.any(|lead| all_at_once(&timer, &mut sleeps, &task, lead)));
    let count = allocations(|| (0..10).for_each(|_| round(&timer, &mut sleeps, &task, &other)));
    assert_eq!(count, 0, "the std timer, its thread included");

    // The core never does, from the first moment on.
    let core = moirai_timer_core::Timer::<ManualDriver, 64>::new(ManualDriver::new());
    let count = allocations(|| {
        for start in (0..100_000).step_by(100) {
            let mut sleeps: [_; 64] =
                std::array::from_fn(|i| core.sleep_until(Ticks::new(start + 1 + i as u64 * 3)));
            for sleep in &mut sleeps {
                let _ = task.polls(|cx| Pin::new(&mut *sleep).poll(cx));
                let _ = other.polls(|cx| Pin::new(&mut *sleep).poll(cx));
            }
            core.on_alarm();
            sleeps[3].reset(Ticks::new(start + 2));
            core.driver().set(Ticks::new(start + 100));
            core.on_alarm();
        }
    });
    assert_eq!(count, 0, "the core");
    assert!(core.metrics().unwrap().fired > 1_000);
}

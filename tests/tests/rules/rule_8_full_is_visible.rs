//! Pool full: `try_sleep` says so, a plain sleep stays on time and is counted, and on std the pool
//! grows up to its limit without moving a slot.

use std::future::Future;
use std::pin::Pin;
use std::thread;
use std::time::Duration;

use moirai_timer_core::RegisterError;
use moirai_timer_std::{Timer, block_on};
use moirai_timer_tests::{Task, until};

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn the_pool_grows_to_its_limit_and_no_further() {
    for capacity in [1, 2, 255, 256, 257, 1_000, 5_000] {
        let timer = Timer::builder().shards(1).capacity(capacity).build().unwrap();
        let sleeps: Vec<_> = (0..capacity).map(|_| timer.try_sleep(HOUR)).collect();
        assert!(sleeps.iter().all(Result::is_ok), "{capacity} have to fit");
        assert_eq!(timer.try_sleep(HOUR).err(), Some(RegisterError::Full));
        assert_eq!(timer.metrics().slots, capacity as u64);
    }
}

/// With several shards the capacity is shared, and a thread may use all of it.
#[test]
fn one_thread_may_use_the_room_of_all_shards() {
    let timer = Timer::builder().shards(4).capacity(1_000).build().unwrap();
    let sleeps: Vec<_> = (0..1_000).map(|_| timer.try_sleep(HOUR)).collect();
    assert!(sleeps.iter().all(Result::is_ok));
    assert_eq!(timer.try_sleep(HOUR).err(), Some(RegisterError::Full));
}

#[test]
fn a_hundred_thousand_sleeps_are_armed_and_fire() {
    // What is too soon for a slow machine is far enough ahead later.
    let mut ahead = [200, 2_000, 20_000].into_iter().map(Duration::from_millis);
    assert!(ahead.any(many_fire), "this machine is hopelessly slow");
}

/// Whether any of them were armed in time.
fn many_fire(ahead: Duration) -> bool {
    const MANY: usize = 100_000;
    let timer = Timer::builder().thread_name("many").build().unwrap();
    let task = Task::new();
    let start = std::time::Instant::now();
    let mut sleeps: Vec<_> = (0..MANY)
        .map(|i| timer.sleep_until(start + ahead + Duration::from_micros(i as u64)))
        .collect();
    let mut armed = 0;
    for sleep in &mut sleeps {
        armed += task.polls(|cx| Pin::new(sleep).poll(cx)).is_pending() as u32;
    }
    if armed == 0 {
        return false;
    }
    until(|| task.wakes() == armed);
    until(|| timer.metrics().armed == 0);
    let metrics = timer.metrics();
    assert_eq!(metrics.registered, u64::from(armed));
    assert_eq!(metrics.fired, u64::from(armed));
    assert_eq!(metrics.full_repolls, 0);
    true
}

/// More sleeps than slots, on real executors: all of them complete, on time, and are counted.
#[test]
fn sleeps_beyond_the_capacity_complete_all_the_same() {
    let timer = Timer::builder().shards(1).capacity(4).thread_name("small").build().unwrap();
    // What is too soon for a slow machine, and due when it is polled, is far enough ahead later.
    for ahead in [20, 200, 2_000, 20_000] {
        let held = [(); 4].map(|()| timer.try_sleep(HOUR).expect("nobody else has a slot"));
        let threads: Vec<_> = (0..12)
            .map(|i| {
                let timer = timer.clone();
                thread::spawn(move || {
                    let sleep = timer.sleep(Duration::from_millis(ahead + i));
                    let deadline = sleep.deadline();
                    block_on(sleep);
                    assert!(std::time::Instant::now() >= deadline);
                })
            })
            .collect();
        let is_full = || timer.metrics().full_repolls > 0;
        until(|| is_full() || threads.iter().all(|thread| thread.is_finished()));
        drop(held);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        if is_full() {
            return;
        }
    }
    panic!("nobody has found that it is full");
}

/// While there is room, nobody is told that there is none, whoever else takes and returns slots.
#[test]
fn a_timer_with_room_never_says_that_it_is_full() {
    let timer = Timer::builder().shards(1).capacity(100_000).thread_name("roomy").build().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let task = Task::new();
                for _ in 0..100 {
                    let mut held = Vec::new();
                    for _ in 0..200 {
                        let mut sleep = timer.try_sleep(HOUR).expect("there is room for 100,000");
                        let _ = task.polls(|cx| Pin::new(&mut sleep).poll(cx));
                        held.push(sleep);
                    }
                }
            });
        }
    });
    assert_eq!(timer.metrics().full_repolls, 0);
}

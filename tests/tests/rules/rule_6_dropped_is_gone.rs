//! A dropped sleep gives its slot back by the next turn, and never causes a wake-up.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use moirai_timer_core::{Drained, ManualDriver, Ticks, Timer};
use moirai_timer_tests::Task;

/// One slot is enough for any number of sleeps, one after the other.
#[test]
fn one_slot_serves_a_thousand_sleeps() {
    let timer = Timer::<ManualDriver, 1>::new(ManualDriver::new());
    let task = Task::new();
    for round in 0..1_000 {
        let mut sleep = timer.try_sleep_until(Ticks::new(10_000 + round)).expect("it is free");
        assert!(task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
        assert!(timer.try_sleep_until(Ticks::LAST).is_err());
        match round % 4 {
            0 => {
                timer.turn();
            }
            1 => timer.on_alarm(),
            2 => sleep.reset(Ticks::new(5_000)),
            _ => sleep.reset(Ticks::new(50_000)),
        }
        drop(sleep);
        timer.turn();
        assert_eq!(timer.drain().applied, 0, "the turn has freed it");
    }
    timer.driver().set(Ticks::LAST);
    timer.on_alarm();
    assert_eq!((task.wakes(), task.wakers()), (0, 0));
    let metrics = timer.metrics().unwrap();
    assert_eq!((metrics.registered, metrics.cancelled, metrics.armed), (1_000, 1_000, 0));
}

/// A sleep that was dropped before anybody turned leaves its slot, and its place in the queue, to the
/// next one. So a stream of timeouts that are not needed is one command.
#[test]
fn dropped_sleeps_pass_one_slot_on() {
    let timer = Timer::<ManualDriver, 8>::new(ManualDriver::new());
    let task = Task::new();
    for round in 0..1_000 {
        let mut sleep = timer.sleep_until(Ticks::new(10_000 + round));
        assert!(task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
    }
    assert_eq!(timer.drain(), Drained { applied: 1, freed: 1 });
    assert_eq!(timer.metrics().unwrap().cancelled, 1_000);
}

/// Threads that pass a handful of slots among each other, while others turn: no slot is ever lost,
/// or in two hands.
#[test]
fn slots_that_pass_from_thread_to_thread_stay_whole() {
    let timer = Timer::<ManualDriver, 6>::new(ManualDriver::new());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let turner = scope.spawn(|| {
            while !stop.load(SeqCst) {
                timer.on_alarm();
                timer.driver().advance(1);
            }
        });
        let producers = [1u64, 2, 3].map(|seed| {
            let timer = &timer;
            scope.spawn(move || {
                let mut random = seed;
                for _ in 0..60_000 {
                    random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(seed);
                    let dice = random >> 40;
                    let task = Task::new();
                    let far = timer.now().after((1 << 40) + dice % 100);
                    let Ok(mut sleep) = timer.try_sleep_until(far) else { continue };
                    if dice & 0x100 == 0 {
                        let _ = task.polls(|cx| Pin::new(&mut sleep).poll(cx));
                        assert_eq!(task.wakers(), 1, "somebody else uses our slot");
                        if dice & 0x200 == 0 {
                            sleep.reset(far.after(dice % 50));
                            sleep.reset(Ticks::new(far.get() - dice % 50));
                            assert_eq!(task.wakers(), 1, "somebody else uses our slot");
                        }
                    }
                    drop(sleep);
                    assert_eq!((task.wakes(), task.wakers()), (0, 0));
                }
            })
        });
        let results = producers.map(|producer| producer.join());
        stop.store(true, SeqCst);
        turner.join().unwrap();
        results.into_iter().for_each(|result| result.unwrap());
    });
    timer.turn();
    let all: Vec<_> = (0..6).map(|_| timer.try_sleep_until(Ticks::LAST)).collect();
    assert!(all.iter().all(Result::is_ok), "slots were lost");
    assert!(timer.try_sleep_until(Ticks::LAST).is_err(), "slots were found");
    drop(all);
    let metrics = timer.metrics().unwrap();
    assert_eq!(metrics.registered, metrics.cancelled);
}

//! Virtual time on several threads: whoever moves the clock decides when what happens.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use moirai_timer_core::{ManualDriver, Ticks, Timer};
use moirai_timer_std::block_on;
use moirai_timer_tests::until;

/// Hours of sleep on four threads, in no time; none of them ends before the clock says so.
#[test]
fn a_virtual_clock_serves_several_threads() {
    const SLEEPS: u32 = 500;
    static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    let slept = AtomicU32::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let slept = &slept;
            scope.spawn(move || {
                for round in 0..u64::from(SLEEPS) {
                    let sleep = TIMER.sleep(Duration::from_secs(1 + (round * 37 + thread) % 60));
                    let deadline = sleep.deadline();
                    block_on(sleep);
                    assert!(TIMER.now() >= deadline);
                    slept.fetch_add(1, SeqCst);
                }
            });
        }
        until(|| {
            while TIMER.driver().take_interrupt() {
                TIMER.on_alarm();
            }
            if let Some(alarm) = TIMER.driver().alarm() {
                TIMER.driver().set(alarm);
            }
            slept.load(SeqCst) == 4 * SLEEPS
        });
    });
    assert!(TIMER.now() >= Ticks::new(1_000 * u64::from(SLEEPS)));
    assert_eq!(TIMER.metrics().unwrap().armed, 0);
}

/// Nothing moves the clock by itself, also not when everybody waits for it.
#[test]
fn a_virtual_clock_waits_to_be_moved() {
    static TIMER: Timer<ManualDriver<1_000>, 8> = Timer::new(ManualDriver::new());
    let ended = thread::spawn(|| block_on(TIMER.sleep(Duration::from_secs(1))));
    until(|| {
        if TIMER.driver().take_interrupt() {
            TIMER.on_alarm();
        }
        TIMER.driver().alarm().is_some()
    });
    for _ in 0..1_000 {
        TIMER.turn();
        TIMER.on_alarm();
    }
    assert!(!ended.is_finished());
    assert_eq!((TIMER.now(), TIMER.metrics().unwrap().armed), (Ticks::ZERO, 1));
    TIMER.driver().advance(1_000);
    TIMER.on_alarm();
    ended.join().unwrap();
}

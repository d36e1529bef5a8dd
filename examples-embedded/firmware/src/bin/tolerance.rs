//! Ten thousand timers, and how often the processor has to wake up for them: for each by itself, or,
//! if they may be some milliseconds late, for many together.
//!
//! Waking up is what empties a battery.

#![no_std]
#![no_main]

use core::array;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use core::task::{Context, RawWaker, RawWakerVTable, Waker};
use core::time::Duration;

use board::{masked, println, wait_until};
use moirai_timer_core::Interval;

const TIMERS: usize = 10_000;

// And one that ends the measuring.
board::start!(main, TIMER: 10_001);

/// A bit for each timer that has fired, and whether there is any.
static FIRED: [AtomicU32; TIMERS.div_ceil(32)] = [const { AtomicU32::new(0) }; _];
static ANY: AtomicBool = AtomicBool::new(false);

/// Sets the bit of a timer: the waker's data is its number.
fn waker(number: usize) -> Waker {
    fn fired(number: *const ()) {
        let bits = &FIRED[number.addr() / 32];
        masked(|| bits.store(bits.load(SeqCst) | 1 << (number.addr() % 32), SeqCst));
        ANY.store(true, SeqCst);
    }
    static TABLE: RawWakerVTable =
        RawWakerVTable::new(|number| RawWaker::new(number, &TABLE), fired, fired, |_| {});
    // SAFETY: the data is a number, and nothing is owned.
    unsafe { Waker::new(core::ptr::without_provenance(number), &TABLE) }
}

/// How often the processor wakes up in a second for timers with periods from 0.1 to 6.5 s.
fn wake_ups(tolerance: Duration) -> u32 {
    let mut end = pin!(TIMER.sleep(Duration::from_secs(1)));
    let mut intervals: [_; TIMERS] = array::from_fn(|number| {
        let micros = (100_000 << (number % 7)) + 7 * number as u64;
        let first = Duration::from_micros(7_919 * number as u64 % micros);
        let first = TIMER.sleep(first).with_tolerance(tolerance);
        Interval::new(first, Duration::from_micros(micros))
    });
    let mut ticks = 0;
    let mut serve = |number| {
        let waker = waker(number);
        while intervals[number].poll_tick(&mut Context::from_waker(&waker)).is_ready() {
            ticks += 1;
        }
    };
    (0..TIMERS).for_each(&mut serve);

    let mut wake_ups = 0;
    while end.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        wait_until(|| ANY.load(SeqCst));
        ANY.store(false, SeqCst);
        wake_ups += 1;
        for (word, fired) in FIRED.iter().enumerate().filter(|(_, fired)| fired.load(SeqCst) != 0) {
            let bits = masked(|| {
                let bits = fired.load(SeqCst);
                fired.store(0, SeqCst);
                bits
            });
            let set = (0..32).filter(|bit| bits & 1 << bit != 0);
            set.for_each(|bit| serve(32 * word + bit));
        }
    }
    println!("late by up to {tolerance:?}: {ticks} ticks, {wake_ups} wake-ups");
    wake_ups
}

fn main() {
    let tolerances = [0, 1, 5, 10, 20, 50].map(Duration::from_millis);
    let [alone, .., together] = tolerances.map(wake_ups);
    assert!(together * 20 <= alone, "that is not worth it");
    println!("a twentieth, or less");
}

//! How long interrupts are off in our code, at most, in instructions: the same for any number of timers.

#![no_std]
#![no_main]

mod section;

use core::array::from_fn;
use core::pin::Pin;
use core::task::{Context, Waker};
use core::time::Duration;

use board::println;
use moirai_timer_core::{ManualDriver, Sleep, Timer};
use moirai_timer_embassy::TimeDriver;

type OurTimer = Timer<ManualDriver, 128>;

/// All that is done to a timer: armed, fired, cancelled, revived, moved, replaced, refused.
fn use_it_all<const ARMED: usize>(
    timer: &'static OurTimer,
    sleeps: &mut [Sleep<&'static OurTimer>; 128],
) {
    let wakers = [Waker::noop().clone(), waker(1), waker(2)];
    let poll = |sleep: &mut Sleep<&'static OurTimer>, waker: usize| {
        let mut cx = Context::from_waker(&wakers[waker]);
        Future::poll(Pin::new(sleep), &mut cx).is_ready()
    };
    let now = timer.now();
    for (ahead, sleep) in (1..).zip(&mut sleeps[..ARMED]) {
        sleep.reset(now.after(10 * ahead));
        assert!(!poll(sleep, 1));
    }
    // Two that are cancelled before a turn has seen them, and revived.
    for _ in 0..2 {
        let mut sleep = timer.sleep_until(now.after(5));
        let _ = poll(&mut sleep, 1);
    }
    timer.on_alarm();
    for (number, sleep) in (0..).zip(&mut sleeps[..ARMED]) {
        let moved = 7 * u64::from(number % 40u32);
        match number % 5 {
            0 => assert!(!poll(sleep, 2), "another waker"),
            1 => sleep.reset(sleep.deadline().after(moved)),
            2 => sleep.reset(now.after(moved + 1)),
            3 => *sleep = Sleep::never(timer),
            _ => {}
        }
    }
    // More than there is room for, if there is no room for more.
    let mut more: [_; 2] = from_fn(|_| timer.sleep(Duration::from_secs(1)));
    for sleep in &mut more {
        assert!(!poll(sleep, 1));
        sleep.reset(now.after(3));
    }
    for _ in 0..ARMED + 40 {
        timer.driver().advance(10);
        timer.on_alarm();
    }
    for sleep in &mut sleeps[..ARMED] {
        assert!(sleep.deadline().is_never() || poll(sleep, 1));
        *sleep = Sleep::never(timer);
    }
    drop(more);
    timer.on_alarm();
    let metrics = timer.metrics().expect("nobody is inside");
    assert_eq!(metrics.armed, 0);
}

fn waker(data: usize) -> Waker {
    use core::task::{RawWaker, RawWakerVTable};
    static TABLE: RawWakerVTable =
        RawWakerVTable::new(|data| RawWaker::new(data, &TABLE), |_| {}, |_| {}, |_| {});
    // SAFETY: the functions of the table do not look at the pointer.
    unsafe { Waker::new(core::ptr::without_provenance(data), &TABLE) }
}

fn engine<const ARMED: usize>() -> u32 {
    static TIMER: OurTimer = Timer::new(ManualDriver::new());
    let mut sleeps: [_; 128] = from_fn(|_| Sleep::never(&TIMER));
    section::longest(|| use_it_all::<ARMED>(&TIMER, &mut sleeps))
}

/// `embassy_time`'s requests and expiries on our timer, whose wakers wait in a heap in a critical section.
fn embassy<const WAITING: usize>() -> u32 {
    use embassy_time_driver::TICK_HZ;

    static TIMER: Timer<ManualDriver<TICK_HZ>, 1> = Timer::new(ManualDriver::new());
    static DRIVER: TimeDriver<Timer<ManualDriver<TICK_HZ>, 1>, 128> = TimeDriver::new(&TIMER);
    let wakers: [Waker; WAITING] = from_fn(waker);
    section::longest(|| {
        let now = DRIVER.now();
        for (number, waker) in (0..).zip(&wakers) {
            // In the order that is the dearest for a heap: each comes before all others.
            DRIVER.schedule_wake(now + 2 * (WAITING as u64 - number), waker);
        }
        for _ in 0..WAITING + 1 {
            TIMER.driver().advance(2);
            TIMER.on_alarm();
        }
    })
}

/// SysTick's own: starting it, reading the time, and setting an alarm, which restarts the counter at one of its
/// edges. Waiting for two of them is part of it.
#[cfg(feature = "mps2-an385-systick")]
fn driver() -> [u32; 3] {
    use moirai_timer_core::{Armed, Driver};

    static DRIVER: board::Driver = board::driver();
    board::start(&DRIVER);
    let starts = section::longest(|| board::start(&board::driver()));
    let reads = section::longest(|| assert!(DRIVER.now().get() > 0));
    let mut ahead = 1 << 16;
    let arms = section::longest(|| {
        // Each earlier than the one before.
        ahead -= 200;
        assert_eq!(DRIVER.arm(DRIVER.now().after(ahead)), Armed::Pending);
    });
    [starts, reads, arms]
}

#[unsafe(export_name = "main")]
extern "C" fn main() -> ! {
    // Nothing else is started, so no interrupt comes.
    #[cfg(feature = "mps2-an385-systick")]
    {
        cortex_m::interrupt::disable();
        let [starts, reads, arms] = driver();
        println!("SysTick starts: {starts}\nSysTick reads: {reads}\nSysTick arms: {arms}");
    }
    println!("8 armed: {}", engine::<8>());
    println!("128 armed: {}", engine::<128>());
    println!("8 waiting: {}", embassy::<8>());
    println!("128 waiting: {}", embassy::<128>());
    board::exit(0)
}

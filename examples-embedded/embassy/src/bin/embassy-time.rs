//! embassy-time on our engine: its `Timer`, `Ticker` and `with_timeout`, beside sleeps of ours, and
//! outside of embassy's executor.

#![no_std]
#![no_main]

use core::future::pending;

use board::{block_on, println};
use embassy_executor::{Executor, Spawner};
use embassy_time::{Duration, Instant, Ticker, Timer, with_timeout};
use portable_atomic::{AtomicU32, Ordering::Relaxed};
use static_cell::StaticCell;

const TASKS: u32 = 12;

board::start!(main, TIMER: 4);
moirai_timer_embassy::time_driver_impl!(TIMER: moirai_timer_core::Timer<board::Driver, 4>, 16);

static ENDED: AtomicU32 = AtomicU32::new(0);

#[embassy_executor::task(pool_size = TASKS as usize)]
async fn sleeper(number: u32) {
    for round in 0..20 {
        let at = Instant::now() + Duration::from_micros((number * 370 + round * 1010).into());
        Timer::at(at).await;
        assert!(Instant::now() >= at, "task {number} woke early");
    }
    ENDED.fetch_add(1, Relaxed);
}

#[embassy_executor::task]
async fn blink() {
    let start = Instant::now();
    let mut ticker = Ticker::every(Duration::from_millis(50));
    for tick in 1..=4 {
        ticker.next().await;
        println!("{} ms: tick {tick}", start.elapsed().as_millis());
    }
    let short = Timer::after_millis(5);
    assert!(with_timeout(Duration::from_secs(60), short).await.is_ok());
    let start = Instant::now();
    assert!(with_timeout(Duration::from_millis(5), pending::<()>()).await.is_err());
    assert!(start.elapsed() >= Duration::from_millis(5));
    println!("a timeout of 5 ms has ended what never ends");

    // The same timer, asked directly.
    TIMER.sleep(core::time::Duration::from_millis(5)).await;
    assert!(start.elapsed() >= Duration::from_millis(10));

    while ENDED.load(Relaxed) < TASKS {
        Timer::after_millis(1).await;
    }
    println!("{TASKS} tasks have slept, and none woke early");
    board::exit(0)
}

fn main() {
    // A waker that is not embassy's.
    let start = Instant::now();
    block_on(Timer::after_millis(3));
    assert!(start.elapsed() >= Duration::from_millis(3));
    println!("a plain loop has waited 3 ms");

    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    EXECUTOR.init(Executor::new()).run(|spawner: Spawner| {
        for number in 0..TASKS {
            spawner.spawn(sleeper(number).expect("the pool has as many"));
        }
        spawner.spawn(blink().expect("there is one"));
    })
}

//! Many tasks on embassy's executor, and embassy-nrf's own time driver, unchanged.
//!
//! Built, not run: the emulator has no RTC.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use embassy_time::{Duration, Ticker, Timer, with_timeout};
use panic_halt as _;

#[embassy_executor::task(pool_size = 12)]
async fn blink(number: u64) {
    let mut ticker = Ticker::every(Duration::from_millis(100 + number));
    loop {
        ticker.next().await;
        let _ = with_timeout(Duration::from_millis(1), Timer::after_millis(number)).await;
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let _ = embassy_nrf::init(Default::default());
    let _ = <embassy_time_queue_utils::Queue as Default>::default();
    for number in 0..12 {
        spawner.spawn(blink(number).unwrap());
    }
}

//! `embassy_time::Timer` on a queue that has next to nothing to do: what the rest takes.

#![no_std]
#![no_main]

use embassy_time::{Instant, Timer};
use tasks::hal::Hal;
use tasks::hal::InOrder as Queue;

embassy_time_driver::time_driver_impl!(static DRIVER: Hal<Queue> = Hal::new(<Queue>::new()));

tasks::program!(
    "embassy-time, a queue that need not search",
    |until| Timer::at(Instant::from_ticks(until)),
    || DRIVER.ring()
);

//! `embassy_time::Timer` on embassy's queue in the tasks.

#![no_std]
#![no_main]

use embassy_time::{Instant, Timer};
use embassy_time_queue_utils::queue_integrated::Queue;
use tasks::hal::Hal;

embassy_time_driver::time_driver_impl!(static DRIVER: Hal<Queue> = Hal::new(<Queue>::new()));

tasks::program!(
    "embassy-time, embassy's queue, integrated",
    |until| Timer::at(Instant::from_ticks(until)),
    || DRIVER.ring()
);

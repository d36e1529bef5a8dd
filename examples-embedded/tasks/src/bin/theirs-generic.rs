//! `embassy_time::Timer` on embassy's queue with a capacity.

#![no_std]
#![no_main]

use embassy_time::{Instant, Timer};
use embassy_time_queue_utils::queue_generic::ConstGenericQueue;
use tasks::hal::Hal;

type Queue = ConstGenericQueue<128>;

embassy_time_driver::time_driver_impl!(static DRIVER: Hal<Queue> = Hal::new(<Queue>::new()));

tasks::program!(
    "embassy-time, embassy's queue, generic",
    |until| Timer::at(Instant::from_ticks(until)),
    || DRIVER.ring()
);

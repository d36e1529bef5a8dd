//! `embassy_time::Timer` on our queue with a capacity, in the place of embassy's.

#![no_std]
#![no_main]

use embassy_time::{Instant, Timer};
use tasks::hal::Hal;
use tasks::queue_generic::ConstGenericQueue;

type Queue = ConstGenericQueue<128>;

embassy_time_driver::time_driver_impl!(static DRIVER: Hal<Queue> = Hal::new(<Queue>::new()));

tasks::program!(
    "Moirai timer's queue under embassy-time, generic",
    |until| Timer::at(Instant::from_ticks(until)),
    || DRIVER.ring()
);

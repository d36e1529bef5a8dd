//! A light that blinks, ten times, as text: what every port runs first.

#![no_std]
#![no_main]

use core::time::Duration;

use board::{block_on, println};
use moirai_timer_core::Ticks;

board::start!(main, TIMER: 4);

fn main() {
    block_on(async {
        let mut half_seconds = TIMER.interval_at(TIMER.now(), Duration::from_millis(500));
        let first = half_seconds.tick().await;
        for tick in 1..=10u32 {
            let at: Ticks = half_seconds.tick().await;
            let light = if tick % 2 == 1 { "on" } else { "off" };
            println!("{} ms: {light}", at.since(first) * 1000 / ticks_a_second());
        }
    });
}

fn ticks_a_second() -> u64 {
    <board::Driver as moirai_timer_core::Driver>::TICK_HZ
}

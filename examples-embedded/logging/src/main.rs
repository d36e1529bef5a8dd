//! `defmt`: what a timer prints of itself, and its warning when it is full.
//!
//! What comes out of the machine is for `defmt-print`, which has the texts from the program's file:
//! `cargo run .. | defmt-print -e <the program's file>`.

#![no_std]
#![no_main]

use core::time::Duration;

use board::block_on;
use defmt_semihosting as _;
use moirai_timer_core::{Handle, Sleep};

board::start!(main, TIMER: 2);

#[defmt::panic_handler]
fn panic() -> ! {
    board::exit(1)
}

fn main() {
    let handle = &TIMER;
    defmt::info!("{}", Sleep::never(handle));
    let two =
        [TIMER.try_sleep(Duration::from_millis(3)), TIMER.try_sleep(Duration::from_millis(4))];
    if let Err(error) = TIMER.try_sleep(Duration::from_millis(1)) {
        defmt::info!("a third: {}", error);
    }
    // Without a slot it polls itself, and the core warns.
    block_on(TIMER.sleep(Duration::from_micros(100)));
    drop(two);
    block_on(TIMER.sleep(Duration::from_millis(1)));
    let fired = TIMER.metrics().map_or(0, |metrics| metrics.fired);
    defmt::info!("{} fired in {}", fired, handle.duration_of(1) < Duration::from_secs(1));
}

//! `embassy_time::Timer` on our engine.

#![no_std]
#![no_main]

use embassy_time::Instant;
use moirai_timer_core::Timer;
use tasks::clock::Variable;

static TIMER: Timer<Variable, 1> = Timer::new(Variable);
moirai_timer_embassy::time_driver_impl!(TIMER: Timer<Variable, 1>, 128);

tasks::program!(
    "Moirai timer under embassy-time",
    |until| embassy_time::Timer::at(Instant::from_ticks(until)),
    || TIMER.on_alarm()
);

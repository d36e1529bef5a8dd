//! Intervals of ours, one for each task, without `embassy-time`.

#![no_std]
#![no_main]

use moirai_timer_core::{TickCount, Ticks, Timer};
use tasks::clock::Variable;

static TIMER: Timer<Variable, 128> = Timer::new(Variable);

tasks::program!(
    "Moirai timer's own intervals",
    |first, period| TIMER.interval_at(Ticks::new(first), TickCount(period)),
    |interval, _until| interval.tick(),
    || TIMER.on_alarm()
);

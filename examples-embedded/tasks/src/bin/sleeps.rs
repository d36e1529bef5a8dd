//! Sleeps of ours, without `embassy-time`.

#![no_std]
#![no_main]

use moirai_timer_core::{Ticks, Timer};
use tasks::clock::Variable;

static TIMER: Timer<Variable, 128> = Timer::new(Variable);

tasks::program!("Moirai timer's own sleeps", |until| TIMER.sleep_until(Ticks::new(until)), || {
    TIMER.on_alarm()
});

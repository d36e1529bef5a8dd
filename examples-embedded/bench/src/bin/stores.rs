//! The same as in `instructions` for a timer that keeps its deadlines in a wheel. A program of its own:
//! what else is in a program decides what the compiler inlines.

#![no_std]
#![no_main]

use bench::peers::{Ours, WHEEL};
use bench::rounds::report;
use board::meter;

board::start!(main, TIMER: 1);

fn main() {
    meter::start();
    report("Moirai timer, a `Sleep`, deadlines in a wheel", &mut Ours::new(&WHEEL));
}

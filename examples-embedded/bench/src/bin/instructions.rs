//! Instructions that an expiry and its reschedule take, with so many timers armed, in QEMU's exact time.
//!
//! What is measured is in `rounds`: the queue and what calls it, and no hardware, the same for all of
//! them.

#![no_std]
#![no_main]

use bench::clock;
use bench::peers::{HEAP, Hal, Ours, Peer, Rtic};
use bench::rounds::{report, report_again};
use bench::{queue_generic, queue_integrated};
use board::{burn, meter, println};
use embassy_time_queue_utils as original;
use moirai_timer_core::Timer;

board::start!(main, TIMER: 1);

type Ours128 = queue_generic::ConstGenericQueue<128>;
type Theirs128 = original::queue_generic::ConstGenericQueue<128>;

/// How many interrupts come while nothing is armed.
fn idle() -> u64 {
    let turns = || TIMER.metrics().expect("nobody else is inside").turns;
    burn(1_000_000);
    let before = turns();
    assert!(before > 0, "the driver asks for a turn when it is started");
    burn(100_000_000);
    turns() - before
}

fn measure(name: &str, peer: &mut impl Peer) {
    report(name, peer);
    report_again(name, peer);
}

fn main() {
    meter::start();
    measure("Moirai timer, a `Sleep`", &mut Ours::new(&HEAP));
    measure("Moirai timer's queue for embassy, generic", &mut Hal::<Ours128>::new());
    measure(
        "Moirai timer's queue for embassy, integrated",
        &mut Hal::<queue_integrated::Queue>::new(),
    );
    measure("embassy-time-queue-utils, generic", &mut Hal::<Theirs128>::new());
    measure(
        "embassy-time-queue-utils, integrated",
        &mut Hal::<original::queue_integrated::Queue>::new(),
    );
    measure("rtic-time's list", &mut Rtic::new());
    let bytes = size_of::<Timer<clock::Variable, 128>>() - size_of::<Timer<clock::Variable, 64>>();
    println!("bytes: {}", bytes / 64);
    println!("idle: {}", idle());
}

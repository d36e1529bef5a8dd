//! Instructions that an expiry and its reschedule take, with so many timers armed, in QEMU's exact time.
//!
//! The deadlines come up one after another. Each round advances the clock, which is a variable, to the
//! next one, and does what a program would: the alarm's interrupt, the task that it wakes, which asks
//! for its next time, behind all others, and the interrupt that this asks for, if it does. So what is
//! measured is the queue and what calls it, and no hardware: the same for all of them.

#![no_std]
#![no_main]

use bench::peers::{Hal, Ours, Peer, Rtic, clock};
use bench::{queue_generic, queue_integrated};
use board::{burn, meter, print, println};
use embassy_time_queue_utils as original;
use moirai_timer_core::Timer;

board::start!(main, TIMER: 1);

type Ours128 = queue_generic::ConstGenericQueue<128>;
type Theirs128 = original::queue_generic::ConstGenericQueue<128>;

const ARMED: [u32; 3] = [8, 64, 128];
/// So many that each of 128 timers comes up 8 times.
const ROUNDS: u32 = 1_024;

/// One expiry and its reschedule.
fn expiry(peer: &mut impl Peer, armed: u32) -> u32 {
    clock::set(0);
    for task in 0..armed {
        peer.ask(task as usize, 1 + task);
    }
    peer.ring();
    let mut task = 0;
    let took = meter::average(ROUNDS, |round| {
        let now = 1 + round;
        clock::set(now);
        peer.ring();
        peer.serve(task, now + armed);
        if clock::take_pended() {
            peer.ring();
        }
        task = if task + 1 == armed as usize { 0 } else { task + 1 };
    });
    clock::set(u32::MAX);
    peer.ring();
    for task in 0..armed {
        peer.end(task as usize);
    }
    took
}

fn report(name: &str, peer: &mut impl Peer) {
    print!("{name}:");
    for armed in ARMED {
        print!(" {}", expiry(peer, armed));
    }
    println!("");
}

/// How many interrupts come while nothing is armed.
fn idle() -> u64 {
    let turns = || TIMER.metrics().expect("nobody else is inside").turns;
    burn(1_000_000);
    let before = turns();
    assert!(before > 0, "the driver asks for a turn when it is started");
    burn(100_000_000);
    turns() - before
}

fn main() {
    meter::start();
    report("Moirai timer, a `Sleep`", &mut Ours::new());
    report("Moirai timer's queue for embassy, generic", &mut Hal::<Ours128>::new());
    report(
        "Moirai timer's queue for embassy, integrated",
        &mut Hal::<queue_integrated::Queue>::new(),
    );
    report("embassy-time-queue-utils, generic", &mut Hal::<Theirs128>::new());
    report(
        "embassy-time-queue-utils, integrated",
        &mut Hal::<original::queue_integrated::Queue>::new(),
    );
    report("rtic-time's list", &mut Rtic::new());
    let bytes = size_of::<Timer<clock::Variable, 128>>() - size_of::<Timer<clock::Variable, 64>>();
    println!("bytes: {}", bytes / 64);
    println!("idle: {}", idle());
}

//! An expiry and its reschedule, again and again.
//!
//! The deadlines come up one after another. Each round advances the clock, which is a variable, to the
//! next one, and does what a program would: the alarm's interrupt, the task that it wakes, which asks
//! for its next time, behind all others, and the interrupt that this asks for, if it does.

use board::{meter, print, println};

use crate::clock;
use crate::peers::Peer;

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

/// A task that waits is polled for another reason, and asks again for the time that it waits for.
fn again(peer: &mut impl Peer, armed: u32) -> u32 {
    clock::set(0);
    let at = |task: u32| 1 + task;
    for task in 0..armed {
        peer.ask(task as usize, at(task));
    }
    peer.ring();
    clock::take_pended();
    let mut task = 0;
    let took = meter::average(ROUNDS, |_| {
        peer.again(task as usize, at(task));
        task = if task + 1 == armed { 0 } else { task + 1 };
    });
    assert!(!clock::take_pended(), "that is no news");
    clock::set(u32::MAX);
    peer.ring();
    for task in 0..armed {
        peer.end(task as usize);
    }
    took
}

/// Prints the instructions that they take, for each number of timers.
pub fn report(name: &str, peer: &mut impl Peer) {
    print!("{name}:");
    for armed in ARMED {
        print!(" {}", expiry(peer, armed));
    }
    println!("");
}

/// Prints what it takes to ask again.
pub fn report_again(name: &str, peer: &mut impl Peer) {
    print!("{name}, again:");
    for armed in ARMED {
        print!(" {}", again(peer, armed));
    }
    println!("");
}

//! An expiry and its reschedule, again and again, as in `bench`.
//!
//! The deadlines come up one after another. Each round advances the clock to the next one, and does what
//! happens then: the alarm's interrupt, the executor, the task that was woken, which waits for its next
//! time, behind all others, and the interrupt that this asks for, if it does.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use board::{meter, print, println};
use embassy_executor::{Spawner, raw::Executor};
use static_cell::StaticCell;

use crate::clock;

const ARMED: [u32; 3] = [8, 64, 128];
/// So many that each of 128 tasks comes up 8 times.
const ROUNDS: u32 = 1_024;

static HAS_WORK: AtomicBool = AtomicBool::new(false);
static ENDED: AtomicU32 = AtomicU32::new(0);

/// Called by the executor when a task is woken. On one without interrupts of its own a flag serves, as
/// in embassy's for RISC-V.
#[unsafe(no_mangle)]
fn __pender(_: *mut ()) {
    HAS_WORK.store(true, Relaxed);
}

/// A task calls it at its end.
pub fn end() {
    ENDED.store(ENDED.load(Relaxed) + 1, Relaxed);
}

/// Polls the tasks that were woken. There are some.
#[inline(always)]
fn poll(executor: &'static Executor) {
    assert!(HAS_WORK.load(Relaxed), "somebody was woken");
    HAS_WORK.store(false, Relaxed);
    // SAFETY: no task calls this.
    unsafe { executor.poll() };
}

/// Prints the instructions that an expiry and its reschedule take, for each number of tasks.
pub fn report(name: &str, ring: impl Fn(), spawn: impl Fn(Spawner, u64, u64, u32)) {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let executor: &'static Executor = EXECUTOR.init(Executor::new(core::ptr::null_mut()));
    meter::start();
    print!("{name}:");
    for armed in ARMED {
        clock::set(0);
        // One more than will be served in the rounds.
        let count = ROUNDS / armed + 1;
        for task in 0..armed {
            spawn(executor.spawner(), 1 + u64::from(task), armed.into(), count);
            poll(executor);
        }
        ring();
        let took = meter::average(ROUNDS, |round| {
            clock::set(1 + round);
            ring();
            poll(executor);
            if clock::take_pended() {
                ring();
            }
        });
        assert_eq!(ENDED.load(Relaxed), 0, "all still wait");
        for task in 0..armed {
            clock::set(1 + ROUNDS + task);
            ring();
            poll(executor);
            assert_eq!(ENDED.load(Relaxed), 1 + task, "each had its turn in each period");
        }
        ENDED.store(0, Relaxed);
        clock::take_pended();
        ring();
        print!(" {took}");
    }
    println!("");
}

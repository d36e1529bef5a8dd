//! What only a machine with interrupts can show.
//!
//! | case | what happens |
//! |---|---|
//! | `preempted` | between any two instructions of a producer and a turn, an interrupt arms, moves, drops |
//! | `rung` | the alarm's own interrupt does, in a waker |
//! | `storm` | two interrupt priorities and the program arm and drop at once |
//! | `delayed` | a long interrupt comes between any two instructions while an alarm is set |
//! | `near` | deadlines 0, 1, 2, .. ticks ahead |
//! | `held_up` | the program masks interrupts for longer than several deadlines |
//! | `wraps` | the counter wraps, or carries, under load |
//! | `far` | a sleep is longer than SysTick's counter |
//! | `idle` | nothing is armed: no interrupt comes but what keeps a narrow counter's time |
//! | `no_drift` | SysTick is restarted all the time, beside a counter that is not |
//!
//! The interrupts of `preempted`, `storm` and `delayed` come from the machine's second timer, `board::other`.

#![no_std]
#![no_main]

mod clock;
mod delayed;
mod interrupt;
mod phase;
mod preempted;
mod storm;

use core::pin::Pin;
use core::task::Poll;

use board::println;
use conformance::{Place, Shared};
use moirai_timer_core::{Driver, Sleep, Timer};
use moirai_timer_tests::Task;

const ROOM: usize = 16;
const HZ: u64 = board::Driver::TICK_HZ;
/// Far beyond what the machine can be late, and what a case lasts: 10 ms.
const LONG: u64 = HZ / 100;

type OurTimer = Timer<Shared, ROOM>;
type OurSleep = Sleep<&'static OurTimer>;

static PLACE: Place<ROOM> = Place::new();

board::handlers!(PLACE);

#[unsafe(export_name = "main")]
extern "C" fn main() -> ! {
    board::start(PLACE.driver());
    board::other::start();
    preempted::preempted();
    storm::storm();
    preempted::rung();
    delayed::delayed();
    clock::near();
    clock::held_up();
    clock::idle();
    clock::wraps();
    clock::far();
    #[cfg(feature = "mps2-an385-systick")]
    clock::no_drift();
    println!("passed");
    board::exit(0)
}

fn renew() -> &'static OurTimer {
    // SAFETY: each case drops all that it makes with its timer.
    unsafe { PLACE.renew() }
}

fn poll(sleep: &mut OurSleep, task: &Task) -> Poll<()> {
    task.polls(|cx| Future::poll(Pin::new(sleep), cx))
}

/// Waits until the task was woken, or the sleep was ready when it was polled. Lost is a sleep whose
/// deadline has long passed, and whose task sleeps.
#[track_caller]
fn ends(timer: &OurTimer, sleep: &mut OurSleep, task: &Task, ready: bool) {
    let deadline = sleep.deadline();
    while !ready && !task.is_woken() {
        assert!(
            timer.now() < deadline.after(LONG),
            "lost: {} ticks ago",
            timer.now().since(deadline)
        );
    }
    assert!(timer.now() >= deadline, "early by {} ticks", deadline.since(timer.now()));
    assert!(poll(sleep, task).is_ready());
    assert_eq!(task.wakers(), 0);
}

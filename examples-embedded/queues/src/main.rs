//! What an expiry costs in embassy's time queues, and in those that take their place.
//!
//! A time driver's work, in instructions, with a number of timers armed: the alarm rings, the queue
//! wakes a task, the task asks for its next time, and if the queue says that the alarm has to
//! change, it is asked for the next one. And what it costs if a task asks for that time again.
//!
//! In the emulator an instruction is a nanosecond, so a tick of SysTick is 40 of them: good for an
//! average, and for the longest section to the nearest 40.

#![no_std]
#![no_main]
// The machine does nothing else meanwhile.
#![allow(static_mut_refs)]

mod task;

#[path = "../../../compat/embassy-time-queue-utils/src/queue_generic.rs"]
#[allow(dead_code, unexpected_cfgs)]
mod queue_generic;
#[path = "../../../compat/embassy-time-queue-utils/src/queue_integrated.rs"]
#[allow(dead_code)]
mod queue_integrated;

use core::task::Waker;

use board::{print, println};
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use embassy_time_queue_utils as original;

use task::Task;

board::start!(main, TIMER: 1);

const ARMED: [usize; 5] = [1, 8, 32, 64, 128];
const ROUNDS: u32 = 2_000;
const INSTRUCTIONS_A_TICK: u32 = 40;

/// What a HAL asks of its queue.
trait Queue {
    fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool;
    fn next_expiration(&mut self, now: u64) -> u64;
}

macro_rules! queue {
    ($($queue:ty),*) => {$(
        impl Queue for $queue {
            // The driver is in another crate.
            #[inline(never)]
            fn schedule_wake(&mut self, at: u64, waker: &Waker) -> bool {
                <$queue>::schedule_wake(self, at, waker)
            }

            #[inline(never)]
            fn next_expiration(&mut self, now: u64) -> u64 {
                <$queue>::next_expiration(self, now)
            }
        }
    )*};
}

type OriginalGeneric = original::queue_generic::ConstGenericQueue<128>;
type OriginalIntegrated = original::queue_integrated::Queue;
type Generic = queue_generic::ConstGenericQueue<128>;
type Integrated = queue_integrated::Queue;

queue!(OriginalGeneric, OriginalIntegrated, Generic, Integrated);

#[derive(Default)]
struct Cost {
    /// One expiry and its reschedule, on average.
    expiry: u32,
    /// What is asked of the queue then, without the alarm that follows the request.
    queue_alone: u32,
    /// Asking again.
    again: u32,
}

fn cost(queue: &mut impl Queue, armed: usize) -> Cost {
    let tasks = Task::fresh(armed);
    for (number, task) in (1..).zip(tasks) {
        queue.schedule_wake(10 * number, &task.waker());
    }
    let mut alarm = queue.next_expiration(0);
    let mut cost = Cost::default();
    for _ in 0..ROUNDS {
        let now = alarm;
        let at = now + 10 * armed as u64;

        let start = SYST::get_current();
        alarm = queue.next_expiration(now);
        let waker = Task::woken().waker();
        let has_changed = queue.schedule_wake(at, &waker);
        cost.queue_alone += since(start);
        if has_changed {
            alarm = queue.next_expiration(now);
        }
        cost.expiry += since(start);

        let start = SYST::get_current();
        if queue.schedule_wake(at, &waker) {
            alarm = queue.next_expiration(now);
        }
        cost.again += since(start);
    }
    queue.next_expiration(u64::MAX - 1);
    for sum in [&mut cost.expiry, &mut cost.queue_alone, &mut cost.again] {
        *sum = *sum * INSTRUCTIONS_A_TICK / ROUNDS;
    }
    cost
}

/// Ticks since SysTick, which counts down, stood at `start`.
fn since(start: u32) -> u32 {
    start.wrapping_sub(SYST::get_current()) & 0xff_ffff
}

fn costs(name: &str, queue: &mut impl Queue) -> [Cost; ARMED.len()] {
    let costs = ARMED.map(|armed| cost(queue, armed));
    for (what, pick) in [
        ("expiry and reschedule", (|cost: &Cost| cost.expiry) as fn(&Cost) -> u32),
        (".. the alarm not counted", |cost| cost.queue_alone),
        ("asking again", |cost| cost.again),
    ] {
        print!("| {name} | {what} |");
        for cost in &costs {
            print!(" {} |", pick(cost));
        }
        println!("");
    }
    costs
}

fn main() {
    // SAFETY: the board uses another timer.
    let mut systick = unsafe { cortex_m::Peripherals::steal() }.SYST;
    systick.set_clock_source(SystClkSource::Core);
    systick.set_reload(0xff_ffff);
    systick.clear_current();
    systick.enable_counter();

    static mut QUEUES: (OriginalGeneric, OriginalIntegrated, Generic, Integrated) =
        (OriginalGeneric::new(), OriginalIntegrated::new(), Generic::new(), Integrated::new());
    // SAFETY: this is the only place that uses them, and it is come by once.
    let queues = unsafe { &mut QUEUES };
    let theirs = [costs("generic", &mut queues.0), costs("integrated", &mut queues.1)];
    let ours = [costs("generic, ours", &mut queues.2), costs("integrated, ours", &mut queues.3)];

    for (theirs, ours) in theirs.iter().zip(&ours) {
        for (place, armed) in ARMED.into_iter().enumerate() {
            let (theirs, ours) = (&theirs[place], &ours[place]);
            assert!(ours.again < 100, "asking again looks at one or two entries");
            assert!(armed < 8 || ours.expiry < theirs.expiry * 5 / 4, "{armed} armed");
            assert!(armed < 32 || ours.queue_alone < theirs.queue_alone, "{armed} armed");
        }
    }
    println!("as it has to be");
}

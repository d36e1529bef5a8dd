//! Random schedules of the driver's threads, on a clock that is not real; by shuttle. Run by
//! `cargo xtask model`.
//!
//! Each program below runs under thousands of schedules: which thread goes on is drawn at every access
//! to what threads share (see `sys::shuttle`). A schedule that fails is printed, and
//! `shuttle::replay` repeats it. Half of them each:
//!
//! * *Time runs.* The clock may advance at any moment to the next time that a thread is parked for.
//!   So everything may be late, and fires while anything else happens.
//! * *Time stands* as long as any thread can go on. So nothing may be late at all: a sleep that
//!   is woken later than its deadline has been forgotten by somebody.
//!
//! Either way nothing may be early, no thread may wait for ever, and the timer's thread has to end
//! after the last handle is gone.
//!
//! Changes to the driver that were made once, to see programs *go red*: registering for nudges after
//! the turn (the thread, the seat, the program's own loop); a nudge that wakes nobody; a last handle
//! that goes in silence; a timer that is held while its thread sleeps; two threads that drive one timer;
//! a seat that is left, or found taken, in silence; `block_on` that forgets a wake-up before it waits;
//! a full shard that does not ask the next; and of the engine, no second look at the queue. Not found,
//! because an unparked thread finds its token anyway: a sleeper that does not look whether it was
//! nudged before it parks; the order of the two steps in `Parker::attend`, and, in 20,000 schedules,
//! that it wakes for a nudge that came between them. Those two have tests of their own. Not found here
//! but by the core's models: nobody told when the section is left.

mod pool;
mod programs;

use moirai_timer_core::Ticks;
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, Schedule, Scheduler, Task as Thread, TaskId,
};
use shuttle::{Config, MaxSteps, Runner};

use crate::sys::sync::Arc;
use crate::sys::sync::atomic::{AtomicBool, Ordering::SeqCst};
use crate::{clock, sys};

/// How many schedules there are in all; the environment variable `SCHEDULES` if it is set.
const SCHEDULES: usize = 100_000;

/// The clockmaker is the first thread that each program starts.
const CLOCKMAKER: usize = 1;

/// When time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    Runs,
    Stands,
}

/// Another scheduler, which does not see the clockmaker while time stands and others can go on.
struct Timed<S> {
    of: S,
    time: Time,
    /// Whether `park` may return for no reason.
    spurious: bool,
}

impl<S: Scheduler> Scheduler for Timed<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.of.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Thread],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let mut threads = runnable.to_vec();
        threads.retain(|thread| self.spurious || !thread.can_spuriously_wakeup());
        if self.time == Time::Stands && threads.len() > 1 {
            threads.retain(|thread| usize::from(thread.id()) != CLOCKMAKER);
        }
        self.of.next_task(&threads, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.of.next_u64()
    }
}

/// Runs `program` under its share of all schedules.
fn explore(program: fn(Time)) {
    let all = std::env::var("SCHEDULES").map_or(SCHEDULES, |all| all.parse().unwrap());
    let each = all.div_ceil(programs::COUNT * 4);
    for time in [Time::Runs, Time::Stands] {
        // Time that stands would stand for ever, if threads that wait could always go on.
        let spurious = time == Time::Runs;
        run(Timed { of: RandomScheduler::new(each), time, spurious }, program);
        // Few preemptions, at points that are drawn: finds what needs one thread to be held up long.
        run(Timed { of: PctScheduler::new(3, each), time, spurious: false }, program);
    }
}

fn run(scheduler: Timed<impl Scheduler + 'static>, program: fn(Time)) {
    let time = scheduler.time;
    let mut config = Config::new();
    config.stack_size = 1 << 16;
    config.max_steps = MaxSteps::FailAfter(100_000);
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || {
        // Found once for all schedules, which must not switch threads meanwhile.
        let _ = clock::instant_at(Ticks::ZERO);
        let over = Arc::new(AtomicBool::new(false));
        let clockmaker = shuttle::thread::spawn({
            let over = over.clone();
            move || {
                while !over.load(SeqCst) {
                    sys::pass_time();
                    shuttle::thread::yield_now();
                }
            }
        });
        program(time);
        // No clock helps those who are left.
        over.store(true, SeqCst);
        clockmaker.thread().unpark();
        clockmaker.join().unwrap();
        sys::join_all();
    });
}

//! Sleeps by the wall clock and by the boot clock: when those jump, on virtual clocks; and when they do
//! not, on the system's, which no test may set.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, SystemTime};

use moirai_timer_std::clocks::{BootInstant, SystemSleep, sleep_until_boot, sleep_until_system};
use moirai_timer_std::test::VirtualClock;
use moirai_timer_std::{Timer, block_on};
use moirai_timer_tests::Task;
use proptest::prelude::*;

const NANOSECOND: Duration = Duration::from_nanos(1);
/// `SystemTime` is no finer than this on Windows.
const GRAIN: Duration = Duration::from_nanos(100);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A task that waits for one sleep.
struct Waiting<F> {
    task: Task,
    sleep: F,
    polled_after: u32,
}

impl<F: Future<Output = ()> + Unpin> Waiting<F> {
    fn new(sleep: F) -> Self {
        let mut waiting = Waiting { task: Task::new(), sleep, polled_after: 0 };
        assert!(!waiting.poll(), "it has to wait");
        waiting
    }

    fn poll(&mut self) -> bool {
        self.polled_after = self.task.wakes();
        self.task.polls(|cx| Pin::new(&mut self.sleep).poll(cx)).is_ready()
    }

    /// Polls as an executor does: if it was woken.
    fn is_done(&mut self) -> bool {
        self.task.wakes() > self.polled_after && self.poll()
    }
}

#[test]
fn without_a_jump_it_ends_at_its_nanosecond() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let mut wall = Waiting::new(timer.sleep_until_system(timer.system_now() + HOUR));
    let mut boot = Waiting::new(timer.sleep_until_boot(timer.boot_now() + HOUR));
    block_on(clock.advance(HOUR - NANOSECOND));
    assert_eq!((wall.task.wakes(), boot.task.wakes()), (0, 0));
    block_on(clock.advance(NANOSECOND));
    assert!(wall.is_done() && boot.is_done());
    assert_eq!((wall.task.wakers(), boot.task.wakers()), (0, 0));
    assert_eq!(clock.armed(), 0);
}

#[test]
fn a_clock_that_is_set_forward_brings_the_end_nearer() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let noon = timer.system_now() + HOUR;
    let mut wall = Waiting::new(timer.sleep_until_system(noon));
    let mut boot = Waiting::new(timer.sleep_until_boot(timer.boot_now() + HOUR));

    block_on(clock.set_system_time(noon - SECOND));
    assert!(!wall.is_done());
    block_on(clock.advance(SECOND - NANOSECOND));
    assert!(!wall.is_done());
    block_on(clock.advance(NANOSECOND));
    assert!(wall.is_done(), "a second was left");

    assert!(!boot.is_done());
    block_on(clock.advance(HOUR - SECOND));
    assert!(boot.is_done(), "the boot clock was not set");
}

#[test]
fn a_clock_that_is_set_beyond_the_deadline_ends_it_at_once() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let noon = timer.system_now() + HOUR;
    let mut wall = Waiting::new(timer.sleep_until_system(noon));
    block_on(clock.set_system_time(noon + HOUR));
    assert!(wall.is_done());
}

#[test]
fn a_clock_that_is_set_back_puts_the_end_off() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let start = timer.system_now();
    let mut wall = Waiting::new(timer.sleep_until_system(start + HOUR));
    block_on(clock.advance(HOUR - SECOND));
    block_on(clock.set_system_time(start));
    assert!(!wall.is_done());
    block_on(clock.advance(HOUR - NANOSECOND));
    assert!(!wall.is_done(), "early by the wall clock");
    block_on(clock.advance(NANOSECOND));
    assert!(wall.is_done());
}

/// The task was woken in time, but by the time it is polled the deadline is ahead again.
#[test]
fn a_clock_that_is_set_back_before_the_poll_is_heeded() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let start = timer.system_now();
    let mut wall = Waiting::new(timer.sleep_until_system(start + HOUR));
    block_on(clock.advance(HOUR));
    assert!(wall.task.is_woken());
    block_on(clock.set_system_time(start));
    assert!(!wall.is_done());
    block_on(clock.advance(HOUR));
    assert!(wall.is_done());
}

#[test]
fn a_suspend_counts_for_both_and_not_for_monotonic_sleeps() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let mut wall = Waiting::new(timer.sleep_until_system(timer.system_now() + HOUR));
    let mut boot = Waiting::new(timer.sleep_until_boot(timer.boot_now() + HOUR));
    let mut monotonic = Waiting::new(timer.sleep(HOUR));
    let (boot_now, now) = (timer.boot_now(), timer.now());
    block_on(clock.suspend(HOUR));
    assert_eq!((timer.boot_now() - boot_now, timer.now() - now), (HOUR, Duration::ZERO));
    assert!(wall.is_done() && boot.is_done());
    assert!(!monotonic.task.is_woken());
    block_on(clock.advance(HOUR));
    assert!(monotonic.is_done());
}

#[test]
fn a_dropped_one_wakes_nobody() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let noon = timer.system_now() + HOUR;
    let wall = Waiting::new(timer.sleep_until_system(noon));
    let Waiting { task, sleep, .. } = wall;
    drop(sleep);
    block_on(clock.set_system_time(noon));
    block_on(clock.advance(HOUR));
    assert_eq!((task.wakes(), task.wakers()), (0, 0));
}

#[test]
fn one_that_is_reset_waits_anew() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let start = timer.system_now();
    let mut wall = Waiting::new(timer.sleep_until_system(start + HOUR));
    wall.sleep.reset(start + 2 * HOUR);
    assert!(!wall.poll());
    block_on(clock.advance(HOUR));
    assert!(!wall.is_done() && !wall.sleep.is_elapsed());
    wall.sleep.reset(start + HOUR);
    assert!(wall.poll() && wall.sleep.is_elapsed());
    wall.sleep.reset(start + 3 * HOUR);
    assert_eq!(wall.sleep.deadline(), start + 3 * HOUR);
    assert!(!wall.poll());
    block_on(clock.advance(2 * HOUR));
    assert!(wall.is_done());
}

#[test]
fn only_the_last_waker_is_woken() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let noon = timer.system_now() + HOUR;
    let mut wall = Waiting::new(timer.sleep_until_system(noon));
    let old = std::mem::replace(&mut wall.task, Task::new());
    assert!(!wall.poll());
    assert_eq!(old.wakers(), 0);
    block_on(clock.set_system_time(noon));
    assert!(wall.is_done() && !old.is_woken());
}

#[test]
fn a_deadline_beyond_all_clocks_waits_until_the_clock_is_set_near_it() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let far = timer.system_now() + Duration::from_secs(300 * 365 * 86_400);
    let mut wall = Waiting::new(timer.sleep_until_system(far));
    assert_eq!(clock.armed(), 0, "never takes no slot");
    block_on(clock.set_system_time(far - SECOND));
    assert!(!wall.is_done());
    block_on(clock.advance(SECOND));
    assert!(wall.is_done());
}

#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    /// To so many seconds from the start.
    Set(u64),
    Suspend(u64),
    Sleep(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let seconds = 0..100_u64;
    prop_oneof![
        seconds.clone().prop_map(Step::Advance),
        seconds.clone().prop_map(Step::Set),
        seconds.clone().prop_map(Step::Suspend),
        seconds.prop_map(Step::Sleep),
    ]
}

proptest! {
    /// After each step, those are done whose clock has reached their deadline, and no others.
    #[test]
    fn whatever_the_clocks_do_no_sleep_is_early_or_lost(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let clock = VirtualClock::new();
        let timer = clock.timer();
        let start = timer.system_now();
        let (mut walls, mut boots) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Advance(seconds) => block_on(clock.advance(SECOND * seconds as u32)),
                Step::Set(seconds) => {
                    block_on(clock.set_system_time(start + SECOND * seconds as u32));
                }
                Step::Suspend(seconds) => block_on(clock.suspend(SECOND * seconds as u32)),
                Step::Sleep(seconds) => {
                    let ahead = SECOND * seconds as u32 + GRAIN;
                    walls.push(Waiting::new(timer.sleep_until_system(timer.system_now() + ahead)));
                    boots.push(Waiting::new(timer.sleep_until_boot(timer.boot_now() + ahead)));
                }
            }
            walls.retain_mut(|wall| !wall.is_done());
            boots.retain_mut(|boot| !boot.is_done());
            for wall in &walls {
                prop_assert!(wall.sleep.deadline() > timer.system_now(), "lost: {:?}", wall.sleep);
            }
            for boot in &boots {
                prop_assert!(boot.sleep.deadline() > timer.boot_now(), "lost: {:?}", boot.sleep);
            }
        }
    }
}

#[test]
fn on_the_systems_clocks_none_is_early() {
    for micros in [0, 1, 100, 2_000] {
        let ahead = Duration::from_micros(micros);
        let (wall, boot) = (SystemTime::now() + ahead, BootInstant::now() + ahead);
        block_on(async {
            sleep_until_system(wall).await;
            assert!(SystemTime::now() >= wall);
            sleep_until_boot(boot).await;
            assert!(BootInstant::now() >= boot);
        });
    }
}

#[test]
fn on_the_systems_clocks_what_is_past_is_ready_and_what_is_far_is_not() {
    let task = Task::new();
    let poll = |sleep: SystemSleep| {
        let mut sleep = pin!(sleep);
        task.polls(|cx| sleep.as_mut().poll(cx)).is_ready()
    };
    assert!(poll(sleep_until_system(SystemTime::UNIX_EPOCH)));
    assert!(poll(Timer::new().sleep_until_system(SystemTime::now())));
    assert!(!poll(sleep_until_system(SystemTime::now() + HOUR)));
    assert_eq!(task.wakers(), 0);
}

/// One file serves all, and it is the one that the kernel cancels when the clock is set: so says the
/// kernel (proc_pid_fdinfo(5)).
#[cfg(target_os = "linux")]
#[test]
fn the_kernel_is_asked_once_to_tell_of_jumps() {
    let ahead = SystemTime::now() + HOUR;
    let sleeps: Vec<_> = (0..100).map(|_| Waiting::new(sleep_until_system(ahead))).collect();
    let _boot = Waiting::new(sleep_until_boot(BootInstant::now() + HOUR));
    let files = std::fs::read_dir("/proc/self/fdinfo").unwrap();
    // Other tests open and close files meanwhile.
    let infos = files.filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok());
    let timers: Vec<_> = infos.filter(|info| info.contains("clockid:")).collect();
    let [timer] = &timers[..] else { panic!("there is one timer, not these: {timers:?}") };
    let line = |name: &str| {
        let line = timer.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {timer}")).trim().to_owned()
    };
    assert_eq!(line("clockid:"), "0", "CLOCK_REALTIME");
    assert_eq!(line("settime flags:"), "03", "TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET");
    assert!(sleeps.iter().all(|wall| !wall.task.is_woken()));
}

//! The std timer's thread: when it starts, when it ends, and how quiet it is.
#![cfg(target_os = "linux")]

use std::fs;
use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use moirai_timer_std::{Sleep, Timer, block_on};
use moirai_timer_tests::processes::{is_asleep, threads};
use moirai_timer_tests::{Task, until};

const HOUR: Duration = Duration::from_secs(3_600);

/// How often this thread gave up the processor of its own accord: once for each time it slept.
fn sleeps_of(thread: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
    line.unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Whether nothing of `what` makes the thread sleep anew. One that is asleep may have been held up on its way, and has
/// yet to give up the processor then: once, so it is not seen to do so a second time.
fn lets_sleep(thread: u32, mut what: impl FnMut()) -> bool {
    (0..2).any(|_| {
        let slept = sleeps_of(thread);
        what();
        sleeps_of(thread) == slept
    })
}

fn named(name: &str) -> Timer {
    Timer::builder().thread_name(name).build().unwrap()
}

fn poll(sleep: &mut Sleep, task: &Task) -> bool {
    task.polls(|cx| Pin::new(sleep).poll(cx)).is_ready()
}

#[test]
fn the_thread_starts_with_the_first_sleep_that_waits() {
    let timer = named("starts-late");
    let task = Task::new();
    let mut unpolled = timer.sleep(HOUR);
    assert!(poll(&mut timer.sleep(Duration::ZERO), &task));
    assert!(!poll(&mut timer.sleep(Duration::MAX), &task));
    assert_eq!(threads("starts-late"), []);
    assert!(!poll(&mut unpolled, &task));
    until(|| threads("starts-late").len() == 1);
}

#[test]
fn the_thread_ends_with_the_last_handle() {
    for name in ["ends-timer", "ends-clone", "ends-sleep"] {
        let timer = named(name);
        let task = Task::new();
        let mut sleep = timer.sleep(HOUR);
        assert!(!poll(&mut sleep, &task));
        until(|| threads(name).len() == 1);
        let clone = timer.clone();
        match name {
            "ends-timer" => {
                drop((sleep, clone));
                assert_eq!(threads(name).len(), 1);
                drop(timer);
            }
            "ends-clone" => {
                drop((timer, sleep));
                assert_eq!(threads(name).len(), 1);
                drop(clone);
            }
            _ => {
                // A sleep keeps the timer that it waits for, and still works.
                drop((timer, clone));
                sleep.reset_after(Duration::from_millis(1));
                until(|| task.is_woken());
                assert_eq!(threads(name).len(), 1);
                drop(sleep);
            }
        }
        until(|| threads(name).is_empty());
    }
}

/// The last handle may go anywhere: on the timer's own thread too, or while others are busy.
#[test]
fn the_last_handle_may_be_dropped_by_a_waker() {
    let timer = named("ends-within");
    let (sender, receiver) = mpsc::channel::<Timer>();
    let receiver = std::sync::Mutex::new(receiver);
    let task = Task::new();
    let hook = || drop(receiver.lock().unwrap().recv());
    task.hooked(&hook, || {
        let mut sleep = timer.sleep(HOUR);
        assert!(!poll(&mut sleep, &task));
        sleep.reset_after(Duration::from_millis(2));
        // From here on the waker holds the last handle, but for the sleep's.
        sender.send(timer).unwrap();
        until(|| task.is_woken());
        drop(sleep);
    });
    until(|| threads("ends-within").is_empty());
}

#[test]
fn handles_may_go_while_others_work() {
    for _ in 0..50 {
        let timer = named("ends-amid");
        let workers: Vec<_> = (0..4)
            .map(|i| {
                let timer = timer.clone();
                thread::spawn(move || {
                    for k in 0..5 {
                        block_on(timer.sleep(Duration::from_micros(50 * (i + k))));
                    }
                })
            })
            .collect();
        drop(timer);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    }
    until(|| threads("ends-amid").is_empty());
}

/// The thread's own account of how often it slept, and the timer's of how often it turned, stand
/// still while nothing is due, however long a neighbour takes for its five hundred sleeps.
#[test]
fn a_far_timer_leaves_its_thread_asleep() {
    let (quiet, busy) = (named("quiet"), named("busy"));
    let task = Task::new();
    let mut far = quiet.sleep(HOUR);
    assert!(!poll(&mut far, &task));
    until(|| matches!(*threads("quiet"), [thread] if is_asleep(thread)));
    until(|| quiet.metrics().turns > 0);
    let [thread] = threads("quiet")[..] else { panic!("there is one thread") };
    until(|| is_asleep(thread));
    let turned = quiet.metrics().turns;

    let (mut last, mut unpolled) = (quiet.sleep(HOUR * 2), vec![]);
    assert!(!poll(&mut last, &task), "a later one asks for nothing");
    let is_left_alone = lets_sleep(thread, || {
        for i in 0..500 {
            block_on(busy.sleep(Duration::from_micros(20)));
            unpolled.push(quiet.sleep(Duration::from_micros(i)));
            last.reset_after(HOUR * 3 + Duration::from_secs(i));
        }
    });
    assert!(is_left_alone, "the thread was roused");
    drop(last);
    assert_eq!(quiet.metrics().turns, turned);
    assert!(is_asleep(thread));
    let slept = sleeps_of(thread);

    // It is asleep, not dead.
    far.reset_after(Duration::from_millis(1));
    until(|| task.is_woken());
    until(|| sleeps_of(thread) > slept);
}

/// And when the last one has gone, it does not come back to look.
#[test]
fn a_timer_that_has_fired_everything_is_quiet() {
    let timer = named("fired-all");
    let task = Task::new();
    for _ in 0..10 {
        block_on(timer.sleep(Duration::from_micros(100)));
    }
    until(|| timer.metrics().armed == 0);
    let [thread] = threads("fired-all")[..] else { panic!("there is one thread") };
    // It may have a turn to make on account of the last.
    let account = || (timer.metrics().turns, sleeps_of(thread));
    let mut quiet = account();
    until(|| {
        let asleep = is_asleep(thread);
        quiet = account();
        block_on(Timer::global().sleep(Duration::from_millis(5)));
        asleep && quiet == account() && is_asleep(thread)
    });
    let is_left_alone = lets_sleep(thread, || {
        for _ in 0..100 {
            block_on(Timer::global().sleep(Duration::from_micros(200)));
            assert!(poll(&mut timer.sleep(Duration::ZERO), &task));
        }
    });
    assert!(is_left_alone, "the thread was roused");
    assert_eq!(timer.metrics().turns, quiet.0);
}

#[test]
fn a_waker_that_panics_is_counted_and_the_thread_lives() {
    let timer = named("unshaken");
    let (task, after) = (Task::new(), Task::new());
    let hook = || std::panic::resume_unwind(Box::new("this waker panics"));
    task.hooked(&hook, || {
        let mut sleeps: Vec<_> = (0..3).map(|_| timer.sleep(HOUR)).collect();
        sleeps.iter_mut().for_each(|sleep| assert!(!poll(sleep, &task)));
        sleeps.iter_mut().for_each(|sleep| sleep.reset_after(Duration::from_millis(5)));
        until(|| task.wakes() == 3);
        until(|| timer.metrics().waker_panics == 3);
    });
    let mut sleep = timer.sleep(Duration::from_millis(2));
    if !poll(&mut sleep, &after) {
        until(|| after.is_woken());
    }
    assert_eq!(threads("unshaken").len(), 1);
}

/// What a waker panics with may panic itself when it is dropped.
#[test]
fn a_panic_that_panics_when_it_is_dropped_harms_nobody_either() {
    struct Spiteful;
    impl Drop for Spiteful {
        fn drop(&mut self) {
            if !thread::panicking() {
                // This is leaked, as it might go on like that. It takes no memory.
                std::panic::resume_unwind(Box::new(()));
            }
        }
    }
    let timer = named("unspited");
    let (task, after) = (Task::new(), Task::new());
    let hook = || std::panic::resume_unwind(Box::new(Spiteful));
    task.hooked(&hook, || {
        let mut sleep = timer.sleep(HOUR);
        assert!(!poll(&mut sleep, &task));
        sleep.reset_after(Duration::from_millis(5));
        until(|| timer.metrics().waker_panics == 1);
    });
    let mut sleep = timer.sleep(Duration::from_millis(2));
    if !poll(&mut sleep, &after) {
        until(|| after.is_woken());
    }
    assert_eq!(threads("unspited").len(), 1);
}

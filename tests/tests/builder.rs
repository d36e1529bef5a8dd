//! What the std timer's builder accepts, and what it says to the rest.

use std::io::ErrorKind::InvalidInput;

use moirai_timer_std::{Builder, Precision, Sleep, Timer, block_on};
use moirai_timer_tests::{Task, on_live_threads};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

#[track_caller]
fn refuses(builder: Builder, because: &str) {
    let error = builder.build().expect_err("it is out of range");
    assert_eq!(error.kind(), InvalidInput);
    let said = error.to_string();
    assert!(said.contains(because), "{said:?} does not say {because:?}");
}

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    refuses(Timer::builder().shards(0), "1 to 256 shards, not 0");
    refuses(Timer::builder().shards(257), "1 to 256 shards, not 257");
    refuses(Timer::builder().shards(usize::MAX), &format!("not {}", usize::MAX));
    refuses(Timer::builder().shards(2).capacity(0), "not 0");
    refuses(Timer::builder().shards(1).capacity(1 << 24), "not 16777216");
    refuses(Timer::builder().capacity(usize::MAX), "capacity");
    refuses(Timer::builder().spin_budget(1.5), "from 0 to 1, not 1.5");
    refuses(Timer::builder().spin_budget(-0.1), "not -0.1");
    refuses(Timer::builder().spin_budget(f64::NAN), "not NaN");
}

#[test]
fn a_name_with_a_zero_byte_is_refused() {
    refuses(Timer::builder().thread_name("a\0b"), "zero byte");
}

#[test]
fn every_valid_setting_makes_a_timer_that_works() {
    let builders = [
        Timer::builder(),
        Timer::builder().capacity(1),
        Timer::builder().capacity(1).shards(256),
        Timer::builder().capacity(16_776_960).shards(1),
        Timer::builder().shards(3),
        Timer::builder().thread_name(""),
        Timer::builder().thread_name("a name that is longer than systems show"),
        Timer::builder().precision(Precision::Relaxed),
        Timer::builder().precision(Precision::Exact),
        Timer::builder().spin_budget(0.0),
        Timer::builder().spin_budget(1.0),
        Timer::builder().without_thread(),
    ];
    for builder in builders {
        let said = format!("{builder:?}");
        let timer = builder.build().unwrap_or_else(|error| panic!("{said}: {error}"));
        timer.block_on(timer.sleep(Duration::from_millis(1)));
        assert_eq!(timer.metrics().full_repolls, 0, "{said}");
    }
}

/// Building is cheap and undone without trace; a timer that nobody used has no thread to end.
#[test]
fn timers_are_built_and_dropped_by_the_hundred() {
    for round in 0..300 {
        let timer = Timer::new();
        match round % 3 {
            0 => block_on(timer.sleep(Duration::from_micros(100))),
            1 => drop(timer.try_sleep(Duration::from_secs(1))),
            _ => {}
        }
    }
}

#[test]
fn sleeps_have_the_timers_tolerance_unless_they_say_otherwise() {
    let hour = Duration::from_secs(3_600);
    let timer = Timer::builder().tolerance(hour).without_thread().build().unwrap();
    let task = Task::new();
    let arm = |mut sleep: Sleep| {
        assert!(task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
        sleep
    };
    let sleeps = [1, 2, 3].map(|ns| arm(timer.sleep(hour + Duration::from_nanos(ns))));
    let next = timer.turn().unwrap();
    assert!(next > sleeps[2].deadline(), "one wake-up serves all three");
    assert!(next <= sleeps[0].deadline() + hour);
    let exact = arm(timer.sleep_until(sleeps[1].deadline()).with_tolerance(Duration::ZERO));
    assert_eq!(timer.turn(), Some(exact.deadline()));
}

/// Also in different shards, and in different timers, as two processes have them: all align to the clock
/// of the system.
#[test]
fn sleeps_with_tolerance_meet_across_shards_and_timers() {
    let (hour, ms) = (Duration::from_secs(3_600), Duration::from_millis);
    let timer = || Timer::builder().shards(2).without_thread().build().unwrap();
    let next = |timer: &Timer, sleep: Sleep| {
        let mut sleep = sleep.with_tolerance(ms(50));
        assert!(Task::new().polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
        let next = timer.turn().unwrap();
        let used: Vec<_> = timer.shard_metrics().iter().map(|shard| shard.armed).collect();
        (next, used)
    };
    // So much tolerance goes to one of the roundest points of the clock, to which 50 ms will do as well.
    let (one, other) = (timer(), timer());
    let mut far = one.sleep(hour).with_tolerance(hour);
    assert!(Task::new().polls(|cx| Pin::new(&mut far).poll(cx)).is_pending());
    let round = one.turn().unwrap();
    drop(far);

    let earlier = [ms(40), ms(25), ms(1)].into_iter().cycle().take(12);
    let jobs = earlier.flat_map(|early| {
        [&one, &other].map(|timer| {
            let sleep = timer.sleep_until(round - early);
            move || {
                let (at, shards) = next(timer, sleep);
                assert_eq!(at, round, "{early:?} before");
                shards
            }
        })
    });
    let used = on_live_threads(jobs);
    assert!(used.contains(&vec![1, 0]) && used.contains(&vec![0, 1]), "{used:?}");
}

#[test]
fn a_name_for_the_thread_does_not_bring_back_a_thread() {
    let builder = Timer::builder().without_thread().thread_name("none");
    assert!(format!("{builder:?}").contains("Caller(None)"), "{builder:?}");
}

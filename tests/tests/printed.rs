//! What timers and their futures print, for logs and for `dbg!`.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use moirai_timer_core::{ManualDriver, RegisterError, Ticks, Timer};
use moirai_timer_tests::Task;

type Manual = Timer<ManualDriver<1_000>, 1>;

#[test]
fn a_sleep_says_when_it_is_due_and_whether_it_holds_a_slot() {
    let timer = Manual::new(ManualDriver::new());
    let mut sleep = timer.sleep(Duration::from_millis(5));
    assert_eq!(format!("{sleep:?}"), "Sleep { deadline: 5t, remaining: 5ms, holds_slot: false }");
    assert!(Task::new().polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
    timer.driver().advance(2);
    assert_eq!(format!("{sleep:?}"), "Sleep { deadline: 5t, remaining: 3ms, holds_slot: true }");
    sleep.reset(Ticks::NEVER);
    assert_eq!(format!("{sleep:?}"), "Sleep { deadline: \"never\", holds_slot: true }");
    assert_eq!(format!("{:?}", (Ticks::ZERO, Ticks::NEVER)), "(0t, never)");
}

#[test]
fn an_interval_and_a_timeout_show_what_they_are_made_of() {
    let timer = Manual::new(ManualDriver::new());
    let interval = timer.interval_at(Ticks::new(7), Duration::from_millis(3));
    let next = "Sleep { deadline: 7t, remaining: 7ms, holds_slot: false }";
    assert_eq!(
        format!("{interval:?}"),
        format!("Interval {{ next: {next}, period: 3ms, missed_tick_behavior: Skip }}")
    );
    let timeout = timer.timeout_at(Ticks::new(7), ready(1));
    let future: Ready<i32> = ready(1);
    assert_eq!(format!("{timeout:?}"), format!("Timeout {{ future: {future:?}, sleep: {next} }}"));
}

#[test]
fn errors_say_what_is_the_matter() {
    for (error, says) in [
        (RegisterError::Full, "slots"),
        (RegisterError::ShutDown, "shut down"),
        (RegisterError::NoDriver, "thread"),
    ] {
        assert!(error.to_string().contains(says), "{error}");
    }
    let timer = Manual::new(ManualDriver::new());
    let mut timeout = timer.timeout(Duration::ZERO, std::future::pending::<()>());
    let polled = Task::new().polls(|cx| Pin::new(&mut timeout).poll(cx));
    let std::task::Poll::Ready(Err(elapsed)) = polled else { panic!("it is due") };
    assert_eq!(elapsed.to_string(), "deadline has elapsed");
}

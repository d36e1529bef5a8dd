//! What timers and their futures print, for logs and for `dbg!`.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use moirai_timer_core::{ManualDriver, RegisterError, Sleep, Ticks, Timer};
use moirai_timer_std as std_timer;
use moirai_timer_tests::Task;

type Manual = Timer<ManualDriver<1_000>, 1>;

/// A sleep goes through all states that there are.
#[test]
fn a_sleep_says_what_it_waits_for_and_whether_anybody_will_wake_it() {
    let timer = Manual::new(ManualDriver::new());
    let task = Task::new();
    let mut sleep = timer.sleep(Duration::from_millis(1_500));
    let prints = |sleep: &Sleep<_>, text: &str| assert_eq!(format!("{sleep:?}"), text);
    prints(&sleep, "Sleep { state: Unarmed, deadline: 1500t, remaining: 1.5s }");
    assert!(task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
    timer.driver().advance(2);
    prints(&sleep, "Sleep { state: Armed, deadline: 1500t, remaining: 1.498s }");

    // The one slot is taken: it was polled, and yet nobody will wake it.
    let mut second = timer.sleep(Duration::from_millis(8)).with_tolerance(Duration::from_millis(3));
    assert!(task.polls(|cx| Pin::new(&mut second).poll(cx)).is_pending());
    prints(&second, "Sleep { state: Unarmed, deadline: 10t, remaining: 8ms, tolerance: 3ms }");

    timer.driver().set(Ticks::new(2_000));
    prints(&sleep, "Sleep { state: Elapsed, deadline: 1500t, overdue: 500ms }");
    timer.on_alarm();
    sleep.reset_after(Duration::from_millis(7));
    prints(&sleep, "Sleep { state: Reserved, deadline: 2007t, remaining: 7ms }");
    sleep.reset(Ticks::NEVER);
    prints(&sleep, "Sleep { state: Never }");
    drop(sleep);
    let reserved = timer.try_sleep(Duration::from_millis(3)).unwrap();
    prints(&reserved, "Sleep { state: Reserved, deadline: 2003t, remaining: 3ms }");
    assert_eq!(format!("{:?}", (Ticks::ZERO, Ticks::NEVER)), "(0t, never)");
}

#[test]
fn an_interval_and_a_timeout_show_what_they_are_made_of() {
    let timer = Manual::new(ManualDriver::new());
    let interval = timer.interval_at(Ticks::new(7), Duration::from_millis(3));
    let next = "Sleep { state: Unarmed, deadline: 7t, remaining: 7ms }";
    assert_eq!(
        format!("{interval:?}"),
        format!("Interval {{ next: {next}, period: 3ms, missed_tick_behavior: Skip }}")
    );
    // Futures of `async` functions can't be printed, but have a name.
    let timeout = timer.timeout_at(Ticks::new(7), a_request());
    assert_eq!(
        format!("{timeout:?}"),
        format!("Timeout {{ future: printed::a_request::{{{{closure}}}}, sleep: {next} }}")
    );
}

async fn a_request() {}

#[test]
fn a_timer_of_the_core_says_what_is_armed_and_when_it_will_be_turned() {
    let timer = Manual::new(ManualDriver::new());
    let says = |text| {
        let all = format!("Timer {{ now: 0t, tick_hz: 1000, {text}, shut_down: false, .. }}");
        assert_eq!(format!("{timer:?}"), all);
    };
    says("alarm: never, armed: Some(0), next_deadline: None");
    let mut sleep = timer.sleep(Duration::from_millis(5));
    assert!(Task::new().polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
    says("alarm: never, armed: Some(1), next_deadline: Some(5t)");
    timer.on_alarm();
    says("alarm: 5t, armed: Some(1), next_deadline: Some(5t)");
}

#[test]
fn a_timer_on_std_says_who_drives_it_and_what_is_armed() {
    let timer = std_timer::Timer::builder()
        .shards(2)
        .thread_name("pacer")
        .precision(std_timer::Precision::Exact)
        .build()
        .unwrap();
    assert_eq!(
        format!("{timer:?}"),
        "Timer { thread: \"pacer\", global: false, shards: 2, precision: Exact, armed: Some(0), \
         next_deadline_in: None, shut_down: false }"
    );
    let timer = std_timer::Timer::builder().shards(1).without_thread().build().unwrap();
    let mut sleep = timer.sleep(Duration::from_secs(3_600));
    assert!(Task::new().polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
    let said = format!("{sleep:?}");
    assert!(said.starts_with("Sleep { state: Armed, deadline: Instant"), "{said}");
    assert!(said.contains(", remaining: ") && said.ends_with("s }"), "{said}");
    timer.shutdown();
    let said = format!("{timer:?}");
    let (start, rest) = said.split_once("next_deadline_in: Some(").unwrap();
    assert!(
        start.ends_with(
            "thread: none, global: false, shards: 1, precision: Default, armed: Some(1), "
        ),
        "{said}"
    );
    // However long this test was held up, some of the hour is left or none.
    let (left, end) = rest.split_once(')').unwrap();
    assert!(left.ends_with('s'), "{said}");
    assert_eq!(end, ", shut_down: true }");
    assert!(format!("{:?}", std_timer::Timer::global()).contains("global: true"));
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

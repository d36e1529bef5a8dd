//! A timer whose slots are all taken by sleeps of its own when embassy-time asks for the first time.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use moirai_timer_core::{ManualDriver, Timer};

type Clock = ManualDriver<1_000_000>;

static TIMER: Timer<Clock, 1> = Timer::new(Clock::new());
moirai_timer_embassy::time_driver_impl!(TIMER: Timer<Clock, 1>, 2);

#[derive(Default)]
struct Task(AtomicU32);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn full_repolls() -> u64 {
    TIMER.metrics().expect("nobody is inside").full_repolls
}

#[test]
fn its_tasks_poll_themselves_until_a_slot_is_free() {
    let task = Arc::new(Task::default());
    let waker = Waker::from(task.clone()).clone();
    let mut sleep = TIMER.try_sleep(Duration::from_secs(1)).unwrap();
    for poll in 1..=3 {
        embassy_time_driver::schedule_wake(20, &waker);
        assert_eq!(task.0.load(SeqCst), poll, "it is told to come back");
        assert_eq!(full_repolls(), poll.into(), "and that is counted");
    }
    // A turn has seen it, so another has to see that it is gone. The next request helps.
    assert!(pin!(&mut sleep).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    TIMER.turn();
    drop(sleep);
    embassy_time_driver::schedule_wake(20, &waker);
    assert_eq!(task.0.load(SeqCst), 4);
    embassy_time_driver::schedule_wake(20, &waker);
    assert_eq!(task.0.load(SeqCst), 4, "it waits now");
    assert_eq!(full_repolls(), 4);

    while TIMER.driver().take_interrupt() {
        TIMER.on_alarm();
    }
    assert_eq!(TIMER.driver().alarm().map(|at| at.get()), Some(20));
    TIMER.driver().advance(20);
    TIMER.on_alarm();
    assert_eq!(task.0.load(SeqCst), 5);
}

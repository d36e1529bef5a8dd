//! Never early, by the driver's own clock.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use moirai_timer_core::{Driver, Sleep, Ticks};
use moirai_timer_std::{Precision, Timer};
use moirai_timer_tests::{Task, until};

use super::hooked_driver::{hooked_timer, serve};

/// A clock that advances whenever it is read: every comparison happens at another time.
#[test]
fn a_clock_that_runs_while_it_is_read_wakes_nothing_early() {
    for deadline in (2..200).map(Ticks::new) {
        let timer = hooked_timer::<4>();
        let manual = &timer.driver().manual;
        let task = Task::new();
        timer.driver().pace.store(1, SeqCst);
        let mut sleep = timer.sleep_until(deadline);
        let judge = || assert!(manual.now() >= deadline, "woken early");
        task.hooked(&judge, || {
            loop {
                let before = manual.now();
                if task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_ready() {
                    break assert!(manual.now() >= deadline, "ready early");
                }
                assert!(before < deadline, "pending late");
                serve(timer);
            }
        });
    }
}

/// Notes a wake before the deadline.
struct Watch {
    deadline: Instant,
    wakes: AtomicU32,
    early: AtomicU32,
}

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        self.early.fetch_add((Instant::now() < self.deadline) as u32, SeqCst);
        self.wakes.fetch_add(1, SeqCst);
    }
}

/// Sleeps over so many nanoseconds, those of them that were polled in time.
fn sleeps(timer: &Timer, spread: u64) -> Vec<(Sleep<Timer>, Arc<Watch>)> {
    let start = Instant::now();
    let mut sleeps: Vec<_> = (0..2_000u64)
        .map(|i| {
            let deadline = start + Duration::from_nanos(2_000_000 + i * 7_919 * 1_000 % spread);
            let (wakes, early) = Default::default();
            (timer.sleep_until(deadline), Arc::new(Watch { deadline, wakes, early }))
        })
        .collect();
    sleeps.retain_mut(|(sleep, watch)| {
        let waker = Waker::from(watch.clone());
        let ready = Pin::new(sleep).poll(&mut Context::from_waker(&waker)).is_ready();
        assert!(!ready || Instant::now() >= watch.deadline);
        !ready
    });
    sleeps
}

/// By the clock that its user reads, with every precision.
#[test]
fn the_std_timer_wakes_nothing_early() {
    for precision in [Precision::Relaxed, Precision::Default, Precision::Exact] {
        let timer = Timer::builder().precision(precision).build().unwrap();
        // On a machine that is too slow for these, some that are spread further.
        let sleeps = (0..6)
            .map(|slower| sleeps(&timer, 20_000_000 << (2 * slower)))
            .find(|sleeps| !sleeps.is_empty())
            .expect("this machine is hopelessly slow");
        until(|| sleeps.iter().all(|(_, watch)| watch.wakes.load(SeqCst) > 0));
        for (mut sleep, watch) in sleeps {
            assert_eq!(watch.early.load(SeqCst), 0);
            let waker = Waker::noop();
            assert!(Pin::new(&mut sleep).poll(&mut Context::from_waker(waker)).is_ready());
        }
    }
}

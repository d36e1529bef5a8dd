//! What the crate whose place this one takes does as well, and what it does not.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use moirai_timer_std::{Timer, block_on};

const HOUR: Duration = Duration::from_secs(3600);

/// All of them use the one global timer, whose counters some of them read.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn poll(delay: &mut Delay) -> Poll<()> {
    Pin::new(delay).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn it_is_what_libraries_take_it_for() {
    fn check<T: Future<Output = ()> + Send + Sync + Unpin + std::fmt::Debug + 'static>() {}
    check::<Delay>();
    assert!(format!("{:?}", Delay::new(HOUR)).starts_with("Delay"));
}

#[test]
fn it_is_never_early_and_stays_ready() {
    let _alone = alone();
    for micros in [0, 1, 100, 3_000] {
        let (start, wait) = (Instant::now(), Duration::from_micros(micros));
        let mut delay = Delay::new(wait);
        block_on(&mut delay);
        assert!(start.elapsed() >= wait);
        assert!(poll(&mut delay).is_ready());
    }
}

#[test]
fn a_reset_moves_it_before_and_after_it_has_completed() {
    let _alone = alone();
    let mut delay = Delay::new(HOUR);
    assert!(poll(&mut delay).is_pending());
    delay.reset(Duration::from_millis(1));
    block_on(&mut delay);
    delay.reset(HOUR);
    assert!(poll(&mut delay).is_pending());
    delay.reset(Duration::ZERO);
    assert!(poll(&mut delay).is_ready());
}

#[test]
fn a_duration_without_end_waits_for_ever() {
    let _alone = alone();
    let mut delay = Delay::new(Duration::MAX);
    assert!(poll(&mut delay).is_pending());
    delay.reset(Duration::MAX);
    assert!(poll(&mut delay).is_pending());
    delay.reset(Duration::from_millis(1));
    block_on(delay);
}

#[test]
fn one_that_is_not_polled_is_not_registered() {
    let _alone = alone();
    let before = Timer::global().metrics();
    let mut delays: Vec<_> = (0..100_000).map(|_| Delay::new(HOUR)).collect();
    delays.iter_mut().for_each(|delay| delay.reset(2 * HOUR));
    drop(delays);
    let after = Timer::global().metrics();
    assert_eq!((after.registered, after.slots), (before.registered, before.slots));
}

#[test]
fn arming_many_does_not_turn_the_timer_for_each() {
    let _alone = alone();
    let before = Timer::global().metrics().turns;
    let mut delays: Vec<_> = (0..100_000).map(|_| Delay::new(HOUR)).collect();
    for delay in &mut delays {
        assert!(poll(delay).is_pending());
    }
    assert_eq!(Timer::global().metrics().armed, 100_000);
    let turns = Timer::global().metrics().turns - before;
    assert!(turns < 10_000, "{turns} turns");
}

#[test]
fn a_waker_that_panics_leaves_the_timer_alive() {
    struct Panics(AtomicU32);
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
            panic!("on purpose");
        }
    }
    let _alone = alone();
    let panics = Arc::new(Panics(AtomicU32::new(0)));
    let waker = Waker::from(panics.clone());
    let mut bad = Delay::new(Duration::from_millis(1));
    let first = Pin::new(&mut bad).poll(&mut Context::from_waker(&waker));
    // A machine that is held up may be late already.
    if first.is_pending() {
        block_on(async {
            while panics.0.load(SeqCst) == 0 {
                Delay::new(Duration::from_millis(1)).await;
            }
        });
    }
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        block_on(Delay::new(Duration::from_millis(1)));
        sender.send(()).unwrap();
    });
    receiver.recv_timeout(Duration::from_secs(120)).expect("it completes");
}

#[test]
fn it_wakes_the_task_that_polled_it_last() {
    struct Counts(AtomicU32);
    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let _alone = alone();
    let first = Arc::new(Counts(AtomicU32::new(0)));
    let waker = Waker::from(first.clone());
    let mut delay = pin!(Delay::new(HOUR));
    assert!(delay.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    delay.reset(Duration::from_millis(1));
    block_on(delay);
    // Unless it was woken before `block_on` took over, it never is.
    drop(waker);
    let start = Instant::now();
    while Arc::strong_count(&first) > 1 {
        // The timer's thread may be about to wake it.
        assert!(start.elapsed() < Duration::from_secs(120), "somebody keeps the waker");
        std::thread::yield_now();
    }
}

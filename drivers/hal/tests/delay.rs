//! Delays on a clock that moves when it is looked at, and is read in coarser ticks than it moves by.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use embedded_hal::delay::DelayNs as Blocking;
use embedded_hal_async::delay::DelayNs as Async;
use moirai_timer_core::{Armed, Driver, ManualDriver, Ticks, Timer};
use moirai_timer_hal::Delay;

/// Nanoseconds in a tick.
const TICK: u64 = 1_000;

/// A manual clock of microseconds, beside the nanoseconds that have really passed.
struct Fine {
    nanoseconds: AtomicU64,
    manual: ManualDriver<1_000_000>,
}

impl Fine {
    const fn new() -> Self {
        Fine { nanoseconds: AtomicU64::new(0), manual: ManualDriver::new() }
    }

    fn pass(&self, nanoseconds: u64) {
        let now = self.nanoseconds.fetch_add(nanoseconds, SeqCst) + nanoseconds;
        self.manual.set(Ticks::new(now / TICK));
    }

    fn passed(&self) -> u64 {
        self.nanoseconds.load(SeqCst)
    }
}

impl Driver for Fine {
    const TICK_HZ: u64 = 1_000_000_000 / TICK;

    fn now(&self) -> Ticks {
        let now = self.manual.now();
        self.pass(1);
        now
    }

    fn arm(&self, at: Ticks) -> Armed {
        self.manual.arm(at)
    }

    fn disarm(&self) {
        self.manual.disarm();
    }

    fn pend(&self) {
        self.manual.pend();
    }
}

type Clock<const N: usize> = Timer<Fine, N>;

#[derive(Default)]
struct Task(AtomicU32);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Serves the timer's interrupt, as long as it is due.
fn interrupts<const N: usize>(timer: &Clock<N>) {
    while timer.driver().manual.take_interrupt() {
        timer.on_alarm();
    }
}

/// Runs a delay whose task is polled when it is woken; how often that was.
fn runs<const N: usize>(timer: &Clock<N>, delay: impl Future<Output = ()>) -> u32 {
    let task = Arc::new(Task::default());
    let waker = Waker::from(task.clone());
    let mut delay = pin!(delay);
    let (mut polls, mut seen) = (1, 0);
    while delay.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        while task.0.load(SeqCst) == seen {
            timer.driver().pass(50);
            interrupts(timer);
        }
        seen = task.0.load(SeqCst);
        polls += 1;
    }
    polls
}

/// In nanoseconds; from a tick's beginning to its very end.
fn phases() -> impl Iterator<Item = u64> {
    (0..TICK).step_by(37).chain([TICK - 2, TICK - 1])
}

const ASKED: [u32; 8] = [1, 999, 1_000, 1_001, 5_500, 19_999, 20_000, 70_001];

/// Its sleeps may be a second late; delays are no sleeps of a program's.
const fn tolerant() -> Clock<2> {
    Timer::new(Fine::new()).with_tolerance(Duration::from_secs(1))
}

/// Moves the clock to `phase` of a tick.
fn align(clock: &Fine, phase: u64) {
    clock.pass(TICK - clock.passed() % TICK + phase);
}

#[track_caller]
fn took_as_long(asked: u32, took: u64, machine: u64) {
    let asked = u64::from(asked);
    assert!(took >= asked, "{took} ns are less than {asked}");
    assert!(took <= asked + 2 * TICK + machine, "{took} ns are far more than {asked}");
}

#[test]
fn a_blocking_delay_is_never_shorter_than_asked_for() {
    static TIMER: Clock<2> = tolerant();
    static IDLED: AtomicU32 = AtomicU32::new(0);
    let mut delay = Delay::new(&TIMER, || {
        IDLED.fetch_add(1, SeqCst);
        TIMER.driver().pass(100);
        interrupts(&TIMER);
    });
    for asked in ASKED {
        for phase in phases() {
            align(TIMER.driver(), phase);
            let (start, idled) = (TIMER.driver().passed(), IDLED.load(SeqCst));
            Blocking::delay_ns(&mut delay, asked);
            took_as_long(asked, TIMER.driver().passed() - start, 200);
            let has_idled = IDLED.load(SeqCst) > idled;
            assert_eq!(has_idled, asked >= 20_000, "below 20 us it spins");
        }
    }
    let start = TIMER.driver().passed();
    Blocking::delay_us(&mut delay, 30);
    Blocking::delay_ms(&mut delay, 1);
    took_as_long(1_030_000, TIMER.driver().passed() - start, 2 * TICK + 400);
}

/// Whoever reads the clock looks whether there is a slot.
#[test]
fn a_short_blocking_delay_takes_no_slot() {
    struct Looks(Fine, AtomicU32);

    impl Driver for Looks {
        const TICK_HZ: u64 = Fine::TICK_HZ;

        fn now(&self) -> Ticks {
            // Who looks reads the clock, too.
            if self.1.fetch_add(1, SeqCst) == 1 {
                assert!(TIMER.try_sleep(Duration::from_secs(1)).is_ok());
                self.1.store(1, SeqCst);
            }
            self.0.now()
        }

        fn arm(&self, at: Ticks) -> Armed {
            self.0.arm(at)
        }

        fn disarm(&self) {}

        fn pend(&self) {}
    }

    static TIMER: Timer<Looks, 1> = Timer::new(Looks(Fine::new(), AtomicU32::new(1)));
    Blocking::delay_us(&mut Delay::spinning(&TIMER), 19);
    assert!(TIMER.driver().0.passed() >= 19_000);
}

#[test]
fn an_async_delay_is_never_shorter_than_asked_for_and_polled_twice() {
    static TIMER: Clock<2> = tolerant();
    let mut delay = Delay::spinning(&TIMER);
    for asked in ASKED {
        for phase in phases() {
            align(TIMER.driver(), phase);
            let start = TIMER.driver().passed();
            assert_eq!(runs(&TIMER, Async::delay_ns(&mut delay, asked)), 2);
            took_as_long(asked, TIMER.driver().passed() - start, 200);
        }
    }
    let start = TIMER.driver().passed();
    runs(&TIMER, Async::delay_us(&mut delay, 30));
    runs(&TIMER, Async::delay_ms(&mut delay, 1));
    took_as_long(1_030_000, TIMER.driver().passed() - start, 2 * TICK + 400);
}

#[test]
fn a_delay_of_zero_is_none() {
    static TIMER: Clock<2> = Timer::new(Fine::new());
    let mut delay = Delay::spinning(&TIMER);
    Blocking::delay_ns(&mut delay, 0);
    assert_eq!(runs(&TIMER, Async::delay_ms(&mut delay, 0)), 1);
    assert!(TIMER.driver().passed() < TICK);
}

#[test]
fn without_a_slot_a_blocking_delay_spins_and_an_async_one_polls_itself() {
    static TIMER: Clock<1> = Timer::new(Fine::new());
    let mut delay = Delay::new(&TIMER, || panic!("no interrupt would end it"));
    let taken = TIMER.try_sleep_until(Ticks::LAST).unwrap();
    let start = TIMER.driver().passed();
    Blocking::delay_us(&mut delay, 100);
    took_as_long(100_000, TIMER.driver().passed() - start, 100);

    let start = TIMER.driver().passed();
    assert!(runs(&TIMER, Async::delay_us(&mut delay, 100)) > 100, "it wakes itself");
    took_as_long(100_000, TIMER.driver().passed() - start, 200);
    assert!(TIMER.metrics().unwrap().full_repolls > 100);
    drop(taken);
}

#[test]
fn after_the_timer_was_shut_down_delays_end_in_time() {
    static TIMER: Clock<2> = Timer::new(Fine::new());
    let mut delay = Delay::new(&TIMER, || panic!("no interrupt would end it"));
    TIMER.shutdown();
    let start = TIMER.driver().passed();
    Blocking::delay_us(&mut delay, 100);
    took_as_long(100_000, TIMER.driver().passed() - start, 100);
    let start = TIMER.driver().passed();
    runs(&TIMER, Async::delay_us(&mut delay, 100));
    took_as_long(100_000, TIMER.driver().passed() - start, 200);
}

//! embassy-time on a timer whose clock moves when it is told, with wakers that are not embassy's.

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration as StdDuration, Instant as StdInstant};

use embassy_time::{Duration, Instant, Ticker, Timer as EmbassyTimer, with_timeout};
use moirai_timer_core::{ManualDriver, Ticks, Timer};
use proptest::prelude::*;

type Clock = ManualDriver<1_000_000>;

/// Two for each of the four threads of `no_request_is_lost_among_threads`.
const WAKERS: usize = 8;
static TIMER: Timer<Clock, 3> = Timer::new(Clock::new());
moirai_timer_embassy::time_driver_impl!(TIMER: Timer<Clock, 3>, WAKERS);

/// The program has one time driver, so the tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // What an earlier test has left behind.
    TIMER.driver().advance(100_000);
    interrupts();
    guard
}

fn interrupts() {
    while TIMER.driver().take_interrupt() {
        let _ = catch_unwind(AssertUnwindSafe(|| TIMER.on_alarm()));
    }
}

/// Lets time pass until `to`, in the steps in which the alarm rings.
fn pass(to: u64) {
    interrupts();
    while let Some(alarm) = TIMER.driver().alarm().filter(|alarm| alarm.get() <= to) {
        TIMER.driver().set(alarm);
        interrupts();
    }
    TIMER.driver().set(Ticks::new(to));
}

#[derive(Default)]
struct Task {
    wakes: AtomicU32,
    panics: AtomicBool,
    /// What it asks for when it is woken.
    asks: Mutex<Option<u64>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, SeqCst);
        if let Some(at) = self.asks.lock().unwrap().take() {
            embassy_time_driver::schedule_wake(at, &self.waker());
        }
        assert!(!self.panics.load(SeqCst), "this waker panics");
    }
}

impl Task {
    /// A clone, because that has the same table as its own clones, and is found again.
    fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(self.clone()).clone()
    }

    fn polls<F: Future>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker()))
    }

    fn take_wakes(&self) -> u32 {
        self.wakes.swap(0, SeqCst)
    }
}

/// Runs `future` as an executor would, and time from alarm to alarm.
fn run<F: Future>(future: F) -> F::Output {
    let task = Arc::new(Task::default());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = task.polls(future.as_mut()) {
            return output;
        }
        interrupts();
        while task.take_wakes() == 0 {
            let alarm = TIMER.driver().alarm().expect("the task was forgotten");
            pass(alarm.get());
        }
    }
}

#[test]
fn embassys_timers_are_on_time_to_the_tick() {
    let _alone = alone();
    run(async {
        let start = Instant::now();
        EmbassyTimer::after_micros(250).await;
        assert_eq!(start.elapsed(), Duration::from_micros(250));

        let mut ticker = Ticker::every(Duration::from_micros(100));
        for _ in 0..5 {
            ticker.next().await;
        }
        assert_eq!(start.elapsed(), Duration::from_micros(750));

        // The first asks for the later time.
        let short = EmbassyTimer::after_micros(50);
        assert!(with_timeout(Duration::from_micros(80), short).await.is_ok());
        let long = EmbassyTimer::after_micros(80);
        assert!(with_timeout(Duration::from_micros(50), long).await.is_err());
        assert!(with_timeout(Duration::from_micros(1), pending::<()>()).await.is_err());
        assert_eq!(start.elapsed(), Duration::from_micros(851));
    });
}

#[test]
fn they_share_the_timer_with_its_own_sleeps() {
    let _alone = alone();
    run(async {
        let start = TIMER.now();
        EmbassyTimer::after_micros(10).await;
        TIMER.sleep(StdDuration::from_micros(10)).await;
        let both = TIMER.timeout(StdDuration::from_micros(5), EmbassyTimer::after_micros(9));
        assert!(both.await.is_err());
        assert_eq!(TIMER.now().since(start), 25);
    });
}

#[test]
fn a_request_in_the_past_is_met_at_once_and_never_is_not() {
    let _alone = alone();
    let (past, never) = (Arc::new(Task::default()), Arc::new(Task::default()));
    embassy_time_driver::schedule_wake(TIMER.now().get() - 5, &past.waker());
    embassy_time_driver::schedule_wake(u64::MAX, &never.waker());
    interrupts();
    assert_eq!((past.take_wakes(), never.take_wakes()), (1, 0));
    assert_eq!(TIMER.driver().alarm(), None, "nothing is left to wait for");
    assert_eq!(Arc::strong_count(&never), 1, "its waker is kept by nobody");
}

#[test]
fn with_more_tasks_than_room_those_too_many_poll_themselves_and_are_on_time() {
    let _alone = alone();
    let start = TIMER.now().get();
    let tasks: [_; WAKERS + 2] = std::array::from_fn(|_| Arc::new(Task::default()));
    for (number, task) in tasks.iter().enumerate() {
        embassy_time_driver::schedule_wake(start + 10 + number as u64, &task.waker());
        assert_eq!(task.take_wakes(), (number >= WAKERS) as u32, "task {number}");
    }
    pass(start + 10);
    assert_eq!(tasks[0].take_wakes(), 1);
    embassy_time_driver::schedule_wake(start + 17, &tasks[WAKERS + 1].waker());
    assert_eq!(tasks[WAKERS + 1].take_wakes(), 0, "there is room now");
    pass(start + 17);
    let wakes: [_; WAKERS + 2] = std::array::from_fn(|number| tasks[number].take_wakes());
    assert_eq!(wakes, [0, 1, 1, 1, 1, 1, 1, 1, 0, 1]);
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_being_woken() {
    let _alone = alone();
    let start = TIMER.now().get();
    let tasks: [_; 4] = std::array::from_fn(|_| Arc::new(Task::default()));
    tasks[1].panics.store(true, SeqCst);
    for (task, ahead) in tasks.iter().zip([1, 1, 1, 9]) {
        embassy_time_driver::schedule_wake(start + ahead, &task.waker());
    }
    // Late, so that they fire together.
    TIMER.driver().advance(3);
    interrupts();
    assert_eq!(tasks.each_ref().map(|task| task.take_wakes()), [1, 1, 1, 0]);
    pass(start + 9);
    assert_eq!(tasks[3].take_wakes(), 1);
}

#[test]
fn a_waker_may_ask_again_when_it_is_woken() {
    let _alone = alone();
    let start = TIMER.now().get();
    let task = Arc::new(Task::default());
    *task.asks.lock().unwrap() = Some(start + 8);
    embassy_time_driver::schedule_wake(start + 5, &task.waker());
    pass(start + 7);
    assert_eq!(task.take_wakes(), 1);
    pass(start + 8);
    assert_eq!(task.take_wakes(), 1);
}

#[test]
fn asking_again_tells_the_timer_nothing() {
    let _alone = alone();
    let start = TIMER.now().get();
    let task = Arc::new(Task::default());
    embassy_time_driver::schedule_wake(start + 50, &task.waker());
    interrupts();
    for at in [start + 50, start + 60] {
        embassy_time_driver::schedule_wake(at, &task.waker());
        assert!(!TIMER.driver().take_interrupt(), "a turn was asked for");
    }
    pass(start + 60);
    assert_eq!(task.take_wakes(), 1);
}

/// Requests from several threads, at the same time as turns on two others.
#[test]
fn no_request_is_lost_among_threads() {
    let _alone = alone();
    let patience = StdInstant::now() + StdDuration::from_secs(120);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                TIMER.driver().advance(1);
                if TIMER.driver().take_interrupt() {
                    TIMER.on_alarm();
                }
                thread::yield_now();
            }
        });
        scope.spawn(|| {
            while !is_over.load(SeqCst) {
                TIMER.turn();
                thread::yield_now();
            }
        });
        let askers: Vec<_> = (0..4u64)
            .map(|number| {
                scope.spawn(move || {
                    for round in 0..3_000 {
                        // A task of its own, because two wakes are right if the later time comes
                        // before the earlier one is asked for; the second may wait for a turn.
                        let task = Arc::new(Task::default());
                        let at = TIMER.now().get() + (number * 7 + round) % 9;
                        embassy_time_driver::schedule_wake(at + 3, &task.waker());
                        embassy_time_driver::schedule_wake(at, &task.waker());
                        while task.take_wakes() == 0 {
                            assert!(StdInstant::now() < patience, "round {round} was lost");
                            thread::yield_now();
                        }
                        assert!(TIMER.now().get() >= at, "early");
                    }
                })
            })
            .collect();
        let all_well = askers.into_iter().map(|asker| asker.join()).all(|result| result.is_ok());
        is_over.store(true, SeqCst);
        assert!(all_well);
    });
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(usize, u64),
    Pass(u64),
    Turn,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..WAKERS, 0u64..60).prop_map(|(task, ahead)| Step::Ask(task, ahead)),
        2 => (0u64..40).prop_map(Step::Pass),
        1 => Just(Step::Turn),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Each task is woken at the earliest time that it has asked for, once, and at no other.
    #[test]
    fn random_programs_are_woken_when_they_have_asked_for(
        program in prop::collection::vec(step(), 1..200)
    ) {
        let _alone = alone();
        let tasks: [_; WAKERS] = std::array::from_fn(|_| Arc::new(Task::default()));
        let mut due = [None::<u64>; WAKERS];
        let check = |due: &mut [Option<u64>; WAKERS]| {
            let now = TIMER.now().get();
            for (task, due) in tasks.iter().zip(due) {
                let is_due = due.is_some_and(|at| at <= now);
                assert_eq!(task.take_wakes(), is_due as u32, "at {now}, due at {due:?}");
                if is_due {
                    *due = None;
                }
            }
        };
        for step in program.into_iter().chain([Step::Pass(100)]) {
            let now = TIMER.now().get();
            match step {
                Step::Ask(task, ahead) => {
                    embassy_time_driver::schedule_wake(now + ahead, &tasks[task].waker());
                    due[task] = Some(due[task].map_or(now + ahead, |at| at.min(now + ahead)));
                    interrupts();
                    check(&mut due);
                }
                Step::Turn => {
                    TIMER.turn();
                }
                Step::Pass(ticks) => {
                    interrupts();
                    for to in now + 1..=now + ticks {
                        pass(to);
                        interrupts();
                        check(&mut due);
                    }
                }
            }
        }
    }
}

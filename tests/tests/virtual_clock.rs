//! Virtual time on std: what the clock waits for, where it stops, and that nothing else moves it.
//!
//! No test here takes longer than its executors do, and none depends on how long that is.

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use moirai_timer_std::test::VirtualClock;
use moirai_timer_std::{Timer, block_on};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Polls once, with a waker that does nothing.
fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap()
}

#[test]
fn the_clock_stands_until_it_is_moved() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let mut sleep = pin!(timer.sleep(Duration::from_nanos(1)));
    for _ in 0..1_000 {
        assert!(poll(sleep.as_mut()).is_pending());
        timer.turn();
        block_on(clock.settled());
    }
    assert_eq!((clock.elapsed(), clock.armed()), (Duration::ZERO, 1));
    block_on(clock.advance(Duration::from_nanos(1)));
    assert!(poll(sleep.as_mut()).is_ready());
}

#[test]
fn a_sleep_is_due_at_its_nanosecond_and_not_before() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    for far in [2, 1_000, 1_000_000, 60_000_000_000, 40_000_000_000_000, 1 << 55] {
        let far = Duration::from_nanos(far);
        let mut sleep = pin!(timer.sleep(far));
        assert!(poll(sleep.as_mut()).is_pending());
        block_on(clock.advance(far - Duration::from_nanos(1)));
        assert!(poll(sleep.as_mut()).is_pending(), "{far:?}");
        block_on(clock.advance(Duration::from_nanos(1)));
        assert!(poll(sleep.as_mut()).is_ready(), "{far:?}");
    }
}

#[test]
fn clocks_are_independent_of_each_other() {
    let (one, other) = (VirtualClock::new(), VirtualClock::new());
    block_on(one.advance(HOUR));
    assert_eq!((one.elapsed(), other.elapsed()), (HOUR, Duration::ZERO));
    assert_eq!(one.now() - other.now(), HOUR);
    assert_eq!(other.timer().now(), other.now());
}

#[test]
fn the_clock_goes_on_to_the_next_deadline_that_somebody_waits_for() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let mut sleeps: Vec<_> =
        [5, 3, 3, 90_000].map(|s| Box::pin(timer.sleep(s * SECOND))).into_iter().collect();
    sleeps.iter_mut().for_each(|sleep| assert!(poll(sleep.as_mut()).is_pending()));
    // One that was cancelled is not waited for.
    let mut dropped = Box::pin(timer.sleep(4 * SECOND));
    assert!(poll(dropped.as_mut()).is_pending());
    drop(dropped);
    let start = clock.now();
    let mut stops = Vec::new();
    while let Some(at) = block_on(clock.advance_to_next()) {
        assert_eq!(at, clock.now());
        stops.push((at - start).as_secs());
    }
    assert_eq!(stops, [3, 5, 90_000]);
    assert_eq!(clock.elapsed(), 90_000 * SECOND);
}

/// Sleeps again and again, and notes the time.
async fn rounds(timer: Timer, period: Duration, rounds: u32) -> Vec<Duration> {
    let start = timer.now();
    let mut times = Vec::new();
    for _ in 0..rounds {
        timer.sleep(period).await;
        times.push(timer.now() - start);
    }
    times
}

#[test]
fn a_long_step_stops_at_deadlines_that_are_armed_on_the_way() {
    let clock = VirtualClock::new();
    let runtime = tokio();
    let tasks: Vec<_> = (1..=20)
        .map(|n| runtime.spawn(clock.track(rounds(clock.timer(), n * SECOND, 100))))
        .collect();
    runtime.block_on(async {
        clock.advance(2_000 * SECOND).await;
        for (n, task) in (1..).zip(tasks) {
            let expected: Vec<_> = (1..=100).map(|round| round * n * SECOND).collect();
            assert_eq!(task.await.unwrap(), expected);
        }
    });
    assert_eq!((clock.elapsed(), clock.armed()), (2_000 * SECOND, 0));
}

#[test]
fn running_until_idle_ends_with_the_last_deadline() {
    let clock = VirtualClock::new();
    let runtime = tokio();
    let task = runtime.spawn(clock.track(rounds(clock.timer(), HOUR, 24)));
    block_on(clock.run_until_idle());
    assert_eq!(clock.elapsed(), 24 * HOUR);
    assert_eq!(block_on(task).unwrap().len(), 24);
}

#[test]
fn a_clock_is_moved_from_within_a_runtime_of_one_thread() {
    let clock = VirtualClock::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let task = tokio::spawn(clock.track(rounds(clock.timer(), HOUR, 10)));
        clock.advance(10 * HOUR).await;
        assert_eq!(task.await.unwrap().last(), Some(&(10 * HOUR)));
    });
}

#[test]
fn a_clock_waits_for_tasks_that_hand_work_to_each_other() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    // A chain of tasks, each of which starts when it is told to by the one before, sleeps, and
    // tells the next. Only the first waits for the clock to begin with.
    let (first, mut last) = smol::channel::unbounded::<()>();
    let executor = Arc::new(smol::Executor::new());
    for _ in 0..10 {
        let (sender, receiver) = smol::channel::unbounded();
        let (timer, before) = (timer.clone(), std::mem::replace(&mut last, receiver));
        let link = clock.track(async move {
            before.recv().await.unwrap();
            timer.sleep(SECOND).await;
            sender.send(()).await.unwrap();
        });
        executor.spawn(link).detach();
    }
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let executor = executor.clone();
            let (stop, stopped) = smol::channel::bounded::<()>(1);
            let run = move || {
                let _ = smol::future::block_on(executor.run(stopped.recv()));
            };
            (stop, thread::spawn(run))
        })
        .collect();
    first.send_blocking(()).unwrap();
    block_on(clock.advance(10 * SECOND));
    assert_eq!(last.try_recv(), Ok(()));
    for (stop, thread) in threads {
        drop(stop);
        thread.join().unwrap();
    }
}

#[test]
fn time_moves_by_itself_only_when_asked_to() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let times = block_on(clock.auto_advance(rounds(timer.clone(), HOUR, 3)));
    assert_eq!(times, [HOUR, 2 * HOUR, 3 * HOUR]);
    // What had been asked for is over.
    let mut sleep = pin!(timer.sleep(SECOND));
    assert!(poll(sleep.as_mut()).is_pending());
    block_on(clock.settled());
    assert_eq!(clock.elapsed(), 3 * HOUR);
}

#[test]
fn auto_advance_waits_for_tracked_tasks_on_other_threads() {
    let clock = VirtualClock::new();
    let runtime = tokio();
    let spawned: Vec<_> = (1..=8)
        .map(|n| runtime.spawn(clock.track(rounds(clock.timer(), n * SECOND, 50))))
        .collect();
    let times = runtime.block_on(clock.auto_advance(rounds(clock.timer(), 3 * SECOND, 200)));
    assert_eq!(times, (1..=200).map(|n| n * 3 * SECOND).collect::<Vec<_>>());
    for (n, task) in (1..).zip(spawned) {
        let expected: Vec<_> = (1..=50).map(|round| round * n * SECOND).collect();
        assert_eq!(runtime.block_on(task).unwrap(), expected);
    }
}

#[test]
fn auto_advance_goes_on_for_tasks_that_nobody_tracks() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let (sender, receiver) = smol::channel::bounded(1);
    let thread = thread::spawn(move || {
        block_on(rounds(timer, HOUR, 3));
        sender.send_blocking(()).unwrap();
    });
    block_on(clock.auto_advance(async { receiver.recv().await.unwrap() }));
    assert!(clock.elapsed() >= 3 * HOUR);
    thread.join().unwrap();
}

#[test]
fn a_hold_stops_the_clock() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let hold = clock.hold();
    let mut run = Box::pin(clock.auto_advance(timer.sleep(SECOND)));
    assert!(poll(run.as_mut()).is_pending());
    assert_eq!(clock.elapsed(), Duration::ZERO);
    drop(hold);
    block_on(run);
    assert_eq!(clock.elapsed(), SECOND);
}

#[test]
fn a_task_that_was_dropped_or_has_panicked_is_not_waited_for() {
    let clock = VirtualClock::new();
    // Never polled.
    drop(clock.track(pending::<()>()));
    // Woken, and not polled again.
    let wakers = Arc::new(Mutex::new(None));
    let mut woken = Box::pin(clock.track(poll_fn(|cx| {
        *wakers.lock().unwrap() = Some(cx.waker().clone());
        Poll::<()>::Pending
    })));
    assert!(poll(woken.as_mut()).is_pending());
    let waker = wakers.lock().unwrap().clone().unwrap();
    waker.wake_by_ref();
    assert!(poll(pin!(clock.settled())).is_pending());
    drop(woken);
    block_on(clock.settled());
    // Its waker has outlived it.
    waker.wake();
    block_on(clock.settled());
    let mut panics = Box::pin(clock.track(async { panic!("on purpose") }));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(panics.as_mut()))).is_err());
    drop(panics);
    block_on(clock.advance(SECOND));
    assert_eq!(clock.elapsed(), SECOND);
}

/// Whoever moves the clock must not find all at rest while another thread is about to wake somebody.
#[test]
fn those_who_are_being_woken_are_waited_for() {
    struct Looks(VirtualClock, AtomicU32);

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            self.1.fetch_add(poll(pin!(self.0.settled())).is_pending().into(), SeqCst);
        }
    }

    let clock = VirtualClock::new();
    let looks = Arc::new(Looks(clock.clone(), AtomicU32::new(0)));
    let mut sleep = pin!(clock.timer().sleep(SECOND));
    let waker = Waker::from(looks.clone());
    assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    block_on(clock.advance(SECOND));
    assert_eq!(looks.1.load(SeqCst), 1);
    block_on(clock.settled());
}

#[test]
fn a_tracked_sleep_may_be_polled_after_its_end_and_is_not_waited_for() {
    let clock = VirtualClock::new();
    let hold = clock.hold();
    let mut done = Box::pin(clock.track(clock.timer().sleep(Duration::ZERO)));
    for _ in 0..3 {
        assert!(poll(done.as_mut()).is_ready());
    }
    let mut advance = pin!(clock.advance(SECOND));
    assert!(poll(advance.as_mut()).is_pending(), "it is held");
    drop(hold);
    assert!(poll(advance.as_mut()).is_ready());
}

#[test]
fn a_task_that_is_woken_while_it_is_polled_is_waited_for() {
    let clock = VirtualClock::new();
    let mut yields = 0;
    let mut task = Box::pin(clock.track(poll_fn(|cx| {
        yields += 1;
        if yields == 3 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })));
    for _ in 0..2 {
        assert!(poll(task.as_mut()).is_pending());
        assert!(poll(pin!(clock.settled())).is_pending());
    }
    assert!(poll(task.as_mut()).is_ready());
    assert!(poll(pin!(clock.settled())).is_ready());
}

#[test]
fn a_tracked_task_may_not_move_its_clock() {
    let clock = VirtualClock::new();
    let other = VirtualClock::new();
    // The clock of another is fine.
    block_on(clock.auto_advance(async { other.advance(SECOND).await }));
    let mut task = Box::pin(clock.track(clock.advance(SECOND)));
    let panic = catch_unwind(AssertUnwindSafe(|| poll(task.as_mut()))).unwrap_err();
    let text = *panic.downcast::<&str>().expect("a plain text");
    assert!(text.contains("from outside of `track`"), "{text}");
}

#[test]
fn deadlines_of_the_systems_clock_are_refused() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let deadline = Instant::now() + HOUR;
    let panic = catch_unwind(AssertUnwindSafe(|| timer.sleep_until(deadline))).unwrap_err();
    let text = *panic.downcast::<&str>().expect("a plain text");
    assert!(text.contains("Timer::now"), "{text}");
    // The virtual past is not the system's present.
    let mut past = pin!(timer.sleep_until(timer.now() - 1_000 * HOUR));
    assert!(poll(past.as_mut()).is_ready());
}

#[test]
fn the_end_of_the_clock_can_be_reached() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let mut never = pin!(timer.sleep(Duration::MAX));
    assert!(poll(never.as_mut()).is_pending());
    block_on(clock.advance(Duration::MAX));
    assert!(poll(never.as_mut()).is_pending());
    assert!(clock.elapsed() > 27 * 365 * 24 * HOUR);
}

#[test]
fn an_interval_and_a_timeout_go_by_the_virtual_clock() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    block_on(clock.auto_advance(async {
        let start = timer.now();
        let mut ticks = timer.interval(HOUR);
        for round in 0..5 {
            assert_eq!(ticks.tick().await - start, round * HOUR);
        }
        assert!(timer.timeout(SECOND, pending::<()>()).await.is_err());
        assert_eq!(timer.now() - start, 4 * HOUR + SECOND);
    }));
}

#[test]
fn a_sleep_that_is_armed_while_the_clock_moves_is_not_forgotten() {
    // Not tracked, so that arming and moving meet in every way.
    let clock = VirtualClock::new();
    let runtime = tokio();
    let slept = Arc::new(AtomicU32::new(0));
    for task in 0..4_u32 {
        let (timer, slept) = (clock.timer(), slept.clone());
        runtime.spawn(async move {
            for round in 0..2_000 {
                let sleep = timer.sleep(Duration::from_nanos(u64::from((round * 7 + task) % 13)));
                let deadline = sleep.deadline();
                sleep.await;
                assert!(timer.now() >= deadline);
                slept.fetch_add(1, SeqCst);
            }
        });
    }
    let done = || slept.load(SeqCst) == 4 * 2_000;
    let give_up = Instant::now() + Duration::from_secs(120);
    while !done() {
        block_on(clock.advance(Duration::from_nanos(3)));
        assert!(Instant::now() < give_up, "{} sleeps ended", slept.load(SeqCst));
    }
    assert_eq!(clock.armed(), 0);
}

/// Notes in which order tasks are woken.
struct Note {
    number: u32,
    order: Arc<Mutex<Vec<u32>>>,
}

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.order.lock().unwrap().push(self.number);
    }
}

/// The order in which twenty tasks are woken that are due at the same time.
fn order(clock: &VirtualClock) -> Vec<u32> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let timer = clock.timer();
    let mut sleeps: Vec<_> = (0..20).map(|_| timer.sleep(HOUR)).collect();
    for (number, sleep) in (0..).zip(&mut sleeps) {
        let waker = Waker::from(Arc::new(Note { number, order: order.clone() }));
        assert!(pin!(sleep).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    block_on(clock.advance(HOUR));
    drop(sleeps);
    Arc::into_inner(order).expect("all wakers are gone").into_inner().unwrap()
}

#[test]
fn the_order_of_what_is_due_together_is_the_seeds() {
    let plain = order(&VirtualClock::new());
    assert_eq!(plain, order(&VirtualClock::new()));
    let orders: Vec<_> = (0..10).map(|seed| order(&VirtualClock::with_seed(seed))).collect();
    for (seed, order_then) in (0..).zip(&orders) {
        assert_eq!(*order_then, order(&VirtualClock::with_seed(seed)));
        let mut sorted = order_then.clone();
        sorted.sort();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    }
    assert!(orders.windows(2).all(|pair| pair[0] != pair[1]));
}

/// What a program of several tasks has done, and after how long. All of them run on this thread, send
/// to each other, and wait for things that come at the same time.
fn trace(clock: &VirtualClock) -> Vec<(Duration, &'static str, u32)> {
    let (timer, start) = (clock.timer(), clock.now());
    let trace = RefCell::new(Vec::new());
    let note = |what, order| trace.borrow_mut().push((timer.now() - start, what, order));
    let (timer, note) = (&timer, &note);
    let executor = smol::LocalExecutor::new();
    let (sender, receiver) = smol::channel::bounded(2);
    for producer in 0..6 {
        let sender = sender.clone();
        let produce = async move {
            for order in producer * 10..producer * 10 + 10 {
                timer.sleep((1 + producer % 3) * SECOND).await;
                note("made", order);
                sender.send(order).await.unwrap();
            }
        };
        executor.spawn(clock.track(produce)).detach();
    }
    drop(sender);
    for consumer in 0..3 {
        let receiver = receiver.clone();
        let consume = async move {
            loop {
                match timer.timeout(SECOND, receiver.recv()).await {
                    Ok(Ok(order)) => {
                        note("taken", order);
                        timer.sleep(SECOND).await;
                        note("done", order);
                    }
                    Ok(Err(_)) => break note("no more", consumer),
                    Err(_) => note("nothing came", consumer),
                }
            }
        };
        executor.spawn(clock.track(consume)).detach();
    }
    block_on(executor.run(clock.run_until_idle()));
    assert!(executor.is_empty());
    drop(executor);
    trace.into_inner()
}

#[test]
fn a_program_on_one_thread_leaves_the_same_trace_for_the_same_seed() {
    let plain = trace(&VirtualClock::new());
    assert_eq!(plain, trace(&VirtualClock::new()));
    let traces: Vec<_> = (0..10).map(|seed| trace(&VirtualClock::with_seed(seed))).collect();
    for (seed, first) in (0..).zip(&traces) {
        // On whichever thread.
        let again = thread::spawn(move || trace(&VirtualClock::with_seed(seed)));
        assert_eq!(*first, again.join().unwrap(), "seed {seed}");
        // Each does the same work.
        let done = first.iter().filter(|(_, what, _)| *what == "done");
        let mut done: Vec<_> = done.map(|(.., order)| *order).collect();
        done.sort();
        assert_eq!(done, (0..60).collect::<Vec<_>>(), "seed {seed}");
    }
    assert!(traces.windows(2).any(|pair| pair[0] != pair[1]));
}

#[test]
fn the_timers_own_block_on_waits_for_the_clock() {
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let thread = thread::spawn(move || timer.block_on(timer.sleep(HOUR)));
    block_on(async {
        clock.until_armed(1).await;
        assert_eq!(clock.advance_to_next().await, Some(clock.now()));
    });
    thread.join().unwrap();
    assert_eq!(clock.elapsed(), HOUR);
}

#[test]
fn a_waker_that_panics_does_not_stop_the_clock() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    let clock = VirtualClock::new();
    let timer = clock.timer();
    let (mut bad, mut good) = (pin!(timer.sleep(SECOND)), Box::pin(timer.sleep(SECOND)));
    let waker = Waker::from(Arc::new(Panics));
    assert!(bad.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let track = clock.track(async move { good.as_mut().await });
    let thread = thread::spawn(move || block_on(track));
    block_on(clock.advance(SECOND));
    thread.join().unwrap();
    assert_eq!(timer.metrics().waker_panics, 1);
}

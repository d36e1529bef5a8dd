//! The same sleeps on executors that know nothing of the timer.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use moirai_timer_std::{Sleep, Timer, block_on, interval, sleep, sleep_until, timeout};
use moirai_timer_tests::{Task, until};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};

/// A program as users write them; gives what it counted.
async fn program(seed: u64) -> u32 {
    let start = Instant::now();
    sleep(Duration::from_micros(seed % 3_000)).await;
    assert!(start.elapsed() >= Duration::from_micros(seed % 3_000));

    let slow = sleep(Duration::from_secs(3_600));
    assert!(timeout(Duration::from_micros(500), slow).await.is_err());
    let fast = sleep(Duration::from_micros(500));
    assert!(timeout(Duration::from_secs(3_600), fast).await.is_ok());

    let mut ticks = 0;
    let mut interval = interval(Duration::from_micros(300));
    while ticks < 5 {
        interval.tick().await;
        ticks += 1;
    }
    let mut moved = Box::pin(sleep_until(start + Duration::from_secs(60)));
    moved.as_mut().reset_after(Duration::from_micros(200));
    moved.await;
    ticks
}

const PROGRAMS: u64 = 200;

#[test]
fn tokio_runs_them() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let tasks: Vec<_> = (0..PROGRAMS).map(|i| runtime.spawn(program(i * 7_919))).collect();
    for task in tasks {
        assert_eq!(runtime.block_on(task).unwrap(), 5);
    }
}

#[test]
fn smol_runs_them() {
    let tasks: Vec<_> = (0..PROGRAMS).map(|i| smol::spawn(program(i * 7_919))).collect();
    for task in tasks {
        assert_eq!(smol::block_on(task), 5);
    }
}

#[test]
fn plain_threads_run_them() {
    let threads: Vec<_> =
        (0..8).map(|i| thread::spawn(move || block_on(program(i * 7_919)))).collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 5);
    }
}

/// The executor that began a sleep need not be the one that ends it.
#[test]
fn a_sleep_moves_from_one_executor_to_another() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let mut wait = Duration::from_millis(20);
    loop {
        let start = Instant::now();
        let mut sleep = Box::pin(sleep(wait));
        let begun = timeout(Duration::from_micros(100), sleep.as_mut());
        if smol::block_on(begun).is_err() {
            runtime.block_on(runtime.spawn(sleep)).unwrap();
            assert!(start.elapsed() >= wait, "early: {:?}, not {wait:?}", start.elapsed());
            return;
        }
        // The machine is busy: it ended before it could be moved.
        wait *= 2;
    }
}

/// Polled on one thread, dropped on another: no wake, no slot lost.
#[test]
fn sleeps_may_be_dropped_on_another_thread() {
    const MANY: usize = 2_000;
    let timer = Timer::builder().capacity(MANY).thread_name("crossed").build().unwrap();
    for _ in 0..5 {
        let task = Task::new();
        let sleeps: Vec<_> = thread::scope(|scope| {
            let polled = scope.spawn(|| {
                let mut sleeps: Vec<_> =
                    (0..MANY).map(|i| timer.sleep(Duration::from_secs(60 + i as u64))).collect();
                for sleep in &mut sleeps {
                    assert!(task.polls(|cx| Pin::new(sleep).poll(cx)).is_pending());
                }
                sleeps
            });
            polled.join().unwrap()
        });
        let dropped = thread::spawn(move || drop(sleeps));
        dropped.join().unwrap();
        assert_eq!((task.wakes(), task.wakers()), (0, 0));
        until(|| timer.metrics().armed == 0);
    }
    assert_eq!(timer.metrics().full_repolls, 0);
    assert_eq!(timer.metrics().cancelled, 5 * MANY as u64);
}

/// A task that wakes itself all the time keeps its executor busy, and not the timer waiting: a quiet
/// task, which nothing but the timer wakes, ends while the other goes on. (With a timer's thread that
/// never turns, it hangs.)
#[test]
fn a_task_that_never_rests_sees_its_deadline() {
    async fn quiet(over: Arc<AtomicBool>) {
        // Several, as one may be due already when it is polled first.
        for _ in 0..3 {
            sleep(Duration::from_millis(5)).await;
        }
        over.store(true, SeqCst);
    }
    async fn restless(quiet_is_over: Arc<AtomicBool>) {
        let start = Instant::now();
        let mut sleep = sleep(Duration::from_millis(5));
        let deadline = sleep.deadline();
        let mut due = false;
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            due = due || Pin::new(&mut sleep).poll(cx).is_ready();
            assert!(start.elapsed() < Duration::from_secs(60), "the quiet task hangs");
            if due && quiet_is_over.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        assert!(Instant::now() >= deadline);
    }
    for workers in [1, 4] {
        let over = Arc::<AtomicBool>::default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(workers).build().unwrap();
        let _quiet = runtime.spawn(quiet(over.clone()));
        runtime.block_on(runtime.spawn(restless(over))).unwrap();
    }
    let over = Arc::<AtomicBool>::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _quiet = runtime.spawn(quiet(over.clone()));
    runtime.block_on(restless(over));

    let over = Arc::<AtomicBool>::default();
    smol::spawn(quiet(over.clone())).detach();
    smol::block_on(smol::spawn(restless(over)));

    let over = Arc::<AtomicBool>::default();
    thread::scope(|scope| {
        scope.spawn(|| block_on(quiet(over.clone())));
        block_on(restless(over.clone()));
    });
}

/// Two tasks that pass a byte to and fro without end keep their executor and its reactor busy, all on one
/// thread, and not the timer waiting. (With a timer's thread that never turns, it hangs.)
#[test]
fn an_executor_that_is_busy_with_io_sees_its_deadlines() {
    const ENOUGH: u32 = 1_000;

    async fn pass_on(mut peer: TcpStream, passed: &Cell<u32>) -> std::io::Result<()> {
        let mut byte = [0];
        loop {
            peer.read_exact(&mut byte).await?;
            passed.set(passed.get() + 1);
            peer.write_all(&byte).await?;
        }
    }
    let passed = Cell::new(0);
    let executor = smol::LocalExecutor::new();
    let slept = smol::block_on(executor.run(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let mut one = TcpStream::connect(listener.local_addr()?).await?;
        let (other, _) = listener.accept().await?;
        one.write_all(&[1]).await?;
        let _tasks = [one, other].map(|peer| executor.spawn(pass_on(peer, &passed)));

        let start = Instant::now();
        let mut slept = 0;
        while slept < 3 || passed.get() < ENOUGH {
            let deadline = Instant::now() + Duration::from_millis(5);
            sleep_until(deadline).await;
            assert!(Instant::now() >= deadline, "early");
            assert!(start.elapsed() < Duration::from_secs(60), "{} were passed", passed.get());
            slept += 1;
        }
        std::io::Result::Ok(slept)
    }));
    assert!(slept.unwrap() >= 3 && passed.get() >= ENOUGH);
}

/// Each call has a waker of its own, also one within the other: a wake-up of the one is no poll of
/// the other, and none of its sleeps is cut short.
#[test]
fn a_block_on_within_a_block_on_is_woken_for_itself() {
    /// Wakes its own task, and gives its waker.
    async fn wakes_itself() -> Waker {
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Ready(cx.waker().clone())
        })
        .await
    }
    /// How often a sleep is polled until it is ready.
    async fn polls(sleep: Sleep) -> u32 {
        let (mut sleep, mut polls) = (sleep, 0);
        std::future::poll_fn(|cx| {
            polls += 1;
            Pin::new(&mut sleep).poll(cx)
        })
        .await;
        polls
    }
    let wait = Duration::from_millis(20);
    let start = Instant::now();

    // The outer's wake-up is not the inner's.
    let outer = block_on(async {
        let outer = wakes_itself().await;
        assert!(block_on(polls(sleep(wait))) <= 2);
        outer
    });
    assert!(start.elapsed() >= wait);
    // Nor is that of a call that has ended.
    outer.wake();
    assert!(block_on(polls(sleep(wait))) <= 2);
    assert!(start.elapsed() >= 2 * wait);
    // And the inner's is not the outer's.
    let polled = block_on(async {
        let outer = std::future::poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let inner = block_on(wakes_itself());
        assert!(!inner.will_wake(&outer));
        inner.wake();
        polls(sleep(wait)).await
    });
    assert!(polled <= 2, "{polled} polls");
    assert!(start.elapsed() >= 3 * wait);
}

/// One thread waits for a sleep, another moves it: first away, then near.
#[test]
fn a_sleep_can_be_moved_while_another_thread_waits_for_it() {
    let shared = std::sync::Mutex::new(sleep(Duration::from_secs(3_600)));
    let asked = Instant::now();
    let armed = Task::new();
    thread::scope(|scope| {
        let waits = scope.spawn(|| {
            block_on(std::future::poll_fn(|cx| {
                let polled = Pin::new(&mut *shared.lock().unwrap()).poll(cx);
                armed.waker().wake();
                polled
            }));
        });
        until(|| armed.is_woken());
        shared.lock().unwrap().reset_after(Duration::from_secs(7_200));
        shared.lock().unwrap().reset_after(Duration::from_millis(5));
        until(|| waits.is_finished());
    });
    assert!(asked.elapsed() >= Duration::from_millis(5));
}

/// By `?`, as with tokio.
#[test]
fn what_was_not_in_time_is_an_io_error() {
    fn read() -> std::io::Result<()> {
        block_on(timeout(Duration::ZERO, std::future::pending()))?
    }
    let error = read().expect_err("nothing was read");
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    let cause = error.into_inner().expect("it says why");
    assert!(cause.is::<moirai_timer_std::Elapsed>());
}

//! Tasks on embassy's executor with embassy's timers, as a program has them.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration as StdDuration;

use embassy_executor::{Executor, Spawner};
use embassy_time::{Duration, Instant, Ticker, Timer, with_timeout};

/// More than a queue of eight has room for.
const TASKS: usize = 24;
const LONG: StdDuration = StdDuration::from_secs(60);

static ENDED: AtomicUsize = AtomicUsize::new(0);

#[embassy_executor::task(pool_size = TASKS)]
async fn sleeper(number: usize, done: Sender<&'static str>) {
    for round in 1..=20 {
        let ahead = Duration::from_micros(((number * 37 + round * 101) % 900) as u64);
        let deadline = Instant::now() + ahead;
        Timer::at(deadline).await;
        assert!(Instant::now() >= deadline, "early");
    }
    if ENDED.fetch_add(1, SeqCst) + 1 == TASKS {
        done.send("sleepers").unwrap();
    }
}

#[embassy_executor::task]
async fn ticks(done: Sender<&'static str>) {
    let start = Instant::now();
    let mut ticker = Ticker::every(Duration::from_millis(1));
    for _ in 0..30 {
        ticker.next().await;
    }
    assert!(start.elapsed() >= Duration::from_millis(30));
    done.send("ticks").unwrap();
}

/// The inner timer is polled after the outer one and is due before it, then the other way round.
#[embassy_executor::task]
async fn timeouts(done: Sender<&'static str>) {
    for _ in 0..10 {
        let short = Timer::after_millis(1);
        assert!(with_timeout(Duration::from_secs(3600), short).await.is_ok());
        assert!(with_timeout(Duration::from_millis(1), pending::<()>()).await.is_err());
        let long = Timer::after_secs(3600);
        assert!(with_timeout(Duration::from_millis(1), long).await.is_err());
    }
    done.send("timeouts").unwrap();
}

#[embassy_executor::task]
async fn never() {
    Timer::at(Instant::MAX).await;
    unreachable!();
}

#[test]
fn every_task_comes_to_its_end() {
    let (done, all) = mpsc::channel();
    thread::spawn(move || {
        let executor = Box::leak(Box::new(Executor::new()));
        executor.run(|spawner: Spawner| {
            spawner.spawn(never().unwrap());
            spawner.spawn(ticks(done.clone()).unwrap());
            spawner.spawn(timeouts(done.clone()).unwrap());
            for number in 0..TASKS {
                spawner.spawn(sleeper(number, done.clone()).unwrap());
            }
        })
    });
    let mut ended: Vec<_> =
        (0..3).map(|_| all.recv_timeout(LONG).expect("a task was forgotten")).collect();
    ended.sort_unstable();
    assert_eq!(ended, ["sleepers", "ticks", "timeouts"]);
}

/// Wakers that are not embassy's: only the queue with a capacity takes them.
#[cfg(feature = "generic")]
#[test]
fn a_plain_thread_waits_too() {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Wake, Waker};

    struct Thread(thread::Thread);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let threads: Vec<_> = (0..4u64)
        .map(|number| {
            thread::spawn(move || {
                let waker = Waker::from(Arc::new(Thread(thread::current())));
                for round in 0..20 {
                    let deadline = Instant::now() + Duration::from_micros(100 * number + 7 * round);
                    let mut timer = pin!(Timer::at(deadline));
                    while let Poll::Pending = timer.as_mut().poll(&mut Context::from_waker(&waker))
                    {
                        thread::park_timeout(LONG);
                    }
                    assert!(Instant::now() >= deadline, "early");
                    assert!(deadline.elapsed().as_secs() < LONG.as_secs(), "it was not woken");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Wakers that are not embassy's: the entry would be in a task, and there is none. As with embassy's own, the
/// caller hears of it.
#[cfg(not(feature = "generic"))]
#[test]
#[should_panic = "not created by the Embassy executor"]
fn a_waker_that_is_not_embassys_is_refused() {
    embassy_time_queue_utils::Queue::new().schedule_wake(1, std::task::Waker::noop());
}

/// Does not compile with the original, which has no `Default`.
#[test]
fn the_queue_was_patched_in() {
    let mut queue = <embassy_time_queue_utils::Queue as Default>::default();
    assert_eq!(queue.next_expiration(0), u64::MAX);
}

//! The std timer without a thread: driven by `block_on`, or by a loop of the program's own.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use moirai_timer_std::{Sleep, Timer, block_on};
use moirai_timer_tests::{Task, on_live_threads, until};

const HOUR: Duration = Duration::from_secs(3_600);

fn threadless() -> Timer {
    Timer::builder().without_thread().build().unwrap()
}

#[test]
fn block_on_drives_the_timer() {
    let timer = threadless();
    let start = Instant::now();
    timer.block_on(async {
        timer.sleep(Duration::from_millis(2)).await;
        assert!(
            timer.timeout(Duration::from_millis(2), std::future::pending::<()>()).await.is_err()
        );
        let mut interval = timer.interval(Duration::from_millis(1));
        for _ in 0..3 {
            interval.tick().await;
        }
    });
    assert!(start.elapsed() >= Duration::from_millis(6));
    assert_eq!(timer.metrics().full_repolls, 0);
}

/// One of them drives; when it has what it wants, another takes over.
#[test]
fn several_threads_may_block_on_one_timer() {
    let timer = threadless();
    let threads: Vec<_> = (0..6u64)
        .map(|i| {
            let timer = timer.clone();
            thread::spawn(move || {
                for k in 0..100 {
                    let sleep = timer.sleep(Duration::from_micros((i * 131 + k * 37) % 700));
                    let deadline = sleep.deadline();
                    timer.block_on(sleep);
                    assert!(Instant::now() >= deadline);
                }
            })
        })
        .collect();
    until(|| threads.iter().all(|thread| thread.is_finished()));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Occupies a timer's driver until it is dropped: a thread in `block_on`, with nothing of its own.
struct Occupied(Option<(mpsc::Sender<()>, thread::JoinHandle<()>)>);

impl Occupied {
    fn new(timer: &Timer) -> Self {
        let timer = timer.clone();
        let (end, ended) = mpsc::channel::<()>();
        let (started, has_started) = mpsc::channel();
        let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
        let to_wake = waker.clone();
        let thread = thread::spawn(move || {
            timer.block_on(std::future::poll_fn(|cx| {
                *waker.lock().unwrap() = Some(cx.waker().clone());
                let _ = started.send(());
                match ended.try_recv() {
                    Err(mpsc::TryRecvError::Empty) => Poll::Pending,
                    _ => Poll::Ready(()),
                }
            }));
        });
        has_started.recv().unwrap();
        // Whoever ends it has to wake it.
        let (relay, relayed) = mpsc::channel::<()>();
        thread::spawn(move || {
            let _ = relayed.recv();
            drop(end);
            to_wake.lock().unwrap().take().expect("it was polled").wake();
        });
        Occupied(Some((relay, thread)))
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        let (end, thread) = self.0.take().expect("it is dropped once");
        drop(end);
        until(|| thread.is_finished());
    }
}

/// A sleep that another thread polls, elsewhere, is driven by the one that blocks.
#[test]
fn whoever_blocks_drives_the_sleeps_of_others() {
    let timer = threadless();
    let occupied = Occupied::new(&timer);
    for _ in 0..200 {
        block_on(timer.sleep(Duration::from_micros(100)));
    }
    drop(occupied);
}

/// When the one who drives leaves, one who waits takes over.
#[test]
fn another_takes_over_when_the_driver_leaves() {
    for _ in 0..50 {
        let timer = threadless();
        let occupied = Occupied::new(&timer);
        let other = {
            let timer = timer.clone();
            thread::spawn(move || timer.block_on(timer.sleep(Duration::from_millis(2))))
        };
        drop(occupied);
        until(|| other.is_finished());
        other.join().unwrap();
    }
}

/// A program that has a loop of its own is told when to turn: by what `turn` returns, and by the
/// waker for what comes after that.
#[test]
fn a_loop_of_its_own_hears_of_earlier_deadlines() {
    let driver = Task::new();
    let timer = Timer::builder().driven_by(driver.waker()).build().unwrap();
    let task = Task::new();
    let poll = |sleep: &mut Sleep| task.polls(|cx| Pin::new(sleep).poll(cx)).is_pending();
    assert_eq!(timer.turn(), None);

    let mut far = timer.sleep(HOUR);
    assert!(poll(&mut far));
    assert_eq!(driver.wakes(), 1, "there was nothing to turn for");
    assert_eq!(timer.turn(), Some(far.deadline()));
    assert_eq!(timer.next_deadline(), Some(far.deadline()));

    let mut later = timer.sleep(HOUR * 2);
    assert!(poll(&mut later));
    assert_eq!(driver.wakes(), 1, "a later one can wait");

    let mut earlier = timer.sleep(HOUR / 2);
    assert!(poll(&mut earlier));
    assert_eq!(driver.wakes(), 2);
    assert_eq!(timer.turn(), Some(earlier.deadline()));

    far.reset(earlier.deadline() - Duration::from_secs(1));
    assert_eq!(driver.wakes(), 3, "a reset to earlier needs a turn as well");
    assert_eq!(timer.turn(), Some(far.deadline()));

    far.reset(Instant::now());
    assert_eq!(timer.turn(), Some(earlier.deadline()));
    assert_eq!(task.wakes(), 1);
    drop((earlier, later));
    timer.turn();
    assert_eq!(timer.metrics().armed, 0);
}

/// The waker is called by whoever arms, and may turn then and there.
#[test]
fn the_drivers_waker_may_turn_at_once() {
    static TURNS: AtomicU32 = AtomicU32::new(0);
    let driver = Task::new();
    let timer = Timer::builder().driven_by(driver.waker()).build().unwrap();
    let task = Task::new();
    let hook = || {
        timer.turn();
        TURNS.fetch_add(1, SeqCst);
    };
    let mut sleeps = vec![];
    timer.turn();
    driver.hooked(&hook, || {
        for round in 1..=15 {
            let mut sleep = timer.sleep(Duration::from_secs(1 << 20 >> round));
            assert!(task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
            assert_eq!(timer.next_deadline(), Some(sleep.deadline()));
            assert_eq!(TURNS.load(SeqCst), round, "each is earlier by far");
            sleeps.push(sleep);
        }
    });
}

/// Turning a timer by hand that has a thread: it does no harm, says the manual.
#[test]
fn turning_beside_the_thread_does_no_harm() {
    let timer = Timer::builder().shards(1).thread_name("beside").build().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    timer.turn();
                }
            });
        }
        let workers = [(); 2].map(|()| {
            scope.spawn(|| {
                for i in 0..3_000 {
                    block_on(timer.sleep(Duration::from_nanos(i * 7 % 20_000)));
                }
            })
        });
        // If it did harm, a sleep would be forgotten when nobody turns by hand any more.
        workers.into_iter().for_each(|worker| {
            until(|| worker.is_finished());
        });
        stop.store(true, SeqCst);
    });
}

/// The timers of one shard need not wait until all of another's are done, be they ever so many.
#[test]
fn a_crowd_in_one_shard_does_not_hold_up_the_others() {
    const THREADS: u32 = 16;
    const CROWD: u32 = 1_000;
    /// Notes how many were woken before.
    #[derive(Default)]
    struct Place(Arc<AtomicU32>, AtomicU32);
    impl std::task::Wake for Place {
        fn wake(self: Arc<Self>) {
            self.1.store(self.0.fetch_add(1, SeqCst), SeqCst);
        }
    }

    // All have to be armed before the first is due, which takes longer on some machines.
    for lead in [300, 3_000, 30_000] {
        let timer = Timer::builder().shards(2).without_thread().build().unwrap();
        let woken = Arc::new(AtomicU32::new(0));
        let deadline = Instant::now() + Duration::from_millis(lead);
        let early = deadline - Duration::from_millis(1);
        // Sixteen threads, which share the shards somehow. Each has a bystander, one of the first
        // that are due in its shard.
        let arm = |waker: &Waker, at| {
            let mut sleep = timer.sleep_until(at);
            let _ = Pin::new(&mut sleep).poll(&mut Context::from_waker(waker));
            sleep
        };
        let job = || {
            let bystander = Arc::new(Place(woken.clone(), AtomicU32::new(0)));
            let crowd = Waker::from(Arc::new(Place(woken.clone(), AtomicU32::new(0))));
            let first = arm(&bystander.clone().into(), early);
            let crowd = (0..CROWD).map(|_| arm(&crowd, deadline));
            ([first].into_iter().chain(crowd).collect::<Vec<_>>(), bystander)
        };
        let (_sleeps, bystanders): (Vec<_>, Vec<_>) =
            on_live_threads([job; THREADS as usize]).into_iter().unzip();
        timer.turn();
        if Instant::now() >= early {
            continue;
        }
        until(|| Instant::now() > deadline);
        timer.turn();
        assert_eq!(timer.metrics().armed, 0);
        let last = bystanders.iter().map(|bystander| bystander.1.load(SeqCst)).max();
        // Its own shard's crowd has to be sorted first, in steps of eight times as many as the other
        // shard wakes in between.
        assert!(
            last < Some(THREADS * CROWD / 4),
            "the last bystander was woken after {last:?} others"
        );
        return;
    }
    panic!("sixteen thousand sleeps are not armed in half a minute");
}

/// A thread that has driven the timer for a while was told what the loop should have been.
#[test]
fn a_loop_hears_of_sleeps_again_after_another_thread_has_driven_its_timer() {
    // Nobody drives for a sleep that is due at once, as what is too soon for a slow machine is.
    for wait in [1, 100, 10_000] {
        let loops = Task::new();
        let timer = Timer::builder().driven_by(loops.waker()).build().unwrap();
        assert_eq!(timer.turn(), None);
        let mut sleep = timer.sleep(HOUR);
        assert!(Task::new().polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
        sleep.reset_after(Duration::from_millis(wait));
        let armed = loops.wakes();
        let mut waits = false;
        timer.block_on(std::future::poll_fn(|cx| {
            let poll = Pin::new(&mut sleep).poll(cx);
            waits |= poll.is_pending();
            poll
        }));
        if !waits {
            continue;
        }
        let before = loops.wakes();
        assert!(before > armed, "whatever the other has not done, the loop has to do");
        let mut sleep = timer.sleep(HOUR);
        assert!(Task::new().polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
        assert_eq!(loops.wakes(), before + 1);
        return;
    }
    panic!("a sleep of ten seconds is due at once");
}

/// It is called while a sleep is armed, and must not take that with it.
#[test]
fn a_panic_of_the_waker_that_drives_a_timer_harms_nobody() {
    struct Panics(AtomicU32);
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
            std::panic::resume_unwind(Box::new("this waker panics"));
        }
    }

    let panics = Arc::new(Panics(AtomicU32::new(0)));
    let timer = Timer::builder().driven_by(panics.clone().into()).build().unwrap();
    assert_eq!(timer.turn(), None);
    let task = Task::new();
    let mut sleep = timer.sleep(HOUR);
    assert!(task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending());
    assert_eq!(panics.0.load(SeqCst), 1);
    sleep.reset_after(Duration::from_millis(1));
    until(|| {
        timer.turn();
        task.wakes() == 1
    });
    drop(sleep);
    assert_eq!(timer.metrics().armed, 0);
}

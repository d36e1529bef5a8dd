//! The std timer in a forked child, which has its memory and none of its threads.
//!
//! Each test forks, has the child do something with timers, and looks at how it ended. A child
//! that hangs is ended by its alarm clock.
#![cfg(target_os = "linux")]

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use moirai_timer_ext::CallbackTimer;
use moirai_timer_std::{Sleep, Timer, block_on, sleep};
use moirai_timer_tests::{Task, until};

/// Other threads of the test harness must not fork, or hold locks, while one forks.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What the children may take, in seconds. Far beyond what they need.
const LIMIT: u32 = 120;

/// Runs `body` in a forked child; whether that returned true.
fn in_a_child(body: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child has one thread, and leaves through `_exit`. The locks of the allocator are
    // in order, as the C library sees to that; those of the harness are not touched.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0, "fork failed");
        if child == 0 {
            libc::alarm(LIMIT);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            libc::_exit(if result.is_ok_and(|fine| fine) { 0 } else { 1 });
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }
}

/// Waits without help from the timer, as any executor does.
fn wait_for(mut sleep: Sleep) -> bool {
    let task = Task::new();
    let start = Instant::now();
    loop {
        let wakes = task.wakes();
        if task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_ready() {
            return true;
        }
        while task.wakes() == wakes {
            if start.elapsed() > Duration::from_secs(60) {
                return false;
            }
            thread::yield_now();
        }
    }
}

fn polled(mut sleep: Sleep) -> Sleep {
    let _ = Pin::new(&mut sleep).poll(&mut Context::from_waker(Waker::noop()));
    sleep
}

const SHORT: Duration = Duration::from_millis(2);
const LATER: Duration = Duration::from_millis(30);
const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn the_child_arms_sleeps_of_its_own() {
    let _guard = ONE_AT_A_TIME.lock();
    let own = Timer::builder().thread_name("forked").build().unwrap();
    block_on(sleep(SHORT));
    block_on(own.sleep(SHORT));
    assert!(in_a_child(|| {
        block_on(sleep(SHORT));
        block_on(own.sleep(SHORT));
        wait_for(sleep(SHORT)) && wait_for(own.sleep(SHORT)) && wait_for(Timer::new().sleep(SHORT))
    }));
    block_on(sleep(SHORT));
    block_on(own.sleep(SHORT));
}

/// The thread that calls is the parent's: the child makes one of its own.
#[test]
fn the_child_makes_a_callback_timer_of_its_own() {
    fn is_called(callbacks: &CallbackTimer) -> bool {
        let (sender, called) = mpsc::channel();
        callbacks.spawn_after(SHORT, move || sender.send(()).unwrap()).detach();
        called.recv_timeout(Duration::from_secs(60)).is_ok()
    }
    let _guard = ONE_AT_A_TIME.lock();
    let of_parent = CallbackTimer::new(Timer::global().clone()).unwrap();
    assert!(is_called(&of_parent));
    assert!(in_a_child(|| {
        let own = CallbackTimer::new(Timer::global().clone()).unwrap();
        is_called(&own)
    }));
    assert!(is_called(&of_parent));
}

#[test]
fn the_child_has_the_sleeps_that_were_armed_before() {
    let _guard = ONE_AT_A_TIME.lock();
    let own = Timer::builder().thread_name("forked").build().unwrap();
    let (of_global, of_own) = (polled(sleep(LATER)), polled(own.sleep(LATER)));
    assert!(in_a_child(move || {
        block_on(of_global);
        own.block_on(of_own);
        true
    }));
}

/// It asks its thread for room before that has turned for the first time. The sleep is for later than the alarm
/// that it found set, so there is no other reason to turn.
#[test]
fn the_childs_pool_grows_before_its_thread_has_turned() {
    /// As many as a pool has when it asks for room.
    const SLOTS: usize = 18_176;

    let _guard = ONE_AT_A_TIME.lock();
    let timer = Timer::builder().shards(1).build().unwrap();
    let mut sleeps = vec![polled(timer.sleep(Duration::from_millis(300)))];
    sleeps.extend((1..SLOTS).map(|_| polled(timer.sleep(HOUR))));
    assert_eq!(timer.metrics().slots, SLOTS as u64);
    assert!(in_a_child(|| wait_for(timer.sleep(Duration::from_millis(500)))));
    drop(sleeps);
}

/// The child need not wait through the timer's own `block_on`.
#[test]
fn the_child_may_wait_for_them_on_any_executor() {
    let _guard = ONE_AT_A_TIME.lock();
    let own = Timer::builder().thread_name("forked").build().unwrap();
    let of_own = polled(own.sleep(LATER));
    assert!(in_a_child(move || wait_for(of_own)), "a sleep of before the fork is lost");
    let of_own = polled(own.sleep(LATER));
    assert!(in_a_child(move || {
        block_on(of_own);
        true
    }));
}

#[test]
fn the_child_may_move_and_drop_them() {
    let _guard = ONE_AT_A_TIME.lock();
    let own = Timer::builder().thread_name("forked").capacity(8).build().unwrap();
    let hour = Duration::from_secs(3_600);
    let mut sleeps: Vec<_> = (0..8).map(|_| polled(own.sleep(hour))).collect();
    assert!(in_a_child(move || {
        let mut kept = sleeps.pop().unwrap();
        drop(sleeps);
        until(|| own.metrics().armed == 1);
        let again: Vec<_> = (0..7).map(|_| own.try_sleep(hour)).collect();
        kept.reset_after(SHORT);
        own.block_on(kept);
        again.iter().all(Result::is_ok)
    }));
}

/// Neither the thread that is told of the clock being set, nor the list of those who wait, is lost.
#[cfg(feature = "clocks")]
#[test]
fn the_child_may_wait_for_the_wall_clock() {
    use moirai_timer_std::clocks::sleep_until_system;
    use std::time::SystemTime;

    fn thread_runs() -> bool {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let mut names =
            tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")));
        names.any(|name| name.is_ok_and(|name| name.trim() == "moirai-clocks"))
    }

    /// The others may be due at once, and need no thread then.
    fn thread_starts() {
        let mut hour = sleep_until_system(SystemTime::now() + HOUR);
        let _ = Pin::new(&mut hour).poll(&mut Context::from_waker(Waker::noop()));
        until(thread_runs);
    }

    let _guard = ONE_AT_A_TIME.lock();
    let mut before = sleep_until_system(SystemTime::now() + LATER);
    let cx = &mut Context::from_waker(Waker::noop());
    let _ = Pin::new(&mut before).poll(cx);
    thread_starts();
    for _ in 0..20 {
        let deadline = before.deadline();
        assert!(in_a_child(|| {
            if thread_runs() {
                return false;
            }
            block_on(async {
                (&mut before).await;
                sleep_until_system(SystemTime::now() + SHORT).await;
            });
            thread_starts();
            SystemTime::now() >= deadline
        }));
    }
    block_on(before);
}

#[cfg(feature = "clocks")]
#[test]
fn a_sleep_by_the_wall_clock_that_is_dropped_in_the_child_starts_no_thread() {
    use moirai_timer_std::clocks::sleep_until_system;
    use std::time::SystemTime;

    let _guard = ONE_AT_A_TIME.lock();
    let mut before = sleep_until_system(SystemTime::now() + Duration::from_secs(3_600));
    let _ = Pin::new(&mut before).poll(&mut Context::from_waker(Waker::noop()));
    assert!(in_a_child(move || {
        drop(before);
        std::fs::read_dir("/proc/self/task").unwrap().count() == 1
    }));
}

/// Where nobody tells of the clock being set, as in this child, which may open no file, the sleep looks
/// by itself.
#[cfg(feature = "clocks")]
#[test]
fn without_a_file_the_wall_clock_is_looked_at_again() {
    use moirai_timer_std::clocks::RECHECK;
    use std::time::SystemTime;

    let _guard = ONE_AT_A_TIME.lock();
    assert!(in_a_child(|| {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the limit is valid, and this process is the child.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &none) }, 0);
        let own = Timer::builder().shards(1).build().unwrap();
        let mut hour = own.sleep_until_system(SystemTime::now() + Duration::from_secs(3_600));
        let _ = Pin::new(&mut hour).poll(&mut Context::from_waker(Waker::noop()));
        let next = own.next_deadline().expect("it is armed");
        drop(hour);
        // One look on the way, and it sleeps again for the rest; but none is left if the look is late.
        let looks_once = || {
            let fired = own.metrics().fired;
            own.block_on(own.sleep_until_system(SystemTime::now() + RECHECK + LATER));
            own.metrics().fired == fired + 2
        };
        next <= Instant::now() + RECHECK && (0..20).any(|_| looks_once())
    }));
}

#[test]
fn the_parent_goes_on_as_if_nothing_had_happened() {
    let _guard = ONE_AT_A_TIME.lock();
    let task = Task::new();
    let mut waiting = sleep(LATER);
    let armed = task.polls(|cx| Pin::new(&mut waiting).poll(cx)).is_pending();
    for _ in 0..20 {
        assert!(in_a_child(|| true));
        block_on(sleep(Duration::from_micros(100)));
    }
    until(|| task.is_woken() || !armed);
    assert_eq!(task.wakes(), armed as u32);
}

#[test]
fn a_child_of_a_child_has_timers_too() {
    let _guard = ONE_AT_A_TIME.lock();
    block_on(sleep(SHORT));
    assert!(in_a_child(|| {
        block_on(sleep(SHORT));
        in_a_child(|| {
            block_on(sleep(SHORT));
            true
        })
    }));
}

/// In the parent another thread drives the timer, when it is forked; in the child nobody does.
#[test]
fn the_child_drives_a_timer_that_another_thread_drove() {
    let _guard = ONE_AT_A_TIME.lock();
    let timer = Timer::builder().without_thread().build().unwrap();
    let (stop, started) = (&AtomicBool::new(false), &AtomicBool::new(false));
    thread::scope(|scope| {
        let driver = scope.spawn(|| {
            timer.block_on(async {
                while !stop.load(SeqCst) {
                    started.store(true, SeqCst);
                    timer.sleep(LATER).await;
                }
            });
        });
        until(|| started.load(SeqCst));
        // It has polled, and is about to sleep or does so.
        until(|| timer.next_deadline().is_some());
        let fine = in_a_child(|| {
            timer.block_on(timer.sleep(SHORT));
            true
        });
        stop.store(true, SeqCst);
        driver.join().unwrap();
        assert!(fine, "the child waits for a driver that it does not have");
    });
}

/// Forks at every imaginable moment: threads arm and drop, fire and nudge, all the time.
#[test]
fn a_fork_amid_the_bustle_leaves_the_child_a_timer_that_works() {
    let _guard = ONE_AT_A_TIME.lock();
    let timer = Timer::builder().shards(1).thread_name("bustle").build().unwrap();
    let stop = &AtomicBool::new(false);
    let mut lost = 0;
    thread::scope(|scope| {
        let bustlers = [1u64, 2, 3].map(|seed| {
            let timer = &timer;
            scope.spawn(move || {
                let mut round = seed;
                while !stop.load(SeqCst) {
                    round += 3;
                    let mut far = timer.sleep(Duration::from_secs(100_000 - round % 90_000));
                    let waker = Waker::noop();
                    let _ = Pin::new(&mut far).poll(&mut Context::from_waker(waker));
                    if round % 5 == 0 {
                        block_on(timer.sleep(Duration::from_micros(round % 40)));
                    }
                }
            })
        });
        for _ in 0..300 {
            let fine = in_a_child(|| {
                wait_for(timer.sleep(Duration::from_micros(300)))
                    && wait_for(timer.sleep(Duration::from_micros(300)))
            });
            lost += !fine as u32;
            if lost > 0 {
                break;
            }
        }
        stop.store(true, SeqCst);
        bustlers.into_iter().for_each(|bustler| bustler.join().unwrap());
    });
    assert_eq!(lost, 0, "a child's timer did not fire");
}

/// A waker that belongs to an executor which the child does not have may find a lock that is taken
/// for ever. It must not take the child's timer with it.
#[test]
fn the_wakers_of_the_parents_tasks_are_not_called_in_the_child() {
    let _guard = ONE_AT_A_TIME.lock();
    let own = Timer::builder().shards(1).thread_name("forked").build().unwrap();
    let parent = std::process::id();
    let task = Task::new();
    let hangs_in_the_child = || {
        while std::process::id() != parent {
            thread::park();
        }
    };
    task.hooked(&hangs_in_the_child, || {
        let mut of_the_parent = [LATER, HOUR].map(|wait| own.sleep(wait));
        for sleep in &mut of_the_parent {
            let _ = task.polls(|cx| Pin::new(sleep).poll(cx));
        }
        let fine = in_a_child(|| {
            let [first, mut second] = of_the_parent;
            // However late the first is, nobody has been woken for this one yet.
            second.reset_after(SHORT);
            // Later than those of the parent's.
            let last = first.deadline().max(second.deadline());
            wait_for(own.sleep_until(last + SHORT)) && wait_for(first) && wait_for(second)
        });
        assert!(fine, "the child's timer hangs");
    });
}

/// The executor that forks is there in the child too, and goes on.
#[test]
fn block_on_goes_on_in_the_child() {
    let _guard = ONE_AT_A_TIME.lock();
    let (mut child, mut wait) = (None, LATER);
    let child = loop {
        let mut waiting = sleep(wait);
        block_on(std::future::poll_fn(|cx| {
            if Pin::new(&mut waiting).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            // SAFETY: the child has one thread, and leaves through `_exit`; its alarm clock ends it
            // if it hangs.
            child = child.or_else(|| unsafe {
                let child = libc::fork();
                if child == 0 {
                    libc::alarm(LIMIT);
                }
                Some(child)
            });
            Poll::Pending
        }));
        if let Some(child) = child {
            break child;
        }
        // The machine is busy: it was ready before anybody waited for it.
        wait *= 2;
    };
    assert!(child >= 0, "fork failed");
    let mut status = 0;
    // SAFETY: ends the child, or waits for it.
    unsafe {
        if child == 0 {
            libc::_exit(0);
        }
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
    }
    assert!(libc::WIFEXITED(status), "the child waits for a wake that does not come");
}

/// The executor that forks is the one that drives, and the child is forked by what it wakes.
#[test]
fn block_on_goes_on_in_a_child_that_was_forked_by_a_waker_that_it_called() {
    const NOT_FORKED: i32 = i32::MIN;

    let _guard = ONE_AT_A_TIME.lock();
    let timer = Timer::builder().shards(1).without_thread().build().unwrap();
    let (task, child) = (Task::new(), AtomicI32::new(NOT_FORKED));
    let fork = || {
        // SAFETY: the child has one thread, and leaves through `_exit`; its alarm clock ends it if it hangs.
        unsafe {
            child.store(libc::fork(), SeqCst);
            if child.load(SeqCst) == 0 {
                libc::alarm(LIMIT);
            }
        }
    };
    task.hooked(&fork, || {
        // What is due on a busy machine before anybody waits for it is far enough ahead later.
        for wait in [1, 100, 1_000].map(|times| times * LATER) {
            let mut forks = timer.sleep(wait / 2);
            if task.polls(|cx| Pin::new(&mut forks).poll(cx)).is_pending() {
                timer.block_on(timer.sleep(wait));
            }
            if child.load(SeqCst) != NOT_FORKED {
                break;
            }
        }
    });
    let mut status = 0;
    // SAFETY: ends the child, or waits for it.
    unsafe {
        match child.load(SeqCst) {
            NOT_FORKED => panic!("the waker was not called"),
            -1 => panic!("fork failed"),
            0 => libc::_exit(0),
            child => assert_eq!(libc::waitpid(child, &mut status, 0), child),
        }
    }
    assert!(libc::WIFEXITED(status), "the child's block_on does not end");
}

/// While the process is copied nobody turns, and whoever wanted to is told of it after that. Then nothing is held,
/// neither the shard in question nor another.
#[test]
fn whom_a_fork_has_kept_out_finds_nothing_held_when_it_is_told() {
    struct Asks;

    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            TOLD.fetch_add(1, SeqCst);
            TIMER.get().unwrap().metrics();
        }
    }

    static TIMER: OnceLock<Timer> = OnceLock::new();
    static TOLD: AtomicU32 = AtomicU32::new(0);

    let _guard = ONE_AT_A_TIME.lock();
    let timer = Timer::builder().shards(4).driven_by(Arc::new(Asks).into()).build().unwrap();
    let timer = TIMER.get_or_init(|| timer);
    let stop = &AtomicBool::new(false);
    let fine = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(SeqCst) {
                timer.turn();
            }
        });
        // Most of them come amid a turn. Where few do, it goes on until one has.
        let enough = |forks| if forks < 1_000 { 20 } else { 0 };
        let is_fine = |forks| TOLD.load(SeqCst) > enough(forks) || in_a_child(|| true);
        let fine = (0..100_000).all(is_fine);
        stop.store(true, SeqCst);
        fine
    });
    assert!(fine, "a child hangs");
    assert!(TOLD.load(SeqCst) > 0, "no fork has kept anybody out");
}

/// Thread-locals are destroyed in an order that nobody promises.
#[test]
fn the_destructor_of_a_thread_local_may_fork() {
    struct Forks(Timer);

    impl Drop for Forks {
        fn drop(&mut self) {
            WORKED.store(in_a_child(|| wait_for(self.0.sleep(SHORT))), SeqCst);
        }
    }

    static WORKED: AtomicBool = AtomicBool::new(false);
    thread_local!(static FORKS: RefCell<Option<Forks>> = const { RefCell::new(None) });

    let _guard = ONE_AT_A_TIME.lock();
    let timer = Timer::builder().shards(1).build().unwrap();
    let local = timer.clone();
    thread::spawn(move || {
        // First this one, to be destroyed last.
        FORKS.set(Some(Forks(local)));
        assert!(in_a_child(|| true));
    });
    until(|| WORKED.load(SeqCst));
}

/// A nudge is on its way, so that the next earlier deadline asks for nothing; the child has only this one.
#[test]
fn a_nudge_that_was_on_its_way_reaches_the_childs_loop() {
    struct Rouses;

    impl Wake for Rouses {
        fn wake(self: Arc<Self>) {
            ROUSED.store(true, SeqCst);
            // The parent's holds it up.
            while std::process::id() == PARENT.load(SeqCst) {
                thread::yield_now();
            }
        }
    }

    static ROUSED: AtomicBool = AtomicBool::new(false);
    static PARENT: AtomicU32 = AtomicU32::new(0);

    let _guard = ONE_AT_A_TIME.lock();
    let timer = Timer::builder().shards(1).driven_by(Arc::new(Rouses).into()).build().unwrap();
    timer.turn();
    PARENT.store(std::process::id(), SeqCst);
    let other = timer.clone();
    let held_up = thread::spawn(move || drop(polled(other.sleep(HOUR))));
    until(|| ROUSED.load(SeqCst));
    let mut sleep = polled(timer.sleep(HOUR / 2));
    let roused = in_a_child(|| {
        ROUSED.store(false, SeqCst);
        let _ = Pin::new(&mut sleep).poll(&mut Context::from_waker(Waker::noop()));
        ROUSED.load(SeqCst)
    });
    PARENT.store(0, SeqCst);
    held_up.join().unwrap();
    assert!(roused, "the child's loop does not learn of the sleep");
}

/// The fork comes while the parent rouses whoever drives, and has one less to rouse. The child must
/// not inherit that.
#[test]
fn a_fork_by_the_waker_that_drives_leaves_the_child_a_driver_that_is_roused() {
    static FORKS: AtomicBool = AtomicBool::new(false);
    static FINE: AtomicBool = AtomicBool::new(false);
    static TIMER: Mutex<Option<Timer>> = Mutex::new(None);

    struct Forks;
    impl Wake for Forks {
        fn wake(self: Arc<Self>) {
            if FORKS.swap(false, SeqCst) {
                let timer = TIMER.lock().unwrap().clone().unwrap();
                FINE.store(in_a_child(|| is_roused(&timer)), SeqCst);
            }
        }
    }

    /// Whether a thread that drives, and has nothing to wait for, hears of a sleep.
    fn is_roused(timer: &Timer) -> bool {
        let driver = timer.clone();
        // It ends with the child.
        thread::spawn(move || driver.block_on(std::future::pending::<()>()));
        // It sleeps after the first at the latest.
        (0..3).all(|_| wait_for(timer.sleep(SHORT)))
    }

    let _guard = ONE_AT_A_TIME.lock();
    let timer = Timer::builder().shards(1).driven_by(Arc::new(Forks).into()).build().unwrap();
    *TIMER.lock().unwrap() = Some(timer.clone());
    timer.turn();
    FORKS.store(true, SeqCst);
    drop(polled(timer.sleep(Duration::from_secs(60))));
    assert!(!FORKS.load(SeqCst), "it was not forked");
    assert!(FINE.load(SeqCst), "the child's driver sleeps on");
    *TIMER.lock().unwrap() = None;
}

/// What a child counts is its own.
#[test]
fn a_sleep_that_is_ready_stays_ready_in_the_child() {
    let _guard = ONE_AT_A_TIME.lock();
    let mut done = sleep(Duration::ZERO);
    assert!(in_a_child(move || {
        let mut cx = Context::from_waker(Waker::noop());
        matches!(Pin::new(&mut done).poll(&mut cx), Poll::Ready(()))
    }));
}

//! A fork while another thread is starting, or makes what all timers share.
//!
//! The standard library's threads begin with a lock of its own, and allocate while they have it. A child
//! of that moment finds the lock taken, for ever: there, a timer's thread has to start without it. The
//! allocator of this program stops threads that start, so that a fork comes at each such moment.
//!
//! And it holds up who makes the global timer, until another thread forks.
#![cfg(target_os = "linux")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use moirai_timer_std::{Sleep, Timer};
use moirai_timer_tests::processes::is_asleep;
use moirai_timer_tests::{Task, until};

struct StopsWhoStarts;

/// Whether threads that have not begun are stopped where they allocate, and how many are.
static STOPS: AtomicBool = AtomicBool::new(false);
static STOPPED: AtomicU32 = AtomicU32::new(0);

/// Whether a thread is held up that makes the global timer, and the number of one that is about to fork.
static HELD_UP: AtomicBool = AtomicBool::new(false);
static FORKS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static HAS_BEGUN: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread makes the global timer.
    static MAKES: Cell<bool> = const { Cell::new(false) };
}

/// The two change how everybody allocates.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

// SAFETY: it is the system's.
unsafe impl GlobalAlloc for StopsWhoStarts {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if STOPS.load(SeqCst) && !HAS_BEGUN.get() {
            STOPPED.fetch_add(1, SeqCst);
            while STOPPED.load(SeqCst) > 0 && STOPS.load(SeqCst) {
                std::hint::spin_loop();
            }
        }
        if MAKES.take() {
            HELD_UP.store(true, SeqCst);
            while FORKS.load(SeqCst) == 0 {
                std::hint::spin_loop();
            }
            // It does not go on before the fork, unless that waits for it. Who forks sleeps in both cases: for this
            // one, or for its child.
            while !is_asleep(FORKS.load(SeqCst)) {
                thread::yield_now();
            }
        }
        // SAFETY: the caller vouches for it.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller vouches for it.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: StopsWhoStarts = StopsWhoStarts;

fn wait_for(mut sleep: Sleep) -> bool {
    let task = Task::new();
    let start = Instant::now();
    while task.polls(|cx| Future::poll(Pin::new(&mut sleep), cx)).is_pending() {
        until(|| task.is_woken());
    }
    start.elapsed() < Duration::from_secs(60)
}

/// Whether a child that is forked now has a timer that works.
fn works_in_a_child(timer: &Timer) -> bool {
    // SAFETY: the child has one thread, and leaves through `_exit`; its alarm clock ends it if it hangs.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0, "fork failed");
        if child == 0 {
            libc::alarm(120);
            STOPS.store(false, SeqCst);
            let woken = wait_for(timer.sleep(Duration::from_millis(1)));
            libc::_exit(if woken { 0 } else { 1 });
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }
}

#[test]
fn the_childs_timer_has_its_thread() {
    /// Of these at least one makes the library's list of threads grow, with the lock taken.
    const THREADS: u32 = 16;

    let _guard = ONE_AT_A_TIME.lock();
    HAS_BEGUN.set(true);
    let timer = Timer::new();
    let (begun, may_end) = (&AtomicU32::new(0), &AtomicBool::new(false));
    let mut works = vec![];
    thread::scope(|scope| {
        for thread in 0..THREADS {
            STOPS.store(true, SeqCst);
            scope.spawn(|| {
                HAS_BEGUN.set(true);
                begun.fetch_add(1, SeqCst);
                until(|| may_end.load(SeqCst));
            });
            while begun.load(SeqCst) == thread {
                if STOPPED.load(SeqCst) > 0 {
                    works.push(works_in_a_child(&timer));
                    STOPPED.store(0, SeqCst);
                }
            }
            STOPS.store(false, SeqCst);
            if works.contains(&false) {
                break;
            }
        }
        may_end.store(true, SeqCst);
    });
    assert!(!works.is_empty(), "no thread was stopped");
    assert!(!works.contains(&false), "a child's timer did not fire");
}

#[test]
fn a_child_does_not_wait_for_who_makes_the_global_timer() {
    let _guard = ONE_AT_A_TIME.lock();
    // From the first timer on, forks are noticed.
    drop(Timer::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            MAKES.set(true);
            assert_eq!(Timer::global().metrics().armed, 0);
        });
        until(|| HELD_UP.load(SeqCst));
        // SAFETY: asks for this thread's number.
        FORKS.store(unsafe { libc::gettid() }.cast_unsigned(), SeqCst);
        assert!(works_in_a_child(Timer::global()), "the child waits for ever");
    });
}

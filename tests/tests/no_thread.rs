//! A system that has no thread left for the timer.
//!
//! A child that may take no more memory: there is none for another thread's stack.
#![cfg(target_os = "linux")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use moirai_timer_std::{RegisterError, Sleep, Timer};
use moirai_timer_tests::Task;

const SHORT: Duration = Duration::from_millis(5);
const HOUR: Duration = Duration::from_secs(3_600);

/// Forbids this process to map memory, or allows it again.
fn limit_memory(limit: bool) {
    // SAFETY: reads and changes a limit of this process's.
    unsafe {
        let mut now: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &mut now), 0);
        now.rlim_cur = if limit { 0 } else { now.rlim_max };
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &now), 0);
    }
}

/// How many errors the timer has told `tracing`.
#[cfg(feature = "inside")]
mod told {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use tracing::{Event, Level, Subscriber};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    static ERRORS: AtomicU32 = AtomicU32::new(0);

    struct Counts;

    impl<S: Subscriber> Layer<S> for Counts {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            ERRORS.fetch_add((*event.metadata().level() == Level::ERROR).into(), SeqCst);
        }
    }

    pub fn listen() {
        let subscriber = tracing_subscriber::registry().with(Counts);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    }

    /// Once for each time that the number of attempts doubled.
    pub fn is_right(attempts: u32) -> bool {
        ERRORS.load(SeqCst) == attempts.ilog2() + 1
    }
}

#[cfg(not(feature = "inside"))]
mod told {
    pub fn listen() {}

    pub fn is_right(_: u32) -> bool {
        true
    }
}

#[test]
fn sleeps_are_on_time_when_the_system_refuses_a_thread() {
    let timer = Timer::builder().shards(1).thread_name("refused").build().unwrap();
    let task = Task::new();
    let mut of_before = timer.sleep(HOUR);
    let _ = Pin::new(&mut of_before).poll(&mut Context::from_waker(Waker::noop()));
    // SAFETY: the child has one thread, and leaves through `_exit`. Its alarm clock ends it if it
    // hangs.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child == 0 {
        // SAFETY: as above.
        unsafe { libc::alarm(120) };
        limit_memory(true);
        // The stacks of the parent's threads are there, for others.
        let one_more = || Some(Timer::new()).filter(|other| other.try_sleep(SHORT).is_ok());
        let _others: Vec<_> = std::iter::from_fn(one_more).collect();
        limit_memory(false);
        told::listen();
        limit_memory(true);
        let refused = timer.try_sleep(SHORT).err();
        let (mut polls, mut on_time) = (0, true);
        // The second was armed when there was a thread.
        for sleep in [&mut timer.sleep(HOUR), &mut of_before] {
            let mut is_pending = |sleep: &mut Sleep| {
                let pending = task.polls(|cx| Pin::new(sleep).poll(cx)).is_pending();
                polls += u32::from(pending);
                on_time &= task.wakes() == polls;
                pending
            };
            // Once before it is due, however slow the machine is.
            let waits = is_pending(sleep);
            sleep.reset_after(SHORT);
            while is_pending(sleep) {}
            on_time &= waits && std::time::Instant::now() >= sleep.deadline();
        }
        limit_memory(false);
        let granted = timer.try_sleep(SHORT).is_ok();
        // The second has tried twice at first: for the slot that it had, and for another.
        let told = told::is_right(1 + polls + 1);
        let code = match (refused, on_time, granted) {
            (Some(RegisterError::NoDriver), true, true) if !told => 5,
            (Some(RegisterError::NoDriver), true, true) => 0,
            (Some(RegisterError::NoDriver), true, false) => 2,
            (Some(RegisterError::NoDriver), ..) => 3,
            _ => 4,
        };
        // SAFETY: as above.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: waits for the child.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "it was killed");
    match libc::WEXITSTATUS(status) {
        0 => {}
        2 => panic!("no thread is tried again"),
        5 => panic!("it is told too often, or not at all"),
        3 => panic!("a sleep without a thread is not on time"),
        code => panic!("nobody says that there is no thread ({code})"),
    }
}

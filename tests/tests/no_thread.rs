//! A system that has no thread left for the timer.
//!
//! A child that may take no more memory: there is none for another thread's stack.
#![cfg(target_os = "linux")]

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use moirai_timer_std::{RegisterError, Timer};
use moirai_timer_tests::Task;

const SHORT: Duration = Duration::from_millis(5);

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

#[test]
fn sleeps_are_on_time_when_the_system_refuses_a_thread() {
    let timer = Timer::builder().shards(1).thread_name("refused").build().unwrap();
    let task = Task::new();
    // SAFETY: the child has one thread, and leaves through `_exit`. Its alarm clock ends it if it
    // hangs.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child == 0 {
        // SAFETY: as above.
        unsafe { libc::alarm(10) };
        limit_memory(true);
        let refused = timer.try_sleep(SHORT).err();
        let mut sleep = timer.sleep(SHORT);
        let deadline = sleep.deadline();
        let mut polls = 0;
        while task.polls(|cx| Pin::new(&mut sleep).poll(cx)).is_pending() {
            polls += 1;
        }
        let on_time = std::time::Instant::now() >= deadline && task.wakes() == polls;
        limit_memory(false);
        let granted = timer.try_sleep(SHORT).is_ok();
        let code = match (refused, on_time, polls, granted) {
            (Some(RegisterError::NoDriver), true, 1.., true) => 0,
            (Some(RegisterError::NoDriver), true, 1.., false) => 2,
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
        3 => panic!("a sleep without a thread is not on time"),
        code => panic!("nobody says that there is no thread ({code})"),
    }
}

//! The nine rules that the timer stands on, each with tests that fail when it is broken.
//!
//! What the conformance suite asks of every driver is not repeated here; these are the tests that
//! need a driver, a waker, or an allocator of their own making. Rules about allocation and system
//! calls have test binaries to themselves, `no_allocation` and `no_system_call`; interleavings are
//! exhausted in `interrupted`.

mod hooked_driver;
mod probe;

mod rule_1_never_early;
mod rule_2_never_lost;
mod rule_3_producers_never_wait;
mod rule_4_wakers_outside;
mod rule_5_later_is_a_store;
mod rule_6_dropped_is_gone;
mod rule_7_idle_is_silent;
mod rule_8_full_is_visible;
mod rule_9_small_machines;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Runs `body` on a thread, and fails if it hangs.
fn without_hanging(body: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    match finished.recv_timeout(Duration::from_secs(30)) {
        // It panicked, and says why.
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

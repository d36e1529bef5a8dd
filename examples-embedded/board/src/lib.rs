//! The machines on which the firmware runs, so that each program is written once.
//!
//! A program for one chip has no need of this: it has the three items into which [`start!`] expands.
#![no_std]

use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

#[cfg(feature = "cortex-m")]
#[path = "cortex_m.rs"]
mod machine;
#[cfg(feature = "virt")]
#[path = "virt.rs"]
mod machine;

pub use machine::{Driver, driver, start, wfi};
#[doc(hidden)]
pub use moirai_timer_core::Timer;
pub use semihosting::{print, println, process::exit};

/// `board::start!(main, TIMER: 32)`: a timer with room for 32, its interrupt's handler, and the
/// program, which is the function `main`. The machine stops when that returns.
#[macro_export]
macro_rules! start {
    ($main:ident, $timer:ident: $capacity:literal) => {
        static $timer: $crate::Timer<$crate::Driver, $capacity> =
            $crate::Timer::new($crate::driver());

        $crate::handlers!($timer);

        #[unsafe(export_name = "main")]
        extern "C" fn start() -> ! {
            $crate::start($timer.driver());
            $main();
            $crate::exit(0)
        }
    };
}

/// Runs a future, and waits for interrupts while it is pending.
pub fn block_on<F: Future>(future: F) -> F::Output {
    static WOKEN: AtomicBool = AtomicBool::new(false);
    const WAKER: RawWaker = RawWaker::new(core::ptr::null(), &TABLE);
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |_| WAKER,
        |_| WOKEN.store(true, SeqCst),
        |_| WOKEN.store(true, SeqCst),
        |_| {},
    );
    // SAFETY: the functions of the table take any pointer.
    let waker = unsafe { Waker::from_raw(WAKER) };
    let mut future = pin!(future);
    loop {
        WOKEN.store(false, SeqCst);
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        wait_until(|| WOKEN.load(SeqCst));
    }
}

/// Waits for interrupts until `done`, which only an interrupt makes true.
pub fn wait_until(mut done: impl FnMut() -> bool) {
    // With interrupts masked none can come between the question and the waiting; one that is
    // pending ends that, and is served when the section ends.
    while !critical_section::with(|_| {
        let done = done();
        if !done {
            wfi();
        }
        done
    }) {}
}

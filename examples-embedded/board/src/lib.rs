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

pub mod meter;
pub mod other;

#[cfg(feature = "virt")]
#[doc(hidden)]
pub use machine::preemptible;
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

/// Does nothing, for one instruction more for each one more of `count`, which is 2 at least.
#[inline(always)]
pub fn burn(count: u32) {
    // SAFETY: changes nothing but the registers that it says it changes.
    #[cfg(feature = "cortex-m")]
    unsafe {
        core::arch::asm!(
            "lsrs {n}, {n}, #1",
            "bcc 2f",
            "nop", // for an odd count
            "2:",
            "subs {n}, {n}, #1",
            "bne 2b",
            n = inout(reg) count => _,
            options(nomem, nostack),
        );
    }
    // SAFETY: as above.
    #[cfg(feature = "virt")]
    unsafe {
        core::arch::asm!(
            "andi {odd}, {n}, 1",
            "srli {n}, {n}, 1",
            "beqz {odd}, 2f",
            "nop", // for an odd count
            "2:",
            "addi {n}, {n}, -1",
            "bnez {n}, 2b",
            n = inout(reg) count => _,
            odd = out(reg) _,
            options(nomem, nostack),
        );
    }
}

/// Runs `body` with interrupts masked.
pub fn masked<T>(body: impl FnOnce() -> T) -> T {
    critical_section::with(|_| body())
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

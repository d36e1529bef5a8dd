//! No executor: one `block_on`, which waits for interrupts, and all that a future can be made of.
//!
//! Durations come in three kinds: the core's, `fugit`'s, and ticks of the clock.

#![no_std]
#![no_main]

use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use core::time::Duration;

use board::println;
use fugit::MillisDurationU32;
use futures_util::future::join3;
use moirai_timer_core::{Driver, TickCount};

board::start!(main, TIMER: 4);

const TICKS_IN_A_MILLISECOND: u64 = board::Driver::TICK_HZ / 1000;

/// Polls, and waits for an interrupt when there is nothing to poll for.
fn block_on<F: Future>(future: F) -> F::Output {
    // There is one task, so a wake-up is a flag.
    static WOKEN: AtomicBool = AtomicBool::new(true);
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |_| RawWaker::new(core::ptr::null(), &TABLE),
        |_| WOKEN.store(true, SeqCst),
        |_| WOKEN.store(true, SeqCst),
        |_| {},
    );
    // SAFETY: the functions of the table do not look at the pointer.
    let waker = unsafe { Waker::new(core::ptr::null(), &TABLE) };
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        // An interrupt between the question and `wfi` would be slept through, so they are masked.
        // One that is pending ends the `wfi` all the same, and is served after it.
        board::masked(|| {
            if !WOKEN.load(SeqCst) {
                board::wfi();
            }
        });
        if !WOKEN.load(SeqCst) {
            continue;
        }
        // Whoever wakes it in between is answered by the poll, too.
        WOKEN.store(false, SeqCst);
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

fn main() {
    let milliseconds = |since| TIMER.now().since(since) / TICKS_IN_A_MILLISECOND;
    let start = TIMER.now();
    block_on(async {
        let core = async {
            TIMER.sleep(Duration::from_millis(30)).await;
            println!("{} ms: core's", milliseconds(start));
        };
        let fugit = async {
            TIMER.sleep(MillisDurationU32::from_ticks(20)).await;
            println!("{} ms: fugit's", milliseconds(start));
        };
        let ticks = async {
            TIMER.sleep(TickCount(10 * TICKS_IN_A_MILLISECOND)).await;
            println!("{} ms: ticks", milliseconds(start));
        };
        join3(core, fugit, ticks).await;
    });
    println!("{} ms: done", milliseconds(start));
}

//! A clock that is a variable, and an alarm that nobody looks at.

use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use moirai_timer_core::{Armed, Driver, Ticks};

static NOW: AtomicU32 = AtomicU32::new(0);
static PENDED: AtomicBool = AtomicBool::new(false);

pub fn set(now: u32) {
    NOW.store(now, Relaxed);
}

pub fn now() -> u32 {
    NOW.load(Relaxed)
}

pub fn pend() {
    PENDED.store(true, Relaxed);
}

/// Whether an interrupt was asked for.
pub fn take_pended() -> bool {
    let pended = PENDED.load(Relaxed);
    PENDED.store(false, Relaxed);
    pended
}

#[derive(Debug)]
pub struct Variable;

impl Driver for Variable {
    const TICK_HZ: u64 = 1_000_000;

    fn now(&self) -> Ticks {
        Ticks::new(now().into())
    }

    fn arm(&self, at: Ticks) -> Armed {
        if black_box(at) <= self.now() { Armed::Elapsed } else { Armed::Pending }
    }

    fn disarm(&self) {}

    fn pend(&self) {
        pend();
    }
}

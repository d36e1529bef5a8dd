//! A timer over the machine's driver that is replaced by a new one for each case.

#![no_std]

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use moirai_timer_core::{Armed, Driver, Metrics, Ticks, Timer};
use moirai_timer_tests::{AloneRig, CAPACITY, Rig};

/// The machine's driver, whose clock goes on from case to case.
static DRIVER: board::Driver = board::driver();

/// A reference to it, as an engine wants to have one.
#[derive(Debug)]
pub struct Shared;

impl Driver for Shared {
    const TICK_HZ: u64 = board::Driver::TICK_HZ;

    fn now(&self) -> Ticks {
        DRIVER.now()
    }

    fn arm(&self, at: Ticks) -> Armed {
        DRIVER.arm(at)
    }

    fn disarm(&self) {
        DRIVER.disarm();
    }

    fn pend(&self) {
        DRIVER.pend();
    }
}

/// The timer of a case.
pub type CaseTimer<const N: usize> = Timer<Shared, N>;

/// Where it is.
pub struct Place<const N: usize>(UnsafeCell<CaseTimer<N>>);

// SAFETY: the timer is shared, and replaced only in `renew`.
unsafe impl<const N: usize> Sync for Place<N> {}

static HANDLED: AtomicU32 = AtomicU32::new(0);

impl<const N: usize> Place<N> {
    /// With a timer for the first case.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Place(UnsafeCell::new(Timer::new(Shared)))
    }

    /// The timer of the present case.
    pub fn timer(&self) -> &'static CaseTimer<N> {
        // SAFETY: places are statics, and see `renew`.
        unsafe { &*self.0.get() }
    }

    /// Puts a new timer in the place of the one before.
    ///
    /// # Safety
    /// Nothing is in use any more of what was made with that one.
    pub unsafe fn renew(&self) -> &'static CaseTimer<N> {
        critical_section::with(|_| {
            // SAFETY: by the caller's promise, and because no interrupt is served here.
            unsafe { self.0.get().write(Timer::new(Shared)) };
        });
        self.timer()
    }

    /// The machine's driver.
    pub fn driver(&self) -> &'static board::Driver {
        &DRIVER
    }

    /// Turns the timer of the present case: what the interrupt's handler does.
    pub fn on_alarm(&self) {
        HANDLED.store(HANDLED.load(SeqCst).wrapping_add(1), SeqCst);
        self.timer().on_alarm();
    }

    /// How many interrupts there were.
    pub fn handled(&self) -> u32 {
        HANDLED.load(SeqCst)
    }
}

/// The timer of a case, as the suite sees it.
pub struct MachineRig(pub &'static CaseTimer<CAPACITY>);

/// As long as no case lasts, a minute of the machine's time.
const FAR_BEYOND: u64 = 60 * board::Driver::TICK_HZ;

impl Rig for MachineRig {
    type Handle = &'static CaseTimer<CAPACITY>;

    /// 50,000 instructions in QEMU, where one takes a nanosecond.
    const UNIT: u64 = {
        let unit = board::Driver::TICK_HZ / 20_000;
        if unit < 64 { 64 } else { unit }
    };

    fn handle(&self) -> &Self::Handle {
        &self.0
    }

    fn wait(&self, done: &mut dyn FnMut() -> bool) {
        let start = self.now();
        while !done() {
            assert!(self.now() < start.after(FAR_BEYOND), "waited for a minute in vain");
        }
    }

    fn wait_until(&self, at: Ticks) {
        self.wait(&mut || self.now() >= at);
    }
}

impl AloneRig for MachineRig {
    fn metrics(&self) -> Metrics {
        loop {
            // The handler may be inside for a moment on another occasion, never here.
            if let Some(metrics) = self.0.metrics() {
                return metrics;
            }
        }
    }

    fn turn(&self) {
        self.0.turn();
    }

    fn shutdown(&self) {
        self.0.shutdown();
    }
}

//! A timer over the machine's driver that is replaced by a new one for each case.

#![no_std]

use core::cell::UnsafeCell;

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
pub type CaseTimer = Timer<Shared, CAPACITY>;

/// Where it is.
pub struct Place(UnsafeCell<CaseTimer>);

// SAFETY: the timer is shared, and replaced only in `MachineRig::new`.
unsafe impl Sync for Place {}

/// What the interrupt's handler serves.
pub static PLACE: Place = Place(UnsafeCell::new(Timer::new(Shared)));

impl Place {
    /// The timer of the present case.
    pub fn timer(&self) -> &'static CaseTimer {
        // SAFETY: it is a static, and see `MachineRig::new`.
        unsafe { &*self.0.get() }
    }

    /// The machine's driver.
    pub fn driver(&self) -> &'static board::Driver {
        &DRIVER
    }

    /// Turns the timer of the present case.
    pub fn on_alarm(&self) {
        self.timer().on_alarm();
    }
}

/// The timer of a case, as the suite sees it.
pub struct MachineRig(&'static CaseTimer);

impl MachineRig {
    /// A new timer in the place of the one before, of which nothing is in use any more.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        critical_section::with(|_| {
            // SAFETY: the case before has dropped all that it had made with its timer, and no
            // interrupt is served here.
            unsafe { PLACE.0.get().write(Timer::new(Shared)) };
        });
        MachineRig(PLACE.timer())
    }
}

/// As long as no case lasts, a minute of the machine's time.
const FAR_BEYOND: u64 = 60 * board::Driver::TICK_HZ;

impl Rig for MachineRig {
    type Handle = &'static CaseTimer;

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

//! The core alone, over a clock that moves when it is told.

#[cfg(feature = "std")]
use std::panic::{AssertUnwindSafe, catch_unwind};

use moirai_timer_core::{
    Drained, Engine, HeapStore, Inline, ManualDriver, Metrics, Slot, Store, Ticks, WheelArrays,
    WheelStore,
};

#[cfg(feature = "std")]
use crate::forever;
use crate::{AloneRig, CAPACITY, ClockRig, Rig};

/// The timer of a [`ManualRig`].
pub type ManualTimer<const HZ: u64, S = Heap> = Engine<ManualDriver<HZ>, [Slot; CAPACITY], S>;

/// The store that a [`Timer`](moirai_timer_core::Timer) has.
pub type Heap = HeapStore<Inline<CAPACITY>>;

/// A wheel over spans of 2^`G` ticks.
pub type Wheel<const G: u32> = WheelStore<WheelArrays<CAPACITY>, G, 12>;

/// A timer that nothing drives but the case itself.
pub struct ManualRig<const HZ: u64, S: 'static = Heap> {
    timer: &'static ManualTimer<HZ, S>,
}

impl<const HZ: u64, S> ManualRig<HZ, S> {
    /// A timer that nobody else uses.
    pub fn over(timer: &'static ManualTimer<HZ, S>) -> Self {
        ManualRig { timer }
    }
}

#[cfg(feature = "std")]
impl<const HZ: u64> ManualRig<HZ> {
    /// A timer with a heap, whose clock stands at `now`. Its memory is not given back.
    pub fn at(now: Ticks) -> Self {
        Self::with_store(now, HeapStore::new())
    }
}

#[cfg(feature = "std")]
impl<const HZ: u64, const G: u32> ManualRig<HZ, Wheel<G>> {
    /// A timer with a wheel, whose clock stands at `now`. Its memory is not given back.
    pub fn wheel_at(now: Ticks) -> Self {
        Self::with_store(now, WheelStore::with_memory(WheelArrays::new()))
    }
}

#[cfg(feature = "std")]
impl<const HZ: u64, S: Store + Send> ManualRig<HZ, S> {
    fn with_store(now: Ticks, store: S) -> Self {
        let slots = [const { Slot::new() }; CAPACITY];
        let timer = Engine::with_parts(ManualDriver::at(now), slots, store);
        ManualRig::over(forever(timer))
    }
}

impl<const HZ: u64, S: Store + Send> Rig for ManualRig<HZ, S> {
    type Handle = &'static ManualTimer<HZ, S>;
    const UNIT: u64 = 16;

    fn handle(&self) -> &Self::Handle {
        &self.timer
    }

    fn wait(&self, done: &mut dyn FnMut() -> bool) {
        loop {
            self.interrupts();
            if done() {
                return;
            }
            // Asking may have armed something.
            if self.interrupts() > 0 {
                continue;
            }
            let alarm = self.alarm().expect("no alarm is set, and what is waited for has not come");
            self.set_clock(alarm);
        }
    }

    fn wait_until(&self, at: Ticks) {
        self.interrupts();
        while let Some(alarm) = self.alarm().filter(|alarm| *alarm <= at) {
            self.set_clock(alarm);
            self.interrupts();
        }
        self.set_clock(at);
    }
}

impl<const HZ: u64, S: Store + Send> AloneRig for ManualRig<HZ, S> {
    fn metrics(&self) -> Metrics {
        self.timer.metrics().expect("nobody else is inside")
    }

    fn turn(&self) {
        self.timer.turn();
    }

    fn shutdown(&self) {
        self.timer.shutdown();
    }
}

impl<const HZ: u64, S: Store + Send> ClockRig for ManualRig<HZ, S> {
    fn set_clock(&self, to: Ticks) {
        self.timer.driver().set(to);
        assert_eq!(self.timer.now(), to, "the clock does not go back");
    }

    fn alarm(&self) -> Option<Ticks> {
        self.timer.driver().alarm()
    }

    fn interrupts(&self) -> u32 {
        let mut count = 0;
        while self.timer.driver().take_interrupt() {
            // A waker that panics ends a handler; the machine goes on.
            #[cfg(feature = "std")]
            let _ = catch_unwind(AssertUnwindSafe(|| self.timer.on_alarm()));
            #[cfg(not(feature = "std"))]
            self.timer.on_alarm();
            count += 1;
            assert!(count < 10_000, "the interrupt never ceases");
        }
        count
    }

    fn drain(&self) -> Drained {
        self.timer.drain()
    }
}

//! `defmt`: a format for the types that have something to hide, and a warning.
//!
//! Plain data derives its format where it stands.

use defmt::{Format, Formatter, write};

use crate::{
    Driver, Engine, Handle, HeapEntry, HeapStore, Inline, Interval, ManualDriver, Sleep, Slot,
    Slots, Store, Ticks, Timeout, WakerQueue, WheelArrays, WheelNode, WheelStore,
};

impl Format for Ticks {
    fn format(&self, f: Formatter<'_>) {
        if self.is_never() { write!(f, "never") } else { write!(f, "{=u64}t", self.get()) }
    }
}

impl<H: Handle> Format for Sleep<H> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Sleep({}, now {})", self.ticks(), self.handle().now());
    }
}

impl<F, H: Handle> Format for Timeout<F, H> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Timeout({})", self.sleep());
    }
}

impl<H: Handle> Format for Interval<H> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Interval(next {}, {})", self.sleep(), self.missed_tick_behavior());
    }
}

impl<D: Driver, M: Slots, S: Store> Format for Engine<D, M, S> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "Timer(now {}, {})", self.now(), self.metrics());
    }
}

impl<const HZ: u64> Format for ManualDriver<HZ> {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "ManualDriver(now {}, alarm {})", self.now(), self.alarm());
    }
}

impl Format for HeapEntry {
    fn format(&self, f: Formatter<'_>) {
        write!(f, "HeapEntry({=u32} at {})", { self.index }, { self.at });
    }
}

macro_rules! by_name {
    ($($name:literal: [$($generics:tt)*] $type:ty;)*) => {$(
        impl<$($generics)*> Format for $type {
            fn format(&self, f: Formatter<'_>) {
                write!(f, $name);
            }
        }
    )*};
}

by_name! {
    "Slot": [] Slot;
    "WheelNode": [] WheelNode;
    "WheelArrays": [const N: usize] WheelArrays<N>;
    "WakerQueue": [const N: usize] WakerQueue<N>;
    "Inline": [const N: usize] Inline<N>;
    "HeapStore": [M] HeapStore<M>;
    "WheelStore": [M, const G: u32, const L: usize] WheelStore<M, G, L>;
}

/// Says that a sleep found no slot, or embassy-time's driver no room for a waker: the first time, and
/// each time that their number has doubled.
pub(crate) fn warn_full(times: u64) {
    if times.is_power_of_two() {
        defmt::warn!("timer full: a task polls itself ({=u64} times so far)", times);
    }
}

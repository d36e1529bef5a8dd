#![doc = include_str!("../README.md")]
#![no_std]
#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

#[cfg(test)]
extern crate std;

use moirai_timer_core::{Armed, Driver, Ticks};
use volatile_register::{RO, RW};

/// 64 bits that are accessed in halves.
#[repr(C)]
struct Halves<R> {
    low: R,
    high: R,
}

/// The machine timer and the software interrupt of the hart `HART`, in the CLINT at `BASE`, whose
/// `mtime` counts `HZ` times a second.
///
/// The software interrupt serves to ask for a turn, because a turn may be asked for at the same
/// time as the alarm is set, and must not undo it.
///
/// The clock is `mtime`, which runs from the machine's reset on: before [`start`](Self::start) the time
/// is not 0 as with other drivers, and does not stand still.
#[derive(Debug)]
pub struct Clint<const BASE: usize, const HZ: u64, const HART: usize = 0>(());

impl<const BASE: usize, const HZ: u64, const HART: usize> Clint<BASE, HZ, HART> {
    /// The driver for a CLINT.
    ///
    /// Fails to compile if `HZ` is 0:
    ///
    /// ```compile_fail,E0080
    /// use moirai_timer_riscv::Clint;
    /// // SAFETY: the machine has it there, and nobody else uses it.
    /// static DRIVER: Clint<0x0200_0000, 0> = unsafe { Clint::take() };
    /// ```
    ///
    /// # Safety
    /// It is at `BASE`, and nobody else uses the compare register and the software interrupt of
    /// that hart.
    pub const unsafe fn take() -> Self {
        const { assert!(HZ > 0, "a clock has at least one tick a second") };
        Clint(())
    }

    /// Removes an alarm that the machine came up with, and asks for a turn, for what was armed
    /// before. That the two interrupts are enabled is up to the program.
    pub fn start(&self) {
        self.disarm();
        self.pend();
    }

    /// Withdraws the software interrupt: what the handlers call first. The timer's interrupt is
    /// withdrawn by the next alarm.
    #[inline]
    pub fn acknowledge(&self) {
        // SAFETY: clears the interrupt, which is ours.
        unsafe { self.software().write(0) };
        fence();
    }

    fn software(&self) -> &RW<u32> {
        // SAFETY: whoever made this promised that it is there.
        unsafe { &*((BASE + 4 * HART) as *const RW<u32>) }
    }

    fn compare(&self) -> &Halves<RW<u32>> {
        // SAFETY: as above.
        unsafe { &*((BASE + 0x4000 + 8 * HART) as *const Halves<RW<u32>>) }
    }

    fn time(&self) -> &Halves<RO<u32>> {
        // SAFETY: as above.
        unsafe { &*((BASE + 0xbff8) as *const Halves<RO<u32>>) }
    }
}

/// Memory and devices are ordered apart here, and atomics order memory alone. A hart that asks for a turn of
/// another has written its news before; and one that withdraws the interrupt looks for news after that.
#[inline]
fn fence() {
    #[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
    // SAFETY: it only waits.
    unsafe {
        core::arch::asm!("fence iorw, iorw", options(nostack, preserves_flags));
    }
}

/// Reads 64 bits that count, through functions that read a half.
#[inline]
fn read(low: impl Fn() -> u32, high: impl Fn() -> u32) -> u64 {
    loop {
        let before = high();
        let low = low();
        // Twice in a row differ only if 2^32 counts have passed.
        if high() == before {
            return (before as u64) << 32 | low as u64;
        }
    }
}

/// Writes a compare value, through functions that write a half, so that what stands there in
/// between is never earlier than both the old value and the new one: no interrupt comes of it.
#[inline]
fn write(at: u64, mut low: impl FnMut(u32), mut high: impl FnMut(u32)) {
    low(u32::MAX);
    high((at >> 32) as u32);
    low(at as u32);
}

impl<const BASE: usize, const HZ: u64, const HART: usize> Driver for Clint<BASE, HZ, HART> {
    const TICK_HZ: u64 = HZ;

    #[inline]
    fn now(&self) -> Ticks {
        let time = self.time();
        Ticks::of_clock(read(|| time.low.read(), || time.high.read()))
    }

    /// The interrupt lasts as long as the time is past, so an alarm cannot be missed.
    #[inline]
    fn arm(&self, at: Ticks) -> Armed {
        let compare = self.compare();
        // SAFETY: the register is for that.
        let put = |half: &RW<u32>, value| unsafe { half.write(value) };
        write(at.get(), |value| put(&compare.low, value), |value| put(&compare.high, value));
        if at <= self.now() { Armed::Elapsed } else { Armed::Pending }
    }

    fn disarm(&self) {
        let _ = self.arm(Ticks::NEVER);
    }

    fn pend(&self) {
        fence();
        // SAFETY: raises the interrupt, which is ours.
        unsafe { self.software().write(1) };
    }
}

/// What the clock says.
#[cfg(feature = "defmt")]
impl<const BASE: usize, const HZ: u64, const HART: usize> defmt::Format for Clint<BASE, HZ, HART> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Clint(now {})", self.now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    #[test]
    fn a_time_that_is_read_in_halves_is_one_that_it_was() {
        let starts = [0, 1, 0xffff_fffe, 0xffff_ffff, 0x1_ffff_fffd, 0xffff_ffff_ffff];
        for start in starts {
            for steps in [0u64, 1, 2, 0x3fff_ffff] {
                let time = Cell::new(start);
                let tick = || time.replace(time.get() + steps);
                let read = read(|| tick() as u32, || (tick() >> 32) as u32);
                assert!((start..=time.get()).contains(&read), "{read:x} of {start:x}");
            }
        }
    }

    #[test]
    fn a_compare_value_is_never_earlier_on_the_way_to_its_next() {
        let values =
            [0, 5, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0005, 0x7_ffff_ffff, u64::MAX >> 4];
        for from in values {
            for to in values {
                let at = Cell::new(from);
                let put = |mask: u64, bits: u64| {
                    at.set(at.get() & !mask | bits);
                    assert!(at.get() >= from.min(to), "{from:x} to {to:x} by {:x}", at.get());
                };
                let low = |value: u32| put(0xffff_ffff, value.into());
                write(to, low, |value| put(!0xffff_ffff, (value as u64) << 32));
                assert_eq!(at.get(), to);
            }
        }
    }
}

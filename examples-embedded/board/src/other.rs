//! A second timer, which interrupts once, at a higher priority than the one that is tested.
//!
//! Its handler is the program's function `OTHER`. On the MPS2 it is the dual timer, on the micro:bit
//! TIMER1; both count so slowly that dozens of instructions are between two counts.

use cortex_m::peripheral::NVIC;
use cortex_m::peripheral::scb::SystemHandler;

use crate::machine::{Interrupt, OTHER_NUMBER};

/// Counts a second.
pub const HZ: u32 = if cfg!(any(feature = "microbit", feature = "microbit-narrow")) {
    16_000_000
} else {
    25_000_000
};

fn write(address: usize, value: u32) {
    // SAFETY: the registers of a timer that is used nowhere else.
    unsafe { (address as *mut u32).write_volatile(value) };
}

/// Makes the timer's interrupt the more urgent one of the two.
pub fn start() {
    // SAFETY: nobody else sets priorities.
    let mut peripherals = unsafe { cortex_m::Peripherals::steal() };
    // SAFETY: no critical section relies on priorities.
    unsafe {
        #[cfg(not(feature = "mps2-an385-systick"))]
        peripherals.NVIC.set_priority(Interrupt(crate::machine::ALARM_NUMBER), 0x80);
        peripherals.NVIC.set_priority(Interrupt(OTHER_NUMBER), 0x40);
        peripherals.SCB.set_priority(SystemHandler::SysTick, 0x80);
        NVIC::unmask(Interrupt(OTHER_NUMBER));
    }
    #[cfg(any(feature = "microbit", feature = "microbit-narrow"))]
    {
        write(TIMER1 + 0x508, 3);
        write(TIMER1 + 0x510, 0);
        write(TIMER1 + 0x304, 1 << 16);
    }
}

#[cfg(any(feature = "microbit", feature = "microbit-narrow"))]
const TIMER1: usize = 0x4000_9000;
#[cfg(any(feature = "mps2-an385", feature = "mps2-an385-systick"))]
const DUAL_TIMER: usize = 0x4000_2000;

/// Interrupts in `counts`, 1 at least; replaces what was set before.
#[inline]
pub fn set(counts: u32) {
    #[cfg(any(feature = "microbit", feature = "microbit-narrow"))]
    {
        // Stop, clear, compare, start.
        write(TIMER1 + 0x004, 1);
        write(TIMER1 + 0x00c, 1);
        write(TIMER1 + 0x140, 0);
        write(TIMER1 + 0x540, counts);
        write(TIMER1, 1);
    }
    #[cfg(any(feature = "mps2-an385", feature = "mps2-an385-systick"))]
    {
        // Off, value, then on: 32 bits, once, with interrupt.
        write(DUAL_TIMER + 0x08, 0);
        write(DUAL_TIMER, counts);
        write(DUAL_TIMER + 0x08, 0b1010_0011);
    }
}

/// Withdraws the interrupt: what the handler calls first.
pub fn acknowledge() {
    #[cfg(any(feature = "microbit", feature = "microbit-narrow"))]
    {
        write(TIMER1 + 0x004, 1);
        write(TIMER1 + 0x140, 0);
    }
    #[cfg(any(feature = "mps2-an385", feature = "mps2-an385-systick"))]
    {
        write(DUAL_TIMER + 0x08, 0);
        write(DUAL_TIMER + 0x0c, 1);
    }
}

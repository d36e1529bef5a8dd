//! A second timer, which interrupts once, also in the handler of the one that is tested.
//!
//! Its handler is the program's function `OTHER`, on RISC-V `MachineExternal`.
//!
//! | machine | timer | nanoseconds a count |
//! |---|---|---|
//! | MPS2 | the dual timer | 40 |
//! | Stellaris | general-purpose timer 0 | 80 |
//! | micro:bit | TIMER1 | 62.5 |
//! | `virt` | the alarm of the real-time clock, by the machine's time (`-rtc clock=vm`) | 1 |
//!
//! An instruction takes one nanosecond, so dozens of them are between two counts of most.

#[cfg(feature = "cortex-m")]
use cortex_m::peripheral::NVIC;
#[cfg(feature = "cortex-m")]
use cortex_m::peripheral::scb::SystemHandler;

#[cfg(feature = "cortex-m")]
use crate::machine::{Interrupt, OTHER_NUMBER};

pub use timer::{HZ, acknowledge, set};

fn write(address: usize, value: u32) {
    // SAFETY: the registers of a timer that is used nowhere else, and of its interrupt.
    unsafe { (address as *mut u32).write_volatile(value) };
}

/// Makes the timer's interrupt the more urgent one of the two.
#[cfg(feature = "cortex-m")]
pub fn start() {
    // SAFETY: nobody else sets priorities.
    let mut peripherals = unsafe { cortex_m::Peripherals::steal() };
    timer::start();
    // SAFETY: no critical section relies on priorities.
    unsafe {
        #[cfg(not(any(feature = "mps2-an385-systick", feature = "lm3s6965evb")))]
        peripherals.NVIC.set_priority(Interrupt(crate::machine::ALARM_NUMBER), 0x80);
        peripherals.NVIC.set_priority(Interrupt(OTHER_NUMBER), 0x40);
        peripherals.SCB.set_priority(SystemHandler::SysTick, 0x80);
        NVIC::unmask(Interrupt(OTHER_NUMBER));
    }
}

/// Enables the timer's interrupt; the handlers of the other one let it through.
#[cfg(feature = "virt")]
pub fn start() {
    timer::start();
    // SAFETY: no critical section relies on it.
    unsafe { riscv::register::mie::set_mext() };
}

#[cfg(any(feature = "mps2-an385", feature = "mps2-an385-systick"))]
mod timer {
    use super::write;

    /// Counts a second.
    pub const HZ: u32 = 25_000_000;

    const LOAD: usize = 0x4000_2000;
    const CONTROL: usize = LOAD + 0x08;
    const CLEAR: usize = LOAD + 0x0c;

    pub(super) fn start() {}

    /// Interrupts in `counts`, 1 at least; replaces what was set before.
    #[inline]
    pub fn set(counts: u32) {
        // Off, value, then on: 32 bits, once, with interrupt.
        write(CONTROL, 0);
        write(LOAD, counts);
        write(CONTROL, 0b1010_0011);
    }

    /// Withdraws the interrupt: what the handler calls first.
    pub fn acknowledge() {
        write(CONTROL, 0);
        write(CLEAR, 1);
    }
}

#[cfg(feature = "lm3s6965evb")]
mod timer {
    use super::write;

    /// Counts a second.
    pub const HZ: u32 = 12_500_000;

    const TIMER0: usize = 0x4003_0000;
    const MODE: usize = TIMER0 + 0x04;
    const CONTROL: usize = TIMER0 + 0x0c;
    const MASK: usize = TIMER0 + 0x18;
    const CLEAR: usize = TIMER0 + 0x24;
    const LOAD: usize = TIMER0 + 0x28;
    /// What has a clock.
    const CLOCKS: usize = 0x400f_e104;

    pub(super) fn start() {
        write(CLOCKS, 1 << 16);
        // 32 bits, once, with interrupt.
        write(CONTROL, 0);
        write(TIMER0, 0);
        write(MODE, 1);
        write(MASK, 1);
    }

    /// Interrupts in `counts`, 1 at least; replaces what was set before.
    #[inline]
    pub fn set(counts: u32) {
        write(CONTROL, 0);
        write(LOAD, counts);
        write(CONTROL, 1);
    }

    /// Withdraws the interrupt: what the handler calls first.
    pub fn acknowledge() {
        write(CONTROL, 0);
        write(CLEAR, 1);
    }
}

#[cfg(any(feature = "microbit", feature = "microbit-narrow", feature = "microbit-24"))]
mod timer {
    use super::write;

    /// Counts a second.
    pub const HZ: u32 = 16_000_000;

    const TIMER1: usize = 0x4000_9000;
    const START: usize = TIMER1;
    const STOP: usize = TIMER1 + 0x004;
    const ZERO: usize = TIMER1 + 0x00c;
    const COMPARED: usize = TIMER1 + 0x140;
    const ENABLE: usize = TIMER1 + 0x304;
    const BITS: usize = TIMER1 + 0x508;
    const PRESCALER: usize = TIMER1 + 0x510;
    const COMPARE: usize = TIMER1 + 0x540;

    pub(super) fn start() {
        write(BITS, 3);
        write(PRESCALER, 0);
        write(ENABLE, 1 << 16);
    }

    /// Interrupts in `counts`, 1 at least; replaces what was set before.
    #[inline]
    pub fn set(counts: u32) {
        write(STOP, 1);
        write(ZERO, 1);
        write(COMPARED, 0);
        write(COMPARE, counts);
        write(START, 1);
    }

    /// Withdraws the interrupt: what the handler calls first.
    pub fn acknowledge() {
        write(STOP, 1);
        write(COMPARED, 0);
    }
}

#[cfg(feature = "virt")]
mod timer {
    use super::write;

    /// Counts a second.
    pub const HZ: u32 = 1_000_000_000;

    const TIME_LOW: usize = 0x0010_1000;
    const TIME_HIGH: usize = TIME_LOW + 0x04;
    const ALARM_LOW: usize = TIME_LOW + 0x08;
    const ALARM_HIGH: usize = TIME_LOW + 0x0c;
    const ENABLE: usize = TIME_LOW + 0x10;
    const CLEAR_ALARM: usize = TIME_LOW + 0x14;
    const CLEAR: usize = TIME_LOW + 0x1c;

    /// The interrupt controller, and the timer's number there.
    const PLIC: usize = 0x0c00_0000;
    const NUMBER: u32 = 11;
    const CLAIM: usize = PLIC + 0x20_0004;

    fn read(address: usize) -> u32 {
        // SAFETY: the registers of a timer that is used nowhere else, and of its interrupt.
        unsafe { (address as *const u32).read_volatile() }
    }

    pub(super) fn start() {
        // The priority of the interrupt, the first hart that is to hear of it, and of which others.
        write(PLIC + 4 * NUMBER as usize, 1);
        write(PLIC + 0x2000, 1 << NUMBER);
        write(PLIC + 0x20_0000, 0);
        write(ENABLE, 1);
    }

    /// Interrupts in `counts`, or at once if that is less than what this takes; replaces what was
    /// set before.
    #[inline]
    pub fn set(counts: u32) {
        // The lower half gives the upper one, at that time.
        let low = read(TIME_LOW);
        let at = (u64::from(read(TIME_HIGH)) << 32 | u64::from(low)) + u64::from(counts);
        // The lower half sets the alarm.
        write(ALARM_HIGH, (at >> 32) as u32);
        write(ALARM_LOW, at as u32);
    }

    /// Withdraws the interrupt: what the handler calls first.
    pub fn acknowledge() {
        write(CLEAR_ALARM, 0);
        write(CLEAR, 0);
        // Nothing happens if there is none.
        write(CLAIM, read(CLAIM));
    }
}

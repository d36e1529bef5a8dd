//! Counts instructions. In the emulator each of them takes the same time, on every run.

/// How long an instruction takes, in nanoseconds: two to the power of the shift that QEMU is given.
/// Beside SysTick it is 32, so that SysTick is about as fast as the processor, as it is on a chip.
pub const INSTRUCTION: u32 = if cfg!(feature = "mps2-an385-systick") { 32 } else { 1 };

/// How many instructions two counts take, at a nanosecond each.
pub const TWO_COUNTS: u32 = if cfg!(target_arch = "riscv32") {
    2
} else {
    2_000_000_000 / if cfg!(feature = "microbit") { 16_000_000 } else { 25_000_000 }
};

#[cfg(target_arch = "arm")]
mod counter {
    use core::ptr::{read_volatile, write_volatile};

    /// A timer that counts down: its control register, what starts it, the reload value, the count.
    /// Of the two that the machine has, the one that the board does not use.
    const TIMER: [(usize, u32); 4] = if cfg!(feature = "mps2-an385-systick") {
        [(0x4000_0000, 1), (0x4000_0008, 0xff_ffff), (0x4000_0004, 0xff_ffff), (0x4000_0004, 0)]
    } else {
        [(0xe000_e010, 0b101), (0xe000_e014, 0xff_ffff), (0xe000_e018, 0), (0xe000_e018, 0)]
    };

    pub(super) fn start() {
        let [control, reload, count, _] = TIMER;
        for (register, value) in [(control.0, 0), reload, count, control] {
            // SAFETY: the register of a timer that nobody else uses, and a value that its manual allows.
            unsafe { write_volatile(register as *mut u32, value) };
        }
    }

    #[inline(always)]
    pub(super) fn count() -> u32 {
        // SAFETY: as above.
        !unsafe { read_volatile(TIMER[3].0 as *const u32) }
    }
}

#[cfg(target_arch = "riscv32")]
mod counter {
    pub(super) fn start() {}

    #[inline(always)]
    pub(super) fn count() -> u32 {
        let count;
        // SAFETY: reads how many instructions have retired.
        unsafe { core::arch::asm!("csrr {}, minstret", out(reg) count, options(nomem, nostack)) };
        count
    }
}

/// Begins a count.
#[inline(always)]
pub fn start() {
    counter::start();
}

/// Counts since some moment, modulo 2^24.
#[inline(always)]
pub fn count() -> u32 {
    counter::count() & 0xff_ffff
}

/// Counts since `before`.
#[inline(always)]
pub fn since(before: u32) -> u32 {
    count().wrapping_sub(before) & 0xff_ffff
}

/// Instructions that a call of `round` takes, on average. Less than 2^24 counts in all.
pub fn average(rounds: u32, mut round: impl FnMut(u32)) -> u32 {
    let before = count();
    (0..rounds).for_each(&mut round);
    since(before) * TWO_COUNTS / 2 / rounds
}

//! Counts instructions. In the emulator each of them is a nanosecond, the same on every run.

/// How many nanoseconds two counts take.
#[cfg(target_arch = "arm")]
const TWO_COUNTS: u32 =
    2_000_000_000 / if cfg!(feature = "microbit") { 16_000_000 } else { 25_000_000 };
#[cfg(target_arch = "riscv32")]
const TWO_COUNTS: u32 = 2;

/// Has the count run. It wraps at 2^24, and nobody else is to use SysTick.
#[cfg(target_arch = "arm")]
pub fn start() {
    // SAFETY: values that the architecture's manual allows; the board uses another timer.
    unsafe {
        (0xe000_e014 as *mut u32).write_volatile(0xff_ffff);
        (0xe000_e018 as *mut u32).write_volatile(0);
        (0xe000_e010 as *mut u32).write_volatile(0b101);
    }
}

#[cfg(target_arch = "riscv32")]
pub fn start() {}

#[cfg(target_arch = "arm")]
#[inline(always)]
pub fn count() -> u32 {
    // SAFETY: SysTick's count, which counts down.
    !unsafe { (0xe000_e018 as *const u32).read_volatile() }
}

#[cfg(target_arch = "riscv32")]
#[inline(always)]
pub fn count() -> u32 {
    let count;
    // SAFETY: reads how many instructions have retired.
    unsafe { core::arch::asm!("csrr {}, minstret", out(reg) count, options(nomem, nostack)) };
    count
}

/// Instructions that a call of `round` takes, on average.
pub fn average(rounds: u32, mut round: impl FnMut(u32)) -> u32 {
    let before = count();
    (0..rounds).for_each(&mut round);
    let counts = count().wrapping_sub(before) & 0xff_ffff;
    counts * TWO_COUNTS / 2 / rounds
}

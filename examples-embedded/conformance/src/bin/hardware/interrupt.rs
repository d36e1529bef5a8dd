//! The second timer's interrupt: where in the program it came, and what is done there.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use board::burn;

use crate::phase::INTRUDER;
use crate::storm::{OTHERS, STORM, storm_from};

/// How often it came.
pub static COUNT: AtomicU32 = AtomicU32::new(0);

/// How many instructions it lasts, doing nothing; if 0, it does what the case wants.
pub static LASTS: AtomicU32 = AtomicU32::new(0);

/// Has it come so many instructions from now, less one count of its timer: with few, before this
/// returns.
#[inline(always)]
pub fn after(instructions: u32) {
    /// Instructions that a count lasts, at a nanosecond each.
    const COUNT: u32 = 1_000_000_000 / board::other::HZ;
    let whole = instructions / COUNT;
    board::other::set(whole + 2);
    burn(2 + (whole + 3) * COUNT - instructions);
}

/// Where the program begins.
const PROGRAM: usize = if cfg!(target_arch = "riscv32") { 0x8000_0000 } else { 0 };
const WORDS: usize = 1024;
/// Where it came, one bit for each two bytes of the program.
static SEEN: [AtomicU32; WORDS] = [const { AtomicU32::new(0) }; WORDS];

/// At how many instructions it came.
pub fn distinct() -> u32 {
    SEEN.iter().map(|word| word.load(SeqCst).count_ones()).sum()
}

#[unsafe(no_mangle)]
extern "C" fn other(interrupted: usize) {
    board::other::acknowledge();
    let half = (interrupted - PROGRAM) / 2;
    if let Some(word) = SEEN.get(half / 32) {
        word.store(word.load(SeqCst) | 1 << (half % 32), SeqCst);
    }
    COUNT.store(COUNT.load(SeqCst) + 1, SeqCst);
    let lasts = LASTS.load(SeqCst);
    if lasts != 0 {
        return burn(lasts);
    }
    if STORM.load(SeqCst) == 0 { INTRUDER.intrude() } else { storm_from(&OTHERS) }
}

#[cfg(target_arch = "arm")]
core::arch::global_asm!(
    ".global OTHER",
    ".type OTHER, %function",
    ".thumb_func",
    "OTHER:",
    "mrs r0, msp",
    "ldr r0, [r0, #24]",
    "ldr r1, =other",
    "bx r1",
    ".ltorg",
);

#[cfg(target_arch = "riscv32")]
#[unsafe(no_mangle)]
extern "C" fn MachineExternal() {
    let interrupted;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("csrr {}, mepc", out(reg) interrupted, options(nomem, nostack)) };
    other(interrupted);
}

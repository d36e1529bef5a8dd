//! What the driver asks of the timer's registers, and the registers themselves.

use cortex_m::peripheral::SCB;
use cortex_m::peripheral::syst::SystClkSource;

/// The timer counts down. From 1 it goes to 0, which sets the flag and raises the exception; from
/// 0 it goes to the reload value.
pub(crate) trait Registers {
    /// Starts at 0 with a reload value, the exception enabled.
    fn start(&self, source: SystClkSource, reload: u32);

    /// The count.
    fn count(&self) -> u32;

    /// Whether the count went to 0 since this was asked, or the timer restarted.
    fn take_flag(&self) -> bool;

    /// Sets what the count goes to after 0.
    fn set_reload(&self, reload: u32);

    /// Waits until the count is not `seen`, sets the reload value to `bias` more than what it is
    /// then, and sets the count to 0. Changes nothing and gives false if the count has gone through
    /// zero since it was `seen`, or the reload value would be less than `least`.
    ///
    /// From the load that reads the count, to the store that sets it, the time is always the same.
    fn restart(&self, seen: u32, bias: u32, least: u32) -> bool;

    /// The same steps, with a load of the count in the place of the last store: how many counts
    /// there are between the two. The reload value is `seen` after that, or less by a few.
    fn rehearse(&self, seen: u32) -> u32;

    /// Raises the exception.
    fn pend(&self);
}

/// The processor's own.
#[derive(Debug)]
pub(crate) struct Processors(pub(crate) ());

const ENABLE: u32 = 1 << 0;
const EXCEPTION: u32 = 1 << 1;
const PROCESSOR_CLOCK: u32 = 1 << 2;
const FLAG: u32 = 1 << 16;

impl Processors {
    #[inline]
    fn block(&self) -> &cortex_m::peripheral::syst::RegisterBlock {
        // SAFETY: every Cortex-M has the registers there. The one who made this promised that
        // nobody else uses them.
        unsafe { &*cortex_m::peripheral::SYST::PTR }
    }
}

impl Registers for Processors {
    fn start(&self, source: SystClkSource, reload: u32) {
        let clock = if source == SystClkSource::Core { PROCESSOR_CLOCK } else { 0 };
        // SAFETY: values that the architecture's manual allows.
        unsafe {
            self.block().csr.write(clock);
            self.block().rvr.write(reload);
            self.block().cvr.write(0);
            self.block().csr.write(clock | EXCEPTION | ENABLE);
        }
    }

    #[inline]
    fn count(&self) -> u32 {
        self.block().cvr.read()
    }

    #[inline]
    fn take_flag(&self) -> bool {
        self.block().csr.read() & FLAG != 0
    }

    #[inline]
    fn set_reload(&self, reload: u32) {
        // SAFETY: a value of 24 bits.
        unsafe { self.block().rvr.write(reload) };
    }

    #[inline]
    fn restart(&self, seen: u32, bias: u32, least: u32) -> bool {
        in_time(steps::<true>(seen, bias, least).0, seen, bias, least)
    }

    fn rehearse(&self, seen: u32) -> u32 {
        let (first, then) = steps::<false>(seen, 0, 0);
        first.wrapping_sub(then)
    }

    fn pend(&self) {
        SCB::set_pendst();
    }
}

/// Whether a restart that read `first` was done: what the branches of `steps` decide.
#[inline(always)]
pub(crate) fn in_time(first: u32, seen: u32, bias: u32, least: u32) -> bool {
    first < seen && first.wrapping_add(bias) as i32 >= least as i32
}

/// The steps of a restart, as instructions, so that they take the same time in every program.
#[cfg(target_arch = "arm")]
#[inline(always)]
fn steps<const CLEARS: bool>(seen: u32, bias: u32, least: u32) -> (u32, u32) {
    use core::arch::asm;

    let (first, then): (u32, u32);
    let base = cortex_m::peripheral::SYST::PTR;
    macro_rules! steps {
        ($last:literal, $then:ident) => {
            asm!(
                "2:",
                "ldr {first}, [{base}, #8]",
                "cmp {first}, {seen}",
                "beq 2b",
                "bhi 3f",
                "adds {bias}, {first}, {bias}",
                "cmp {bias}, {least}",
                "blt 3f",
                "str {bias}, [{base}, #4]",
                $last,
                "3:",
                base = in(reg) base,
                seen = in(reg) seen,
                least = in(reg) least,
                bias = inout(reg) bias => _,
                first = out(reg) first,
                then = inout(reg) 0 => $then,
                options(nostack),
            )
        };
    }
    // SAFETY: reads the count and writes the timer's own registers, which touches no memory.
    unsafe {
        if CLEARS {
            steps!("str {then}, [{base}, #8]", then);
        } else {
            steps!("ldr {then}, [{base}, #8]", then);
        }
    }
    (first, then)
}

/// There is no such timer; the tests have a model.
#[cfg(not(target_arch = "arm"))]
fn steps<const CLEARS: bool>(_: u32, _: u32, _: u32) -> (u32, u32) {
    unreachable!("a Cortex-M has this timer")
}

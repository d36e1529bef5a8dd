//! What the driver asks of the timer's registers, and the registers themselves.

use cortex_m::peripheral::SCB;
use cortex_m::peripheral::syst::SystClkSource;

/// What the count goes to after 0, but for a restart.
pub(crate) const LONGEST: u32 = (1 << 24) - 1;

/// The timer counts down. From 1 it goes to 0, which sets the flag and raises the exception; from
/// 0 it goes to the reload value.
pub(crate) trait Registers {
    /// Starts at 0 with the longest reload value, the exception enabled.
    fn start(&self, source: SystClkSource);

    /// The count.
    fn count(&self) -> u32;

    /// Whether the count went to 0 since this was asked, or the timer restarted.
    fn take_flag(&self) -> bool;

    /// Waits until the count is not `seen`, sets the reload value to `bias` more than what it is
    /// then, and the count to 0; and when that has gone on from there, the reload value to the longest.
    /// Gives what the count went on from. Or changes nothing, if the count has gone through zero since it
    /// was `seen`, or would go on from less than `least`.
    ///
    /// From the load that reads the count, to the store that sets it, the time is always the same.
    fn restart(&self, seen: u32, bias: u32, least: u32) -> Option<u32>;

    /// The same steps, with a load of the count in the place of the store that sets it: how many counts
    /// there are between the two.
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
    fn start(&self, source: SystClkSource) {
        let clock = if source == SystClkSource::Core { PROCESSOR_CLOCK } else { 0 };
        // SAFETY: values that the architecture's manual allows.
        unsafe {
            self.block().csr.write(clock);
            self.block().rvr.write(LONGEST);
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
    fn restart(&self, seen: u32, bias: u32, least: u32) -> Option<u32> {
        let (first, reload) = steps::<true>(seen, bias, least);
        in_time(first, seen, bias, least).then_some(reload)
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

/// The steps of a restart, as instructions, so that they take the same time in every program. Those of a
/// rehearsal are laid out alike, from a multiple of 8 bytes on, as they are fetched by such words from a flash
/// that is slow. Each is called from one place, and so is in one. Gives the first reading of the count, and the
/// reload value or the second reading.
#[cfg(target_arch = "arm")]
#[inline(always)]
fn steps<const CLEARS: bool>(seen: u32, bias: u32, least: u32) -> (u32, u32) {
    use core::arch::asm;

    let (first, last): (u32, u32);
    let base = cortex_m::peripheral::SYST::PTR;
    macro_rules! steps {
        ($set_or_load:literal) => {
            asm!(
                ".p2align 3",
                "2:",
                "ldr r0, [r5, #8]",
                "cmp r0, r1",
                "beq 2b",
                "bhi 3f",
                "adds r2, r0, r2",
                "cmp r2, r3",
                "blt 3f",
                "str r2, [r5, #4]",
                $set_or_load,
                "4:",
                "ldr r1, [r5, #8]",
                "cmp r1, #0",
                "beq 4b",
                "str r4, [r5, #4]",
                "3:",
                out("r0") first,
                inout("r1") seen => _,
                inout("r2") bias => last,
                in("r3") least,
                in("r4") LONGEST,
                in("r5") base,
                options(nostack),
            )
        };
    }
    // SAFETY: reads the count and writes the timer's own registers, which touches no memory.
    unsafe {
        if CLEARS {
            // Any value sets the count to zero.
            steps!("str r4, [r5, #8]");
        } else {
            steps!("ldr r2, [r5, #8]");
        }
    }
    (first, last)
}

/// There is no such timer; the tests have a model.
#[cfg(not(target_arch = "arm"))]
fn steps<const CLEARS: bool>(_: u32, _: u32, _: u32) -> (u32, u32) {
    unreachable!("a Cortex-M has this timer")
}

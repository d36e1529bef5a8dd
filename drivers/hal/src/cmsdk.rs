//! The APB timers of Arm's Cortex-M System Design Kit, as in the MPS2 and MPS3 boards.
//!
//! Such a timer has one counter, which counts *down*, and interrupts at zero: no compare register.
//! To use one as both clock and alarm it would have to be reloaded for each alarm, and the counts
//! that pass during a reload are lost. So this takes two: the first runs freely and is never
//! touched, the second counts down to each alarm.
//!
//! The second is given a distance, not a time, and counts it from whenever it is started: what came
//! in between the reading of the clock and that start would delay the alarm by as long, and no later
//! look at the clock could tell. So interrupts are masked from the one to the other, for a handful of
//! instructions. (To compare the two timers afterwards would need no mask, but would have to know how
//! many counts those instructions take.)

use volatile_register::RW;

use crate::{CompareDriver, Counter, nvic};

/// The registers, after the chapter "APB timer" of the CMSDK's technical reference manual.
#[repr(C)]
struct Registers {
    ctrl: RW<u32>,
    value: RW<u32>,
    reload: RW<u32>,
    /// Reads as the interrupt's status; writing 1 clears it.
    interrupt: RW<u32>,
}

const ENABLE: u32 = 1 << 0;
const INTERRUPT_ENABLE: u32 = 1 << 3;

/// A clock with its registers at `CLOCK`, and an alarm with its registers at `ALARM` and the
/// interrupt `IRQ`, both counting down `HZ` times a second.
///
/// ```
/// use moirai_timer_core::Timer;
/// use moirai_timer_hal::cmsdk::CmsdkDriver;
///
/// type Timers = CmsdkDriver<0x4000_0000, 0x4000_1000, 9, 25_000_000>; // `Mps2` is the same
///
/// // SAFETY: an MPS2 has them, and nobody else uses them.
/// static TIMER: Timer<Timers, 32> = Timer::new(unsafe { Timers::take() });
///
/// // The second one's interrupt:
/// fn timer1_handler() {
///     TIMER.driver().acknowledge();
///     TIMER.on_alarm();
/// }
///
/// // Once, then unmask the interrupt:
/// fn start() {
///     TIMER.driver().start();
/// }
/// ```
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CmsdkTimers<const CLOCK: usize, const ALARM: usize, const IRQ: u16, const HZ: u64>(());

/// The driver for [`CmsdkTimers`].
///
/// ```
/// use moirai_timer_core::Timer;
/// use moirai_timer_hal::cmsdk::CmsdkDriver;
///
/// // The other way round, at 20 MHz.
/// type Swapped = CmsdkDriver<0x4000_1000, 0x4000_0000, 8, 20_000_000>;
/// // SAFETY: such a board has them, and nobody else uses them.
/// static TIMER: Timer<Swapped, 32> = Timer::new(unsafe { Swapped::take() });
/// ```
pub type CmsdkDriver<const CLOCK: usize, const ALARM: usize, const IRQ: u16, const HZ: u64> =
    CompareDriver<CmsdkTimers<CLOCK, ALARM, IRQ, HZ>>;

/// Both timers of the MPS2 board with the image AN385, at 25 MHz. The interrupt is `TIMER1`'s, 9.
///
/// ```
/// # use moirai_timer_core::Timer;
/// use moirai_timer_hal::cmsdk::Mps2;
/// // SAFETY: nobody else uses the timers.
/// static TIMER: Timer<Mps2, 32> = Timer::new(unsafe { Mps2::take() });
/// ```
pub type Mps2 = CmsdkDriver<0x4000_0000, 0x4000_1000, 9, 25_000_000>;

impl<const CLOCK: usize, const ALARM: usize, const IRQ: u16, const HZ: u64>
    CmsdkDriver<CLOCK, ALARM, IRQ, HZ>
{
    /// The driver for two timers that nobody else uses.
    ///
    /// Fails to compile if `HZ` is 0:
    ///
    /// ```compile_fail,E0080
    /// use moirai_timer_hal::cmsdk::CmsdkDriver;
    /// // SAFETY: an MPS2 has them, and nobody else uses them.
    /// static DRIVER: CmsdkDriver<0x4000_0000, 0x4000_1000, 9, 0> = unsafe { CmsdkDriver::take() };
    /// ```
    ///
    /// ```
    /// use moirai_timer_hal::cmsdk::Mps2;
    /// // SAFETY: an MPS2 has them, and nobody else uses them.
    /// static DRIVER: Mps2 = unsafe { Mps2::take() };
    /// ```
    ///
    /// # Safety
    /// At `CLOCK` and `ALARM` are the registers of two such timers, nobody else uses them, and
    /// `IRQ` is the number of the second one's interrupt.
    pub const unsafe fn take() -> Self {
        CompareDriver::new(CmsdkTimers(()))
    }
}

impl<const CLOCK: usize, const ALARM: usize, const IRQ: u16, const HZ: u64>
    CmsdkTimers<CLOCK, ALARM, IRQ, HZ>
{
    fn clock(&self) -> &Registers {
        // SAFETY: whoever made this promised that they are there.
        unsafe { &*(CLOCK as *const Registers) }
    }

    fn alarm(&self) -> &Registers {
        // SAFETY: as above.
        unsafe { &*(ALARM as *const Registers) }
    }
}

impl<const CLOCK: usize, const ALARM: usize, const IRQ: u16, const HZ: u64> Counter
    for CmsdkTimers<CLOCK, ALARM, IRQ, HZ>
{
    const TICK_HZ: u64 = HZ;
    const BITS: u32 = 32;

    fn start(&self) {
        // SAFETY: values that the manual allows, for timers that are ours.
        unsafe {
            for timer in [self.alarm(), self.clock()] {
                timer.ctrl.write(0);
                timer.reload.write(u32::MAX);
                timer.value.write(u32::MAX);
                timer.interrupt.write(1);
            }
            self.clock().ctrl.write(ENABLE);
        }
    }

    #[inline]
    fn count(&self) -> u64 {
        (!self.clock().value.read()).into()
    }

    /// The alarm rings a few processor cycles after the count, those between reading one timer and
    /// starting the other. Interrupts are masked meanwhile.
    fn set_compare(&self, at: u64) {
        let alarm = self.alarm();
        // SAFETY: stops a timer that is ours.
        unsafe { alarm.ctrl.write(0) };
        critical_section::with(|_| {
            let left = (at as u32).wrapping_sub(self.count() as u32);
            // SAFETY: the registers are for that. A value of zero would never be counted down to.
            unsafe {
                alarm.value.write(left.max(1));
                alarm.ctrl.write(ENABLE | INTERRUPT_ENABLE);
            }
        });
    }

    fn acknowledge(&self) {
        // SAFETY: clears the interrupt.
        unsafe { self.alarm().interrupt.write(1) };
    }

    fn pend(&self) {
        nvic::pend(IRQ);
    }
}

#[cfg(test)]
mod tests {
    use super::Registers;
    use core::mem::offset_of;

    #[test]
    fn the_registers_are_where_the_manual_has_them() {
        assert_eq!(offset_of!(Registers, ctrl), 0x0);
        assert_eq!(offset_of!(Registers, value), 0x4);
        assert_eq!(offset_of!(Registers, reload), 0x8);
        assert_eq!(offset_of!(Registers, interrupt), 0xc);
    }
}

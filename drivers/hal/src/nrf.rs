//! The TIMER of Nordic's nRF51, nRF52, nRF53 and nRF91.

use volatile_register::{RO, RW, WO};

use crate::{CompareDriver, Counter, nvic};

/// The registers, after the chapter "TIMER" of the nRF51 reference manual; later chips have more.
#[repr(C)]
struct Registers {
    tasks_start: WO<u32>,
    tasks_stop: WO<u32>,
    tasks_count: WO<u32>,
    tasks_clear: WO<u32>,
    _shutdown: [u32; 12],
    tasks_capture: [WO<u32>; 4],
    _reserved1: [u32; 60],
    events_compare: [RW<u32>; 4],
    _reserved2: [u32; 44],
    shorts: RW<u32>,
    _reserved3: [u32; 64],
    intenset: RW<u32>,
    intenclr: RW<u32>,
    _reserved4: [u32; 126],
    mode: RW<u32>,
    bitmode: RW<u32>,
    _reserved5: RO<u32>,
    prescaler: RW<u32>,
    _reserved6: [u32; 11],
    cc: [RW<u32>; 4],
}

/// Which of the compare registers holds the alarm, and which receives the count when it is read.
const ALARM: usize = 0;
const READ: usize = 1;

/// The TIMER with its registers at `BASE` and the interrupt `IRQ`, at 16 MHz / 2^`PRESCALER`.
///
/// Of `BITS` bits, 16, 24 or 32, of which the instance must have as many. It uses the first two
/// compare registers. Keeping the 16 MHz clock running costs some hundred microamperes; a driver
/// for the RTC, which costs less, is another `Counter`.
///
/// As exact as that clock: unless the program starts the crystal oscillator (HFXO), it is the internal one, which is
/// off by percents. Beside a SoftDevice, which takes TIMER0, use another instance, and a priority that it allows.
///
/// ```
/// use moirai_timer_core::Timer;
/// use moirai_timer_hal::nrf::Timer0;
///
/// // SAFETY: an nRF has it, and nobody else uses it.
/// static TIMER: Timer<Timer0, 32> = Timer::new(unsafe { Timer0::take() });
///
/// fn timer0_handler() {
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
pub struct NrfTimer<const BASE: usize, const IRQ: u16, const PRESCALER: u32, const BITS: u32>(());

/// The driver for an [`NrfTimer`].
///
/// ```
/// # use moirai_timer_core::Timer;
/// use moirai_timer_hal::nrf::NrfDriver;
///
/// // TIMER3 of the nRF52, at 16 MHz.
/// type Timer3 = NrfDriver<0x4001_a000, 26, 0>;
/// // SAFETY: an nRF52832 has it, and nobody else uses it.
/// static TIMER: Timer<Timer3, 32> = Timer::new(unsafe { Timer3::take() });
/// ```
pub type NrfDriver<
    const BASE: usize,
    const IRQ: u16,
    const PRESCALER: u32 = 4,
    const BITS: u32 = 32,
> = CompareDriver<NrfTimer<BASE, IRQ, PRESCALER, BITS>>;

/// TIMER0 of the nRF51 and nRF52, at 1 MHz.
///
/// ```
/// # use moirai_timer_core::Timer;
/// use moirai_timer_hal::nrf::Timer0;
/// // SAFETY: an nRF has it, and nobody else uses it.
/// static TIMER: Timer<Timer0, 32> = Timer::new(unsafe { Timer0::take() });
/// ```
pub type Timer0 = NrfDriver<0x4000_8000, 8>;
/// TIMER1, at 1 MHz. On the nRF51 it has 16 bits.
///
/// ```
/// # use moirai_timer_core::Timer;
/// use moirai_timer_hal::nrf::Timer1;
/// // SAFETY: an nRF51 has it, and nobody else uses it.
/// static TIMER: Timer<Timer1<16>, 32> = Timer::new(unsafe { Timer1::take() });
/// ```
pub type Timer1<const BITS: u32 = 32> = NrfDriver<0x4000_9000, 9, 4, BITS>;
/// TIMER2, at 1 MHz. On the nRF51 it has 16 bits.
///
/// ```
/// # use moirai_timer_core::Timer;
/// use moirai_timer_hal::nrf::Timer2;
/// // SAFETY: an nRF51 has it, and nobody else uses it.
/// static TIMER: Timer<Timer2<16>, 32> = Timer::new(unsafe { Timer2::take() });
/// ```
pub type Timer2<const BITS: u32 = 32> = NrfDriver<0x4000_a000, 10, 4, BITS>;

impl<const BASE: usize, const IRQ: u16, const PRESCALER: u32, const BITS: u32>
    NrfDriver<BASE, IRQ, PRESCALER, BITS>
{
    /// The driver for a timer that nobody else uses.
    ///
    /// Fails to compile if the prescaler is above 9, or the width none of 16, 24 and 32 bits:
    ///
    /// ```compile_fail,E0080
    /// use moirai_timer_hal::nrf::Timer1;
    /// // SAFETY: an nRF has it, and nobody else uses it.
    /// static DRIVER: Timer1<64> = unsafe { Timer1::take() };
    /// ```
    ///
    /// ```compile_fail,E0080
    /// use moirai_timer_hal::nrf::NrfDriver;
    /// // SAFETY: an nRF has it, and nobody else uses it.
    /// static DRIVER: NrfDriver<0x4000_8000, 8, 10> = unsafe { NrfDriver::take() };
    /// ```
    ///
    /// ```
    /// use moirai_timer_hal::nrf::Timer1;
    /// // SAFETY: an nRF has it, and nobody else uses it.
    /// static DRIVER: Timer1<16> = unsafe { Timer1::take() };
    /// ```
    ///
    /// # Safety
    /// At `BASE` are the registers of such a timer, nobody else uses them, and `IRQ` is its number.
    pub const unsafe fn take() -> Self {
        const { assert!(PRESCALER <= 9, "the prescaler divides by 2^9 at most") };
        const { assert!(matches!(BITS, 16 | 24 | 32), "a TIMER has 16, 24 or 32 bits") };
        CompareDriver::new(NrfTimer(()))
    }
}

impl<const BASE: usize, const IRQ: u16, const PRESCALER: u32, const BITS: u32>
    NrfTimer<BASE, IRQ, PRESCALER, BITS>
{
    fn registers(&self) -> &Registers {
        // SAFETY: whoever made this promised that they are there.
        unsafe { &*(BASE as *const Registers) }
    }
}

impl<const BASE: usize, const IRQ: u16, const PRESCALER: u32, const BITS: u32> Counter
    for NrfTimer<BASE, IRQ, PRESCALER, BITS>
{
    const TICK_HZ: u64 = 16_000_000 >> PRESCALER;
    const BITS: u32 = BITS;

    fn start(&self) {
        let registers = self.registers();
        let bitmode = match BITS {
            16 => 0,
            24 => 2,
            _ => 3,
        };
        // SAFETY: values that the manual allows, for a timer that is stopped; it is ours.
        unsafe {
            registers.tasks_stop.write(1);
            registers.shorts.write(0);
            registers.intenclr.write(u32::MAX);
            registers.mode.write(0);
            registers.bitmode.write(bitmode);
            registers.prescaler.write(PRESCALER);
            registers.tasks_clear.write(1);
            registers.events_compare[ALARM].write(0);
            registers.cc[ALARM].write(0);
            registers.intenset.write(1 << (16 + ALARM));
            registers.tasks_start.write(1);
        }
    }

    /// If another reader comes in between, this gives what that one captured, which is later than
    /// this call began, and no later than its end.
    #[inline]
    fn count(&self) -> u64 {
        // SAFETY: captures the count, which changes nothing but the register for it.
        unsafe { self.registers().tasks_capture[READ].write(1) };
        self.registers().cc[READ].read().into()
    }

    fn set_compare(&self, at: u64) {
        // SAFETY: the register is for that.
        unsafe { self.registers().cc[ALARM].write(at as u32) };
    }

    fn acknowledge(&self) {
        let event = &self.registers().events_compare[ALARM];
        // SAFETY: clears the event.
        unsafe { event.write(0) };
        // The write has to arrive before the handler ends, or that is entered once more.
        event.read();
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
        assert_eq!(offset_of!(Registers, tasks_capture), 0x040);
        assert_eq!(offset_of!(Registers, events_compare), 0x140);
        assert_eq!(offset_of!(Registers, shorts), 0x200);
        assert_eq!(offset_of!(Registers, intenset), 0x304);
        assert_eq!(offset_of!(Registers, mode), 0x504);
        assert_eq!(offset_of!(Registers, prescaler), 0x510);
        assert_eq!(offset_of!(Registers, cc), 0x540);
    }
}

//! The interrupt controller of a Cortex-M, as far as the ports need it.

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

#[derive(Clone, Copy)]
struct Interrupt(u16);

// SAFETY: `pend` is given the number of an interrupt that the chip has; each `take` requires it.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}

/// Has the handler of an interrupt run.
pub(crate) fn pend(number: u16) {
    NVIC::pend(Interrupt(number));
}

#![no_std]
#![no_main]

use cortex_m::peripheral::NVIC;
use moirai_timer_core::Timer;
use moirai_timer_hal::{CompareDriver, Counter};
use panic_halt as _;
use stm32_metapac::{Interrupt, RCC, TIM2, interrupt};

const CLOCK_MHZ: u16 = 16;

struct Tim2;

impl Counter for Tim2 {
    const TICK_HZ: u64 = 1_000_000;
    const BITS: u32 = 32;

    fn start(&self) {
        TIM2.psc().write_value(CLOCK_MHZ - 1);
        TIM2.arr().write_value(u32::MAX); // it must wrap at the full width
        TIM2.egr().write(|w| w.set_ug(true));
        TIM2.sr().write(|_| {});
        TIM2.dier().write(|w| w.set_ccie(0, true));
        TIM2.cr1().write(|w| w.set_cen(true));
    }

    fn count(&self) -> u64 {
        TIM2.cnt().read().into()
    }

    fn set_compare(&self, at: u64) {
        TIM2.ccr(0).write_value(at as u32);
    }

    fn acknowledge(&self) {
        // A 1 leaves a flag alone.
        TIM2.sr().write(|w| {
            w.0 = !0;
            w.set_ccif(0, false);
        });
    }

    fn pend(&self) {
        NVIC::pend(Interrupt::TIM2);
    }
}

static TIMER: Timer<CompareDriver<Tim2>, 32> = Timer::new(CompareDriver::new(Tim2));

#[interrupt]
fn TIM2() {
    TIMER.driver().acknowledge();
    TIMER.on_alarm();
}

#[cortex_m_rt::entry]
fn main() -> ! {
    RCC.apb1enr().modify(|w| w.set_tim2en(true));
    TIMER.driver().start();
    // SAFETY: nothing is masked for the sake of this interrupt.
    unsafe { NVIC::unmask(Interrupt::TIM2) };
    loop {
        cortex_m::asm::wfi(); // in place of an executor
    }
}

//! The least that sleeps: one task, on SysTick. Only its size is looked at.

#![no_std]
#![no_main]

use core::future::Future;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Waker};

use cortex_m_rt::{entry, exception};
use panic_halt as _;

#[cfg(feature = "timer")]
mod timer {
    use cortex_m::peripheral::syst::SystClkSource;
    use moirai_timer_core::{TickCount, Timer};
    use moirai_timer_cortex_m::SysTick;

    // SAFETY: nobody else uses it.
    static TIMER: Timer<SysTick<64_000_000>, 8> = Timer::new(unsafe { SysTick::take() });

    pub fn start() {
        TIMER.driver().start(SystClkSource::Core);
    }

    pub fn on_alarm() {
        TIMER.on_alarm();
    }

    pub async fn sleep(ticks: u64) {
        TIMER.sleep(TickCount(ticks)).await;
    }
}

#[cfg(not(feature = "timer"))]
mod timer {
    pub fn start() {}
    pub fn on_alarm() {}
    pub async fn sleep(ticks: u64) {
        core::hint::black_box(ticks);
    }
}

#[exception]
fn SysTick() {
    timer::on_alarm();
}

async fn blink() {
    loop {
        timer::sleep(black_box(32_000_000)).await;
        black_box(());
    }
}

#[entry]
fn main() -> ! {
    timer::start();
    let mut blink = pin!(blink());
    loop {
        // An interrupt that comes after the poll stays pending, and ends the waiting.
        cortex_m::interrupt::disable();
        let _ = blink.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        cortex_m::asm::wfi();
        // SAFETY: no critical section relies on them being off.
        unsafe { cortex_m::interrupt::enable() };
    }
}

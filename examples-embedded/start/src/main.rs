#![no_std]
#![no_main]

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Waker};
use core::time::Duration;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::{entry, exception};
use moirai_timer_core::Timer;
use moirai_timer_cortex_m::SysTick;
use panic_halt as _;

// An STM32F4 at 168 MHz. SAFETY: nobody else uses SysTick.
static TIMER: Timer<SysTick<168_000_000>, 32> = Timer::new(unsafe { SysTick::take() });

#[exception]
fn SysTick() {
    TIMER.on_alarm();
}

async fn blink() {
    loop {
        TIMER.sleep(Duration::from_millis(500)).await;
        // Toggle the LED.
    }
}

#[entry]
fn main() -> ! {
    // Set up the clocks, then:
    TIMER.driver().start(SystClkSource::Core);
    // Any executor will do. This is one for a single task.
    let mut blink = pin!(blink());
    loop {
        cortex_m::interrupt::free(|_| {
            let _ = blink.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            cortex_m::asm::wfi(); // ends when an interrupt is pending; it is served after this
        });
    }
}
